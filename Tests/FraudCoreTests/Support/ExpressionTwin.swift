import FraudCore

/// The plain interpreter of checked expressions: one row, one node at a time, nothing clever.
///
/// Every node's outcome is computed, errors included, in the order of the array; an operation then takes from its
/// children's outcomes what it would have looked at. Evaluating has no effects, so this is the same as being lazy, and it
/// needs no recursion. The fast evaluator is compared with it.
struct ExpressionTwin {
  enum Outcome: Equatable {
    case value(Value)
    case error(EvaluationError)
  }

  let expression: CheckedExpression
  /// The values of each declared list.
  let lists: [[Value]]

  init(_ expression: CheckedExpression, lists: [[Value]] = []) {
    self.expression = expression
    self.lists = lists
  }

  /// The whole expression's outcome for a row of column values.
  func outcome(of row: [Value]) -> Outcome {
    var outcomes: [Outcome] = []
    outcomes.reserveCapacity(expression.nodes.count)
    for node in expression.nodes {
      outcomes.append(outcome(of: node, outcomes, row))
    }
    return outcomes[expression.root]
  }

  private func outcome(of node: CheckedNode, _ outcomes: [Outcome], _ row: [Value]) -> Outcome {
    switch node.operation {
    case .literal(let value): return .value(value)
    case .column(let index): return .value(row[index])
    case .and: return logic(node, outcomes, deciding: false)
    case .or: return logic(node, outcomes, deciding: true)
    case .inValues: return inValues(node, outcomes)
    case .caseWhen:
      for pair in stride(from: 0, to: node.children.count - 1, by: 2) {
        switch outcomes[node.children[pair]] {
        case .error(let error): return .error(error)
        case .value(.boolean(true)): return outcomes[node.children[pair + 1]]
        default: continue
        }
      }
      return outcomes[node.children[node.children.count - 1]]
    case .coalesce:
      for child in node.children where outcomes[child] != .value(.null) { return outcomes[child] }
      return .value(.null)
    case .inList(let list):
      switch outcomes[node.children[0]] {
      case .error(let error): return .error(error)
      case .value(.null): return .value(.null)
      case .value(let value):
        let type = expression.nodes[node.children[0]].type
        return .value(
          .boolean(
            lists[list].contains {
              (try? evaluate(.comparison(.equal), [value, $0], types: [type, type], result: .boolean)) == .boolean(true)
            }))
      }
    default: return strict(node, outcomes)
    }
  }

  private func logic(_ node: CheckedNode, _ outcomes: [Outcome], deciding: Bool) -> Outcome {
    var isNull = false
    for child in node.children {
      switch outcomes[child] {
      case .error(let error): return .error(error)
      case .value(.boolean(deciding)): return .value(.boolean(deciding))
      case .value(.null): isNull = true
      default: continue
      }
    }
    return isNull ? .value(.null) : .value(.boolean(!deciding))
  }

  private func inValues(_ node: CheckedNode, _ outcomes: [Outcome]) -> Outcome {
    guard case .value(let value) = outcomes[node.children[0]] else { return outcomes[node.children[0]] }
    if value == .null { return .value(.null) }
    let type = expression.nodes[node.children[0]].type
    var isNull = false
    for child in node.children.dropFirst() {
      guard case .value(let element) = outcomes[child] else { return outcomes[child] }
      if element == .null {
        isNull = true
      } else if (try? evaluate(.comparison(.equal), [value, element], types: [type, type], result: .boolean))
        == .boolean(true)
      {
        return .value(.boolean(true))
      }
    }
    return isNull ? .value(.null) : .value(.boolean(false))
  }

  private func strict(_ node: CheckedNode, _ outcomes: [Outcome]) -> Outcome {
    var values: [Value] = []
    let endsAtNull = node.operation.endsAtNull
    for child in node.operation.takesRightFirst ? node.children.reversed() : node.children {
      guard case .value(let value) = outcomes[child] else { return outcomes[child] }
      if value == .null, endsAtNull { return .value(.null) }
      values.append(value)
    }
    if node.operation.takesRightFirst { values.reverse() }
    let types = node.children.map { expression.nodes[$0].type }
    do throws(EvaluationError) {
      return .value(try evaluate(node.operation, values, types: types, result: node.type))
    } catch {
      return .error(error)
    }
  }
}

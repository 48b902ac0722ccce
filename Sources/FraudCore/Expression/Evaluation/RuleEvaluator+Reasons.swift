extension RuleEvaluator {
  /// Why an expression raised in a row of the batch that was evaluated last, or `nil` if it did not.
  ///
  /// Follows, from the whole expression down, the operand whose error counted; so it costs nothing unless asked for.
  package func error(rule: Int, row: Int, in batch: borrowing EventBatch) -> EvaluationError? {
    var index = program.plan.roots[rule]
    guard has(index, \.error, row, batch) else { return nil }
    while true {
      let node = program.plan.nodes[index]
      guard let child = raisingChild(node, row, batch) else { break }
      index = child
    }
    switch program.plan.causes[index] {
    case .always(let error): return error
    case .perRow(let reasons): return EvaluationError(rawValue: self.reasons[reasons][row])
    case nil: return nil
    }
  }

  /// The operand that raised first of those that were looked at.
  private func raisingChild(_ node: ProgramBuilder.Node, _ row: Int, _ batch: borrowing EventBatch) -> Int? {
    switch node.operation {
    case .caseWhen:
      for position in stride(from: 0, to: node.children.count - 1, by: 2) {
        if has(node.children[position], \.error, row, batch) { return node.children[position] }
        if has(node.children[position], \.truth, row, batch) { return node.children[position + 1] }
      }
      return node.children.last
    case let operation where operation.takesRightFirst:
      return node.children.last { has($0, \.error, row, batch) }
    default:
      // An operand whose error does not count stands behind one that decided, and the node would not have raised.
      return node.children.first { program.plan.operands[$0] != nil && has($0, \.error, row, batch) }
    }
  }

  private func has(
    _ node: Int, _ source: (Operand) -> BitSource, _ row: Int, _ batch: borrowing EventBatch
  ) -> Bool {
    guard let operand = program.plan.operands[node] else { return false }
    return isSet(source(operand), row: row, batch)
  }
}

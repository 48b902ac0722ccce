/// Syntax tree → checked tree: settles names, types, overloads and constants, in one loop over the nodes.
///
/// A node that is wrong has no operand, and nothing more is said about what is built on it; so every diagnostic stands for a
/// mistake of its own, and all of them are found.
struct Checker {
  /// What a syntax node became.
  struct Operand {
    var node: Int
    /// Whether the text has a literal here, which decimal typing asks for. A folded calculation is none.
    var isLiteral = false
    /// The units of an interval, where they are not all of its type. An interval of days leaves a date a date.
    var fields: IntervalFields?
  }

  let compiler: ExpressionCompiler
  let source: [UInt8]
  let tree: SyntaxTree
  var builder: NodeBuilder
  var operands: [Operand?] = []
  var diagnostics: [ExpressionDiagnostic] = []

  var layout: ColumnLayout { compiler.layout }
  var lists: [DeclaredList] { compiler.lists }

  init(compiler: ExpressionCompiler, source: [UInt8], tree: SyntaxTree) {
    self.compiler = compiler
    self.source = source
    self.tree = tree
    builder = NodeBuilder(zones: compiler.zones)
    operands.reserveCapacity(tree.nodes.count)
  }

  /// Checks the whole tree.
  ///
  /// - Parameter isRule: whether the expression must be BOOLEAN.
  mutating func check(isRule: Bool) throws(ExpressionError) -> CheckedExpression {
    for node in tree.nodes {
      operands.append(operand(of: node))
      guard builder.nodes.count <= Limits.expressionNodes else {
        throw ExpressionError(diagnostics: [
          ExpressionDiagnostic(
            message: "the expression has more than \(Limits.expressionNodes) operations", range: node.range)
        ])
      }
    }
    if let root = tree.nodes.last, let operand = operands.last.flatMap({ $0 }), isRule, type(operand) != .boolean {
      report(
        "a rule is a condition, of type BOOLEAN; this is \(type(operand) == .null ? "a bare NULL" : "\(type(operand))")",
        at: root.range)
    }
    guard diagnostics.isEmpty, let root = operands.last.flatMap({ $0 }) else {
      let sorted = diagnostics.enumerated().sorted {
        ($0.element.range.lowerBound, $0.offset) < ($1.element.range.lowerBound, $1.offset)
      }
      throw ExpressionError(diagnostics: sorted.prefix(Limits.expressionDiagnostics).map(\.element))
    }
    return builder.expression(root: root.node)
  }

  // MARK: Helpers

  func type(_ operand: Operand) -> DataType {
    builder.type(of: operand.node)
  }

  mutating func report(_ message: String, at range: Range<Int>) {
    diagnostics.append(ExpressionDiagnostic(message: message, range: range))
  }

  /// The operands of a node's children, or `nil` if one of them is wrong.
  func operands(of node: SyntaxNode) -> [Operand]? {
    var result: [Operand] = []
    result.reserveCapacity(node.children.count)
    for child in node.children {
      guard let operand = operands[child] else { return nil }
      result.append(operand)
    }
    return result
  }

  /// The text of a child, if it is short, with its type: `qty (BIGINT)`.
  func describe(_ node: SyntaxNode, _ child: Int) -> String {
    guard let operand = operands[node.children[child]] else { return "" }
    let range = tree.nodes[node.children[child]].range
    let type = type(operand)
    guard range.count <= 40, !source[range].contains(UInt8(ascii: "\n")) else { return "\(type)" }
    return "\(String(decoding: source[range], as: UTF8.self)) (\(type))"
  }

  func childRange(_ node: SyntaxNode, _ child: Int) -> Range<Int> {
    tree.nodes[node.children[child]].range
  }

  mutating func add(_ operation: Operation, _ children: [Operand], type: DataType, _ node: SyntaxNode) -> Operand {
    Operand(node: builder.add(operation, children.map(\.node), type: type, range: node.range))
  }

  mutating func literal(_ value: Value, type: DataType, _ node: SyntaxNode) -> Operand {
    Operand(node: builder.literal(value, type: type, range: node.range), isLiteral: true)
  }

  /// An implicit cast, or the operand itself where it has the type.
  mutating func coerce(_ operand: Operand, to target: DataType) -> Operand {
    guard type(operand) != target else { return operand }
    let range = builder.ranges[operand.node]
    refuseClock(operand, as: target, range)
    return Operand(
      node: builder.add(.cast, [operand.node], type: target, range: range),
      isLiteral: false, fields: operand.fields)
  }

  mutating func negate(_ operand: Operand, if negated: Bool, _ node: SyntaxNode) -> Operand {
    negated ? add(.not, [operand], type: .boolean, node) : operand
  }

  // MARK: Nodes

  private mutating func operand(of node: SyntaxNode) -> Operand? {
    switch node.kind {
    case .null: return literal(.null, type: .null, node)
    case .boolean(let value): return literal(.boolean(value), type: .boolean, node)
    case .string(let text): return literal(.string(text), type: .string, node)
    case .number(let number, let negative): return numberLiteral(number, negative: negative, node)
    case .typedString(let type, let text): return typedLiteral(type, text, node)
    case .interval(let text): return intervalLiteral(text, node)
    case .column(let name): return column(name, node)
    case .call(let name):
      guard let arguments = operands(of: node) else {
        reportUnknown(function: name, node)
        return nil
      }
      return call(name, arguments, node)
    case .likeQuantified(let kind, let all, let negated):
      return operands(of: node).flatMap { quantifiedLike(kind, all: all, negated: negated, $0, node) }
    default: break
    }
    guard let children = operands(of: node) else { return nil }
    switch node.kind {
    case .unary(.not): return condition(children[0], 0, of: "NOT", node).map { add(.not, [$0], type: .boolean, node) }
    case .unary(let sign): return unary(sign, children[0], node)
    case .binary(let binary): return self.binary(binary, children[0], children[1], node)
    case .and: return logic(.and, children, node)
    case .or: return logic(.or, children, node)
    case .between(let negated): return between(children, negated: negated, node)
    case .inValues(let negated): return inValues(children, negated: negated, node)
    case .inList(let name, let negated): return inList(name, children[0], negated: negated, node)
    case .like(let kind, let escape, let negated):
      return like(kind, children[0], children[1], escape: escape, node).map { negate($0, if: negated, node) }
    case .isTest(let test, let negated): return isTest(test, children[0], negated: negated, node)
    case .isDistinctFrom(let negated):
      return comparison(.nullSafeEqual, children[0], children[1], node).map { negate($0, if: !negated, node) }
    case .caseWhen(let hasOperand, let hasElse):
      return caseWhen(children, hasOperand: hasOperand, hasElse: hasElse, node)
    case .cast(let type, let tries): return cast(children[0], to: type, tries: tries, node)
    default: return nil
    }
  }

  private mutating func numberLiteral(_ number: NumberToken, negative: Bool, _ node: SyntaxNode) -> Operand? {
    do throws(LiteralError) {
      let number = try NumberLiteral(number, negative: negative)
      return literal(number.value, type: number.type, node)
    } catch {
      report(error.message, at: node.range)
      return nil
    }
  }

  private mutating func typedLiteral(_ type: DataType, _ text: [UInt8], _ node: SyntaxNode) -> Operand? {
    guard
      let value = try? evaluate(.cast, [.string(text)], types: [.string], result: type, zones: compiler.zones)
    else {
      let example = type == .date ? "'2024-12-01'" : "'2024-12-01 10:00:00'"
      report(
        "'\(String(decoding: text.prefix(40), as: UTF8.self))' is not a \(type); expected something like \(example)",
        at: node.range)
      return nil
    }
    return literal(value, type: type, node)
  }

  private mutating func intervalLiteral(_ text: IntervalText, _ node: SyntaxNode) -> Operand? {
    do throws(LiteralError) {
      let interval = try IntervalLiteral(text)
      var operand = literal(.integer(interval.value), type: interval.type, node)
      operand.fields = interval.fields
      return operand
    } catch {
      report(error.message, at: node.range)
      return nil
    }
  }

  private mutating func column(_ name: String, _ node: SyntaxNode) -> Operand? {
    guard let index = layout.index(of: name) else {
      let near = nearest(to: name, among: layout.columns.map(\.name))
      report("unknown column '\(name)'" + (near.map { ", did you mean '\($0)'?" } ?? ""), at: node.focus)
      return nil
    }
    let type = DataType(layout.columns[index].type)
    return Operand(node: builder.add(.column(index), type: type, range: node.range))
  }

  private mutating func cast(_ operand: Operand, to type: DataType, tries: Bool, _ node: SyntaxNode) -> Operand? {
    guard Coercion.canCast(self.type(operand), to: type) else {
      let why = self.type(operand).isInterval ? "casts of intervals are not supported" : "cannot be cast to \(type)"
      report("\(describe(node, 0)): \(why)", at: node.focus)
      return nil
    }
    if self.type(operand) == type {
      // A literal that was cast is no literal any more.
      return Operand(node: operand.node, isLiteral: false, fields: operand.fields)
    }
    refuseClock(operand, as: type, node.range)
    return add(tries ? .tryCast : .cast, [operand], type: type, node)
  }

  /// Spark reads the constants 'now', 'today' and the like as times of its clock, which a rule has not.
  private mutating func refuseClock(_ operand: Operand, as target: DataType, _ range: Range<Int>) {
    guard target == .timestamp || target == .date, case .string(let text)? = builder.constant(operand.node) else {
      return
    }
    let word = String(decoding: text.prefix(64), as: UTF8.self).split { $0.isWhitespace }.first?.lowercased()
    if let word, ["now", "today", "yesterday", "tomorrow", "epoch"].contains(word) {
      report("'\(word)' as a \(target) is not supported: a rule sees the event only", at: range)
    }
  }
}

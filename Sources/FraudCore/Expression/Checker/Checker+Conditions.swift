extension Checker {
  /// A condition of AND, OR or NOT: BOOLEAN, or what is read as one.
  mutating func condition(_ operand: Operand, _ child: Int, of word: String, _ node: SyntaxNode) -> Operand? {
    switch type(operand) {
    case .boolean: return operand
    case .null, .string: return coerce(operand, to: .boolean)
    default:
      report("\(word) needs conditions, and \(describe(node, child)) is none", at: childRange(node, child))
      return nil
    }
  }

  /// AND and OR: flattened in order, because taking the terms from left to right is all that matters.
  mutating func logic(_ operation: Operation, _ children: [Operand], _ node: SyntaxNode) -> Operand? {
    let word = operation == .and ? "AND" : "OR"
    var terms: [Int] = []
    var isRight = true
    // Spark reads a string as a condition only beside a BOOLEAN; terms join from the left.
    var before = type(children[0])
    for (index, child) in children.enumerated() {
      if index > 0 {
        let types = (before, type(child))
        if types == (.string, .string) || types == (.string, .null) || types == (.null, .string) {
          report("\(word) needs conditions, and \(describe(node, index)) is none", at: childRange(node, index))
          isRight = false
        }
        before = .boolean
      }
      guard let term = condition(child, index, of: word, node) else {
        isRight = false
        continue
      }
      if builder.nodes[term.node].operation == operation {
        terms += builder.nodes[term.node].children
      } else {
        terms.append(term.node)
      }
    }
    guard isRight else { return nil }
    return Operand(node: builder.add(operation, terms, type: .boolean, range: node.range))
  }

  /// `x >= low AND x <= high`, each bound compared with x by itself.
  mutating func between(_ children: [Operand], negated: Bool, _ node: SyntaxNode) -> Operand? {
    // Spark compares a reference to x, which is no literal.
    var value = children[0]
    value.isLiteral = false
    let low = comparison(.greaterOrEqual, value, children[1], node, right: 1)
    let high = comparison(.lessOrEqual, value, children[2], node, right: 2)
    guard let low, let high else { return nil }
    return negate(add(.and, [low, high], type: .boolean, node), if: negated, node)
  }

  mutating func inValues(_ children: [Operand], negated: Bool, _ node: SyntaxNode) -> Operand? {
    var common = DataType.null
    for (index, child) in children.enumerated() {
      guard let next = Coercion.common(common, type(child)) else {
        report(
          "the values of IN need one type: \(describe(node, index)) does not go with \(common) before it",
          at: childRange(node, index))
        return nil
      }
      common = next
    }
    if common == .null { common = .boolean }
    let coerced = children.map { coerce($0, to: common) }
    return negate(add(.inValues, coerced, type: .boolean, node), if: negated, node)
  }

  mutating func inList(_ name: String, _ value: Operand, negated: Bool, _ node: SyntaxNode) -> Operand? {
    let wanted = name.lowercased()
    guard let index = lists.firstIndex(where: { $0.name.lowercased() == wanted }) else {
      let near = nearest(to: name, among: lists.map(\.name))
      report(
        lists.isEmpty
          ? "unknown list '\(name)': no lists are declared"
          : "unknown list '\(name)'" + (near.map { ", did you mean '\($0)'?" } ?? ""), at: node.focus)
      return nil
    }
    let type = DataType(lists[index].type)
    guard Coercion.common(type, self.type(value)) == type else {
      report("\(describe(node, 0)) is not in the list '\(lists[index].name)' of \(type)", at: childRange(node, 0))
      return nil
    }
    let test = add(.inList(index), [coerce(value, to: type)], type: .boolean, node)
    return negate(test, if: negated, node)
  }

  mutating func isTest(
    _ test: SyntaxNode.IsTest, _ value: Operand, negated: Bool, _ node: SyntaxNode
  ) -> Operand? {
    if test == .null { return add(negated ? .isNotNull : .isNull, [value], type: .boolean, node) }
    // Spark looks at the type only of what it knows without the columns.
    if test == .unknown, builder.constant(value.node) == nil {
      return add(negated ? .isNotNull : .isNull, [value], type: .boolean, node)
    }
    guard [.boolean, .null].contains(type(value)) || type(value) == .string && test != .unknown else {
      report("IS \(test.rawValue) tests conditions, and \(describe(node, 0)) is none", at: childRange(node, 0))
      return nil
    }
    let condition = coerce(value, to: .boolean)
    switch test {
    case .true: return negate(add(.isTrue, [condition], type: .boolean, node), if: negated, node)
    case .false: return negate(add(.isFalse, [condition], type: .boolean, node), if: negated, node)
    default: return add(negated ? .isNotNull : .isNull, [condition], type: .boolean, node)
    }
  }

  // MARK: Patterns

  mutating func like(
    _ kind: SyntaxNode.LikeKind, _ value: Operand, _ pattern: Operand, escape: [UInt8]?, _ node: SyntaxNode
  ) -> Operand? {
    let text = argument(value, as: .string, 0, of: kind.rawValue, node)
    let pattern = argument(pattern, as: .string, 1, of: kind.rawValue, node)
    guard let text, let pattern, checkPattern(pattern, isRegex: kind == .rlike, child: 1, node) else { return nil }
    let scalar = escape.flatMap { String(decoding: $0, as: UTF8.self).unicodeScalars.first } ?? "\\"
    let operation: Operation =
      switch kind {
      case .like: .like(escape: scalar)
      case .ilike: .ilike(escape: scalar)
      case .rlike: .rlike
      }
    return add(operation, [text, pattern], type: .boolean, node)
  }

  /// LIKE ANY is true when one pattern matches, LIKE ALL when all do; NOT belongs to each pattern.
  mutating func quantifiedLike(
    _ kind: SyntaxNode.LikeKind, all: Bool, negated: Bool, _ children: [Operand], _ node: SyntaxNode
  ) -> Operand? {
    var terms: [Operand] = []
    for (index, pattern) in children.dropFirst().enumerated() {
      var pair = node
      pair.children = [node.children[0], node.children[index + 1]]
      guard let term = like(kind, children[0], pattern, escape: nil, pair) else { return nil }
      terms.append(negate(term, if: negated, node))
    }
    if terms.count == 1 { return terms[0] }
    return add(all ? .and : .or, terms, type: .boolean, node)
  }

  /// Refuses at compile time what a constant pattern can never be: too long, or in need of backtracking. A pattern that
  /// Spark would refuse at run time raises at run time here as well.
  mutating func checkPattern(_ pattern: Operand, isRegex: Bool, child: Int, _ node: SyntaxNode) -> Bool {
    guard case .string(let text)? = builder.constant(pattern.node) else { return true }
    let range = childRange(node, child)
    guard text.count <= Limits.patternBytes else {
      report("the pattern has \(text.count) bytes; at most \(Limits.patternBytes) are allowed", at: range)
      return false
    }
    guard isRegex else { return true }
    do throws(EvaluationError) {
      _ = try evaluate(.rlike, [.string([]), .string(text)], types: [.string, .string], result: .boolean)
    } catch {
      if error == .regexNotSupported {
        report(
          "the regular expression needs what cannot be matched in linear time (back-references, look-around, possessive or"
            + " atomic groups), or is too large", at: range)
        return false
      }
    }
    return true
  }

  // MARK: Branches

  /// The units that alternatives have together, if they are intervals.
  func fields(of values: [Operand]) -> IntervalFields? {
    guard type(values[0]).isInterval else { return nil }
    let fields = values.filter { builder.constant($0.node) != .null }
      .map { $0.fields ?? IntervalFields(of: type($0)) }
    return fields.dropFirst().reduce(fields.first) { $0?.union($1) }
  }

  /// A condition of CASE or `if`.
  mutating func branchCondition(_ operand: Operand, _ child: Int, of word: String, allowsNull: Bool, _ node: SyntaxNode)
    -> Operand?
  {
    if type(operand) == .boolean || allowsNull && type(operand) == .null { return coerce(operand, to: .boolean) }
    report("\(word) needs a condition, and \(describe(node, child)) is none", at: childRange(node, child))
    return nil
  }

  /// Brings alternatives to one type.
  mutating func unify(_ values: [(operand: Operand, child: Int?)], of word: String, _ node: SyntaxNode) -> [Operand]? {
    var common = DataType.null
    for (operand, child) in values {
      guard let next = Coercion.common(common, type(operand)) else {
        report(
          "the values of \(word) need one type: \(child.map { describe(node, $0) } ?? "\(type(operand))")"
            + " does not go with \(common) before it", at: child.map { childRange(node, $0) } ?? node.range)
        return nil
      }
      common = next
    }
    return values.map { coerce($0.operand, to: common) }
  }

  mutating func caseWhen(_ children: [Operand], hasOperand: Bool, hasElse: Bool, _ node: SyntaxNode) -> Operand? {
    var conditions: [Operand] = []
    var values: [(operand: Operand, child: Int?)] = []
    var isRight = true
    var index = hasOperand ? 1 : 0
    while index + 1 < children.count {
      let condition =
        hasOperand
        ? comparison(.equal, children[0], children[index], node, right: index)
        : branchCondition(children[index], index, of: "WHEN", allowsNull: false, node)
      if let condition { conditions.append(condition) } else { isRight = false }
      values.append((children[index + 1], index + 1))
      index += 2
    }
    if hasElse {
      values.append((children[children.count - 1], children.count - 1))
    } else {
      values.append((literal(.null, type: .null, node), nil))
    }
    guard let unified = unify(values, of: "CASE", node), isRight else { return nil }
    return branches(conditions, unified, node)
  }

  /// The lazy node of conditions and one value more than conditions.
  mutating func branches(_ conditions: [Operand], _ values: [Operand], _ node: SyntaxNode) -> Operand {
    var children: [Operand] = []
    for (condition, value) in zip(conditions, values) { children += [condition, value] }
    children.append(values[values.count - 1])
    var result = add(.caseWhen, children, type: type(values[0]), node)
    result.fields = fields(of: values)
    return result
  }
}

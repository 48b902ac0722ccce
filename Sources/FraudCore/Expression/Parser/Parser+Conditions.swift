extension Parser {
  /// orExpr, andExpr and notExpr of the grammar: no nesting, so plain loops.
  mutating func expression() throws(ExpressionError) -> Int {
    let first = token.range.lowerBound
    var alternatives: [Int] = []
    var lastOr = token.range
    repeat {
      let start = token.range.lowerBound
      var terms: [Int] = []
      var lastAnd = token.range
      repeat {
        terms.append(try negation())
        lastAnd = token.range
      } while accept(word: "and")
      if terms.count == 1 {
        alternatives.append(terms[0])
      } else {
        alternatives.append(add(.and, terms, from: start, focus: lastAnd))
      }
      lastOr = token.range
    } while accept(word: "or")
    return alternatives.count == 1 ? alternatives[0] : add(.or, alternatives, from: first, focus: lastOr)
  }

  /// Any number of NOT or `!`, then a value with at most one predicate.
  private mutating func negation() throws(ExpressionError) -> Int {
    var nots: [Range<Int>] = []
    while at(.bang) || (at(word: "not") && startsExpression(peek())) {
      nots.append(token.range)
      advance()
    }
    var node = try predicated()
    for not in nots.reversed() {
      node = add(.unary(.not), [node], from: not.lowerBound, focus: not)
    }
    return node
  }

  private mutating func predicated() throws(ExpressionError) -> Int {
    let value = try value()
    let start = start(of: value)
    let focus = token.range
    if at(.bang), let next = peek().word, ["in", "between", "like", "ilike", "rlike", "regexp"].contains(next) {
      throw failure("'!' cannot stand before \(next.uppercased()); write NOT \(next.uppercased())")
    }
    let negated = at(word: "not")
    switch (negated ? peek() : token).word {
    case "between":
      skip(negated)
      if at(word: "symmetric") { throw failure("BETWEEN SYMMETRIC does not exist; write the smaller bound first") }
      let low = try self.value()
      try expect(word: "and", "between the bounds of BETWEEN")
      let high = try self.value()
      return add(.between(negated: negated), [value, low, high], from: start, focus: focus)
    case "in":
      skip(negated)
      return try inPredicate(value, negated: negated, from: start, focus: focus)
    case "like":
      skip(negated)
      return try like(.like, value, negated: negated, from: start, focus: focus)
    case "ilike":
      skip(negated)
      return try like(.ilike, value, negated: negated, from: start, focus: focus)
    case "rlike", "regexp":
      skip(negated)
      let pattern = try self.value()
      return add(.like(.rlike, escape: nil, negated: negated), [value, pattern], from: start, focus: focus)
    case "is" where !negated:
      advance()
      return try isPredicate(value, from: start, focus: focus)
    default:
      if negated {
        throw failure("expected BETWEEN, IN, LIKE, ILIKE or RLIKE after NOT, found \(peek().name)", at: peek().range)
      }
      return value
    }
  }

  private mutating func skip(_ negated: Bool) {
    if negated { advance() }
    advance()
  }

  private mutating func inPredicate(
    _ value: Int, negated: Bool, from start: Int, focus: Range<Int>
  ) throws(ExpressionError) -> Int {
    if at(word: "list"), peek().kind == .mark(.open) {
      advance()
      advance()
      let name: String
      switch token.kind {
      case .word(let word): name = word
      case .quotedName(let word): name = word
      default: throw expected("the name of a list")
      }
      let nameRange = token.range
      advance()
      try expect(.close, "after the list's name")
      return add(.inList(name: name, negated: negated), [value], from: start, focus: nameRange)
    }
    try expect(.open, "after IN")
    if at(word: "select") || at(word: "with") {
      throw failure("subqueries are not supported; declare a list and write IN LIST(name)")
    }
    if at(.close) { throw failure("IN needs at least one value") }
    var children = [value]
    repeat {
      children.append(try nested { parser throws(ExpressionError) in try parser.expression() })
      guard children.count <= Limits.inListElements + 1 else {
        throw failure("IN has more than \(Limits.inListElements) values; declare a list and write IN LIST(name)")
      }
    } while accept(.comma)
    try expect(.close, "or ',' in the values of IN")
    return add(.inValues(negated: negated), children, from: start, focus: focus)
  }

  private mutating func like(
    _ kind: SyntaxNode.LikeKind, _ value: Int, negated: Bool, from start: Int, focus: Range<Int>
  ) throws(ExpressionError) -> Int {
    if let quantifier = token.word, ["any", "some", "all"].contains(quantifier), peek().kind == .mark(.open) {
      advance()
      advance()
      if at(.close) { throw failure("LIKE \(quantifier.uppercased()) needs at least one pattern") }
      var children = [value]
      repeat {
        children.append(try nested { parser throws(ExpressionError) in try parser.expression() })
      } while accept(.comma)
      try expect(.close, "or ',' in the patterns")
      return add(
        .likeQuantified(kind, all: quantifier == "all", negated: negated), children, from: start, focus: focus)
    }
    let pattern = try self.value()
    var escape: [UInt8]?
    if accept(word: "escape") {
      guard case .string(let text) = token.kind else { throw expected("a string of one character after ESCAPE") }
      escape = text
      guard String(decoding: text, as: UTF8.self).unicodeScalars.count == 1 else {
        throw failure("ESCAPE takes a string of exactly one character")
      }
      advance()
    }
    return add(.like(kind, escape: escape, negated: negated), [value, pattern], from: start, focus: focus)
  }

  private mutating func isPredicate(_ value: Int, from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    let negated = accept(word: "not")
    if at(word: "distinct") {
      advance()
      try expect(word: "from", "after IS DISTINCT")
      let other = try self.value()
      return add(.isDistinctFrom(negated: negated), [value, other], from: start, focus: focus)
    }
    guard let word = token.word, let test = SyntaxNode.IsTest(rawValue: word.uppercased()) else {
      throw expected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM after IS\(negated ? " NOT" : "")")
    }
    advance()
    return add(.isTest(test, negated: negated), [value], from: start, focus: focus)
  }
}

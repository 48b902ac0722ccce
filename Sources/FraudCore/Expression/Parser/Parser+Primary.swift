extension Parser {
  /// A literal, column, call, CASE, CAST or an expression in parentheses.
  mutating func primary() throws(ExpressionError) -> Int {
    let first = token
    let start = first.range.lowerBound
    switch first.kind {
    case .number(let number):
      advance()
      return add(.number(number, negative: false), from: start, focus: first.range)
    case .mark(.minus):
      advance()
      guard case .number(let number) = token.kind else { throw expected("a number") }
      advance()
      return add(.number(number, negative: true), from: start, focus: start..<token.range.lowerBound)
    case .string:
      let text = strings()
      return add(.string(text), from: start, focus: first.range)
    case .quotedName(let name):
      advance()
      if at(.open) { return try call(name.lowercased(), from: start, focus: first.range) }
      return add(.column(name), from: start, focus: first.range)
    case .mark(.open):
      return try parenthesised()
    case .mark(.asterisk): throw failure("'*' is not a value; a rule names its columns")
    case .mark(.question), .mark(.colon): throw failure("parameters are not supported")
    case .mark(.hint): throw failure("hints are not supported; a comment does not begin with /*+")
    case .mark, .end: throw expected("a value")
    case .word(let word):
      return try self.word(word, lowercased: word.lowercased())
    }
  }

  /// One string literal or more that follow each other.
  private mutating func strings() -> [UInt8] {
    var text: [UInt8] = []
    while case .string(let part) = token.kind {
      text += part
      advance()
    }
    return text
  }

  private mutating func parenthesised() throws(ExpressionError) -> Int {
    let open = token.range
    advance()
    if at(word: "select") || at(word: "with"), peek().kind != .mark(.close) {
      throw failure("subqueries are not supported")
    }
    let node = try nested { parser throws(ExpressionError) in try parser.expression() }
    if at(.comma) { throw failure("lists of values in parentheses stand only after IN") }
    guard at(.close) else {
      throw failure("expected ')' for this '(', found \(token.name)", at: at(.comma) ? open : token.range)
    }
    advance()
    // The parentheses belong to the node's range, so that a caret line shows them.
    tree.nodes[node].range = open.lowerBound..<tokens[position - 1].range.upperBound
    return node
  }

  // MARK: Words

  /// Words that begin nothing but an operator, unless a column has the name.
  private static let operatorWords: Set<String> = [
    "and", "or", "in", "is", "like", "ilike", "rlike", "regexp", "between", "then", "else", "when", "end", "as", "from",
    "escape", "div", "where", "having",
  ]

  private mutating func word(_ word: String, lowercased: String) throws(ExpressionError) -> Int {
    let range = token.range
    let start = range.lowerBound
    let next = peek()
    switch lowercased {
    case "null":
      advance()
      return add(.null, from: start, focus: range)
    case "true", "false":
      advance()
      return add(.boolean(lowercased == "true"), from: start, focus: range)
    case "case" where startsExpression(next):
      return try caseExpression()
    case "interval" where startsInterval():
      return try interval()
    case "exists" where next.kind == .mark(.open) && (peek(2).isWord("select") || peek(2).isWord("with")):
      throw failure("subqueries are not supported")
    case "current_date", "current_timestamp", "localtimestamp", "current_time", "current_user", "user", "session_user":
      if !isColumn(word) { throw failure("\(word.uppercased()) is not supported: a rule sees the event only") }
    default: break
    }
    if case .string = next.kind {
      advance()
      let text = strings()
      switch lowercased {
      case "timestamp", "timestamp_ltz":
        return add(.typedString(.timestamp, text), from: start, focus: range)
      case "date":
        return add(.typedString(.date, text), from: start, focus: range)
      default:
        throw failure("'\(word)' before a string is not supported; TIMESTAMP, DATE, INTERVAL and r are", at: range)
      }
    }
    if next.kind == .mark(.open),
      !(Self.operatorWords.contains(lowercased) && lowercased != "like" && lowercased != "ilike"
        && lowercased != "rlike" && lowercased != "regexp")
    {
      advance()
      return try call(lowercased, from: start, focus: range)
    }
    if Self.operatorWords.contains(lowercased) || lowercased == "not", !isColumn(word) {
      throw expected("a value")
    }
    if lowercased == "select" || lowercased == "with", startsExpression(next), !isColumn(word) {
      throw failure("a rule is a condition, not a query")
    }
    advance()
    return add(.column(word), from: start, focus: range)
  }

  /// Whether a token can begin an expression, so that the word before it is a keyword rather than a column.
  func startsExpression(_ token: Token) -> Bool {
    switch token.kind {
    case .quotedName, .string, .number: return true
    case .mark(let mark): return [.open, .plus, .minus, .tilde, .bang].contains(mark)
    case .end: return false
    case .word(let word):
      let word = word.lowercased()
      return word == "when" || !Self.operatorWords.contains(word) || isColumn(word)
    }
  }

  // MARK: CASE

  private mutating func caseExpression() throws(ExpressionError) -> Int {
    let focus = token.range
    advance()
    return try nested { parser throws(ExpressionError) in
      var children: [Int] = []
      let hasOperand = !parser.at(word: "when")
      if hasOperand { children.append(try parser.expression()) }
      guard parser.at(word: "when") else { throw parser.expected("WHEN") }
      while parser.accept(word: "when") {
        children.append(try parser.expression())
        try parser.expect(word: "then", "after the condition of WHEN")
        children.append(try parser.expression())
      }
      let hasElse = parser.accept(word: "else")
      if hasElse { children.append(try parser.expression()) }
      try parser.expect(word: "end", "to close CASE")
      return parser.add(
        .caseWhen(hasOperand: hasOperand, hasElse: hasElse), children, from: focus.lowerBound, focus: focus)
    }
  }
}

extension Parser {
  /// A call; the current token is the '(' behind the name. Forms with words inside become plain calls.
  mutating func call(_ name: String, from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    let open = token.range
    advance()
    return try nested { parser throws(ExpressionError) in
      switch name {
      case "cast", "try_cast":
        return try parser.cast(tries: name == "try_cast", from: start, focus: focus)
      case "extract":
        return try parser.extract(from: start, focus: focus)
      case "trim":
        return try parser.trim(from: start, focus: focus)
      case "datediff", "date_diff", "timestampdiff", "dateadd", "date_add", "timestampadd":
        if let unit = parser.token.word, parser.peek().kind == .mark(.comma), isTimestampUnit(unit) {
          return try parser.unitCall(name, from: start, focus: focus)
        }
      default: break
      }
      var arguments: [Int] = []
      if !parser.at(.close) {
        if parser.at(.asterisk) { throw parser.failure("'*' is not a value; aggregates are not supported in a rule") }
        if parser.at(word: "distinct"), parser.startsExpression(parser.peek()) {
          throw parser.failure("DISTINCT is not supported: a rule sees one event at a time")
        }
        if parser.at(word: "select") { throw parser.failure("subqueries are not supported") }
        repeat {
          arguments.append(try name == "position" ? parser.value() : parser.argument())
        } while parser.accept(.comma)
        if name == "substring" || name == "substr", arguments.count == 1, parser.accept(word: "from") {
          arguments.append(try parser.value())
          if parser.accept(word: "for") { arguments.append(try parser.value()) }
        }
        if name == "position", arguments.count == 1, parser.accept(word: "in") {
          arguments.append(try parser.value())
        }
      }
      guard parser.at(.close) else {
        throw parser.failure(
          "expected ')' or ',' in the arguments of \(name), found \(parser.token.name)",
          at: parser.token.kind == .end ? open : parser.token.range)
      }
      parser.advance()
      if parser.at(word: "over"), parser.peek().kind == .mark(.open) {
        throw parser.failure("window functions are not supported: declare a feature")
      }
      return parser.add(.call(name == "position" ? "locate" : name), arguments, from: start, focus: focus)
    }
  }

  /// One argument, which is no lambda and has no name.
  private mutating func argument() throws(ExpressionError) -> Int {
    if peek().kind == .mark(.arrow) || peek().kind == .mark(.fatArrow) {
      throw failure("'\(peek().kind == .mark(.arrow) ? "->" : "=>")' is not supported in arguments", at: peek().range)
    }
    return try expression()
  }

  private mutating func cast(tries: Bool, from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    let operand = try expression()
    guard accept(word: "as") else {
      throw expected("AS and a type in \(tries ? "TRY_CAST" : "CAST")")
    }
    let type = try dataType()
    try expect(.close, "after the type")
    return add(.cast(type, tries: tries), [operand], from: start, focus: focus)
  }

  private mutating func extract(from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    let unit: [UInt8]
    switch token.kind {
    case .word(let word): unit = Array(word.utf8)
    case .quotedName(let word): unit = Array(word.utf8)
    case .string(let text): unit = text
    default: throw expected("a field such as YEAR or HOUR in EXTRACT")
    }
    let range = token.range
    advance()
    let field = add(.string(unit), from: range.lowerBound, focus: range)
    try expect(word: "from", "after the field of EXTRACT")
    let source = try value()
    try expect(.close, "after the source of EXTRACT")
    return add(.call("date_part"), [field, source], from: start, focus: focus)
  }

  private mutating func trim(from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    var name = "trim"
    var arguments: [Int] = []
    let side = token.word
    let sided = side == "both" || side == "leading" || side == "trailing"
    if sided, peek().isWord("from") || startsExpression(peek()) {
      if side == "leading" { name = "ltrim" }
      if side == "trailing" { name = "rtrim" }
      advance()
    }
    if !at(word: "from") { arguments.append(try expression()) }
    if accept(word: "from") {
      arguments.append(try value())
    } else {
      while accept(.comma) { arguments.append(try expression()) }
    }
    try expect(.close, "after the arguments of TRIM")
    return add(.call(name), arguments, from: start, focus: focus)
  }

  /// `datediff(HOUR, a, b)`: the unit becomes a string argument of the function with a unit.
  private mutating func unitCall(_ name: String, from start: Int, focus: Range<Int>) throws(ExpressionError) -> Int {
    let unit = add(
      .string(Array((token.word ?? "").uppercased().utf8)), from: token.range.lowerBound, focus: token.range)
    advance()
    var arguments = [unit]
    while accept(.comma) { arguments.append(try expression()) }
    try expect(.close, "after the arguments of \(name)")
    let adds = name.hasSuffix("add")
    return add(.call(adds ? "timestampadd" : "timestampdiff"), arguments, from: start, focus: focus)
  }
}

/// The units of TIMESTAMPADD and TIMESTAMPDIFF.
private func isTimestampUnit(_ word: String) -> Bool {
  [
    "year", "quarter", "month", "week", "day", "dayofyear", "hour", "minute", "second", "millisecond", "microsecond",
  ].contains(word)
}

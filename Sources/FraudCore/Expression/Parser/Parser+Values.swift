extension Parser {
  /// The levels from comparisons down: binary operators by an operator stack, all of them left-associative.
  mutating func value() throws(ExpressionError) -> Int {
    var operands = [try signed()]
    var operators: [(operator: SyntaxNode.BinaryOperator, range: Range<Int>)] = []
    func reduce(_ parser: inout Parser, above precedence: Int) {
      while let last = operators.last, last.operator.precedence >= precedence, operands.count >= 2 {
        operators.removeLast()
        let right = operands.removeLast()
        let left = operands.removeLast()
        // Between these two nodes' ends nothing else can lie, so the range is theirs.
        let node = parser.add(.binary(last.operator), [left, right], from: parser.start(of: left), focus: last.range)
        parser.tree.nodes[node].range = parser.start(of: left)..<parser.tree.nodes[right].range.upperBound
        operands.append(node)
      }
    }
    while let next = binaryOperator() {
      reduce(&self, above: next.precedence)
      operators.append((next, token.range))
      advance()
      operands.append(try signed())
    }
    reduce(&self, above: 0)
    return operands[0]
  }

  private func binaryOperator() -> SyntaxNode.BinaryOperator? {
    switch token.kind {
    case .mark(let mark):
      switch mark {
      case .equal, .doubleEqual: .equal
      case .notEqual, .bangEqual: .notEqual
      case .less: .less
      case .lessOrEqual, .notGreater: .lessOrEqual
      case .greater: .greater
      case .greaterOrEqual, .notLess: .greaterOrEqual
      case .nullSafeEqual: .nullSafeEqual
      case .bar: .bitOr
      case .hat: .bitXor
      case .ampersand: .bitAnd
      case .shiftLeft: .shiftLeft
      case .shiftRight: .shiftRight
      case .shiftRightUnsigned: .shiftRightUnsigned
      case .plus: .add
      case .minus: .subtract
      case .concat: .concat
      case .asterisk: .multiply
      case .slash: .divide
      case .percent: .remainder
      default: nil
      }
    case .word: at(word: "div") ? .integralDivide : nil
    default: nil
    }
  }

  /// Any number of signs, then a value with its `::` casts. The minus just before a number is part of the number.
  private mutating func signed() throws(ExpressionError) -> Int {
    var signs: [(operator: SyntaxNode.UnaryOperator, range: Range<Int>)] = []
    signs: while true {
      switch token.kind {
      case .mark(.plus): signs.append((.plus, token.range))
      case .mark(.tilde): signs.append((.bitNot, token.range))
      case .mark(.minus):
        if case .number = peek().kind { break signs }
        signs.append((.minus, token.range))
      default: break signs
      }
      advance()
    }
    var node = try primary()
    while at(.doubleColon) {
      let focus = token.range
      advance()
      let type = try dataType()
      node = add(.cast(type, tries: false), [node], from: start(of: node), focus: focus)
    }
    if at(.dot) || at(.openBracket) || at(.colon) {
      throw failure("parts of a value cannot be named: columns are flat")
    }
    for sign in signs.reversed() {
      node = add(.unary(sign.operator), [node], from: sign.range.lowerBound, focus: sign.range)
    }
    return node
  }

  /// A type's name, with precision and scale for decimals.
  mutating func dataType() throws(ExpressionError) -> DataType {
    guard let word = token.word else { throw expected("a type") }
    let range = token.range
    let type: DataType
    switch word {
    case "boolean": type = .boolean
    case "tinyint", "byte": type = .tinyint
    case "smallint", "short": type = .smallint
    case "int", "integer": type = .int
    case "bigint", "long": type = .bigint
    case "float", "real": type = .float
    case "double": type = .double
    case "string": type = .string
    case "date": type = .date
    case "timestamp", "timestamp_ltz": type = .timestamp
    case "decimal", "dec", "numeric":
      advance()
      return try decimalType(from: range.lowerBound)
    case "char", "character", "varchar", "binary", "array", "map", "struct", "interval", "timestamp_ntz", "variant",
      "void", "time":
      throw failure("the type \(word.uppercased()) is not supported")
    default:
      let near = nearest(
        to: word,
        among: [
          "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "string", "date",
          "timestamp",
        ])
      throw failure("unknown type '\(word)'" + (near.map { ", did you mean '\($0)'?" } ?? ""))
    }
    advance()
    return type
  }

  private mutating func decimalType(from start: Int) throws(ExpressionError) -> DataType {
    var precision = 10
    var scale = 0
    if accept(.open) {
      precision = try digits()
      if accept(.comma) { scale = try digits() }
      try expect(.close, "after the precision and scale")
    }
    let range = start..<tokens[position - 1].range.upperBound
    guard (1...38).contains(precision) else {
      throw failure("a decimal has 1 to 38 digits, not \(precision)", at: range)
    }
    guard scale <= precision else {
      throw failure("a decimal of \(precision) digits cannot have \(scale) behind the point", at: range)
    }
    return .decimal(precision: precision, scale: scale)
  }

  private mutating func digits() throws(ExpressionError) -> Int {
    guard case .number(let number) = token.kind, number.form == .digits, let value = Int(number.text) else {
      throw expected("a number of digits")
    }
    advance()
    return value
  }
}

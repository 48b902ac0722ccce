extension CheckedExpression {
  /// The expression as SQL in which every cast is written out and every constant carries its type.
  ///
  /// Compiled again, the text gives an equal expression. That holds for texts within the limits of the language: one node
  /// with several parents is printed once for each, and what would exceed ``Limits/expressionBytes`` is cut off at `…`.
  ///
  /// - Parameters: the layout and the lists that the expression was compiled with.
  public func canonicalText(layout: ColumnLayout, lists: [DeclaredList] = []) -> String {
    Printer(expression: self, layout: layout, lists: lists).text(of: root)
  }
}

extension CheckedExpression {
  /// What one node does, with its operands as `#` and their indexes.
  package func stepText(_ index: Int, layout: ColumnLayout, lists: [DeclaredList] = []) -> String {
    Printer(expression: self, layout: layout, lists: lists).step(index)
  }
}

/// How tightly a construct binds, as in the parser; an operand that binds less than its place asks for gets parentheses.
private enum Level {
  static let or = 0
  static let and = 1
  static let not = 2
  static let predicate = 3
  /// A comparison; the levels above are those of the binary operators.
  static let comparison = 4
  static let unary = 12
  static let primary = 13
}

struct Printer {
  let expression: CheckedExpression
  let layout: ColumnLayout
  let lists: [DeclaredList]

  private enum Piece {
    case text(String)
    case node(Int, atLeast: Int)
  }

  /// Prints with a stack of its own, so that depth does not matter.
  func text(of root: Int) -> String {
    var result = ""
    var pending: [Piece] = [.node(root, atLeast: Level.or)]
    while let piece = pending.popLast() {
      switch piece {
      case .text(let text): result += text
      case .node(let index, let least):
        let (level, pieces) = pieces(of: expression.nodes[index])
        if level < least {
          pending.append(.text(")"))
          pending += pieces.reversed()
          pending.append(.text("("))
        } else {
          pending += pieces.reversed()
        }
      }
      if result.utf8.count > Limits.expressionBytes { return result + "…" }
    }
    return result
  }

  /// One node alone; a constant or column is shown in place of its index.
  func step(_ index: Int) -> String {
    pieces(of: expression.nodes[index]).pieces.map { piece in
      switch piece {
      case .text(let text): return text
      case .node(let child, _):
        switch expression.nodes[child].operation {
        case .literal, .column: return text(of: child)
        default: return "#\(child)"
        }
      }
    }.joined()
  }

  private func joined(_ children: some Sequence<Int>, _ separator: String, atLeast level: Int) -> [Piece] {
    var pieces: [Piece] = []
    for child in children {
      if !pieces.isEmpty { pieces.append(.text(separator)) }
      pieces.append(.node(child, atLeast: level))
    }
    return pieces
  }

  private func call(_ name: String, _ children: some Sequence<Int>) -> (Int, [Piece]) {
    (Level.primary, [.text(name + "(")] + joined(children, ", ", atLeast: Level.or) + [.text(")")])
  }

  private func pieces(of node: CheckedNode) -> (level: Int, pieces: [Piece]) {
    let children = node.children
    func operand(_ child: Int, _ level: Int) -> Piece { .node(children[child], atLeast: level) }
    switch node.operation {
    case .literal(let value): return literal(value, type: node.type)
    case .column(let index): return (Level.primary, [.text(quoted(layout.columns[index].name))])
    case .cast, .tryCast:
      let name = node.operation == .cast ? "CAST(" : "TRY_CAST("
      return (Level.primary, [.text(name), operand(0, Level.or), .text(" AS \(node.type))")])
    case .comparison(let comparison):
      return (
        Level.comparison,
        [operand(0, Level.comparison), .text(" \(comparison.sql) "), operand(1, Level.comparison + 1)]
      )
    case .not: return (Level.not, [.text("NOT "), operand(0, Level.not)])
    case .isNull: return (Level.predicate, [operand(0, Level.comparison), .text(" IS NULL")])
    case .isNotNull: return (Level.predicate, [operand(0, Level.comparison), .text(" IS NOT NULL")])
    case .isTrue: return (Level.predicate, [operand(0, Level.comparison), .text(" IS TRUE")])
    case .isFalse: return (Level.predicate, [operand(0, Level.comparison), .text(" IS FALSE")])
    case .inList(let index):
      return (Level.predicate, [operand(0, Level.comparison), .text(" IN LIST(\(quoted(lists[index].name)))")])
    case .like(let escape), .ilike(let escape):
      let word = if case .like = node.operation { " LIKE " } else { " ILIKE " }
      let suffix = escape.map { $0 == "\\" ? "" : " ESCAPE \(quoted(string: String($0)))" } ?? ""
      return (
        Level.predicate,
        [operand(0, Level.comparison), .text(word), operand(1, Level.comparison), .text(suffix)]
      )
    case .rlike:
      return (Level.predicate, [operand(0, Level.comparison), .text(" RLIKE "), operand(1, Level.comparison)])
    case .and: return (Level.and, joined(children, " AND ", atLeast: Level.not))
    case .or: return (Level.or, joined(children, " OR ", atLeast: Level.and))
    case .inValues:
      return (
        Level.predicate,
        [operand(0, Level.comparison), .text(" IN (")] + joined(children.dropFirst(), ", ", atLeast: Level.or)
          + [.text(")")]
      )
    case .caseWhen:
      var pieces: [Piece] = [.text("CASE")]
      for pair in stride(from: 0, to: children.count - 1, by: 2) {
        pieces += [.text(" WHEN "), operand(pair, Level.or), .text(" THEN "), operand(pair + 1, Level.or)]
      }
      return (Level.primary, pieces + [.text(" ELSE "), operand(children.count - 1, Level.or), .text(" END")])
    case .coalesce: return call("coalesce", children)
    case .arithmetic(let arithmetic): return self.arithmetic(arithmetic, node)
    case .tryArithmetic(let arithmetic): return call("try_" + arithmetic.name, children)
    case .call(let function): return self.function(function, node)
    }
  }

  private func arithmetic(_ arithmetic: Arithmetic, _ node: CheckedNode) -> (Int, [Piece]) {
    guard let binary = arithmetic.binary else {
      guard arithmetic != .pmod else { return call("pmod", node.children) }
      let sign = arithmetic == .negate ? "-" : "~"
      // `- 5` would be the literal −5.
      let isNumber = if case .literal = expression.nodes[node.children[0]].operation { true } else { false }
      return (
        Level.unary,
        isNumber
          ? [.text(sign + "("), .node(node.children[0], atLeast: Level.or), .text(")")]
          : [.text(sign), .node(node.children[0], atLeast: Level.primary)]
      )
    }
    let level = Level.comparison - 1 + binary.precedence
    return (
      level,
      [
        .node(node.children[0], atLeast: level), .text(" \(binary.rawValue) "),
        .node(node.children[1], atLeast: level + 1),
      ]
    )
  }

  private func function(_ function: Function, _ node: CheckedNode) -> (Int, [Piece]) {
    let children = node.children
    func extract(_ field: String) -> (Int, [Piece]) {
      (
        Level.primary,
        [.text("extract(\(field) FROM "), .node(children[0], atLeast: Level.comparison), .text(")")]
      )
    }
    switch function {
    case .trim: return call("btrim", children)
    case .trimLeading: return call("ltrim", children.reversed())
    case .trimTrailing: return call("rtrim", children.reversed())
    case .parseTimestamp: return call("to_timestamp", children)
    case .dayOfWeekISO: return extract("DAYOFWEEK_ISO")
    case .yearOfWeek: return extract("YEAROFWEEK")
    case .secondWithFraction, .intervalSeconds: return extract("SECOND")
    case .intervalYears: return extract("YEAR")
    case .intervalMonths: return extract("MONTH")
    case .intervalDays: return extract("DAY")
    case .intervalHours: return extract("HOUR")
    case .intervalMinutes: return extract("MINUTE")
    case .timestampAdd, .timestampDiff:
      guard case .literal(.string(let unit)) = expression.nodes[children[0]].operation else { break }
      let name = function == .timestampAdd ? "timestampadd(" : "timestampdiff("
      return (
        Level.primary,
        [.text(name + String(decoding: unit, as: UTF8.self) + ", ")]
          + joined(children.dropFirst(), ", ", atLeast: Level.or) + [.text(")")]
      )
    default: break
    }
    return call(function.sqlName, children)
  }

  // MARK: Leaves

  private func literal(_ value: Value, type: DataType) -> (Int, [Piece]) {
    let text: String
    switch (value, type) {
    case (.null, .null): text = "NULL"
    case (.null, .dayTimeInterval): return (Level.primary, [.text("(NULL + INTERVAL '0' SECOND)")])
    case (.null, .yearMonthInterval): return (Level.primary, [.text("(NULL + INTERVAL '0' MONTH)")])
    case (.null, _): text = "CAST(NULL AS \(type))"
    case (.boolean(let value), _): text = value ? "true" : "false"
    case (.string(let bytes), _): text = quoted(string: String(decoding: bytes, as: UTF8.self))
    case (.double(let value), _):
      if value.isNaN {
        text = "CAST('NaN' AS \(type))"
      } else if value.isInfinite {
        text = "CAST('\(value < 0 ? "-" : "")Infinity' AS \(type))"
      } else {
        text = type == .float ? "\(Float(value))F" : "\(value)D"
      }
    case (.decimal(let unscaled), .decimal(let precision, let scale)):
      let digits = decimalDigits(unscaled.magnitude, scale: scale)
      let written = max(unscaled.magnitude == 0 ? 1 : "\(unscaled.magnitude)".utf8.count, scale, 1)
      let number = (unscaled < 0 ? "-" : "") + digits + (scale == 0 ? "BD" : "")
      text = written == precision ? number : "CAST(\(number) AS \(type))"
    case (.integer(let value), _): text = integer(value, type: type)
    case (.decimal, _): text = "NULL"
    }
    // A minus that follows an operator stays apart from it; one that begins an operand is fine.
    return (Level.primary, [.text(text)])
  }

  private func integer(_ value: Int64, type: DataType) -> String {
    switch type {
    case .tinyint: return "\(value)Y"
    case .smallint: return "\(value)S"
    case .bigint: return "\(value)L"
    case .date, .timestamp:
      let text = try? evaluate(.cast, [.integer(value)], types: [type], result: .string)
      guard case .string(let bytes)? = text else { return "\(value)" }
      return "\(type) '\(String(decoding: bytes, as: UTF8.self))'"
    case .yearMonthInterval: return "INTERVAL '\(value)' MONTH"
    case .dayTimeInterval:
      for (unit, length) in [
        ("DAY", 86_400_000_000), ("HOUR", 3_600_000_000), ("MINUTE", 60_000_000), ("SECOND", 1_000_000),
      ]
        as [(String, Int64)] where value % length == 0
      {
        return "INTERVAL '\(value / length)' \(unit)"
      }
      return "INTERVAL '\(value)' MICROSECOND"
    default: return "\(value)"
    }
  }

  private func decimalDigits(_ magnitude: UInt128, scale: Int) -> String {
    var digits = "\(magnitude)"
    guard scale > 0 else { return digits }
    if digits.utf8.count <= scale { digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits }
    let split = digits.index(digits.endIndex, offsetBy: -scale)
    return "\(digits[..<split]).\(digits[split...])"
  }

  /// A string literal whose escapes the lexer undoes.
  private func quoted(string: String) -> String {
    var text = "'"
    for scalar in string.unicodeScalars {
      switch scalar {
      case "'": text += "\\'"
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 32 || scalar.value == 127:
        let code = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - code.count) + code
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "'"
  }

  /// A name as it can stand anywhere: in back-quotes where it could be read as something else.
  private func quoted(_ name: String) -> String {
    let bytes = Array(name.utf8)
    let isWord =
      bytes.allSatisfy { $0 &- 48 < 10 || ($0 | 0x20) &- 97 < 26 || $0 == 0x5F }
      && bytes.first.map { $0 &- 48 >= 10 } == true
    if isWord, !Self.quotedWords.contains(name.lowercased()) { return name }
    return "`" + name.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "``") + "`"
  }

  private static let quotedWords: Set<String> = [
    "null", "true", "false", "case", "when", "then", "else", "end", "not", "and", "or", "in", "is", "like", "ilike",
    "rlike", "regexp", "between", "escape", "div", "interval", "timestamp", "date", "as", "from", "for", "order",
    "group",
    "select", "with", "where", "having", "limit", "cast", "try_cast", "extract", "exists", "list", "any", "all", "some",
    "distinct", "current_date", "current_timestamp", "localtimestamp", "current_time", "current_user", "user",
    "session_user", "both", "leading", "trailing", "r", "year", "quarter", "month", "week", "day", "dayofyear", "hour",
    "minute", "second", "millisecond", "microsecond",
  ]
}

extension Comparison {
  var sql: String {
    switch self {
    case .equal: "="
    case .notEqual: "<>"
    case .less: "<"
    case .lessOrEqual: "<="
    case .greater: ">"
    case .greaterOrEqual: ">="
    case .nullSafeEqual: "<=>"
    }
  }
}

extension Arithmetic {
  /// The operator between two operands, where there is one.
  fileprivate var binary: SyntaxNode.BinaryOperator? {
    switch self {
    case .add: .add
    case .subtract: .subtract
    case .multiply: .multiply
    case .divide: .divide
    case .integralDivide: .integralDivide
    case .remainder: .remainder
    case .bitAnd: .bitAnd
    case .bitOr: .bitOr
    case .bitXor: .bitXor
    case .shiftLeft: .shiftLeft
    case .shiftRight: .shiftRight
    case .shiftRightUnsigned: .shiftRightUnsigned
    case .pmod, .negate, .bitNot: nil
    }
  }

  fileprivate var name: String {
    switch self {
    case .remainder: "mod"
    default: "\(self)"
    }
  }
}

extension Function {
  /// The function's first name in SQL.
  package var sqlName: String {
    switch self {
    case .isNaN: "isnan"
    case .bitCount: "bit_count"
    case .widthBucket: "width_bucket"
    case .octetLength: "octet_length"
    case .bitLength: "bit_length"
    case .concatWithSeparator: "concat_ws"
    case .startsWith: "startswith"
    case .endsWith: "endswith"
    case .splitPart: "split_part"
    case .substringIndex: "substring_index"
    case .findInSet: "find_in_set"
    case .regexpExtract: "regexp_extract"
    case .regexpReplace: "regexp_replace"
    case .regexpCount: "regexp_count"
    case .regexpInstr: "regexp_instr"
    case .regexpSubstr: "regexp_substr"
    case .dayOfYear: "dayofyear"
    case .dayOfWeek: "dayofweek"
    case .weekOfYear: "weekofyear"
    case .dayName: "dayname"
    case .monthName: "monthname"
    case .dateTrunc: "date_trunc"
    case .truncDate: "trunc"
    case .formatTimestamp: "date_format"
    case .unixTimestamp: "unix_timestamp"
    case .unixSeconds: "unix_seconds"
    case .unixMillis: "unix_millis"
    case .unixMicros: "unix_micros"
    case .unixDate: "unix_date"
    case .dateFromUnixDate: "date_from_unix_date"
    case .timestampMillis: "timestamp_millis"
    case .timestampMicros: "timestamp_micros"
    case .dateDiff: "datediff"
    case .addMonths: "add_months"
    case .monthsBetween: "months_between"
    case .lastDay: "last_day"
    case .nextDay: "next_day"
    case .makeDate: "make_date"
    default: rawValue
    }
  }
}

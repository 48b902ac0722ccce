extension Checker {
  mutating func binary(
    _ binary: SyntaxNode.BinaryOperator, _ left: Operand, _ right: Operand, _ node: SyntaxNode
  ) -> Operand? {
    switch binary {
    case .equal: return comparison(.equal, left, right, node)
    case .notEqual: return comparison(.notEqual, left, right, node)
    case .less: return comparison(.less, left, right, node)
    case .lessOrEqual: return comparison(.lessOrEqual, left, right, node)
    case .greater: return comparison(.greater, left, right, node)
    case .greaterOrEqual: return comparison(.greaterOrEqual, left, right, node)
    case .nullSafeEqual: return comparison(.nullSafeEqual, left, right, node)
    case .bitOr: return bits(.bitOr, left, right, node)
    case .bitXor: return bits(.bitXor, left, right, node)
    case .bitAnd: return bits(.bitAnd, left, right, node)
    case .shiftLeft: return shift(.shiftLeft, left, right, node)
    case .shiftRight: return shift(.shiftRight, left, right, node)
    case .shiftRightUnsigned: return shift(.shiftRightUnsigned, left, right, node)
    case .concat:
      let operands = [argument(left, as: .string, 0, of: "||", node), argument(right, as: .string, 1, of: "||", node)]
      guard let left = operands[0], let right = operands[1] else { return nil }
      return add(.call(.concat), [left, right], type: .string, node)
    case .add, .subtract: return sum(binary == .add ? .add : .subtract, left, right, node)
    case .multiply: return arithmetic(.multiply, left, right, node)
    case .divide: return arithmetic(.divide, left, right, node)
    case .remainder: return arithmetic(.remainder, left, right, node)
    case .integralDivide: return arithmetic(.integralDivide, left, right, node)
    }
  }

  // MARK: Comparisons

  /// Compares two operands; `right` is the child that stands on the right, for messages.
  mutating func comparison(
    _ comparison: Comparison, _ left: Operand, _ right: Operand, _ node: SyntaxNode, right child: Int = 1
  ) -> Operand? {
    if let decided = comparedWithDecimalLiteral(comparison, left, right, node) { return decided }
    guard let (left, right) = comparable(left, right) else {
      report("cannot compare \(describe(node, 0)) with \(describe(node, child))", at: node.focus)
      return nil
    }
    return add(.comparison(comparison), [left, right], type: .boolean, node)
  }

  private mutating func comparable(_ left: Operand, _ right: Operand) -> (Operand, Operand)? {
    let types = (type(left), type(right))
    let common: DataType
    if types.0 != types.1, let a = decimal(of: left, beside: right), let b = decimal(of: right, beside: left) {
      common = Coercion.wider(a, b)
    } else if let type = Coercion.common(types.0, types.1) {
      common = type
    } else {
      return nil
    }
    let target = common == .null ? .boolean : common
    return (coerce(left, to: target), coerce(right, to: target))
  }

  /// The decimal that a number takes part as, if one of the two is a decimal and the other a decimal or an integer: an
  /// integer literal counts as many digits as it has.
  private func decimal(of operand: Operand, beside other: Operand) -> DecimalType? {
    guard type(operand).isDecimal || type(other).isDecimal else { return nil }
    if operand.isLiteral, type(operand).isInteger, case .integer(let value)? = builder.constant(operand.node) {
      var digits = 1
      var rest = value.magnitude / 10
      while rest > 0 { (digits, rest) = (digits + 1, rest / 10) }
      return DecimalType(precision: digits, scale: 0)
    }
    return type(operand).asDecimal
  }

  /// `<`, `<=`, `>`, `>=` between an integer and a decimal literal compare integers; a literal beyond BIGINT decides the
  /// comparison at once, even for NULL. That is what Spark does.
  private mutating func comparedWithDecimalLiteral(
    _ comparison: Comparison, _ left: Operand, _ right: Operand, _ node: SyntaxNode
  ) -> Operand? {
    func decimalLiteral(_ operand: Operand) -> (floor: Int128, ceiling: Int128)? {
      guard operand.isLiteral, case .decimal(_, let scale) = type(operand),
        case .decimal(let unscaled)? = builder.constant(operand.node)
      else { return nil }
      var unit: Int128 = 1
      for _ in 0..<scale { unit *= 10 }
      let (quotient, remainder) = unscaled.quotientAndRemainder(dividingBy: unit)
      return (remainder < 0 ? quotient - 1 : quotient, remainder > 0 ? quotient + 1 : quotient)
    }
    let flipped: Comparison
    switch comparison {
    case .less: flipped = .greater
    case .lessOrEqual: flipped = .greaterOrEqual
    case .greater: flipped = .less
    case .greaterOrEqual: flipped = .lessOrEqual
    default: return nil
    }
    let isLiteralRight: Bool
    let bounds: (floor: Int128, ceiling: Int128)
    if type(left).isInteger, let literal = decimalLiteral(right) {
      (isLiteralRight, bounds) = (true, literal)
    } else if type(right).isInteger, let literal = decimalLiteral(left) {
      (isLiteralRight, bounds) = (false, literal)
    } else {
      return nil
    }
    // Seen as: integer `order` literal.
    let order = isLiteralRight ? comparison : flipped
    let isUpper = order == .less || order == .lessOrEqual
    let exact = order == .less || order == .greaterOrEqual ? bounds.ceiling : bounds.floor
    if bounds.floor > Int128(Int64.max) || bounds.floor == Int128(Int64.max) && bounds.ceiling > bounds.floor {
      return Operand(node: builder.literal(.boolean(isUpper), type: .boolean, range: node.range))
    }
    if bounds.ceiling < Int128(Int64.min) || bounds.ceiling == Int128(Int64.min) && bounds.floor < bounds.ceiling {
      return Operand(node: builder.literal(.boolean(!isUpper), type: .boolean, range: node.range))
    }
    let bound = Operand(
      node: builder.literal(.integer(Int64(clamping: exact)), type: .bigint, range: node.range))
    return isLiteralRight
      ? add(.comparison(comparison), [coerce(left, to: .bigint), bound], type: .boolean, node)
      : add(.comparison(comparison), [bound, coerce(right, to: .bigint)], type: .boolean, node)
  }

  // MARK: Arithmetic

  mutating func unary(_ sign: SyntaxNode.UnaryOperator, _ value: Operand, _ node: SyntaxNode) -> Operand? {
    let valueType = type(value)
    if sign == .bitNot {
      guard valueType.isInteger else {
        report("~ needs an integer, and \(describe(node, 0)) is none", at: node.focus)
        return nil
      }
      return add(.arithmetic(.bitNot), [value], type: valueType, node)
    }
    guard valueType.isNumeric || valueType.isInterval || valueType == .string || valueType == .null else {
      report("\(sign.rawValue) needs a number or an interval, and \(describe(node, 0)) is none", at: node.focus)
      return nil
    }
    let number = valueType == .string || valueType == .null ? coerce(value, to: .double) : value
    if sign == .plus {
      return Operand(node: number.node, isLiteral: false, fields: number.fields)
    }
    var result = add(.arithmetic(.negate), [number], type: type(number), node)
    result.fields = value.fields
    return result
  }

  /// `* / % DIV`, `mod` and `pmod`, and numbers of `+` and `-`.
  mutating func arithmetic(
    _ operation: Arithmetic, tries: Bool = false, _ left: Operand, _ right: Operand, _ node: SyntaxNode
  ) -> Operand? {
    let name = Self.name(of: operation)
    let node = node
    if operation == .multiply || operation == .divide, type(left).isInterval || type(right).isInterval {
      return scaled(operation, tries: tries, left, right, node)
    }
    let make: (Arithmetic) -> Operation = { tries ? .tryArithmetic($0) : .arithmetic($0) }
    if let a = decimal(of: left, beside: right), let b = decimal(of: right, beside: left) {
      let result: DataType =
        operation == .integralDivide ? .bigint : DecimalType.result(of: operation, a, b).dataType
      return add(make(operation), [coerce(left, to: a.dataType), coerce(right, to: b.dataType)], type: result, node)
    }
    guard var common = Coercion.common(type(left), type(right)), common.isNumeric || common == .null else {
      report(
        type(left) == .string && type(right) == .string
          ? "\(name) needs a number, and both sides are STRING: cast one, as in CAST(x AS DOUBLE)"
          : "\(name) needs two numbers, not \(describe(node, 0)) and \(describe(node, 1))", at: node.focus)
      return nil
    }
    if common == .null { common = .double }
    if case .decimal(let precision, let scale) = common {
      // NULL beside a decimal takes its type.
      let decimal = DecimalType(precision: precision, scale: scale)
      let result: DataType =
        operation == .integralDivide ? .bigint : DecimalType.result(of: operation, decimal, decimal).dataType
      return add(make(operation), [coerce(left, to: common), coerce(right, to: common)], type: result, node)
    }
    if operation == .divide { common = .double }
    if operation == .integralDivide {
      guard common.isInteger || type(left) == .null && type(right) == .null else {
        report("DIV needs integers or decimals, not \(describe(node, 0)) and \(describe(node, 1))", at: node.focus)
        return nil
      }
      common = .bigint
    }
    return add(make(operation), [coerce(left, to: common), coerce(right, to: common)], type: common, node)
  }

  private static func name(of operation: Arithmetic) -> String {
    switch operation {
    case .add: "+"
    case .subtract: "-"
    case .multiply: "*"
    case .divide: "/"
    case .remainder: "%"
    case .integralDivide: "DIV"
    default: "pmod"
    }
  }

  /// An interval times or divided by a number.
  private mutating func scaled(
    _ operation: Arithmetic, tries: Bool, _ left: Operand, _ right: Operand, _ node: SyntaxNode
  ) -> Operand? {
    let isLeft = type(left).isInterval
    let interval = isLeft ? left : right
    var factor = isLeft ? right : left
    guard isLeft || operation == .multiply, type(factor).isNumeric || [.string, .null].contains(type(factor)) else {
      report(
        "\(Self.name(of: operation)) does not take \(describe(node, 0)) and \(describe(node, 1))", at: node.focus)
      return nil
    }
    if !type(factor).isNumeric { factor = coerce(factor, to: .double) }
    let made: Operation = tries ? .tryArithmetic(operation) : .arithmetic(operation)
    return add(made, [interval, factor], type: type(interval), node)
  }

  /// `+` and `-`: numbers, dates, timestamps and intervals.
  mutating func sum(
    _ operation: Arithmetic, tries: Bool = false, _ left: Operand, _ right: Operand, _ node: SyntaxNode
  ) -> Operand? {
    let types = (type(left), type(right))
    let make: Operation = tries ? .tryArithmetic(operation) : .arithmetic(operation)
    let isAdd = operation == .add
    func refuse(_ checker: inout Checker) -> Operand? {
      checker.report(
        "\(isAdd ? "+" : "-") does not take \(checker.describe(node, 0)) and \(checker.describe(node, 1))",
        at: node.focus)
      return nil
    }
    switch types {
    case (.dayTimeInterval, .dayTimeInterval), (.yearMonthInterval, .yearMonthInterval),
      (.null, .dayTimeInterval), (.dayTimeInterval, .null), (.null, .yearMonthInterval), (.yearMonthInterval, .null):
      let interval = types.0 == .null ? types.1 : types.0
      var result = add(make, [coerce(left, to: interval), coerce(right, to: interval)], type: interval, node)
      result.fields = fields(of: [left, right])
      return result
    case (.timestamp, .yearMonthInterval), (.date, .yearMonthInterval), (.timestamp, .dayTimeInterval):
      return add(make, [left, right], type: types.0, node)
    case (.yearMonthInterval, .timestamp) where isAdd, (.yearMonthInterval, .date) where isAdd,
      (.dayTimeInterval, .timestamp) where isAdd:
      return add(make, [right, left], type: types.1, node)
    case (.date, .dayTimeInterval): return shiftedDate(operation, tries: tries, left, right, node)
    case (.dayTimeInterval, .date) where isAdd: return shiftedDate(operation, tries: tries, right, left, node)
    case (.string, .dayTimeInterval):
      // The text becomes a timestamp for the calculation, and the result text again.
      return coerce(add(make, [coerce(left, to: .timestamp), right], type: .timestamp, node), to: .string)
    case (.dayTimeInterval, .string) where isAdd:
      return coerce(add(make, [coerce(right, to: .timestamp), left], type: .timestamp, node), to: .string)
    case (.timestamp, _) where !isAdd, (_, .timestamp) where !isAdd:
      guard let from = instant(left), let to = instant(right) else { return refuse(&self) }
      return add(make, [from, to], type: .dayTimeInterval, node)
    case (.date, .date) where !isAdd, (.string, .date) where !isAdd, (.null, .date) where !isAdd,
      (.date, .string) where !isAdd:
      var result = add(
        make, [coerce(left, to: .date), coerce(right, to: .date)], type: .dayTimeInterval, node)
      result.fields = .day
      return result
    case (.date, let days) where days.isDayCount:
      return add(make, [left, coerce(right, to: .int)], type: .date, node)
    case (let days, .date) where isAdd && days.isDayCount:
      return add(make, [right, coerce(left, to: .int)], type: .date, node)
    case (.timestamp, _), (_, .timestamp), (.date, _), (_, .date): return refuse(&self)
    default:
      if types.0.isInterval || types.1.isInterval { return refuse(&self) }
      return arithmetic(operation, tries: tries, left, right, node)
    }
  }

  private mutating func instant(_ operand: Operand) -> Operand? {
    [.timestamp, .date, .string, .null].contains(type(operand)) ? coerce(operand, to: .timestamp) : nil
  }

  /// A date and an interval: whole days leave a date, anything smaller makes a timestamp.
  private mutating func shiftedDate(
    _ operation: Arithmetic, tries: Bool, _ date: Operand, _ interval: Operand, _ node: SyntaxNode
  ) -> Operand {
    let make: Operation = tries ? .tryArithmetic(operation) : .arithmetic(operation)
    guard interval.fields == .day else {
      return add(make, [coerce(date, to: .timestamp), interval], type: .timestamp, node)
    }
    let days = add(.call(.intervalDays), [interval], type: .bigint, node)
    return add(make, [date, coerce(days, to: .int)], type: .date, node)
  }

  // MARK: Bits

  private mutating func bits(_ operation: Arithmetic, _ left: Operand, _ right: Operand, _ node: SyntaxNode) -> Operand?
  {
    guard var common = Coercion.common(type(left), type(right)), common.isInteger || common == .null else {
      report(
        "\(node.operatorText) needs two integers, not \(describe(node, 0)) and \(describe(node, 1))", at: node.focus)
      return nil
    }
    if common == .null { common = .int }
    return add(.arithmetic(operation), [coerce(left, to: common), coerce(right, to: common)], type: common, node)
  }

  mutating func shift(_ operation: Arithmetic, _ left: Operand, _ right: Operand, _ node: SyntaxNode) -> Operand? {
    guard type(left).isInteger || [.string, .null].contains(type(left)),
      type(right).isNumeric || [.string, .null].contains(type(right))
    else {
      report(
        "\(node.operatorText) needs two integers, not \(describe(node, 0)) and \(describe(node, 1))", at: node.focus)
      return nil
    }
    let value = type(left) == .bigint ? left : coerce(left, to: .int)
    return add(.arithmetic(operation), [value, coerce(right, to: .int)], type: type(value), node)
  }
}

extension SyntaxNode {
  /// The operator or function name, for messages.
  var operatorText: String {
    switch kind {
    case .unary(let unary): unary.rawValue
    case .binary(let binary): binary.rawValue
    case .call(let name): name
    default: ""
    }
  }
}

extension DataType {
  /// Whether values are taken as a number of days beside a date: no integer wider than INT, and no fractions.
  var isDayCount: Bool { self == .null || isInteger && self != .bigint }
}

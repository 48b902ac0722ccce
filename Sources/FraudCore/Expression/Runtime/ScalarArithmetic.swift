/// `+ - * / DIV % pmod`, unary minus and the bit operations on every type that has them.
enum ScalarArithmetic {
  static func evaluate(
    _ operation: Arithmetic, _ arguments: [Value], _ types: [DataType], _ result: DataType
  ) throws(EvaluationError) -> Value {
    switch types[0] {
    case .tinyint, .smallint, .int, .bigint: return try integers(operation, arguments, result)
    case .double, .float: return .double(try doubles(operation, arguments, single: types[0] == .float))
    case .decimal: return try decimals(operation, arguments, types, result)
    case .timestamp: return .integer(try timestamps(operation, arguments, types))
    case .date: return .integer(try dates(operation, arguments, types))
    case .dayTimeInterval, .yearMonthInterval:
      return .integer(try intervals(operation, arguments, types, result.integerRange))
    default: preconditionFailure("\(types[0]) has no arithmetic")
    }
  }

  // MARK: Integers

  private static func integers(
    _ operation: Arithmetic, _ arguments: [Value], _ result: DataType
  ) throws(EvaluationError) -> Value {
    let a = arguments[0].integer
    let b = arguments.count > 1 ? arguments[1].integer : 0
    let value: Int64
    var overflow = false
    switch operation {
    case .add: (value, overflow) = a.addingReportingOverflow(b)
    case .subtract: (value, overflow) = a.subtractingReportingOverflow(b)
    case .multiply: (value, overflow) = a.multipliedReportingOverflow(by: b)
    case .negate: (value, overflow) = Int64(0).subtractingReportingOverflow(a)
    case .integralDivide:
      if b == 0 { throw .divideByZero }
      (value, overflow) = a.dividedReportingOverflow(by: b)
    case .remainder:
      if b == 0 { throw .remainderByZero }
      // The least integer by −1 overflows in the quotient only.
      value = b == -1 ? 0 : a % b
    case .pmod:
      if b == 0 { throw .remainderByZero }
      let rest = b == -1 ? 0 : a % b
      value = rest < 0 ? (b == -1 ? 0 : wrap(rest &+ b, result) % b) : rest
    case .bitAnd: value = a & b
    case .bitOr: value = a | b
    case .bitXor: value = a ^ b
    case .bitNot: value = ~a
    case .shiftLeft:
      value = result == .int ? Int64(Int32(truncatingIfNeeded: a) << Int32(b & 31)) : a << (b & 63)
    case .shiftRight: value = result == .int ? a >> (b & 31) : a >> (b & 63)
    case .shiftRightUnsigned:
      value =
        result == .int
        ? Int64(Int32(bitPattern: UInt32(truncatingIfNeeded: a) >> UInt32(b & 31)))
        : Int64(bitPattern: UInt64(bitPattern: a) >> UInt64(b & 63))
    case .divide: preconditionFailure("integers are divided as doubles")
    }
    guard !overflow, result.integerRange.contains(value) else { throw .arithmeticOverflow }
    return .integer(value)
  }

  private static func wrap(_ value: Int64, _ type: DataType) -> Int64 {
    switch type {
    case .tinyint: Int64(Int8(truncatingIfNeeded: value))
    case .smallint: Int64(Int16(truncatingIfNeeded: value))
    case .int: Int64(Int32(truncatingIfNeeded: value))
    default: value
    }
  }

  // MARK: Doubles

  private static func doubles(
    _ operation: Arithmetic, _ arguments: [Value], single: Bool
  ) throws(EvaluationError) -> Double {
    let a = arguments[0].double
    let b = arguments.count > 1 ? arguments[1].double : 0
    let value: Double
    switch operation {
    case .add: value = a + b
    case .subtract: value = a - b
    case .multiply: value = a * b
    case .negate: value = -a
    case .divide:
      if b == 0 { throw .divideByZero }
      value = a / b
    case .remainder:
      if b == 0 { throw .remainderByZero }
      value = Mathematics.remainder(a, b)
    case .pmod:
      if b == 0 { throw .remainderByZero }
      let rest = Mathematics.remainder(a, b)
      value = rest < 0 ? Mathematics.remainder(rest + b, b) : rest
    default: preconditionFailure("doubles have no \(operation)")
    }
    // Of two singles every one of these is right when calculated in doubles and rounded once.
    return single ? Double(Float(value)) : value
  }

  // MARK: Decimals

  private static func decimals(
    _ operation: Arithmetic, _ arguments: [Value], _ types: [DataType], _ result: DataType
  ) throws(EvaluationError) -> Value {
    let a = arguments[0].decimal
    let aScale = types[0].decimalShape.scale
    if operation == .negate { return .decimal(0 - a) }
    let b = arguments[1].decimal
    let bScale = types[1].decimalShape.scale
    if operation == .integralDivide {
      return .integer(try DecimalArithmetic.integralQuotient(a, scale: aScale, b, scale: bScale))
    }
    let (precision, scale) = result.decimalShape
    switch operation {
    case .add:
      return .decimal(
        try DecimalArithmetic.add(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    case .subtract:
      return .decimal(
        try DecimalArithmetic.subtract(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    case .multiply:
      return .decimal(
        try DecimalArithmetic.multiply(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    case .divide:
      return .decimal(
        try DecimalArithmetic.divide(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    case .remainder:
      return .decimal(
        try DecimalArithmetic.remainder(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    case .pmod:
      return .decimal(
        try DecimalArithmetic.positiveRemainder(
          a, scale: aScale, b, scale: bScale, resultPrecision: precision, resultScale: scale))
    default: preconditionFailure("decimals have no \(operation)")
    }
  }

  // MARK: Dates, timestamps and intervals

  private static func timestamps(
    _ operation: Arithmetic, _ arguments: [Value], _ types: [DataType]
  ) throws(EvaluationError) -> Int64 {
    let a = arguments[0].integer
    let b = arguments[1].integer
    switch (operation, types[1]) {
    case (.add, .dayTimeInterval): return try Calendar.add(b, toTimestamp: a)
    case (.subtract, .dayTimeInterval), (.subtract, .timestamp):
      let (difference, overflow) = a.subtractingReportingOverflow(b)
      if overflow { throw .datetimeOverflow }
      return difference
    case (.add, .yearMonthInterval): return try Calendar.addMonths(b, toTimestamp: a)
    case (.subtract, .yearMonthInterval): return try Calendar.addMonths(-b, toTimestamp: a)
    default: preconditionFailure("timestamps have no \(operation) with \(types[1])")
    }
  }

  private static func dates(
    _ operation: Arithmetic, _ arguments: [Value], _ types: [DataType]
  ) throws(EvaluationError) -> Int64 {
    let a = arguments[0].integer
    let b = arguments[1].integer
    let value: Int64
    switch (operation, types[1]) {
    case (.subtract, .date):
      let (microseconds, overflow) = (a - b).multipliedReportingOverflow(by: Calendar.microsecondsPerDay)
      if overflow { throw .arithmeticOverflow }
      return microseconds
    case (.add, .yearMonthInterval): return try Calendar.addMonths(b, toDay: a)
    case (.subtract, .yearMonthInterval): return try Calendar.addMonths(-b, toDay: a)
    // Whole days: a DATE with hours added is a TIMESTAMP.
    case (.add, .dayTimeInterval): value = a + b / Calendar.microsecondsPerDay
    case (.subtract, .dayTimeInterval): value = a - b / Calendar.microsecondsPerDay
    case (.add, _): value = a + b
    case (.subtract, _): value = a - b
    default: preconditionFailure("dates have no \(operation)")
    }
    guard DataType.date.integerRange.contains(value) else { throw .arithmeticOverflow }
    return value
  }

  private static func intervals(
    _ operation: Arithmetic, _ arguments: [Value], _ types: [DataType], _ range: ClosedRange<Int64>
  ) throws(EvaluationError) -> Int64 {
    let a = arguments[0].integer
    let value: Int64
    var overflow = false
    switch operation {
    case .add: (value, overflow) = a.addingReportingOverflow(arguments[1].integer)
    case .subtract: (value, overflow) = a.subtractingReportingOverflow(arguments[1].integer)
    case .negate: (value, overflow) = Int64(0).subtractingReportingOverflow(a)
    case .multiply: value = try scale(a, by: arguments[1], types[1], dividing: false)
    case .divide: value = try scale(a, by: arguments[1], types[1], dividing: true)
    default: preconditionFailure("intervals have no \(operation)")
    }
    guard !overflow, range.contains(value) else { throw .arithmeticOverflow }
    return value
  }

  /// interval × number or interval / number, rounded half away from zero.
  private static func scale(
    _ interval: Int64, by number: Value, _ type: DataType, dividing: Bool
  ) throws(EvaluationError) -> Int64 {
    switch number {
    case .integer(let factor):
      if !dividing {
        let (product, overflow) = interval.multipliedReportingOverflow(by: factor)
        if overflow { throw .arithmeticOverflow }
        return product
      }
      return try integer(
        DecimalArithmetic.divide(
          Int128(interval), scale: 0, Int128(factor), scale: 0, resultPrecision: 38, resultScale: 0))
    case .decimal(let factor):
      let scale = type.decimalShape.scale
      if dividing {
        return try integer(
          DecimalArithmetic.divide(
            Int128(interval), scale: 0, factor, scale: scale, resultPrecision: 38, resultScale: 0))
      }
      return try integer(
        DecimalArithmetic.multiply(
          Int128(interval), scale: 0, factor, scale: scale, resultPrecision: 38, resultScale: 0))
    case .double(let factor):
      if dividing, factor == 0 { throw .divideByZero }
      let exact = dividing ? Double(interval) / factor : Double(interval) * factor
      guard let value = Int64(exactly: exact.rounded(.toNearestOrAwayFromZero)) else { throw .arithmeticOverflow }
      return value
    default: preconditionFailure("an interval is scaled by a number, not \(number)")
    }
  }

  private static func integer(_ value: Int128) throws(EvaluationError) -> Int64 {
    guard let integer = Int64(exactly: value) else { throw .arithmeticOverflow }
    return integer
  }
}

/// CAST from each type to each other, under ANSI rules: what does not fit raises.
enum ScalarCast {
  static func cast(
    _ value: Value, from type: DataType, to result: DataType, zones: TimeZones
  ) throws(EvaluationError) -> Value {
    if type == result { return value }
    switch type {
    case .string: return try cast(text: value.text.span, value, to: result, zones: zones)
    case .boolean: return try cast(boolean: value.boolean, to: result)
    case .tinyint, .smallint, .int, .bigint: return try cast(integer: value.integer, to: result)
    case .float, .double: return try cast(double: value.double, from: type, to: result)
    case .decimal(_, let scale): return try cast(decimal: value.decimal, scale: scale, to: result)
    case .date: return try cast(date: value.integer, to: result)
    case .timestamp: return try cast(timestamp: value.integer, to: result)
    case .dayTimeInterval:
      guard result == .string else { throw .castInvalidInput }
      return .string(DatetimeText.text(dayTimeInterval: value.integer))
    case .yearMonthInterval:
      guard result == .string else { throw .castInvalidInput }
      return .string(DatetimeText.text(yearMonthInterval: value.integer))
    case .null: return .null
    }
  }

  private static func cast(
    text: Span<UInt8>, _ value: Value, to result: DataType, zones: TimeZones
  ) throws(EvaluationError) -> Value {
    switch result {
    case .string: value
    case .boolean: .boolean(try NumberConversion.boolean(of: text))
    case .tinyint, .smallint, .int, .bigint: .integer(try NumberConversion.integer(of: text, in: result.integerRange))
    case .double: .double(try NumberConversion.double(of: text))
    case .float: .double(try NumberConversion.float(of: text))
    case .decimal(let precision, let scale):
      .decimal(try DecimalArithmetic.decimal(of: text, precision: precision, scale: scale))
    case .date: .integer(try DatetimeText.date(of: text))
    case .timestamp: .integer(try DatetimeText.timestamp(of: text, zones: zones))
    case .dayTimeInterval, .yearMonthInterval, .null: throw .castInvalidInput
    }
  }

  private static func cast(boolean: Bool, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .string: return .string(Array((boolean ? "true" : "false").utf8))
    case .float, .double: return .double(boolean ? 1 : 0)
    default: return try cast(integer: boolean ? 1 : 0, to: result)
    }
  }

  private static func cast(integer: Int64, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .boolean: return .boolean(integer != 0)
    case .tinyint, .smallint, .int, .bigint:
      guard result.integerRange.contains(integer) else { throw .castOverflow }
      return .integer(integer)
    case .double: return .double(Double(integer))
    case .float: return .double(Double(Float(integer)))
    case .decimal(let precision, let scale):
      return .decimal(try DecimalArithmetic.rescale(Int128(integer), from: 0, to: scale, precision: precision))
    case .string: return .string(NumberConversion.text(integer))
    case .timestamp:
      // Spark's conversion stops at the ends of the range instead of raising.
      let (microseconds, overflow) = integer.multipliedReportingOverflow(by: Calendar.microsecondsPerSecond)
      return .integer(overflow ? (integer < 0 ? .min : .max) : microseconds)
    default: throw .castInvalidInput
    }
  }

  private static func cast(double: Double, from type: DataType, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .boolean: return .boolean(double != 0)
    case .tinyint, .smallint, .int, .bigint: return .integer(try integer(of: double, in: result.integerRange))
    case .double: return .double(double)
    case .float: return .double(Double(Float(double)))
    case .decimal(let precision, let scale):
      return .decimal(try DecimalArithmetic.decimal(of: double, precision: precision, scale: scale))
    case .string: return .string(type == .float ? NumberConversion.text(float: double) : NumberConversion.text(double))
    case .timestamp:
      guard double.isFinite else { throw .castInvalidInput }
      return .integer(try integer(of: double * 1e6, in: .min ... .max))
    default: throw .castInvalidInput
    }
  }

  /// Truncates toward zero. As in Spark 2^63 itself is still taken, for the greatest BIGINT.
  static func integer(of double: Double, in range: ClosedRange<Int64>) throws(EvaluationError) -> Int64 {
    let whole = Mathematics.truncate(double)
    if whole == 0x1p63, range.upperBound == .max { return .max }
    guard let integer = Int64(exactly: whole), range.contains(integer) else { throw .castOverflow }
    return integer
  }

  private static func cast(decimal: Int128, scale: Int, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .boolean: return .boolean(decimal != 0)
    case .tinyint, .smallint, .int, .bigint:
      return .integer(try DecimalArithmetic.integer(decimal, scale: scale, in: result.integerRange))
    case .double: return .double(DecimalArithmetic.double(decimal, scale: scale))
    case .float:
      return .double(Float(String(decimal) + "e-" + String(scale)).map { Double($0) } ?? 0)
    case .decimal(let precision, let newScale):
      return .decimal(try DecimalArithmetic.rescale(decimal, from: scale, to: newScale, precision: precision))
    case .string: return .string(DecimalArithmetic.text(decimal, scale: scale))
    case .timestamp:
      let microseconds = UInt256(product: decimal.magnitude, 1_000_000)
        .divided(by: DecimalArithmetic.powersOfTen[scale]).quotient
      guard microseconds.high == 0, let magnitude = Int64(exactly: microseconds.low) else { throw .castOverflow }
      return .integer(decimal < 0 ? -magnitude : magnitude)
    default: throw .castInvalidInput
    }
  }

  private static func cast(date: Int64, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .string: return .string(DatetimeText.text(date: date))
    case .timestamp: return .integer(try Calendar.timestamp(ofDay: date))
    default: throw .castInvalidInput
    }
  }

  private static func cast(timestamp: Int64, to result: DataType) throws(EvaluationError) -> Value {
    switch result {
    case .string: return .string(DatetimeText.text(timestamp: timestamp))
    case .date: return .integer(Calendar.day(ofTimestamp: timestamp))
    case .tinyint, .smallint, .int, .bigint:
      return try cast(
        integer: Calendar.floorDivide(timestamp, Calendar.microsecondsPerSecond), to: result)
    case .double: return .double(Double(timestamp) / 1e6)
    case .float: return .double(Double(Float(Double(timestamp) / 1e6)))
    case .decimal(let precision, let scale):
      return .decimal(
        try DecimalArithmetic.decimal(of: Double(timestamp) / 1e6, precision: precision, scale: scale))
    default: throw .castInvalidInput
    }
  }
}

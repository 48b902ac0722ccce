/// The value of one strict operation on the values of its operands: the plain meaning of the rule language.
///
/// Constant folding, the interpreter that tests trust, and every step for which the vectorised evaluator has no kernel call
/// this one function. The lazy operations, literals, columns and lists are their caller's.
///
/// - Parameters:
///   - arguments: the operands' values, of `types`.
///   - result: the node's type.
///   - zones: what zone names in texts mean.
package func evaluate(
  _ operation: Operation, _ arguments: [Value], types: [DataType], result: DataType, zones: TimeZones = .offsetsOnly
) throws(EvaluationError) -> Value {
  switch operation {
  case .isNull: return .boolean(arguments[0] == .null)
  case .isNotNull: return .boolean(arguments[0] != .null)
  case .isTrue: return .boolean(arguments[0] == .boolean(true))
  case .isFalse: return .boolean(arguments[0] == .boolean(false))
  case .comparison(.nullSafeEqual):
    if arguments[0] == .null || arguments[1] == .null { return .boolean(arguments[0] == arguments[1]) }
    return .boolean(compare(arguments[0], arguments[1]) == 0)
  case .call(let function) where !function.isStrict:
    return try ScalarFunctions.evaluate(function, arguments, types, result, zones)
  default: break
  }
  for argument in arguments where argument == .null { return .null }
  switch operation {
  case .cast:
    return try ScalarCast.cast(arguments[0], from: types[0], to: result, zones: zones)
  case .tryCast:
    return (try? ScalarCast.cast(arguments[0], from: types[0], to: result, zones: zones)) ?? .null
  case .comparison(let comparison):
    return .boolean(comparison.holds(compare(arguments[0], arguments[1])))
  case .not:
    return .boolean(!arguments[0].boolean)
  case .like(let escape):
    return .boolean(try LikePattern(arguments[1].text, escape: escape).matches(arguments[0].text.span))
  case .ilike(let escape):
    let pattern = try LikePattern(TextFunctions.lowercase(arguments[1].text), escape: escape)
    return .boolean(pattern.matches(TextFunctions.lowercase(arguments[0].text).span))
  case .rlike:
    var matcher = RegexMatcher(try RegularExpression(arguments[1].text))
    return .boolean(matcher.isMatch(arguments[0].text.span))
  case .arithmetic(let arithmetic):
    return try ScalarArithmetic.evaluate(arithmetic, arguments, types, result)
  case .tryArithmetic(let arithmetic):
    return (try? ScalarArithmetic.evaluate(arithmetic, arguments, types, result)) ?? .null
  case .call(let function):
    return try ScalarFunctions.evaluate(function, arguments, types, result, zones)
  default:
    preconditionFailure("\(operation) is not a strict operation")
  }
}

/// −1, 0 or 1 for two values of one type that are not NULL: NaN equals NaN and is greater than every other number.
package func compare(_ a: Value, _ b: Value) -> Int {
  switch (a, b) {
  case (.integer(let a), .integer(let b)): a < b ? -1 : a == b ? 0 : 1
  case (.double(let a), .double(let b)): compare(a, b)
  case (.decimal(let a), .decimal(let b)): a < b ? -1 : a == b ? 0 : 1
  case (.string(let a), .string(let b)): TextFunctions.compare(a.span, b.span)
  case (.boolean(let a), .boolean(let b)): a == b ? 0 : b ? -1 : 1
  default: preconditionFailure("values of two types are not compared: \(a), \(b)")
  }
}

@inline(__always)
func compare(_ a: Double, _ b: Double) -> Int {
  if a < b { return -1 }
  if a > b { return 1 }
  if a == b { return 0 }
  // At least one is NaN.
  return a.isNaN ? (b.isNaN ? 0 : 1) : -1
}

extension Comparison {
  /// Whether it holds of operands that compare as −1, 0 or 1.
  package func holds(_ order: Int) -> Bool {
    switch self {
    case .equal, .nullSafeEqual: order == 0
    case .notEqual: order != 0
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .greater: order > 0
    case .greaterOrEqual: order >= 0
    }
  }
}

extension Value {
  // The checker settled the types, so a value of another kind than asked for cannot occur.

  var boolean: Bool {
    guard case .boolean(let value) = self else { preconditionFailure("\(self) is no boolean") }
    return value
  }

  var integer: Int64 {
    guard case .integer(let value) = self else { preconditionFailure("\(self) is no integer") }
    return value
  }

  var double: Double {
    guard case .double(let value) = self else { preconditionFailure("\(self) is no double") }
    return value
  }

  var decimal: Int128 {
    guard case .decimal(let value) = self else { preconditionFailure("\(self) is no decimal") }
    return value
  }

  var text: [UInt8] {
    guard case .string(let value) = self else { preconditionFailure("\(self) is no text") }
    return value
  }
}

extension DataType {
  /// The values that an integer type, or the count of an interval or a DATE, may have.
  var integerRange: ClosedRange<Int64> {
    switch self {
    case .tinyint: Int64(Int8.min)...Int64(Int8.max)
    case .smallint: Int64(Int16.min)...Int64(Int16.max)
    case .int, .yearMonthInterval, .date: Int64(Int32.min)...Int64(Int32.max)
    default: Int64.min...Int64.max
    }
  }

  var decimalShape: (precision: Int, scale: Int) {
    guard case .decimal(let precision, let scale) = self else { preconditionFailure("\(self) is no decimal") }
    return (precision, scale)
  }
}

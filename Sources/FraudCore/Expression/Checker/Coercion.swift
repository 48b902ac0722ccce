/// Which type two or more values take together, as Spark's ANSI rules have it.
///
/// - Source: sql-ref-ansi-compliance of Apache Spark, "Type conversion"; the cases under `rules/`.
enum Coercion {
  /// The type both may be widened to without a string being parsed: of comparisons, `greatest` and `least`.
  static func tightest(_ a: DataType, _ b: DataType) -> DataType? {
    if a == b { return a }
    switch (a, b) {
    case (.null, let other), (let other, .null): return other
    case (.date, .timestamp), (.timestamp, .date): return .timestamp
    default: break
    }
    guard a.isNumeric, b.isNumeric else { return nil }
    if let left = a.asDecimal, let right = b.asDecimal, a.isDecimal || b.isDecimal {
      return wider(left, right)
    }
    // An integer and a FLOAT, or a decimal and either, meet as DOUBLE.
    if a.isDecimal || b.isDecimal || a == .float || b == .float || a == .double || b == .double { return .double }
    return a.integerWidth > b.integerWidth ? a : b
  }

  /// The type of branches, of `coalesce` and of `IN`: as ``tightest(_:_:)``, and a string takes the other's type.
  static func common(_ a: DataType, _ b: DataType) -> DataType? {
    tightest(a, b) ?? promoted(a, b)
  }

  /// What a string becomes beside a value of another type.
  static func promoted(_ a: DataType, _ b: DataType) -> DataType? {
    guard (a == .string) != (b == .string) else { return nil }
    let other = a == .string ? b : a
    if other.isInteger { return .bigint }
    if other.isNumeric { return .double }
    switch other {
    case .boolean, .date, .timestamp: return other
    default: return nil
    }
  }

  /// The decimal that holds both; digits before the point are kept where 38 do not suffice.
  static func wider(_ a: DecimalType, _ b: DecimalType) -> DataType {
    let scale = max(a.scale, b.scale)
    let precision = max(a.precision - a.scale, b.precision - b.scale) + scale
    guard precision > DecimalType.maxPrecision else { return .decimal(precision: precision, scale: scale) }
    return .decimal(
      precision: DecimalType.maxPrecision, scale: max(0, scale - (precision - DecimalType.maxPrecision)))
  }

  /// Whether a cast of one type to another exists at all, whatever the value.
  static func canCast(_ from: DataType, to: DataType) -> Bool {
    if from == to || from == .null { return true }
    if from.isInterval || to.isInterval { return false }
    switch to {
    case .string: return true
    case .boolean: return from == .string || from.isNumeric
    case .date: return from == .string || from == .timestamp
    case .timestamp: return from == .string || from == .date || from.isNumeric
    case .null: return false
    default: return from == .string || from == .boolean || from.isNumeric || from == .timestamp
    }
  }

  /// Whether an argument of one type is accepted where a function wants another: what Spark also stores without a cast.
  static func canPass(_ from: DataType, as to: DataType) -> Bool {
    if from == to || from == .null || from == .string { return !to.isInterval || from == to || from == .null }
    switch to {
    case .string: return !from.isInterval
    case .date, .timestamp: return from == .date || from == .timestamp
    default: return from.isNumeric && to.isNumeric
    }
  }
}

/// Precision and scale of a DECIMAL.
struct DecimalType: Sendable, Hashable {
  static let maxPrecision = 38
  var precision: Int
  var scale: Int

  var dataType: DataType { .decimal(precision: precision, scale: scale) }

  /// The type of a calculation whose exact result would need this much; at least six digits are kept behind the point.
  private init(exactPrecision precision: Int, scale: Int) {
    if precision <= Self.maxPrecision {
      self.init(precision: precision, scale: scale)
    } else {
      let integerDigits = precision - scale
      self.init(
        precision: Self.maxPrecision, scale: max(Self.maxPrecision - integerDigits, min(scale, 6)))
    }
  }

  init(precision: Int, scale: Int) {
    self.precision = precision
    self.scale = scale
  }

  /// The type of a calculation with two decimals.
  static func result(of operation: Arithmetic, _ a: Self, _ b: Self) -> Self {
    let integerDigits = (a.precision - a.scale, b.precision - b.scale)
    let scale = max(a.scale, b.scale)
    switch operation {
    case .multiply:
      return Self(exactPrecision: a.precision + b.precision + 1, scale: a.scale + b.scale)
    case .divide:
      let scale = max(6, a.scale + b.precision + 1)
      return Self(exactPrecision: integerDigits.0 + b.scale + scale, scale: scale)
    case .remainder, .pmod:
      return Self(exactPrecision: min(integerDigits.0, integerDigits.1) + scale, scale: scale)
    default:
      return Self(exactPrecision: max(integerDigits.0, integerDigits.1) + scale + 1, scale: scale)
    }
  }

  /// The type of `round(x, digits)`, which may carry into one more digit.
  func rounded(to digits: Int) -> Self {
    let integerDigits = precision - scale + 1
    guard digits >= 0 else {
      return Self(
        precision: min(max(integerDigits, digits == .min ? Self.maxPrecision : 1 - digits), Self.maxPrecision), scale: 0
      )
    }
    let scale = min(scale, digits)
    return Self(precision: min(integerDigits + scale, Self.maxPrecision), scale: scale)
  }
}

/// The type of an expression, as Spark SQL names it.
public enum DataType: Sendable, Hashable {
  /// The type of a bare `NULL`.
  case null
  case boolean
  case tinyint
  case smallint
  case int
  case bigint
  case float
  case double
  /// An exact number of `precision` digits (1 to 38), `scale` of them after the point.
  case decimal(precision: Int, scale: Int)
  case string
  case date
  case timestamp
  case dayTimeInterval
  case yearMonthInterval

  /// The type that a column's values have in an expression.
  public init(_ type: FieldType) {
    switch type {
    case .string: self = .string
    case .integer: self = .bigint
    case .float: self = .double
    case .boolean: self = .boolean
    case .timestamp: self = .timestamp
    }
  }
}

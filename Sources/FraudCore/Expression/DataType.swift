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

extension DataType: CustomStringConvertible {
  /// The type's name in SQL, as in `DECIMAL(10,2)`.
  public var description: String {
    switch self {
    case .null: "NULL"
    case .boolean: "BOOLEAN"
    case .tinyint: "TINYINT"
    case .smallint: "SMALLINT"
    case .int: "INT"
    case .bigint: "BIGINT"
    case .float: "FLOAT"
    case .double: "DOUBLE"
    case .decimal(let precision, let scale): "DECIMAL(\(precision),\(scale))"
    case .string: "STRING"
    case .date: "DATE"
    case .timestamp: "TIMESTAMP"
    case .dayTimeInterval: "INTERVAL DAY TO SECOND"
    case .yearMonthInterval: "INTERVAL YEAR TO MONTH"
    }
  }
}

extension DataType {
  package var isInteger: Bool { integerWidth > 0 }

  /// Bytes of an integer type; 0 for others.
  package var integerWidth: Int {
    switch self {
    case .tinyint: 1
    case .smallint: 2
    case .int: 4
    case .bigint: 8
    default: 0
    }
  }

  package var isDecimal: Bool {
    if case .decimal = self { true } else { false }
  }

  package var isNumeric: Bool {
    isInteger || isDecimal || self == .float || self == .double
  }

  package var isInterval: Bool {
    self == .dayTimeInterval || self == .yearMonthInterval
  }

  /// The decimal that holds every value of an integer type, or the decimal itself.
  var asDecimal: DecimalType? {
    switch self {
    case .tinyint: DecimalType(precision: 3, scale: 0)
    case .smallint: DecimalType(precision: 5, scale: 0)
    case .int: DecimalType(precision: 10, scale: 0)
    case .bigint: DecimalType(precision: 20, scale: 0)
    case .decimal(let precision, let scale): DecimalType(precision: precision, scale: scale)
    default: nil
    }
  }
}

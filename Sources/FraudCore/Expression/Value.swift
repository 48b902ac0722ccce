/// One value of an expression. Its ``DataType`` is kept beside it by whoever holds it.
///
/// `==` tells whether two constants are the same one, not whether SQL calls them equal: `-0.0` differs from `0.0`, a NaN
/// equals itself.
package enum Value: Sendable, Hashable {
  case null
  case boolean(Bool)
  /// Every integer type; DATE as days and TIMESTAMP as microseconds since 1970; intervals as microseconds or months.
  case integer(Int64)
  /// FLOAT (already rounded to 32 bits) and DOUBLE.
  case double(Double)
  /// The unscaled value of a DECIMAL; its scale is in the type.
  case decimal(Int128)
  /// UTF-8 text.
  case string([UInt8])

  package static func == (a: Value, b: Value) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.boolean(let a), .boolean(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b
    case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern
    case (.decimal(let a), .decimal(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .null: break
    case .boolean(let value): hasher.combine(value)
    case .integer(let value): hasher.combine(value)
    case .double(let value): hasher.combine(value.bitPattern)
    case .decimal(let value): hasher.combine(value)
    case .string(let value): hasher.combine(value)
    }
  }
}

/// One value of an expression. Its ``DataType`` is kept beside it by whoever holds it.
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
}

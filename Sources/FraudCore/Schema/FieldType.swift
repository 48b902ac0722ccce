/// The type of a column: what a field, feature or model output holds.
public enum FieldType: String, Sendable, Hashable, CaseIterable {
  /// UTF-8 text, compared by code point.
  case string
  /// A signed 64-bit integer.
  case integer
  /// An IEEE 754 double.
  case float
  /// True or false.
  case boolean
  /// An instant in microseconds since 1970-01-01T00:00:00Z.
  case timestamp
}

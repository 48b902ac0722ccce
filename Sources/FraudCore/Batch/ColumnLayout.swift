/// One column of a batch: a field of the schema, or something the engine computes.
public struct ColumnDescription: Sendable, Hashable {
  /// Where a column's values come from.
  public enum Origin: Sendable, Hashable {
    case field
    case feature
    case derived
    case model
  }

  /// The name, which rules find in any case.
  public var name: String
  /// What its values are.
  public var type: FieldType
  /// Whether a row may have no value.
  public var nullable: Bool
  /// Where its values come from.
  public var origin: Origin

  /// Describes a column.
  public init(name: String, type: FieldType, nullable: Bool, origin: Origin) {
    self.name = name
    self.type = type
    self.nullable = nullable
    self.origin = origin
  }
}

/// The names and types of a batch's columns: the schema's fields in order, then every computed column.
///
/// Expressions, features and models refer to columns by their index here.
public struct ColumnLayout: Sendable, Hashable {
  /// The fields, then what is computed.
  public let columns: [ColumnDescription]
  /// How many of the first columns are decoded from the event.
  public let fieldCount: Int
  private let indices: [String: Int]

  /// Lays out a schema's fields and what is computed from them. Names must be unique without regard to case.
  public init(schema: Schema, computed: [ColumnDescription] = []) {
    columns =
      schema.fields.map {
        ColumnDescription(
          name: $0.name, type: $0.type, nullable: $0.nullable && $0.defaultValue == nil, origin: .field)
      } + computed
    fieldCount = schema.fields.count
    var indices: [String: Int] = [:]
    for (index, column) in columns.enumerated() where indices[column.name.lowercased()] == nil {
      indices[column.name.lowercased()] = index
    }
    self.indices = indices
  }

  /// The index of a column by name, in any case.
  public func index(of name: String) -> Int? {
    indices[name.lowercased()]
  }
}

package import FraudCore

/// A column of a file that is written.
package struct ParquetColumn: Sendable, Hashable {
  package var name: String
  package var type: FieldType
  package var nullable: Bool
  /// Whether a bloom filter is written, for readers that look for single values. Not for booleans.
  package var bloomFilter: Bool

  /// Describes a column.
  package init(name: String, type: FieldType, nullable: Bool, bloomFilter: Bool = false) {
    self.name = name
    self.type = type
    self.nullable = nullable
    self.bloomFilter = bloomFilter
  }

  var physicalType: PhysicalType {
    switch type {
    case .string: .byteArray
    case .integer, .timestamp: .int64
    case .float: .double
    case .boolean: .boolean
    }
  }

  var schemaElement: SchemaElement {
    var element = SchemaElement(type: physicalType, repetition: nullable ? .optional : .required, name: name)
    switch type {
    case .string: (element.convertedType, element.logicalType) = (.utf8, .string)
    case .timestamp:
      (element.convertedType, element.logicalType) = (
        .timestampMicroseconds, .timestamp(.microseconds, isUTC: true)
      )
    case .integer, .float, .boolean: break
    }
    return element
  }
}

/// A column of a file that is read: a leaf of its schema.
package struct ParquetLeaf: Sendable {
  /// What a column's values mean to us.
  package enum Meaning: Sendable, Hashable {
    case boolean
    /// Of so many bits; INT64 holds what does not fit as negative numbers where it is unsigned.
    case integer(isSigned: Bool)
    case float
    /// In an Int64, microseconds times `multiplier` or nanoseconds over `divisor`, whichever is not 1.
    case timestamp(multiplier: Int64, divisor: Int64, isUTC: Bool)
    case date
    case time(multiplier: Int64, divisor: Int64)
    case decimal(scale: Int)
    case text
    case bytes
    case float16
  }

  /// The path from the root, joined by dots; a flat column's name.
  package let name: String
  package let meaning: Meaning
  /// Whether it stands right below the root and is not repeated. Others can be counted, not read.
  package let isFlat: Bool
  package let isNullable: Bool
  let path: [String]
  let physicalType: PhysicalType
  /// Bytes of a value of fixed length.
  let typeLength: Int

  /// The leaves of a schema, in order.
  static func leaves(of schema: [SchemaElement]) throws(StoreError) -> [ParquetLeaf] {
    guard let root = schema.first, root.type == nil else { throw .corrupt("the schema has no root") }
    var leaves: [ParquetLeaf] = []
    /// Groups that are open, with how many children each still waits for.
    var open: [(name: String, childrenLeft: Int32)] = [("", root.childCount)]
    guard root.childCount >= 0 else { throw .corrupt("a negative number of columns") }
    for element in schema.dropFirst() {
      while let last = open.last, last.childrenLeft == 0 { open.removeLast() }
      guard !open.isEmpty else { throw .corrupt("the schema has more columns than it says") }
      open[open.count - 1].childrenLeft -= 1
      let path = open.dropFirst().map(\.name) + [element.name]
      if element.type != nil {
        leaves.append(try ParquetLeaf(element, path: path))
      } else {
        guard element.childCount >= 0, open.count < 100 else {
          throw .corrupt("the schema has a group of \(element.childCount) columns, or too deep a one")
        }
        open.append((element.name, element.childCount))
      }
    }
    guard open.allSatisfy({ $0.childrenLeft == 0 }) else {
      throw .corrupt("the schema has fewer columns than it says")
    }
    return leaves
  }

  private init(_ element: SchemaElement, path: [String]) throws(StoreError) {
    guard let physicalType = element.type else { throw .corrupt("a column without a type") }
    self.path = path
    self.physicalType = physicalType
    name = path.joined(separator: ".")
    isFlat = path.count == 1 && element.repetition != .repeated
    isNullable = element.repetition == .optional
    if physicalType == .fixedLengthByteArray {
      guard (1...1 << 20).contains(element.typeLength) else {
        throw .corrupt("column '\(path.joined(separator: "."))' has values of \(element.typeLength) bytes")
      }
    }
    typeLength = Int(element.typeLength)
    meaning = Self.meaning(element, physicalType)
  }

  /// What an annotation says, where it fits the physical type; else what the plain type says.
  private static func meaning(_ element: SchemaElement, _ type: PhysicalType) -> Meaning {
    switch type {
    case .boolean: return .boolean
    case .float, .double: return .float
    case .int96: return .timestamp(multiplier: 1, divisor: 1, isUTC: true)
    case .int32:
      switch (element.logicalType, element.convertedType) {
      case (.date, _), (nil, .date): return .date
      case (.time(.milliseconds), _), (nil, .timeMilliseconds): return .time(multiplier: 1_000, divisor: 1)
      case (.decimal(let scale, _), _): return decimal(scale, else: .integer(isSigned: true))
      case (nil, .decimal): return decimal(element.scale, else: .integer(isSigned: true))
      case (.integer(_, let isSigned), _): return .integer(isSigned: isSigned)
      case (nil, .uint8), (nil, .uint16), (nil, .uint32): return .integer(isSigned: false)
      default: return .integer(isSigned: true)
      }
    case .int64:
      switch (element.logicalType, element.convertedType) {
      case (.timestamp(let unit, let isUTC), _):
        let (multiplier, divisor) = factors(unit)
        return .timestamp(multiplier: multiplier, divisor: divisor, isUTC: isUTC)
      case (nil, .timestampMilliseconds): return .timestamp(multiplier: 1_000, divisor: 1, isUTC: true)
      case (nil, .timestampMicroseconds): return .timestamp(multiplier: 1, divisor: 1, isUTC: true)
      case (.time(let unit), _):
        let (multiplier, divisor) = factors(unit)
        return .time(multiplier: multiplier, divisor: divisor)
      case (nil, .timeMicroseconds): return .time(multiplier: 1, divisor: 1)
      case (.decimal(let scale, _), _): return decimal(scale, else: .integer(isSigned: true))
      case (nil, .decimal): return decimal(element.scale, else: .integer(isSigned: true))
      case (.integer(_, let isSigned), _): return .integer(isSigned: isSigned)
      case (nil, .uint64): return .integer(isSigned: false)
      default: return .integer(isSigned: true)
      }
    case .byteArray, .fixedLengthByteArray:
      switch (element.logicalType, element.convertedType) {
      case (.string, _), (.enum, _), (.json, _), (nil, .utf8), (nil, .enum), (nil, .json): return .text
      case (.decimal(let scale, _), _): return decimal(scale, else: .bytes)
      case (nil, .decimal): return decimal(element.scale, else: .bytes)
      case (.float16, _) where type == .fixedLengthByteArray && element.typeLength == 2: return .float16
      default: return .bytes
      }
    }
  }

  private static func decimal(_ scale: Int32, else plain: Meaning) -> Meaning {
    // The format allows up to the precision, which no sane file has above 76.
    (0...76).contains(scale) ? .decimal(scale: Int(scale)) : plain
  }

  private static func factors(_ unit: TimeUnit) -> (Int64, Int64) {
    switch unit {
    case .milliseconds: (1_000, 1)
    case .microseconds: (1, 1)
    case .nanoseconds: (1, 1_000)
    }
  }
}

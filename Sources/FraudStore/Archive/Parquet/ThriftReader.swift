/// Reads Thrift's compact protocol, the form of all of Parquet's metadata, from bytes that nobody vouches for.
///
/// A structure is read by asking for its fields until there are none, taking those that are known and skipping the rest:
///
///     try reader.structure { field, reader throws(StoreError) in
///       switch field.id {
///       case 1: version = try reader.int32(field)
///       default: try reader.skip(field.type)
///       }
///     }
///
/// Every read is checked against the end, a list against the bytes that its elements need at least, and nesting against
/// ``depthLimit``. What a field holds is checked against the type that its reader expects.
///
/// Source: thrift-compact-protocol.md of Apache Thrift.
struct ThriftReader {
  enum WireType: UInt8 {
    case stop = 0
    case booleanTrue
    case booleanFalse
    case int8
    case int16
    case int32
    case int64
    case double
    case binary
    case list
    case set
    case map
    case structure
    case uuid
  }

  struct FieldHeader {
    let id: Int32
    let type: WireType
  }

  /// Nesting that Parquet's metadata stays far below.
  static let depthLimit = 32

  private let bytes: [UInt8]
  /// Where the next byte is read.
  private(set) var position: Int
  private let end: Int
  private var depth = 0

  /// Reads `range` of `bytes`.
  init(_ bytes: [UInt8], in range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  // MARK: Structures

  mutating func structure(
    _ read: (FieldHeader, inout ThriftReader) throws(StoreError) -> Void
  ) throws(StoreError) {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw .corrupt("metadata nested deeper than \(Self.depthLimit)") }
    var id: Int32 = 0
    while true {
      let head = try byte()
      if head == 0 { return }
      let type = try wireType(head & 15)
      if head >> 4 == 0 {
        id = Int32(truncatingIfNeeded: try zigZag())
      } else {
        id = id &+ Int32(head >> 4)
      }
      try read(FieldHeader(id: id, type: type), &self)
    }
  }

  /// Reads a list's elements one by one; `read` must take exactly one element each time.
  mutating func list(
    _ field: FieldHeader, of element: WireType, _ read: (inout ThriftReader) throws(StoreError) -> Void
  ) throws(StoreError) {
    try expect(field.type == .list || field.type == .set, "a list")
    let (type, count) = try listHeader()
    let booleans = element == .booleanTrue && type == .booleanFalse
    try expect(type == element || booleans || count == 0, "a list of another type")
    for _ in 0..<count { try read(&self) }
  }

  /// Passes over a value of any type.
  mutating func skip(_ type: WireType) throws(StoreError) {
    switch type {
    case .stop, .booleanTrue, .booleanFalse: return
    case .int8: try advance(1)
    case .int16, .int32, .int64: _ = try varint()
    case .double: try advance(8)
    case .uuid: try advance(16)
    case .binary: try advance(try length())
    case .structure:
      try structure { field, reader throws(StoreError) in try reader.skip(field.type) }
    case .list, .set:
      let (type, count) = try listHeader()
      try skipElements(type, count: count)
    case .map:
      let count = try length()
      guard count > 0 else { return }
      let types = try byte()
      let (key, value) = (try wireType(types >> 4), try wireType(types & 15))
      depth += 1
      defer { depth -= 1 }
      try expect(depth <= Self.depthLimit, "a shallower map")
      for _ in 0..<count {
        try skipElement(key)
        try skipElement(value)
      }
    }
  }

  private mutating func skipElements(_ type: WireType, count: Int) throws(StoreError) {
    depth += 1
    defer { depth -= 1 }
    try expect(depth <= Self.depthLimit, "a shallower list")
    for _ in 0..<count { try skipElement(type) }
  }

  private mutating func skipElement(_ type: WireType) throws(StoreError) {
    // In a container a boolean is a byte of its own.
    if type == .booleanTrue || type == .booleanFalse { try advance(1) } else { try skip(type) }
  }

  // MARK: Values

  func boolean(_ field: FieldHeader) throws(StoreError) -> Bool {
    try expect(field.type == .booleanTrue || field.type == .booleanFalse, "a boolean")
    return field.type == .booleanTrue
  }

  mutating func booleanElement() throws(StoreError) -> Bool {
    try byte() == 1
  }

  mutating func int8(_ field: FieldHeader) throws(StoreError) -> Int8 {
    try expect(field.type == .int8, "an 8-bit integer")
    return Int8(bitPattern: try byte())
  }

  mutating func int32(_ field: FieldHeader) throws(StoreError) -> Int32 {
    guard let value = Int32(exactly: try int64(field)) else {
      throw .corrupt("a number beyond 32 bits in the metadata")
    }
    return value
  }

  mutating func int32Element() throws(StoreError) -> Int32 {
    guard let value = Int32(exactly: try zigZag()) else { throw .corrupt("a number beyond 32 bits in the metadata") }
    return value
  }

  /// An integer of any declared width: writers have been seen to differ.
  mutating func int64(_ field: FieldHeader) throws(StoreError) -> Int64 {
    if field.type == .int8 { return Int64(try int8(field)) }
    try expect(field.type == .int16 || field.type == .int32 || field.type == .int64, "an integer")
    return try zigZag()
  }

  mutating func int64Element() throws(StoreError) -> Int64 {
    try zigZag()
  }

  mutating func binary(_ field: FieldHeader) throws(StoreError) -> [UInt8] {
    try expect(field.type == .binary, "bytes")
    return try binaryElement()
  }

  mutating func binaryElement() throws(StoreError) -> [UInt8] {
    let count = try length()
    let start = position
    try advance(count)
    return Array(bytes[start..<start + count])
  }

  /// Text; what is not UTF-8 is repaired, since names and notes are only shown and compared.
  mutating func string(_ field: FieldHeader) throws(StoreError) -> String {
    String(decoding: try binary(field), as: UTF8.self)
  }

  mutating func stringElement() throws(StoreError) -> String {
    String(decoding: try binaryElement(), as: UTF8.self)
  }

  // MARK: Bytes

  private mutating func byte() throws(StoreError) -> UInt8 {
    guard position < end else { throw .corrupt("the metadata ends in the middle") }
    defer { position += 1 }
    return bytes[position]
  }

  private mutating func advance(_ count: Int) throws(StoreError) {
    guard count <= end - position else { throw .corrupt("the metadata ends in the middle") }
    position += count
  }

  private mutating func varint() throws(StoreError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = try byte()
      value |= UInt64(next & 0x7F) << shift
      if next < 0x80 { return value }
      shift += 7
      guard shift < 64 else { throw .corrupt("a number of more than 64 bits in the metadata") }
    }
  }

  private mutating func zigZag() throws(StoreError) -> Int64 {
    let raw = try varint()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  private mutating func length() throws(StoreError) -> Int {
    let count = try varint()
    guard count <= UInt64(end - position) else { throw .corrupt("a length beyond the end of the metadata") }
    return Int(count)
  }

  private mutating func listHeader() throws(StoreError) -> (WireType, Int) {
    let head = try byte()
    let type = try wireType(head & 15)
    // An element takes a byte at least, so a count is bounded by what is left.
    let count = head >> 4 == 15 ? try length() : Int(head >> 4)
    guard count <= end - position else { throw .corrupt("a list beyond the end of the metadata") }
    return (type, count)
  }

  private func wireType(_ code: UInt8) throws(StoreError) -> WireType {
    guard let type = WireType(rawValue: code), type != .stop else {
      throw .corrupt("unknown type \(code) in the metadata")
    }
    return type
  }

  private func expect(_ condition: Bool, _ what: String) throws(StoreError) {
    guard condition else { throw .corrupt("the metadata does not hold \(what) where it should, near byte \(position)") }
  }
}

/// Writes Thrift's compact protocol. Fields of a structure must come in ascending order of their ids.
struct ThriftWriter {
  private(set) var bytes: [UInt8] = []
  private var lastID: Int32 = 0

  /// Writes a whole structure, its stop byte included, as a field's value or on its own.
  mutating func structure(_ write: (inout ThriftWriter) -> Void) {
    let outer = lastID
    lastID = 0
    write(&self)
    bytes.append(0)
    lastID = outer
  }

  mutating func structure(_ id: Int32, _ write: (inout ThriftWriter) -> Void) {
    header(id, .structure)
    structure(write)
  }

  mutating func boolean(_ id: Int32, _ value: Bool) {
    header(id, value ? .booleanTrue : .booleanFalse)
  }

  mutating func int8(_ id: Int32, _ value: Int8) {
    header(id, .int8)
    bytes.append(UInt8(bitPattern: value))
  }

  mutating func int16(_ id: Int32, _ value: Int16) {
    header(id, .int16)
    zigZag(Int64(value))
  }

  mutating func int32(_ id: Int32, _ value: Int32) {
    header(id, .int32)
    zigZag(Int64(value))
  }

  mutating func int64(_ id: Int32, _ value: Int64) {
    header(id, .int64)
    zigZag(value)
  }

  mutating func binary(_ id: Int32, _ value: some Collection<UInt8>) {
    header(id, .binary)
    binaryElement(value)
  }

  mutating func list<Element>(
    _ id: Int32, of type: ThriftReader.WireType, _ values: [Element],
    _ write: (inout ThriftWriter, Element) -> Void
  ) {
    header(id, .list)
    if values.count < 15 {
      bytes.append(UInt8(values.count) << 4 | type.rawValue)
    } else {
      bytes.append(0xF0 | type.rawValue)
      varint(UInt64(values.count))
    }
    for value in values { write(&self, value) }
  }

  // MARK: Elements of lists

  mutating func booleanElement(_ value: Bool) {
    bytes.append(value ? 1 : 2)
  }

  mutating func int32Element(_ value: Int32) {
    zigZag(Int64(value))
  }

  mutating func int64Element(_ value: Int64) {
    zigZag(value)
  }

  mutating func binaryElement(_ value: some Collection<UInt8>) {
    varint(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  private mutating func header(_ id: Int32, _ type: ThriftReader.WireType) {
    let delta = id - lastID
    precondition(delta > 0, "field \(id) after \(lastID)")
    if delta <= 15 {
      bytes.append(UInt8(delta) << 4 | type.rawValue)
    } else {
      bytes.append(type.rawValue)
      zigZag(Int64(id))
    }
    lastID = id
  }

  private mutating func zigZag(_ value: Int64) {
    varint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63))
  }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Where an event's batch comes from: one partition of one topic, or one file.
public struct EventSource: Sendable, Hashable {
  /// The topic, or the file's base name.
  public var topic: String
  /// Tells a topic from an earlier one of the same name; 0 for files.
  public var generation: String
  /// The partition's number.
  public var partition: Int32

  /// Names a partition of a topic. Files use the base name, generation "0" and partition 0.
  public init(topic: String, generation: String = "0", partition: Int32 = 0) {
    self.topic = topic
    self.generation = generation
    self.partition = partition
  }
}

/// One event's place: in its source, and in the batch's bytes.
public struct EventPosition: Sendable, Hashable {
  /// The offset in the partition, or the record number from 0 in a file.
  public var offset: Int64
  /// The line of a file, from 1; 0 where there are no lines.
  public var line: Int64
  /// The record's timestamp in microseconds since 1970, or `nil` where the source has none.
  public var timestamp: Int64?
  /// Where the message starts in ``EventBatch/bytes``, and how many bytes it has.
  public var start: Int
  /// How many bytes the message has.
  public var count: Int

  /// Makes a position.
  public init(offset: Int64, line: Int64 = 0, timestamp: Int64? = nil, start: Int, count: Int) {
    self.offset = offset
    self.line = line
    self.timestamp = timestamp
    self.start = start
    self.count = count
  }
}

/// A string column's value: a slice of ``EventBatch/bytes``.
///
/// Its word in the batch holds the offset in the low and the byte count in the high 32 bits.
public struct TextSlice: Sendable, Hashable {
  /// The packed form.
  public var word: UInt64

  /// Takes the packed form.
  @inlinable
  public init(word: UInt64) { self.word = word }

  /// A slice of `count` bytes from `offset`.
  @inlinable
  public init(offset: Int, count: Int) {
    word = UInt64(truncatingIfNeeded: offset) & 0xFFFF_FFFF | UInt64(truncatingIfNeeded: count) << 32
  }

  /// Where the slice starts.
  @inlinable
  public var offset: Int { Int(truncatingIfNeeded: word & 0xFFFF_FFFF) }
  /// How many bytes it has.
  @inlinable
  public var count: Int { Int(truncatingIfNeeded: word >> 32) }
  /// Where its bytes lie.
  @inlinable
  public var range: Range<Int> { offset..<(offset + count) }
}

/// Up to ``Limits/batchRows`` events of one schema as typed columns in flat memory.
///
/// Every column is `stride` 64-bit words: row `r` of column `c` is `words[c * stride + r]`, holding an `Int64`
/// (`integer`, and `timestamp` in microseconds), a double's bit pattern (`float`) or a ``TextSlice`` (`string`). A
/// `boolean` column holds one bit a row instead: bit `r % 64` of `words[c * stride + r / 64]`. Validity is one bit a row:
/// bit `r % 64` of `validity[c * bitmapStride + r / 64]`, 1 where there is a value. A NULL row's word is 0 (an empty
/// slice, a zero), and bits beyond `rowCount` are 0, so kernels may run over whole words.
///
/// `bytes` holds the messages as they came and, after them, strings that had to be unescaped; it always ends with
/// ``padding`` readable bytes, so that a kernel may load 32 bytes from any slice's start.
public struct EventBatch: Sendable {
  /// Readable bytes after the last one in use.
  public static let padding = 64

  /// The columns, in order.
  public let layout: ColumnLayout
  /// Words a column has: the rows it can hold, rounded up to a whole bitmap word.
  public let stride: Int
  /// Words a bitmap has.
  public let bitmapStride: Int
  /// Rows the batch can hold.
  public let capacity: Int

  /// Where the events come from.
  public package(set) var source: EventSource
  /// Rows in use.
  public package(set) var rowCount = 0
  package var words: [UInt64]
  package var validity: [UInt64]
  package var bytes: [UInt8]
  package var positions: [EventPosition]
  /// Bytes of messages, behind which unescaped text stands.
  package var messageBytes = 0
  /// Whether the messages are JSON objects, so that an event can be shown as it came.
  package var holdsJSON = true

  /// An empty batch.
  ///
  /// - Parameter capacity: rows it can hold, 1 to ``Limits/batchRows``.
  public init(layout: ColumnLayout, source: EventSource, capacity: Int = Limits.batchRows) {
    precondition(
      (1...Limits.batchRows).contains(capacity), "a batch holds 1 to \(Limits.batchRows) rows, not \(capacity)")
    self.layout = layout
    self.source = source
    self.capacity = capacity
    bitmapStride = (capacity + 63) / 64
    stride = capacity == 1 ? 1 : bitmapStride * 64
    words = [UInt64](repeating: 0, count: layout.columns.count * stride)
    validity = [UInt64](repeating: 0, count: layout.columns.count * bitmapStride)
    bytes = [UInt8](repeating: 0, count: Self.padding)
    positions = []
    positions.reserveCapacity(capacity)
  }

  /// Whether a row of a column holds a value.
  public func isValid(column: Int, row: Int) -> Bool {
    validity[column * bitmapStride + row >> 6] >> UInt64(row & 63) & 1 == 1
  }

  /// The word of a row of an `integer`, `float`, `timestamp` or `string` column.
  package func word(column: Int, row: Int) -> UInt64 {
    words[column * stride + row]
  }

  /// One value, or `nil` where it is NULL. For looking at results; kernels read whole columns.
  public func value(column: Int, row: Int) -> FieldValue? {
    precondition(row < rowCount, "row \(row) of \(rowCount)")
    guard isValid(column: column, row: row) else { return nil }
    switch layout.columns[column].type {
    case .integer: return .integer(Int64(bitPattern: word(column: column, row: row)))
    case .timestamp: return .timestamp(Int64(bitPattern: word(column: column, row: row)))
    case .float: return .float(Double(bitPattern: word(column: column, row: row)))
    case .boolean: return .boolean(words[column * stride + row >> 6] >> UInt64(row & 63) & 1 == 1)
    case .string:
      let slice = TextSlice(word: word(column: column, row: row))
      return .string(String(decoding: bytes[slice.range], as: UTF8.self))
    }
  }
}

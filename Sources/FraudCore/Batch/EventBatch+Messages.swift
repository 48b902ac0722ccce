/// How messages come into a batch before they are decoded.
///
/// A message waits as a position without a row. Decoding turns waiting messages into rows and drops those it rejects.
extension EventBatch {
  /// Bytes in use: messages, and behind them unescaped text.
  package var byteCount: Int { bytes.count - Self.padding }

  /// Forgets rows, messages and text, and keeps the memory.
  package mutating func removeAll() {
    rowCount = 0
    positions.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
    messageBytes = 0
    appendPadding()
  }

  /// Whether a message of this many bytes still fits.
  package func hasRoom(forMessageOf count: Int) -> Bool {
    positions.count < capacity && count < Limits.batchTextBytes / 2 - bytes.count
  }

  /// Adds a message that waits for decoding. Precondition: ``hasRoom(forMessageOf:)``.
  package mutating func append(message: Span<UInt8>, offset: Int64, line: Int64 = 0, timestamp: Int64? = nil) {
    precondition(hasRoom(forMessageOf: message.count), "no room for a message of \(message.count) bytes")
    bytes.removeLast(Self.padding)
    let start = bytes.count
    // One copy of known length; the pointer does not leave the closure.
    unsafe message.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    // A control character behind every message stops scanners at its end.
    bytes.append(UInt8(ascii: "\n"))
    messageBytes = bytes.count
    appendPadding()
    positions.append(
      EventPosition(offset: offset, line: line, timestamp: timestamp, start: start, count: message.count))
  }

  /// Adds a message without payload, which will be rejected as `tombstone`.
  package mutating func appendTombstone(offset: Int64, timestamp: Int64? = nil) {
    precondition(hasRoom(forMessageOf: 0), "the batch is full")
    positions.append(
      EventPosition(offset: offset, timestamp: timestamp, start: messageBytes, count: Self.tombstone))
  }

  /// The count of a position that stands for a message without payload.
  static let tombstone = -1

  /// Makes the bytes end with readable ones.
  package mutating func appendPadding() {
    bytes.append(contentsOf: repeatElement(0, count: Self.padding))
  }

  /// Appends text behind the messages.
  mutating func append(text: [UInt8]) {
    if text.isEmpty { return }
    bytes.removeLast(Self.padding)
    bytes.append(contentsOf: text)
    appendPadding()
  }

  /// Drops text that an earlier decoding appended behind the messages.
  mutating func removeText() {
    if byteCount == messageBytes { return }
    bytes.removeLast(bytes.count - messageBytes)
    appendPadding()
  }
}

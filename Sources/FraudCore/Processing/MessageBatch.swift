/// The messages of one poll: their bytes in one buffer, their places beside it.
///
/// The owner makes one batch and hands it to every poll, which empties and refills it, so that memory is allocated
/// once.
public struct MessageBatch: Sendable {
  /// One message's place in its partition and in ``MessageBatch/bytes``.
  public struct Message: Sendable, Hashable {
    /// The message's place in its partition.
    public var offset: Int64
    /// Milliseconds since 1970, by the producer's or the broker's clock as the topic is set; `nil` where the message
    /// has none.
    public var timestampMilliseconds: Int64?
    /// Where the key's bytes lie; `nil` where there is no key.
    public var key: Range<Int>?
    /// Where the value's bytes lie; `nil` for a tombstone.
    public var value: Range<Int>?
  }

  /// Consecutive messages of one partition, in the order of their offsets.
  public struct Run: Sendable, Hashable {
    /// Where the messages come from.
    public var partition: TopicPartition
    /// Indices into ``MessageBatch/messages``.
    public var messages: Range<Int>
  }

  /// Messages a batch takes at most.
  public let messagesMax: Int
  /// Bytes of keys and values after which a batch takes no further message. A single message may exceed it.
  public let bytesMax: Int
  /// Every message in the order of arrival.
  public private(set) var messages: [Message] = []
  /// The messages by partition. A partition may have several runs.
  public private(set) var runs: [Run] = []
  /// Keys and values, one after the other.
  public private(set) var bytes: [UInt8] = []

  /// An empty batch.
  public init(messagesMax: Int = 1_024, bytesMax: Int = 4 << 20) {
    precondition(messagesMax > 0 && bytesMax > 0, "a batch of \(messagesMax) messages and \(bytesMax) bytes")
    self.messagesMax = messagesMax
    self.bytesMax = bytesMax
    messages.reserveCapacity(messagesMax)
  }

  /// Whether it holds no message.
  public var isEmpty: Bool { messages.isEmpty }
  /// Whether it takes no further message.
  public var isFull: Bool { messages.count >= messagesMax || bytes.count >= bytesMax }

  /// Adds a message, for sources of one's own. The messages of a partition come in the order of their offsets.
  ///
  /// - Parameters:
  ///   - value: the event; `nil` is a tombstone.
  ///   - timestampMilliseconds: since 1970, where the source has one.
  public mutating func append(
    _ value: Span<UInt8>?, key: Span<UInt8>? = nil, of partition: TopicPartition, offset: Int64,
    timestampMilliseconds: Int64? = nil
  ) {
    if runs.last?.partition != partition { beginRun(partition) }
    let keyRange: Range<Int>? = if let key { appendBytes(key) } else { nil }
    let valueRange: Range<Int>? = if let value { appendBytes(value) } else { nil }
    messages.append(
      Message(offset: offset, timestampMilliseconds: timestampMilliseconds, key: keyRange, value: valueRange))
    runs[runs.count - 1].messages = runs[runs.count - 1].messages.lowerBound..<messages.count
  }

  private mutating func appendBytes(_ more: Span<UInt8>) -> Range<Int> {
    let start = bytes.count
    // One copy of known length; the pointer does not leave the closure.
    unsafe more.withUnsafeBufferPointer { unsafe bytes.append(contentsOf: $0) }
    return start..<bytes.count
  }

  /// Empties the batch. A buffer that one large message has grown is given back.
  public mutating func removeAll() {
    messages.removeAll(keepingCapacity: true)
    runs.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: bytes.capacity <= 2 * bytesMax)
  }

  /// Adds a message of a partition that is not that of the last run.
  package mutating func beginRun(_ partition: TopicPartition) {
    runs.append(Run(partition: partition, messages: messages.count..<messages.count))
  }

  /// Adds a message to the last run.
  package mutating func append(
    offset: Int64, timestampMilliseconds: Int64?, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?
  ) {
    let keyRange = unsafe key.map { unsafe appendBytes($0) }
    let valueRange = unsafe value.map { unsafe appendBytes($0) }
    messages.append(
      Message(offset: offset, timestampMilliseconds: timestampMilliseconds, key: keyRange, value: valueRange))
    runs[runs.count - 1].messages = runs[runs.count - 1].messages.lowerBound..<messages.count
  }

  private mutating func appendBytes(_ more: UnsafeRawBufferPointer) -> Range<Int> {
    let start = bytes.count
    unsafe bytes.append(contentsOf: more)
    return start..<bytes.count
  }
}

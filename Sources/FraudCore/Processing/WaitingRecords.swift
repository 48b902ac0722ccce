/// A record that was read and waits for its turn behind records that are taken one by one.
struct WaitingRecord {
  let offset: Int64
  let timestamp: Int64?
  var value: [UInt8]?
  /// Whether it is taken alone itself, as what the former owner may have died with.
  let isAlone: Bool
}

/// The records of one topic and partition that wait while it is processed with care, oldest first.
struct WaitingRecords {
  private var records: [WaitingRecord] = []
  private var start = 0
  /// Bytes of the records.
  private(set) var byteCount = 0

  var count: Int { records.count - start }
  var isEmpty: Bool { start == records.count }
  var first: WaitingRecord? { isEmpty ? nil : records[start] }
  var last: WaitingRecord? { records.last }

  mutating func append(_ message: MessageBatch.Message, bytes: Span<UInt8>, isAlone: Bool) {
    let value = message.value.map { range in
      unsafe bytes.extracting(range).withUnsafeBufferPointer { unsafe Array($0) }
    }
    records.append(
      WaitingRecord(
        offset: message.offset, timestamp: PartitionWorker.microseconds(message.timestampMilliseconds), value: value,
        isAlone: isAlone))
    byteCount += value?.count ?? 0
  }

  /// - Complexity: O(1), amortised.
  mutating func popFirst() -> WaitingRecord? {
    guard let record = first else { return nil }
    records[start].value = nil
    start += 1
    byteCount -= record.value?.count ?? 0
    if 2 * start >= records.count {
      records.removeFirst(start)
      start = 0
    }
    return record
  }
}

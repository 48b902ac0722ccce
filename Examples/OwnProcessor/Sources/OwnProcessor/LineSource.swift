import FraudCore

/// A source of one's own: lines of text, one partition. A queue or a socket would be read in the same way.
///
/// A source only hands out records from the offset that it is told; what was processed is the committer's business.
struct LineSource: RecordSource {
  let partition = TopicPartition(topic: "lines", partition: 0)
  private let lines: [String]
  private var next: Int?
  private var wasOffered = false
  private var isPaused = false

  init(_ lines: [String]) { self.lines = lines }

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    guard let start = next else {
      // The processor answers with `assign`, once it owns the partition.
      defer { wasOffered = true }
      return wasOffered ? nil : .assigned([partition])
    }
    if isPaused { return nil }
    var index = start
    while index < lines.count, !batch.isFull {
      batch.append(Array(lines[index].utf8).span, of: partition, offset: Int64(index))
      index += 1
    }
    next = index
    return index == lines.count ? .reachedEnd(partition, offset: Int64(index)) : nil
  }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    switch starts[partition] {
    case .at(let offset): next = Int(offset)
    case .beginning: next = 0
    case .end: next = lines.count
    case nil: next = nil
    }
  }

  mutating func unassign() throws { next = nil }
  mutating func pause(_ partitions: [TopicPartition]) throws { isPaused = true }
  mutating func resume(_ partitions: [TopicPartition]) throws { isPaused = false }
  mutating func earliestOffset(of partition: TopicPartition) throws -> Int64 { 0 }
  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

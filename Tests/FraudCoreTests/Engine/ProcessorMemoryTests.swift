import Testing

@testable import FraudCore

/// Records without end, of a size, until it is paused.
private struct EndlessSource: RecordSource {
  let recordBytes: Int
  /// The first one has the records, of the others comes nothing.
  var topics = ["t"]
  var next: Int64 = 0
  var isAssigned = false
  var isPaused = false
  var pollCount = 0

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    pollCount += 1
    let partition = TopicPartition(topic: "t", partition: 0)
    if !isAssigned {
      isAssigned = true
      return .assigned(topics.map { TopicPartition(topic: $0, partition: 0) })
    }
    guard !isPaused else { return nil }
    let text = #"{"amount": 1, "note": "\#(String(repeating: "x", count: recordBytes))"}"#
    let record = Array(text.utf8)
    while !batch.isFull {
      batch.append(record.span, of: partition, offset: next)
      next += 1
    }
    return nil
  }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    if case .at(let offset)? = starts.values.first { next = offset }
    isPaused = false
  }
  mutating func unassign() throws {}
  mutating func pause(_ partitions: [TopicPartition]) throws { isPaused = true }
  mutating func resume(_ partitions: [TopicPartition]) throws { isPaused = false }
  mutating func earliestOffset(of partition: TopicPartition) throws -> Int64 { 0 }
  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

/// A store that is away until it is told otherwise.
private struct AwayStore: Committer {
  struct Away: CommitFailure {
    let isRetryable = true
    let isFenced = false
  }

  var isAway = false
  /// How many owners went without a word.
  var crashCount = 0
  var largestCommit: Int64 = 0

  func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    PartitionProgress(untouched: source, of: pipelineID, from: startOffset, crashCount: crashCount)
  }
  func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws {
    if isAway { throw Away() }
  }
  func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {}
  mutating func commit(_ unit: CommitUnit) throws -> CommitOutcome {
    if isAway { throw Away() }
    let progress = unit.advances.map { advance in
      var progress = advance.progress
      largestCommit = max(largestCommit, advance.nextOffset - progress.nextOffset)
      progress.nextOffset = advance.nextOffset
      progress.sequence += 1
      return progress
    }
    return CommitOutcome(progress: progress, conflicts: 0, wasCommittedBefore: false)
  }
  func release(_ progress: [PartitionProgress]) throws {}
}

/// While the store is away the source is polled on and on, and what is held does not grow; the size of records does not
/// matter either, nor whether records are taken one by one after a crash.
@Test(arguments: [100, 20_000, 900_000], [0, 1])
func whatIsHeldIsBoundedWhileTheStoreIsAway(recordBytes: Int, crashCount: Int) throws {
  let definition = """
    {"name": "p", "kafka_topic": "t", "schema": [{"name": "amount", "type": "float"}],
     "rules": [{"id": "r", "rule_expression": "amount > 5"}]}
    """
  let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  var processor = Processor(
    pipeline, id: 1, version: 1, generation: "g", source: EndlessSource(recordBytes: recordBytes),
    store: AwayStore(crashCount: crashCount),
    makeBatchID: { UniqueID(high: 1, low: 1) })
  for step in 0..<4 { try processor.step(now: .seconds(step)) }
  #expect(processor.commitCount > 0)
  processor.store.isAway = true
  for step in 4..<200 { try processor.step(now: .seconds(step)) }
  #expect(processor.phase != .running)
  #expect(processor.source.pollCount >= 200)
  let memory = processor.memory
  #expect(memory.bufferedBytes > 0 && memory.bufferedBytesPeak >= memory.bufferedBytes)
  #expect(memory.bufferedBytesPeak <= memory.bufferedBytesMax + recordBytes)
  #expect(memory.bufferedBytesMax == 24 << 20)

  processor.store.isAway = false
  let before = processor.committed.accepted
  // The next try comes within five seconds.
  for step in 200..<210 { try processor.step(now: .seconds(step)) }
  #expect(processor.phase == .running)
  #expect(processor.committed.accepted > before)
  // A commit is due after 16 MiB of records, though 5,000 of them were to be waited for.
  #expect(processor.store.largestCommit * Int64(recordBytes) < 24 << 20)
}

/// A topic that runs ahead of a silent one is read no further once many bytes wait, however few records they are.
@Test(arguments: [100, 20_000, 900_000])
func whatWaitsForAnotherTopicIsBounded(recordBytes: Int) throws {
  let definition = """
    {"name": "p", "kafka_topic": "t", "key": "user",
     "schema": [{"name": "amount", "type": "float"}, {"name": "user", "type": "integer"}],
     "streams": [{"name": "s", "kafka_topic": "s", "key": "user", "schema": [{"name": "user", "type": "integer"}]}],
     "features": [{"name": "n", "from": "s", "function": "count", "by": "user"}],
     "rules": [{"id": "r", "rule_expression": "amount > 5"}]}
    """
  let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  var configuration = ProcessorConfiguration()
  configuration.streamPatience = .seconds(1_000)
  var processor = Processor(
    pipeline, id: 1, version: 1, generation: "g",
    source: EndlessSource(recordBytes: recordBytes, topics: ["t", "s"]), store: AwayStore(),
    configuration: configuration, makeBatchID: { UniqueID(high: 1, low: 1) })
  for step in 0..<100 { try processor.step(now: .seconds(step)) }
  let waiting = processor.source.next
  #expect(processor.source.isPaused && waiting > 0 && processor.committed.accepted == 0)
  // The bound, and the poll that went beyond it.
  #expect(waiting * Int64(recordBytes) < 24 << 20)
  let memory = processor.memory
  #expect(memory.bufferedBytes >= Int(waiting) * recordBytes && memory.bufferedBytesPeak >= memory.bufferedBytes)
  #expect(memory.bufferedBytesPeak <= memory.bufferedBytesMax + recordBytes)

  for step in 2_000..<2_010 { try processor.step(now: .seconds(step)) }
  #expect(processor.committed.accepted >= waiting)
  #expect(processor.source.next > waiting)
}

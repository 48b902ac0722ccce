import Testing

@testable import FraudCore

/// A topic whose records come when they are sent, and whose end is said after them; maybe beside one that is empty.
private struct SentSource: RecordSource {
  var sent: Int64
  private var next: Int64 = 0
  private var isAssigned = false
  private var isPaused = false
  private(set) var pauseCount = 0
  private let other: TopicPartition?
  private var otherIsAtEnd: Bool

  init(sent: Int64, besides other: String?) {
    self.sent = sent
    self.other = other.map { TopicPartition(topic: $0, partition: 0) }
    otherIsAtEnd = other == nil
  }

  private static let partition = TopicPartition(topic: "t", partition: 0)

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    if !isAssigned {
      isAssigned = true
      return .assigned([Self.partition] + (other.map { [$0] } ?? []))
    }
    if let other, !otherIsAtEnd {
      otherIsAtEnd = true
      return .reachedEnd(other, offset: 0)
    }
    guard !isPaused else { return nil }
    while next < sent, !batch.isFull {
      batch.append(Array(#"{"amount": 1, "user": 7}"#.utf8).span, of: Self.partition, offset: next)
      next += 1
    }
    return next == sent ? .reachedEnd(Self.partition, offset: next) : nil
  }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    if case .at(let offset)? = starts[Self.partition] { next = offset }
  }
  mutating func unassign() throws {}
  mutating func pause(_ partitions: [TopicPartition]) throws {
    isPaused = true
    pauseCount += 1
  }
  mutating func resume(_ partitions: [TopicPartition]) throws { isPaused = false }
  mutating func earliestOffset(of partition: TopicPartition) throws -> Int64 { 0 }
  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

/// A store that counts notes and commits, and whose former owners went without a word.
private struct CountingStore: Committer {
  var crashCount: Int
  var notes = 0
  var commits = 0

  func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    PartitionProgress(untouched: source, of: pipelineID, from: startOffset, crashCount: crashCount)
  }
  func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {}
  mutating func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws { notes += 1 }
  mutating func commit(_ unit: CommitUnit) throws -> CommitOutcome {
    commits += 1
    let progress = unit.advances.map { advance in
      var progress = advance.progress
      progress.nextOffset = advance.nextOffset
      progress.sequence += 1
      progress.crashCount = 0
      return progress
    }
    return CommitOutcome(progress: progress, conflicts: 0, wasCommittedBefore: false)
  }
  func release(_ progress: [PartitionProgress]) throws {}
}

private func processor(
  sent: Int64, crashCount: Int, besides other: String? = nil,
  _ configuration: ProcessorConfiguration = ProcessorConfiguration()
) throws -> Processor<SentSource, CountingStore> {
  let streams = other.map { topic in
    """
    "streams": [{"name": "s", "kafka_topic": "\(topic)", "key": "user", "schema": [{"name": "user", "type": "integer"}]}],
    "features": [{"name": "n", "from": "s", "function": "count", "by": "user"}],
    """
  }
  let definition = """
    {"name": "p", "kafka_topic": "t", "key": "user", \(streams ?? "")
     "schema": [{"name": "amount", "type": "float"}, {"name": "user", "type": "integer"}],
     "rules": [{"id": "r", "rule_expression": "amount > 5"}]}
    """
  let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  var names: UInt64 = 0
  return Processor(
    pipeline, id: 1, version: 1, generation: "g", source: SentSource(sent: sent, besides: other),
    store: CountingStore(crashCount: crashCount), configuration: configuration,
    makeBatchID: {
      names += 1
      return UniqueID(high: 1, low: names)
    })
}

/// What the dead owner can have had in its hands stands before the end that is reached; what comes later needs no care.
@Test(arguments: [1, Limits.crashesBeforeCommitCare])
func careIsOverAtTheEnd(crashCount: Int) throws {
  var processor = try processor(sent: 100, crashCount: crashCount)
  var now = Duration.zero
  func step(_ processor: inout Processor<SentSource, CountingStore>, until count: Int) throws {
    for _ in 0..<1_000 where processor.committed.accepted < count {
      now += .milliseconds(30)
      try processor.step(now: now)
    }
    #expect(processor.committed.accepted == count)
  }
  try step(&processor, until: 100)
  #expect(processor.store.notes == 100)
  let isAlone = crashCount >= Limits.crashesBeforeCommitCare
  if isAlone { #expect(processor.store.commits >= 100) }
  // What comes later is not noted.
  processor.source.sent = 101
  try step(&processor, until: 101)
  let commits = processor.store.commits
  processor.source.sent = 1_101
  try step(&processor, until: 1_101)
  #expect(processor.store.notes == 100)
  #expect(processor.store.commits < commits + 10)
}

/// A source fetches anew what was paused. Records that wait to be taken one by one let it read on, unless they are many.
@Test(arguments: [(500, 0...0), (5_000, 1...3)]) func careRarelyPauses(sent: Int64, pauses: ClosedRange<Int>) throws {
  var configuration = ProcessorConfiguration()
  (configuration.commitEvents, configuration.batchRows) = (900, 100)
  var processor = try processor(sent: sent, crashCount: 1, configuration)
  var now = Duration.zero
  for _ in 0..<10_000 where processor.committed.accepted < Int(sent) {
    now += .milliseconds(30)
    try processor.step(now: now)
  }
  #expect(processor.committed.accepted == Int(sent))
  #expect(processor.store.notes >= 500)
  #expect(pauses.contains(processor.source.pauseCount))
}

/// Beside another topic, too, care is over with what the dead owner can have had in its hands, though more of it waits.
@Test func careOfSeveralTopicsEndsInABacklog() throws {
  var configuration = ProcessorConfiguration()
  configuration.commitEvents = 1_000
  let sent = 3 * configuration.streamRecordsInHand
  var processor = try processor(sent: Int64(sent), crashCount: 1, besides: "s", configuration)
  var now = Duration.zero
  for _ in 0..<10_000 where processor.committed.accepted < sent {
    now += .milliseconds(30)
    try processor.step(now: now)
  }
  #expect(processor.committed.accepted == sent)
  // When it is decoded and when its turn comes.
  #expect(processor.store.notes == 2 * configuration.streamRecordsInHand)
}

import Testing

@testable import FraudCore

/// A topic whose records come when they are sent, and whose end is said after them.
private struct SentSource: RecordSource {
  var sent: Int64
  private var next: Int64 = 0
  private var isAssigned = false
  private var isPaused = false
  private(set) var pauseCount = 0

  init(sent: Int64) { self.sent = sent }

  private static let partition = TopicPartition(topic: "t", partition: 0)

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    if !isAssigned {
      isAssigned = true
      return .assigned([Self.partition])
    }
    guard !isPaused else { return nil }
    while next < sent, !batch.isFull {
      batch.append(Array(#"{"amount": 1}"#.utf8).span, of: Self.partition, offset: next)
      next += 1
    }
    return next == sent ? .reachedEnd(Self.partition, offset: next) : nil
  }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    if case .at(let offset)? = starts.values.first { next = offset }
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
    var progress = PartitionProgress(
      pipelineID: pipelineID, source: source, epoch: 1, startOffset: startOffset, nextOffset: startOffset, sequence: 0,
      batchID: nil, pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts())
    progress.crashCount = crashCount
    return progress
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
  sent: Int64, crashCount: Int, _ configuration: ProcessorConfiguration = ProcessorConfiguration()
) throws -> Processor<SentSource, CountingStore> {
  let definition = """
    {"name": "p", "kafka_topic": "t", "schema": [{"name": "amount", "type": "float"}],
     "rules": [{"id": "r", "rule_expression": "amount > 5"}]}
    """
  let pipeline = try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  var names: UInt64 = 0
  return Processor(
    pipeline, id: 1, version: 1, generation: "g", source: SentSource(sent: sent),
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
  let (notes, commits) = (processor.store.notes, processor.store.commits)
  #expect(notes <= 101)
  processor.source.sent = 1_101
  try step(&processor, until: 1_101)
  #expect(processor.store.notes == notes)
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

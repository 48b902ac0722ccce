import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// How long something took, many times over: counts by bucket of equal width, the last one for all that is longer.
struct DurationHistogram: Sendable {
  private let bucket: Duration
  private var counts: [Int]
  /// The highest bucket in use, so that a quantile looks at no empty ones above it.
  private var highest = 0
  private(set) var count = 0
  private(set) var total = Duration.zero

  init(bucket: Duration, buckets: Int) {
    self.bucket = bucket
    counts = [Int](repeating: 0, count: buckets)
  }

  mutating func add(_ duration: Duration) {
    let index = Int(max(0, duration / bucket).rounded(.down))
    let place = min(index, counts.count - 1)
    counts[place] += 1
    highest = max(highest, place)
    count += 1
    total += duration
  }

  /// The upper bound of the bucket that holds the quantile, in seconds; `nil` before the first duration.
  func quantile(_ share: Double) -> Double? {
    if count == 0 { return nil }
    let rank = max(1, Int((share * Double(count)).rounded(.up)))
    var seen = 0
    for (index, more) in counts[...highest].enumerated() {
      seen += more
      if seen >= rank { return Double(index + 1) * (bucket / .seconds(1)) }
    }
    return nil
  }
}

/// How long partitions took from when they were given until they were gone on with.
struct Recovery: Sendable {
  /// Until what their features remember was back, in seconds, and the processor time that went by.
  var restored: Double
  var restoredCPU: Double
  /// Until the first commit of records.
  var committed: Double?
}

/// What a run measures of itself. It belongs to the run's thread.
final class ProcessMeter {
  /// Of the last take-over.
  private(set) var recovery: Recovery?
  private var assigned: (time: ContinuousClock.Instant, cpu: Double)?
  /// From an event's record timestamp to its commit, to a millisecond, up to a minute.
  private(set) var latency = DurationHistogram(bucket: .milliseconds(1), buckets: 60_000)
  /// The time that commits took, to a tenth of a millisecond, up to a second.
  private(set) var commits = DurationHistogram(bucket: .microseconds(100), buckets: 10_000)
  /// From the first record read to the last commit of records.
  private(set) var busy = Duration.zero
  /// In seconds since 1970.
  private(set) var lastCommit: Double?
  private var firstRecord: ContinuousClock.Instant?
  private let measuresLatency: Bool
  private var waiting: [TopicPartition: [(offset: Int64, timestamp: Int64)]] = [:]

  init(measuresLatency: Bool) {
    self.measuresLatency = measuresLatency
  }

  /// Partitions were given.
  func partitionsAssigned() { assigned = (.now, processorSeconds()) }

  /// They are owned, and what is remembered of them is back.
  func partitionsOwned() {
    guard let assigned else { return }
    recovery = Recovery(
      restored: assigned.time.duration(to: .now) / .seconds(1), restoredCPU: processorSeconds() - assigned.cpu)
  }

  func observe(_ batch: MessageBatch) {
    if firstRecord == nil, !batch.isEmpty { firstRecord = .now }
    guard measuresLatency else { return }
    for run in batch.runs {
      for message in batch.messages[run.messages] {
        guard let timestamp = message.timestampMilliseconds else { continue }
        waiting[run.partition, default: []].append((message.offset, timestamp))
      }
    }
  }

  func committed(_ nextOffsets: [TopicPartition: Int64]) {
    if let firstRecord { busy = firstRecord.duration(to: .now) }
    lastCommit = Date().timeIntervalSince1970
    if let assigned, recovery != nil {
      recovery?.committed = assigned.time.duration(to: .now) / .seconds(1)
      self.assigned = nil
    }
    guard measuresLatency else { return }
    let now = Int64(Date().timeIntervalSince1970 * 1_000)
    for (partition, next) in nextOffsets {
      guard let events = waiting[partition] else { continue }
      // Offsets rise; what a rebalance dropped and read again is counted when it is committed.
      let done = events.firstIndex { $0.offset >= next } ?? events.count
      for event in events[..<done] { latency.add(.milliseconds(max(0, now - event.timestamp))) }
      waiting[partition]?.removeFirst(done)
    }
  }

  func forget() { waiting = [:] }

  func committed(in duration: Duration) { commits.add(duration) }
}

/// A consumer that is looked at by a meter.
struct MeteredConsumer: RecordSource {
  let consumer: KafkaConsumer
  let meter: ProcessMeter

  func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    let event = try consumer.poll(into: &batch, timeout: timeout)
    meter.observe(batch)
    if case .assigned = event { meter.partitionsAssigned() }
    Failpoints.shared?.observe(batch)
    return event
  }

  func assign(_ starts: [TopicPartition: StartOffset]) throws {
    meter.forget()
    meter.partitionsOwned()
    try consumer.assign(starts)
  }

  func unassign() throws {
    meter.forget()
    try consumer.unassign()
  }

  func pause(_ partitions: [TopicPartition]) throws { try consumer.pause(partitions) }
  func resume(_ partitions: [TopicPartition]) throws { try consumer.resume(partitions) }
  func earliestOffset(of partition: TopicPartition) throws -> Int64 { try consumer.earliestOffset(of: partition) }

  func commit(_ nextOffsets: [TopicPartition: Int64]) throws {
    meter.committed(nextOffsets)
    try consumer.commit(nextOffsets)
  }
}

/// A committer that is looked at by a meter.
struct MeteredCommitter: Committer, ~Copyable {
  private var committer: PartitionCommitter
  private let meter: ProcessMeter

  init(_ committer: consuming PartitionCommitter, meter: ProcessMeter) {
    self.committer = committer
    self.meter = meter
  }

  mutating func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    try committer.takeOwnership(pipelineID: pipelineID, source: source, startOffset: startOffset)
  }

  mutating func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {
    try committer.readState(of: progress, body)
  }

  mutating func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws {
    try committer.note(records, of: progress)
  }

  mutating func commit(_ unit: CommitUnit) throws -> CommitOutcome {
    let start = ContinuousClock.now
    let outcome = try committer.commit(unit)
    meter.committed(in: start.duration(to: .now))
    return outcome
  }

  mutating func versionInForce(of pipelineID: Int, unless known: Int) throws(StoreError) -> StoredPipeline? {
    try committer.versionInForce(of: pipelineID, unless: known)
  }

  mutating func settle(_ progress: [PartitionProgress]) throws { try committer.settle(progress) }

  mutating func release(_ progress: [PartitionProgress]) throws { try committer.release(progress) }
}

/// What a run's meter says, as others see it.
struct MeterReading: Sendable {
  var latency50: Double?
  var latency99: Double?
  var commit50: Double?
  var commit99: Double?
  var commitSeconds = 0.0
  /// From the first record to the last commit.
  var busySeconds = 0.0
  /// When the last commit was, in seconds since 1970.
  var lastCommit: Double?
  var recovery: Recovery?

  init() {}

  init(_ meter: ProcessMeter) {
    latency50 = meter.latency.quantile(0.5)
    latency99 = meter.latency.quantile(0.99)
    commit50 = meter.commits.quantile(0.5)
    commit99 = meter.commits.quantile(0.99)
    commitSeconds = meter.commits.total / .seconds(1)
    busySeconds = meter.busy / .seconds(1)
    lastCommit = meter.lastCommit
    recovery = meter.recovery
  }
}

/// The processor time that this process has taken.
func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }

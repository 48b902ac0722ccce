import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization

/// One pipeline whose events are archived, on a thread of its own with a consumer of its own.
///
/// Its progress is the archive's; what it waits for never holds up alerts. Another version that comes into force is followed:
/// files then hold the fields that it declares, and each decision kept is that of the version which decided the event.
final class ArchiveRun: Sendable {
  struct Status: Sendable {
    var fileCount = 0
    var isHolding: String?
    /// Whether its Kafka client has come up.
    var hasClient = false
    /// Set when it has ended: what ended it, if it failed.
    var isFinished = false
    var failure: (any Error)?
  }

  let pipeline: Pipeline
  private let id: Int
  private let version: PipelineVersion
  private let root: String
  private let options: PipelineRun.Options
  private let state = Mutex(Status())
  private let isStopping = Atomic<Bool>(false)

  /// - Parameter run: the processing run; its group's name is extended.
  init(_ run: PipelineRun, root: String) {
    pipeline = run.pipeline
    id = run.id
    version = run.first
    self.root = root
    options = run.options
  }

  var status: Status { state.withLock { $0 } }

  /// Asks it to end; what is not in a finished file is read again next time.
  func stop() { isStopping.store(true, ordering: .relaxed) }

  /// Starts the thread; where that cannot be it has failed.
  func start() {
    onNewThread("fraud.archive.\(pipeline.definition.name)", run) { [self] failure in
      state.withLock {
        $0.failure = failure
        $0.isFinished = true
      }
    }
  }

  private func run() throws {
    let definition = pipeline.definition
    guard let topic = definition.kafkaTopic else {
      throw Failure.invalid("pipeline \(definition.name): 'kafka_topic' is missing")
    }
    let cluster = try KafkaAdmin(options.connection).clusterID()
    let isDevBroker = DevBroker.isDevBroker(clusterID: cluster)
    var consuming = ConsumerConfiguration(connection: options.connection, group: options.group + "-archive")
    if isDevBroker { consuming.suitDevBroker() }
    let consumer = try KafkaConsumer(consuming)
    defer { consumer.close() }
    state.withLock { $0.hasClient = true }
    try consumer.subscribe(to: [topic])
    let generation = isDevBroker ? "dev" : cluster ?? "0"
    let record = VersionRecord(pipelineID: id, generation: generation, version: version, address: options.address)
    var archiver = Archiver(pipeline, settings: settings(version), generation: generation, source: consumer)
    var directory = ArchiveDirectory(root: root)
    directory.failpoint = Failpoints.archive
    var keeper =
      definition.archive.decisions
      ? DecisionKeeper(
        directory, version: version,
        history: { partition throws(StoreError) in try record.history(of: partition) }) : nil
    var decidedFileCount = -1
    let start = ContinuousClock.now
    var nextLook = start
    var isAtEnd = false
    while !isAtEnd && !isStopping.load(ordering: .relaxed) {
      try archiver.step(now: start.duration(to: .now))
      isAtEnd = options.untilEnd && archiver.isAtEnd
      report(archiver)
      let isTime = nextLook <= .now
      if isTime {
        nextLook = .now + .seconds(1)
        // A version on another topic, or one that cannot be used, is refused by the processor, too.
        if let next = try? record.next(), next.pipeline.definition.kafkaTopic == topic {
          try archiver.adopt(next.pipeline, settings: settings(next), now: start.duration(to: .now))
          isAtEnd = false
        }
      }
      if archiver.fileCount != decidedFileCount || isTime && keeper?.isWaiting == true {
        decidedFileCount = archiver.fileCount
        try decide(&keeper, archiver.partitions)
      }
    }
    try archiver.finish(endingFiles: isAtEnd)
    report(archiver)
    if isAtEnd { try decideAll(&keeper, archiver.partitions) }
  }

  private func settings(_ version: PipelineVersion) -> ArchiveWriter.Settings {
    let definition = version.pipeline.definition
    var settings = ArchiveWriter.Settings(
      root: root, pipeline: definition.name, version: version.number, schema: definition.schema,
      eventTime: definition.eventTime?.field)
    settings.keepsRaw = definition.archive.raw
    settings.bloomFilters = Set(definition.archive.bloomFilters)
    settings.failpoint = Failpoints.archive
    return settings
  }

  /// Keeps the decisions of everything that is archived, once it is committed; what is not within a minute, next time.
  private func decideAll(_ keeper: inout DecisionKeeper?, _ partitions: [TopicPartition]) throws {
    let deadline = ContinuousClock.now + .seconds(60)
    try decide(&keeper, partitions)
    while keeper?.isWaiting == true, ContinuousClock.now < deadline, !isStopping.load(ordering: .relaxed) {
      Thread.sleep(forTimeInterval: 0.1)
      try decide(&keeper, partitions)
    }
  }

  /// Keeps the decisions of what is archived. Where the disk takes no files, the next file is another try.
  private func decide(_ keeper: inout DecisionKeeper?, _ partitions: [TopicPartition]) throws {
    do throws(StoreError) {
      try keeper?.step(of: partitions) { isStopping.load(ordering: .relaxed) && !options.untilEnd }
    } catch {
      guard error.code == .file || error.isRetryable else { throw error }
      state.withLock { $0.isHolding = error.message }
    }
  }

  private func report(_ archiver: borrowing Archiver<KafkaConsumer>) {
    let fileCount = archiver.fileCount
    let isHolding: String? = if case .holding(let reason) = archiver.phase { reason } else { nil }
    state.withLock {
      $0.fileCount = fileCount
      $0.isHolding = isHolding
    }
  }
}

import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization

/// One pipeline that is processed from Kafka into PostgreSQL, on a thread of its own.
///
/// Others look at its ``status`` and ask it to ``stop()``.
final class PipelineRun: Sendable {
  struct Options: Sendable {
    var connection: KafkaConnection
    var group: String
    var address: PostgresAddress
    var untilEnd = false
    var configuration = ProcessorConfiguration()
    /// What its commits survive.
    var durability = PartitionCommitter.Durability.on
    /// How long brokers may be away before a run that has read nothing gives up.
    var patience = Duration.seconds(30)
    /// Of the last thousand events and more, the share above which rejections end the run.
    var maxRejectedShare: Double?
    /// Where copies of what features remember are kept for a quick restart.
    var stateCache: String?
    /// Whether the time from each event to its commit is measured.
    var measuresLatency = false
    /// Where new features find the events that they missed.
    var history: ArchiveHistory?
  }

  struct Status: Sendable {
    /// What was committed since the start.
    var summary: RunSummary
    var commits = 0
    var conflicts = 0
    var isHolding: String?
    /// The version that runs, with its control.
    var inForce: PipelineVersion
    /// Why the version in force is not the one that runs here.
    var refusedVersion: String?
    var progress: [PartitionProgress] = []
    /// Where its first partitions began.
    var starts: [PartitionProgress] = []
    var lagRecords: Int64?
    var memory = ProcessorMemory()
    /// Where the version that runs sends alerts and rows of aggregations.
    var outputTopics: [String] = []
    var reading = MeterReading()
    /// Whether its Kafka client has come up.
    var hasClient = false
    /// Set when it has ended: what ended it, if it failed.
    var isFinished = false
    var failure: (any Error)?
  }

  /// This process, as others see it.
  static let ownerName = "\(ProcessInfo.processInfo.hostName):\(getpid())"

  /// The version that it starts with.
  let first: PipelineVersion
  let id: Int
  let options: Options
  private let state: Mutex<Status>
  private let isStopping = Atomic<Bool>(false)

  init(_ version: PipelineVersion, id: Int, options: Options) {
    first = version
    self.id = id
    self.options = options
    var status = Status(
      summary: RunSummary(pipeline: version.pipeline, version: version.number), inForce: version)
    status.outputTopics = version.pipeline.definition.outputTopics
    state = Mutex(status)
  }

  var pipeline: Pipeline { first.pipeline }
  var version: Int { first.number }
  var status: Status { state.withLock { $0 } }

  /// Asks it to commit what it has and end.
  func stop() { isStopping.store(true, ordering: .relaxed) }

  /// Starts the thread; where that cannot be it has failed.
  func start() {
    onNewThread("fraud.process.\(pipeline.definition.name)", run) { [self] failure in
      state.withLock {
        $0.failure = failure
        $0.isFinished = true
      }
    }
  }

  private func run() throws {
    guard let topic = pipeline.definition.kafkaTopic else {
      throw Failure.invalid("pipeline \(pipeline.definition.name): 'kafka_topic' is missing")
    }
    let admin = try KafkaAdmin(options.connection)
    let streams = try streamTopics(beside: try admin.topic(named: topic), admin)
    let cluster = admin.clusterID()
    // A dev broker has a new cluster id each time, and its topics are made anew with the same content.
    let generation = DevBroker.isDevBroker(clusterID: cluster) ? "dev" : cluster ?? "0"
    var consuming = ConsumerConfiguration(connection: options.connection, group: options.group)
    if DevBroker.isDevBroker(clusterID: cluster) { consuming.suitDevBroker() }
    let consumer = try KafkaConsumer(consuming)
    defer { consumer.close() }
    state.withLock { $0.hasClient = true }
    try consumer.subscribe(to: [topic] + streams)
    let meter = ProcessMeter(measuresLatency: options.measuresLatency)
    var committer = PartitionCommitter(
      options.address, ownerName: Self.ownerName, durability: options.durability)
    if let folder = options.stateCache {
      committer.keepState(in: folder) { Terminal.standardError.message($0, style: .warning) }
    }
    var configuration = options.configuration
    if let history = options.history {
      // Called on this thread alone, by the processor's step.
      nonisolated(unsafe) let member = consumer
      configuration.history = { engine, source, offsets in
        try history.fill(&engine, source, offsets) {
          guard try unsafe member.keepAlive() else { throw HistoryInterrupted() }
        }
      }
    }
    if let failpoints = Failpoints.shared {
      configuration.failpoint = { failpoints.hit($0, offset: $1, partition: $2) }
      committer.failpoint = { failpoints.hit($0) }
    }
    var processor = Processor(
      first, id: id, generation: generation,
      source: MeteredConsumer(consumer: consumer, meter: meter),
      store: MeteredCommitter(committer, meter: meter),
      configuration: configuration, makeBatchID: { UniqueID.random() })
    let start = ContinuousClock.now
    var judged = RunSummary(pipeline: pipeline, version: version)
    var watch = VersionWatch(pipelineID: id, known: version)
    while !isStopping.load(ordering: .relaxed) {
      try processor.step(now: start.duration(to: .now))
      watch.look(&processor, now: start.duration(to: .now))
      report(processor, meter, refusedVersion: watch.refusal)
      try judge(processor.committed, since: &judged)
      if options.untilEnd, processor.isAtEnd, try processor.settle(now: start.duration(to: .now)) { break }
      if processor.progress.isEmpty, let away = consumer.unreachableDuration(), away > options.patience {
        throw KafkaError(
          code: .unavailable,
          message: "no broker of \(options.connection.brokers) has answered for \(away.components.seconds) s")
      }
    }
    try processor.finish(now: start.duration(to: .now))
    report(processor, meter, refusedVersion: watch.refusal)
  }

  /// The topics of the pipeline's streams, which have to be divided as the scored one is: events of one key meet in partitions
  /// of one number, which one process owns.
  private func streamTopics(beside scored: TopicDescription, _ admin: KafkaAdmin) throws -> [String] {
    try pipeline.definition.streams.map { stream in
      guard let name = stream.kafkaTopic else {
        throw Failure.invalid("pipeline \(pipeline.definition.name): stream '\(stream.name)' has no 'kafka_topic'")
      }
      let count = try admin.topic(named: name).partitionCount
      guard count == scored.partitionCount else {
        throw Failure.invalid(
          "stream '\(stream.name)' cannot be read beside \(scored.name): topic \(name) has \(count) partition"
            + "\(count == 1 ? "" : "s") and \(scored.name) \(scored.partitionCount). Topics of one pipeline have the same"
            + " number of partitions, by the same key\(pipeline.definition.key.map { " (\($0))" } ?? "") and the same"
            + " partitioner; `fraudctl produce --topic NEW --key \(stream.key ?? "FIELD")` writes one anew")
      }
      return name
    }
  }

  /// Ends the run where too many of the last events were rejected: most likely the wrong schema or topic.
  private func judge(_ summary: RunSummary, since judged: inout RunSummary) throws {
    guard let limit = options.maxRejectedShare else { return }
    let (events, rejected) = (summary.events - judged.events, summary.rejectedCount - judged.rejectedCount)
    guard events >= 1_000 else { return }
    judged = summary
    let share = Double(rejected) / Double(events)
    guard share > limit else { return }
    let reasons = summary.rejected.sorted { ($0.value, $1.key.rawValue) > ($1.value, $0.key.rawValue) }
      .map { "\($0.key.rawValue) \($0.value)" }.joined(separator: ", ")
    throw Failure.failed(
      "\(summary.pipeline): \(rejected) of the last \(events) events were rejected, more than --max-rejected-share"
        + " \(limit) (\(reasons)). They are in `fraudctl rejected list`; the run has ended")
  }

  private func report(
    _ processor: borrowing Processor<MeteredConsumer, MeteredCommitter>, _ meter: ProcessMeter,
    refusedVersion: String?
  ) {
    let consumer = processor.source.consumer
    let progress = processor.progress
    let commits = processor.commitCount
    let isHolding: String? =
      switch processor.phase {
      case .running: nil
      case .holding(let reason), .fenced(let reason): reason
      }
    let inForce = processor.inForce
    let changed = state.withLock {
      $0.inForce.number != inForce.number || $0.refusedVersion != refusedVersion || $0.commits != commits
        || $0.isHolding != isHolding || $0.progress.count != progress.count
    }
    guard changed else { return }
    var lag: Int64?
    for partition in progress {
      let name = TopicPartition(topic: partition.source.topic, partition: partition.source.partition)
      for topic in [name.topic] + pipeline.definition.streams.compactMap(\.kafkaTopic) {
        let place = TopicPartition(topic: topic, partition: name.partition)
        if let records = consumer.lagRecords(of: place) { lag = (lag ?? 0) + records }
      }
    }
    let (summary, conflicts) = (processor.committed, processor.conflicts)
    let reading = MeterReading(meter)
    let memory = processor.memory
    let outputTopics = processor.pipeline.definition.outputTopics
    state.withLock {
      $0.reading = reading
      // At the end all is given back, which says nothing.
      if !progress.isEmpty { $0.memory = memory }
      $0.summary = summary
      $0.inForce = inForce
      $0.commits = commits
      $0.conflicts = conflicts
      $0.isHolding = isHolding
      $0.refusedVersion = refusedVersion
      $0.progress = progress
      if $0.starts.isEmpty { $0.starts = progress }
      $0.lagRecords = lag
      $0.outputTopics = outputTopics
    }
  }
}

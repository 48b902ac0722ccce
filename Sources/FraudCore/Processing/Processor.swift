/// Processes a pipeline's partitions: reads records, evaluates them in batches, commits what came of them exactly once.
///
/// It decides and does nothing else: time, the source and the store come in as arguments, so the same code runs on Kafka
/// and PostgreSQL, on files, and in a simulation. One thread owns it and calls ``step(now:)`` over and over, then
/// ``finish()``.
///
/// How it keeps its promise: what came of a partition's records since the last commit, and how far that reaches, go to the
/// store as one ``CommitUnit`` with what the features now remember. The store takes it whole, and only while this processor
/// is the partition's owner. While the store is away the unit is kept, and the source is paused and still polled. When
/// partitions are taken away, what is not committed is dropped, and their next owner computes the same again from the last
/// commit.
///
/// - Source: `RELIABILITY.md` 2.1 to 2.6.
public struct Processor<Source: RecordSource, Store: Committer & ~Copyable>: ~Copyable {
  /// What it is doing.
  public enum Phase: Sendable, Hashable {
    case running
    /// The store is away; the reason it gave.
    case holding(String)
    /// Another process has taken partitions; it waits to be given some again.
    case fenced(String)
  }

  /// The version in force, with its control where it is in force for a share of the keys.
  public internal(set) var inForce: PipelineVersion
  /// What it processes, as of the version in force.
  public var pipeline: Pipeline { inForce.pipeline }
  /// The version in force.
  public var version: Int { inForce.number }
  /// See ``Phase``.
  public internal(set) var phase = Phase.running
  /// Everything committed since it started.
  public internal(set) var committed: RunSummary
  /// Commits since it started.
  public internal(set) var commitCount = 0
  /// Rows that commits found in the store already; more than none means that two programs share a name.
  public internal(set) var conflicts = 0
  /// Where records come from, and where results go.
  public var source: Source
  /// See ``source``.
  public var store: Store

  let pipelineID: Int
  /// A version that is to be in force as soon as nothing is pending.
  private var next: PipelineVersion?
  private var nextSwitch = Duration.zero
  let generation: String
  let configuration: ProcessorConfiguration
  let makeBatchID: () -> UniqueID
  var records = MessageBatch()
  var workers: [PartitionWorker] = []
  var commitDue: Duration?
  var held: HeldCommit?
  var bufferedBytesPeak = 0
  var fencedUntil: Duration?
  var wanted: WantedPartitions?
  /// When records may be taken with care again, after the store was away.
  var nextCare = Duration.zero
  /// When the commits since the last time are to be settled; `nil` where there are none.
  var settleDue: Duration?

  /// Partitions that the source gave and the store has not granted yet.
  struct WantedPartitions {
    var partitions: [TopicPartition]
    var nextTry: Duration
    var delay: Duration
  }

  /// A unit that could not be committed yet.
  struct HeldCommit {
    var unit: CommitUnit
    /// Of the records that it is made of.
    var bytes: Int
    var summary: RunSummary
    var nextTry: Duration
    var delay: Duration
  }

  /// Makes a processor of one version of a pipeline, with its control where it has one.
  ///
  /// - Parameters:
  ///   - generation: tells the topics from earlier ones of the same names.
  ///   - makeBatchID: gives each commit a name that no other commit has.
  public init(
    _ version: PipelineVersion, id: Int, generation: String, source: Source, store: consuming Store,
    configuration: ProcessorConfiguration = ProcessorConfiguration(), makeBatchID: @escaping () -> UniqueID
  ) {
    inForce = version
    pipelineID = id
    self.generation = generation
    self.source = source
    self.store = store
    self.configuration = configuration
    self.makeBatchID = makeBatchID
    committed = RunSummary(pipeline: version.pipeline, version: version.number)
  }

  /// Makes a processor of one version of a pipeline, which is in force for every key.
  public init(
    _ pipeline: Pipeline, id: Int, version: Int, lists: [String: ListValues] = [:], generation: String, source: Source,
    store: consuming Store, configuration: ProcessorConfiguration = ProcessorConfiguration(),
    makeBatchID: @escaping () -> UniqueID
  ) {
    self.init(
      PipelineVersion(pipeline, number: version, lists: lists), id: id, generation: generation, source: source,
      store: store, configuration: configuration, makeBatchID: makeBatchID)
  }

  /// The partitions it owns and how far they are committed, in order.
  public var progress: [PartitionProgress] { workers.map(\.progress) }

  /// What it holds in memory.
  ///
  /// - Complexity: O(p) in the partitions, and in the records that wait after crashes.
  public var memory: ProcessorMemory {
    var memory = ProcessorMemory()
    memory.bufferedBytes = bufferedBytes
    memory.bufferedBytesPeak = bufferedBytesPeak
    let topicCount = workers.reduce(0) { $0 + ($1.streams?.topics.count ?? 0) }
    memory.bufferedBytesMax =
      (topicCount == 0 ? configuration.commitBytes : topicCount * (streamBytesMax + records.bytesMax))
      + 2 * records.bytesMax
    for worker in workers { worker.count(in: &memory) }
    return memory
  }

  /// Records that are not committed, the last poll's counted as long as they are kept.
  var bufferedBytes: Int {
    records.bytes.count + (held?.bytes ?? 0) + workers.reduce(0) { $0 + $1.bufferedBytes }
  }

  /// Whether it owns partitions, all of them have been read to their ends, and everything is committed.
  public var isAtEnd: Bool {
    !workers.isEmpty && held == nil && workers.allSatisfy { $0.isAtEnd && $0.pendingCount == 0 && !$0.hasWaiting }
  }

  /// Reads what there is, evaluates it, and commits if it is time.
  ///
  /// - Parameter now: the time since any fixed moment; never less than in an earlier call.
  /// - Throws: when it cannot go on: the source is of no more use, the store refused for good, or another process keeps
  ///   the partitions. Nothing that was not committed counts; a new processor goes on from the last commit.
  public mutating func step(now: Duration) throws {
    if let deadline = fencedUntil, now >= deadline, case .fenced(let reason) = phase {
      throw ProcessorError(code: .fenced, message: reason)
    }
    try readWhatThereIs(now: now)
    if let wanted, now >= wanted.nextTry { try own(wanted, now: now) }
    if let held, now >= held.nextTry { try retry(now: now) }
    if held == nil, isCommitDue(now: now) { try commit(now: now) }
    if workers.contains(where: \.isCareful) { try takeCarefully(now: now) }
    if held == nil, let next, now >= nextSwitch { try switchVersion(to: next, now: now) }
    if held == nil, let settleDue, now >= settleDue { try settle(now: now) }
  }

  /// Evaluates with another version of the pipeline from the next commit on.
  ///
  /// What was read before is committed with the version that it was evaluated with, and the first commit of each partition
  /// after that says from which offset the new one holds. Features that are the same in both keep what they remember.
  ///
  /// - Precondition: it is the same pipeline, on the same topic.
  public mutating func adopt(_ version: PipelineVersion) {
    precondition(
      version.pipeline.definition.name == pipeline.definition.name
        && version.pipeline.definition.kafkaTopic == pipeline.definition.kafkaTopic, "another pipeline or topic")
    next = version
  }

  private mutating func switchVersion(to version: PipelineVersion, now: Duration) throws {
    try commit(now: now, begins: false)
    // Where the store is away, somebody has taken the partitions, or events are taken one by one, later.
    guard held == nil, !workers.contains(where: \.isMidUnit) else { return }
    var switched: [PartitionWorker] = []
    do {
      for worker in workers {
        switched.append(try worker.adopting(Engine(version), configuration: configuration, from: &store))
      }
    } catch {
      if try canRetry(after: error, now: now) { nextSwitch = now + configuration.retryDelay.lowerBound }
      return
    }
    configuration.failpoint?("switch", 0, nil)
    next = nil
    workers = switched
    if workers.contains(where: { $0.streams != nil }) {
      // What had been read and could not be evaluated yet comes again.
      try source.assign(startOffsets)
    }
    inForce = version
    committed.merge(RunSummary(pipeline: version.pipeline, version: version.number))
  }

  /// Waits for records, and takes those that have come meanwhile, too, up to what a commit holds: so commits grow with
  /// the load, and a store that takes longer gets fewer and larger ones. A source ends a poll with each partition's end;
  /// taking a poll a commit would keep a processor that is behind there forever.
  private mutating func readWhatThereIs(now: Duration) throws {
    // Records that wait for their turn are not to wait for others.
    let canTakeMore = held == nil && now >= nextCare && workers.contains(where: \.hasWaiting)
    var timeout = canTakeMore ? .zero : configuration.pollTimeout
    for _ in 0..<Self.pollsMax {
      let event = try source.poll(into: &records, timeout: timeout)
      let hasRecords = !records.isEmpty
      try take(now: now)
      var isNews = hasRecords
      if case .reachedEnd(let partition, _) = event {
        isNews = isNews || workers.contains { $0.partitions.contains(partition) && !$0.isAtEnd }
      } else if event != nil {
        isNews = false
      }
      if let event { try handle(event, now: now) }
      if !isNews { return }
      if held != nil || workers.contains(where: \.isCareful) { return }
      if isCommitFull { return }
      timeout = .zero
    }
  }

  /// Polls of one step at most.
  private static var pollsMax: Int { 256 }

  /// Commits what is pending and gives the partitions back.
  public mutating func finish(now: Duration) throws {
    if held != nil { try retry(now: now) }
    if held == nil { try commit(now: now) }
    try? store.release(workers.map(\.progressToRelease))
    workers = []
  }
}

/// How a processor paces its commits and how long it waits.
public struct ProcessorConfiguration: Sendable {
  /// Events after which a commit is due.
  public var commitEvents = 5_000
  /// Bytes of records after which a commit is due.
  public var commitBytes = Limits.commitRecordBytes
  /// How long the first event of a commit waits for others.
  public var commitInterval: Duration = .milliseconds(20)
  /// How long one poll waits for records.
  public var pollTimeout: Duration = .milliseconds(10)
  /// The first and the longest wait between two tries while the store is away.
  public var retryDelay: ClosedRange<Duration> = .milliseconds(100)...(.seconds(5))
  /// How long after a commit the store is asked to keep it for good, where commits alone do not.
  public var settleInterval: Duration = .milliseconds(500)
  /// How long a processor that was fenced waits to be given partitions again before it gives up.
  public var fencedPatience: Duration = .seconds(60)
  /// How long the events of other topics wait for one that is not at its end and from which nothing comes.
  public var streamPatience: Duration = .seconds(1)
  /// When the stored snapshots of features are rewritten.
  package var state = StateLimits()
  /// Called with the name of each step and where it is, by tests that let processes die there.
  package var failpoint: Failpoint?
  package typealias Failpoint = @Sendable (_ name: StaticString, _ offset: Int64, _ partition: TopicPartition?) -> Void
  /// Folds a partition's earlier events into an engine that remembers nothing, so that features that are new begin with what
  /// they would have had; `false` where some of these offsets are not kept any more.
  package var history: History?
  package typealias History =
    @Sendable (_ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>) throws -> Bool
  /// Events that are evaluated at once.
  package var batchRows = Limits.batchRows
  /// Records of a partition at most that a processor has taken and not committed: a commit becomes due in the midst of one
  /// poll's.
  var recordsInHand: Int { commitEvents + batchRows }
  /// Records of one topic and partition that may wait for those of others.
  var streamRecordsMax: Int { max(2 * commitEvents, 4 * Limits.batchRows) }
  /// As ``recordsInHand``, of each topic.
  var streamRecordsInHand: Int { streamRecordsMax + Limits.batchRows }

  package struct StateLimits: Sendable {
    package var deltaRows = Limits.stateDeltaRows
    package var deltaBytes = Limits.stateDeltaBytes
    package var commitBytes = Limits.stateCommitBytes
  }

  /// The defaults.
  public init() {}
}

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
  public private(set) var inForce: PipelineVersion
  /// What it processes, as of the version in force.
  public var pipeline: Pipeline { inForce.pipeline }
  /// The version in force.
  public var version: Int { inForce.number }
  /// See ``Phase``.
  public private(set) var phase = Phase.running
  /// Everything committed since it started.
  public private(set) var committed: RunSummary
  /// Commits since it started.
  public private(set) var commitCount = 0
  /// Rows that commits found in the store already; more than none means that two programs share a name.
  public private(set) var conflicts = 0
  /// Where records come from, and where results go.
  public var source: Source
  /// See ``source``.
  public var store: Store

  private let pipelineID: Int
  /// A version that is to be in force as soon as nothing is pending.
  private var next: PipelineVersion?
  private var nextSwitch = Duration.zero
  private let generation: String
  private let configuration: ProcessorConfiguration
  private let makeBatchID: () -> UniqueID
  private var records = MessageBatch()
  private var workers: [PartitionWorker] = []
  private var commitDue: Duration?
  private var held: HeldCommit?
  private var bufferedBytesPeak = 0
  private var fencedUntil: Duration?
  private var wanted: WantedPartitions?
  /// When records may be taken with care again, after the store was away.
  private var nextCare = Duration.zero
  /// When the commits since the last time are to be settled; `nil` where there are none.
  private var settleDue: Duration?

  /// Partitions that the source gave and the store has not granted yet.
  private struct WantedPartitions {
    var partitions: [TopicPartition]
    var nextTry: Duration
    var delay: Duration
  }

  /// A unit that could not be committed yet.
  private struct HeldCommit {
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
  private var bufferedBytes: Int {
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

  /// Makes sure that the store keeps all commits so far for good. ``step(now:)`` does it now and then; it is for whoever
  /// wants to end because everything is done.
  ///
  /// - Returns: whether it does. If not, go on with ``step(now:)``: the store is away, or it fell over and has forgotten
  ///   commits, whose records are then read again.
  @discardableResult
  public mutating func settle(now: Duration) throws -> Bool {
    guard settleDue != nil else { return held == nil && wanted == nil }
    do {
      try store.settle(workers.map(\.progress))
      settleDue = nil
      if held == nil, case .holding = phase { phase = .running }
      return true
    } catch let failure as any CommitFailure where failure.isUndone {
      try goBack(to: workers.flatMap(\.partitions), failure, now: now)
    } catch let failure as any CommitFailure where failure.isFenced {
      try leave(failure, now: now)
    } catch let failure as any CommitFailure where failure.isRetryable {
      settleDue = now + configuration.retryDelay.lowerBound
      phase = .holding("\(failure)")
    }
    return false
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
    } catch let failure as any CommitFailure where failure.isRetryable {
      nextSwitch = now + configuration.retryDelay.lowerBound
      return
    } catch let failure as any CommitFailure where failure.isUndone {
      return try goBack(to: workers.flatMap(\.partitions), failure, now: now)
    } catch let failure as any CommitFailure where failure.isFenced {
      return try leave(failure, now: now)
    } catch let error as StateFormatError {
      throw unusable(error)
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

  private var startOffsets: [TopicPartition: StartOffset] {
    var starts: [TopicPartition: StartOffset] = [:]
    for worker in workers { for start in worker.starts { starts[start.partition] = .at(start.offset) } }
    return starts
  }

  /// The worker and the topic of a partition, in a pipeline that reads several topics.
  private func place(of partition: TopicPartition) -> (worker: Int, topic: Int)? {
    for index in workers.indices where workers[index].partition.partition == partition.partition {
      if let topic = workers[index].streams?.index(of: partition) { return (index, topic) }
    }
    return nil
  }

  /// Keeps records of several topics; a topic of which much is waiting is read no further for now.
  private mutating func takeStreams(now: Duration) throws {
    let bytes = records.bytes
    for run in records.runs {
      guard let (index, topic) = place(of: run.partition) else { continue }
      workers[index].take(
        records.messages[run.messages], bytes: bytes.span, topic: topic, failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
      if let streams = workers[index].streams, !streams.topics[topic].isPaused,
        streams.topics[topic].pendingCount >= configuration.streamRecordsMax
          || streams.pendingBytes(ofTopic: topic) >= streamBytesMax
      {
        try source.pause([run.partition])
        workers[index].setPaused(true, topic: topic)
      }
    }
    if !records.isEmpty { bufferedBytesPeak = max(bufferedBytesPeak, bufferedBytes) }
  }

  /// Bytes of one topic's and partition's records after which it is read no further while they wait for others: less, the
  /// more of them there are.
  private var streamBytesMax: Int {
    let topicCount = workers.reduce(0) { $0 + $1.partitions.count }
    return max(
      configuration.commitBytes / 16, min(configuration.commitBytes, 4 * configuration.commitBytes / max(1, topicCount))
    )
  }

  /// Reads topics on of which little is waiting.
  private mutating func resumeStreams() throws {
    for index in workers.indices {
      guard let streams = workers[index].streams else { continue }
      for (topic, state) in streams.topics.enumerated()
      where state.isPaused && state.pendingCount < configuration.streamRecordsMax / 2
        && (streams.pendingBytes(ofTopic: topic) < streamBytesMax / 2 || state.pendingCount <= 1)
      {
        workers[index].setPaused(false, topic: topic)
        if held == nil { try source.resume([state.partition]) }
      }
    }
  }

  private mutating func take(now: Duration) throws {
    if !pipeline.features.streams.isEmpty { return try takeStreams(now: now) }
    let bytes = records.bytes
    for run in records.runs {
      guard let index = workers.firstIndex(where: { $0.partition == run.partition }) else { continue }
      if workers[index].isCareful {
        let isFirst = workers[index].waiting.isEmpty
        workers[index].wait(records.messages[run.messages], bytes: bytes.span)
        // What was delivered twice leaves nothing to wait for.
        if isFirst, !workers[index].waiting.isEmpty { try source.pause([run.partition]) }
        continue
      }
      workers[index].take(records.messages[run.messages], bytes: bytes.span, failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
    }
    if !records.isEmpty { bufferedBytesPeak = max(bufferedBytesPeak, bufferedBytes) }
  }

  /// Evaluates records one by one, each noted before, so that the next owner knows which one this process died with.
  ///
  /// A process that is killed from outside leaves a note, too. So the record is only suspected: the next owner puts it to
  /// the trial, with a note that stands for no longer than it takes to evaluate the record, and only a record whose trial
  /// was survived by nobody is rejected unseen.
  private mutating func takeCarefully(now: Duration) throws {
    for _ in 0..<Limits.carefulRecordsPerStep {
      guard held == nil, now >= nextCare, let index = workers.firstIndex(where: \.hasWaiting) else { return }
      if workers[index].streams != nil {
        if try !takeStreamCarefully(index, now: now) { return }
        continue
      }
      let (partition, staysNoted) = (workers[index].partition, workers[index].staysNoted)
      if workers.contains(where: \.mustCommit) {
        try commit(now: now)
        continue
      }
      let note = workers[index].nextNote
      if let note, try !store([note], of: workers[index].progress, now: now) { return }
      workers[index].takeWaiting(failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
      // Where this fails the next note or commit takes it back.
      if note?.isTrial == true, !staysNoted { _ = try store([], of: workers[index].progress, now: now) }
      if isCommitFull { try commit(now: now) }
      if held == nil, let index = workers.firstIndex(where: { $0.partition == partition }),
        workers[index].waiting.isEmpty
      {
        try source.resume([partition])
      }
    }
  }

  /// Takes the next record of a partition of several topics alone. `false` where the store is away or the partition is
  /// another's.
  private mutating func takeStreamCarefully(_ index: Int, now: Duration) throws -> Bool {
    let notes = workers[index].nextNotes
    if let notes, try !store(notes.records, of: workers[index].progress, now: now) { return false }
    workers[index].takeNext(failpoint: configuration.failpoint)
    if commitDue == nil { commitDue = now + configuration.commitInterval }
    let staysNoted = workers[index].streams?.staysNoted ?? false
    if notes?.isTrial == true, !staysNoted || !workers[index].hasFinishedUnit {
      // Where this fails the next note or commit takes it back.
      if try !store(workers[index].streamSuspects, of: workers[index].progress, now: now) { return false }
    }
    if workers[index].hasFinishedUnit {
      commitDue = now
      if staysNoted { try commit(now: now) }
    }
    return true
  }

  /// Stores notes. `false` where the store is away or the partitions are another's.
  private mutating func store(
    _ notes: [PartitionProgress.NotedRecord], of progress: PartitionProgress, now: Duration
  ) throws -> Bool {
    do {
      try store.note(notes, of: progress)
      if case .holding = phase { phase = .running }
      return true
    } catch let failure as any CommitFailure where failure.isRetryable {
      nextCare = now + configuration.retryDelay.lowerBound
      phase = .holding("\(failure)")
    } catch let failure as any CommitFailure where failure.isUndone {
      try goBack(to: workers.flatMap(\.partitions), failure, now: now)
    } catch let failure as any CommitFailure where failure.isFenced {
      try leave(failure, now: now)
    }
    return false
  }

  private func isCommitDue(now: Duration) -> Bool {
    guard let commitDue else { return false }
    return now >= commitDue || isCommitFull || workers.allSatisfy(\.isAtEnd)
  }

  private var isCommitFull: Bool {
    workers.reduce(0) { $0 + $1.pendingCount } >= configuration.commitEvents
      || workers.reduce(0) { $0 + $1.pendingBytes } >= configuration.commitBytes
  }

  private mutating func handle(_ event: SourceEvent, now: Duration) throws {
    switch event {
    case .assigned(let partitions):
      wanted = WantedPartitions(partitions: partitions, nextTry: now, delay: configuration.retryDelay.lowerBound)
    case .revoked:
      if held != nil { try retry(now: now) }
      if held == nil { try commit(now: now) }
      try? store.release(workers.map(\.progressToRelease))
      try drop()
    case .lost:
      try drop()
    case .reachedEnd(let partition, let offset):
      if let (index, topic) = place(of: partition) {
        workers[index].reachEnd(offset, topic: topic)
        if commitDue == nil, workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
        return
      }
      guard let index = workers.firstIndex(where: { $0.partition == partition }) else { return }
      workers[index].reachEnd(offset)
      if commitDue == nil, workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
    case .failed(let partition, let error):
      throw ProcessorError(code: .source, message: "\(partition) cannot be read on: \(error)")
    }
  }

  /// Takes ownership of partitions and starts each where its last commit ended; while the store is away, later.
  private mutating func own(_ request: WantedPartitions, now: Duration) throws {
    workers = []
    do {
      for partition in try scored(among: request.partitions) {
        let place = EventSource(topic: partition.topic, generation: generation, partition: partition.partition)
        let progress = try store.takeOwnership(
          pipelineID: pipelineID, source: place, startOffset: try source.earliestOffset(of: partition))
        workers.append(
          try PartitionWorker(
            partition: partition, progress: progress, engine: Engine(inForce),
            configuration: configuration, from: &store, earliestOffset: { try source.earliestOffset(of: $0) }))
      }
    } catch let failure as any CommitFailure where failure.isRetryable {
      workers = []
      let delay = min(request.delay * 2, configuration.retryDelay.upperBound)
      wanted = WantedPartitions(partitions: request.partitions, nextTry: now + request.delay, delay: delay)
      phase = .holding("\(failure)")
      return
    } catch let failure as any CommitFailure where failure.isUndone {
      return try goBack(to: request.partitions, failure, now: now)
    } catch let failure as any CommitFailure where failure.isFenced {
      return try leave(failure, now: now)
    } catch let error as StateFormatError {
      throw unusable(error)
    }
    configuration.failpoint?("owned", 0, nil)
    wanted = nil
    try source.assign(startOffsets)
    phase = .running
    fencedUntil = nil
  }

  /// The scored topic's partitions in order, each of which needs the same partition of every stream beside it.
  private func scored(among partitions: [TopicPartition]) throws -> [TopicPartition] {
    let streams = pipeline.definition.streams.compactMap(\.kafkaTopic)
    if streams.isEmpty { return partitions.sorted() }
    let scored = partitions.filter { !streams.contains($0.topic) }.sorted()
    let wanted = Set(scored.map(\.partition))
    for stream in streams {
      let given = Set(partitions.filter { $0.topic == stream }.map(\.partition))
      guard let apart = wanted.symmetricDifference(given).min() else { continue }
      throw ProcessorError(
        code: .source,
        message: "partition \(apart) of \(stream) was not given to the same member as that of"
          + " \(scored.first?.topic ?? "the scored topic"): all members of a group run the same pipeline, and all its"
          + " topics have the same number of partitions")
    }
    return scored
  }

  /// Leaves partitions that another process has taken.
  private mutating func leave(_ failure: any CommitFailure, now: Duration) throws {
    try drop()
    phase = .fenced("\(failure)")
    fencedUntil = now + configuration.fencedPatience
  }

  /// Takes partitions again whose commits the store has forgotten, and reads on where it is now.
  private mutating func goBack(
    to partitions: [TopicPartition], _ failure: any CommitFailure, now: Duration
  ) throws {
    try source.resume(partitions)
    try drop()
    phase = .holding("\(failure)")
    wanted = WantedPartitions(partitions: partitions, nextTry: now, delay: configuration.retryDelay.lowerBound)
  }

  private func unusable(_ error: StateFormatError) -> ProcessorError {
    let name = pipeline.definition.name
    return ProcessorError(
      code: .state,
      message: "what is stored of the features of pipeline \(name) cannot be used: \(error.description)."
        + " `fraudctl pipeline reset \(name)` discards it")
  }

  /// Forgets everything that is not committed.
  private mutating func drop() throws {
    workers = []
    held = nil
    wanted = nil
    commitDue = nil
    settleDue = nil
    if case .holding = phase { phase = .running }
    try source.unassign()
  }

  /// - Parameter begins: whether events of several topics may begin to be taken one by one, which is committed later.
  private mutating func commit(now: Duration, begins: Bool = true) throws {
    commitDue = nil
    var unit = CommitUnit(
      pipeline: pipeline.definition.name, pipelineID: pipelineID, pipelineVersion: version, batchID: makeBatchID())
    var summary = RunSummary(pipeline: pipeline, version: version)
    let read = workers.reduce(0) { $0 + $1.pendingBytes + $1.streamBytes }
    for index in workers.indices where workers[index].pendingCount > 0 {
      if workers[index].streams != nil {
        let isAhead = workers[index].evaluateStreams(now: now, configuration: configuration, begins: begins)
        // What waits for another topic is tried again.
        if workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
        if !isAhead { continue }
      }
      workers[index].contribute(to: &unit, summary: &summary)
    }
    try resumeStreams()
    if unit.advances.isEmpty { return }
    let bytes = read - workers.reduce(0) { $0 + $1.pendingBytes + $1.streamBytes }
    try attempt(
      HeldCommit(unit: unit, bytes: bytes, summary: summary, nextTry: now, delay: configuration.retryDelay.lowerBound),
      now)
  }

  private mutating func retry(now: Duration) throws {
    guard let held else { return }
    try attempt(held, now)
  }

  private mutating func attempt(_ commit: HeldCommit, _ now: Duration) throws {
    do {
      configuration.failpoint?("commit", 0, nil)
      let outcome = try store.commit(commit.unit)
      configuration.failpoint?("committed", 0, nil)
      if held != nil {
        try source.resume(
          workers.filter(\.waiting.isEmpty).flatMap { worker in
            worker.streams?.topics.filter { !$0.isPaused }.map(\.partition) ?? [worker.partition]
          })
        held = nil
        phase = .running
      }
      commitCount += 1
      if settleDue == nil { settleDue = now + configuration.settleInterval }
      conflicts += outcome.conflicts
      committed.merge(commit.summary)
      var offsets: [TopicPartition: Int64] = [:]
      for progress in outcome.progress {
        let partition = TopicPartition(topic: progress.source.topic, partition: progress.source.partition)
        offsets[partition] = progress.nextOffset
        guard let index = workers.firstIndex(where: { $0.partition == partition }) else { continue }
        workers[index].progress = progress
        for topic in workers[index].streams?.topics ?? [] { offsets[topic.partition] = topic.evaluatedOffset }
      }
      try source.commit(offsets)
    } catch let failure as any CommitFailure where failure.isUndone {
      try goBack(to: workers.flatMap(\.partitions), failure, now: now)
    } catch let failure as any CommitFailure where failure.isFenced {
      try leave(failure, now: now)
    } catch let failure as any CommitFailure where failure.isRetryable {
      if held == nil { try source.pause(workers.flatMap(\.partitions)) }
      let delay = min(commit.delay * 2, configuration.retryDelay.upperBound)
      held = HeldCommit(
        unit: commit.unit, bytes: commit.bytes, summary: commit.summary, nextTry: now + commit.delay, delay: delay)
      phase = .holding("\(failure)")
    }
  }
}

/// Why a processor cannot go on.
public struct ProcessorError: Error, Sendable, CustomStringConvertible {
  /// What a caller can branch on.
  public struct Code: Sendable, Hashable {
    private enum Value { case fenced, source, state }
    private let value: Value
    /// Another process keeps the partitions.
    public static let fenced = Code(value: .fenced)
    /// A partition cannot be read on.
    public static let source = Code(value: .source)
    /// What is stored of the features cannot be used.
    public static let state = Code(value: .state)
  }

  /// See ``Code-swift.struct``.
  public var code: Code
  /// For people.
  public var message: String

  /// The message.
  public var description: String { message }
}

/// One partition that a processor owns: its engine, the batch being filled, and what came out since the last commit.
struct PartitionWorker {
  let partition: TopicPartition
  /// As of the last commit.
  var progress: PartitionProgress {
    didSet {
      if let known = suspect, known.offset < progress.nextOffset { suspect = nil }
      streams?.forgetSuspects(before: progress)
    }
  }
  /// The offset after the last record taken.
  private(set) var nextOffset: Int64
  var isAtEnd = false
  private(set) var engine: Engine
  private var batch: EventBatch
  private(set) var alerts: [Alert] = []
  private(set) var shadowAlerts: [Alert] = []
  private(set) var rejected: [RejectedRecord] = []
  private(set) var ruleErrors: [RuleErrorRecord] = []
  private(set) var aggregates: [AggregateRecord] = []
  private var online: OnlineFeatures?
  private var latestEventTime: Int64?
  /// What the engine had counted at the last commit, for each version in it.
  private var committedCounts: [RunSummary]
  /// Absent where there are no features.
  private var journal: StateJournal?
  /// What was read of all topics; absent where the pipeline reads no other.
  private(set) var streams: PartitionStreams?
  /// Records that wait to be taken one by one, while the partition is processed with care, and those behind them.
  private(set) var waiting = WaitingRecords()
  /// Whether so many wait that it is read no further.
  var isPaused = false
  /// The partition's end, reached behind what waits.
  private var endBehindWaiting: Int64?
  /// Bytes of the records taken since the last commit.
  private(set) var pendingBytes = 0
  /// Records to come that are to be taken with care: at least all that the dead owner can have had in its hands.
  private var carefulRecords = 0
  /// The record that a careful owner had in its hands when it died.
  private var suspect: PartitionProgress.NotedRecord?
  /// Whether a record stays noted until its commit is done, and not only until it was evaluated: after so many crashes that
  /// evaluating it cannot be what kills.
  private(set) var staysNoted = false

  /// Starts where the last commit ended, with what the features remembered then.
  ///
  /// - Parameter earliestOffset: where to begin a stream that was never read.
  /// - Throws: ``StateFormatError``, and what the store throws.
  init(
    partition: TopicPartition, progress: PartitionProgress, engine: Engine,
    configuration: ProcessorConfiguration, from store: inout some Committer & ~Copyable,
    earliestOffset: (TopicPartition) throws -> Int64
  ) throws {
    let anew = engine
    var engine = engine
    var journal = Self.journal(of: engine, progress, configuration)
    if journal != nil, progress.state != nil {
      try store.readState(of: progress) { part in
        switch part {
        case .bucket(let bytes): try engine.features.apply(bytes)
        case .delta(let bytes):
          try engine.features.apply(bytes)
          journal?.observe(storedDelta: bytes.count)
        }
      }
    }
    if progress.state?.identity != engine.pipeline.features.identity {
      try Self.warm(&engine, anew: anew, progress, configuration)
    }
    let streams = try PartitionStreams(engine.pipeline, progress, configuration, earliestOffset: earliestOffset)
    self.init(partition, progress, engine, journal, configuration, streams)
  }

  private init(
    _ partition: TopicPartition, _ progress: PartitionProgress, _ engine: Engine, _ journal: StateJournal?,
    _ configuration: ProcessorConfiguration, _ streams: PartitionStreams?
  ) {
    self.partition = partition
    self.streams = streams
    self.progress = progress
    self.engine = engine
    self.journal = journal
    nextOffset = progress.nextOffset
    batch = EventBatch(layout: engine.pipeline.layout, source: progress.source, capacity: configuration.batchRows)
    latestEventTime = progress.maxEventTime
    committedCounts = engine.countsByVersion
    online = OnlineFeatures(engine.pipeline)
    if journal != nil { self.engine.features.trackChanges() }
    if streams != nil { return }
    suspect = progress.noted.first
    if progress.crashCount > 0 { carefulRecords = configuration.recordsInHand }
    // A suspect's note gives way to others' only where its owners still crash before they come to it.
    staysNoted = progress.crashCount >= Limits.crashesBeforeCommitCare * (suspect == nil ? 1 : 2)
  }

  /// Gives features that are not those stored what they would remember had they been there all along, where the events are
  /// kept.
  private static func warm(
    _ engine: inout Engine, anew: Engine, _ progress: PartitionProgress, _ configuration: ProcessorConfiguration
  ) throws {
    guard let history = configuration.history, !anew.pipeline.features.isEmpty, anew.pipeline.features.streams.isEmpty,
      progress.nextOffset > progress.startOffset
    else { return }
    var warmed = anew
    if try history(&warmed, progress.source, progress.startOffset..<progress.nextOffset) {
      engine.features = warmed.features
    }
  }

  private static func journal(
    of engine: Engine, _ progress: PartitionProgress, _ configuration: ProcessorConfiguration
  ) -> StateJournal? {
    let features = engine.pipeline.features
    return features.isEmpty ? nil : StateJournal(features, stored: progress.state, limits: configuration.state)
  }

  /// The same partition with another version of the pipeline, whose unchanged features go on with what they remembered at
  /// the last commit.
  ///
  /// Where that commit was another version's than the one that runs here, as after a take-over, what it stored is read
  /// again: this version may not have taken in all of it.
  ///
  /// What was read of several topics and not committed is forgotten, to be read again.
  ///
  /// - Precondition: everything that was taken is committed.
  /// - Throws: as ``init(partition:progress:engine:configuration:from:)``.
  func adopting(
    _ next: Engine, configuration: ProcessorConfiguration, from store: inout some Committer & ~Copyable
  ) throws -> PartitionWorker {
    precondition(streams != nil || pendingCount == 0, "\(partition) has events of the former version")
    let earliestOffset = { (partition: TopicPartition) in
      streams?.topics.first { $0.partition == partition }?.startOffset ?? 0
    }
    let isWhole = progress.state == nil || progress.state?.identity == engine.pipeline.features.identity
    var worker: PartitionWorker
    if isWhole {
      let pipeline = next.pipeline
      var carrying = next
      carrying.features = engine.features.carried(to: pipeline.features, limits: pipeline.definition.stateLimits)
      if pipeline.features.identity != engine.pipeline.features.identity {
        try Self.warm(&carrying, anew: next, progress, configuration)
      }
      var journal = Self.journal(of: next, progress, configuration)
      if let former = self.journal, journal != nil { journal = former.continued(with: pipeline.features) }
      let streams = PartitionStreams(pipeline, progress, configuration, earliestOffset: earliestOffset)
      worker = PartitionWorker(partition, progress, carrying, journal, configuration, streams)
    } else {
      worker = try PartitionWorker(
        partition: partition, progress: progress, engine: next, configuration: configuration, from: &store,
        earliestOffset: earliestOffset)
    }
    if let streams {
      worker.streams?.suspects = streams.suspects
      if streams.isCareful { worker.streams?.takeWithCare(configuration) }
      return worker
    }
    worker.isAtEnd = isAtEnd
    (worker.waiting, worker.isPaused, worker.endBehindWaiting) = (waiting, isPaused, endBehindWaiting)
    (worker.carefulRecords, worker.suspect, worker.staysNoted) = (carefulRecords, suspect, staysNoted)
    return worker
  }

  /// Bytes of the records taken since the last commit, and of those that wait.
  var bufferedBytes: Int { pendingBytes + streamBytes + waiting.byteCount }

  /// Bytes of the records of several topics that were read and not evaluated.
  var streamBytes: Int {
    guard let streams else { return 0 }
    return streams.topics.indices.reduce(0) { $0 + streams.pendingBytes(ofTopic: $1) }
  }

  /// Adds what its features hold.
  func count(in memory: inout ProcessorMemory) {
    memory.stateBytes += engine.features.byteCount
    memory.stateKeys += engine.features.keyCount
    memory.deltaBytes += journal?.deltaBytes ?? 0
  }

  /// Events taken since the last commit.
  var pendingCount: Int { streams?.pendingCount ?? Int(clamping: nextOffset - progress.nextOffset) }

  /// The partitions it reads: one of each topic.
  var partitions: [TopicPartition] { streams?.topics.map(\.partition) ?? [partition] }

  /// Where it reads each of them on.
  var starts: [(partition: TopicPartition, offset: Int64)] {
    streams?.topics.map { ($0.partition, $0.evaluatedOffset) } ?? [(partition, progress.nextOffset)]
  }

  /// Whether records wait for their turn, or will.
  var isCareful: Bool { streams?.hasCarefulWork ?? (takesAlone || !waiting.isEmpty) }

  /// Whether records are taken one by one.
  private var takesAlone: Bool { carefulRecords > 0 || suspect != nil || waiting.first?.isAlone ?? false }

  /// Whether it has records that wait.
  var hasWaiting: Bool { streams?.hasCarefulWork ?? !waiting.isEmpty }

  /// Whether a unit of several topics is being evaluated, or was and is not committed.
  var isMidUnit: Bool { streams?.careful != nil }

  /// Whether a unit of several topics was evaluated one by one.
  var hasFinishedUnit: Bool { streams?.careful?.isDone ?? false }

  /// Whether what was taken must be committed before anything else is taken: a record that was rejected unseen stays noted
  /// until then, and of a record that stays noted its commit is a part.
  var mustCommit: Bool {
    pendingCount > 0 && (staysNoted || suspect.map { $0.isTrial && $0.offset < nextOffset } ?? false)
  }

  /// What is to be noted before the first of those that wait is taken, if anything.
  ///
  /// Those before a suspect were evaluated well by the owner that died with it, so that its note stands until its trial.
  var nextNote: PartitionProgress.NotedRecord? {
    guard let record = waiting.first else { return nil }
    let offset = record.offset
    if let suspect, offset <= suspect.offset, !staysNoted || offset == suspect.offset {
      let isTrial = offset == suspect.offset && !suspect.isTrial
      return isTrial ? PartitionProgress.NotedRecord(topic: partition.topic, offset: offset, isTrial: true) : nil
    }
    return record.isAlone
      ? PartitionProgress.NotedRecord(topic: partition.topic, offset: offset, isTrial: false) : nil
  }

  /// What the next owner is to know where this one leaves of its own will: care goes on until it is over.
  var progressToRelease: PartitionProgress {
    var progress = progress
    progress.crashCount = streams?.isCareful ?? takesAlone ? max(1, progress.crashCount) : 0
    progress.noted = streams?.suspects ?? suspects
    return progress
  }

  /// Those that a commit leaves under suspicion.
  private var suspects: [PartitionProgress.NotedRecord] { suspect.map { [$0] } ?? [] }

  /// Keeps records to be taken one by one, and behind them.
  mutating func wait(_ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>) {
    for message in messages where message.offset >= max(nextOffset, waiting.last.map { $0.offset + 1 } ?? 0) {
      waiting.append(message, bytes: bytes, isAlone: carefulRecords > 0 || suspect != nil)
      carefulRecords = max(0, carefulRecords - 1)
      endBehindWaiting = nil
    }
    isAtEnd = isAtEnd && waiting.isEmpty
  }

  /// Takes the first of those that wait, if it is to be taken alone, or up to so many that are not.
  mutating func takeWaiting(upTo count: Int, failpoint: ProcessorConfiguration.Failpoint?) {
    for _ in 0..<max(1, count) {
      guard let record = waiting.popFirst() else { break }
      if let suspect, suspect.isTrial, suspect.offset == record.offset {
        reject(record)
      } else {
        failpoint?("take", record.offset, partition)
        append(record.value?.span, offset: record.offset, timestamp: record.timestamp)
        if record.isAlone { evaluate() }
      }
      if let known = suspect, known.offset <= record.offset, !known.isTrial { suspect = nil }
      if record.isAlone || waiting.first?.isAlone ?? false { break }
    }
    if waiting.isEmpty, let end = endBehindWaiting { reachEnd(end) }
  }

  static func microseconds(_ milliseconds: Int64?) -> Int64? {
    milliseconds.flatMap { milliseconds in
      let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
      return overflow ? nil : microseconds
    }
  }

  /// Takes records; one that was taken before is passed over.
  mutating func take(
    _ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>, failpoint: ProcessorConfiguration.Failpoint?
  ) {
    for message in messages where message.offset >= nextOffset {
      let timestamp = Self.microseconds(message.timestampMilliseconds)
      failpoint?("take", message.offset, partition)
      let value: Span<UInt8>? = if let range = message.value { bytes.extracting(range) } else { nil }
      append(value, offset: message.offset, timestamp: timestamp)
    }
  }

  private mutating func append(_ value: Span<UInt8>?, offset: Int64, timestamp: Int64?) {
    guard offset >= nextOffset else { return }
    if !batch.hasRoom(forMessageOf: value?.count ?? 0) { evaluate() }
    if let value {
      batch.append(message: value, offset: offset, timestamp: timestamp)
    } else {
      batch.appendTombstone(offset: offset, timestamp: timestamp)
    }
    pendingBytes += value?.count ?? 0
    nextOffset = offset + 1
    isAtEnd = false
  }

  /// Keeps a record that made its owners crash among the rejected, unseen.
  private mutating func reject(_ record: WaitingRecord) {
    append(record.value?.span, offset: record.offset, timestamp: record.timestamp)
    if let record = engine.rejectUnseen(batch) { rejected.append(record) }
    batch.removeAll()
  }

  /// Learns that nothing stands before an offset any more but what was given, and nothing behind it. Offsets that hold no
  /// records, as compaction and transactions leave them, are passed over.
  mutating func reachEnd(_ offset: Int64) {
    // What an earlier owner can have died with stands before the end.
    carefulRecords = 0
    guard waiting.isEmpty else {
      endBehindWaiting = offset
      return
    }
    endBehindWaiting = nil
    if let known = suspect, known.offset < offset, !known.isTrial { suspect = nil }
    nextOffset = max(nextOffset, offset)
    isAtEnd = true
  }

  /// Takes records of one of several topics; one that was taken before is passed over.
  mutating func take(
    _ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>, topic: Int,
    failpoint: ProcessorConfiguration.Failpoint?
  ) {
    streams?.take(messages, bytes: bytes, topic: topic, failpoint: failpoint)
    isAtEnd = streams?.isAtEnd ?? isAtEnd
  }

  /// Learns that one of several topics holds nothing behind an offset.
  mutating func reachEnd(_ offset: Int64, topic: Int) {
    streams?.reachEnd(offset, topic: topic)
    isAtEnd = streams?.isAtEnd ?? isAtEnd
  }

  /// Remembers what the source was told.
  mutating func setPaused(_ isPaused: Bool, topic: Int) { streams?.setPaused(isPaused, topic: topic) }

  /// Evaluates what can be evaluated of several topics.
  ///
  /// - Parameter begins: whether a unit that is taken with care may begin.
  /// - Returns: whether there is anything to commit.
  mutating func evaluateStreams(now: Duration, configuration: ProcessorConfiguration, begins: Bool) -> Bool {
    withStreams { streams, engine, output in
      streams.evaluate(&engine, now: now, configuration: configuration, begins: begins, into: &output)
    } ?? false
  }

  /// What is to be noted before the next record of several topics is taken alone, if anything.
  var nextNotes: (records: [PartitionProgress.NotedRecord], isTrial: Bool)? { streams?.nextNotes }

  /// Takes what only waits for records of several topics that are taken alone, up to the next of those.
  mutating func takeCarefree(failpoint: ProcessorConfiguration.Failpoint?) {
    withStreams { $0.takeCarefree(&$1, failpoint, into: &$2) }
  }

  /// Takes the next record of several topics alone.
  mutating func takeNext(failpoint: ProcessorConfiguration.Failpoint?) {
    withStreams { $0.takeNext(&$1, failpoint, into: &$2) }
  }

  /// The records of several topics that are under suspicion.
  var streamSuspects: [PartitionProgress.NotedRecord] { streams?.suspects ?? [] }

  @discardableResult
  private mutating func withStreams<Result>(
    _ body: (inout PartitionStreams, inout Engine, inout PartitionStreams.Output) -> Result
  ) -> Result? {
    guard var streams = streams.take() else { return nil }
    var output = PartitionStreams.Output(online: online, latestEventTime: latestEventTime)
    online = nil
    let result = body(&streams, &engine, &output)
    (online, latestEventTime) = (output.online, output.latestEventTime)
    alerts += output.alerts
    shadowAlerts += output.shadowAlerts
    rejected += output.rejected
    ruleErrors += output.ruleErrors
    aggregates += output.aggregates
    nextOffset = streams.topics[0].evaluatedOffset
    self.streams = streams
    return result
  }

  /// Decodes and evaluates what waits in the batch.
  mutating func evaluate() {
    guard !batch.positions.isEmpty else { return }
    engine.process(&batch)
    alerts += engine.alertRecords(of: batch)
    shadowAlerts += engine.shadowAlertRecords(of: batch)
    for event in engine.decoding.rejected { rejected.append(engine.record(event, of: batch)) }
    ruleErrors += engine.ruleErrorRecords(of: batch)
    for row in engine.features.aggregates { aggregates.append(AggregateRecord(source: batch.source, row: row)) }
    online?.observe(batch, engine.pipeline)
    if let time = engine.latestEventTime(of: batch) { latestEventTime = max(latestEventTime ?? time, time) }
    batch.removeAll()
  }

  /// Moves what came out since the last commit into a unit; `nil` where nothing was taken.
  mutating func contribute(to unit: inout CommitUnit, summary: inout RunSummary) {
    evaluate()
    if !takesAlone { staysNoted = false }
    var advance = PartitionAdvance(progress: progress, nextOffset: nextOffset)
    let byVersion = zip(engine.countsByVersion, committedCounts).map { $0.difference(from: $1) }
    committedCounts = engine.countsByVersion
    let counted = advance.add(byVersion)
    advance.maxEventTime = latestEventTime
    advance.stateChange = journal?.change(of: &engine.features, at: progress.sequence &+ 1)
    if let watermark = engine.features.watermark { advance.watermark = watermark }
    if let streams {
      advance.streams = streams.advances(from: progress, counted: counted)
      advance.noted = streams.suspectsAhead
    } else {
      advance.noted = suspects.filter { $0.offset >= nextOffset }
    }
    unit.advances.append(advance)
    if let rows = online?.take() { unit.add(rows) }
    unit.alertsTopic = engine.pipeline.definition.alertsTopic
    unit.alertsKey = engine.pipeline.definition.key
    if !aggregates.isEmpty { unit.aggregateTopics = engine.pipeline.definition.aggregateTopics }
    unit.alerts += alerts
    unit.shadowAlerts += shadowAlerts
    unit.rejected += rejected
    unit.ruleErrors += ruleErrors
    unit.aggregates += aggregates
    summary.merge(counted)
    pendingBytes = 0
    alerts.removeAll(keepingCapacity: true)
    shadowAlerts.removeAll(keepingCapacity: true)
    rejected.removeAll(keepingCapacity: true)
    ruleErrors.removeAll(keepingCapacity: true)
    aggregates.removeAll(keepingCapacity: true)
  }
}

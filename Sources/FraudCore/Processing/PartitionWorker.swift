/// One partition that a processor owns: its engine, the batch being filled, and what came out since the last commit.
struct PartitionWorker {
  let partition: TopicPartition
  /// As of the last commit.
  var progress: PartitionProgress
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
  /// What the engine had counted at the last commit.
  private var committedSummary: RunSummary
  /// Absent where there are no features.
  private var journal: StateJournal?

  /// Starts where the last commit ended, with what the features remembered then.
  ///
  /// - Throws: ``StateFormatError``, and what the store throws.
  init(
    partition: TopicPartition, progress: PartitionProgress, engine: Engine,
    configuration: ProcessorConfiguration, from store: inout some Committer & ~Copyable
  ) throws {
    var engine = engine
    self.partition = partition
    self.progress = progress
    nextOffset = progress.nextOffset
    batch = EventBatch(
      layout: engine.pipeline.layout, source: progress.source, capacity: configuration.batchRows)
    latestEventTime = progress.maxEventTime
    committedSummary = engine.summary
    online = OnlineFeatures(engine.pipeline)
    if !engine.pipeline.features.isEmpty {
      var journal = StateJournal(
        engine.pipeline.features, stored: progress.state, limits: configuration.state)
      if progress.state != nil {
        try store.readState(of: progress) { part in
          switch part {
          case .bucket(let bytes): try engine.features.apply(bytes)
          case .delta(let bytes):
            try engine.features.apply(bytes)
            journal.observe(storedDelta: bytes.count)
          }
        }
      }
      engine.features.trackChanges()
      self.journal = journal
    }
    self.engine = engine
  }

  /// Events taken since the last commit.
  var pendingCount: Int { Int(clamping: nextOffset - progress.nextOffset) }

  /// Takes records; one that was taken before is passed over.
  mutating func take(_ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>) {
    for message in messages where message.offset >= nextOffset {
      let timestamp = message.timestampMilliseconds.flatMap { milliseconds in
        let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? nil : microseconds
      }
      if !batch.hasRoom(forMessageOf: message.value?.count ?? 0) { evaluate() }
      if let value = message.value {
        batch.append(message: bytes.extracting(value), offset: message.offset, timestamp: timestamp)
      } else {
        batch.appendTombstone(offset: message.offset, timestamp: timestamp)
      }
      nextOffset = message.offset + 1
      isAtEnd = false
    }
  }

  /// Passes over offsets that hold no records, as compaction and transactions leave them.
  mutating func advance(to offset: Int64) {
    nextOffset = max(nextOffset, offset)
  }

  /// Decodes and evaluates what waits in the batch.
  mutating func evaluate() {
    guard !batch.positions.isEmpty else { return }
    engine.process(&batch)
    for draft in engine.alerts { alerts.append(engine.alert(draft, of: batch)) }
    for draft in engine.shadowAlerts { shadowAlerts.append(engine.alert(draft, of: batch)) }
    for event in engine.decoding.rejected { rejected.append(engine.record(event, of: batch)) }
    for error in engine.errors { ruleErrors.append(engine.record(error, of: batch)) }
    for row in engine.features.aggregates { aggregates.append(AggregateRecord(source: batch.source, row: row)) }
    online?.observe(batch, engine.pipeline)
    if let time = engine.latestEventTime(of: batch) { latestEventTime = max(latestEventTime ?? time, time) }
    batch.removeAll()
  }

  /// Moves what came out since the last commit into a unit; `nil` where nothing was taken.
  mutating func contribute(to unit: inout CommitUnit, summary: inout RunSummary) {
    evaluate()
    var advance = PartitionAdvance(progress: progress, nextOffset: nextOffset)
    let counted = engine.summary.difference(from: committedSummary)
    committedSummary = engine.summary
    advance.maxEventTime = latestEventTime
    advance.stateChange = journal?.change(of: &engine.features, at: progress.sequence &+ 1)
    if let watermark = engine.features.watermark { advance.watermark = watermark }
    advance.counts = EventCounts(counted)
    for rule in counted.rules where rule.errors > 0 { advance.ruleErrorCounts[rule.id] = Int64(rule.errors) }
    advance.experiments = counted.experiments
    unit.advances.append(advance)
    if let rows = online?.take() { unit.add(rows) }
    unit.alertsTopic = engine.pipeline.definition.alertsTopic
    unit.alertsKey = engine.pipeline.definition.key
    unit.alerts += alerts
    unit.shadowAlerts += shadowAlerts
    unit.rejected += rejected
    unit.ruleErrors += ruleErrors
    unit.aggregates += aggregates
    summary.merge(counted)
    alerts.removeAll(keepingCapacity: true)
    shadowAlerts.removeAll(keepingCapacity: true)
    rejected.removeAll(keepingCapacity: true)
    ruleErrors.removeAll(keepingCapacity: true)
    aggregates.removeAll(keepingCapacity: true)
  }
}

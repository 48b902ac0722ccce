/// One alert to be written, as places in a batch and its results.
package struct AlertDraft: Sendable, Hashable {
  package var row: Int32
  /// The rule's index in ``Pipeline/rules``; `nil` for one alert a decision.
  package var rule: Int?
  /// The row's place among the batch's decisions.
  package var decision: Int
}

/// An event that was decided.
public struct ScoredEvent: Sendable, Hashable {
  /// What the policy makes of it.
  public var decision: Decision
  /// The live rules that triggered and what each added.
  public var reasons: [Reason]
  /// The alerts it yields, empty unless the decision alerts.
  public var alerts: [Alert]
}

/// A rule that has no value for an event.
package struct RuleError: Sendable, Hashable {
  package var row: Int
  /// The rule's index in ``Pipeline/rules``.
  package var rule: Int
  package var error: EvaluationError
}

/// Evaluates a pipeline over events: what one worker keeps while it runs.
///
/// An engine is for one source at a time, since features are kept in the order of its events. It is not shared; the
/// pipeline it was made of is.
///
/// - Complexity: linear in events and in the rules that look at them; nothing is allocated for a batch once it is warm.
public struct Engine: Sendable {
  /// What it evaluates.
  public let pipeline: Pipeline
  /// The version that its alerts carry.
  public let version: Int?
  /// What it counted of the events that it decided, and of what was read.
  var counts: RunSummary
  /// What the features remember.
  public package(set) var features: FeatureState
  /// The last batch's decisions and their alerts, in the order of its rows.
  package private(set) var decisions = Decisions()
  package private(set) var alerts: [AlertDraft] = []
  package private(set) var shadowAlerts: [AlertDraft] = []
  /// Of the last batch, for each rule and up to ``Limits/ruleErrorsKept``.
  package private(set) var errors: [RuleError] = []
  package private(set) var outcomes: RuleOutcomes
  package var decoding: DecoderState
  private var evaluator: RuleEvaluator
  private var scratch = ScoringScratch()
  let lists: [ListValues]
  private let redaction: Redaction
  /// Absent where every rule is in force for every key.
  private var arms: ExperimentArms?
  /// The one engine that decides the events of all other keys, with the features that this one computes; none where this one
  /// decides all.
  private(set) var controls: [Engine] = []
  /// Absent where this engine decides all events, or is itself a control.
  private(set) var versionArms: VersionArms?
  /// The batch for one event; absent only while ``score(_:source:offset:timestamp:)`` uses it.
  private var single: EventBatch?
  /// Absent where the pipeline reads no other topic.
  var merging: MergedEvents?

  /// Makes an engine that remembers nothing yet.
  ///
  /// - Parameters:
  ///   - version: the pipeline's version, `nil` for files.
  ///   - lists: what the lists hold that the definition leaves to a file, by name. One that is missing here is empty.
  public init(_ pipeline: Pipeline, version: Int? = nil, lists: [String: ListValues] = [:]) {
    self.pipeline = pipeline
    self.version = version
    self.lists = zip(pipeline.definition.lists, pipeline.lists).map { definition, values in
      values ?? lists[definition.name] ?? definition.contents([])
    }
    counts = RunSummary(pipeline: pipeline, version: version)
    features = FeatureState(pipeline.features, limits: pipeline.definition.stateLimits)
    decoding = DecoderState(pipeline.decoder)
    evaluator = RuleEvaluator(pipeline.program)
    redaction = Redaction(schema: pipeline.definition.schema)
    arms = ExperimentArms(pipeline)
    outcomes = RuleOutcomes(ruleCount: pipeline.rules.count, stride: 1)
    if !pipeline.features.streams.isEmpty { merging = MergedEvents(pipeline) }
  }

  /// Makes an engine of a version and, where it has one, its control.
  public init(_ version: PipelineVersion) {
    self.init(version.pipeline, version: version.number, lists: version.lists)
    guard let control = version.control, let arms = VersionArms(version.pipeline) else { return }
    precondition(
      control.pipeline.features.identity == pipeline.features.identity && control.pipeline.layout == pipeline.layout,
      "a control with other features")
    controls = [Engine(control.pipeline, version: control.number, lists: control.lists)]
    versionArms = arms
    counts.experiments.append(
      RunSummary.ExperimentCounts(
        ruleID: "", share: arms.share, version: version.number, controlVersion: control.number))
  }

  /// What it counted, its control included.
  public var summary: RunSummary {
    guard var sum = controls.first?.counts else { return counts }
    sum.merge(counts)
    return sum
  }

  /// What each version counted of the events that it decided: this one's, with all that was read, then its control's.
  package var countsByVersion: [RunSummary] { [counts] + controls.map(\.counts) }

  /// Decides one event, given as the text of a JSON object.
  ///
  /// Features see the events in the order in which they are scored.
  ///
  /// - Parameters:
  ///   - source: where the event came from, for its alerts' ids.
  ///   - offset: its offset there.
  ///   - timestamp: the record's timestamp in microseconds since 1970, for pipelines without an event time.
  /// - Throws: ``RejectedEvent`` when the text is no event of the schema.
  /// - Complexity: about a microsecond for an event of ten fields and ten rules; nothing is allocated but the result.
  public mutating func score(
    _ event: [UInt8], source: EventSource = EventSource(topic: ""), offset: Int64 = 0, timestamp: Int64? = nil
  ) throws(RejectedEvent) -> ScoredEvent {
    var batch = single.take() ?? EventBatch(layout: pipeline.layout, source: source, capacity: 1)
    defer { single = batch }
    batch.source = source
    batch.removeAll()
    if batch.hasRoom(forMessageOf: event.count) {
      batch.append(message: event.span, offset: offset, timestamp: timestamp)
    }
    process(&batch)
    if let rejected = decoding.rejected.first { throw rejected }
    if let versionArms, !versionArms.isTreated(row: 0) { return controls[0].scored(batch) }
    return scored(batch)
  }

  /// What became of a batch's only event.
  private func scored(_ batch: EventBatch) -> ScoredEvent {
    if decisions.rows.isEmpty { return ScoredEvent(decision: pipeline.scoring.quiet, reasons: [], alerts: []) }
    return ScoredEvent(
      decision: decision(at: 0), reasons: reasons(at: 0, batch: batch),
      alerts: alerts.map { alert($0, of: batch) })
  }

  /// Decodes the messages that wait in a batch and evaluates the events.
  package mutating func process(_ batch: inout EventBatch) {
    pipeline.decoder.decode(&batch, &decoding)
    evaluate(&batch)
  }

  /// Evaluates the rows that were just decoded and counts them and what was rejected; results stand in ``decisions``,
  /// ``alerts`` and ``errors`` until the next call.
  package mutating func evaluate(_ batch: inout EventBatch) {
    fitOutcomes(to: batch)
    for event in decoding.rejected { counts.rejected[event.reason, default: 0] += 1 }
    counts.unknownFields += decoding.unknownFields
    counts.accepted += batch.rowCount
    if !pipeline.features.streams.isEmpty {
      applyAlone(to: &batch)
    } else if !pipeline.features.isEmpty {
      let late = features.lateCount
      features.apply(to: &batch, lists: lists)
      counts.late += features.lateCount - late
    }
    decide(&batch)
  }

  /// Evaluates rows whose features are computed.
  mutating func decide(_ batch: inout EventBatch) {
    if pipeline.definition.deduplicate != nil {
      for word in features.repeated { counts.duplicates += word.nonzeroBitCount }
    }
    guard var divided = versionArms.take() else { return decide(batch, only: nil) }
    divided.divide(batch)
    decide(batch, only: divided.treated)
    controls[0].fitOutcomes(to: batch)
    controls[0].features.show(rowsOf: features)
    controls[0].decide(batch, only: divided.control)
    divided.count(
      decisions, controls[0].decisions, of: batch, label: pipeline.known.label,
      into: &counts.experiments[counts.experiments.count - 1])
    versionArms = divided
  }

  /// - Parameter rows: those that this engine decides; `nil` for all.
  private mutating func decide(_ batch: EventBatch, only rows: [UInt64]?) {
    evaluator.evaluate(batch, lists: lists, into: &outcomes)
    if pipeline.definition.deduplicate != nil { outcomes.clear(rows: features.repeated) }
    if let rows { outcomes.clear(rows: rows.map(~)) }
    arms?.apply(to: &outcomes, of: batch, only: rows)
    let words = (batch.rowCount + 63) / 64
    collectErrors(batch, words: words)
    pipeline.scoring.decide(outcomes, rowCount: batch.rowCount, only: rows, scratch: &scratch, into: &decisions)
    draftAlerts()
    draftShadowAlerts(words: words)
    if let label = pipeline.known.label { countHits(batch, label: label, only: rows) }
    arms?.count(decisions, of: batch, label: pipeline.known.label, into: &counts.experiments)
  }

  mutating func fitOutcomes(to batch: EventBatch) {
    guard outcomes.stride != batch.bitmapStride else { return }
    outcomes = RuleOutcomes(ruleCount: pipeline.rules.count, stride: batch.bitmapStride)
  }

  /// Goes on with another version, whose unchanged features keep what they remember; nothing where it is this one.
  package mutating func adopt(_ next: PipelineVersion) {
    guard next.number != version else { return }
    var engine = Engine(next)
    engine.features = features.carried(to: next.pipeline.features, limits: next.pipeline.definition.stateLimits)
    self = engine
  }

  /// Folds rows into the features and decides nothing: what fills windows before the first event that counts.
  package mutating func remember(_ batch: inout EventBatch) {
    if !pipeline.features.streams.isEmpty {
      applyAlone(to: &batch)
    } else if !pipeline.features.isEmpty {
      features.apply(to: &batch, lists: lists)
    }
  }

  private mutating func collectErrors(_ batch: EventBatch, words: Int) {
    errors.removeAll(keepingCapacity: true)
    for rule in pipeline.rules.indices where outcomes.mayBeError[rule] {
      let start = rule * outcomes.stride
      var kept = 0
      for word in 0..<words where outcomes.error[start + word] != 0 {
        var bits = outcomes.error[start + word]
        counts.rules[rule].errors += bits.nonzeroBitCount
        if pipeline.definition.onRuleError == .alert {
          outcomes.triggered[start + word] |= bits
          outcomes.mayBeTriggered[rule] = true
        }
        while bits != 0, kept < Limits.ruleErrorsKept {
          let row = word * 64 + bits.trailingZeroBitCount
          bits &= bits - 1
          guard let error = evaluator.error(rule: rule, row: row, in: batch) else { continue }
          errors.append(RuleError(row: row, rule: rule, error: error))
          kept += 1
        }
      }
    }
  }

  private mutating func draftAlerts() {
    alerts.removeAll(keepingCapacity: true)
    for index in decisions.rows.indices where decisions.verdicts[index].alerts {
      counts.decisions += 1
      let row = Int(decisions.rows[index])
      let perRule = pipeline.definition.scoring.alerts == .perRule
      let before = alerts.count
      for place in decisions.triggered(at: index) {
        let rule = Int(decisions.triggeredRules[place])
        counts.rules[rule].matches += 1
        if perRule { alerts.append(AlertDraft(row: Int32(row), rule: rule, decision: index)) }
      }
      if alerts.count == before { alerts.append(AlertDraft(row: Int32(row), rule: nil, decision: index)) }
      for draft in alerts[before...] { counts.alertsBySeverity[severity(of: draft).rank] += 1 }
    }
    counts.alerts += alerts.count
  }

  private mutating func draftShadowAlerts(words: Int) {
    shadowAlerts.removeAll(keepingCapacity: true)
    for rule in pipeline.rules.indices
    where outcomes.mayBeTriggered[rule] && pipeline.rules[rule].mode == .shadow {
      for word in 0..<words {
        var bits = outcomes.triggered[rule * outcomes.stride + word]
        counts.rules[rule].matches += bits.nonzeroBitCount
        while bits != 0 {
          shadowAlerts.append(
            AlertDraft(row: Int32(word * 64 + bits.trailingZeroBitCount), rule: rule, decision: -1))
          bits &= bits - 1
        }
      }
    }
  }

  private mutating func countHits(_ batch: EventBatch, label: Int, only rows: [UInt64]?) {
    for word in 0..<(batch.rowCount + 63) / 64 {
      let known = batch.validity[label * batch.bitmapStride + word] & (rows?[word] ?? .max)
      let positive = known & batch.labelBits(column: label, word: word)
      counts.positives? += positive.nonzeroBitCount
      for rule in pipeline.rules.indices {
        let matched = outcomes.triggered[rule * outcomes.stride + word]
        counts.rules[rule].hits.truePositives += (matched & positive).nonzeroBitCount
        counts.rules[rule].hits.falsePositives += (matched & known & ~positive).nonzeroBitCount
      }
    }
    for index in decisions.rows.indices where decisions.verdicts[index].alerts {
      let row = Int(decisions.rows[index])
      guard batch.isValid(column: label, row: row) else { continue }
      let isFraud = batch.labelBits(column: label, word: row >> 6) >> UInt64(row & 63) & 1 == 1
      if isFraud { counts.decisionHits.truePositives += 1 } else { counts.decisionHits.falsePositives += 1 }
    }
  }
}

// Looking at the last batch's results.
extension Engine {
  package func decision(at index: Int) -> Decision {
    index < 0 ? pipeline.scoring.quiet : pipeline.scoring.decision(at: index, of: decisions)
  }

  /// The rule's severity, or the gravest of the live rules that triggered; `critical` where a model decided alone.
  package func severity(of draft: AlertDraft) -> Severity {
    if let rule = draft.rule { return pipeline.rules[rule].severity }
    var gravest: Severity?
    for place in decisions.triggered(at: draft.decision) {
      let severity = pipeline.rules[Int(decisions.triggeredRules[place])].severity
      if severity.rank < gravest?.rank ?? .max { gravest = severity }
    }
    return gravest ?? .critical
  }

  /// Goes on with what other engines' features remembered.
  ///
  /// - Precondition: they are the features of this engine's pipeline.
  public mutating func restore(_ features: FeatureState) {
    precondition(
      features.program.identity == pipeline.features.identity && features.program.layout == pipeline.features.layout,
      "a state of other features")
    self.features = features
  }

  /// Whether there may be more to say of a row's features than their values.
  func hasFlags(row: Int) -> Bool {
    !pipeline.features.sketches.isEmpty || features.truncatedCount > 0 || isLate(row: row)
  }

  /// Whether a row came later than allowed, so that no feature or aggregation remembers it. Where there is neither, none did.
  func isLate(row: Int) -> Bool { features.late[row >> 6] >> UInt64(row & 63) & 1 == 1 }

  /// The live rules that triggered on a decided row and what each added to its score.
  package func reasons(at index: Int, batch: EventBatch) -> [Reason] {
    guard index >= 0 else { return [] }
    let row = Int(decisions.rows[index])
    return pipeline.scoring.contributions(at: index, of: decisions).map {
      let rule = pipeline.rules[$0.rule]
      let values = rule.computedColumns.map { column in
        Reason.Value(name: pipeline.layout.columns[column].name, value: batch.value(column: column, row: row))
      }
      var reason = Reason(ruleID: rule.id, contribution: $0.amount, values: values)
      guard !rule.computedColumns.isEmpty else { return reason }
      reason.isLate = isLate(row: row)
      if features.truncatedCount > 0 {
        let truncated = features.truncatedColumns(row: row)
        reason.truncated = rule.computedColumns.filter { truncated.contains($0) }
          .map { pipeline.layout.columns[$0].name }
      }
      for (column, value) in zip(rule.computedColumns, values) {
        guard let error = pipeline.features.relativeError(of: value.value, column: column) else { continue }
        reason.errors.append(Reason.Value(name: value.name, value: .float(error)))
      }
      return reason
    }
  }

  /// A draft as an alert of its own.
  package func alert(_ draft: AlertDraft, of batch: EventBatch) -> Alert {
    let row = Int(draft.row)
    let rule = draft.rule.map { pipeline.rules[$0] }
    let decision = decision(at: draft.decision)
    let position = batch.positions[row]
    var event: [UInt8] = []
    redaction.append(eventOf: row, of: batch, to: &event)
    return Alert(
      id: AlertIdentity(pipeline: pipeline.definition.name, source: batch.source)
        .id(offset: position.offset, rule: rule?.id ?? ""),
      pipeline: pipeline.definition.name, pipelineVersion: version,
      eventID: pipeline.eventID(row: row, batch: batch, redaction: redaction),
      eventTime: pipeline.eventTime(row: row, batch: batch), ruleID: rule?.id, ruleDescription: rule?.description,
      severity: severity(of: draft), score: decision.score, riskLevel: decision.riskLevel,
      reasons: reasons(at: draft.decision, batch: batch), source: batch.source, offset: position.offset,
      line: position.line > 0 ? position.line : nil, transactionData: event)
  }

  /// The last batch's alerts as they are kept, in the order of its rows.
  package func alertRecords(of batch: EventBatch) -> [Alert] {
    inOrder(
      alerts.map { alert($0, of: batch) },
      controls.first.map { control in control.alerts.map { control.alert($0, of: batch) } })
  }

  /// The last batch's alerts of rules in shadow mode as they are kept.
  package func shadowAlertRecords(of batch: EventBatch) -> [Alert] {
    shadowAlerts.map { alert($0, of: batch) } + controls.flatMap { $0.shadowAlertRecords(of: batch) }
  }

  /// The last batch's rule errors as they are kept.
  package func ruleErrorRecords(of batch: EventBatch) -> [RuleErrorRecord] {
    errors.map { record($0, of: batch) } + controls.flatMap { $0.ruleErrorRecords(of: batch) }
  }

  /// Merges the alerts of two versions, none of which have a row in common.
  private func inOrder(_ own: [Alert], _ control: [Alert]?) -> [Alert] {
    guard let control, !control.isEmpty else { return own }
    var merged: [Alert] = []
    var rest = control[...]
    for alert in own {
      let count = rest.prefix { $0.offset < alert.offset }.count
      merged += rest.prefix(count)
      rest.removeFirst(count)
      merged.append(alert)
    }
    return merged + rest
  }

  /// A rule's error as it is kept.
  package func record(_ error: RuleError, of batch: EventBatch) -> RuleErrorRecord {
    let position = batch.positions[error.row]
    return RuleErrorRecord(
      source: batch.source, offset: position.offset, line: position.line > 0 ? position.line : nil,
      eventID: pipeline.eventID(row: error.row, batch: batch, redaction: redaction),
      ruleID: pipeline.rules[error.rule].id, code: error.error.name, message: error.error.message,
      pipelineVersion: version)
  }

  /// A rejected event of the last batch as it is kept.
  package func record(_ event: RejectedEvent, of batch: EventBatch) -> RejectedRecord {
    RejectedRecord(event, of: batch, redaction)
  }

  /// Rejects the one message that waits in a batch, without looking at it: it made a process crash.
  package mutating func rejectUnseen(_ batch: EventBatch) -> RejectedRecord? {
    guard let position = batch.positions.first else { return nil }
    counts.rejected[.crashedWorker, default: 0] += 1
    return record(RejectedEvent(crashedWorkerAt: position), of: batch)
  }

  /// The latest event time of a batch's rows.
  package func latestEventTime(of batch: EventBatch) -> Int64? {
    (0..<batch.rowCount).lazy.compactMap { pipeline.eventTime(row: $0, batch: batch) }.max()
  }
}

extension RejectedRecord {
  /// An event that was rejected from a batch, as it is kept.
  package init(_ event: RejectedEvent, of batch: EventBatch, _ redaction: Redaction) {
    let position = event.position
    let payload = position.count < 0 ? nil : Array(batch.bytes[position.start..<position.start + position.count])
    self.init(
      source: batch.source, offset: position.offset, line: position.line > 0 ? position.line : nil,
      reason: event.reason.rawValue, detail: event.detail, field: event.field,
      payload: payload.map { redaction.masked(rejected: $0) })
  }
}

extension Severity {
  /// 0 for the gravest.
  var rank: Int {
    switch self {
    case .critical: 0
    case .warning: 1
    case .info: 2
    }
  }
}

extension EventBatch {
  /// A label's rows as bits: true, or not zero.
  func labelBits(column: Int, word: Int) -> UInt64 {
    if layout.columns[column].type == .boolean { return words[column * stride + word] }
    var bits: UInt64 = 0
    for row in word * 64..<min(rowCount, word * 64 + 64) where words[column * stride + row] != 0 {
      bits |= 1 << UInt64(row & 63)
    }
    return bits
  }
}

/// An event that two versions of a pipeline decide otherwise.
package struct BacktestChange: Sendable, Hashable {
  package enum Kind: String, Sendable, Hashable, CaseIterable {
    /// It alerts now and did not.
    case gained
    /// It alerted and does not any more.
    case lost
    /// It alerts or does not as before, but its score or verdict is another.
    case changed
  }

  /// What one version says of it.
  package struct Side: Sendable, Hashable {
    package var decision: Decision
    /// The live rules that triggered.
    package var rules: [String]
  }

  package var kind: Kind
  package var eventID: String?
  package var eventTime: Int64?
  package var source: EventSource
  package var offset: Int64
  package var isFraud: Bool?
  package var amount: Double?
  /// What the version says that is compared with, and the one that is tried.
  package var before: Side
  package var after: Side

  /// The change as one JSON object.
  package func append(to text: inout [UInt8]) {
    var object = JSONObjectText()
    object.key("change", &text)
    JSONText.append(string: kind.rawValue, to: &text)
    object.key("event_id", &text)
    JSONText.append(eventID.map { .string($0) }, to: &text)
    object.key("event_time", &text)
    JSONText.append(eventTime.map { .timestamp($0) }, to: &text)
    object.key("topic", &text)
    JSONText.append(string: source.topic, to: &text)
    object.key("partition", &text)
    JSONText.append(Int64(source.partition), to: &text)
    object.key("offset", &text)
    JSONText.append(offset, to: &text)
    object.key("label", &text)
    JSONText.append(isFraud.map { .boolean($0) }, to: &text)
    object.key("amount", &text)
    JSONText.append(amount.map { .float($0) }, to: &text)
    for (name, side) in [("before", before), ("after", after)] {
      object.key(name, &text)
      var inner = JSONObjectText()
      inner.key("decision", &text)
      JSONText.append(string: side.decision.verdict.rawValue, to: &text)
      inner.key("score", &text)
      text.append(contentsOf: side.decision.score.description.utf8)
      inner.key("risk_level", &text)
      JSONText.append(string: side.decision.riskLevel, to: &text)
      inner.key("rules", &text)
      text.append(UInt8(ascii: "["))
      for (index, rule) in side.rules.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        JSONText.append(string: rule, to: &text)
      }
      text.append(UInt8(ascii: "]"))
      inner.end(&text)
    }
    object.end(&text)
  }
}

/// What a version of a pipeline made of one batch, to be laid beside what another made of the same events.
package struct BacktestView {
  private let batch: EventBatch
  private let rows: BacktestRows
  private let labels: BacktestLabels
  private let amount: Int?
  /// Decided rows that count: the row and its place among the engine's decisions.
  private let decided: [(row: Int, index: Int)]
  private let decisions: Decisions
  private let pipeline: Pipeline
  private let outcomes: RuleOutcomes

  /// Looks at the batch that an engine has just evaluated.
  package init(
    _ batch: EventBatch, of engine: borrowing Engine, rows: BacktestRows, labels: BacktestLabels, amount: Int?
  ) {
    self.batch = batch
    self.rows = rows
    self.labels = labels
    self.amount = amount
    pipeline = engine.pipeline
    decisions = engine.decisions
    outcomes = engine.outcomes
    decided = engine.decisions.rows.enumerated().filter { rows.contains(Int($1)) }.map { (Int($1), $0) }
  }

  /// The events that this version decides otherwise than another, in the order of their offsets.
  ///
  /// Both have seen the same stretch of one partition; an event that only one of them has did not alert in the other.
  package func changes(from other: BacktestView) -> [BacktestChange] {
    var changes: [BacktestChange] = []
    var (mine, theirs) = (decided[...], other.decided[...])
    while true {
      let offset = mine.first.map { batch.positions[$0.row].offset }
      let otherOffset = theirs.first.map { other.batch.positions[$0.row].offset }
      guard offset != nil || otherOffset != nil else { return changes }
      let least = min(offset ?? .max, otherOffset ?? .max)
      let after = offset == least ? mine.popFirst() : nil
      let before = otherOffset == least ? theirs.popFirst() : nil
      let decision = after.map { pipeline.scoring.decision(at: $0.index, of: decisions) } ?? pipeline.scoring.quiet
      let otherDecision =
        before.map { other.pipeline.scoring.decision(at: $0.index, of: other.decisions) }
        ?? other.pipeline.scoring.quiet
      let kind: BacktestChange.Kind
      switch (otherDecision.verdict.alerts, decision.verdict.alerts) {
      case (false, true): kind = .gained
      case (true, false): kind = .lost
      default:
        guard decision.score.value != otherDecision.score.value || decision.verdict != otherDecision.verdict else {
          continue
        }
        kind = .changed
      }
      let view = after == nil ? other : self
      let row = after?.row ?? before?.row ?? 0
      changes.append(
        BacktestChange(
          kind: kind,
          eventID: view.pipeline.eventID(
            row: row, batch: view.batch, redaction: Redaction(schema: view.pipeline.definition.schema)),
          eventTime: view.pipeline.eventTime(row: row, batch: view.batch), source: view.batch.source, offset: least,
          isFraud: view.labels.label(row), amount: view.amount.flatMap { view.batch.number(column: $0, row: row) },
          before: BacktestChange.Side(decision: otherDecision, rules: before.map { other.rules($0.row) } ?? []),
          after: BacktestChange.Side(decision: decision, rules: after.map { rules($0.row) } ?? [])))
    }
  }

  private func rules(_ row: Int) -> [String] {
    pipeline.rules.indices.filter {
      pipeline.rules[$0].mode == .live && outcomes.isTriggered(rule: $0, row: row)
    }.map { pipeline.rules[$0].id }
  }
}

/// What one version of a pipeline makes of a stretch of events: counts, days, and, where labels are known, what was
/// caught and what it was worth.
///
/// Events that only fill windows are not counted.
package struct BacktestTally: Sendable {
  /// One day by event time.
  package struct Day: Sendable, Hashable {
    package var events = 0
    /// Events that alerted.
    package var alerted = 0
    /// Alerts of them.
    package var alerts = 0
    /// Events labelled as fraud, and those of them that alerted.
    package var frauds = 0
    package var caught = 0
  }

  /// Sums of the amount field, over events whose label is known.
  package struct Money: Sendable, Hashable {
    /// Of fraud that alerted, and that did not.
    private var caughtSum = CompensatedSum()
    private var missedSum = CompensatedSum()
    /// Of genuine events that alerted.
    private var falseSum = CompensatedSum()

    package var caught: Double { caughtSum.value }
    package var missed: Double { missedSum.value }
    package var falseAlarms: Double { falseSum.value }

    mutating func add(_ amount: Double, isFraud: Bool, isAlerted: Bool) {
      switch (isFraud, isAlerted) {
      case (true, true): caughtSum.add(amount)
      case (true, false): missedSum.add(amount)
      case (false, true): falseSum.add(amount)
      case (false, false): break
      }
    }
  }

  /// What `score` would say of the same events.
  package private(set) var summary: RunSummary
  /// Events that were read to fill windows only.
  package private(set) var warmUpEvents = 0
  /// Events with a label, and money where there is an amount.
  package private(set) var labelled = 0
  package private(set) var money: Money?
  /// By days since 1970; events without a time are in none.
  package private(set) var days: [Int64: Day] = [:]
  /// Genuine and fraudulent events that scored, by score in twentieths of ``scoreMax``; unlabelled ones count as genuine.
  package private(set) var scores = [(genuine: Int, fraud: Int)](repeating: (0, 0), count: 20)
  /// The greatest score there can be.
  package let scoreMax: Double
  private let amount: Int?

  /// - Parameters:
  ///   - hasLabels: whether any event's label may be known.
  ///   - amount: the column of an event's amount.
  package init(pipeline: Pipeline, hasLabels: Bool, amount: Int?) {
    summary = RunSummary(pipeline: pipeline)
    summary.positives = hasLabels ? 0 : nil
    money = hasLabels && amount != nil ? Money() : nil
    self.amount = amount
    let points = pipeline.definition.rules.filter { $0.mode == .live }.reduce(0) { $0 + ($1.points ?? 0) }
    scoreMax = pipeline.definition.scoring.policy == .points ? Double(max(1, points)) : 1
  }

  /// The days in their order.
  package var sortedDays: [(day: Int64, counts: Day)] {
    days.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Counts the batch that an engine has just evaluated.
  ///
  /// - Parameters:
  ///   - rows: the rows that count.
  ///   - labels: of the batch's rows.
  package mutating func count(
    _ batch: EventBatch, of engine: borrowing Engine, rows: BacktestRows, labels: BacktestLabels
  ) {
    let words = (batch.rowCount + 63) / 64
    let wantedCount = (0..<words).reduce(0) { $0 + rows.bits[$1].nonzeroBitCount }
    warmUpEvents += batch.rowCount - wantedCount
    guard wantedCount > 0 else { return }
    summary.accepted += wantedCount
    for word in 0..<words {
      let (wanted, known, positive) = (rows.bits[word], labels.known[word], labels.positive[word])
      labelled += (wanted & known).nonzeroBitCount
      if summary.positives != nil { summary.positives? += (wanted & positive).nonzeroBitCount }
      summary.late += engine.pipeline.features.isEmpty ? 0 : (engine.features.late[word] & wanted).nonzeroBitCount
      if engine.pipeline.definition.deduplicate != nil {
        summary.duplicates += (engine.features.repeated[word] & wanted).nonzeroBitCount
      }
      for rule in summary.rules.indices {
        let triggered = engine.outcomes.triggered[rule * engine.outcomes.stride + word] & wanted
        let errors = engine.outcomes.error[rule * engine.outcomes.stride + word] & wanted
        summary.rules[rule].errors += errors.nonzeroBitCount
        summary.rules[rule].hits.truePositives += (triggered & positive).nonzeroBitCount
        summary.rules[rule].hits.falsePositives += (triggered & known & ~positive).nonzeroBitCount
        if summary.rules[rule].mode == .shadow { summary.rules[rule].matches += triggered.nonzeroBitCount }
      }
    }
    countAlerts(engine, rows)
    countRows(batch, engine, rows, labels)
  }

  /// Counts archived events that break what this version's schema says. Their time is their record's, since their own may be
  /// what is wrong.
  package mutating func count(rejected events: [RejectedEvent], times: ClosedRange<Int64>?) {
    for event in events where times == nil || event.position.timestamp.map({ times?.contains($0) ?? true }) ?? false {
      summary.count(rejected: event.reason)
    }
  }

  private mutating func countAlerts(_ engine: borrowing Engine, _ rows: BacktestRows) {
    for draft in engine.alerts where rows.contains(Int(draft.row)) {
      summary.alerts += 1
      summary.alertsBySeverity[engine.severity(of: draft).rank] += 1
    }
    for (index, row) in engine.decisions.rows.enumerated()
    where engine.decisions.verdicts[index].alerts && rows.contains(Int(row)) {
      summary.decisions += 1
      for rule in summary.rules.indices
      where summary.rules[rule].mode == .live && engine.outcomes.isTriggered(rule: rule, row: Int(row)) {
        summary.rules[rule].matches += 1
      }
    }
  }

  private mutating func countRows(
    _ batch: EventBatch, _ engine: borrowing Engine, _ rows: BacktestRows, _ labels: BacktestLabels
  ) {
    var decided = 0
    var drafts = engine.alerts.startIndex
    // Neighbouring events mostly share the day.
    var (current, counts) = (Int64.min, Day())
    for row in 0..<batch.rowCount {
      while decided < engine.decisions.rows.count, engine.decisions.rows[decided] < row { decided += 1 }
      let isDecided = decided < engine.decisions.rows.count && engine.decisions.rows[decided] == row
      let isAlerted = isDecided && engine.decisions.verdicts[decided].alerts
      var alerts = 0
      while drafts < engine.alerts.endIndex, engine.alerts[drafts].row <= row {
        if engine.alerts[drafts].row == row { alerts += 1 }
        drafts += 1
      }
      guard rows.contains(row) else { continue }
      let label = labels.label(row)
      if isAlerted, let label {
        if label { summary.decisionHits.truePositives += 1 } else { summary.decisionHits.falsePositives += 1 }
      }
      if let label, let amount, let value = batch.number(column: amount, row: row) {
        money?.add(value, isFraud: label, isAlerted: isAlerted)
      }
      if isDecided {
        let share = engine.decisions.scores[decided].value / scoreMax
        let bin = share.isFinite ? min(scores.count - 1, max(0, Int(share * Double(scores.count)))) : 0
        if label == true { scores[bin].fraud += 1 } else { scores[bin].genuine += 1 }
      }
      guard let time = engine.pipeline.eventTime(row: row, batch: batch) else { continue }
      let day = Calendar.day(ofTimestamp: time)
      if day != current {
        if current != .min { days[current] = counts }
        (current, counts) = (day, days[day] ?? Day())
      }
      counts.events += 1
      counts.alerted += isAlerted ? 1 : 0
      counts.alerts += alerts
      counts.frauds += label == true ? 1 : 0
      counts.caught += label == true && isAlerted ? 1 : 0
    }
    if current != .min { days[current] = counts }
  }
}

/// The rows of a batch that a backtest is about.
package struct BacktestRows: Sendable {
  package private(set) var bits = [UInt64](repeating: 0, count: Limits.batchRows / 64)

  package init() {}

  /// Chooses the rows of some times; all where `times` is `nil`. A row without a time is in no range of them.
  package mutating func select(_ times: ClosedRange<Int64>?, in batch: EventBatch, of pipeline: Pipeline) {
    for word in bits.indices {
      let rows = min(64, max(0, batch.rowCount - word * 64))
      bits[word] = rows == 64 ? .max : 1 << UInt64(rows) - 1
      guard let times else { continue }
      for row in word * 64..<word * 64 + rows {
        guard let time = pipeline.eventTime(row: row, batch: batch), times.contains(time) else {
          bits[word] &= ~(1 << UInt64(row & 63))
          continue
        }
      }
    }
  }

  package var isEmpty: Bool { bits.allSatisfy { $0 == 0 } }

  package func contains(_ row: Int) -> Bool { bits[row >> 6] >> UInt64(row & 63) & 1 == 1 }
}

/// What is known of a batch's events: fraud, genuine, or nothing.
package struct BacktestLabels: Sendable {
  package private(set) var known = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  package private(set) var positive = [UInt64](repeating: 0, count: Limits.batchRows / 64)

  package init() {}

  /// Takes the labels of a batch's rows.
  ///
  /// - Parameter given: by event id; they win over the pipeline's own field.
  package mutating func take(_ batch: EventBatch, of pipeline: Pipeline, given: [String: Bool]?) {
    for word in known.indices { (known[word], positive[word]) = (0, 0) }
    if let label = pipeline.known.label {
      for word in 0..<(batch.rowCount + 63) / 64 {
        known[word] = batch.validity[label * batch.bitmapStride + word]
        positive[word] = known[word] & batch.labelBits(column: label, word: word)
      }
    }
    guard let given, let column = pipeline.known.eventID else { return }
    for row in 0..<batch.rowCount {
      guard let id = batch.value(column: column, row: row)?.plainText, let label = given[id] else { continue }
      let bit: UInt64 = 1 << UInt64(row & 63)
      known[row >> 6] |= bit
      if label { positive[row >> 6] |= bit } else { positive[row >> 6] &= ~bit }
    }
  }

  /// Whether a row is fraud; `nil` where nobody knows.
  package func label(_ row: Int) -> Bool? {
    known[row >> 6] >> UInt64(row & 63) & 1 == 0 ? nil : positive[row >> 6] >> UInt64(row & 63) & 1 == 1
  }
}

extension EventBatch {
  /// A value as a double, `nil` where there is none.
  package func number(column: Int, row: Int) -> Double? {
    guard isValid(column: column, row: row) else { return nil }
    switch layout.columns[column].type {
    case .integer: return Double(Int64(bitPattern: word(column: column, row: row)))
    case .float:
      let value = Double(bitPattern: word(column: column, row: row))
      return value.isFinite ? value : nil
    default: return nil
    }
  }
}

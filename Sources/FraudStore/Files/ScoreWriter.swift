internal import FraudCore

/// Text that a block's events gave, each a number of whole lines.
struct ScoreOutput {
  /// Alerts or decisions.
  var results: [UInt8] = []
  /// Rejected events.
  var rejected: [UInt8] = []
  /// Errors of rules, and the rule and the end of each line.
  var errors: [UInt8] = []
  var errorLines: [(rule: Int, end: Int)] = []
  /// Rows of aggregations.
  var aggregates: [UInt8] = []

  mutating func removeAll() {
    results.removeAll(keepingCapacity: true)
    rejected.removeAll(keepingCapacity: true)
    errors.removeAll(keepingCapacity: true)
    errorLines.removeAll(keepingCapacity: true)
    aggregates.removeAll(keepingCapacity: true)
  }
}

extension ScoreOutput {
  /// Writes what an engine found in a batch.
  mutating func append(
    _ engine: borrowing Engine, batch: borrowing EventBatch, emission: ScoreEmission, _ alertText: AlertText,
    keepsErrors: Bool
  ) {
    for row in engine.features.aggregates { row.append(source: batch.source, to: &aggregates) }
    if keepsErrors { appendErrors(engine, batch: batch) }
    switch emission {
    case .none: break
    case .alerts:
      alertText.append(alertsOf: engine, batch: batch, to: &results)
    case .decisions:
      var decided = 0
      for row in 0..<batch.rowCount {
        let isDecided = decided < engine.decisions.rows.count && Int(engine.decisions.rows[decided]) == row
        alertText.append(decisionOf: row, at: isDecided ? decided : nil, of: engine, batch: batch, to: &results)
        if isDecided { decided += 1 }
      }
    }
  }

  private mutating func appendErrors(_ engine: borrowing Engine, batch: borrowing EventBatch) {
    for error in engine.errors {
      let record = engine.record(error, of: batch)
      var object = JSONObjectText()
      object.key("rule_id", &errors)
      JSONText.append(string: record.ruleID, to: &errors)
      object.key("code", &errors)
      JSONText.append(string: record.code, to: &errors)
      object.key("message", &errors)
      JSONText.append(string: record.message, to: &errors)
      object.key("event_id", &errors)
      JSONText.append(record.eventID.map { .string($0) }, to: &errors)
      object.key("topic", &errors)
      JSONText.append(string: record.source.topic, to: &errors)
      object.key("partition", &errors)
      JSONText.append(Int64(record.source.partition), to: &errors)
      object.key("offset", &errors)
      JSONText.append(record.offset, to: &errors)
      object.key("line", &errors)
      JSONText.append(record.line.map { .integer($0) }, to: &errors)
      object.end(&errors)
      errors.append(UInt8(ascii: "\n"))
      errorLines.append((error.rule, errors.count))
    }
  }
}

/// The files of a scoring run.
struct ScoreWriter: ~Copyable {
  private var results: OutputFile?
  private var errors: OutputFile?
  private var rejected: OutputFile?
  private var aggregates: OutputFile?
  /// Errors written for each rule.
  private var errorCounts: [Int: Int] = [:]

  /// Whether whoever read the results has gone.
  private(set) var isClosed = false
  /// Whether rejected events, or errors of rules, are asked for.
  let keepsRejected: Bool
  let keepsErrors: Bool

  init(_ files: ScoreFiles) throws(StoreError) {
    results = if let path = files.results { try OutputFile(path: path) } else { nil }
    errors = if let path = files.errors { try OutputFile(path: path) } else { nil }
    rejected = if let path = files.rejected { try OutputFile(path: path) } else { nil }
    aggregates = if let path = files.aggregations { try OutputFile(path: path) } else { nil }
    keepsRejected = files.rejected != nil
    keepsErrors = files.errors != nil
  }

  /// Gives the files their names; where one cannot have it, those behind it do not, either.
  mutating func finish() throws(StoreError) {
    defer { discard() }
    try results?.finish()
    try errors?.finish()
    try rejected?.finish()
    try aggregates?.finish()
  }

  /// Drops the files.
  mutating func discard() {
    results?.discard()
    errors?.discard()
    rejected?.discard()
    aggregates?.discard()
  }

  mutating func write(_ output: ScoreOutput) throws(StoreError) {
    if try results?.write(output.results) == false { isClosed = true }
    try rejected?.write(output.rejected)
    try aggregates?.write(output.aggregates)
    guard keepsErrors, !output.errorLines.isEmpty else { return }
    var kept: [UInt8] = []
    var start = 0
    for (rule, end) in output.errorLines {
      if errorCounts[rule, default: 0] < Limits.ruleErrorsKept {
        errorCounts[rule, default: 0] += 1
        kept += output.errors[start..<end]
      }
      start = end
    }
    try errors?.write(kept)
  }
}

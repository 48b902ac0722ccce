/// Writes alerts and decisions as NDJSON, straight from a batch: `CONTRACTS.md`, Alert.
///
/// What does not depend on the event is rendered once a pipeline.
package struct AlertText: Sendable {
  private let pipeline: Pipeline
  private let head: [UInt8]
  /// For each rule, and last for one alert a decision, from `,"rule_id":` to `,"severity":`.
  private let ruleParts: [[UInt8]]
  private let tail: [UInt8]
  /// For each rule, `{"rule_id":…,"contribution":` and, for each computed column that it reads, what stands before its value.
  private let reasonParts: [(head: [UInt8], values: [(column: Int, name: [UInt8])])]
  private var identity: AlertIdentity
  private let redaction: Redaction

  package init(pipeline: Pipeline, version: Int?, source: EventSource) {
    self.pipeline = pipeline
    identity = AlertIdentity(pipeline: pipeline.definition.name, source: source)
    redaction = Redaction(schema: pipeline.definition.schema)
    var head = Array("\",\"pipeline\":".utf8)
    JSONText.append(string: pipeline.definition.name, to: &head)
    head += Array(",\"pipeline_version\":".utf8)
    if let version { JSONText.append(Int64(version), to: &head) } else { JSONText.appendNull(to: &head) }
    self.head = head
    var parts: [[UInt8]] = []
    for rule in pipeline.rules {
      var part = Array(",\"rule_id\":".utf8)
      JSONText.append(string: rule.id, to: &part)
      part += Array(",\"rule_description\":".utf8)
      JSONText.append(string: rule.description, to: &part)
      parts.append(part)
    }
    parts.append(Array(",\"rule_id\":null,\"rule_description\":null".utf8))
    ruleParts = parts
    reasonParts = pipeline.rules.map { rule in
      var head = Array("{\"rule_id\":".utf8)
      JSONText.append(string: rule.id, to: &head)
      head += Array(",\"contribution\":".utf8)
      let values = rule.computedColumns.enumerated().map { index, column in
        var name = Array(index == 0 ? ",\"values\":{".utf8 : ",".utf8)
        JSONText.append(string: pipeline.layout.columns[column].name, to: &name)
        name.append(UInt8(ascii: ":"))
        return (column, name)
      }
      return (head, values)
    }
    var tail = Array(",\"topic\":".utf8)
    JSONText.append(string: source.topic, to: &tail)
    tail += Array(",\"partition\":\(source.partition),\"offset\":".utf8)
    self.tail = tail
  }

  /// Appends one alert and a line's end.
  package func append(_ draft: AlertDraft, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]) {
    let row = Int(draft.row)
    let position = batch.positions[row]
    let ruleID = draft.rule.map { pipeline.rules[$0].id } ?? ""
    text.append(contentsOf: "{\"alert_id\":\"".utf8)
    identity.id(offset: position.offset, rule: ruleID).append(to: &text)
    text.append(contentsOf: head)
    appendEvent(row: row, batch: batch, to: &text)
    text.append(contentsOf: ruleParts[draft.rule ?? ruleParts.count - 1])
    text.append(contentsOf: ",\"severity\":\"".utf8)
    text.append(contentsOf: engine.severity(of: draft).rawValue.utf8)
    text.append(UInt8(ascii: "\""))
    appendScore(engine.decision(at: draft.decision), to: &text)
    appendReasons(at: draft.decision, row: row, of: engine, batch: batch, to: &text)
    appendPosition(position, to: &text)
    text.append(contentsOf: ",\"transaction_data\":".utf8)
    redaction.append(eventOf: row, of: batch, to: &text)
    text.append(contentsOf: "}\n".utf8)
  }

  /// Appends the decision of a row, whatever it is, and a line's end.
  ///
  /// - Parameter index: the row's place among the engine's decisions; `nil` where no rule triggered.
  package func append(
    decisionOf row: Int, at index: Int?, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]
  ) {
    let decision = index.map { engine.decision(at: $0) } ?? pipeline.scoring.quiet
    let reasons = index.map { engine.reasons(at: $0, batch: batch) } ?? []
    text.append(UInt8(ascii: "{"))
    let start = text.count
    appendEvent(row: row, batch: batch, to: &text)
    text.remove(at: start)
    text.append(contentsOf: ",\"decision\":\"".utf8)
    text.append(contentsOf: decision.verdict.rawValue.utf8)
    text.append(UInt8(ascii: "\""))
    appendScore(decision, to: &text)
    text.append(contentsOf: ",\"rules\":[".utf8)
    for (number, reason) in reasons.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      JSONText.append(string: reason.ruleID, to: &text)
    }
    text.append(UInt8(ascii: "]"))
    appendReasons(reasons, to: &text)
    text.append(contentsOf: (engine.isLate(row: row) ? ",\"late\":true" : ",\"late\":false").utf8)
    appendPosition(batch.positions[row], to: &text)
    text.append(contentsOf: "}\n".utf8)
  }

  /// `,"event_id":…,"event_time":…`.
  private func appendEvent(row: Int, batch: EventBatch, to text: inout [UInt8]) {
    text.append(contentsOf: ",\"event_id\":".utf8)
    if let column = pipeline.known.eventID, batch.isValid(column: column, row: row) {
      let isText = pipeline.layout.columns[column].type == .string || pipeline.layout.columns[column].type == .timestamp
      if !isText { text.append(UInt8(ascii: "\"")) }
      redaction.append(column: column, row: row, of: batch, to: &text)
      if !isText { text.append(UInt8(ascii: "\"")) }
    } else {
      JSONText.appendNull(to: &text)
    }
    text.append(contentsOf: ",\"event_time\":".utf8)
    if let time = pipeline.eventTime(row: row, batch: batch) {
      JSONText.append(timestamp: time, to: &text)
    } else {
      JSONText.appendNull(to: &text)
    }
  }

  private func appendScore(_ decision: Decision, to text: inout [UInt8]) {
    text.append(contentsOf: ",\"score\":".utf8)
    decision.score.append(to: &text)
    text.append(contentsOf: ",\"risk_level\":".utf8)
    JSONText.append(string: decision.riskLevel, to: &text)
  }

  private func appendReasons(_ reasons: [Reason], to text: inout [UInt8]) {
    text.append(contentsOf: ",\"reasons\":".utf8)
    Reason.append(reasons, to: &text)
  }

  /// Appends the reasons of a decided row without making them first, which most alerts' time would go into.
  private func appendReasons(
    at index: Int, row: Int, of engine: borrowing Engine, batch: EventBatch, to text: inout [UInt8]
  ) {
    guard index >= 0, !engine.hasFlags(row: row) else {
      return appendReasons(engine.reasons(at: index, batch: batch), to: &text)
    }
    text.append(contentsOf: ",\"reasons\":[".utf8)
    var isFirst = true
    // The closure holds these alone: all of the struct would be copied for every alert.
    let parts = reasonParts
    engine.forEachContribution(at: index, row: row) { rule, amount in
      if !isFirst { text.append(UInt8(ascii: ",")) }
      isFirst = false
      text.append(contentsOf: parts[rule].head)
      amount.append(to: &text)
      for index in parts[rule].values.indices {
        text.append(contentsOf: parts[rule].values[index].name)
        JSONText.append(column: parts[rule].values[index].column, row: row, of: batch, to: &text)
      }
      if !parts[rule].values.isEmpty { text.append(UInt8(ascii: "}")) }
      text.append(UInt8(ascii: "}"))
    }
    text.append(UInt8(ascii: "]"))
  }

  private func appendPosition(_ position: EventPosition, to text: inout [UInt8]) {
    text.append(contentsOf: tail)
    JSONText.append(position.offset, to: &text)
    text.append(contentsOf: ",\"line\":".utf8)
    if position.line > 0 { JSONText.append(position.line, to: &text) } else { JSONText.appendNull(to: &text) }
  }
}

extension Reason {
  /// Appends reasons as a JSON array: `[{"rule_id":"FR-002","contribution":0.25,"values":{"tx_count_10m":6}}]`.
  package static func append(_ reasons: [Reason], to text: inout [UInt8]) {
    text.append(UInt8(ascii: "["))
    for (number, reason) in reasons.enumerated() {
      if number > 0 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: "{\"rule_id\":".utf8)
      JSONText.append(string: reason.ruleID, to: &text)
      text.append(contentsOf: ",\"contribution\":".utf8)
      reason.contribution.append(to: &text)
      if !reason.values.isEmpty {
        text.append(contentsOf: ",\"values\":".utf8)
        var object = JSONObjectText()
        for value in reason.values {
          object.key(value.name, &text)
          JSONText.append(value.value, to: &text)
        }
        object.end(&text)
        reason.appendFlags(to: &text)
      }
      text.append(UInt8(ascii: "}"))
    }
    text.append(UInt8(ascii: "]"))
  }
}

extension Reason {
  /// `,"truncated":["n"]`, `,"errors":{"devices":0.01625}`, `,"late":true`: what there is to say of the values.
  fileprivate func appendFlags(to text: inout [UInt8]) {
    if !truncated.isEmpty {
      text.append(contentsOf: ",\"truncated\":[".utf8)
      for (index, name) in truncated.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        JSONText.append(string: name, to: &text)
      }
      text.append(UInt8(ascii: "]"))
    }
    if !errors.isEmpty {
      text.append(contentsOf: ",\"errors\":".utf8)
      var object = JSONObjectText()
      for error in errors {
        object.key(error.name, &text)
        JSONText.append(error.value, to: &text)
      }
      object.end(&text)
    }
    if isLate { text.append(contentsOf: ",\"late\":true".utf8) }
  }
}

extension JSONText {
  /// A value, `null` where there is none.
  package static func append(_ value: FieldValue?, to text: inout [UInt8]) {
    switch value {
    case nil: appendNull(to: &text)
    case .string(let string): append(string: string, to: &text)
    case .integer(let number): append(number, to: &text)
    case .float(let number): append(number, to: &text)
    case .boolean(let flag): append(flag, to: &text)
    case .timestamp(let time): append(timestamp: time, to: &text)
    }
  }
}

import Testing

@testable import FraudCore

private func pipeline(_ rules: String, more: String = "") throws -> Pipeline {
  try Pipeline(
    DefinitionValue(
      json: Array(
        """
        {"name": "p", "schema": [{"name": "id", "type": "string", "nullable": false},
           {"name": "amount", "type": "float"}, {"name": "card", "type": "string", "sensitive": "pan"},
           {"name": "at", "type": "timestamp"}, {"name": "fraud", "type": "integer"}],
         "event_id": "id", "event_time": "at", "label": "fraud", "rules": \(rules)\(more)}
        """.utf8)))
}

private func score(_ event: String, by engine: inout Engine) throws -> ScoredEvent {
  try engine.score(Array(event.utf8), source: EventSource(topic: "t"), offset: 3)
}

@Test func decidesOneEvent() throws {
  var engine = Engine(
    try pipeline(#"[{"id": "a", "rule_expression": "amount > 10", "weight": 0.25, "severity": "critical"}]"#))
  let quiet = try score(#"{"id": "x", "amount": 1}"#, by: &engine)
  #expect(quiet.decision.verdict == .noAlert && quiet.alerts.isEmpty && quiet.reasons.isEmpty)
  let loud = try score(#"{"id": "y", "amount": 11, "at": "2026-01-01T00:00:00Z", "extra": [1]}"#, by: &engine)
  #expect(loud.decision == Decision(verdict: .alert, score: .basisPoints(2_500), riskLevel: "MEDIUM"))
  #expect(loud.reasons.map(\.ruleID) == ["a"])
  let alert = try #require(loud.alerts.first)
  #expect(alert.eventID == "y" && alert.eventTime == 1_767_225_600_000_000 && alert.offset == 3 && alert.line == nil)
  #expect(String(decoding: alert.transactionData, as: UTF8.self).hasSuffix("\"extra\": [1]}"))
  #expect(engine.summary.unknownFields == 1)
}

@Test func rejectsWithAReasonAndGoesOn() throws {
  var engine = Engine(try pipeline(#"[{"rule_expression": "amount > 10"}]"#))
  let error = #expect(throws: RejectedEvent.self) { try score(#"{"amount": 1}"#, by: &engine) }
  #expect(error?.reason == .missingField && error?.field == "id")
  #expect(try score(#"{"id": "x", "amount": 12}"#, by: &engine).alerts.count == 1)
  #expect(engine.summary.events == 2 && engine.summary.rejectedCount == 1)
}

@Test func ruleErrorsAreCountedAndAlertWhereAsked() throws {
  let rules = #"[{"id": "d", "rule_expression": "1 / amount > 0"}]"#
  var ignoring = Engine(try pipeline(rules))
  #expect(try score(#"{"id": "x", "amount": 0}"#, by: &ignoring).alerts.isEmpty)
  #expect(ignoring.summary.rules[0].errors == 1)
  var alerting = Engine(try pipeline(rules, more: #", "on_rule_error": "alert""#))
  #expect(try score(#"{"id": "x", "amount": 0}"#, by: &alerting).alerts.count == 1)
}

@Test func shadowRulesNeverAlert() throws {
  var engine = Engine(
    try pipeline(
      #"[{"id": "s", "rule_expression": "amount > 1", "mode": "shadow"}, {"id": "o", "rule_expression": "amount > 1", "enabled": false}]"#
    ))
  let scored = try score(#"{"id": "x", "amount": 9, "fraud": 1}"#, by: &engine)
  #expect(scored.decision.verdict == .noAlert && scored.alerts.isEmpty)
  #expect(engine.summary.rules.map(\.id) == ["s"])
  #expect(engine.summary.rules[0].matches == 1 && engine.summary.rules[0].hits.truePositives == 1)
}

@Test func masksWhatIsSensitiveWhereverItIsKept() throws {
  var engine = Engine(try pipeline(#"[{"id": "a", "rule_expression": "amount > 10"}]"#))
  let card = "4111111111111111"
  let alert = try #require(
    try score(#"{"id": "y", "amount": 11, "card": "4111111111111111"}"#, by: &engine).alerts.first)
  let text = String(decoding: alert.transactionData, as: UTF8.self)
  #expect(!text.contains(card) && text.contains("411111******1111"))
  let redaction = Redaction(schema: engine.pipeline.definition.schema)
  for payload in [
    #"{"card": "4111111111111111", "amount": tru"#, #"{"id": 1, "card": 4111111111111111}"#,
    #"{"c\u0061rd": "4111 1111 1111 1111"}"#, "4111-1111-1111-1111", #"{"note": "card 4111111111111111 seen"}"#,
    #"{"card": {"number": "4111111111111111"}}"#,
  ] {
    let masked = String(decoding: redaction.masked(rejected: Array(payload.utf8)), as: UTF8.self)
    #expect(!masked.filter(\.isNumber).contains(card), "\(masked)")
  }
}

@Test func theLabelIsForMetricsOnly() throws {
  let error = #expect(throws: DefinitionError.self) {
    try pipeline(#"[{"rule_expression": "fraud = 1 AND amout > 2"}]"#)
  }
  #expect(
    error?.problems.map(\.description) == ["rules[0].rule_expression: unknown column 'amout', did you mean 'amount'?"])
  let second = #expect(throws: DefinitionError.self) { try pipeline(#"[{"rule_expression": "fraud = 1"}]"#) }
  #expect(second?.problems.map(\.description) == ["rules[0].rule_expression: a rule cannot read the label 'fraud'"])
}

@Test func writesAlertsAsTheContractSays() throws {
  let pipeline = try pipeline(
    #"[{"id": "a", "rule_expression": "amount > 10", "severity": "info", "description": "Large \"one\""}]"#)
  var engine = Engine(pipeline)
  let source = EventSource(topic: "events.ndjson")
  var batch = EventBatch(layout: pipeline.layout, source: source, capacity: 4)
  let events = [#"{"id":"x","amount":1}"#, #"{"id":"y","amount":11.5,"at":"2026-01-01T01:00:00+01:00"}"#]
  for (index, event) in events.enumerated() {
    batch.append(message: Array(event.utf8).span, offset: Int64(index), line: Int64(index + 1))
  }
  engine.process(&batch)
  let writer = AlertText(pipeline: pipeline, version: nil, source: source)
  var text: [UInt8] = []
  for draft in engine.alerts { writer.append(draft, of: engine, batch: batch, to: &text) }
  let id = AlertIdentity(pipeline: "p", source: source).id(offset: 1, rule: "a")
  #expect(
    String(decoding: text, as: UTF8.self) == """
      {"alert_id":"\(id)","pipeline":"p","pipeline_version":null,"event_id":"y","event_time":"2026-01-01T00:00:00.000000Z",\
      "rule_id":"a","rule_description":"Large \\"one\\"","severity":"info","score":1,"risk_level":"CRITICAL",\
      "reasons":[{"rule_id":"a","contribution":1}],"topic":"events.ndjson","partition":0,"offset":1,"line":2,\
      "transaction_data":{"id":"y","amount":11.5,"at":"2026-01-01T01:00:00+01:00"}}

      """)
  text = []
  writer.append(decisionOf: 0, at: nil, of: engine, batch: batch, to: &text)
  #expect(
    String(decoding: text, as: UTF8.self) == """
      {"event_id":"x","event_time":null,"decision":"no_alert","score":0,"risk_level":"MINIMAL","rules":[],"reasons":[],"late":false,\
      "topic":"events.ndjson","partition":0,"offset":0,"line":1}

      """)
}

/// What was known of the features that a rule looked at, and how well, stands in its reason.
@Test func reasonsSayHowGoodTheirValuesAre() throws {
  let features = #"""
    , "features": [
      {"name": "n", "function": "count", "by": "card", "window": "1d", "max_events_per_key": 3},
      {"name": "ids", "function": "distinct", "of": "id", "by": "card"},
      {"name": "p", "function": "quantile", "quantile": 0.5, "of": "amount", "by": "card"}]
    """#
  var engine = Engine(
    try pipeline(#"[{"id": "a", "rule_expression": "n >= 0 AND ids >= 0 AND p > 0"}]"#, more: features))
  var last: [UInt8] = []
  for index in 0..<300 {
    let event = #"{"id": "e\#(index)", "amount": 2, "card": "c", "at": "2026-01-01T12:00:00Z"}"#
    let scored = try score(event, by: &engine)
    last.removeAll()
    Reason.append(scored.reasons, to: &last)
    if index == 2 {
      #expect(scored.reasons[0].truncated == [] && scored.reasons[0].errors.map(\.name) == ["p"])
    }
  }
  let text = String(decoding: last, as: UTF8.self)
  #expect(text.contains(#""truncated":["n"],"errors":{"ids":0.01625,"p":0.01}}"#), "\(text)")
  let late = try score(#"{"id": "late", "amount": 2, "card": "c", "at": "2026-01-01T09:00:00Z"}"#, by: &engine)
  #expect(late.reasons.first?.isLate == true && engine.summary.late == 1)
  // A decision says it, whichever rules triggered.
  let source = EventSource(topic: "t")
  var batch = EventBatch(layout: engine.pipeline.layout, source: source)
  for (offset, time) in ["2026-01-01T09:00:00Z", "2026-01-01T12:00:01Z"].enumerated() {
    batch.append(
      message: Array(#"{"id": "d", "amount": null, "card": "d", "at": "\#(time)"}"#.utf8).span, offset: Int64(offset),
      timestamp: nil)
  }
  engine.process(&batch)
  let writer = AlertText(pipeline: engine.pipeline, version: nil, source: source)
  for (row, isLate) in [true, false].enumerated() {
    var decision: [UInt8] = []
    writer.append(decisionOf: row, at: nil, of: engine, batch: batch, to: &decision)
    #expect(String(decoding: decision, as: UTF8.self).contains(#""reasons":[],"late":\#(isLate),"topic":"t""#))
  }
}

import Testing

@testable import FraudCore

private func definition(_ json: String) throws(DefinitionError) -> PipelineDefinition {
  try PipelineDefinition(DefinitionValue(json: Array(json.utf8)))
}

@Test func readsTheDesignsPipeline() throws {
  let pipeline = try definition(
    """
    {"name": "card-payments", "kafka_topic": "transactions",
     "schema": [{"name": "transaction_id", "type": "string", "nullable": false},
                {"name": "amount", "type": "float", "nullable": false, "min": 0},
                {"name": "created_at", "type": "timestamp", "nullable": false},
                {"name": "is_fraud", "type": "integer", "one_of": [0, 1]}],
     "event_id": "transaction_id", "event_time": {"field": "created_at", "allowed_lateness": "2h"}, "label": "is_fraud",
     "lists": [{"name": "blocked", "type": "integer", "values": [1, 2]}],
     "rules": [{"rule_expression": " amount > 5000 ", "severity": "critical", "description": "Large"},
               {"id": "FR-002", "rule_expression": "amount > 10", "weight": 0.25, "enabled": false}],
     "scoring": {"policy": "any"}}
    """)
  #expect(pipeline.schema.fields.map(\.name) == ["transaction_id", "amount", "created_at", "is_fraud"])
  #expect(pipeline.schema.fields[1].minimum == .float(0))
  #expect(pipeline.eventTime?.allowedLateness == 7_200_000_000)
  #expect(pipeline.eventTime?.watermarkDelay == 60_000_000)
  #expect(pipeline.rules[0].id == RuleDefinition.derivedID(of: "amount > 5000"))
  #expect(pipeline.rules[0].id.count == 10)
  #expect(pipeline.rules[1].weight == 2_500)
  #expect(pipeline.rules[1].mode == .off)
}

@Test func reportsTenMistakesAtOnce() {
  let error = #expect(throws: DefinitionError.self) {
    try definition(
      """
      {"name": "card payments", "kafka_topic": "a/b", "colour": 1,
       "schema": [{"name": "amount", "type": "flaot"}, {"name": "a", "type": "string", "min": 1},
                  {"name": "A", "type": "string"}],
       "event_id": "ammount", "event_time": "a", "label": "a",
       "rules": [{"severity": "critical"}, {"rule_expression": "a = 'x'", "severity": "sever"}]}
      """)
  }
  #expect(
    error?.problems.map(\.description) == [
      "colour: unknown key 'colour'; known here: name, kafka_topic, format, schema, event_id, event_time, label, key, share, streams, features, aggregations, deduplicate, state, online_features, alerts_topic, lists, tables, rules, scoring, on_rule_error, archive",
      "name: a pipeline's name has 1 to 64 letters, digits, '_' and '-', not 'card payments'",
      "kafka_topic: a topic's name has 1 to 249 letters, digits, '.', '_' and '-', not 'a/b'",
      "schema[0].type: unknown value 'flaot', did you mean 'float'?",
      "schema[1].min: only integer, float and timestamp have 'min', 'a' is string",
      "schema[2]: another field is called 'A'; names must differ by more than case",
      "event_id: unknown field 'ammount'",
      "event_time: the event time must be a timestamp, 'a' is string",
      "label: a label is boolean or 0 and 1, 'a' is string",
      "rules[0]: 'rule_expression' is missing",
      "rules[1].severity: unknown value 'sever'; known here: critical, warning, info",
    ])
}

@Test func refusesTheSameExpressionTwiceWithoutIDs() {
  let error = #expect(throws: DefinitionError.self) {
    try definition(
      """
      {"name": "p", "schema": [{"name": "a", "type": "integer"}],
       "rules": [{"rule_expression": "a > 1"}, {"rule_expression": " a > 1"}]}
      """)
  }
  #expect(error?.problems.count == 1)
  #expect(error?.problems.first?.path == "rules[1]")
}

@Test func equalContentHasOneHash() throws {
  let one = try definition("{\"name\": \"p\", \"schema\": [{\"name\": \"a\", \"type\": \"integer\"}]}")
  let two = try definition("{\"schema\": [{\"type\": \"integer\", \"name\": \"a\"}],\n \"name\": \"p\"}")
  #expect(one.sha256 == two.sha256)
}

import Testing

@testable import FraudCore

private func analyse(
  _ rules: String, scoring: String, features: String = "[]", fields: String = ""
) throws -> [String] {
  let json = """
    {"name": "p", "schema": [{"name": "customer_id", "type": "integer", "nullable": false},
     {"name": "amount", "type": "float", "min": 0, "max": 1000}, {"name": "lat", "type": "float"},
     {"name": "lon", "type": "float"}, {"name": "t", "type": "timestamp"}\(fields)],
     "event_time": "t", "key": "customer_id", "features": \(features), "rules": \(rules), "scoring": \(scoring)}
    """
  return PipelineAnalysis(try Pipeline(try DefinitionValue(json: Array(json.utf8)))).findings.map(\.description)
}

private let s2Features = """
  [{"name": "n", "function": "count", "by": "customer_id"},
   {"name": "mean", "function": "mean", "of": "amount", "by": "customer_id"},
   {"name": "n10", "function": "count", "window": "10m", "by": "customer_id", "include_current": true},
   {"name": "km", "function": "distance_km", "of": ["lat", "lon"], "by": "customer_id"},
   {"name": "z", "function": "hour_zscore", "by": "customer_id"}]
  """
private let s2Rules = """
  [{"id": "HV", "rule_expression": "n >= 5 AND amount > 3 * mean", "weight": 0.3},
   {"id": "V", "rule_expression": "n10 > 5", "weight": 0.25}, {"id": "G", "rule_expression": "km > 500", "weight": 0.2},
   {"id": "T", "rule_expression": "n >= 5 AND z > 2", "weight": 0.15},
   {"id": "B", "rule_expression": "customer_id IN (1, 2)", "weight": 0.1}]
  """

@Test func tellsWhatTheS2DefinitionCanDo() throws {
  let findings = try analyse(
    s2Rules, scoring: #"{"policy": "weighted", "threshold": 0.7}"#, features: s2Features)
  #expect(
    findings == [
      "8 of 31 combinations of 5 live rules alert",
      "a new customer_id can never alert: its first event scores at most 0.1",
    ])
  let any = try analyse(s2Rules, scoring: #"{"policy": "any"}"#, features: s2Features)
  #expect(any.last == "on the first event of a customer_id, these cannot be true: HV, V, G, T")
}

@Test func findsDeadAndUselessRules() throws {
  let findings = try analyse(
    """
    [{"id": "a", "rule_expression": "amount > 2000", "points": 50},
     {"id": "b", "rule_expression": "amount > 10 AND amount < 5", "points": 50},
     {"id": "c", "rule_expression": "amount > 10", "points": 50}, {"id": "d", "rule_expression": "lat > 3", "points": 4},
     {"id": "e", "rule_expression": "amount > 10", "points": 45}, {"id": "f", "rule_expression": "amount = NULL", "points": 1},
     {"id": "g", "rule_expression": "amount >= 1000 OR 1000 < amount", "points": 50}]
    """, scoring: #"{"policy": "points", "threshold": 50}"#)
  #expect(
    findings == [
      "a: can never be true", "b: can never be true", "e: has the same condition as 'c'", "f: can never be true",
      "12 of 15 combinations of 4 live rules alert",
      "d: changes no outcome, whatever the other rules say", "e: changes no outcome, whatever the other rules say",
    ])
}

@Test func saysWhenNothingCanAlert() throws {
  let findings = try analyse(
    #"[{"id": "a", "rule_expression": "amount > 1", "points": 20}, {"id": "b", "rule_expression": "lat > 1", "points": 20}]"#,
    scoring: #"{"policy": "points", "threshold": 50}"#)
  #expect(findings.first == "0 of 3 combinations of 2 live rules alert")
}

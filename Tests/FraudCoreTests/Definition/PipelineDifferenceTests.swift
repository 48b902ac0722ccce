import Testing

@testable import FraudCore

private func definition(_ schema: String, rules: String = "", more: String = "") throws -> PipelineDefinition {
  try PipelineDefinition(
    DefinitionValue(json: Array(#"{"name":"p","schema":[\#(schema)],"rules":[\#(rules)]\#(more)}"#.utf8)))
}

@Suite struct PipelineDifferenceTests {
  @Test(arguments: [
    (#"{"name":"a","type":"integer"}"#, #"{"name":"a","type":"integer"},{"name":"b","type":"string"}"#, []),
    (#"{"name":"a","type":"integer"}"#, #"{"name":"a","type":"float"}"#, []),
    (
      #"{"name":"a","type":"integer"}"#,
      #"{"name":"a","type":"integer"},{"name":"b","type":"string","nullable":false,"default":"x"}"#, []
    ),
    (
      #"{"name":"a","type":"float"}"#, #"{"name":"a","type":"integer"}"#,
      ["field 'a' was float and is now integer"]
    ),
    (
      #"{"name":"a","type":"integer"},{"name":"b","type":"string"}"#, #"{"name":"b","type":"string","nullable":false}"#,
      ["field 'a' was removed", "field 'b' has become required"]
    ),
    (
      #"{"name":"a","type":"integer"}"#, #"{"name":"a","type":"integer"},{"name":"c","type":"float","nullable":false}"#,
      ["field 'c' is new and required; make it nullable or give it a default"]
    ),
  ])
  func saysWhatEarlierEventsCannotMeet(_ earlier: String, _ later: String, _ reasons: [String]) throws {
    #expect(try definition(later).schema.incompatibilities(with: definition(earlier).schema) == reasons)
  }

  @Test func comparesByNameAndByKey() throws {
    let amount = #"{"name":"amount","type":"integer"}"#
    let before = try definition(
      amount, rules: #"{"rule_expression":"amount > 5"},{"id":"x","rule_expression":"amount > 6"}"#)
    let after = try definition(
      amount + #",{"name":"b","type":"string"}"#,
      rules: #"{"id":"x","rule_expression":"amount > 6","severity":"critical"}"#, more: #","on_rule_error":"alert""#)
    let changes = PipelineDifference(from: before, to: after).changes
    #expect(
      changes.map { "\($0.kind) \($0.part) \($0.name ?? "-")" } == [
        "added schema b", "removed rules \(RuleDefinition.derivedID(of: "amount > 5"))", "changed rules x",
        "added on_rule_error -",
      ])
    #expect(changes[2].details.map(\.key) == ["severity"])
    #expect(changes[2].details.map(\.after) == ["\"critical\""])
    #expect(PipelineDifference(from: after, to: after).changes.isEmpty)
  }

  @Test func rulesInAnotherOrderAreAChange() throws {
    let (a, b) = (#"{"id":"a","rule_expression":"x > 5"}"#, #"{"id":"b","rule_expression":"x > 6"}"#)
    let field = #"{"name":"x","type":"integer"}"#
    let changes = try PipelineDifference(
      from: definition(field, rules: a + "," + b), to: definition(field, rules: b + "," + a)
    ).changes
    #expect(changes.map(\.part) == ["rules"])
    #expect(changes.map(\.name) == [nil])
  }
}

import Testing

@testable import FraudCore

private func read(_ json: String) throws -> (FeatureDefinition?, [String]) {
  var reader = DefinitionReader()
  let node = DefinitionNode(value: try DefinitionValue(json: Array(json.utf8)), path: "features[0]")
  let definition = FeatureDefinition(node, reader: &reader)
  return (definition, reader.problems.map(\.description))
}

@Test func readsFeatures() throws {
  let (count, none) = try read(
    #"{"name": "n", "function": "count", "window": "10m", "by": "c", "include_current": true, "where": "a > 1"}"#)
  #expect(none.isEmpty && count?.window == .sliding(600_000_000) && count?.includeCurrent == true)
  let (risk, _) = try read(
    #"{"name": "r", "function": "mean", "of": "fraud", "by": ["t", "u"], "window": {"tumbling": "7d"}, "delay": "7d", "default": 0}"#
  )
  #expect(risk?.by == ["t", "u"] && risk?.of == ["fraud"] && risk?.delay == 604_800_000_000)
  #expect(risk?.defaultValue?.content == .number("0"))
  #expect(try read(#"{"name": "x", "expression": "a / 2"}"#).0?.expression == "a / 2")
}

@Test(
  arguments: [
    (
      #"{"name": "n", "function": "cuont", "by": "c"}"#,
      "features[0].function: unknown value 'cuont', did you mean 'count'?"
    ),
    (#"{"name": "n", "function": "sum", "by": "c"}"#, "features[0]: sum takes one field in 'of'"),
    (#"{"name": "n", "function": "count"}"#, "features[0]: 'by' is missing"),
    (#"{"name": "n", "function": "rate", "by": "c"}"#, "features[0]: rate needs a window such as 10m"),
    (
      #"{"name": "n", "function": "count", "by": "c", "delay": "1d"}"#,
      "features[0].delay: a delay needs a window: without one, the whole life counts"
    ),
    (#"{"name": "n", "function": "count", "by": "c", "alpha": 0.1}"#, "features[0].alpha: only ewma takes 'alpha'"),
    (
      #"{"name": "n", "function": "previous", "of": "a", "by": "c", "include_current": true}"#,
      "features[0].include_current: previous compares the current event with earlier ones and cannot include it"
    ),
    (#"{"name": "n", "expression": "a", "by": "c"}"#, "features[0].by: a column with expression has no 'by'"),
    (
      #"{"name": "n", "function": "count", "by": "c", "window": {"gap": "0s"}}"#,
      "features[0].window.gap: a window of no length holds nothing"
    ),
  ])
func reportsMistakesInFeatures(json: String, problem: String) throws {
  #expect(try read(json).1 == [problem])
}

import Testing

@testable import FraudCore

@Test func readsJSONWithPlaces() throws {
  let value = try DefinitionValue(
    json: Array("{\"a\": [1, -2.5e3],\n \"b\": \"x\\u00e9\\ud83d\\ude00\", \"c\": null}".utf8))
  guard case .object(let members) = value.content else { Issue.record("no object"); return }
  #expect(members.map(\.key) == ["a", "b", "c"])
  #expect(members[1].line == 2 && members[1].column == 2)
  #expect(members[1].value.content == .string("xé😀"))
  #expect(value.canonicalJSON == "{\"a\":[1,-2.5e3],\"b\":\"xé😀\",\"c\":null}")
}

@Test(arguments: [
  "", "{", "{\"a\"}", "{\"a\":1,}", "[1 2]", "01", "1.", "\"\\ud800\"", "\"\u{1}\"", "nul", "{} x", "\"abc",
  String(repeating: "[", count: 1_000),
])
func refusesWhatIsNotJSON(text: String) {
  #expect(throws: DefinitionError.self) { try DefinitionValue(json: Array(text.utf8)) }
}

@Test(
  arguments: [
    ("10m", 600_000_000), ("1h 30m", 5_400_000_000), ("250ms", 250_000), ("7d", 604_800_000_000), ("", nil),
    ("10", nil),
    ("m", nil), ("-1s", nil), ("99999999999999d", nil), ("1h30m", 5_400_000_000),
  ] as [(String, Int64?)])
func readsDurations(text: String, expected: Int64?) {
  #expect(parseDuration(text) == expected)
}

@Test func collectsEveryProblem() {
  let value = try? DefinitionValue(json: Array("{\"nam\": 1, \"size\": \"x\", \"size\": 2, \"colour\": \"gren\"}".utf8))
  enum Colour: String, CaseIterable { case green, red }
  var reader = DefinitionReader()
  let node = DefinitionNode(value: value ?? DefinitionValue(.null), path: "thing")
  let members = reader.members(of: node, known: ["name", "size", "colour"]) ?? [:]
  _ = reader.required("name", of: members, in: node)
  if let size = members["size"] { _ = reader.integer(size) }
  if let colour = members["colour"] { _ = reader.choice(colour, of: Colour.self) }
  #expect(
    reader.problems.map(\.description) == [
      "thing.nam: unknown key 'nam', did you mean 'name'?",
      "thing.size: 'size' stands twice",
      "thing: 'name' is missing",
      "thing.size: expected a whole number, found 'x'",
      "thing.colour: unknown value 'gren', did you mean 'green'?",
    ])
}

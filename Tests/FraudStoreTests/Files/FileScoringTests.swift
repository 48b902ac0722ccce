import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

private let definition = #"""
  {"name": "cards", "event_id": "id", "event_time": "at",
   "schema": [{"name": "id", "type": "string", "nullable": false}, {"name": "amount", "type": "float"},
    {"name": "user", "type": "integer"}, {"name": "at", "type": "timestamp"}],
   FEATURES
   "rules": [{"id": "large", "rule_expression": "amount > 900", "severity": "critical", "description": "Large"},
    {"id": "divided", "rule_expression": "100 / (user % 50) > 90", "severity": "info", "description": "Fails at times"}],
   "scoring": {"policy": "any"}}
  """#

private func pipeline(features: String = "") throws -> Pipeline {
  try Pipeline(DefinitionValue(json: Array(definition.replacing("FEATURES", with: features).utf8)))
}

private final class Folder {
  let path = FileManager.default.temporaryDirectory.appending(path: "fraud-scoring-\(UUID())").path
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  func file(_ name: String) -> String { "\(path)/\(name)" }
  func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: URL(filePath: file(name))) }
  func read(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: file(name))), as: UTF8.self)
  }
}

/// Lines of all kinds: events, blank lines, events that are rejected, one of more than a mebibyte.
private func events(_ count: Int) -> String {
  var text = ""
  for index in 0..<count {
    switch index % 97 {
    case 13: text += "\n"
    case 14: text += "{\"id\":\"\(index)\",\"amount\":\"x\"}\n"
    case 15: text += "{\"id\":\n"
    default:
      text +=
        "{\"id\":\"\(index)\",\"amount\":\(index % 1_000).5,\"user\":\(index % 777),\"at\":\"2025-03-01T00:00:00Z\"}\n"
    }
    if index == count / 2 { text += "\"" + String(repeating: "y", count: 3 << 19) + "\"\n" }
  }
  return text
}

@Test(
  arguments: [
    "", #""features": [{"name": "n", "function": "count", "by": "user", "window": "1h"}],"#,
    #""aggregations": [{"name": "users", "by": "user", "window": "1h", "measures": [{"name": "n", "function": "count"}]}],"#,
  ])
func outputDoesNotDependOnThreads(features: String) async throws {
  let folder = try Folder()
  let text = events(6_000)
  try folder.write("a.ndjson", text)
  try folder.write("b.csv", "id,amount,user,at\n" + (0..<3_000).map { "\($0),\($0 % 1_000),7,\n" }.joined())
  let pipeline = try pipeline(features: features)
  var first: (results: String, rejected: String, errors: String, summary: RunSummary)?
  for threads in [1, 4] {
    let summary = try await FileScoring(pipeline).run(
      inputs: [folder.file("a.ndjson"), folder.file("b.csv")],
      files: ScoreFiles(
        results: folder.file("out"), errors: folder.file("errors"), rejected: folder.file("rejected"),
        aggregations: folder.file("aggregates")),
      threads: threads)
    let result = (try folder.read("out"), try folder.read("rejected"), try folder.read("errors"), summary)
    let aggregates = try folder.read("aggregates")
    #expect(aggregates.split(separator: "\n").count == (features.contains("aggregations") ? 777 : 0))
    if features.contains("aggregations") {
      let events = aggregates.matches(of: #/"n":(\d+)/#).compactMap { Int($0.1) }.reduce(0, +)
      #expect(events == summary.accepted)
    }
    if let first {
      #expect(first == result, "\(threads) threads")
    } else {
      first = result
    }
  }
  let found = try #require(first)
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
  let records = lines.count { !$0.isEmpty }
  #expect(found.summary.events == records + 3_000)
  #expect(found.summary.rejected == [.wrongType: 62, .badJSON: 62, .tooLarge: 1])
  #expect(found.errors.split(separator: "\n").count == 100)
  // Every alert names the line and the record that it is about.
  var offsets: [Int: Int] = [:]
  var record = 0
  for (index, line) in lines.enumerated() where !line.isEmpty {
    offsets[index + 1] = record
    record += 1
  }
  var alerts = 0
  for alert in found.results.split(separator: "\n") where alert.contains(#""topic":"a.ndjson""#) {
    alerts += 1
    let line = try #require(alert.firstMatch(of: #/"line":(\d+)/#).flatMap { Int($0.1) })
    let offset = try #require(alert.firstMatch(of: #/"offset":(\d+)/#).flatMap { Int($0.1) })
    #expect(offsets[line] == offset)
    #expect(alert.hasSuffix("\"transaction_data\":\(lines[line - 1])}"))
  }
  #expect(alerts > 400)
  for line in found.rejected.split(separator: "\n") {
    #expect((try? JSON.validate(Array(line.utf8))) != nil)
  }
  #expect(found.results.contains(#""transaction_data":{"id":"901","amount":901.0,"user":7}"#))
}

@Test func decisionsAreWrittenForEveryEvent() async throws {
  let folder = try Folder()
  try folder.write("a.ndjson", (0..<2_500).map { "{\"id\":\"\($0)\",\"amount\":\($0)}\n" }.joined())
  let summary = try await FileScoring(try pipeline(), emission: .decisions).run(
    inputs: [folder.file("a.ndjson")], files: ScoreFiles(results: folder.file("out")), threads: 2)
  let lines = try folder.read("out").split(separator: "\n")
  #expect(lines.count == 2_500)
  #expect(lines.count { $0.contains(#""decision":"alert""#) } == 1_599)
  #expect(summary.decisions == 1_599)
  #expect(lines[7].hasPrefix(#"{"event_id":"7","event_time":null,"decision":"no_alert""#))
}

@Test func errorsOfFilesEndTheRun() async throws {
  let folder = try Folder()
  try folder.write("bad.csv", "id,id\n")
  try folder.write("cut.ndjson.zst", "not zstd at all")
  let scoring = FileScoring(try pipeline())
  for input in ["bad.csv", "cut.ndjson.zst", "none.ndjson"] {
    await #expect(throws: StoreError.self) {
      try await scoring.run(inputs: [folder.file(input)], files: ScoreFiles(results: nil), threads: 3)
    }
  }
  await #expect(throws: StoreError.self) {
    try await scoring.run(inputs: [], files: ScoreFiles(results: folder.file("no/such/folder")), threads: 1)
  }
}

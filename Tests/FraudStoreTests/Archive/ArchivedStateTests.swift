import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// A feature that is built from the archive remembers what a long-running one does, byte for byte.
@Suite struct ArchivedStateTests {
  @Test(arguments: [[], ["amount"]], [10, 11, 1_501, 3_609, 9_999] as [Int64])
  func stateIsThatOfALongRun(sortBy: [String], end: Int64) throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root, sortBy: sortBy)
      // More features than the version that archived the events had.
      let text = BacktestTests.definition(900).replacing(
        #""include_current": true}"#,
        with: #""include_current": true}, {"name": "m", "function": "mean", "of": "amount", "by": "user"},"#
          + #"{"name": "d", "function": "distinct", "of": "id", "by": "user", "window": "1d"}"#)
      let pipeline = try BacktestTests.pipeline(text)
      let source = EventSource(topic: "tx", generation: "g", partition: 1)
      var running = Engine(pipeline)
      var values: [String] = []
      for (index, line) in BacktestTests.lines(partition: 1).enumerated() where Int64(index) * 2 + 10 < end {
        let scored = try running.score(Array(line.utf8), source: source, offset: Int64(index) * 2 + 10)
        values.append("\(scored)")
      }
      var warmed = Engine(pipeline)
      let warming = try ArchiveDirectory(root: root).warm(&warmed, source: source, offsets: 0..<end)
      #expect(warming.eventCount == values.count)
      #expect(warmed.features.snapshot() == running.features.snapshot())
      // And what comes after is decided alike.
      for (index, line) in BacktestTests.lines(partition: 1).enumerated() where Int64(index) * 2 + 10 >= end {
        let offset = Int64(index) * 2 + 10
        let after = try (
          running.score(Array(line.utf8), source: source, offset: offset),
          warmed.score(Array(line.utf8), source: source, offset: offset)
        )
        #expect(after.0 == after.1)
      }
      #expect(warmed.features.snapshot() == running.features.snapshot())
    }
  }

  /// Offsets of no event leave no gap, a file that is gone does, and a compaction changes nothing about it.
  @Test func theArchiveKnowsWhatItMisses() throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root)
      let directory = ArchiveDirectory(root: root)
      let source = EventSource(topic: "tx", generation: "g", partition: 1)
      func coverage(_ offsets: Range<Int64>) throws -> [Range<Int64>] {
        try directory.coverage(ofPipeline: "cards", source, offsets)
      }
      let last = Int64(1_799) * 2 + 10
      #expect(try coverage(0..<9_999) == [0..<last + 1])
      #expect(try coverage(5..<500) == [5..<500])
      let files = try directory.files().filter { $0.partition == 1 }
      try #require(files.count > 20)
      for gone in [files[7], files[15], files[16]] {
        try FileManager.default.removeItem(atPath: directory.path(of: gone))
      }
      func after(_ file: Int) -> Int64 { files[file].offsets.upperBound + 1 }
      let parts = [0..<after(6), after(7)..<after(14), after(16)..<last + 1]
      #expect(try coverage(0..<9_999) == parts)
      #expect(try coverage(after(6)..<after(10)) == [after(7)..<after(10)])
      #expect(try coverage(0..<after(6)) == [0..<after(6)])
      // Merged files would say that they hold what is gone: those beside a gap stay apart.
      _ = try directory.compact()
      #expect(try coverage(0..<9_999) == parts)
    }
  }

  @Test func otherTopicsAreToldApart() throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root)
      var engine = Engine(try BacktestTests.pipeline(BacktestTests.definition(900)))
      let directory = ArchiveDirectory(root: root)
      let other = EventSource(topic: "other", generation: "g", partition: 1)
      #expect(try directory.warm(&engine, source: other, offsets: 0..<100).eventCount == 0)
      #expect(throws: StoreError.self) {
        try directory.warm(
          &engine, source: EventSource(topic: "tx", generation: "later", partition: 1), offsets: 0..<100)
      }
    }
  }
}

/// Rows of Parquet files that break what the schema says are rejected events, like lines of JSON that do.
@Suite struct ViolationTests {
  static let definition = #"""
    {"name": "p", "event_id": "id", "schema": [{"name": "id", "type": "string", "nullable": false},
      {"name": "amount", "type": "float", "nullable": false, "min": 0, "max": 1000},
      {"name": "kind", "type": "string", "one_of": ["a", "b"]}, {"name": "count", "type": "integer", "min": 1},
      {"name": "card", "type": "string", "sensitive": "pan"}],
     "rules": [{"id": "r", "rule_expression": "amount > 500", "severity": "info", "description": "d"}]}
    """#

  @Test(arguments: [ScoreEmission.alerts, .none]) func badRowsAreRejected(emission: ScoreEmission) async throws {
    let pipeline = try Pipeline(DefinitionValue(json: Array(Self.definition.utf8)))
    // The same rows as lines, which the decoder judges, and in a file whose columns demand nothing.
    var lines = ""
    for index in 0..<2_500 {
      let amount = index % 7 == 0 ? "null" : index % 11 == 0 ? "-1.5" : "\(index % 1_000)"
      let kind = index % 13 == 0 ? "\"z\"" : index % 3 == 0 ? "null" : "\"b\""
      lines += "{\"id\":\"i\(index)\",\"amount\":\(amount),\"kind\":\(kind),\"count\":\(index % 17),"
      lines += "\"card\":\"4111111111111111\"}\n"
    }
    let lax = Self.definition.replacing(#", "nullable": false"#, with: "").replacing(
      #", "min": 0, "max": 1000"#, with: ""
    )
    .replacing(#", "one_of": ["a", "b"]"#, with: "").replacing(#", "min": 1"#, with: "")
    let folder = FileManager.default.temporaryDirectory.appending(path: "fraud-violations-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(lines.utf8).write(to: folder.appending(path: "events.ndjson"))
    try Data(ScoreParquetTests.parquet(lines, try Pipeline(DefinitionValue(json: Array(lax.utf8)))))
      .write(to: folder.appending(path: "events.parquet"))
    var rejected: [[NSDictionary]] = []
    var summaries: [RunSummary] = []
    for name in ["events.ndjson", "events.parquet"] {
      let output = folder.appending(path: "\(name).rejected").path
      let files = ScoreFiles(
        results: emission == .alerts ? folder.appending(path: "\(name).out").path : nil,
        rejected: emission == .alerts ? output : nil)
      summaries.append(
        try await FileScoring(pipeline, emission: emission).run(
          inputs: [folder.appending(path: name).path], files: files, threads: 2))
      guard emission == .alerts else { continue }
      let found = try String(contentsOfFile: output, encoding: .utf8)
      #expect(!found.contains("4111111111111111") && found.contains("411111******1111"))
      rejected.append(
        try found.split(separator: "\n").map { line in
          var event = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
          // How the value at fault is written, and the file, are not the same.
          for key in ["payload", "detail", "line", "topic"] { event[key] = nil }
          return event as NSDictionary
        })
    }
    #expect(summaries[0] == summaries[1])
    #expect(summaries[1].events == 2_500 && summaries[1].rejectedCount > 500)
    #expect(rejected.isEmpty || rejected[0] == rejected[1])
  }
}

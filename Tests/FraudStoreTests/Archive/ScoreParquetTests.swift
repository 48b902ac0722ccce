import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// `score` over Parquet finds what it finds over the same events as NDJSON: every field of an alert but the event as it
/// came and its line, which a Parquet file has not.
@Suite struct ScoreParquetTests {
  static let definition = #"""
    {"name": "cards", "event_id": "id", "event_time": "at",
     "schema": [{"name": "id", "type": "string", "nullable": false}, {"name": "amount", "type": "float"},
      {"name": "user", "type": "integer"}, {"name": "at", "type": "timestamp"}, {"name": "new", "type": "boolean"}],
     FEATURES
     "rules": [{"id": "large", "rule_expression": "amount > 900 AND new", "severity": "critical", "description": "Large"},
      {"id": "divided", "rule_expression": "100 / (user % 50) > 90", "severity": "info", "description": "Fails at times"}
      RULES],
     "scoring": {"policy": "any"}}
    """#

  @Test(arguments: [false, true], [1, 3])
  func parquetScoresLikeNDJSON(hasFeatures: Bool, threads: Int) async throws {
    let text = Self.definition
      .replacing(
        "FEATURES",
        with: hasFeatures ? #""features": [{"name": "n", "function": "count", "by": "user", "window": "1h"}],"# : ""
      )
      .replacing(
        "RULES",
        with: hasFeatures
          ? #", {"id": "often", "rule_expression": "n > 3", "severity": "info", "description": "Often"}"# : "")
    let pipeline = try Pipeline(DefinitionValue(json: Array(text.utf8)))
    let folder = FileManager.default.temporaryDirectory.appending(path: "fraud-score-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }

    var lines = ""
    for index in 0..<5_000 {
      let amount = index % 11 == 0 ? "null" : "\(index % 1_000).5"
      lines += "{\"id\":\"é\(index)\",\"amount\":\(amount),\"user\":\(index % 777),\"new\":\(index % 3 == 0)"
      lines += ",\"at\":\"2025-03-01T00:00:\(index % 50 + 10)Z\"}\n"
    }
    try Data(lines.utf8).write(to: folder.appending(path: "events.ndjson"))
    try Data(try Self.parquet(lines, pipeline)).write(to: folder.appending(path: "events.parquet"))

    var found: [[NSDictionary]] = []
    for name in ["events.ndjson", "events.parquet"] {
      let output = folder.appending(path: "\(name).out")
      let summary = try await FileScoring(pipeline).run(
        inputs: [folder.appending(path: name).path], files: ScoreFiles(results: output.path), threads: threads)
      #expect(summary.events == 5_000)
      let alerts = try String(contentsOf: output, encoding: .utf8).split(separator: "\n").map { line in
        var alert = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let event = try #require(alert["transaction_data"] as? [String: Any])
        #expect(event["id"] as? String == alert["event_id"] as? String)
        // Identity is by the file's name.
        for key in ["transaction_data", "line", "topic", "alert_id", "created_at"] { alert[key] = nil }
        return alert as NSDictionary
      }
      found.append(alerts)
    }
    #expect(found[0].count > 100)
    #expect(found[0] == found[1])
  }

  /// The events of lines as a Parquet file with several row groups' worth of pages.
  static func parquet(_ lines: String, _ pipeline: Pipeline) throws -> [UInt8] {
    let columns = pipeline.definition.schema.fields.map {
      ParquetColumn(name: $0.name, type: $0.type, nullable: $0.nullable)
    }
    var writer = ParquetWriter(columns: columns)
    var batch = EventBatch(layout: pipeline.layout, source: EventSource(topic: "t"))
    var state = DecoderState(pipeline.decoder)
    batch.bytes = Array(lines.utf8) + [UInt8](repeating: 0, count: EventBatch.padding)
    pipeline.decoder.beginLines(&batch, &state)
    while pipeline.decoder.decodeLines(&batch, &state) {
      try writer.append(batch, rows: 0..<batch.rowCount, sources: columns.indices.map { .column($0) })
    }
    try writer.finish()
    return writer.takeOutput()
  }
}

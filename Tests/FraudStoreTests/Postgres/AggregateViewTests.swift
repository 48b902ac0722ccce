import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// What the database makes of the parts of eight partitions against what one partition tells.
@Suite struct AggregateViewTests {
  private static let definition = #"""
    {"name": "p", "event_time": "at", "event_id": "id",
     "schema": [{"name": "id", "type": "string"}, {"name": "amount", "type": "float"}, {"name": "user", "type": "integer"},
       {"name": "country", "type": "string"}, {"name": "at", "type": "timestamp"}],
     "aggregations": [{"name": "country", "by": "country", "window": {"sliding": "20m", "every": "10m"}, "measures": [
       {"name": "n", "function": "count"}, {"name": "sum", "function": "sum", "of": "amount"},
       {"name": "mean", "function": "mean", "of": "amount"}, {"name": "least", "function": "min", "of": "amount"},
       {"name": "last", "function": "max", "of": "at"}, {"name": "users", "function": "distinct", "of": "user"},
       {"name": "ids", "function": "distinct", "of": "id"},
       {"name": "p90", "function": "quantile", "of": "amount", "quantile": 0.9},
       {"name": "share", "function": "share", "where": "amount > 50"},
       {"name": "weight", "function": "share", "of": "amount", "where": "user = 3"},
       {"name": "rate", "function": "rate", "per": "1m"}]}],
     "rules": [{"id": "r", "rule_expression": "amount > 1e9"}]}
    """#

  private func events(_ count: Int) -> [[UInt8]] {
    var state: UInt64 = 11
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    return (0..<count).map { index in
      let second = index * 4_500 / count
      let (hour, minute) = (10 + second / 3_600, second / 60 % 60)
      let country = ["\"DE\"", "\"US\"", "null"][random(3)]
      let amount = random(9) == 0 ? "null" : "\(Double(random(10_000) - 200) / 100)"
      let time = "2025-03-01T\(hour):\(minute < 10 ? "0" : "")\(minute):\(second % 60 < 10 ? "0" : "")\(second % 60)Z"
      return Array(
        """
        {"id": "e\(index % (count / 2))", "amount": \(amount), "user": \(random(40)), "country": \(country), "at": "\(time)"}
        """.utf8)
    }
  }

  @Test(.timeLimit(.minutes(2))) func eightPartitionsGiveWhatOneGives() throws {
    let address = try TestDatabase.make()
    var connection = try PostgresConnection(address)
    try connection.execute("INSERT INTO fraud.pipelines (name) VALUES ('p')")
    let pipeline = try Pipeline(DefinitionValue(json: Array(Self.definition.utf8)))
    let lines = events(4_000)
    var committer = PartitionCommitter(address, ownerName: "a")
    for (topic, partitions) in [("one", 1), ("eight", 8)] {
      for partition in 0..<partitions {
        let source = EventSource(topic: topic, generation: "dev", partition: Int32(partition))
        let progress = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
        var engine = Engine(pipeline, version: 1)
        var unit = CommitUnit(pipeline: "p", pipelineID: 1, pipelineVersion: 1, batchID: .random())
        var advance = PartitionAdvance(progress: progress, nextOffset: Int64(lines.count))
        for (index, line) in lines.enumerated() where index % partitions == partition {
          _ = try engine.score(line, source: source, offset: Int64(index))
          unit.aggregates += engine.features.aggregates.map { AggregateRecord(source: source, row: $0) }
        }
        advance.watermark = engine.features.watermark
        unit.advances = [advance]
        #expect(try committer.commit(unit).conflicts == 0)
      }
    }
    // Values as they come out of one partition, from the same program that `score` uses.
    let whole = try connection.query(
      """
      SELECT a.window_end, a.key, a.events, a.measures, b.events, b.measures, a.complete, b.complete, b.partitions
      FROM fraud.aggregate_values AS a FULL JOIN fraud.aggregate_values AS b
        ON b.topic = 'eight' AND a.aggregation = b.aggregation AND a.window_end = b.window_end AND a.key = b.key
      WHERE a.topic = 'one' AND a.complete
      ORDER BY 1, 2
      """)
    #expect(whole.rowCount > 15)
    for row in 0..<whole.rowCount {
      #expect(try whole.integer(row, 2) == whole.integer(row, 4))
      let (one, eight) = (try whole.text(row, 3), try whole.text(row, 5))
      #expect(one == eight)
      #expect(try whole.boolean(row, 6) == true && whole.boolean(row, 7) == true)
      #expect(try whole.integer(row, 8) == 8)
    }
    var engine = Engine(pipeline)
    var rows: [AggregateRow] = []
    for line in lines {
      _ = try engine.score(line)
      rows += engine.features.aggregates
    }
    #expect(rows.count == whole.rowCount && rows.contains { $0.measures[6].part.relativeError > 0 })
    for row in rows {
      var key: [UInt8] = []
      row.appendKey(to: &key)
      let stored = try connection.query(
        "SELECT measures FROM fraud.aggregate_values WHERE topic = 'one' AND window_end = $1 AND key = $2",
        [.timestamp(row.end), .json(key)])
      let text = try #require(try stored.text(0, 0))
      let values = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      for measure in row.measures {
        let actual = values[measure.name]
        switch measure.value {
        case .integer(let value)?: #expect((actual as? NSNumber)?.int64Value == value, "\(measure.name)")
        case .float(let value)?:
          let number = (actual as? NSNumber)?.doubleValue ?? .nan
          #expect(abs(number - value) <= 1e-12 * max(1, abs(value)), "\(measure.name)")
        case .timestamp(let value)?: #expect(actual as? String == JSONText.rfc3339(value))
        default: #expect(actual is NSNull, "\(measure.name)")
        }
      }
    }
  }

  /// A window is complete when the slowest partition has passed it, and a correction replaces what stood.
  @Test(.timeLimit(.minutes(2))) func theLatestRevisionCountsAndTheSlowestPartitionDecides() throws {
    let address = try TestDatabase.make()
    var connection = try PostgresConnection(address)
    try connection.execute("INSERT INTO fraud.pipelines (name) VALUES ('p')")
    var committer = PartitionCommitter(address, ownerName: "a")
    func row(_ revision: Int64, count: Int) -> AggregateRow {
      AggregateRow(
        aggregation: "a", start: 0, end: 3_600_000_000, key: [.init(name: "k", value: .string("\u{0}x"))],
        revision: revision, events: count,
        measures: [.init(name: "n", function: .count, part: .count(count), whole: nil, parameter: 0)])
    }
    func commit(_ progress: PartitionProgress, _ rows: [AggregateRow], watermark: Int64) throws -> PartitionProgress {
      var unit = CommitUnit(pipeline: "p", pipelineID: 1, pipelineVersion: 1, batchID: .random())
      var advance = PartitionAdvance(progress: progress, nextOffset: progress.nextOffset + 1)
      advance.watermark = watermark
      unit.advances = [advance]
      unit.aggregates = rows.map { AggregateRecord(source: progress.source, row: $0) }
      return try committer.commit(unit).progress[0]
    }
    func value() throws -> String {
      let result = try connection.query(
        "SELECT measures->>'n' || ' ' || revision || ' ' || complete FROM fraud.aggregate_values")
      #expect(result.rowCount == 1)
      return try result.text(0, 0) ?? ""
    }
    let sources = (0..<2).map { EventSource(topic: "t", generation: "dev", partition: $0) }
    let first = try committer.takeOwnership(pipelineID: 1, source: sources[0], startOffset: 0)
    let second = try committer.takeOwnership(pipelineID: 1, source: sources[1], startOffset: 0)
    let moved = try commit(first, [row(0, count: 2)], watermark: 3_600_000_000)
    #expect(try value() == "2 0 false")
    _ = try commit(second, [row(0, count: 5)], watermark: 3_700_000_000)
    #expect(try value() == "7 0 true")
    _ = try commit(moved, [row(4, count: 3)], watermark: 9_000_000_000)
    #expect(try value() == "8 4 true")
  }
}

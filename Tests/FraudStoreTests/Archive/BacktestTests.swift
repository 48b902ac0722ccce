import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// A backtest finds what `score` finds in the same events, and tells two versions apart event by event.
@Suite struct BacktestTests {
  static func definition(_ threshold: Int, features: Bool = true, extra: String = "") -> String {
    let feature = #"{"name": "n", "function": "count", "by": "user", "window": "2h", "include_current": true}"#
    let often = #", {"id": "often", "rule_expression": "n > 3", "severity": "info", "description": "Often"}"#
    return #"""
      {"name": "cards", "event_id": "id", "event_time": "at", "key": "user", "label": "fraud",
       "schema": [{"name": "id", "type": "string", "nullable": false}, {"name": "amount", "type": "float"},
        {"name": "user", "type": "integer"}, {"name": "at", "type": "timestamp", "nullable": false},
        {"name": "fraud", "type": "boolean"}\#(extra)],
       "features": [\#(features ? feature : "")],
       "rules": [{"id": "large", "rule_expression": "amount > \#(threshold)", "severity": "critical", "description": "L"}
        \#(features ? often : "")]}
      """#
  }

  static func pipeline(_ text: String) throws -> Pipeline { try Pipeline(DefinitionValue(json: Array(text.utf8))) }

  /// Events of two partitions over five days, one in four minutes each, keys apart.
  static func lines(partition: Int) -> [String] {
    (0..<1_800).map { index in
      let seconds = index * 240 + partition
      let time = JSONText.rfc3339(1_740_787_200_000_000 + Int64(seconds) * 1_000_000)
      let amount = index % 17 == 0 ? "null" : "\(index * 37 % 1_000).25"
      let fraud = index % 29 == 0 ? "null" : index * 37 % 1_000 > 900 ? "true" : "false"
      return "{\"id\":\"p\(partition)-\(index)\",\"amount\":\(amount),\"user\":\(index * index % 11 * 2 + partition),"
        + "\"at\":\"\(time)\",\"fraud\":\(fraud)}"
    }
  }

  /// Writes the events as the archiver does.
  static func archive(_ root: String, raw: Bool = false, sortBy: [String] = []) throws {
    let pipeline = try pipeline(definition(900))
    var settings = ArchiveWriter.Settings(
      root: root, pipeline: "cards", version: 1, schema: pipeline.definition.schema, eventTime: "at")
    settings.keepsRaw = raw
    for partition in 0..<2 {
      let source = EventSource(topic: "tx", generation: "g", partition: Int32(partition))
      var writer = ArchiveWriter(settings, source: source, from: 0)
      var batch = EventBatch(layout: ColumnLayout(schema: pipeline.definition.schema), source: source)
      var state = DecoderState(pipeline.decoder)
      for (index, line) in lines(partition: partition).enumerated() {
        let time = 1_740_787_200_000_000 + Int64(index) * 240_000_000
        batch.append(message: Array(line.utf8).span, offset: Int64(index) * 2 + 10, timestamp: time)
        if index % 350 == 349 || index == 1_799 {
          pipeline.decoder.decode(&batch, &state)
          _ = try writer.append(batch)
          batch.removeAll()
        }
      }
      _ = try writer.cut()
    }
    if !sortBy.isEmpty {
      var compaction = ArchiveDirectory.Compaction()
      compaction.sortBy = sortBy
      #expect(try !ArchiveDirectory(root: root).compact(compaction).isEmpty)
    }
  }

  static func alerts(_ path: String) throws -> [NSDictionary] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
      try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary)
    }
  }

  /// What the engine says of a partition's events, fed one by one.
  static func expected(_ pipeline: Pipeline, partition: Int) throws -> [Alert] {
    var engine = Engine(pipeline)
    var found: [Alert] = []
    for (index, line) in lines(partition: partition).enumerated() {
      found += try engine.score(
        Array(line.utf8), source: EventSource(topic: "tx", generation: "g", partition: Int32(partition)),
        offset: Int64(index) * 2 + 10
      ).alerts
    }
    return found
  }

  @Test(arguments: [false, true], [[], ["user", "amount"]])
  func findsWhatTheEngineFinds(raw: Bool, sortBy: [String]) throws {
    try ArchiveTests.withFolder { root in
      try Self.archive(root, raw: raw, sortBy: sortBy)
      let pipeline = try Self.pipeline(Self.definition(900))
      var settings = Backtest.Settings(archivedPipeline: "cards")
      settings.amountField = "amount"
      let output = root + "/alerts.ndjson"
      let report = try Backtest(
        ArchiveDirectory(root: root), tried: Backtest.Version(name: "new", pipeline: pipeline), settings: settings
      ).run(Backtest.Outputs(alerts: output))
      let expected = try (0..<2).flatMap { try Self.expected(pipeline, partition: $0) }
      let found = try Self.alerts(output)
      #expect(expected.count > 500 && found.count == expected.count)
      for (alert, line) in zip(expected, found) {
        #expect(line["alert_id"] as? String == alert.id.description)
        #expect(line["event_id"] as? String == alert.eventID && line["rule_id"] as? String == alert.ruleID)
        if raw {
          let event = try JSONSerialization.jsonObject(with: Data(alert.transactionData)) as? NSDictionary
          #expect(line["transaction_data"] as? NSDictionary == event)
        }
      }
      // The counts are the engine's own.
      var engine = Engine(pipeline)
      for partition in 0..<2 {
        var own = Engine(pipeline)
        for line in Self.lines(partition: partition) { _ = try own.score(Array(line.utf8)) }
        if partition == 0 {
          engine = own
        } else {
          var sum = engine.summary
          sum.merge(own.summary)
          #expect(report.tried.summary == sum)
        }
      }
      #expect(report.partitionCount == 2 && report.tried.warmUpEvents == 0)
      #expect(report.tried.sortedDays.reduce(0) { $0 + $1.counts.events } == 3_600)
      // Money, the plain way.
      var caught = 0.0
      for partition in 0..<2 {
        let alerting = Set(expected.compactMap(\.eventID))
        for index in 0..<1_800 where index % 17 != 0 && index % 29 != 0 && index * 37 % 1_000 > 900 {
          if alerting.contains("p\(partition)-\(index)") { caught += Double(index * 37 % 1_000) + 0.25 }
        }
      }
      #expect(report.tried.money?.caught == caught)
    }
  }

  /// Events before the time asked for fill windows and are not counted, whatever the files' borders.
  @Test func warmUpFillsWindows() throws {
    try ArchiveTests.withFolder { root in
      try Self.archive(root)
      let pipeline = try Self.pipeline(Self.definition(900))
      let day: Int64 = 86_400_000_000
      let first = 1_740_787_200_000_000 + 2 * day + 1_234_000_000
      let range = first...first + day
      let all = try (0..<2).flatMap { try Self.expected(pipeline, partition: $0) }
      let wanted = all.filter { $0.eventTime.map { range.contains($0) } ?? false }
      for warmUp in [nil, 7_200_000_000] as [Int64?] {
        var settings = Backtest.Settings(archivedPipeline: "cards")
        settings.times = range
        settings.warmUp = warmUp
        let output = root + "/alerts.ndjson"
        let report = try Backtest(
          ArchiveDirectory(root: root), tried: Backtest.Version(name: "new", pipeline: pipeline), settings: settings
        ).run(Backtest.Outputs(alerts: output))
        // A window of two hours needs two hours.
        #expect(try Self.alerts(output).map { $0["alert_id"] as? String } == wanted.map { $0.id.description })
        #expect(report.tried.summary.alerts == wanted.count && report.tried.summary.accepted == 720)
        #expect(report.tried.warmUpEvents >= 58)
      }
      // Without features nothing is read to fill windows but what shares a file.
      var settings = Backtest.Settings(archivedPipeline: "cards")
      settings.times = range
      let stateless = try Self.pipeline(Self.definition(900, features: false))
      let report = try Backtest(
        ArchiveDirectory(root: root), tried: Backtest.Version(name: "new", pipeline: stateless), settings: settings
      ).run()
      #expect(report.tried.summary.accepted == 720 && report.tried.warmUpEvents < 70)
    }
  }

  @Test func versionsAreToldApart() throws {
    try ArchiveTests.withFolder { root in
      try Self.archive(root)
      // The versions differ in a rule, in features and in their schemas.
      let new = try Self.pipeline(
        Self.definition(950, extra: #", {"name": "later", "type": "string", "default": "x"}"#))
      let old = try Self.pipeline(Self.definition(900, features: false))
      let backtest = Backtest(
        ArchiveDirectory(root: root), tried: Backtest.Version(name: "new", pipeline: new),
        against: Backtest.Version(name: "old", pipeline: old), settings: Backtest.Settings(archivedPipeline: "cards"))
      let changes = root + "/changes.ndjson"
      let report = try backtest.run(Backtest.Outputs(changes: changes))
      var expected: [BacktestChange.Kind: Set<String>] = [:]
      for partition in 0..<2 {
        let after = Set(try Self.expected(new, partition: partition).compactMap(\.eventID))
        let before = Set(try Self.expected(old, partition: partition).compactMap(\.eventID))
        expected[.gained, default: []].formUnion(after.subtracting(before))
        expected[.lost, default: []].formUnion(before.subtracting(after))
      }
      let lines = try Self.alerts(changes)
      for kind in BacktestChange.Kind.allCases {
        let found = lines.filter { $0["change"] as? String == kind.rawValue }.compactMap { $0["event_id"] as? String }
        #expect(Set(found) == expected[kind] ?? [] && found.count == report.changeCounts[kind] ?? 0)
      }
      #expect(report.changeCounts[.gained] ?? 0 > 100 && report.changeCounts[.lost] ?? 0 > 10)
      #expect(report.changes.count <= 3 * BacktestReport.changesKept)
      let json = try JSONSerialization.jsonObject(with: Data(report.json(seconds: 1))) as? NSDictionary
      #expect((json?["changes"] as? NSDictionary)?["lost"] as? Int == report.changeCounts[.lost])
    }
  }

  /// Labels of a file win event by event.
  @Test func labelsOfAFileWin() throws {
    try ArchiveTests.withFolder { root in
      try Self.archive(root)
      let pipeline = try Self.pipeline(Self.definition(900, features: false))
      var settings = Backtest.Settings(archivedPipeline: "cards")
      // Event 25 alerts and is labelled as fraud; 29 has no label.
      settings.labels = ["p0-25": false, "p0-29": true]
      let version = Backtest.Version(name: "new", pipeline: pipeline)
      let given = try Backtest(ArchiveDirectory(root: root), tried: version, settings: settings).run().tried
      settings.labels = nil
      let own = try Backtest(ArchiveDirectory(root: root), tried: version, settings: settings).run().tried
      #expect(given.labelled == own.labelled + 1)
      #expect(given.summary.positives == own.summary.positives)
      #expect(given.summary.decisionHits.truePositives == own.summary.decisionHits.truePositives - 1)
      #expect(given.summary.decisionHits.falsePositives == own.summary.decisionHits.falsePositives + 1)
    }
  }
}

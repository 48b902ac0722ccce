import Foundation
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// What a backtest says of archived events is what `score` says of the same events in a file, in every field of every alert.
@Suite(.enabled(if: Program.isBuilt, "needs the built fraudctl"), .timeLimit(.minutes(10)))
struct BacktestSampleTests {
  @Test func alertsOfTheSampleAreThoseOfScore() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let lines = try TestSite.cardPayments(3_000)
      let events = folder + "/events.ndjson"
      try Data(lines.joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: events))
      // Features over windows and a key's life, of which each event changes what the next one is told.
      let text = try String(contentsOfFile: TestSite.pipelines + "/card-payments.yaml", encoding: .utf8)
        .replacing(
          "rules:\n",
          with: """
            features:
              - {name: recent, function: count, by: cc_num, window: 24h}
              - {name: usual, function: mean, of: amt, by: cc_num}
              - {name: shops, function: distinct, of: merchant, by: cc_num, window: 30d}
            rules:
              - {id: unusual, rule_expression: "amt > 4 * usual AND recent >= 2", severity: warning}

            """)
      let names = ["cards", "cards-raw"]
      for name in names {
        let named =
          text.replacing("name: card-payments\n", with: "name: \(name)\n")
          + "archive: {raw: \(name == "cards-raw")}\n"
        try named.write(toFile: "\(folder)/\(name).yaml", atomically: true, encoding: .utf8)
      }
      let broker = try TestBroker()
      try broker.createTopic(named: "card-payments", partitions: 3)
      let common = ["--brokers", broker.bootstrapServers, "--data", folder + "/data"]
      let sent = try Program.run(
        ["produce", "--topic", "card-payments", "--input", events, "--key", "cc_num"] + common)
      #expect(sent.code == 0, "\(sent.errors)")
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let processed = try Program(
        [
          "process", "--database", database.url, "--archive", folder + "/archive", "--until-end",
        ] + names.flatMap { ["--pipeline", "\(folder)/\($0).yaml"] } + common
      ).wait()
      #expect(processed.code == 0, "\(processed.errors)")
      for name in names {
        let definition = ["--pipeline", "\(folder)/\(name).yaml"]
        let scored = try Program.run(["score", "--input", events] + definition)
        let backtest = try Program.run(
          ["backtest", "--archive", folder + "/archive", "--output", folder + "/alerts.ndjson"] + definition)
        #expect(backtest.code == 0, "\(backtest.errors)")
        let tried = try Data(contentsOf: URL(fileURLWithPath: folder + "/alerts.ndjson"))
          .split(separator: UInt8(ascii: "\n")).map { Array($0) }
        // Where an event lies, and what follows from it, is another matter in a file than in a topic.
        let place = ["alert_id", "topic", "partition", "offset", "line"]
        let other = name == "cards-raw" ? place : place + ["transaction_data"]
        let (found, expected) = (try Self.alerts(tried, without: other), try Self.alerts(scored.lines, without: other))
        #expect(found == expected && found.count > 20, "\(found.count) alerts, \(expected.count) of score")
        #expect(found.contains { $0.contains(#""rule_id":"unusual""#) })
        // And the alerts are the very ones that were committed.
        let ids = try database.text("SELECT alert_id FROM fraud.alerts WHERE pipeline = '\(name)'").split(
          separator: "\n")
        let triedIDs = try tried.map { line in
          try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])["alert_id"] as? String ?? "?"
        }
        #expect(Set(ids.map(String.init)) == Set(triedIDs) && ids.count == triedIDs.count)
      }
    }
  }

  /// Alerts as text with sorted keys, in an order of their own, less some fields.
  private static func alerts(_ lines: [[UInt8]], without fields: [String]) throws -> [String] {
    try lines.map { line in
      var alert = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
      for field in fields { alert[field] = nil }
      let data = try JSONSerialization.data(withJSONObject: alert, options: [.sortedKeys, .fragmentsAllowed])
      return String(decoding: data, as: UTF8.self)
    }.sorted()
  }
}

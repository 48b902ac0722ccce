import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// `rejected redrive` as a user runs it.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(3)))
struct RedriveTests {
  private static let topic = "payments"

  private static func definition(currency: String, more: String = "") -> String {
    """
    name: payments
    kafka_topic: \(topic)
    schema:
      - {name: id, type: string, nullable: false}
      - {name: amount, type: float, nullable: false}
      - {name: currency, type: string, nullable: \(currency)}
    event_id: id
    \(more)
    rules:
      - {id: large, rule_expression: "amount > 100", severity: critical, description: Large}
      - {id: odd, rule_expression: "amount > 500", severity: info, mode: shadow}
    """
  }

  @Test func whatAMendedDefinitionAcceptsIsScoredOnceAtItsPlace() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let broker = try TestBroker()
      try broker.createTopic(named: Self.topic, partitions: 2)
      let lines: [[UInt8]?] = (0..<20).map { number in
        let currency = number % 4 == 0 ? "" : #","currency":"EUR""#
        return number == 7 ? Array("{".utf8) : Array(#"{"id":"e\#(number)","amount":\#(number * 50)\#(currency)}"#.utf8)
      }
      try TestSite.send(lines, to: Self.topic, partitions: 2, of: broker)
      let file = folder + "/p.yaml"
      func process(_ url: String, _ text: String) throws -> Program.Outcome {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return try Program.run([
          "process", "--pipeline", file, "--brokers", broker.bootstrapServers, "--database", url, "--until-end",
          "--group", UUID().uuidString,
        ])
      }
      func redrive(_ more: String...) throws -> Program.Outcome {
        try Program.run(
          ["rejected", "redrive", "--database", database.url, "--brokers", broker.bootstrapServers, "--json"] + more)
      }
      // From the start with the mended definition: what redriving has to come to.
      let reference = TestDatabase(url: try TestSite.makeDatabase())
      #expect(try process(reference.url, Self.definition(currency: "true")).code == 0)
      #expect(try process(database.url, Self.definition(currency: "false")).code == 0)
      #expect(try database.count("SELECT count(*) FROM fraud.rejected_events") == 6)

      _ = try Program.run(["pipeline", "apply", file, "--database", database.url])
      try Data(Self.definition(currency: "true").utf8).write(to: URL(fileURLWithPath: file))
      #expect(try Program.run(["pipeline", "apply", file, "--database", database.url]).code == 0)
      let before = try database.results()
      let foreseen = try redrive("--pipeline", "1", "--dry-run")
      #expect(foreseen.output.contains(#""dry_run":true,"scored":5,"published":0,"alerts":4"#), "\(foreseen)")
      #expect(try database.results() == before)
      let done = try redrive("--pipeline", "1", "--note", "currency is optional now")
      #expect(
        done.output.contains(#""scored":5,"published":0,"alerts":4,"rejected":{"bad_json":1},"unavailable":0"#),
        "\(done)")

      let ids = "SELECT alert_id, event_id, rule_id, topic, partition, \"offset\", transaction_data FROM fraud."
      for table in ["alerts", "shadow_alerts"] {
        #expect(try database.text(ids + table) == reference.text(ids + table))
      }
      let counts = "SELECT topic, partition, next_offset, accepted, rejected, decisions, alerts FROM fraud.partitions"
      #expect(try database.text(counts) == reference.text(counts))
      #expect(try redrive("--pipeline", "payments").output.contains(#""scored":0,"published":0,"alerts":0"#))
      #expect(try database.text(ids + "alerts") == reference.text(ids + "alerts"))
      #expect(
        try database.text(
          "SELECT why, jsonb_array_length(detail -> 'scored') FROM fraud.audit_log WHERE action = 'redrive'")
          == "currency is optional now|5")

      let list = ["rejected", "list", "--database", database.url, "--json"]
      #expect(try Program.run(list).lines.count == 1)
      #expect(try Program.run(list + ["--all", "--pipeline", "1"]).lines.count == 6)
      let show = try Program.run(["rejected", "show", "payments/0/0", "--database", database.url, "--json"])
      #expect(show.output.contains(#""redriven_as":"scored""#), "\(show.output)")
      #expect(try Program.run(["rejected", "show", "payments", "--database", database.url]).code == 64)
    }
  }

  @Test func aPipelineThatRemembersGetsItsEventsAgain() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let broker = try TestBroker()
      try broker.createTopic(named: Self.topic, partitions: 1)
      // The card's number is masked in the database, so the bytes must come from the topic.
      let card = "4111111111111111"
      let line = #"{"id":"a","amount":900,"card":"\#(card)"}"#
      try TestSite.send([Array(line.utf8), Array("{".utf8)], to: Self.topic, partitions: 1, of: broker)
      let file = folder + "/p.yaml"
      func apply(_ currency: String) throws {
        let text = Self.definition(currency: currency, more: "deduplicate: 24h")
          .replacing("event_id", with: "  - {name: card, type: string, sensitive: pan}\nevent_id")
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      }
      try apply("false")
      let processed = try Program.run([
        "process", "--pipeline", file, "--brokers", broker.bootstrapServers, "--database", database.url, "--until-end",
      ])
      #expect(processed.code == 0, "\(processed)")
      #expect(try database.count("SELECT count(*) FROM fraud.rejected_events") == 2)
      try apply("true")
      #expect(try Program.run(["pipeline", "apply", file, "--database", database.url]).code == 0)
      let command = ["rejected", "redrive", "--pipeline", "payments", "--database", database.url, "--json"]
      let refused = try Program.run(command)
      #expect(refused.code == 1 && refused.errors.contains("--publish"), "\(refused)")
      for expected in [
        #""published":1,"alerts":0,"rejected":{"bad_json":1},"unavailable":0"#,
        #""published":0,"alerts":0,"rejected":{"bad_json":1},"unavailable":0"#,
      ] {
        let published = try Program.run(command + ["--publish", "--brokers", broker.bootstrapServers])
        #expect(published.output.contains(expected), "\(published)")
      }
      let connection = KafkaConnection(brokers: broker.bootstrapServers)
      let partition = TopicPartition(topic: Self.topic, partition: 0)
      #expect(try KafkaAdmin(connection).watermarks(of: [partition])[partition]?.high == 3)
      let shown = try Program.run(["rejected", "show", "payments/0/0", "--database", database.url, "--payload"])
      #expect(!shown.output.contains(card))
    }
  }
}

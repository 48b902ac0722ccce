import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// What is wrong with input and surroundings is named, counted and kept.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(3)))
struct BadInputTests {
  private static let definition = """
    name: bad
    kafka_topic: bad
    schema:
      - {name: id, type: string, nullable: false}
      - {name: card, type: string, nullable: false, sensitive: pan}
      - {name: amount, type: float, nullable: false, min: 0}
      - {name: count, type: integer}
      - {name: at, type: timestamp}
    event_id: id
    rules:
      - {id: large, rule_expression: "amount > 100", severity: critical}
    """
  private static let card = "4539578763621486"

  private static func event(_ id: String, _ more: String) -> [UInt8] {
    Array(#"{"id":"\#(id)","card":"\#(card)",\#(more)}"#.utf8)
  }

  @Test func eachBadEventIsKeptWholeWithItsReasonAndPlace() async throws {
    try await onThread {
      let good = Self.event("good", #""amount":500,"unknown":1"#)
      var notUTF8 = Self.event("u", #""amount":1,"x":"?""#)
      notUTF8[notUTF8.count - 3] = 0xFF
      let large = Self.event("l", #""amount":1,"x":""# + String(repeating: "a", count: 1 << 20) + "\"")
      let huge = Self.event("h", #""amount":1,"x":""# + String(repeating: "b", count: 10 << 20) + "\"")
      let deep = Self.event(
        "d", #""amount":1,"x":"# + String(repeating: "[", count: 70) + String(repeating: "]", count: 70))
      let events: [(event: [UInt8]?, reason: String?)] = [
        (good, nil),
        (Array(good.dropLast(5)), "bad_json"), (notUTF8, "not_utf8"), (Array("[1]".utf8), "not_object"),
        (large, "too_large"), (deep, "too_deep"), (Array(#"{"id":"m","amount":1}"#.utf8), "missing_field"),
        (Self.event("t", #""amount":"1""#), "wrong_type"), (Self.event("n", #""amount":-1"#), "constraint_violation"),
        (Self.event("r", #""amount":1,"count":9223372036854775808"#), "number_range"),
        (Self.event("b", #""amount":1,"at":"yesterday""#), "bad_timestamp"),
        (Self.event("k", #""amount":1,"amount":2"#), "duplicate_key"), (nil, "tombstone"), (huge, "too_large"),
        (Self.event("last", #""amount":101"#), nil),
      ]
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      try Data(Self.definition.utf8).write(to: URL(fileURLWithPath: folder + "/bad.yaml"))
      let broker = try TestBroker()
      try broker.createTopic(named: "bad", partitions: 1)
      try TestSite.send(events.map(\.event), to: "bad", partitions: 1, of: broker)
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let outcome = try Program.run([
        "process", "--pipeline", folder + "/bad.yaml", "--brokers", broker.bootstrapServers, "--database", database.url,
        "--until-end", "--json",
      ])
      #expect(outcome.code == 0, "\(outcome.errors)")
      let rejected = events.count { $0.reason != nil }
      #expect(
        outcome.output.contains(#""events":\#(events.count),"accepted":2,"rejected":\#(rejected)"#), "\(outcome.output)"
      )
      #expect(outcome.output.contains(#""unknown_fields":1"#), "\(outcome.output)")
      #expect(try database.alerts(of: "bad") == ["good|large", "last|large"])
      for (offset, event) in events.enumerated() {
        guard let reason = event.reason else { continue }
        let row = try database.text(
          """
          SELECT reason, coalesce(length(payload), -1), coalesce(payload_length, -1) FROM fraud.rejected_events
          WHERE "offset" = \(offset) AND topic = 'bad' AND partition = 0
          """)
        let count = event.event?.count ?? -1
        #expect(row == "\(reason)|\(count)|\(count)")
      }
      // The fence row says the same.
      #expect(
        try database.text("SELECT next_offset, accepted, rejected FROM fraud.partitions")
          == "\(events.count)|2|\(rejected)")

      let shown = try Program.run(["rejected", "list", "--database", database.url, "--limit", "100"])
      let listed = try Program.run(["alerts", "list", "--database", database.url, "--json"])
      let one = try Program.run(["rejected", "show", "bad/0/1", "--database", database.url])
      for text in [outcome.output, outcome.errors, shown.output, listed.output, one.output] {
        #expect(!text.contains(Self.card))
      }
      for table in ["alerts", "rejected_events", "shadow_alerts", "rule_errors", "partitions"] {
        let rows = try database.count(
          "SELECT count(*) FROM fraud.\(table) t WHERE t::text LIKE '%\(Self.card)%'")
        #expect(rows == 0, "a card number in \(table)")
      }
      let hexadecimal = Self.card.utf8.map { String($0, radix: 16) }.joined()
      #expect(
        try database.count(
          "SELECT count(*) FROM fraud.rejected_events WHERE encode(payload, 'hex') LIKE '%\(hexadecimal)%'") == 0)
      #expect(
        try database.count("SELECT count(*) FROM fraud.alerts WHERE transaction_data->>'card' LIKE '453957%1486'") == 2)
    }
  }

  @Test func whatIsMissingIsNamed() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "card-payments", partitions: 1)
      let url = try TestSite.makeDatabase()
      let pipeline = TestSite.pipelines + "/card-payments.yaml"
      let topic = try Program.run([
        "process", "--pipeline", TestSite.pipelines + "/paysim.yaml", "--brokers", broker.bootstrapServers,
        "--database", url,
      ])
      #expect(topic.code == 1)
      #expect(topic.errors.contains("raw-transactions"), "\(topic.errors)")

      let database = try Program.run([
        "process", "--pipeline", pipeline, "--brokers", broker.bootstrapServers, "--database",
        "postgresql:///nobody?host=/tmp/no-such-folder",
      ])
      #expect(database.code == 69)
      #expect(database.errors.contains("no-such-folder"), "\(database.errors)")

      let brokers = try Program.run(["process", "--pipeline", pipeline, "--brokers", "127.0.0.1:9", "--database", url])
      #expect(brokers.code == 69)
      #expect(brokers.errors.contains("127.0.0.1:9"), "\(brokers.errors)")

      let none = try Program.run([
        "process", "--pipeline", pipeline, "--data", "/tmp/no-\(getpid())", "--database", url,
      ])
      #expect(none.code == 69)
      #expect(none.errors.contains("no broker: start one with `fraudctl broker`"), "\(none.errors)")

      let name = try Program.run([
        "process", "--pipeline", "card-paiments", "--brokers", broker.bootstrapServers, "--database", url,
      ])
      #expect(name.code == 65)
    }
  }
}

import Foundation
import FraudKafka
import FraudStore
import Testing

@testable import fraudctl

/// Records that kill whoever takes them, in pipelines of several topics.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct StreamPoisonTests {
  private static let definition = """
    name: poisoned
    kafka_topic: orders
    schema: [{name: id, type: string, nullable: false}, {name: user, type: integer}, {name: at, type: timestamp, unit: s}]
    event_id: id
    event_time: at
    key: user
    streams:
      - name: payments
        kafka_topic: payments
        schema: [{name: user, type: integer}, {name: at, type: timestamp, unit: s}, {name: text, type: string}]
        event_time: at
        key: user
    features: [{name: paid, from: payments, function: count, by: user}]
    rules: [{id: odd, rule_expression: "paid % 2 = 1"}]
    """

  /// In whichever topic it is, and whether decoding it kills or evaluating it in its turn, it is isolated at the third
  /// restart, and all others are as if it had never been.
  @Test(arguments: [("payments", "poison"), ("orders", "poison-evaluated")])
  func aRecordOfAnyTopicIsIsolated(topic: String, kind: String) async throws {
    try await onThread {
      let broker = try DevBroker()
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let pipeline = folder + "/p.yaml"
      try Data(Self.definition.utf8).write(to: URL(fileURLWithPath: pipeline))
      for name in ["orders", "payments"] {
        try broker.createTopic(named: name, partitions: 1)
        let lines = (0..<40).map { number in
          let text = number == 21 && name == topic ? "dreadful" : "fine"
          return
            #"{"id": "\#(number)", "user": \#(number % 3), "at": \#(1_700_000_000 + 2 * number + (name == "orders" ? 1 : 0)), "text": "\#(text)"}"#
        }
        try TestSite.send(lines.map { Array($0.utf8) }, to: name, partitions: 1, of: broker)
        let others = lines.filter { !$0.contains("dreadful") }.joined(separator: "\n")
        try Data(others.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name).ndjson"))
      }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      func start(_ group: String) throws -> Program.Outcome {
        try Program(
          [
            "process", "--pipeline", pipeline, "--brokers", broker.bootstrapServers, "--database", database.url,
            "--group", group, "--until-end", "--stream-wait", "60s",
          ], environment: ["FRAUD_FAILPOINT": "\(kind):dreadful"]
        ).wait()
      }
      try expectIsolation(start)
      let rejected = try database.text(
        #"SELECT topic, "partition", "offset", reason, convert_from(payload, 'UTF8') LIKE '%dreadful%' FROM fraud.rejected_events"#
      )
      #expect(rejected == "\(topic)|0|21|crashed_worker|true")
      let counts = topic == "orders" ? "39|1|40|0" : "40|0|39|1"
      #expect(
        try database.text(
          "SELECT p.accepted, p.rejected, s.accepted, s.rejected FROM fraud.partitions p, fraud.stream_progress s")
          == counts)
      let scored = try Program.run([
        "score", "--pipeline", pipeline, "--input", folder + "/orders.ndjson", "--stream",
        "payments=\(folder)/payments.ndjson",
      ])
      #expect(scored.code == 0, "\(scored.errors)")
      let expected = scored.output.split(separator: "\n").map { line in
        let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return object?["event_id"] as? String ?? ""
      }
      #expect(expected.count > 10)
      let found = try database.text("SELECT event_id FROM fraud.alerts ORDER BY event_id")
      #expect(found == expected.sorted().joined(separator: "\n"))
    }
  }
}

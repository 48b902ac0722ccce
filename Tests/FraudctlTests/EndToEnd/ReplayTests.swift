import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// Archived events go out again as they came; what they alert on is what `score` and `process` say of them.
@Suite(.enabled(if: Program.isBuilt, "needs the built fraudctl"))
struct ReplayTests {
  static let definition = """
    name: cards
    kafka_topic: tx
    schema:
      - {name: id, type: string, nullable: false}
      - {name: user, type: integer, nullable: false}
      - {name: amount, type: float}
      - {name: at, type: timestamp, nullable: false}
    event_id: id
    event_time: at
    key: user
    archive: {raw: RAW, decisions: true}
    features:
      - {name: n, function: count, by: user, window: 1h, include_current: true}
    rules:
      - {id: large, rule_expression: "amount > 900", severity: critical, description: Large}
      - {id: often, rule_expression: "n > 3", severity: info, description: Often}
    """

  static func line(_ index: Int) -> String {
    let time = String(format: "2025-03-01T%02d:%02d:%02dZ", index / 60, index % 60, index % 37)
    return
      "{\"user\":\(index * 7 % 40), \"id\":\"é\(index)\",\"at\":\"\(time)\",\"amount\":\(index * 37 % 1_000),\"x\":1}"
  }

  /// What a topic holds: partition, key, timestamp and value of every record, by partition and offset.
  static func records(_ topic: String, _ broker: TestBroker, partitions: Int, count: Int) throws -> [[String]] {
    var configuration = ConsumerConfiguration(
      connection: KafkaConnection(brokers: broker.bootstrapServers), group: "look-\(UUID().uuidString)")
    if !broker.isReal { configuration.suitDevBroker() }
    let consumer = try KafkaConsumer(configuration)
    defer { consumer.close() }
    try consumer.assign(
      Dictionary(
        uniqueKeysWithValues: (0..<partitions).map { (TopicPartition(topic: topic, partition: Int32($0)), .at(0)) }))
    var records = MessageBatch()
    var found: [[String]] = Array(repeating: [], count: partitions)
    let arrived = try until(60) {
      _ = try consumer.poll(into: &records, timeout: .milliseconds(50))
      for run in records.runs {
        for message in records.messages[run.messages] {
          let value = message.value.map { String(decoding: records.bytes[$0], as: UTF8.self) } ?? "-"
          found[Int(run.partition.partition)].append("\(message.timestampMilliseconds ?? 0) \(value)")
        }
      }
      return found.reduce(0) { $0 + $1.count } >= count
    }
    #expect(arrived)
    return found
  }

  @Test(arguments: [true, false]) func eventsGoOutAgain(raw: Bool) async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let broker = try TestBroker()
      for topic in ["tx", "again"] { try broker.createTopic(named: topic, partitions: 4) }
      let file = folder + "/cards.yaml"
      try Self.definition.replacing("RAW", with: "\(raw)").write(toFile: file, atomically: true, encoding: .utf8)
      let count = 400
      let lines = (0..<count).map { Self.line($0) }
      let common = ["--brokers", broker.bootstrapServers, "--data", folder + "/data"]
      let produced = try Program.run(
        ["produce", "--topic", "tx", "--key", "user", "--timestamp", "at"] + common,
        input: Array((lines.joined(separator: "\n") + "\n").utf8))
      #expect(produced.code == 0, "\(produced.errors)")
      let processed = try Program(
        [
          "process", "--pipeline", file, "--database", TestSite.makeDatabase(), "--archive", folder + "/archive",
          "--until-end",
        ] + common
      ).wait(120)
      #expect(processed.code == 0, "\(processed.errors)")
      let original = try Self.records("tx", broker, partitions: 4, count: count)

      // The decision of every event lies beside it.
      let decided = try Program.run(["archive", "cat", folder + "/archive/fraud_detection"])
      #expect(decided.code == 0 && decided.lines.count == count, "\(decided.errors)")
      #expect(decided.output.contains("\"decision\":\"alert\"") && decided.output.contains("\"pipeline_version\":1"))

      // Interrupted right away, it says where; from there it goes on.
      let arguments = ["replay", "--pipeline", file, "--archive", folder + "/archive", "--topic", "again"] + common
      let slow = try Program(arguments + ["--rate", "40", "--json"])
      #expect(until(60) { (try? Self.records("again", broker, partitions: 4, count: 1).joined().count) ?? 0 >= 1 })
      slow.send(SIGINT)
      let stopped = slow.wait()
      #expect(stopped.code == 130, "\(stopped.errors)")
      let summary = try #require(JSONSerialization.jsonObject(with: Data(stopped.output.utf8)) as? [String: Any])
      #expect(summary["complete"] as? Bool == false && summary["failed"] as? Int == 0)
      let positions = try #require(summary["positions"] as? [[String: Any]])
      let sent = try #require(summary["delivered"] as? Int)
      #expect(sent > 0 && sent < count)
      let rest = try Program.run(
        arguments
          + positions.flatMap { ["--after", "\($0["topic"] ?? ""):\($0["partition"] ?? ""):\($0["offset"] ?? "")"] })
      #expect(rest.code == 0, "\(rest.errors)")
      #expect(rest.errors.contains("\(count - sent) events replayed"), "\(rest.errors)")

      let again = try Self.records("again", broker, partitions: 4, count: count)
      #expect(again.map(\.count) == original.map(\.count))
      if raw {
        #expect(again == original)
      } else {
        // In the order of the schema, without what no field declares.
        let expected = original.map { partition in
          partition.map { record in
            let parts = record.split(separator: " ", maxSplits: 1)
            let event = try? JSONSerialization.jsonObject(with: Data(parts[1].utf8)) as? [String: Any]
            let time = (event?["at"] as? String ?? "").replacing("Z", with: ".000000Z")
            return "\(parts[0]) {\"id\":\"\(event?["id"] ?? "")\",\"user\":\(event?["user"] ?? ""),"
              + "\"amount\":\(event?["amount"] ?? "").0,\"at\":\"\(time)\"}"
          }
        }
        #expect(again == expected)
      }

      // What would alert is what did.
      let backtest = try Program.run([
        "backtest", "--pipeline", file, "--archive", folder + "/archive", "--output", folder + "/alerts.ndjson",
        "--html",
        folder + "/report.html", "--json",
      ])
      #expect(backtest.code == 0, "\(backtest.errors)")
      let report = try #require(JSONSerialization.jsonObject(with: Data(backtest.output.utf8)) as? [String: Any])
      let tried = try #require((report["pipeline"] as? [String: Any])?["summary"] as? [String: Any])
      #expect(tried["events"] as? Int == count)
      let page = try String(contentsOfFile: folder + "/report.html", encoding: .utf8)
      #expect(page.hasPrefix("<!doctype html>") && page.contains("<svg") && !page.contains("<script"))
      #expect(!page.contains("http://") && !page.contains("https://"))
      let scored = try Program.run(
        ["score", "--pipeline", file], input: Array((lines.joined(separator: "\n") + "\n").utf8))
      let alerts = try String(contentsOfFile: folder + "/alerts.ndjson", encoding: .utf8)
      let found = try scoredAlerts(Program.Outcome(code: 0, output: alerts, errors: ""))
      #expect(try !found.isEmpty && found == scoredAlerts(scored))

      for (wrong, code) in [(["--pipeline", "card"], 65), (["--pipeline", file, "--key", "uzer"], 65), ([], 64)] {
        let outcome = try Program.run(["replay", "--archive", folder + "/archive"] + wrong + common)
        #expect(outcome.code == Int32(code), "\(outcome.errors)")
      }
    }
  }
}

import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// What `process` gives to others: alerts in a topic, experiments, current features.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(3)))
struct ProcessOutputTests {
  @Test func alertsReachTheirTopicAndBothArmsAndFeaturesAreKept() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let file = folder + "/p.yaml"
      let text = """
        name: p
        kafka_topic: payments
        alerts_topic: payment-alerts
        aggregations:
          - {name: customers, by: customer, window: 1h, topic: kpis, measures: [{name: n, function: count}, {name: p, function: quantile, of: amount, quantile: 0.5}]}
          - {name: all, window: 1h, measures: [{name: n, function: count}]}
        event_time: {field: at, watermark_delay: 60s, allowed_lateness: 4h}
        online_features: true
        schema:
          - {name: id, type: string, nullable: false}
          - {name: customer, type: integer, nullable: false}
          - {name: amount, type: float, nullable: false}
          - {name: fraud, type: boolean}
          - {name: at, type: timestamp, unit: s, nullable: false}
        event_id: id
        label: fraud
        key: customer
        features: [{name: seen, function: count, by: customer, include_current: true}]
        rules:
          - {id: large, rule_expression: "amount > 900", severity: critical}
          - {id: new, rule_expression: "amount > 700", severity: warning, share: 0.5}
        """
      try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      let broker = try TestBroker()
      try broker.createTopic(named: "payments", partitions: 1)
      for topic in ["payment-alerts", "kpis"] { try broker.createTopic(named: topic, partitions: 1) }
      let lines = (0..<400).map { number in
        Array(
          // Some events come an hour and more late, so that rows are corrected.
          (#"{"id":"e\#(number)","customer":\#(number % 40),"amount":\#(number * 37 % 1_000),"fraud":\#(number % 3 == 0),"#
            + #""at":\#(1_740_800_000 + number * 60 - (number % 9 == 4 ? 5_000 : 0))}"#).utf8)
      }
      try TestSite.send(lines, to: "payments", partitions: 1, of: broker)
      let processed = try Program.run([
        "process", "--pipeline", file, "--brokers", broker.bootstrapServers, "--database", database.url, "--until-end",
        "--json", "--metrics-file", folder + "/p.prom",
      ])
      #expect(processed.code == 0, "\(processed)")
      #expect(processed.output.contains(#""experiments":{"new":{"share":0.5"#), "\(processed.output)")

      // Every alert of the table is in the topic, once, by its customer.
      let ids = try database.text("SELECT alert_id FROM fraud.alerts").split(separator: "\n").map(String.init)
      #expect(ids.count > 60)
      let published = try Self.read("payment-alerts", ids.count, broker)
      #expect(published.map { Self.text($0.value, "alert_id") }.sorted() == ids.sorted(), "\(processed.errors)")
      #expect(published.allSatisfy { Int($0.key ?? "") != nil })
      #expect(try database.count("SELECT count(*) FROM fraud.alert_outbox") == 0)
      #expect(processed.errors.contains("messages published to payment-alerts, kpis"), "\(processed.errors)")

      // So is every row of the aggregation that names a topic, corrections too, by its key and as `score` writes it.
      let rows = try database.text(
        "SELECT key, window_end, revision FROM fraud.aggregates WHERE aggregation = 'customers'"
      )
      .split(separator: "\n")
      let kpis = try Self.read("kpis", rows.count, broker)
      #expect(kpis.count == rows.count && rows.count > 100)
      #expect(kpis.allSatisfy { $0.key?.hasPrefix(#"{"customer":"#) == true })
      #expect(try database.count("SELECT max(revision) FROM fraud.aggregates WHERE aggregation = 'customers'") > 0)
      try Data(lines.joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: folder + "/payments"))
      let scored = try Program.run([
        "score", "--pipeline", file, "--input", folder + "/payments", "--input-format", "ndjson", "--emit", "none",
        "--aggregations", "-",
      ])
      // `score` also writes the windows that are still open when the file ends.
      let written = Set(scored.output.split(separator: "\n").map(String.init))
      #expect(Set(kpis.map(\.value)).isSubset(of: written), "\(kpis.first?.value ?? "") \(written.first ?? "")")

      // Customers of the control arm are never alerted on by the new rule.
      let alerted = try database.text(
        "SELECT DISTINCT transaction_data ->> 'customer' FROM fraud.alerts WHERE rule_id = 'new'")
      for customer in alerted.split(separator: "\n") {
        #expect(Experiment.isTreated(rule: "new", key: String(customer), share: 5_000))
      }
      let arms = try Program.run(["pipeline", "compare", "p", "--database", database.url, "--json"])
      let object = try JSONSerialization.jsonObject(with: Data(arms.output.utf8)) as? [String: Any]
      let (treated, control) = (object?["treated"] as? [String: Any], object?["control"] as? [String: Any])
      #expect((treated?["events"] as? Int ?? 0) + (control?["events"] as? Int ?? 0) == 400, "\(arms)")
      #expect((treated?["alert_rate_interval"] as? [Double])?.count == 2, "\(arms)")
      let table = try Program.run(["pipeline", "compare", "1", "--database", database.url])
      #expect(table.output.contains("in force") && table.output.contains("PRECISION"), "\(table)")

      let status = try Program.run(["status", "--database", database.url, "--json"])
      #expect(status.output.contains(#""state_bytes":"#) && !status.output.contains(#""state_bytes":0"#), "\(status)")
      #expect(status.output.contains(#""owner":null"#) && status.output.contains(#""commit_ms_p50":null"#), "\(status)")
      let metrics = try String(contentsOfFile: folder + "/p.prom", encoding: .utf8)
      for name in ["fraud_last_commit_age_seconds", "fraud_memory_bytes"] {
        #expect(metrics.contains("\(name){pipeline=\"p\"} "), "\(metrics)")
      }
      #expect(try database.count("SELECT count(*) FROM fraud.processes") == 0)

      let features = try Program.run(["features", "show", "7", "--database", database.url, "--json"])
      #expect(features.output.contains(#""features" : {"seen": 10}"#), "\(features)")
      #expect(features.output.contains(#""offset" : 367"#), "\(features)")
      #expect(try database.count("SELECT count(*) FROM fraud.online_features") == 40)
      #expect(try Program.run(["features", "show", "99", "--database", database.url]).code == 1)
    }
  }

  static func text(_ line: String, _ key: String) -> String {
    let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    return object?[key] as? String ?? ""
  }

  @Test func aTopicOfAlertsIsFollowedWhileItRuns() async throws {
    try await onThread {
      let site = try AlertsSite(topics: ["first", "second"])
      defer { site.remove() }
      try site.apply(alertsTopic: nil)
      let run = try site.process("one")
      try site.send(0..<10)
      #expect(try site.isSettled(10, or: run), "\(run.errors)")
      for (number, topic) in ["first", "second"].enumerated() {
        try site.apply(alertsTopic: topic)
        #expect(until(60) { run.errors.contains("p: version \(number + 2) in force") }, "\(run.errors)")
        try site.send((number + 1) * 10..<(number + 2) * 10)
        #expect(try site.isSettled((number + 2) * 10, or: run), "\(run.errors)")
      }
      run.send(SIGTERM)
      #expect(run.wait().code == 0, "\(run.errors)")
      for (topic, version) in [("first", 2), ("second", 3)] {
        let kept = try site.kept(version: version)
        #expect(kept.count == 10)
        #expect(try site.published(topic, 10) == kept)
      }
    }
  }

  /// Kafka's own isolation and fencing, which the dev broker has not: whatever relay died in its transaction or woke late,
  /// a reader of what is committed sees each alert once.
  @Test(.enabled(if: TestBroker.isCluster, "KAFKA_BOOTSTRAP_SERVERS names no cluster"))
  func killedAndWokenRelaysPublishEachAlertOnce() async throws {
    try await onThread {
      let site = try AlertsSite(topics: ["relayed"])
      defer { site.remove() }
      try site.apply(alertsTopic: "relayed")
      let count = 20_000
      try site.send(0..<count)
      var random = SystemRandomNumberGenerator()
      for attempt in 0..<6 {
        let before = try site.alertCount
        let run = try site.process("kill-\(attempt)", "--commit-events", "200")
        #expect(try until(90) { try !run.isRunning || site.alertCount > before || before == count }, "\(run.errors)")
        usleep(UInt32.random(in: 0..<300_000, using: &random))
        run.send(SIGKILL)
        _ = run.wait()
      }
      // One that sleeps in the midst of it while another goes on, and wakes.
      let sleeper = try site.process("sleeper", "--commit-events", "200")
      usleep(UInt32.random(in: 3_500_000..<5_000_000, using: &random))
      sleeper.send(SIGSTOP)
      let last = try site.process("last", "--commit-events", "200", "--until-end").wait()
      sleeper.send(SIGCONT)
      #expect(last.code == 0, "\(last.errors)")
      sleeper.send(SIGTERM)
      _ = sleeper.wait()
      let kept = try site.kept(version: 1)
      #expect(kept.count == count)
      #expect(try site.published("relayed", count) == kept)
      #expect(try site.database.count("SELECT count(*) FROM fraud.alert_outbox") == 0)
    }
  }

  static func read(
    _ topic: String, _ count: Int, _ broker: some TestAddress
  ) throws -> [(value: String, key: String?)] {
    var configuration = ConsumerConfiguration(
      connection: KafkaConnection(brokers: broker.bootstrapServers), group: "reader")
    if !broker.isReal { configuration.suitDevBroker() }
    let consumer = try KafkaConsumer(configuration)
    defer { consumer.close() }
    try consumer.assign([TopicPartition(topic: topic, partition: 0): .beginning])
    var found: [(value: String, key: String?)] = []
    var batch = MessageBatch()
    var isAtEnd = false
    let deadline = ContinuousClock.now + .seconds(60)
    while !isAtEnd || found.count < count, ContinuousClock.now < deadline {
      if case .reachedEnd = try consumer.poll(into: &batch, timeout: .milliseconds(100)) { isAtEnd = true }
      for message in batch.messages {
        guard let value = message.value else { continue }
        let key = message.key.map { String(decoding: batch.bytes[$0], as: UTF8.self) }
        found.append((String(decoding: batch.bytes[value], as: UTF8.self), key))
      }
    }
    return found
  }
}

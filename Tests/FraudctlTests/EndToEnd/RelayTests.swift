import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// A version that names another topic of alerts, and a process that dies at the steps of the relay there: each alert is once in
/// the topic of the version that decided it.
///
/// The dev broker has no transactions, so it dies between them.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct RelayTests {
  static let steps = [
    "relay-owned:2", "relay-switched:1", "relay-begun:2", "relay-delivered:1", "relay-delivered:2", "switch:1",
  ]

  @Test func aCrashAtTheSwitchOfTheAlertsTopicDoublesNothing() async throws {
    try await onThread {
      let found = problems(of: Self.steps, width: 3) { step in try Self.problem(killedAt: step) }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  private static func problem(killedAt step: String) throws -> String? {
    let folder = try TestSite.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let database = TestDatabase(url: try TestSite.makeDatabase())
    _ = try Program.run(["database", "migrate", "--database", database.url])
    func apply(_ topic: String) throws {
      let text = """
        name: p
        kafka_topic: payments
        alerts_topic: \(topic)
        schema: [{name: id, type: string, nullable: false}, {name: amount, type: float, nullable: false}]
        event_id: id
        rules: [{id: every, rule_expression: "amount > 0"}]
        """
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/p.yaml"))
      let applied = try Program.run(["pipeline", "apply", folder + "/p.yaml", "--database", database.url])
      #expect(applied.code == 0, "\(applied)")
    }
    let broker = try DevBroker()
    for topic in ["payments", "first", "second"] { try broker.createTopic(named: topic, partitions: 1) }
    func send(_ ids: Range<Int>) throws {
      try TestSite.send(
        ids.map { Array(#"{"id": "\#($0)", "amount": 5}"#.utf8) }, to: "payments", partitions: 1, of: broker)
    }
    func start(_ failpoint: String? = nil) throws -> Program {
      try Program(
        [
          "process", "--pipeline", "p", "--brokers", broker.bootstrapServers, "--database", database.url, "--group",
          UUID().uuidString,
        ], environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:])
    }
    func settled(_ count: Int, or run: Program) throws -> Bool {
      try until(120) {
        try !run.isRunning
          || database.count("SELECT count(*) FROM fraud.alerts") == count
            && database.count("SELECT count(*) FROM fraud.alert_outbox") == 0
      }
    }
    try apply("first")
    try send(0..<10)
    let killed = try start(step)
    guard try settled(10, or: killed) else { return "nothing came: \(killed.errors)" }
    try apply("second")
    try send(10..<20)
    let outcome = killed.wait(120)
    guard outcome.code == -SIGKILL, outcome.errors.contains("partitions 0") else { return "not killed: \(outcome)" }
    let next = try start()
    guard until(120, { !next.isRunning || next.errors.contains("partitions 0") }) else { return "\(next.errors)" }
    try send(20..<30)
    guard try settled(30, or: next) else { return "not all: \(next.errors)" }
    next.send(SIGTERM)
    let ended = next.wait(60)
    guard ended.code == 0 else { return "\(ended)" }
    for (topic, version) in [("first", 1), ("second", 2)] {
      let ids = try database.text("SELECT alert_id FROM fraud.alerts WHERE pipeline_version = \(version)")
        .split(separator: "\n").map(String.init)
      let published = try ProcessOutputTests.read(topic, ids.count, broker).map { message in
        let object = try? JSONSerialization.jsonObject(with: Data(message.value.utf8)) as? [String: Any]
        return object?["alert_id"] as? String ?? "?"
      }
      guard ids.count >= 10, published.sorted() == ids.sorted() else {
        return "\(topic) has \(published.count) alerts, \(ids.count) are of version \(version)"
      }
    }
    return nil
  }
}

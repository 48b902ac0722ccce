import Foundation
import TestBrokers
import Testing

@testable import fraudctl

/// A pipeline of one partition each of whose events is an alert, with the topics that its alerts may go to; names of its own,
/// so that several may be in one cluster.
struct AlertsSite {
  let folder: String
  let database: TestDatabase
  let broker: TestBroker
  private let suffix = UUID().uuidString

  /// - Parameter topics: those of alerts.
  init(topics: [String]) throws {
    folder = try TestSite.makeFolder()
    database = TestDatabase(url: try TestSite.makeDatabase())
    _ = try Program.run(["database", "migrate", "--database", database.url])
    broker = try TestBroker()
    // The relay keeps its progress beside the alerts.
    for name in ["payments"].map(topic) + topics.flatMap({ [topic($0), topic($0) + "-progress"] }) {
      try broker.createTopic(named: name, partitions: 1)
    }
  }

  func remove() { try? FileManager.default.removeItem(atPath: folder) }

  func topic(_ name: String) -> String { "\(name)-\(suffix)" }

  /// Applies the next version, whose alerts go to a topic or to none.
  func apply(alertsTopic: String?) throws {
    let text = """
      name: p
      kafka_topic: \(topic("payments"))
      \(alertsTopic.map { "alerts_topic: \(topic($0))" } ?? "")
      schema: [{name: id, type: string, nullable: false}, {name: amount, type: float, nullable: false}]
      event_id: id
      rules: [{id: every, rule_expression: "amount > 0"}]
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/p.yaml"))
    let applied = try Program.run(["pipeline", "apply", folder + "/p.yaml", "--database", database.url])
    #expect(applied.code == 0, "\(applied)")
  }

  func send(_ ids: Range<Int>) throws {
    try TestSite.send(
      ids.map { Array(#"{"id": "\#($0)", "amount": 5}"#.utf8) }, to: topic("payments"), partitions: 1, of: broker)
  }

  func process(_ group: String, failpoint: String? = nil, _ more: String...) throws -> Program {
    try Program(
      [
        "process", "--pipeline", "p", "--brokers", broker.bootstrapServers, "--database", database.url, "--group",
        broker.group(group),
      ] + more, environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:])
  }

  var alertCount: Int { get throws { try database.count("SELECT count(*) FROM fraud.alerts") } }

  /// Waits until so many alerts are kept and none waits to be published.
  func isSettled(_ count: Int, or run: Program) throws -> Bool {
    try until(120) {
      try !run.isRunning
        || alertCount == count && database.count("SELECT count(*) FROM fraud.alert_outbox") == 0
    } && run.isRunning
  }

  /// The identifiers of a version's alerts.
  func kept(version: Int) throws -> [String] {
    try database.text("SELECT alert_id FROM fraud.alerts WHERE pipeline_version = \(version)").split(separator: "\n")
      .map(String.init).sorted()
  }

  /// The identifiers of the alerts in a topic, of which there should be so many.
  func published(_ name: String, _ count: Int) throws -> [String] {
    try ProcessOutputTests.read(topic(name), count, broker).map { ProcessOutputTests.text($0.value, "alert_id") }
      .sorted()
  }
}

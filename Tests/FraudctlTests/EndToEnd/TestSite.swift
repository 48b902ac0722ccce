import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization
import TestBrokers
import Testing

@testable import fraudctl

/// A private PostgreSQL server for this test process, stopped and removed when it ends. Each test has a database of its own.
enum TestSite {
  private static let directory = "/tmp/fraudctl-tests-\(getpid())"
  private static let made = Mutex(0)

  private static let server: Result<EmbeddedPostgres, StoreError> = {
    atexit {
      EmbeddedPostgres.releaseAll()
      try? EmbeddedPostgres.remove(dataDirectory: TestSite.directory)
      try? FileManager.default.removeItem(atPath: TestSite.directory)
    }
    do throws(StoreError) {
      return .success(try EmbeddedPostgres.acquire(dataDirectory: directory))
    } catch {
      return .failure(error)
    }
  }()

  /// The URL of a new, empty database.
  ///
  /// - Parameter original: the URL of one that it is a copy of, which nobody is connected to.
  static func makeDatabase(copyOf original: String? = nil) throws -> String {
    let url = try server.get().address.secretText
    let name = made.withLock { made in
      made += 1
      return "test_\(made)"
    }
    var connection = try PostgresConnection(PostgresAddress(url.replacing("/fraud?", with: "/postgres?")))
    let template = original.map { " TEMPLATE " + ($0.split(separator: "?")[0].split(separator: "/").last ?? "") } ?? ""
    try connection.execute("CREATE DATABASE \(name)\(template)")
    return url.replacing("/fraud?", with: "/\(name)?")
  }

  /// A new folder, to be removed by whoever asked.
  static func makeFolder() throws -> String {
    let folder = FileManager.default.temporaryDirectory.appending(path: "fraudctl-site-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }

  /// The checkout, where the examples are.
  static let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
  static let pipelines = checkout + "/Examples/Pipelines"

  /// The first card transactions of the sample that ships with the package, as NDJSON.
  static func cardPayments(_ count: Int) throws -> [[UInt8]] {
    let schema = try LoadedPipeline(file: pipelines + "/card-payments.yaml").pipeline.definition.schema
    let input = try MessageInput(path: checkout + "/Examples/Data/sparkov.csv.zst", schema: schema)
    var lines: [[UInt8]] = []
    var problem: String?
    while lines.count < count {
      var line: [UInt8] = []
      guard try input.next(into: &line, problem: &problem) else { break }
      lines.append(line)
    }
    return lines
  }

  /// Sends lines to a topic of a broker in this process, spread over its partitions.
  static func send(_ lines: [[UInt8]?], to topic: String, partitions: Int, of broker: some TestAddress) throws {
    let producer = try KafkaProducer(
      ProducerConfiguration(connection: KafkaConnection(brokers: broker.bootstrapServers)))
    for (index, line) in lines.enumerated() {
      let partition = Int32(index % partitions)
      if let line {
        try producer.send(to: topic, key: nil, value: line.span, partition: partition)
      } else {
        try producer.send(to: topic, key: nil, value: nil, partition: partition)
      }
    }
    _ = try producer.flush(timeout: .seconds(20))
    precondition(producer.report.failed == 0 && producer.report.delivered == lines.count, "\(producer.report)")
  }
}

/// Looks at a database.
struct TestDatabase {
  let url: String

  /// One value as text; of several rows one a line, of several columns with `|` between.
  func text(_ sql: String) throws -> String {
    var connection = try PostgresConnection(PostgresAddress(url))
    let rows = try connection.query(
      """
      SELECT coalesce(string_agg(t.x, E'\n' ORDER BY t.x), '') FROM (
        SELECT (SELECT string_agg(value, '|' ORDER BY ordinality) FROM json_each_text(row_to_json(q)) WITH ORDINALITY) AS x
        FROM (\(sql)) q) t
      """)
    return try rows.text(0, 0) ?? ""
  }

  func count(_ sql: String) throws -> Int { try Int(text(sql)) ?? -1 }

  /// Everything that processing left, without clocks and owners.
  func results() throws -> String {
    try ["alerts", "shadow_alerts"].map { table in
      try text(
        """
        SELECT alert_id, pipeline, pipeline_version, event_id, event_time, rule_id, severity, score, risk_level, reasons,
          topic, partition, "offset", transaction_data FROM fraud.\(table)
        """)
    }.joined(separator: "\n--\n")
      + text(
        """
        SELECT topic, partition, "offset", reason, detail, field, encode(payload, 'hex') FROM fraud.rejected_events
        """)
      + text(
        """
        SELECT topic, partition, start_offset, next_offset, max_event_time, accepted, rejected, late, unknown_fields,
          decisions, alerts, positives FROM fraud.partitions
        """)
  }

  /// The alerts of a pipeline as event and rule, one a line.
  func alerts(of pipeline: String) throws -> Set<String> {
    try Set(
      text("SELECT event_id, rule_id FROM fraud.alerts WHERE pipeline = '\(pipeline)'").split(separator: "\n")
        .map(String.init))
  }
}

/// A record kills three owners, and the fourth goes to the end without it.
///
/// - Parameter start: runs a process in a group of that name.
func expectIsolation(_ start: (_ group: String) throws -> Program.Outcome) rethrows {
  for crash in 0..<3 {
    let outcome = try start("crash-\(crash)")
    #expect(outcome.code == -SIGKILL, "\(outcome.errors)")
  }
  let outcome = try start("third restart")
  #expect(outcome.code == 0, "\(outcome.errors)")
}

/// The event and rule of every alert that `score` wrote.
func scoredAlerts(_ output: Program.Outcome) throws -> Set<String> {
  try Set(
    output.lines.map { line in
      guard let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] else { return "?" }
      return "\(object["event_id"] ?? "")|\(object["rule_id"] ?? "")"
    })
}

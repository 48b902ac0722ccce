import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization
import TestBrokers
import Testing

/// Killed at each step of its files' way to the disk, through compactions that are killed, too, and while somebody reads,
/// the archive never shows an event twice or leaves one out, and ends up as if nothing had happened.
///
/// `FRAUD_ARCHIVE_KILLS=100` kills it at that many random moments besides, for whom it may take longer.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct ArchiveKillTests {
  static let partitions = 2
  static let definition = """
    name: cards
    kafka_topic: tx
    schema:
      - {name: id, type: integer, nullable: false}
      - {name: user, type: integer, nullable: false}
      - {name: amount, type: float}
    event_id: id
    archive: {raw: true, decisions: true}
    features:
      - {name: n, function: count, by: user, scope: partition, include_current: true}
    aggregations:
      - {name: users, by: user, window: 1h, measures: [{name: events, function: count}]}
    event_time: at
    rules:
      - {id: large, rule_expression: "amount > 900 OR n % 9 = 0", severity: critical, description: Large}
    """.replacing("  - {name: amount,", with: "  - {name: at, type: timestamp, nullable: false}\n  - {name: amount,")

  /// Partitions of ten hours, with events that are rejected and tombstones between.
  struct Topic {
    let broker: TestBroker
    /// The accepted events of each partition by offset.
    let accepted: [[(offset: Int64, text: String)]]

    init() throws {
      broker = try TestBroker()
      try broker.createTopic(named: "tx", partitions: ArchiveKillTests.partitions)
      let producer = try KafkaProducer(
        ProducerConfiguration(connection: KafkaConnection(brokers: broker.bootstrapServers)))
      var accepted: [[(offset: Int64, text: String)]] = []
      for partition in 0..<ArchiveKillTests.partitions {
        accepted.append([])
        for index in 0..<300 {
          let time = String(format: "2025-03-01T%02d:%02d:00Z", 16 + index / 40, index % 40)
          let event = #"{"id":\#(index), "user":\#(index * 7 % 11),"at":"\#(time)","amount":\#(index * 37 % 1_000)}"#
          let value: String? = index % 53 == 8 ? nil : index % 53 == 7 ? "{\"id\":" : event
          let timestamp = 1_740_844_800_000 + Int64(index / 40 * 60 + index % 40) * 60_000
          if let bytes = value.map({ Array($0.utf8) }) {
            try producer.send(
              to: "tx", key: nil, value: bytes.span, partition: Int32(partition), timestampMilliseconds: timestamp)
          } else {
            try producer.send(
              to: "tx", key: nil, value: nil, partition: Int32(partition), timestampMilliseconds: timestamp)
          }
          if value == event { accepted[partition].append((Int64(index), event)) }
        }
      }
      _ = try producer.flush(timeout: .seconds(60))
      try #require(producer.report.failed == 0)
      self.accepted = accepted
    }
  }

  /// Looks at an archive over and over: at any moment each partition is what its topic begins with, and never shrinks.
  final class Reader: Sendable {
    private struct Findings {
      var problem: String?
      var rounds = 0
    }

    private let findings = Mutex(Findings())
    private let isStopping = Atomic<Bool>(false)
    private let isFinished = Atomic<Bool>(false)

    init(_ root: String, expected: [[Int64]]) {
      Thread { [self] in
        var counts = expected.map { _ in 0 }
        while !isStopping.load(ordering: .relaxed) {
          var problem: String?
          do {
            let offsets = try ArchiveKillTests.offsets(root)
            for (partition, offsets) in offsets.enumerated() {
              if offsets != Array(expected[partition].prefix(offsets.count)) || offsets.count < counts[partition] {
                problem = "partition \(partition) after \(counts[partition]) events: \(offsets)"
              }
              counts[partition] = offsets.count
            }
          } catch {
            problem = "\(error)"
          }
          findings.withLock {
            $0.rounds += 1
            $0.problem = $0.problem ?? problem
          }
          usleep(2_000)
        }
        isFinished.store(true, ordering: .releasing)
      }.start()
    }

    /// What it saw that must not be, if anything.
    func stop() -> (problem: String?, rounds: Int) {
      isStopping.store(true, ordering: .relaxed)
      _ = until(60) { isFinished.load(ordering: .acquiring) }
      return findings.withLock { ($0.problem, $0.rounds) }
    }
  }

  /// The offsets of each partition as a reader of the archive gets them.
  static func offsets(_ root: String) throws -> [[Int64]] {
    let directory = ArchiveDirectory(root: root)
    let schema = Schema(fields: [Field(name: "id", type: .integer)])
    var offsets: [[Int64]] = Array(repeating: [], count: partitions)
    for files in try directory.partitions(ofPipeline: "cards") {
      var reader = ArchivePartitionReader(
        directory, files: files, schema: schema, layout: ColumnLayout(schema: schema))
      while try reader.next() {
        offsets[Int(reader.batch.source.partition)] += reader.batch.positions.map(\.offset)
      }
    }
    return offsets
  }

  /// Rows of a set beside the events, less what depends on how files were read in pieces.
  static func rows(_ root: String, _ set: String, without columns: [String]) throws -> [String] {
    let printed = try Program.run(["archive", "cat", "\(root)/\(set)"])
    #expect(printed.code == 0, "\(printed.errors)")
    return try printed.lines.map { line in
      var row = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] ?? [:]
      for column in columns { row[column] = nil }
      return String(decoding: try JSONSerialization.data(withJSONObject: row, options: .sortedKeys), as: UTF8.self)
    }.sorted()
  }

  @Test func killedAtAnyStepItHoldsEachEventOnce() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let file = folder + "/cards.yaml"
      try Self.definition.write(toFile: file, atomically: true, encoding: .utf8)
      let topic = try Topic()
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      func process(_ root: String, group: String, failpoint: String? = nil) throws -> Program {
        try Program(
          [
            "process", "--pipeline", file, "--brokers", topic.broker.bootstrapServers, "--database", database.url,
            "--group", topic.broker.group(group), "--archive", root, "--until-end",
          ], environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:])
      }
      func compact(_ root: String, failpoint: String? = nil) throws -> Program.Outcome {
        try Program(
          ["archive", "compact", "--archive", root], environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:]
        ).wait()
      }
      let root = folder + "/killed"
      let reader = Reader(root, expected: topic.accepted.map { $0.map(\.offset) })
      let steps = ["begun:4", "written:5", "synced:6", "visible:5", "durable:4"]
      for (number, step) in steps.enumerated() {
        let killed = try process(root, group: "kill-\(number)", failpoint: "archive-\(step)").wait()
        #expect(killed.code == -SIGKILL, "\(step): \(killed.errors)")
        switch number {
        case 1: #expect(try compact(root, failpoint: "archive-synced:1").code == -SIGKILL)
        case 2: #expect(try compact(root, failpoint: "archive-visible:1").code == -SIGKILL)
        case 3: #expect(try compact(root, failpoint: "archive-moved:1").code == -SIGKILL)
        default: break
        }
      }
      // And at random moments, with compactions beside it.
      var random = SystemRandomNumberGenerator()
      for moment in 0..<(Int(ProcessInfo.processInfo.environment["FRAUD_ARCHIVE_KILLS"] ?? "") ?? 1) {
        let run = try process(root, group: "moment-\(moment)")
        let before = try ArchiveDirectory(root: root).files()
        _ = try until(60) { try !run.isRunning || ArchiveDirectory(root: root).files() != before }
        let beside = try compact(root)
        #expect(beside.code == 0, "\(beside.errors)")
        usleep(.random(in: 0...30_000, using: &random))
        run.send(SIGKILL)
        _ = run.wait()
      }

      let last = try process(root, group: "last").wait()
      #expect(last.code == 0, "\(last.errors)")
      let (problem, rounds) = reader.stop()
      #expect(problem == nil)
      #expect(rounds > 10)
      try Self.check(root, topic, folder)
      #expect(try compact(root).code == 0)
      try Self.check(root, topic, folder)

      let clean = folder + "/clean"
      let undisturbed = try process(clean, group: "clean").wait()
      #expect(undisturbed.code == 0, "\(undisturbed.errors)")
      try Self.check(clean, topic, folder)
      // Rows of aggregations have the place of the last event of the batch in which they became due.
      let place = ["_kafka_offset", "_kafka_timestamp"]
      for (set, columns) in [("fraud_detection", []), ("aggregations", place)] {
        let rows = try Self.rows(root, set, without: columns)
        #expect(try rows == Self.rows(clean, set, without: columns) && rows.count > 50, "\(set): \(rows.count)")
      }
    }
  }

  /// Every accepted event of the topic, once and with its own bytes: by our own verification, and as others read it.
  static func check(_ root: String, _ topic: Topic, _ folder: String) throws {
    let verified = try Program.run(["archive", "verify", "--archive", root, "--json"])
    let count = topic.accepted.joined().count
    #expect(verified.code == 0 && verified.output.contains(#""events":\#(count),"problems":[]"#), "\(verified.output)")
    let expected = topic.accepted.enumerated().flatMap { partition, events in
      events.map { "tx \(partition) \($0.offset) \($0.text)" }
    }.sorted()
    let printed = try rows(root, "raw_transactions", without: [])
    let texts = try printed.map { row in
      let object = try JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any] ?? [:]
      return "\(object["_kafka_topic"] ?? "") \(object["_kafka_partition"] ?? "") \(object["_kafka_offset"] ?? "") "
        + "\(object["_raw"] ?? "")"
    }.sorted()
    #expect(texts == expected)
    guard let python = ProcessInfo.processInfo.environment["FRAUD_PYTHON"],
      FileManager.default.isExecutableFile(atPath: python)
    else {
      print("skipped: no Python with DuckDB and pyarrow; set FRAUD_PYTHON")
      return
    }
    try Data((expected.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: folder + "/expected.txt"))
    let script = Process()
    script.executableURL = URL(filePath: python)
    script.arguments = [TestSite.checkout + "/Scripts/archive-peers.py", root, folder + "/expected.txt"]
    let errors = Pipe()
    script.standardError = errors
    try script.run()
    let message = errors.fileHandleForReading.readDataToEndOfFile()
    script.waitUntilExit()
    #expect(script.terminationStatus == 0, "\(String(decoding: message.suffix(2_000), as: UTF8.self))")
  }
}

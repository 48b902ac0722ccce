import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Testing

/// A pipeline gains fields while `process --archive` runs, and dies near each switch: its archive has files of each schema, and
/// whoever reads them together sees each event once, with the fields that its version knew.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct ArchiveSchemaTests {
  static let fields = ["country", "device"]

  @Test func eachEventIsReadOnceWithItsFields() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let root = folder + "/archive"
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      /// The version with the first of the new fields.
      func apply(_ count: Int) throws {
        let more = Self.fields.prefix(count).map { "  - {name: \($0), type: string}\n" }.joined()
        let rules = Self.fields.prefix(count).map {
          #"  - {id: \#($0), rule_expression: "\#($0) LIKE '%3'", severity: info, description: New}"# + "\n"
        }.joined()
        let text = ArchiveKillTests.definition.replacing("event_id: id", with: more + "event_id: id") + "\n" + rules
        try text.write(toFile: folder + "/cards-\(count).yaml", atomically: true, encoding: .utf8)
        let applied = try Program.run([
          "pipeline", "apply", folder + "/cards-\(count).yaml", "--database", database.url,
        ])
        #expect(applied.code == 0, "\(applied)")
      }
      let broker = try DevBroker()
      try broker.createTopic(named: "tx", partitions: 2)
      let producer = try KafkaProducer(
        ProducerConfiguration(connection: KafkaConnection(brokers: broker.bootstrapServers)))
      /// Events of some hours; all have all fields, whatever the version in force knows of them.
      func send(hours: Range<Int>) throws {
        for index in hours.lowerBound * 20..<hours.upperBound * 20 {
          let seconds = 1_740_844_800 + Int64(index / 20 * 3_600 + index % 20 * 60)
          let time = String(format: "2025-03-01T%02d:%02d:00Z", 16 + index / 20, index % 20)
          let event =
            #"{"id":\#(index),"user":\#(index * 7 % 11),"at":"\#(time)","amount":\#(index * 37 % 1_000),"#
            + #""country":"c\#(index)","device":"d\#(index)"}"#
          try producer.send(
            to: "tx", key: nil, value: Array(event.utf8).span, partition: Int32(index % 2),
            timestampMilliseconds: seconds * 1_000)
        }
        _ = try producer.flush(timeout: .seconds(60))
      }
      func start(_ environment: [String: String] = [:], _ more: [String] = []) throws -> Program {
        try Program(
          [
            "process", "--pipeline", "cards", "--brokers", broker.bootstrapServers, "--database", database.url,
            "--group", UUID().uuidString, "--archive", root,
          ] + more, environment: environment)
      }
      func files() throws -> Int { try ArchiveDirectory(root: root).files().count }
      func decided(_ count: Int, by run: Program) throws {
        #expect(
          try until(120) { try database.count("SELECT coalesce(sum(accepted), 0) FROM fraud.partitions") == count },
          "\(run.errors)")
      }

      // Killed in the switch itself.
      try apply(0)
      try send(hours: 0..<3)
      let first = try start(["FRAUD_FAILPOINT": "switch:1"])
      try decided(60, by: first)
      #expect(try until(120) { try files() == 4 }, "\(first.errors)")
      try apply(1)
      #expect(first.wait().code == -SIGKILL, "\(first.errors)")
      // Killed when it has just taken the version over, while the archive does.
      let second = try start()
      #expect(until(120) { second.errors.contains("cards: partitions ") }, "\(second.errors)")
      try send(hours: 3..<5)
      try decided(100, by: second)
      #expect(try until(120) { try files() >= 8 }, "\(second.errors)")
      try apply(2)
      #expect(until(120) { second.errors.contains("version 3 in force") }, "\(second.errors)")
      second.send(SIGKILL)
      _ = second.wait()
      // Killed while the first file of the newest schema goes to the disk.
      try send(hours: 5..<7)
      let third = try start(["FRAUD_FAILPOINT": "archive-visible:3"])
      #expect(third.wait().code == -SIGKILL, "\(third.errors)")
      let last = try start([:], ["--until-end"]).wait()
      #expect(last.code == 0, "\(last)")

      let verified = try Program.run(["archive", "verify", "--archive", root, "--json"])
      #expect(verified.code == 0 && verified.output.contains(#""events":140,"problems":[]"#), "\(verified)")
      var known: [Set<String>] = []
      for file in try ArchiveDirectory(root: root).files() {
        let columns = Set(try ParquetFile(path: "\(root)/\(file.path)").columns.map(\.name))
        known.append(columns.intersection(Self.fields))
      }
      #expect(Set(known).count == 3, "\(known)")

      // Each event, with the new fields that its file has; what came after a version was in force has its fields.
      var expected: [String] = []
      for (number, values) in try Self.rows(root).enumerated() {
        let (id, country, device) = values
        #expect(id == number)
        #expect(country == "c\(id)" || country == nil && id < 60, "\(values)")
        #expect(device == "d\(id)" || device == nil && id < 100, "\(values)")
        #expect(id < 100 || country != nil && device != nil)
        func text(_ value: String?) -> String { value.map { "\"\($0)\"" } ?? "null" }
        expected.append("[\(id), \(text(country)), \(text(device))]")
      }
      #expect(expected.count == 140)

      // `score` by the newest version sees what the files hold.
      let scored = try Program.run([
        "score", "--pipeline", folder + "/cards-2.yaml", "--input", root + "/raw_transactions", "--emit", "decisions",
        "--summary", folder + "/summary",
      ])
      #expect(scored.code == 0, "\(scored.errors)")
      let decisions = try scored.lines.map { line in
        try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] ?? [:]
      }
      let ids = decisions.compactMap { Int("\($0["event_id"] ?? "")") }
      #expect(ids.sorted() == Array(0..<140))
      for (field, index) in [("country", 1), ("device", 2)] {
        let found = decisions.filter { ($0["rules"] as? [String])?.contains(field) == true }
          .compactMap { Int("\($0["event_id"] ?? "")") }
        let wanted = expected.indices.filter { number in
          number % 10 == 3 && !expected[number].split(separator: ", ")[index].hasPrefix("null")
        }
        #expect(found.sorted() == wanted, "\(field)")
        #expect(!wanted.isEmpty)
      }

      guard let python = ProcessInfo.processInfo.environment["FRAUD_PYTHON"],
        FileManager.default.isExecutableFile(atPath: python)
      else {
        print("skipped: no Python with DuckDB and pyarrow; set FRAUD_PYTHON")
        return
      }
      let script = Process()
      script.executableURL = URL(filePath: python)
      script.arguments = [TestSite.checkout + "/Scripts/archive-schemas.py", root, "id"] + Self.fields
      let output = Pipe()
      script.standardOutput = output
      try script.run()
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      script.waitUntilExit()
      #expect(script.terminationStatus == 0)
      #expect(text.split(separator: "\n").map(String.init) == expected.sorted())
    }
  }

  /// Every event's id and new fields as our own reader has them from all files together.
  private static func rows(_ root: String) throws -> [(id: Int, country: String?, device: String?)] {
    let directory = ArchiveDirectory(root: root)
    let schema = Schema(
      fields: [Field(name: "id", type: .integer)] + fields.map { Field(name: $0, type: .string) })
    var rows: [(id: Int, country: String?, device: String?)] = []
    for files in try directory.partitions(ofPipeline: "cards") {
      var reader = ArchivePartitionReader(
        directory, files: files, schema: schema, layout: ColumnLayout(schema: schema))
      while try reader.next() {
        for row in 0..<reader.batch.rowCount {
          func text(_ column: Int) -> String? {
            if case .string(let text)? = reader.batch.value(column: column, row: row) { text } else { nil }
          }
          guard case .integer(let id)? = reader.batch.value(column: 0, row: row) else { continue }
          rows.append((Int(id), text(1), text(2)))
        }
      }
    }
    return rows.sorted { $0.id < $1.id }
  }
}

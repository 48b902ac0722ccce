import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization
import Testing

/// A topic, a pipeline that remembers, decides and aggregates, and an archive of what nobody disturbed, for tests of files.
struct FileSite: Sendable {
  let folder: String
  let definition: String
  let brokers: String
  /// Lives as long as the site; nobody calls it.
  nonisolated(unsafe) private let broker: DevBroker
  /// The offsets of the accepted events.
  let accepted: [Int64]
  /// A database with the tables, and nothing in it.
  let empty: String
  /// What processing leaves in the database.
  let results: String
  /// The names and bytes of the files of events and decisions, in order.
  let events: [(name: String, bytes: Data)]
  let decisions: [(name: String, bytes: Data)]
  let aggregates: [String]

  /// One for all tests, since none changes it.
  static let shared = Result {
    let site = try FileSite()
    sharedFolder.withLock { $0 = site.folder }
    atexit { FileSite.sharedFolder.withLock { try? FileManager.default.removeItem(atPath: $0) } }
    return site
  }

  private static let sharedFolder = Mutex("")

  /// Four hours on two days, with events that are rejected and tombstones between.
  init() throws {
    folder = try TestSite.makeFolder()
    definition = folder + "/cards.yaml"
    try ArchiveKillTests.definition.write(toFile: definition, atomically: true, encoding: .utf8)
    let broker = try DevBroker()
    unsafe self.broker = broker
    brokers = broker.bootstrapServers
    try broker.createTopic(named: "tx", partitions: 1)
    let producer = try KafkaProducer(
      ProducerConfiguration(connection: KafkaConnection(brokers: brokers)))
    var accepted: [Int64] = []
    for index in 0..<80 {
      let seconds = 1_740_866_400 + Int64(index / 20 * 3_600 + index % 20 * 60)
      let time = String(
        format: "2025-03-%02dT%02d:%02d:00Z", index < 40 ? 1 : 2, (22 + index / 20) % 24, index % 20)
      let event = #"{"id":\#(index),"user":\#(index * 7 % 11),"at":"\#(time)","amount":\#(index * 37 % 1_000)}"#
      let value: String? = index % 31 == 8 ? nil : index % 31 == 7 ? "{\"id\":" : event
      if let bytes = value.map({ Array($0.utf8) }) {
        try producer.send(
          to: "tx", key: nil, value: bytes.span, partition: 0, timestampMilliseconds: seconds * 1_000)
      } else {
        try producer.send(to: "tx", key: nil, value: nil, partition: 0, timestampMilliseconds: seconds * 1_000)
      }
      if value == event { accepted.append(Int64(index)) }
    }
    _ = try producer.flush(timeout: .seconds(60))
    try #require(producer.report.failed == 0)
    self.accepted = accepted
    empty = try TestSite.makeDatabase()
    _ = try Program.run(["database", "migrate", "--database", empty])
    let database = TestDatabase(url: try TestSite.makeDatabase(copyOf: empty))
    let root = folder + "/clean/archive"
    try FileManager.default.createDirectory(atPath: folder + "/clean", withIntermediateDirectories: true)
    let run = try Self.process(
      definition, brokers, database.url, group: "clean", archive: root, stateCache: folder + "/clean/state",
      environment: FaultyDisk.environment(root, calls: folder + "/archive-calls")
    ).wait()
    try #require(run.code == 0, "\(run.errors)")
    results = try database.results()
    events = try Self.files(root, "raw_transactions")
    decisions = try Self.files(root, "fraud_detection")
    aggregates = try Self.aggregates(root)
    try #require(events.count == 4 && decisions.count == 4 && aggregates.count > 10)
    try #require(try ArchiveKillTests.offsets(root)[0] == accepted)
  }

  /// A new folder of this site.
  func makeFolder() throws -> String {
    let path = folder + "/" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  func process(
    _ database: String, archive: String? = nil, stateCache: String? = nil, untilEnd: Bool = true,
    environment: [String: String] = [:], _ arguments: [String] = []
  ) throws -> Program {
    try Self.process(
      definition, brokers, database, group: UUID().uuidString, archive: archive, stateCache: stateCache,
      untilEnd: untilEnd, environment: environment, arguments)
  }

  private static func process(
    _ definition: String, _ brokers: String, _ database: String, group: String, archive: String?,
    stateCache: String?, untilEnd: Bool = true, environment: [String: String], _ arguments: [String] = []
  ) throws -> Program {
    try Program(
      [
        "process", "--pipeline", definition, "--brokers", brokers, "--database", database, "--group",
        group, "--commit-events", "16",
      ] + (archive.map { ["--archive", $0] } ?? []) + (stateCache.map { ["--state-cache", $0] } ?? [])
        + (untilEnd ? ["--until-end"] : []) + arguments, environment: environment)
  }

  /// The visible files of a set with their bytes, in the order of their offsets.
  static func files(_ root: String, _ set: String) throws -> [(name: String, bytes: Data)] {
    let names = FileManager.default.enumerator(atPath: "\(root)/\(set)")?.compactMap { $0 as? String } ?? []
    return try names.filter { $0.hasSuffix(".parquet") && !$0.contains("/.") }.sorted().map {
      ($0, try Data(contentsOf: URL(filePath: "\(root)/\(set)/\($0)")))
    }
  }

  /// Rows of aggregations; their place is that of the last event of the batch in which they became due.
  static func aggregates(_ root: String) throws -> [String] {
    try ArchiveKillTests.rows(root, "aggregations", without: ["_kafka_offset", "_kafka_timestamp"])
  }

  /// What is wrong with an archive that a run was ended on: files that are not whole, events left out or twice.
  func problem(of root: String) throws -> String? {
    for (set, expected) in [("raw_transactions", events), ("fraud_detection", decisions)] {
      let found = try Self.files(root, set)
      guard found.map(\.name) == expected.prefix(found.count).map(\.name) else {
        return "\(set) is \(found.map(\.name))"
      }
      for (file, whole) in zip(found, expected) where file.bytes != whole.bytes {
        return "\(set)/\(file.name) is not what it should be: \(file.bytes.count) of \(whole.bytes.count) bytes"
      }
    }
    return nil
  }

  /// What is wrong with an archive that should be complete.
  func problem(ofComplete root: String) throws -> String? {
    if let problem = try problem(of: root) { return problem }
    let counts = try (Self.files(root, "raw_transactions").count, Self.files(root, "fraud_detection").count)
    guard counts == (events.count, decisions.count) else { return "\(counts) files of events and decisions" }
    return try Self.aggregates(root) == aggregates ? nil : "other aggregates"
  }
}

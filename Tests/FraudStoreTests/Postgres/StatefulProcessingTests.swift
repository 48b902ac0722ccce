import Foundation
import Synchronization
import TestRandom
import Testing

@testable import FraudCore
@testable import FraudStore

/// Records in memory, given to whoever asks.
private struct MemorySource: RecordSource {
  let topic = "payments"
  let log: [[UInt8]]
  var position: Int?
  var isAssigned = false

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    let partition = TopicPartition(topic: topic, partition: 0)
    if !isAssigned {
      isAssigned = true
      return .assigned([partition])
    }
    guard let start = position else { return nil }
    let end = min(log.count, start + 100)
    guard start < end else { return .reachedEnd(partition, offset: Int64(end)) }
    batch.beginRun(partition)
    for offset in start..<end {
      unsafe log[offset].withUnsafeBytes {
        unsafe batch.append(offset: Int64(offset), timestampMilliseconds: nil, key: nil, value: $0)
      }
    }
    position = end
    return nil
  }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    if case .at(let offset)? = starts.values.first { position = Int(offset) }
  }
  mutating func unassign() throws { position = nil }
  mutating func pause(_ partitions: [TopicPartition]) throws {}
  mutating func resume(_ partitions: [TopicPartition]) throws {}
  mutating func earliestOffset(of partition: TopicPartition) throws -> Int64 { 0 }
  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

/// Features over PostgreSQL: what processes that die again and again leave is what one engine makes of the same events.
@Suite(.timeLimit(.minutes(3))) struct StatefulProcessingTests {
  let address: PostgresAddress
  let source = EventSource(topic: "payments", generation: "dev", partition: 0)

  init() throws {
    address = try TestDatabase.make()
    var connection = try PostgresConnection(address)
    try connection.execute("INSERT INTO fraud.pipelines (name) VALUES ('p')")
  }

  private func pipeline(more: String = "") throws -> Pipeline {
    let definition = """
      {"name": "p", "kafka_topic": "payments", "event_id": "id", "deduplicate": "1h", "key": "customer",
       "event_time": "at",
       "schema": [{"name": "id", "type": "integer", "nullable": false},
                  {"name": "at", "type": "timestamp", "unit": "s"},
                  {"name": "customer", "type": "string"}, {"name": "amount", "type": "float"},
                  {"name": "country", "type": "string"}],
       "features": [{"name": "recent", "function": "count", "by": "customer", "window": "10m"},
                    {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
                    {"name": "kinds", "function": "distinct", "of": "country", "by": "customer"},
                    {"name": "before", "function": "previous", "of": "country", "by": "customer"}\(more)],
       "rules": [{"id": "often", "rule_expression": "recent > 5"},
                 {"id": "unusual", "rule_expression": "amount > 1.8 * usual"},
                 {"id": "diverse", "rule_expression": "kinds = 3"},
                 {"id": "moved", "rule_expression": "before <> country AND amount > 90"}]}
      """
    return try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  }

  private let log: [[UInt8]] = {
    var random = SeededGenerator(seed: 7)
    return (0..<3_000).map { id in
      let event = """
        {"id": \(Int.random(in: 0..<30, using: &random) == 0 ? id / 2 : id), "at": \(1_700_000_000 + id * 2), \
        "customer": "c\(Int.random(in: 0..<60, using: &random))", "amount": \(Int.random(in: 0..<100, using: &random)), "country": "\(["DE", "FR", "PL"][Int.random(in: 0..<3, using: &random)])"}
        """
      return Array(event.utf8)
    }
  }()

  /// Runs a process of its own until it has read the log to its end, or for some steps.
  private func process(_ pipeline: Pipeline, steps: Int = .max, version: Int = 1, copies: Copies? = nil) throws {
    var configuration = ProcessorConfiguration()
    configuration.commitEvents = 150
    configuration.state.deltaRows = 5
    configuration.state.commitBytes = 60_000
    var committer = PartitionCommitter(address, ownerName: "p")
    if let copies { committer.keepState(in: copies.folder, warn: copies.hear) }
    var processor = Processor(
      pipeline, id: 1, version: version, generation: "dev", source: MemorySource(log: log),
      store: committer, configuration: configuration,
      makeBatchID: { UniqueID.random() })
    for step in 0..<steps {
      try processor.step(now: .milliseconds(step))
      if processor.isAtEnd { break }
    }
    #expect(processor.conflicts == 0)
  }

  private func readBack(_ pipeline: Pipeline, copies: Copies? = nil) throws -> FeatureState {
    var features = Engine(pipeline).features
    var committer = PartitionCommitter(address, ownerName: "reader")
    if let copies { committer.keepState(in: copies.folder, warn: copies.hear) }
    let progress = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    try committer.readState(of: progress) { part in
      switch part {
      case .bucket(let bytes), .delta(let bytes): try features.apply(bytes)
      }
    }
    return features
  }

  private func count(_ what: String) throws -> Int64? {
    var connection = try PostgresConnection(address)
    return try connection.query("SELECT count(*) FROM \(what)").integer(0, 0)
  }

  @Test func processesThatDieLeaveWhatOneEngineMakes() throws {
    let pipeline = try pipeline()
    for steps in [3, 9, 1, 14, 2, 20] { try process(pipeline, steps: steps) }
    try process(pipeline)

    var engine = Engine(pipeline, version: 1)
    var expected: [String] = []
    for (offset, event) in log.enumerated() {
      expected += try engine.score(event, source: source, offset: Int64(offset)).alerts.map { "\($0.id)" }
    }
    var connection = try PostgresConnection(address)
    let rows = try connection.query("SELECT alert_id FROM fraud.alerts")
    var actual: [String] = []
    for row in 0..<rows.rowCount { actual.append("\(try #require(try rows.id(row, 0)))") }
    #expect(expected.count > 250)
    #expect(actual.sorted() == expected.sorted())
    #expect(try readBack(pipeline).snapshot() == engine.features.snapshot())
    #expect(try #require(try count("fraud.state_deltas")) < 30)
    #expect(try count("fraud.state_buckets") == 64)
  }

  @Test func unchangedFeaturesGoOnInANewVersion() throws {
    let (first, second) = (
      try pipeline(), try pipeline(more: #", {"name": "top", "function": "max", "of": "amount", "by": "customer"}"#)
    )
    try process(first, steps: 15)
    try process(second, version: 2)
    var engine = Engine(first, version: 1)
    for (offset, event) in log.enumerated() { _ = try engine.score(event, source: source, offset: Int64(offset)) }
    // Read by the first version, which passes over what is new in the second.
    #expect(try readBack(first).snapshot() == engine.features.snapshot())
    #expect(try readBack(second).snapshot() != engine.features.snapshot())
  }

  @Test(arguments: [
    "DELETE FROM fraud.state_deltas WHERE seq = (SELECT max(seq) FROM fraud.state_deltas)",
    "DELETE FROM fraud.state_deltas WHERE seq = (SELECT min(seq) FROM fraud.state_deltas)",
    "DELETE FROM fraud.state_buckets WHERE bucket = 9",
    "UPDATE fraud.state_buckets SET blob = set_byte(blob, 12, get_byte(blob, 12) # 1) WHERE bucket = 9",
    "UPDATE fraud.state_deltas SET byte_count = byte_count + 1",
    "UPDATE fraud.state_deltas SET byte_count = 1::bigint << 60",
    "UPDATE fraud.state_deltas SET format = 1",
    "UPDATE fraud.partitions SET snapshot_seq = seq + 1",
    "UPDATE fraud.partitions SET snapshot_seq = -9223372036854775808",
  ])
  func whatIsMissingOrDamagedIsSaid(_ damage: String) throws {
    let pipeline = try pipeline()
    try process(pipeline, steps: 28)
    var connection = try PostgresConnection(address)
    #expect(try connection.execute(damage) > 0)
    let error = #expect(throws: StoreError.self) { try process(pipeline) }
    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("pipeline reset") == true)

    try PipelineStore.reset(1, author: "test", on: &connection)
    for table in ["partitions", "state_deltas", "state_buckets"] { #expect(try count("fraud.\(table)") == 0) }
    #expect(try count("fraud.audit_log WHERE action = 'reset'") == 1)
  }

  @Test func aPipelineWithoutFeaturesLeavesNoStateBehind() throws {
    try process(try pipeline(), steps: 15)
    #expect(try #require(try count("fraud.state_deltas")) > 0)
    let plain = """
      {"name": "p", "kafka_topic": "payments", "schema": [{"name": "amount", "type": "float"}],
       "rules": [{"id": "large", "rule_expression": "amount > 98"}]}
      """
    try process(try Pipeline(DefinitionValue(json: Array(plain.utf8))), version: 2)
    #expect(try count("fraud.state_deltas") == 0)
    #expect(try count("fraud.state_buckets") == 0)
    #expect(try count("fraud.partitions WHERE state_identity IS NULL AND next_offset = 3000") == 1)
  }

  // MARK: Copies of state in files

  @Test func copiesGiveWhatTheDatabaseGives() throws {
    let (pipeline, copies) = (try pipeline(), Copies())
    defer { copies.remove() }
    for steps in [3, 9, 1, 14, 2, 20] { try process(pipeline, steps: steps, copies: copies) }
    let state = try readBack(pipeline).snapshot()
    #expect(try readBack(pipeline, copies: copies).snapshot() == state)
    // The database's bytes are not even looked at.
    var connection = try PostgresConnection(address)
    for table in ["deltas", "buckets"] {
      try connection.execute("UPDATE fraud.state_\(table) SET blob = set_byte(blob, 12, get_byte(blob, 12) # 1)")
    }
    #expect(try readBack(pipeline, copies: copies).snapshot() == state)
    #expect(throws: StoreError.self) { try readBack(pipeline) }
    // Copies of deltas go with their rows.
    #expect(try copies.files().count { $0.hasPrefix("delta-") } < 30)
    #expect(copies.heard == [])
  }

  /// A process that keeps no copies has been at work in between, or state was discarded: what is there is not used.
  @Test(arguments: [false, true])
  func copiesOfAnotherHistoryAreNotUsed(isReset: Bool) throws {
    let (pipeline, copies) = (try pipeline(), Copies())
    defer { copies.remove() }
    try process(pipeline, steps: 25, copies: copies)
    if isReset {
      var connection = try PostgresConnection(address)
      try PipelineStore.reset(1, author: "test", on: &connection)
      try connection.execute("TRUNCATE fraud.alerts, fraud.rejected_events")
    }
    try process(pipeline, steps: 30)
    try process(pipeline, copies: copies)
    var engine = Engine(pipeline, version: 1)
    for (offset, event) in log.enumerated() { _ = try engine.score(event, source: source, offset: Int64(offset)) }
    #expect(try readBack(pipeline, copies: copies).snapshot() == engine.features.snapshot())
    #expect(copies.heard == [])
  }

  @Test func damagedCopiesAreReadFromTheDatabase() throws {
    let (pipeline, copies) = (try pipeline(), Copies())
    defer { copies.remove() }
    try process(pipeline, steps: 28, copies: copies)
    let state = try readBack(pipeline).snapshot()
    var random = SeededGenerator(seed: 26)
    for round in 0..<32 {
      let files = try copies.files()
      let (name, other) = (files.randomElement(using: &random) ?? "", files.randomElement(using: &random) ?? "")
      var bytes = try copies.read(name)
      switch round % 4 {
      case 0: bytes[Int.random(in: 64..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
      case 2: bytes[Int.random(in: 0..<64, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      default: bytes = try copies.read(other)
      }
      try copies.write(bytes, name)
      #expect(try readBack(pipeline, copies: copies).snapshot() == state, "round \(round)")
      // What was read from the database has been copied anew.
      #expect(try copies.files().count == files.count)
    }
    #expect(copies.heard.count >= 10)
  }

  /// Bytes that pass for a copy and are no state cost a try, never more.
  @Test func aCopyThatIsRefusedIsReadFromTheDatabase() throws {
    let (pipeline, copies) = (try pipeline(), Copies())
    defer { copies.remove() }
    try process(pipeline, steps: 28, copies: copies)
    let state = try readBack(pipeline).snapshot()
    let name = try #require(try copies.files().first { $0.hasPrefix("bucket-") })
    let count = try copies.read(name).count - 64
    var file = Array(try copies.read(name).prefix(64))
    let nonsense = [UInt8](repeating: 0xA5, count: count)
    let hash = StableHash.hash(nonsense.span)
    for index in 0..<8 { file[56 + index] = UInt8(truncatingIfNeeded: hash >> UInt64(8 * index)) }
    try copies.write(file + nonsense, name)
    let error = #expect(throws: StoreError.self) { try readBack(pipeline, copies: copies) }
    #expect(error?.isRetryable == true)
    #expect(try readBack(pipeline, copies: copies).snapshot() == state)
    try process(pipeline, copies: copies)
  }

  @Test func aFolderThatTakesNoFilesIsSaidOnce() throws {
    let pipeline = try pipeline()
    let copies = Copies(folder: "/dev/null/copies")
    try process(pipeline, copies: copies)
    #expect(copies.heard.count == 1)
    #expect(try readBack(pipeline).keyCount > 0)
  }
}

/// A folder of copies, and what is said of them.
private final class Copies: Sendable {
  let folder: String
  private let messages = Mutex<[String]>([])

  init(folder: String = NSTemporaryDirectory() + "/fraud-copies-\(UniqueID.random())") { self.folder = folder }

  var heard: [String] { messages.withLock { $0 } }
  var hear: @Sendable (String) -> Void { { message in self.messages.withLock { $0.append(message) } } }

  private var place: String { folder + "/1/payments+dev+0" }
  func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: place).sorted() }
  func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: place + "/" + name)))
  }
  func write(_ bytes: [UInt8], _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: place + "/" + name))
  }
  func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

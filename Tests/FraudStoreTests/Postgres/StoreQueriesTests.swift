import FraudCore
import Testing

@testable import FraudStore

@Suite(.timeLimit(.minutes(2))) struct StoreQueriesTests {
  let address: PostgresAddress

  init() throws {
    address = try TestDatabase.make()
  }

  private func definition(_ name: String, rules: [String], note: String = "d") throws -> PipelineDefinition {
    let list = rules.map {
      #"{"id":"\#($0)","rule_expression":"amount > 1","severity":"info","description":"\#(note)"}"#
    }
    return try PipelineDefinition(
      DefinitionValue(
        json: Array(
          """
          {"name":"\(name)","kafka_topic":"t","schema":[{"name":"amount","type":"float"},{"name":"customer_id",
          "type":"integer"}],"key":"customer_id","rules":[\(list.joined(separator: ","))]}
          """.utf8)))
  }

  /// Alerts of two pipelines, rejected events of one.
  private func fill(_ connection: inout PostgresConnection) throws {
    for name in ["one", "two"] {
      let applied = try PipelineStore.apply(definition(name, rules: ["a", "b"]), author: "me", on: &connection)
      var committer = PartitionCommitter(address, ownerName: "test")
      let source = EventSource(topic: name)
      let start = try committer.takeOwnership(pipelineID: applied.id, source: source, startOffset: 0)
      var unit = CommitUnit(
        pipeline: name, pipelineID: applied.id, pipelineVersion: applied.version, batchID: .random())
      unit.advances = [PartitionAdvance(progress: start, nextOffset: 30)]
      unit.advances[0].counts.accepted = 28
      unit.advances[0].counts.rejected = 2
      for offset in 0..<Int64(28) {
        var alert = makeAlert(
          offset, rule: offset.isMultiple(of: 2) ? "a" : "b",
          event: #"{"customer_id":\#(offset % 5),"amount":\#(offset).5,"currency":"USD","country":null}"#,
          severity: offset.isMultiple(of: 4) ? .critical : .info, source: source)
        alert.pipeline = name
        alert.id = AlertIdentity(pipeline: name, source: source).id(offset: offset, rule: "a")
        unit.alerts.append(alert)
      }
      for offset in 28..<Int64(30) {
        unit.rejected.append(
          RejectedRecord(
            source: source, offset: offset, reason: offset == 28 ? "bad_json" : "not_utf8", detail: "x", field: nil,
            payload: [UInt8(offset), 0xFF, 0]))
      }
      _ = try committer.commit(unit)
    }
  }

  @Test func versionsAreImmutableAndEqualContentIsTheSame() throws {
    var connection = try PostgresConnection(address)
    let one = try definition("one", rules: ["a"])
    let first = try PipelineStore.apply(one, author: "me", note: "first", on: &connection)
    #expect(first == AppliedPipeline(id: 1, name: "one", version: 1, isNew: true))
    #expect(try PipelineStore.apply(one, author: "me", on: &connection).isNew == false)
    let second = try PipelineStore.apply(definition("one", rules: ["b", "a"]), author: "you", on: &connection)
    #expect(second.version == 2 && second.isNew)
    let other = try PipelineStore.apply(definition("two", rules: ["a"]), author: "me", on: &connection)
    #expect(other.id == 2)

    let found = try #require(try PipelineStore.find("1", on: &connection))
    #expect(found.name == "one" && found.version == 2 && found.isActive && found.versions == 2)
    #expect(found.rules.map(\.name) == ["a", "b"])
    #expect(try PipelineStore.find("one", version: 1, on: &connection)?.note == "first")
    #expect(try PipelineStore.find("three", on: &connection) == nil)
    #expect(try PipelineStore.find("one", version: 9, on: &connection) == nil)

    // Back to the first content: the same version again, now in force.
    #expect(try PipelineStore.apply(one, author: "me", on: &connection).version == 1)
    #expect(try PipelineStore.history("one", on: &connection).map(\.isActive) == [false, true])
    #expect(try PipelineStore.list(on: &connection).map(\.name) == ["one", "two"])
    let audit = try connection.query("SELECT count(*) FROM fraud.audit_log WHERE pipeline = 'one'")
    #expect(try audit.integer(0, 0) == 3)
  }

  /// A stored definition compiles to the same rules as the file did.
  @Test func aDefinitionComesBackAsItWas() throws {
    var connection = try PostgresConnection(address)
    let applied = try definition("one", rules: ["it's \\u007f \\\"quoted\\\" \\ud83d\\ude00"], note: "ä\\n")
    _ = try PipelineStore.apply(applied, author: "o'me", note: "'; --", on: &connection)
    let found = try #require(try PipelineStore.find("one", on: &connection))
    let read = try PipelineDefinition(DefinitionValue(json: Array(found.definition.utf8)))
    #expect(read.rules.map(\.id) == applied.rules.map(\.id))
    #expect(read.rules.map(\.description) == applied.rules.map(\.description))
    #expect(read.sha256 == applied.sha256)
    #expect(found.author == "o'me" && found.note == "'; --")
  }

  @Test func applyingAtOnceMakesOneVersion() async throws {
    let one = try definition("one", rules: ["a"])
    let address = self.address
    let applied = try await withThrowingTaskGroup(of: AppliedPipeline.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await onOwnThread { () throws(StoreError) in
            var connection = try PostgresConnection(address)
            return try PipelineStore.apply(one, author: "me", on: &connection)
          }
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(applied.filter(\.isNew).count == 1)
    #expect(Set(applied.map(\.version)) == [1])
  }

  @Test func deletingAPipelineLeavesTheOthers() throws {
    var connection = try PostgresConnection(address)
    try fill(&connection)
    #expect(try PipelineStore.contents(1, on: &connection).map(\.rows) == [1, 28, 2, 1])
    try PipelineStore.delete(1, author: "me", note: "over", on: &connection)
    #expect(try PipelineStore.contents(1, on: &connection).isEmpty)
    #expect(try PipelineStore.contents(2, on: &connection).map(\.rows) == [1, 28, 2, 1])
    #expect(try PipelineStore.list(on: &connection).map(\.name) == ["two"])
    let audit = try connection.query("SELECT why FROM fraud.audit_log WHERE action = 'delete' AND pipeline = 'one'")
    #expect(try audit.text(0, 0) == "over")
  }

  @Test func alertsAreFilteredAndCounted() throws {
    var connection = try PostgresConnection(address)
    try fill(&connection)
    func ids(_ change: (inout AlertFilter) -> Void) throws -> Int {
      var filter = AlertFilter()
      change(&filter)
      return try AlertStore.list(filter, limit: 1_000, on: &connection).count
    }
    #expect(try ids { _ in } == 56)
    #expect(try ids { $0.severities = ["critical"] } == 14)
    #expect(try ids { $0.severities = ["critical", "info"] } == 56)
    #expect(try ids { $0.rules = ["a"] } == 28)
    #expect(try ids { $0.rules = ["1"] } == 14)
    #expect(try ids { $0.pipelines = ["one"] } == 28)
    #expect(try ids { $0.pipelines = ["2"] } == 28)
    #expect(try ids { $0.fields = [("customer_id", "3")] } == 10)
    #expect(try ids { $0.fields = [("customer_id", "3"), ("amount", "8.5")] } == 2)
    #expect(try ids { $0.fields = [("country", "")] } == 0)
    #expect(try ids { $0.fields = [("x'; --", "\" OR 1=1")] } == 0)
    #expect(try ids { $0.age = 3_600_000_000 } == 56)
    #expect(try ids { $0.since = 4_000_000_000_000_000 } == 0)
    #expect(try ids { $0.shadow = true } == 0)

    let newest = try #require(try AlertStore.list(AlertFilter(), limit: 1, on: &connection).first)
    #expect(newest.eventID == "event-27" && newest.severity == "info" && newest.ruleID == "b")
    let json = try DefinitionValue(json: Array(newest.json.utf8))
    guard case .object(let members) = json.content else {
      Issue.record("an alert is an object")
      return
    }
    #expect(
      members.map(\.key) == [
        "alert_id", "pipeline", "pipeline_version", "event_id", "event_time", "rule_id", "rule_description", "severity",
        "score", "risk_level", "reasons", "topic", "partition", "offset", "line", "transaction_data", "id",
        "created_at",
      ])
    #expect(members[4].value.content == .string("2020-09-13T12:26:40.000027Z"))
    #expect(members[8].value.content == .number("0.25"))
    #expect(members[14].value.content == .null)
    #expect(try AlertStore.find("\(newest.id)", on: &connection)?.id == newest.id)
    let alertID = AlertIdentity(pipeline: "two", source: EventSource(topic: "two")).id(offset: 27, rule: "a")
      .description
    #expect(try AlertStore.find(alertID, on: &connection)?.id == newest.id)
    #expect(try AlertStore.find("no such", on: &connection)?.id == nil)

    var one = AlertFilter()
    one.pipelines = ["one"]
    #expect(try AlertStore.countBySeverity(one, on: &connection).map(\.alerts) == [21, 7])
    #expect(try AlertStore.countByRule(one, on: &connection).map(\.name) == ["one/a", "one/b"])
    let ranked = try AlertStore.rank(field: "customer_id", one, limit: 2, on: &connection)
    #expect(ranked.map(\.name) == ["0", "1"] && ranked.map(\.alerts) == [6, 6])
  }

  @Test func rejectedEventsAreFilteredAndCounted() throws {
    var connection = try PostgresConnection(address)
    try fill(&connection)
    var filter = RejectedFilter()
    #expect(try RejectedStore.countByReason(filter, on: &connection).map(\.events) == [2, 2])
    filter.reasons = ["bad_json"]
    filter.pipelines = ["two"]
    let found = try RejectedStore.list(filter, limit: 10, payloadBytes: .max, on: &connection)
    #expect(found.map(\.offset) == [28])
    #expect(found.first?.payload == [28, 0xFF, 0])
    let heads = try RejectedStore.list(filter, limit: 10, payloadBytes: 1, on: &connection)
    #expect(heads.first?.payload == [28] && heads.first?.payloadLength == 3)
    filter.partition = 1
    #expect(try RejectedStore.list(filter, limit: 10, payloadBytes: 0, on: &connection).isEmpty)
  }

  /// Rows may appear out of the order of their numbers.
  @Test func aFollowerMissesNothing() throws {
    var connection = try PostgresConnection(address)
    try fill(&connection)
    var follower = try AlertFollower(AlertFilter(), on: &connection)
    #expect(try follower.next(on: &connection).isEmpty)
    let insert = """
      INSERT INTO fraud.alerts (alert_id, pipeline, pipeline_id, topic, generation, partition, "offset", event_id)
      VALUES (gen_random_uuid(), 'one', 1, 't', '0', 0, 0, $1)
      """
    var slow = try PostgresConnection(address)
    try slow.execute("BEGIN")
    try slow.execute(insert, [.text("slow")])
    try connection.execute(insert, [.text("quick")])
    #expect(try follower.next(on: &connection).map(\.eventID) == ["quick"])
    #expect(try follower.next(on: &connection).isEmpty)
    try slow.execute("COMMIT")
    try connection.execute(insert, [.text("next")])
    #expect(try follower.next(on: &connection).map(\.eventID) == ["slow", "next"])
    // A number whose transaction was rolled back does not hold anything up.
    try slow.execute("BEGIN")
    try slow.execute(insert, [.text("never")])
    try slow.execute("ROLLBACK")
    try connection.execute(insert, [.text("last")])
    #expect(try follower.next(on: &connection).map(\.eventID) == ["last"])
    for _ in 0..<100 { #expect(try follower.next(on: &connection).isEmpty) }
    try connection.execute(insert, [.text("on")])
    #expect(try follower.next(on: &connection).map(\.eventID) == ["on"])
  }

  @Test func theViewHasTheColumnsThatOthersExpect() throws {
    var connection = try PostgresConnection(address)
    let columns = try connection.query(
      """
      SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
      WHERE attrelid = 'public.fraud_alerts'::regclass AND attnum > 0 ORDER BY attnum
      """)
    let expected = [
      ("id", "bigint"), ("pipeline_id", "integer"), ("severity", "character varying(50)"), ("rule_description", "text"),
      ("alert_timestamp", "timestamp without time zone"), ("transaction_data", "jsonb"),
    ]
    #expect(columns.rowCount == expected.count)
    for (row, column) in expected.enumerated() {
      #expect(try columns.text(row, 0) == column.0)
      #expect(try columns.text(row, 1) == column.1)
    }
  }

  /// Every block of SQL in `Docs/queries.md` runs, with psql's own search path and in any time zone.
  @Test(arguments: ["UTC", "America/New_York", "Asia/Kolkata"])
  func theQueriesOfTheDocumentsRun(zone: String) throws {
    var connection = try PostgresConnection(address)
    try fill(&connection)
    try connection.execute(
      "SELECT set_config('search_path', 'public', false), set_config('TimeZone', $1, false)", [.text(zone)])
    let path = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let text = String(decoding: try #require(try SystemFiles.read("/\(path)/Docs/queries.md")), as: UTF8.self)
    let blocks = text.split(separator: "```sql\n").dropFirst().compactMap { $0.split(separator: "```").first }
    #expect(blocks.count == 7)
    var rows: [Int] = []
    for block in blocks {
      let result = try connection.query(String(block))
      rows.append(result.rowCount)
    }
    #expect(rows == [10, 2, 5, 56, 0, 2, 0])
  }
}

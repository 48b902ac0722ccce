import FraudCore
import Testing

@testable import FraudStore

@Suite(.timeLimit(.minutes(2))) struct ListStoreTests {
  let address: PostgresAddress

  init() throws {
    address = try TestDatabase.make()
  }

  private func definition(_ numbers: [String], more: String = "") throws -> PipelineDefinition {
    let values = numbers.map { #""\#($0)""# }.joined(separator: ",")
    return try PipelineDefinition(
      DefinitionValue(
        json: Array(
          """
          {"name":"p","kafka_topic":"t","schema":[{"name":"a","type":"integer"}],
          "lists":[{"name":"Odd","type":"integer","values":[\(values)]},{"name":"names","type":"string"}],
          "rules":[{"id":"x\(more)","rule_expression":"a IN LIST(odd)"}]}
          """.utf8)))
  }

  private func values(_ list: String, _ connection: inout PostgresConnection) throws -> [String] {
    try #require(try ListStore.show("p", list: list, on: &connection)?.first).entries.map(\.value)
  }

  @Test func aChangeIsAVersionAndOutlivesTheFile() throws {
    var connection = try PostgresConnection(address)
    _ = try PipelineStore.apply(definition(["1", "3"]), author: "me", on: &connection)
    let added = try ListStore.change(
      "1", list: "odd", .add(["5", " 7", "+5"].map { $0.filter { $0 != " " } }), author: "me", reason: "case 1",
      on: &connection)
    #expect(added == ChangedList(pipeline: "p", version: 2, list: "Odd", added: 2, removed: 0, count: 4))
    let removed = try ListStore.change("p", list: "ODD", .remove(["1", "99"]), author: "you", on: &connection)
    #expect(removed == ChangedList(pipeline: "p", version: 3, list: "Odd", added: 0, removed: 1, count: 3))
    #expect(try values("odd", &connection) == ["3", "5", "7"])
    // Nothing changes but the reason: the same version, with a line in the audit log all the same.
    let again = try ListStore.change("p", list: "odd", .add(["5"]), author: "me", reason: "case 2", on: &connection)
    #expect(again.version == 3 && again.added == 0)
    #expect(try ListStore.show("p", list: "odd", on: &connection)?.first?.entries[1].reason == "case 2")

    // The file again, with another rule and another value: what commands changed stays.
    let applied = try PipelineStore.apply(definition(["1", "3", "9"], more: "2"), author: "me", on: &connection)
    #expect(applied.version == 4 && applied.isNew)
    #expect(try values("odd", &connection).sorted() == ["3", "5", "7", "9"])
    #expect(
      try PipelineStore.apply(definition(["1", "3", "9"], more: "2"), author: "me", on: &connection).version == 4)

    let replaced = try ListStore.change("p", list: "odd", .replace(["11", "3"]), author: "me", on: &connection)
    #expect(replaced.added == 1 && replaced.removed == 3 && replaced.count == 2)
    let names = try ListStore.change("p", list: "names", .add(["o'x", "'; --"]), author: "me", on: &connection)
    #expect(names.count == 2)
    let audit = try connection.query(
      """
      SELECT action, version, why, detail ->> 'list', detail -> 'added', detail -> 'removed_count' FROM fraud.audit_log
      WHERE action LIKE 'list %' ORDER BY id
      """)
    #expect(audit.rowCount == 5)
    #expect(try audit.text(0, 0) == "list add" && audit.text(0, 2) == "case 1" && audit.text(0, 4) == #"["5", "7"]"#)
    #expect(try audit.text(3, 0) == "list import" && audit.text(3, 5) == "3")
  }

  @Test func whatIsWrongChangesNothing() throws {
    var connection = try PostgresConnection(address)
    _ = try PipelineStore.apply(definition(["1"]), author: "me", on: &connection)
    for (pipeline, list, value) in [("p", "odd", "x"), ("p", "od", "1"), ("q", "odd", "1"), ("p", "odd", "1.0")] {
      let error = #expect(throws: StoreError.self) {
        _ = try ListStore.change(pipeline, list: list, .add(["3", value]), author: "me", on: &connection)
      }
      #expect(error?.code == .refused)
      if list == "od" { #expect(error?.message.contains("did you mean 'Odd'?") == true) }
    }
    #expect(try values("odd", &connection) == ["1"])
    #expect(try PipelineStore.history("p", on: &connection).count == 1)
  }

  @Test func valuesExpireOnce() throws {
    var connection = try PostgresConnection(address)
    _ = try PipelineStore.apply(definition(["1"]), author: "me", on: &connection)
    _ = try ListStore.change("p", list: "odd", .add(["3"], expiresAt: 1), author: "me", on: &connection)
    _ = try ListStore.change(
      "p", list: "odd", .add(["5"], expiresAt: 4_000_000_000_000_000), author: "me", on: &connection)
    #expect(try values("odd", &connection) == ["1", "3", "5"])
    #expect(try ListStore.expire(on: &connection) == ["p"])
    #expect(try values("odd", &connection) == ["1", "5"])
    #expect(try ListStore.expire(on: &connection) == [])
    #expect(try PipelineStore.find("p", on: &connection)?.version == 4)
    let audit = try connection.query("SELECT detail -> 'removed' FROM fraud.audit_log WHERE action = 'list expire'")
    #expect(try audit.rowCount == 1 && audit.text(0, 0) == #"["3"]"#)
  }

  @Test func changesAtOnceAllCount() async throws {
    let address = self.address
    var connection = try PostgresConnection(address)
    _ = try PipelineStore.apply(definition([]), author: "me", on: &connection)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask {
          try await onOwnThread { () throws(StoreError) in
            var connection = try PostgresConnection(address)
            for step in 0..<5 {
              _ = try ListStore.change(
                "p", list: "odd", .add(["\(number * 5 + step)"]), author: "me", on: &connection)
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(Set(try values("odd", &connection)) == Set((0..<20).map(String.init)))
  }
}

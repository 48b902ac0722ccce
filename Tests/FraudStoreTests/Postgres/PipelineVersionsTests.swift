import FraudCore
import Testing

@testable import FraudStore

@Suite(.timeLimit(.minutes(2))) struct PipelineVersionsTests {
  private func definition(_ fields: String) throws -> PipelineDefinition {
    try PipelineDefinition(DefinitionValue(json: Array(#"{"name":"p","schema":[\#(fields)]}"#.utf8)))
  }

  @Test func aSchemaThatCannotReadWhatIsThereIsRefused() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    let one = try definition(#"{"name":"a","type":"integer"},{"name":"b","type":"string"}"#)
    let two = try definition(#"{"name":"a","type":"string"}"#)
    _ = try PipelineStore.apply(one, author: "me", on: &connection)
    let error = #expect(throws: StoreError.self) { try PipelineStore.apply(two, author: "me", on: &connection) }
    #expect(error?.code == .refused)
    #expect(error?.message.contains("field 'a' was integer and is now string") == true)
    #expect(error?.message.contains("field 'b' was removed") == true)
    #expect(try PipelineStore.history("p", on: &connection).map(\.version) == [1])
    #expect(try PipelineStore.apply(two, author: "me", force: true, on: &connection).version == 2)

    // Going back is never refused.
    let back = try PipelineStore.rollBack("p", author: "me", note: "too many", on: &connection)
    #expect(back?.from == 2 && back?.to == 1)
    #expect(try PipelineStore.rollBack("p", author: "me", on: &connection) == nil)
    #expect(try PipelineStore.rollBack("p", to: 7, author: "me", on: &connection) == nil)
    #expect(try PipelineStore.rollBack("p", to: 2, author: "me", on: &connection)?.to == 2)
    #expect(try PipelineStore.find("p", on: &connection)?.version == 2)
    let audit = try connection.query(
      "SELECT string_agg(action || ' ' || version || coalesce(' ' || why, ''), ', ' ORDER BY id) FROM fraud.audit_log")
    #expect(try audit.text(0, 0) == "apply 1, apply 2, rollback 1 too many, rollback 2")
  }
}

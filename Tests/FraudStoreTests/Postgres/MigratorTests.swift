import Testing

@testable import FraudStore

@Suite struct MigratorTests {
  @Test func migratesOnceAndSaysSo() throws {
    var connection = try PostgresConnection(TestDatabase.makeEmpty())
    #expect(try Migrator.status(&connection).pending == Migration.all.map(\.name))
    #expect(try Migrator.migrate(&connection) == Migration.all.map(\.name))
    #expect(try Migrator.migrate(&connection) == [])
    let status = try Migrator.status(&connection)
    #expect(status.pending == [])
    #expect(status.applied.map(\.number) == Migration.all.map(\.number))
  }

  @Test func numbersRise() {
    #expect(zip(Migration.all, Migration.all.dropFirst()).allSatisfy { $0.number < $1.number })
  }

  @Test func twoAtOnceApplyEachMigrationOnce() async throws {
    let address = try TestDatabase.makeEmpty()
    let applied = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await onOwnThread { () throws(StoreError) in
            var connection = try PostgresConnection(address)
            return try Migrator.migrate(&connection)
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(applied.sorted() == Migration.all.map(\.name).sorted())
  }

  @Test func aFailedMigrationLeavesNothing() throws {
    var connection = try PostgresConnection(TestDatabase.makeEmpty())
    let good = Migration(number: 1, name: "good", sql: "CREATE TABLE fraud.good (n int)")
    let bad = Migration(number: 2, name: "bad", sql: "CREATE TABLE fraud.bad (n int); SELECT 1 / 0")
    #expect(throws: StoreError.self) { try Migrator.migrate(&connection, [good, bad]) }
    #expect(try connection.query("SELECT to_regclass('fraud.bad') IS NULL").boolean(0, 0) == true)
    #expect(try Migrator.migrate(&connection, [good]) == [])
  }

  @Test func aNewerOrEditedSchemaIsRefused() throws {
    var connection = try PostgresConnection(TestDatabase.makeEmpty())
    let first = Migration(number: 1, name: "first", sql: "CREATE TABLE fraud.first (n int)")
    let second = Migration(number: 2, name: "second", sql: "CREATE TABLE fraud.second (n int)")
    try Migrator.migrate(&connection, [first, second])
    let newer = #expect(throws: StoreError.self) { try Migrator.migrate(&connection, [first]) }
    #expect(newer?.message.contains("migrated by a newer one") == true)
    let edited = Migration(number: 2, name: "second", sql: "CREATE TABLE fraud.second (n bigint)")
    #expect(throws: StoreError.self) { try Migrator.migrate(&connection, [first, edited]) }
  }

  @Test func versionsAndAuditNeverChange() throws {
    var connection = try PostgresConnection(TestDatabase.make())
    try connection.execute("INSERT INTO fraud.pipelines (name) VALUES ('p')")
    try connection.execute(
      """
      INSERT INTO fraud.pipeline_versions (pipeline_id, version, sha256, definition, author)
      VALUES (1, 1, repeat('a', 64), '{}', 'me')
      """)
    try connection.execute("INSERT INTO fraud.audit_log (who, action) VALUES ('me', 'apply')")
    for statement in [
      "UPDATE fraud.pipeline_versions SET note = 'x'", "DELETE FROM fraud.pipeline_versions",
      "TRUNCATE fraud.pipeline_versions", "UPDATE fraud.audit_log SET who = 'x'", "DELETE FROM fraud.audit_log",
      "TRUNCATE fraud.audit_log",
    ] {
      let error = #expect(throws: StoreError.self, "\(statement)") { try connection.execute(statement) }
      #expect(error?.sqlState == "55000", "\(statement)")
    }
    try connection.execute("DELETE FROM fraud.pipelines")
    #expect(try connection.query("SELECT count(*) FROM fraud.pipeline_versions").integer(0, 0) == 0)
  }
}

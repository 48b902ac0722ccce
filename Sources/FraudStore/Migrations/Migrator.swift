/// What a database's schema is and what this program knows.
public struct MigrationStatus: Sendable {
  /// One migration that has been applied.
  public struct Applied: Sendable {
    /// Its number, from 1.
    public var number: Int
    /// What it is about.
    public var name: String
    /// Microseconds since 1970-01-01T00:00:00Z.
    public var appliedAt: Int64
  }

  /// In the order of their numbers.
  public var applied: [Applied]
  /// The names of those that this program knows and the database lacks.
  public var pending: [String]
}

/// Brings a database's schema to what this program needs.
public enum Migrator {
  /// An arbitrary number, the same in every version: two programs that migrate one database take turns.
  private static let lockKey: Int64 = 0x6672_6175_6400

  /// Applies what is missing, each migration once, in a transaction of its own, under an advisory lock.
  ///
  /// - Returns: the names of those that were applied now.
  /// - Throws: ``StoreError`` with `.corrupt` where the database has been migrated by a newer program, or a migration's
  ///   text is not what was applied; and what the server refuses.
  @discardableResult
  public static func migrate(_ connection: inout PostgresConnection) throws(StoreError) -> [String] {
    try migrate(&connection, Migration.all)
  }

  @discardableResult
  static func migrate(_ connection: inout PostgresConnection, _ migrations: [Migration]) throws(StoreError) -> [String]
  {
    // Where all is done already nobody waits for a lock.
    if try missing(&connection, migrations).isEmpty { return [] }
    var applied: [String] = []
    for migration in migrations {
      let isNew = try connection.transaction { connection throws(StoreError) in
        // Held to the end of the transaction, so it works behind a pooler, too.
        try connection.execute("SELECT pg_advisory_xact_lock($1)", [.integer(lockKey)])
        guard try missing(&connection, migrations).contains(where: { $0.number == migration.number }) else {
          return false
        }
        try connection.runScript(bookkeeping)
        try connection.runScript(migration.sql)
        try connection.execute(
          "INSERT INTO fraud.migrations (number, name, checksum) VALUES ($1, $2, $3)",
          [.integer(Int64(migration.number)), .text(migration.name), .text(migration.checksum)])
        return true
      }
      if isNew { applied.append(migration.name) }
    }
    return applied
  }

  /// Reads what has been applied. An empty database has nothing applied; no lock is taken.
  public static func status(_ connection: inout PostgresConnection) throws(StoreError) -> MigrationStatus {
    let applied = try readApplied(&connection)
    let pending = try missing(&connection, Migration.all)
    return MigrationStatus(
      applied: applied.map { .init(number: $0.number, name: $0.name, appliedAt: $0.appliedAt) },
      pending: pending.map(\.name))
  }

  private static let bookkeeping = """
    CREATE SCHEMA IF NOT EXISTS fraud;
    CREATE TABLE IF NOT EXISTS fraud.migrations (
      number     int PRIMARY KEY,
      name       text NOT NULL,
      checksum   text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    );
    """

  /// The migrations that the database lacks, after checking that those it has are the ones known here.
  private static func missing(
    _ connection: inout PostgresConnection, _ migrations: [Migration]
  ) throws(StoreError) -> [Migration] {
    let applied = try readApplied(&connection)
    for row in applied {
      guard let known = migrations.first(where: { $0.number == row.number }) else {
        throw StoreError(
          code: .corrupt,
          message: "the database has migration \(row.number) (\(row.name)), which this version of fraudctl does not"
            + " know: it was migrated by a newer one. Use that, or a newer one")
      }
      guard known.checksum == row.checksum else {
        throw StoreError(
          code: .corrupt,
          message: "migration \(row.number) (\(row.name)) was applied to the database with another text than this"
            + " version of fraudctl has")
      }
    }
    return migrations.filter { migration in !applied.contains { $0.number == migration.number } }
  }

  private static func readApplied(
    _ connection: inout PostgresConnection
  ) throws(StoreError) -> [(number: Int, name: String, checksum: String, appliedAt: Int64)] {
    // Asked of the tables themselves: name look-up goes through a cache that does not see what another transaction
    // made while this one waited for the lock.
    let exists = try connection.query(
      """
      SELECT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'fraud' AND c.relname = 'migrations')
      """)
    guard try exists.boolean(0, 0) == true else { return [] }
    let rows = try connection.query(
      "SELECT number, name, checksum, applied_at FROM fraud.migrations ORDER BY number")
    var applied: [(number: Int, name: String, checksum: String, appliedAt: Int64)] = []
    for row in 0..<rows.rowCount {
      applied.append(
        (
          number: Int(try rows.required(rows.integer(row, 0))), name: try rows.required(rows.text(row, 1)),
          checksum: try rows.required(rows.text(row, 2)), appliedAt: try rows.required(rows.timestamp(row, 3))
        ))
    }
    return applied
  }
}

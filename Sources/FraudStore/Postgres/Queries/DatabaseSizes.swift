/// How large the tables of a database are.
public struct TableSize: Sendable {
  /// The table's name without its schema.
  public var table: String
  /// Rows, as PostgreSQL estimates them.
  public var rows: Int64
  /// Bytes on disk, indexes included.
  public var bytes: Int64

  /// The tables of schema `fraud`, the largest first.
  public static func all(on connection: inout PostgresConnection) throws(StoreError) -> [TableSize] {
    let rows = try connection.query(
      """
      SELECT relname, n_live_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables
      WHERE schemaname = 'fraud' ORDER BY 3 DESC, 1
      """)
    var sizes: [TableSize] = []
    for row in 0..<rows.rowCount {
      sizes.append(
        TableSize(
          table: try rows.required(rows.text(row, 0)), rows: try rows.required(rows.integer(row, 1)),
          bytes: try rows.required(rows.integer(row, 2))))
    }
    return sizes
  }
}

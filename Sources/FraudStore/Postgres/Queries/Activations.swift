/// Which versions of a pipeline decided a partition's events, as it is on record.
package enum Activations {
  /// The versions by the offset from which they decided, and the first offset that is not committed. Both are durable: files
  /// may depend on them.
  ///
  /// - Returns: `nil` where nothing of the partition is committed.
  package static func read(
    pipelineID: Int, topic: String, generation: String, partition: Int32, on connection: inout PostgresConnection
  ) throws(StoreError) -> (versions: [(fromOffset: Int64, number: Int)], committedOffset: Int64)? {
    let key: [PostgresValue] = [
      .integer(Int64(pipelineID)), .text(topic), .text(generation), .integer(Int64(partition)),
    ]
    return try connection.transaction { connection throws(StoreError) in
      try connection.makeDurable()
      return try readSeen(key, on: &connection)
    }
  }

  private static func readSeen(
    _ key: [PostgresValue], on connection: inout PostgresConnection
  ) throws(StoreError) -> (versions: [(fromOffset: Int64, number: Int)], committedOffset: Int64)? {
    // The offset first: what is committed behind it meanwhile may be another version's.
    let row = try connection.query(
      """
      SELECT next_offset FROM fraud.partitions
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND seq > 0
      """, key)
    guard row.rowCount == 1 else { return nil }
    let rows = try connection.query(
      """
      SELECT from_offset, version FROM fraud.activations
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 ORDER BY from_offset
      """, key)
    var versions: [(fromOffset: Int64, number: Int)] = []
    for index in 0..<rows.rowCount {
      versions.append(
        (try rows.required(rows.integer(index, 0)), Int(try rows.required(rows.integer(index, 1)))))
    }
    return versions.isEmpty ? nil : (versions, try row.required(row.integer(0, 0)))
  }
}

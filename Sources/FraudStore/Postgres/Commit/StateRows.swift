import FraudCore

/// The statements that keep what features remember, and the form in which they keep it.
enum StateRows {
  /// The form of the bytes, ``FeatureState``'s own.
  static let format: Int64 = 2

  /// What a commit does to a partition's stored state.
  static func statements(
    _ advance: PartitionAdvance, batchID: UniqueID
  ) throws(StoreError) -> [CommitRows.Statement] {
    let before = advance.progress
    let key = PartitionCommitter.key(before.pipelineID, before.source)
    guard let change = advance.stateChange else { return before.state == nil ? [] : discarding(key) }
    var statements: [CommitRows.Statement] = []
    let sequence = before.sequence &+ 1
    if let delta = change.delta {
      statements.append(
        (
          """
          INSERT INTO fraud.state_deltas (pipeline_id, topic, generation, partition, seq, first_offset, next_offset,
            batch_id, format, codec, byte_count, crc32c, blob)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
          """,
          key + [.integer(sequence), .integer(before.nextOffset), .integer(advance.nextOffset), .id(batchID)]
            + (try packed(delta))
        ))
    }
    for bucket in change.buckets {
      statements.append(
        (
          """
          INSERT INTO fraud.state_buckets (pipeline_id, topic, generation, partition, bucket, as_of_seq, batch_id, format,
            codec, byte_count, crc32c, blob)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
          ON CONFLICT (pipeline_id, topic, generation, partition, bucket) DO UPDATE
            SET as_of_seq = $6, batch_id = $7, format = $8, codec = $9, byte_count = $10, crc32c = $11, blob = $12
          """, key + [.integer(Int64(bucket.number)), .integer(sequence), .id(batchID)] + (try packed(bucket.bytes))
        ))
    }
    if let former = before.state, former.snapshotSequence != change.state.snapshotSequence {
      statements.append(
        (
          """
          DELETE FROM fraud.state_deltas
          WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND seq <= $5
          """, key + [.integer(change.state.snapshotSequence)]
        ))
    }
    return statements
  }

  private static func discarding(_ key: [PostgresValue]) -> [CommitRows.Statement] {
    ["fraud.state_deltas", "fraud.state_buckets"].map { table in
      (
        "DELETE FROM \(table) WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4", key
      )
    }
  }

  /// Format, codec, count of bytes, checksum and blob.
  private static func packed(_ bytes: [UInt8]) throws(StoreError) -> [PostgresValue] {
    let blob = try compressed(bytes)
    return [
      .integer(format), .text("zstd"), .integer(Int64(bytes.count)), .integer(checksum(blob)),
      .bytes(blob),
    ]
  }

  static func compressed(_ bytes: [UInt8]) throws(StoreError) -> [UInt8] {
    var compressor = ZstdCompressor()
    var blob: [UInt8] = []
    _ = try compressor.compress(bytes, appendingTo: &blob)
    return blob
  }

  /// The bytes of a row that ends with format, codec, count of bytes, checksum and blob.
  ///
  /// - Parameter what: the row, for the error.
  static func unpacked(
    _ rows: borrowing PostgresResult, _ row: Int, from column: Int, _ what: String
  ) throws(StoreError) -> [UInt8] {
    let form = try rows.required(rows.integer(row, column))
    let codec = try rows.required(rows.text(row, column + 1))
    guard form == format, codec == "zstd" else {
      throw damaged("\(what) has format \(form) with \(codec), which this version of fraudctl does not know")
    }
    let count = try rows.required(rows.integer(row, column + 2))
    return try unpacked(
      rows.required(rows.bytes(row, column + 4)), byteCount: count,
      checksum: rows.required(rows.integer(row, column + 3)), what)
  }

  /// What a blob was packed from.
  static func unpacked(
    _ blob: [UInt8], byteCount count: Int64, checksum expected: Int64, _ what: String
  ) throws(StoreError) -> [UInt8] {
    guard checksum(blob) == expected else { throw damaged("\(what) is damaged: its checksum does not hold") }
    guard count >= 0, count <= Limits.stateBlobBytes else { throw damaged("\(what) says that it has \(count) bytes") }
    var bytes = [UInt8](repeating: 0, count: Int(count))
    do throws(StoreError) {
      try unsafe ZstdDecompressor().decompress(blob.span.bytes, into: &bytes, 0..<bytes.count)
    } catch {
      throw damaged("\(what) is damaged: it does not unpack to \(count) bytes")
    }
    return bytes
  }

  static func checksum(_ blob: [UInt8]) -> Int64 {
    // The span lives as long as the blob, which is lent to this call.
    Int64(unsafe Checksum.crc32c(of: blob.span.bytes))
  }

  static func damaged(_ message: String) -> StoreError {
    StoreError(
      code: .corrupt,
      message: "the stored state of the features cannot be used: \(message)."
        + " Restore the database, or discard the state with `fraudctl pipeline reset`")
  }
}

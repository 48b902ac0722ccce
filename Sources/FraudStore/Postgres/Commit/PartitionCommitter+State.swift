public import FraudCore

extension PartitionCommitter {
  /// Reads what is stored of a partition's features, in one snapshot of the database.
  ///
  /// - Throws: ``StoreError``: `.fenced` where the partition is no longer as `progress` says, `.corrupt` where a bucket or
  ///   a delta is missing or damaged; what `body` throws.
  public mutating func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {
    guard let state = progress.state else { return }
    let (owner, failpoint) = (self.owner, self.failpoint)
    var bodyError: (any Error)?
    do {
      try withConnection { connection throws(StoreError) in
        try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        do throws(StoreError) {
          try Self.checkUnchanged(progress, owner, &connection)
          // The body's error goes around the connection, which it says nothing about.
          func hand(_ part: StoredBytes) throws(StoreError) {
            do { try body(part) } catch {
              bodyError = error
              throw StateRows.damaged("it was refused")
            }
          }
          try Self.readBuckets(progress, state, &connection, hand)
          failpoint?("restoring")
          try Self.readDeltas(progress, state, &connection, hand)
        } catch {
          connection.rollback()
          throw error
        }
        try connection.execute("COMMIT")
      }
    } catch {
      throw bodyError ?? error
    }
  }

  private static func checkUnchanged(
    _ progress: PartitionProgress, _ owner: UniqueID, _ connection: inout PostgresConnection
  ) throws(StoreError) {
    let row = try connection.query(
      """
      SELECT seq FROM fraud.partitions
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND owner = $5 AND epoch = $6
      """, key(progress.pipelineID, progress.source) + [.id(owner), .integer(progress.epoch)])
    guard row.rowCount == 1, try row.integer(0, 0) == progress.sequence else {
      throw StoreError(
        code: .fenced,
        message: "another process has taken \(progress.source.topic), partition \(progress.source.partition)")
    }
  }

  private static func readBuckets(
    _ progress: PartitionProgress, _ state: StoredState, _ connection: inout PostgresConnection,
    _ hand: (StoredBytes) throws(StoreError) -> Void
  ) throws(StoreError) {
    let key = key(progress.pipelineID, progress.source)
    // The newest come last, and of those bucket 0: what they say of the whole partition holds.
    let list = try connection.query(
      """
      SELECT bucket, as_of_seq FROM fraud.state_buckets
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 ORDER BY as_of_seq, bucket DESC
      """, key)
    var found: UInt64 = 0
    for row in 0..<list.rowCount {
      let bucket = try list.required(list.integer(row, 0))
      let asOf = try list.required(list.integer(row, 1))
      guard bucket >= 0, bucket < FeatureState.bucketCount, asOf <= progress.sequence else {
        throw StateRows.damaged("there is a bucket \(bucket) as of commit \(asOf) of \(progress.sequence)")
      }
      found |= 1 << UInt64(bucket)
    }
    guard found == state.buckets else {
      let missing = (0..<FeatureState.bucketCount).filter { (found ^ state.buckets) >> UInt64($0) & 1 == 1 }
      throw StateRows.damaged("buckets \(missing) should be stored and are not, or the other way round")
    }
    for row in 0..<list.rowCount {
      let bucket = try list.required(list.integer(row, 0))
      let rows = try connection.query(
        """
        SELECT format, codec, byte_count, crc32c, blob FROM fraud.state_buckets
        WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND bucket = $5
        """, key + [.integer(bucket)])
      guard rows.rowCount == 1 else { throw StateRows.damaged("bucket \(bucket) is missing") }
      try hand(.bucket(try StateRows.unpacked(rows, 0, from: 0, "bucket \(bucket)")))
    }
  }

  private static func readDeltas(
    _ progress: PartitionProgress, _ state: StoredState, _ connection: inout PostgresConnection,
    _ hand: (StoredBytes) throws(StoreError) -> Void
  ) throws(StoreError) {
    guard state.snapshotSequence <= progress.sequence else {
      throw StateRows.damaged(
        "its snapshot is of commit \(state.snapshotSequence), the partition at \(progress.sequence)")
    }
    var sequence = state.snapshotSequence
    var offset: Int64?
    while sequence < progress.sequence {
      let rows = try connection.query(
        """
        SELECT seq, first_offset, next_offset, format, codec, byte_count, crc32c, blob FROM fraud.state_deltas
        WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND seq > $5
        ORDER BY seq LIMIT 16
        """, key(progress.pipelineID, progress.source) + [.integer(sequence)])
      for row in 0..<rows.rowCount where sequence < progress.sequence {
        sequence &+= 1
        let first = try rows.required(rows.integer(row, 1))
        guard try rows.integer(row, 0) == sequence, offset == nil || offset == first else {
          throw StateRows.damaged("the delta of commit \(sequence) is missing")
        }
        offset = try rows.integer(row, 2)
        try hand(.delta(try StateRows.unpacked(rows, row, from: 3, "the delta of commit \(sequence)")))
      }
      if rows.rowCount == 0 { throw StateRows.damaged("the delta of commit \(sequence &+ 1) is missing") }
    }
    guard offset == nil || offset == progress.nextOffset else {
      throw StateRows.damaged("its last delta does not end where the partition is")
    }
  }
}

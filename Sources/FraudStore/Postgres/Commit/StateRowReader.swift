import FraudCore

/// Reads the rows of one partition's state within one transaction: what they are from the database, their bytes from copies
/// where there are any.
struct StateRowReader {
  let progress: PartitionProgress
  let state: StoredState
  var cache: StateCache?
  /// The rows that make up the state.
  private var rows: [StateRow] = []

  init(progress: PartitionProgress, state: StoredState, cache: StateCache?) {
    self.progress = progress
    self.state = state
    self.cache = cache
  }

  private var key: [PostgresValue] { PartitionCommitter.key(progress.pipelineID, progress.source) }

  mutating func readBuckets(
    _ connection: inout PostgresConnection, _ hand: (StoredBytes) throws(StoreError) -> Void
  ) throws(StoreError) {
    // The newest come last, and of those bucket 0: what they say of the whole partition holds.
    let list = try connection.query(
      """
      SELECT bucket, as_of_seq, batch_id, byte_count FROM fraud.state_buckets
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
      let asOf = try list.required(list.integer(row, 1))
      let copied = try stateRow(.bucket, bucket, asOf, list, row, from: 2)
      if let bytes = copy(of: copied) {
        try hand(.bucket(bytes))
        continue
      }
      let rows = try connection.query(
        """
        SELECT format, codec, byte_count, crc32c, blob FROM fraud.state_buckets
        WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND bucket = $5
        """, key + [.integer(bucket)])
      guard rows.rowCount == 1 else { throw StateRows.damaged("bucket \(bucket) is missing") }
      let bytes = try StateRows.unpacked(rows, 0, from: 0, "bucket \(bucket)")
      try hand(.bucket(bytes))
      keep(bytes, of: copied)
    }
  }

  mutating func readDeltas(
    _ connection: inout PostgresConnection, _ hand: (StoredBytes) throws(StoreError) -> Void
  ) throws(StoreError) {
    guard state.snapshotSequence <= progress.sequence else {
      throw StateRows.damaged(
        "its snapshot is of commit \(state.snapshotSequence), the partition at \(progress.sequence)")
    }
    let list = try connection.query(
      """
      SELECT seq, first_offset, next_offset, batch_id, byte_count FROM fraud.state_deltas
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND seq > $5 ORDER BY seq
      """, key + [.integer(state.snapshotSequence)])
    let (expected, overflow) = progress.sequence.subtractingReportingOverflow(state.snapshotSequence)
    guard !overflow, Int64(list.rowCount) >= expected else {
      throw StateRows.damaged("the delta of a commit before \(progress.sequence) is missing")
    }
    // Rows fetched together, the first of them and how many.
    var blobs: PostgresResult?
    var fetched = 0..<0
    var offset: Int64?
    for row in 0..<list.rowCount {
      let sequence = state.snapshotSequence &+ Int64(row) &+ 1
      if sequence > progress.sequence { break }
      let first = try list.required(list.integer(row, 1))
      guard try list.integer(row, 0) == sequence, offset == nil || offset == first else {
        throw StateRows.damaged("the delta of commit \(sequence) is missing")
      }
      offset = try list.integer(row, 2)
      let copied = try stateRow(.delta, sequence, sequence, list, row, from: 3)
      if let bytes = copy(of: copied) {
        try hand(.delta(bytes))
        continue
      }
      if !fetched.contains(row) {
        let rows = try connection.query(
          """
          SELECT format, codec, byte_count, crc32c, blob FROM fraud.state_deltas
          WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND seq >= $5
          ORDER BY seq LIMIT 16
          """, key + [.integer(sequence)])
        fetched = row..<row + rows.rowCount
        blobs = consume rows
      }
      let what = "the delta of commit \(sequence)"
      guard let bytes = try blobs?.unpackedState(row - fetched.lowerBound, what) else {
        throw StateRows.damaged("\(what) is missing")
      }
      try hand(.delta(bytes))
      keep(bytes, of: copied)
    }
    guard offset == nil || offset == progress.nextOffset else {
      throw StateRows.damaged("its last delta does not end where the partition is")
    }
  }

  /// Removes copies of anything else that this partition had.
  func removeOtherCopies() {
    cache?.removeAll(but: rows, progress.pipelineID, progress.source)
  }

  /// What says of a copy that it is one; `nil` for a row from before commits were named.
  private mutating func stateRow(
    _ kind: StateRow.Kind, _ number: Int64, _ sequence: Int64, _ list: borrowing PostgresResult, _ row: Int,
    from column: Int
  ) throws(StoreError) -> StateRow? {
    let count = try list.required(list.integer(row, column + 1))
    guard cache != nil, let batchID = try list.id(row, column), count >= 0, count <= Limits.stateBlobBytes else {
      return nil
    }
    let found = StateRow(kind: kind, number: number, sequence: sequence, batchID: batchID, byteCount: Int(count))
    rows.append(found)
    return found
  }

  private mutating func copy(of row: StateRow?) -> [UInt8]? {
    row.flatMap { cache?.bytes(of: $0, progress.pipelineID, progress.source) }
  }

  private mutating func keep(_ bytes: [UInt8], of row: StateRow?) {
    if let row { cache?.keep(bytes, of: row, progress.pipelineID, progress.source) }
  }
}

extension PostgresResult {
  /// See ``StateRows/unpacked(_:_:from:_:)``; `nil` where there is no such row.
  fileprivate borrowing func unpackedState(_ row: Int, _ what: String) throws(StoreError) -> [UInt8]? {
    row < rowCount ? try StateRows.unpacked(self, row, from: 0, what) : nil
  }
}

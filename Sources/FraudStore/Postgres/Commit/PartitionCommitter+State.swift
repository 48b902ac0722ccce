public import FraudCore

extension PartitionCommitter {
  /// Keeps copies of what features remember in files, from which a restart on this machine goes on sooner.
  ///
  /// They are never trusted more than the database, which says what the state is made of: what is not the very same, or
  /// damaged, is read from there.
  ///
  /// - Parameters:
  ///   - directory: where; made when it is needed. Processes may share one.
  ///   - warn: hears of a copy that is damaged or cannot be written.
  public mutating func keepState(in directory: String, warn: @escaping @Sendable (String) -> Void) {
    cache = StateCache(root: directory, owner: owner, warn: warn)
  }

  /// Copies what a commit has just written.
  mutating func keepCopies(of unit: CommitUnit) {
    for advance in unit.advances {
      let (pipelineID, source) = (advance.progress.pipelineID, advance.progress.source)
      guard let change = advance.stateChange else { continue }
      let sequence = advance.progress.sequence &+ 1
      if let delta = change.delta {
        let row = StateRow(
          kind: .delta, number: sequence, sequence: sequence, batchID: unit.batchID, byteCount: delta.count)
        cache?.keep(delta, of: row, pipelineID, source)
      }
      for bucket in change.buckets {
        let row = StateRow(
          kind: .bucket, number: Int64(bucket.number), sequence: sequence, batchID: unit.batchID,
          byteCount: bucket.bytes.count)
        cache?.keep(bucket.bytes, of: row, pipelineID, source)
      }
      if let former = advance.progress.state, former.snapshotSequence < change.state.snapshotSequence {
        cache?.removeDeltas(former.snapshotSequence &+ 1...change.state.snapshotSequence, pipelineID, source)
      }
    }
  }

  /// Reads what is stored of a partition's features, in one snapshot of the database.
  ///
  /// - Throws: ``StoreError``: `.fenced` where the partition is no longer as `progress` says, `.corrupt` where a bucket or
  ///   a delta is missing or damaged, `.unavailable` where `body` refuses a copy, which is not used again; what `body`
  ///   throws.
  public mutating func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {
    guard let state = progress.state else { return }
    let (owner, failpoint) = (self.owner, self.failpoint)
    var cache = self.cache
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
          var reader = StateRowReader(progress: progress, state: state, cache: cache)
          defer { cache = reader.cache }
          try reader.readBuckets(&connection, hand)
          failpoint?("restoring")
          try reader.readDeltas(&connection, hand)
          reader.removeOtherCopies()
        } catch {
          connection.rollback()
          throw error
        }
        try connection.execute("COMMIT")
      }
    } catch {
      guard let bodyError, let cache, cache.wasUsed else { throw bodyError ?? error }
      cache.removeAll(but: [], progress.pipelineID, progress.source)
      throw StoreError(
        code: .unavailable, message: "a copy of state was refused, it is read from the database (\(bodyError))")
    }
    self.cache = cache
  }
}

/// What commits of pipelines with streams took of each topic, as it is kept.
package enum CommitRanges {
  /// Removes ranges that are older than a time and that no stored state needs: those of commits that the snapshots of what
  /// features remember stand for. What is left gives, evaluated behind these snapshots, what was decided since.
  ///
  /// - Returns: how many rows went.
  /// - Complexity: one scan of the table.
  @discardableResult
  package static func prune(
    olderThan seconds: Int64, on connection: inout PostgresConnection
  ) throws(StoreError) -> Int {
    try connection.execute(
      """
      DELETE FROM fraud.commit_ranges AS r USING fraud.partitions AS p
      WHERE r.committed_at < now() - make_interval(secs => $1) AND r.seq <= p.snapshot_seq
        AND p.pipeline_id = r.pipeline_id AND p.topic = r.topic AND p.generation = r.generation
        AND p.partition = r.partition
      """, [.integer(seconds)])
  }
}

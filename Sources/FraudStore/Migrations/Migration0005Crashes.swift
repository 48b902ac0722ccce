extension Migration {
  /// What crashes leave, so that a record which causes them is found.
  static let crashes = Migration(
    number: 5, name: "crashes",
    sql: """
      ALTER TABLE fraud.partitions
        ADD COLUMN crash_count int NOT NULL DEFAULT 0,
        ADD COLUMN inflight_offset bigint;
      COMMENT ON COLUMN fraud.partitions.crash_count IS
        'Owners in a row that went without a word and without a commit.';
      COMMENT ON COLUMN fraud.partitions.inflight_offset IS
        'The record that a careful owner is evaluating; found by the next owner, it is the one that makes them crash.';
      """)
}

extension Migration {
  /// Which commit wrote what is stored of features, so that a copy kept elsewhere is known to be one.
  static let stateCommits = Migration(
    number: 6, name: "state_commits",
    sql: """
      ALTER TABLE fraud.state_deltas ADD COLUMN batch_id uuid;
      ALTER TABLE fraud.state_buckets ADD COLUMN batch_id uuid;
      COMMENT ON COLUMN fraud.state_deltas.batch_id IS 'The commit that wrote it, by a name that no other commit has.';
      COMMENT ON COLUMN fraud.state_buckets.batch_id IS 'The commit that wrote it, by a name that no other commit has.';
      """)
}

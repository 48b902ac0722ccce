extension Migration {
  /// What tells a record that kills its owners from one that was in hand when an owner was killed from outside.
  static let trials = Migration(
    number: 7, name: "trials",
    sql: """
      ALTER TABLE fraud.partitions ADD COLUMN inflight_trial boolean NOT NULL DEFAULT false;
      COMMENT ON COLUMN fraud.partitions.inflight_offset IS
        'The record that a careful owner has in hand; found by the next owner, it is put to the trial.';
      COMMENT ON COLUMN fraud.partitions.inflight_trial IS
        'The noted record is evaluated alone, an owner having died with it before: found so, it is rejected unseen.';
      """)
}

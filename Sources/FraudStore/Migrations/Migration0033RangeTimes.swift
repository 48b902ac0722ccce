extension Migration {
  /// When commits took their ranges, so that old ones can go.
  static let rangeTimes = Migration(
    number: 33, name: "range_times",
    sql: """
      ALTER TABLE fraud.commit_ranges ADD COLUMN committed_at timestamptz NOT NULL DEFAULT now();
      """)
}

extension Migration {
  /// What became of rejected events that were tried again.
  static let redrives = Migration(
    number: 10, name: "redrives",
    sql: """
      -- A rejected event stays where it is, as the proof that it was rejected; these say what came of it later.
      ALTER TABLE fraud.rejected_events
        ADD COLUMN redriven_as text CHECK (redriven_as IN ('scored', 'published')),
        ADD COLUMN redriven_at timestamptz,
        ADD COLUMN redriven_version int;
      CREATE INDEX rejected_events_open ON fraud.rejected_events (pipeline_id, topic, generation, partition, "offset")
        WHERE redriven_as IS NULL;
      """)
}

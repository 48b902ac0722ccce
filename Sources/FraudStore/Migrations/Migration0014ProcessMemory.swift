extension Migration {
  /// What processes hold in memory.
  static let processMemory = Migration(
    number: 14, name: "process_memory",
    sql: """
      ALTER TABLE fraud.processes
        ADD COLUMN buffered_bytes bigint,
        ADD COLUMN buffered_bytes_max bigint,
        ADD COLUMN state_bytes bigint,
        ADD COLUMN state_keys bigint,
        ADD COLUMN delta_bytes bigint;
      COMMENT ON COLUMN fraud.processes.buffered_bytes IS 'Records that were read and are not committed.';
      COMMENT ON COLUMN fraud.processes.buffered_bytes_max IS 'What buffered_bytes stays below.';
      COMMENT ON COLUMN fraud.processes.state_bytes IS 'What features remember, in memory.';
      COMMENT ON COLUMN fraud.processes.delta_bytes IS 'Stored deltas that a restart reads behind the buckets.';
      """)
}

extension Migration {
  /// What features remember, by partition: a delta with each commit, and snapshots of 64 buckets of keys.
  static let state = Migration(
    number: 3, name: "state",
    sql: """
      ALTER TABLE fraud.partitions
        ADD COLUMN state_identity uuid,
        ADD COLUMN snapshot_seq bigint,
        ADD COLUMN state_buckets bigint;
      COMMENT ON COLUMN fraud.partitions.state_identity IS
        'Which features fraud.state_deltas and fraud.state_buckets are of; null where nothing is stored.';
      COMMENT ON COLUMN fraud.partitions.snapshot_seq IS
        'The commit up to which the buckets hold everything; there is a delta of every later one.';
      COMMENT ON COLUMN fraud.partitions.state_buckets IS 'The buckets that are stored, a bit each.';

      CREATE TABLE fraud.state_deltas (
        pipeline_id  int NOT NULL,
        topic        text NOT NULL,
        generation   text NOT NULL,
        partition    int NOT NULL,
        seq          bigint NOT NULL,
        first_offset bigint NOT NULL,
        next_offset  bigint NOT NULL,
        format       int NOT NULL,
        codec        text NOT NULL,
        byte_count   bigint NOT NULL,
        crc32c       bigint NOT NULL,
        blob         bytea NOT NULL,
        PRIMARY KEY (pipeline_id, topic, generation, partition, seq)
      );
      COMMENT ON COLUMN fraud.state_deltas.byte_count IS 'Of the bytes that the blob unpacks to.';
      COMMENT ON COLUMN fraud.state_deltas.crc32c IS 'Of the blob as it is stored.';

      CREATE TABLE fraud.state_buckets (
        pipeline_id  int NOT NULL,
        topic        text NOT NULL,
        generation   text NOT NULL,
        partition    int NOT NULL,
        bucket       smallint NOT NULL,
        as_of_seq    bigint NOT NULL,
        format       int NOT NULL,
        codec        text NOT NULL,
        byte_count   bigint NOT NULL,
        crc32c       bigint NOT NULL,
        blob         bytea NOT NULL,
        PRIMARY KEY (pipeline_id, topic, generation, partition, bucket)
      );

      -- Blobs are compressed already.
      ALTER TABLE fraud.state_deltas ALTER COLUMN blob SET STORAGE EXTERNAL;
      ALTER TABLE fraud.state_buckets ALTER COLUMN blob SET STORAGE EXTERNAL;
      """)
}

extension Migration {
  /// From which offset of a partition which version decided.
  static let activations = Migration(
    number: 4, name: "activations",
    sql: """
      CREATE TABLE fraud.activations (
        pipeline_id  int NOT NULL,
        topic        text NOT NULL,
        generation   text NOT NULL,
        partition    int NOT NULL,
        from_offset  bigint NOT NULL,
        version      int NOT NULL,
        activated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, topic, generation, partition, from_offset)
      );
      COMMENT ON TABLE fraud.activations IS
        'Written in the commit that moves a partition with another version than the one before: it decided from from_offset on.';
      """)
}

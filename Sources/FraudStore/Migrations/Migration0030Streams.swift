extension Migration {
  /// How far pipelines are in the topics that they read beside the scored one.
  static let streams = Migration(
    number: 30, name: "streams",
    sql: """
      CREATE TABLE fraud.stream_progress (
        pipeline_id  int NOT NULL,
        topic        text NOT NULL,
        generation   text NOT NULL,
        partition    int NOT NULL,
        stream_topic text NOT NULL,
        start_offset bigint NOT NULL,
        next_offset  bigint NOT NULL,
        accepted     bigint NOT NULL,
        rejected     bigint NOT NULL,
        PRIMARY KEY (pipeline_id, topic, generation, partition, stream_topic)
      );
      COMMENT ON TABLE fraud.stream_progress IS
        'By partition of the scored topic, whose row in fraud.partitions is the fence of this one, too.';

      CREATE TABLE fraud.commit_ranges (
        pipeline_id      int NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        seq              bigint NOT NULL,
        read_topic       text NOT NULL,
        first_offset     bigint NOT NULL,
        next_offset      bigint NOT NULL,
        pipeline_version int NOT NULL,
        PRIMARY KEY (pipeline_id, topic, generation, partition, seq, read_topic)
      );
      COMMENT ON TABLE fraud.commit_ranges IS
        'What each commit of a pipeline with streams evaluated of each topic, first offset included and next one not. Within
        a commit events are ordered by event time, then the streams in the order of the definition and the scored topic
        behind them, then offset; so these ranges give the same alerts again.';
      """)
}

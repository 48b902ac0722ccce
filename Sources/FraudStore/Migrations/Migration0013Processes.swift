extension Migration {
  /// How the processes are that run pipelines now.
  static let processes = Migration(
    number: 13, name: "processes",
    sql: """
      CREATE TABLE fraud.processes (
        pipeline_id       int NOT NULL REFERENCES fraud.pipelines ON DELETE CASCADE,
        owner_name        text NOT NULL,
        started_at        timestamptz NOT NULL,
        updated_at        timestamptz NOT NULL DEFAULT now(),
        pipeline_version  int,
        events            bigint NOT NULL,
        events_per_second double precision,
        alerts            bigint NOT NULL,
        commits           bigint NOT NULL,
        commit_ms_p50     double precision,
        commit_ms_p99     double precision,
        latency_ms_p50    double precision,
        latency_ms_p99    double precision,
        lag_records       bigint,
        memory_bytes      bigint,
        holding           text,
        PRIMARY KEY (pipeline_id, owner_name)
      );
      COMMENT ON TABLE fraud.processes IS
        'One row a process and pipeline, written every second while it runs, counted since its start.';
      """)
}

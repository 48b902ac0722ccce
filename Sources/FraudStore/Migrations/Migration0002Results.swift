extension Migration {
  /// What processing leaves: progress and ownership of each partition, alerts, rejected events, rule errors.
  ///
  /// Rows written per event carry no foreign key: the check would lock the pipeline's row for each of them. The row of
  /// `partitions`, which each commit updates first, has it instead, and a pipeline is deleted with everything of it.
  static let results = Migration(
    number: 2, name: "results",
    sql: """
      CREATE TABLE fraud.partitions (
        pipeline_id      int NOT NULL REFERENCES fraud.pipelines,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        owner            uuid NOT NULL,
        epoch            bigint NOT NULL,
        owner_name       text NOT NULL,
        backend_pid      int NOT NULL,
        owned_at         timestamptz NOT NULL DEFAULT now(),
        released_at      timestamptz,
        start_offset     bigint NOT NULL,
        next_offset      bigint NOT NULL,
        seq              bigint NOT NULL DEFAULT 0,
        batch_id         uuid,
        committed_at     timestamptz,
        pipeline_version int,
        watermark        timestamptz,
        max_event_time   timestamptz,
        accepted         bigint NOT NULL DEFAULT 0,
        rejected         bigint NOT NULL DEFAULT 0,
        skipped          bigint NOT NULL DEFAULT 0,
        late             bigint NOT NULL DEFAULT 0,
        unknown_fields   bigint NOT NULL DEFAULT 0,
        decisions        bigint NOT NULL DEFAULT 0,
        alerts           bigint NOT NULL DEFAULT 0,
        positives        bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (pipeline_id, topic, generation, partition)
      ) WITH (fillfactor = 50);
      COMMENT ON TABLE fraud.partitions IS
        'One row a partition: who owns it, how far it is. Each commit updates it first, in the same transaction.';

      CREATE TABLE fraud.alerts (
        id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        alert_id         uuid NOT NULL UNIQUE,
        pipeline         text NOT NULL,
        pipeline_id      int NOT NULL,
        pipeline_version int,
        event_id         text,
        event_time       timestamptz,
        rule_id          text,
        rule_description text,
        severity         text,
        score            double precision,
        risk_level       text,
        reasons          jsonb,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        "offset"         bigint NOT NULL,
        line             bigint,
        transaction_data jsonb,
        sanitized        boolean NOT NULL DEFAULT false,
        created_at       timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX alerts_created_at ON fraud.alerts USING brin (created_at);
      CREATE INDEX alerts_pipeline ON fraud.alerts (pipeline_id, id);

      CREATE TABLE fraud.shadow_alerts (
        LIKE fraud.alerts INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES
      );

      CREATE TABLE fraud.rejected_events (
        pipeline_id      int NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        "offset"         bigint NOT NULL,
        pipeline         text NOT NULL,
        pipeline_version int,
        reason           text NOT NULL,
        detail           text,
        field            text,
        line             bigint,
        payload          bytea,
        payload_length   bigint,
        sha256           text,
        created_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, topic, generation, partition, "offset")
      );
      COMMENT ON COLUMN fraud.rejected_events.payload IS
        'The event, or its head where payload_length says that it was longer; sha256 is of the whole.';
      CREATE INDEX rejected_events_created_at ON fraud.rejected_events USING brin (created_at);

      CREATE TABLE fraud.rule_errors (
        pipeline_id      int NOT NULL,
        pipeline_version int NOT NULL,
        rule_id          text NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        "offset"         bigint NOT NULL,
        line             bigint,
        event_id         text,
        code             text NOT NULL,
        message          text NOT NULL,
        created_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, pipeline_version, rule_id, topic, generation, partition, "offset")
      );

      -- All errors, of which rule_errors keeps the first of each rule, partition and version.
      CREATE TABLE fraud.rule_error_counts (
        pipeline_id      int NOT NULL,
        pipeline_version int NOT NULL,
        rule_id          text NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        errors           bigint NOT NULL,
        PRIMARY KEY (pipeline_id, pipeline_version, rule_id, topic, generation, partition)
      );

      -- The alert table under the name and with the columns of the first reference system. `timestamp` without a zone
      -- is in the reader's zone, so that comparing it with now() is right in every one.
      CREATE VIEW public.fraud_alerts AS
        SELECT id, pipeline_id, severity::varchar(50) AS severity, rule_description,
               created_at::timestamp AS alert_timestamp, transaction_data
        FROM fraud.alerts;
      """)
}

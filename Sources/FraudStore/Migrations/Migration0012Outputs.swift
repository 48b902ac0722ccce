extension Migration {
  /// What a commit writes for others: experiments, current features, alerts on their way to a topic.
  static let outputs = Migration(
    number: 12, name: "outputs",
    sql: """
      -- Both arms of a rule that is in force for a share of the keys.
      CREATE TABLE fraud.experiment_counts (
        pipeline_id      int NOT NULL,
        pipeline_version int NOT NULL,
        rule_id          text NOT NULL,
        topic            text NOT NULL,
        generation       text NOT NULL,
        partition        int NOT NULL,
        is_treated       boolean NOT NULL,
        share            double precision NOT NULL,
        events           bigint NOT NULL,
        alerts           bigint NOT NULL,
        positives        bigint NOT NULL,
        true_positives   bigint NOT NULL,
        false_positives  bigint NOT NULL,
        PRIMARY KEY (pipeline_id, pipeline_version, rule_id, topic, generation, partition, is_treated)
      );

      CREATE TABLE fraud.online_features (
        pipeline_id      int NOT NULL,
        key              text NOT NULL,
        features         jsonb NOT NULL,
        event_time       timestamptz,
        pipeline_version int NOT NULL,
        topic            text NOT NULL,
        partition        int NOT NULL,
        "offset"         bigint NOT NULL,
        updated_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, key)
      ) WITH (fillfactor = 70);
      COMMENT ON TABLE fraud.online_features IS
        'The features of each key as they were at its last event, where the pipeline says online_features.';

      CREATE TABLE fraud.alert_outbox (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        pipeline_id int NOT NULL,
        alert_id    uuid NOT NULL UNIQUE,
        target      text NOT NULL,
        key         bytea,
        payload     bytea NOT NULL,
        -- The transaction that publishes it, once it was chosen for one.
        batch       uuid
      );
      CREATE INDEX alert_outbox_pipeline ON fraud.alert_outbox (pipeline_id, id);
      COMMENT ON TABLE fraud.alert_outbox IS 'Alerts that are not in their topic yet; a relay deletes what it has published.';

      -- Who publishes a pipeline's alerts. A relay that has lost its row chooses no more alerts.
      CREATE TABLE fraud.alert_relays (
        pipeline_id int PRIMARY KEY REFERENCES fraud.pipelines ON DELETE CASCADE,
        owner       uuid NOT NULL,
        owner_name  text NOT NULL,
        owned_at    timestamptz NOT NULL DEFAULT now()
      );
      """)
}

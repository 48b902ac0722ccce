extension Migration {
  /// What is configured: pipelines, their versions, their rules, who changed what.
  static let pipelines = Migration(
    number: 1, name: "pipelines",
    sql: """
      CREATE TABLE fraud.pipelines (
        id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name       text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_-]{1,64}$'),
        created_at timestamptz NOT NULL DEFAULT now(),
        -- The version that processors run; null until the first one is there.
        active_version int
      );

      CREATE TABLE fraud.pipeline_versions (
        pipeline_id int NOT NULL REFERENCES fraud.pipelines ON DELETE CASCADE,
        version     int NOT NULL CHECK (version >= 1),
        sha256      text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
        definition  jsonb NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        author      text NOT NULL,
        note        text,
        PRIMARY KEY (pipeline_id, version),
        UNIQUE (pipeline_id, sha256)
      );

      -- A rule keeps its number for as long as its pipeline lives, whatever versions it comes and goes with.
      CREATE TABLE fraud.rules (
        id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        pipeline_id int NOT NULL REFERENCES fraud.pipelines ON DELETE CASCADE,
        rule_id     text NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        UNIQUE (pipeline_id, rule_id)
      );

      CREATE TABLE fraud.audit_log (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at          timestamptz NOT NULL DEFAULT now(),
        who         text NOT NULL,
        action      text NOT NULL,
        pipeline    text,
        version     int,
        why         text,
        detail      jsonb
      );
      CREATE INDEX audit_log_pipeline ON fraud.audit_log (pipeline, id);

      -- A version is gone only when its pipeline is: the cascade runs inside another trigger.
      CREATE FUNCTION fraud.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
      BEGIN
        IF TG_OP = 'DELETE' AND TG_ARGV[0] = 'cascade' AND pg_trigger_depth() > 1 THEN
          RETURN OLD;
        END IF;
        RAISE EXCEPTION 'rows of %.% never change', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = '55000';
      END
      $$;
      CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON fraud.pipeline_versions
        FOR EACH ROW EXECUTE FUNCTION fraud.refuse_change('cascade');
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fraud.audit_log
        FOR EACH ROW EXECUTE FUNCTION fraud.refuse_change('');
      CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON fraud.audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change('');
      CREATE TRIGGER immutable_truncate BEFORE TRUNCATE ON fraud.pipeline_versions
        FOR EACH STATEMENT EXECUTE FUNCTION fraud.refuse_change('');
      """)
}

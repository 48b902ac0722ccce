extension Migration {
  /// What people add to and take out of lists beside the definition's file.
  static let lists = Migration(
    number: 11, name: "lists",
    sql: """
      CREATE TABLE fraud.list_entries (
        pipeline_id int NOT NULL REFERENCES fraud.pipelines ON DELETE CASCADE,
        list        text NOT NULL,
        value       text NOT NULL,
        -- false: taken out, although the definition's file has it.
        is_present  boolean NOT NULL,
        expires_at  timestamptz CHECK (is_present OR expires_at IS NULL),
        reason      text,
        who         text NOT NULL,
        changed_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline_id, list, value)
      );
      CREATE INDEX list_entries_expiry ON fraud.list_entries (expires_at) WHERE expires_at IS NOT NULL;
      COMMENT ON TABLE fraud.list_entries IS
        'Values added to or removed from a list by command. Versions of the pipeline hold the lists whole; this says why.';
      """)
}

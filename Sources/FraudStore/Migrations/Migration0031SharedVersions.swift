extension Migration {
  /// Versions that are in force for a share of the keys, beside a control.
  static let sharedVersions = Migration(
    number: 31, name: "shared versions",
    sql: """
      -- The same content beside another control is another version: so a version says who decides every key, for good.
      ALTER TABLE fraud.pipeline_versions ADD COLUMN control_version int;
      ALTER TABLE fraud.pipeline_versions ADD FOREIGN KEY (pipeline_id, control_version)
        REFERENCES fraud.pipeline_versions (pipeline_id, version);
      ALTER TABLE fraud.pipeline_versions DROP CONSTRAINT pipeline_versions_pipeline_id_sha256_key;
      CREATE UNIQUE INDEX pipeline_versions_content
        ON fraud.pipeline_versions (pipeline_id, sha256, coalesce(control_version, 0));
      COMMENT ON COLUMN fraud.pipeline_versions.control_version IS
        'The version that decides the events of the other keys, where this one is in force for a share of them.';
      COMMENT ON COLUMN fraud.experiment_counts.rule_id IS
        'The rule with a share; empty where the whole version has one, and then the control is that of the version.';
      """)
}

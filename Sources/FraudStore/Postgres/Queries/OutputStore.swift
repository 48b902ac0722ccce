public import FraudCore

/// Both arms of an experiment, as they were counted over all partitions.
public struct StoredExperiment: Sendable {
  /// The rule; empty where the whole version is in force for a share of the keys.
  public var ruleID: String
  /// The version of the pipeline.
  public var version: Int
  /// The version that decides the events of the other keys, where the whole version has a share.
  public var controlVersion: Int?
  /// Of all keys, in basis points.
  public var share: Int
  /// What was counted where the rule was in force.
  public var treated = RunSummary.Arm()
  /// What was counted where it was not.
  public var control = RunSummary.Arm()
}

/// Questions about experiments and about the features that are kept for other services.
public enum OutputStore {
  /// The experiments of a pipeline, the newest version first. Versions that differ only in what their lists hold, as
  /// `fraudctl list` makes them, are one experiment and count together.
  ///
  /// - Parameter version: only this one, alone.
  public static func experiments(
    of pipelineID: Int, version: Int? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredExperiment] {
    let rows = try connection.query(
      """
      WITH groups AS (
        SELECT v.version, max(v.version) OVER same AS newest, max(v.control_version) OVER same AS control
        FROM fraud.pipeline_versions v
        LEFT JOIN fraud.pipeline_versions c ON c.pipeline_id = v.pipeline_id AND c.version = v.control_version
        WHERE v.pipeline_id = $1 AND ($2::bigint IS NULL OR v.version = $2)
        WINDOW same AS (PARTITION BY v.definition - 'lists', c.definition - 'lists'))
      SELECT coalesce(g.newest, e.pipeline_version), e.rule_id, e.is_treated, max(e.share), sum(e.events)::bigint,
        sum(e.alerts)::bigint, sum(e.positives)::bigint, sum(e.true_positives)::bigint, sum(e.false_positives)::bigint,
        max(CASE WHEN e.rule_id = '' THEN g.control END)
      FROM fraud.experiment_counts e LEFT JOIN groups g ON g.version = e.pipeline_version
      WHERE e.pipeline_id = $1 AND ($2::bigint IS NULL OR e.pipeline_version = $2)
      GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
      """, [.integer(Int64(pipelineID)), .integer(orNull: version.map(Int64.init))])
    var experiments: [StoredExperiment] = []
    for row in 0..<rows.rowCount {
      let version = Int(try rows.required(rows.integer(row, 0)))
      let rule = try rows.required(rows.text(row, 1))
      if experiments.last?.version != version || experiments.last?.ruleID != rule {
        let share = Int((try rows.required(rows.double(row, 3)) * 10_000).rounded())
        experiments.append(
          StoredExperiment(
            ruleID: rule, version: version, controlVersion: try rows.integer(row, 9).map(Int.init), share: share))
      }
      var arm = RunSummary.Arm()
      arm.events = Int(try rows.required(rows.integer(row, 4)))
      arm.alerts = Int(try rows.required(rows.integer(row, 5)))
      arm.positives = Int(try rows.required(rows.integer(row, 6)))
      arm.hits.truePositives = Int(try rows.required(rows.integer(row, 7)))
      arm.hits.falsePositives = Int(try rows.required(rows.integer(row, 8)))
      let last = experiments.count - 1
      if try rows.required(rows.boolean(row, 2)) {
        experiments[last].treated = arm
      } else {
        experiments[last].control = arm
      }
    }
    return experiments
  }

  /// The current features of a key, as a JSON object with its position; by primary key.
  ///
  /// - Parameter pipelineID: only this pipeline's; without it those of every pipeline that knows the key.
  public static func features(
    ofKey key: String, pipelineID: Int? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> [String] {
    let rows = try connection.query(
      """
      SELECT json_build_object('pipeline', p.name, 'key', f.key, 'features', f.features,
        'event_time', \(AlertStore.rfc3339("f.event_time")), 'pipeline_version', f.pipeline_version, 'topic', f.topic,
        'partition', f.partition, 'offset', f."offset", 'updated_at', \(AlertStore.rfc3339("f.updated_at")))
      FROM fraud.online_features f JOIN fraud.pipelines p ON p.id = f.pipeline_id
      WHERE f.key = $1 AND f.pipeline_id IN (SELECT id FROM fraud.pipelines WHERE $2::bigint IS NULL OR id = $2)
      ORDER BY p.name
      """, [.text(key), .integer(orNull: pipelineID.map(Int64.init))])
    var found: [String] = []
    for row in 0..<rows.rowCount { found.append(try rows.required(rows.text(row, 0))) }
    return found
  }
}

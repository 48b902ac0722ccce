public import FraudCore

/// Both arms of an experiment, as they were counted over all partitions.
public struct StoredExperiment: Sendable {
  /// The rule.
  public var ruleID: String
  /// The version of the pipeline.
  public var version: Int
  /// Of all keys, in basis points.
  public var share: Int
  /// What was counted where the rule was in force.
  public var treated = RunSummary.Arm()
  /// What was counted where it was not.
  public var control = RunSummary.Arm()
}

/// Questions about experiments and about the features that are kept for other services.
public enum OutputStore {
  /// The experiments of a pipeline, the newest version first.
  ///
  /// - Parameter version: only this one.
  public static func experiments(
    of pipelineID: Int, version: Int? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredExperiment] {
    let rows = try connection.query(
      """
      SELECT pipeline_version, rule_id, is_treated, max(share), sum(events)::bigint, sum(alerts)::bigint,
        sum(positives)::bigint, sum(true_positives)::bigint, sum(false_positives)::bigint
      FROM fraud.experiment_counts WHERE pipeline_id = $1 AND ($2::bigint IS NULL OR pipeline_version = $2)
      GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3
      """, [.integer(Int64(pipelineID)), .integer(orNull: version.map(Int64.init))])
    var experiments: [StoredExperiment] = []
    for row in 0..<rows.rowCount {
      let version = Int(try rows.required(rows.integer(row, 0)))
      let rule = try rows.required(rows.text(row, 1))
      if experiments.last?.version != version || experiments.last?.ruleID != rule {
        let share = Int((try rows.required(rows.double(row, 3)) * 10_000).rounded())
        experiments.append(StoredExperiment(ruleID: rule, version: version, share: share))
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

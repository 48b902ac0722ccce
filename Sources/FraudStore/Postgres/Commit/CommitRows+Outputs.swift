import FraudCore

/// The statements that write what a commit gives to others.
extension CommitRows {
  /// All of a unit's; none for a pipeline that asks for none of it.
  static func outputs(_ unit: CommitUnit) -> [Statement] {
    var statements: [Statement] = []
    if unit.advances.contains(where: { !$0.experiments.isEmpty }) { statements.append(experiments(unit)) }
    if !unit.features.isEmpty { statements.append(features(unit)) }
    let rows = unit.aggregates.contains { unit.aggregateTopics[$0.row.aggregation] != nil }
    if rows || unit.alertsTopic != nil && !unit.alerts.isEmpty { statements.append(outbox(unit)) }
    return statements
  }

  private static func experiments(_ unit: CommitUnit) -> Statement {
    var (topics, generations, rules) = (PostgresArray(.text), PostgresArray(.text), PostgresArray(.text))
    var (partitions, arms, shares) = (PostgresArray(.integer), PostgresArray(.boolean), PostgresArray(.double))
    var versions = PostgresArray(.integer)
    var counts = [PostgresArray](repeating: PostgresArray(.integer), count: 5)
    for advance in unit.advances {
      for experiment in advance.experiments {
        for (isTreated, arm) in [(true, experiment.treated), (false, experiment.control)] where arm.events > 0 {
          versions.append(.integer(Int64(experiment.version ?? unit.pipelineVersion)))
          topics.append(.text(advance.progress.source.topic))
          generations.append(.text(advance.progress.source.generation))
          partitions.append(.integer(Int64(advance.progress.source.partition)))
          rules.append(.text(experiment.ruleID))
          arms.append(.boolean(isTreated))
          shares.append(.double(Double(experiment.share) / 10_000))
          let values = [
            arm.events, arm.alerts, arm.positives, arm.hits.truePositives, arm.hits.falsePositives,
          ]
          for (index, value) in values.enumerated() { counts[index].append(.integer(Int64(value))) }
        }
      }
    }
    return (
      """
      INSERT INTO fraud.experiment_counts AS c (pipeline_id, pipeline_version, topic, generation, partition, rule_id,
        is_treated, share, events, alerts, positives, true_positives, false_positives)
      SELECT $1, r.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::boolean[],
        $8::double precision[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[]) AS r
      ON CONFLICT (pipeline_id, pipeline_version, rule_id, topic, generation, partition, is_treated) DO UPDATE
        SET events = c.events + excluded.events, alerts = c.alerts + excluded.alerts,
          positives = c.positives + excluded.positives, true_positives = c.true_positives + excluded.true_positives,
          false_positives = c.false_positives + excluded.false_positives
      """,
      [
        .integer(Int64(unit.pipelineID)), .array(versions), .array(topics), .array(generations), .array(partitions),
        .array(rules), .array(arms), .array(shares),
      ] + counts.map { .array($0) }
    )
  }

  private static func features(_ unit: CommitUnit) -> Statement {
    var (keys, features, times) = (PostgresArray(.text), PostgresArray(.json), PostgresArray(.timestamp))
    var (topics, partitions, offsets) = (PostgresArray(.text), PostgresArray(.integer), PostgresArray(.integer))
    var seen: Set<String> = []
    // From behind: two keys that differ in U+0000 only are one row, the later one's.
    for row in unit.features.reversed() {
      var changed = false
      let key = DatabaseText.sanitized(row.key, &changed)
      guard seen.insert(key).inserted else { continue }
      keys.append(.text(key))
      features.append(.json(DatabaseText.sanitized(json: row.features, &changed)))
      times.append(.timestamp(orNull: row.eventTime))
      topics.append(.text(row.source.topic))
      partitions.append(.integer(Int64(row.source.partition)))
      offsets.append(.integer(row.offset))
    }
    return (
      """
      INSERT INTO fraud.online_features (pipeline_id, pipeline_version, key, features, event_time, topic, partition,
        "offset")
      SELECT $1, $2, r.* FROM unnest(
        $3::text[], $4::jsonb[], $5::timestamptz[], $6::text[], $7::bigint[], $8::bigint[]) AS r
      ON CONFLICT (pipeline_id, key) DO UPDATE SET features = excluded.features, event_time = excluded.event_time,
        pipeline_version = excluded.pipeline_version, topic = excluded.topic, partition = excluded.partition,
        "offset" = excluded."offset", updated_at = now()
      """,
      [
        .integer(Int64(unit.pipelineID)), .integer(Int64(unit.pipelineVersion)), .array(keys), .array(features),
        .array(times), .array(topics), .array(partitions), .array(offsets),
      ]
    )
  }

  /// Alerts, then rows of aggregations, of those that a topic is named for.
  private static func outbox(_ unit: CommitUnit) -> Statement {
    var (ids, keys, payloads) = (PostgresArray(.id), PostgresArray(.bytes), PostgresArray(.bytes))
    var targets = PostgresArray(.text)
    let field = unit.alertsKey.map { Array($0.utf8) }
    for alert in unit.alerts {
      guard let topic = unit.alertsTopic else { break }
      targets.append(.text(topic))
      ids.append(.id(alert.id))
      let event = alert.transactionData.span
      let key: [UInt8]? = field.flatMap { field in
        JSON.member(field, of: event).flatMap { JSON.text(of: $0, in: event) }
      }
      keys.append(key.map(PostgresValue.bytes) ?? .null)
      payloads.append(.bytes(alert.json))
    }
    for record in unit.aggregates {
      guard let topic = unit.aggregateTopics[record.row.aggregation] else { continue }
      var (key, payload): ([UInt8], [UInt8]) = ([], [])
      record.row.appendKey(to: &key)
      record.row.append(source: record.source, to: &payload)
      // Without the line's end.
      payload.removeLast()
      targets.append(.text(topic))
      ids.append(.id(rowID(record, key: key, of: unit.pipeline)))
      keys.append(.bytes(key))
      payloads.append(.bytes(payload))
    }
    return (
      """
      INSERT INTO fraud.alert_outbox (pipeline_id, target, alert_id, key, payload)
      SELECT $1, r.* FROM unnest($2::text[], $3::uuid[], $4::bytea[], $5::bytea[]) AS r ON CONFLICT (alert_id) DO NOTHING
      """,
      [.integer(Int64(unit.pipelineID)), .array(targets), .array(ids), .array(keys), .array(payloads)]
    )
  }

  /// What tells a row from every other: its partition, window, key and revision. None of the texts holds the separator.
  private static func rowID(_ record: AggregateRecord, key: [UInt8], of pipeline: String) -> UniqueID {
    let (source, row) = (record.source, record.row)
    let place = [
      "row", pipeline, source.topic, source.generation, "\(source.partition)", row.aggregation, "\(row.end)",
      "\(row.revision)", "",
    ]
    return UniqueID(bytes: Array(SHA256.digest(Array(place.joined(separator: "\0").utf8) + key).prefix(16)))
  }
}

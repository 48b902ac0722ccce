import FraudCore

/// The statements that write a unit's rows, one a table, each with its rows as columns.
///
/// One statement with arrays takes about a quarter longer for 5,000 alerts than COPY into a temporary table and an INSERT
/// from there (337 against 269 ms on a busy machine), but no round trip of its own in libpq's pipeline, which is what
/// commits of a few dozen rows feel; a direct COPY cannot pass over rows that are there already.
enum CommitRows {
  typealias Statement = (sql: String, parameters: [PostgresValue])

  /// How many errors of a rule are kept, by partition and version.
  static let ruleErrorsKept: Int64 = 100

  /// Says from which offset on a version decides.
  static func activation(_ advance: PartitionAdvance, version: Int) -> Statement {
    (
      """
      INSERT INTO fraud.activations (pipeline_id, topic, generation, partition, from_offset, version)
      VALUES ($1, $2, $3, $4, $5, $6)
      """,
      PartitionCommitter.key(advance.progress.pipelineID, advance.progress.source)
        + [.integer(advance.progress.nextOffset), .integer(Int64(version))]
    )
  }

  static func alerts(_ alerts: [Alert], of unit: CommitUnit, table: String) -> Statement {
    var ids = PostgresArray(.id)
    var eventIDs = PostgresArray(.text)
    var eventTimes = PostgresArray(.timestamp)
    var ruleIDs = PostgresArray(.text)
    var descriptions = PostgresArray(.text)
    var severities = PostgresArray(.text)
    var scores = PostgresArray(.double)
    var riskLevels = PostgresArray(.text)
    var reasons = PostgresArray(.json)
    var places = SourceColumns()
    var lines = PostgresArray(.integer)
    var events = PostgresArray(.json)
    var sanitized = PostgresArray(.boolean)
    var versions = PostgresArray(.integer)
    for alert in alerts {
      var changed = false
      versions.append(.integer(Int64(alert.pipelineVersion ?? unit.pipelineVersion)))
      ids.append(.id(alert.id))
      eventIDs.append(.text(orNull: DatabaseText.sanitized(alert.eventID, &changed)))
      eventTimes.append(.timestamp(orNull: alert.eventTime))
      ruleIDs.append(.text(orNull: alert.ruleID))
      descriptions.append(.text(orNull: DatabaseText.sanitized(alert.ruleDescription, &changed)))
      severities.append(.text(alert.severity.rawValue))
      scores.append(.double(alert.score.value))
      riskLevels.append(.text(alert.riskLevel))
      reasons.append(.json(DatabaseText.sanitized(json: reasonsText(alert.reasons), &changed)))
      places.append(alert.source, alert.offset)
      lines.append(.integer(orNull: alert.line))
      events.append(.json(DatabaseText.sanitized(json: alert.transactionData, &changed)))
      sanitized.append(.boolean(changed))
    }
    return (
      """
      INSERT INTO \(table) (pipeline, pipeline_id, pipeline_version, topic, generation, partition, "offset", alert_id,
        event_id, event_time, rule_id, rule_description, severity, score, risk_level, reasons, line, transaction_data,
        sanitized)
      SELECT $1, $2, r.* FROM unnest($3::bigint[],
        $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::uuid[], $9::text[], $10::timestamptz[], $11::text[],
        $12::text[], $13::text[], $14::double precision[], $15::text[], $16::jsonb[], $17::bigint[], $18::jsonb[],
        $19::boolean[]) AS r
      ON CONFLICT (alert_id) DO NOTHING
      """,
      [.text(unit.pipeline), .integer(Int64(unit.pipelineID)), .array(versions)] + places.values
        + [
          .array(ids), .array(eventIDs), .array(eventTimes), .array(ruleIDs), .array(descriptions),
          .array(severities), .array(scores), .array(riskLevels), .array(reasons), .array(lines), .array(events),
          .array(sanitized),
        ]
    )
  }

  static func rejected(_ unit: CommitUnit) -> Statement {
    var places = SourceColumns()
    var lines = PostgresArray(.integer)
    var reasons = PostgresArray(.text)
    var details = PostgresArray(.text)
    var fields = PostgresArray(.text)
    var payloads = PostgresArray(.bytes)
    var lengths = PostgresArray(.integer)
    var digests = PostgresArray(.text)
    for event in unit.rejected {
      var changed = false
      places.append(event.source, event.offset)
      lines.append(.integer(orNull: event.line))
      reasons.append(.text(event.reason))
      details.append(.text(orNull: DatabaseText.sanitized(event.detail, &changed)))
      fields.append(.text(orNull: DatabaseText.sanitized(event.field, &changed)))
      payloads.append(event.payload.map(PostgresValue.bytes) ?? .null)
      lengths.append(.integer(orNull: event.payloadLength))
      digests.append(.text(orNull: event.sha256))
    }
    return (
      """
      INSERT INTO fraud.rejected_events (pipeline, pipeline_id, pipeline_version, topic, generation, partition, "offset",
        line, reason, detail, field, payload, payload_length, sha256)
      SELECT $1, $2, $3, r.* FROM unnest(
        $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],
        $12::bytea[], $13::bigint[], $14::text[]) AS r
      ON CONFLICT (pipeline_id, topic, generation, partition, "offset") DO NOTHING
      """,
      [.text(unit.pipeline), .integer(Int64(unit.pipelineID)), .integer(Int64(unit.pipelineVersion))] + places.values
        + [
          .array(lines), .array(reasons), .array(details), .array(fields), .array(payloads), .array(lengths),
          .array(digests),
        ]
    )
  }

  /// Keeps the errors that are among the first of their rule. It runs before the counts are raised: what they are says
  /// how many came before.
  static func ruleErrors(_ unit: CommitUnit) -> Statement {
    var places = SourceColumns()
    var lines = PostgresArray(.integer)
    var eventIDs = PostgresArray(.text)
    var rules = PostgresArray(.text)
    var codes = PostgresArray(.text)
    var messages = PostgresArray(.text)
    var versions = PostgresArray(.integer)
    for error in unit.ruleErrors {
      var changed = false
      versions.append(.integer(Int64(error.pipelineVersion ?? unit.pipelineVersion)))
      places.append(error.source, error.offset)
      lines.append(.integer(orNull: error.line))
      eventIDs.append(.text(orNull: DatabaseText.sanitized(error.eventID, &changed)))
      rules.append(.text(error.ruleID))
      codes.append(.text(error.code))
      messages.append(.text(DatabaseText.sanitized(error.message, &changed)))
    }
    return (
      """
      INSERT INTO fraud.rule_errors (pipeline_id, pipeline_version, topic, generation, partition, "offset", line,
        event_id, rule_id, code, message)
      SELECT $1, r.version, r.topic, r.generation, r.partition, r."offset", r.line, r.event_id, r.rule_id, r.code, r.message
      FROM (
        SELECT *,
          row_number() OVER (PARTITION BY version, topic, generation, partition, rule_id ORDER BY "offset") AS place
        FROM unnest(
          $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[],
          $10::text[], $11::text[])
          AS u(version, topic, generation, partition, "offset", line, event_id, rule_id, code, message)) AS r
      LEFT JOIN fraud.rule_error_counts AS c
        ON c.pipeline_id = $1 AND c.pipeline_version = r.version AND c.rule_id = r.rule_id AND c.topic = r.topic
        AND c.generation = r.generation AND c.partition = r.partition
      WHERE coalesce(c.errors, 0) + r.place <= $12
      ON CONFLICT DO NOTHING
      """,
      [.integer(Int64(unit.pipelineID)), .array(versions)] + places.values
        + [
          .array(lines), .array(eventIDs), .array(rules), .array(codes), .array(messages), .integer(ruleErrorsKept),
        ]
    )
  }

  static func aggregates(_ unit: CommitUnit) -> Statement {
    var topics = PostgresArray(.text)
    var generations = PostgresArray(.text)
    var partitions = PostgresArray(.integer)
    var names = PostgresArray(.text)
    var starts = PostgresArray(.timestamp)
    var ends = PostgresArray(.timestamp)
    var ids = PostgresArray(.id)
    var keys = PostgresArray(.json)
    var revisions = PostgresArray(.integer)
    var events = PostgresArray(.integer)
    var measures = PostgresArray(.json)
    for record in unit.aggregates {
      var changed = false
      var key: [UInt8] = []
      record.row.appendKey(to: &key)
      var parts: [UInt8] = []
      record.row.appendParts(to: &parts)
      topics.append(.text(record.source.topic))
      generations.append(.text(record.source.generation))
      partitions.append(.integer(Int64(record.source.partition)))
      names.append(.text(DatabaseText.sanitized(record.row.aggregation, &changed)))
      starts.append(.timestamp(record.row.start))
      ends.append(.timestamp(record.row.end))
      ids.append(.id(UniqueID(bytes: Array(SHA256.digest(key).prefix(16)))))
      keys.append(.json(DatabaseText.sanitized(json: key, &changed)))
      revisions.append(.integer(record.row.revision))
      events.append(.integer(Int64(record.row.events)))
      measures.append(.json(DatabaseText.sanitized(json: parts, &changed)))
    }
    return (
      """
      INSERT INTO fraud.aggregates (pipeline, pipeline_id, pipeline_version, topic, generation, partition, aggregation,
        window_start, window_end, key_id, key, revision, events, measures)
      SELECT $1, $2, $3, r.* FROM unnest(
        $4::text[], $5::text[], $6::bigint[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::uuid[],
        $11::jsonb[], $12::bigint[], $13::bigint[], $14::jsonb[]) AS r
      ON CONFLICT DO NOTHING
      """,
      [
        .text(unit.pipeline), .integer(Int64(unit.pipelineID)), .integer(Int64(unit.pipelineVersion)), .array(topics),
        .array(generations), .array(partitions), .array(names), .array(starts), .array(ends), .array(ids), .array(keys),
        .array(revisions), .array(events), .array(measures),
      ]
    )
  }

  static func ruleErrorCounts(_ unit: CommitUnit) -> Statement {
    var topics = PostgresArray(.text)
    var generations = PostgresArray(.text)
    var partitions = PostgresArray(.integer)
    var rules = PostgresArray(.text)
    var counts = PostgresArray(.integer)
    var versions = PostgresArray(.integer)
    for advance in unit.advances {
      let own = advance.ruleErrorCounts.map { (unit.pipelineVersion, $0.key, $0.value) }
      let controls = advance.control.map { control in
        control.ruleErrorCounts.map { (control.version, $0.key, $0.value) }
      }
      for (version, rule, count) in (own + (controls ?? [])).sorted(by: { ($0.0, $0.1) < ($1.0, $1.1) }) where count > 0
      {
        versions.append(.integer(Int64(version)))
        topics.append(.text(advance.progress.source.topic))
        generations.append(.text(advance.progress.source.generation))
        partitions.append(.integer(Int64(advance.progress.source.partition)))
        rules.append(.text(rule))
        counts.append(.integer(count))
      }
    }
    return (
      """
      INSERT INTO fraud.rule_error_counts AS c
        (pipeline_id, pipeline_version, topic, generation, partition, rule_id, errors)
      SELECT $1, r.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[]) AS r
      ON CONFLICT (pipeline_id, pipeline_version, rule_id, topic, generation, partition)
        DO UPDATE SET errors = c.errors + excluded.errors
      """,
      [
        .integer(Int64(unit.pipelineID)), .array(versions), .array(topics), .array(generations), .array(partitions),
        .array(rules), .array(counts),
      ]
    )
  }
}

private func reasonsText(_ reasons: [Reason]) -> [UInt8] {
  var text: [UInt8] = []
  Reason.append(reasons, to: &text)
  return text
}

/// Where rows came from, as four columns.
private struct SourceColumns {
  private var topics = PostgresArray(.text)
  private var generations = PostgresArray(.text)
  private var partitions = PostgresArray(.integer)
  private var offsets = PostgresArray(.integer)

  mutating func append(_ source: EventSource, _ offset: Int64) {
    topics.append(.text(source.topic))
    generations.append(.text(source.generation))
    partitions.append(.integer(Int64(source.partition)))
    offsets.append(.integer(offset))
  }

  var values: [PostgresValue] { [.array(topics), .array(generations), .array(partitions), .array(offsets)] }
}

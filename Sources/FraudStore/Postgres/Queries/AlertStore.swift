import FraudCore

/// An alert as it is kept.
public struct StoredAlert: Sendable {
  /// Its number in the order of writing.
  public var id: Int64
  /// When it was written, in microseconds since 1970.
  public var createdAt: Int64
  /// The pipeline's name.
  public var pipeline: String
  /// How grave it is.
  public var severity: String
  /// The rule, `nil` for one alert a decision.
  public var ruleID: String?
  /// What a match of the rule means.
  public var ruleDescription: String?
  /// The event's declared identity.
  public var eventID: String?
  /// When the event happened, in microseconds since 1970.
  public var eventTime: Int64?
  /// The event's score.
  public var score: Double?
  /// The whole alert as the JSON object of the contract, with `id` and `created_at`, on one line.
  public var json: String
}

/// Which alerts are asked for. Conditions that are not set let everything pass.
public struct AlertFilter: Sendable {
  /// Any of these severities.
  public var severities: [String] = []
  /// Any of these rules, by id or by number.
  public var rules: [String] = []
  /// Any of these pipelines, by name or by number.
  public var pipelines: [String] = []
  /// Fields of the event and the text that each must have: `customer_id` is `42`.
  public var fields: [(name: String, value: String)] = []
  /// Written at most so many microseconds ago.
  public var age: Int64?
  /// Written at this instant or later, in microseconds since 1970.
  public var since: Int64?
  /// Shadow alerts in place of alerts.
  public var shadow = false

  /// Everything.
  public init() {}
}

/// How often something occurs.
public struct AlertCount: Sendable {
  /// What is counted: a severity, a rule's id, a key.
  public var name: String
  /// A rule's description or severity.
  public var detail: String?
  /// How many alerts.
  public var alerts: Int64
  /// How many events they are about.
  public var events: Int64
  /// When the last one was written, in microseconds since 1970.
  public var last: Int64
}

/// Questions about the alerts of a database.
public enum AlertStore {
  /// Alerts, the newest first.
  public static func list(
    _ filter: AlertFilter, limit: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredAlert] {
    try read(
      "SELECT \(columns) FROM \(table(filter)) a WHERE \(condition) ORDER BY id DESC LIMIT $8",
      parameters(filter) + [.integer(Int64(limit))], &connection)
  }

  /// One alert, by its number or its `alert_id`.
  public static func find(_ identity: String, on connection: inout PostgresConnection) throws(StoreError)
    -> StoredAlert?
  {
    try read(
      "SELECT \(columns) FROM fraud.alerts a WHERE id = $1 OR alert_id = $2",
      [.integer(orNull: Int64(identity)), UniqueID(identity).map(PostgresValue.id) ?? .null], &connection
    ).first
  }

  /// How many alerts there are of each severity, the most frequent first.
  public static func countBySeverity(
    _ filter: AlertFilter, on connection: inout PostgresConnection
  ) throws(StoreError) -> [AlertCount] {
    try counts("coalesce(severity, '')", "NULL::text", filter, limit: 100, &connection)
  }

  /// How many alerts there are of each rule, the most frequent first.
  public static func countByRule(
    _ filter: AlertFilter, on connection: inout PostgresConnection
  ) throws(StoreError) -> [AlertCount] {
    try counts(
      "pipeline || '/' || coalesce(rule_id, '(decision)')", "max(rule_description)", filter, limit: 1_000, &connection)
  }

  /// The values of an event field with the most alerts.
  public static func rank(
    field: String, _ filter: AlertFilter, limit: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> [AlertCount] {
    try counts("transaction_data ->> $9", "NULL::text", filter, limit: limit, field: field, &connection)
  }

  private static func counts(
    _ name: String, _ detail: String, _ filter: AlertFilter, limit: Int, field: String = "",
    _ connection: inout PostgresConnection
  ) throws(StoreError) -> [AlertCount] {
    let rows = try connection.query(
      """
      SELECT name, detail, alerts, events, last FROM (
        SELECT \(name) AS name, \(detail) AS detail, count(*) AS alerts,
          count(DISTINCT (topic, generation, partition, "offset")) AS events, max(created_at) AS last
        FROM \(table(filter)) a WHERE \(condition) GROUP BY 1) AS c
      WHERE name IS NOT NULL AND $9::text IS NOT NULL
      ORDER BY alerts DESC, name LIMIT $8
      """, parameters(filter) + [.integer(Int64(limit)), .text(field)])
    var counts: [AlertCount] = []
    for row in 0..<rows.rowCount {
      counts.append(
        AlertCount(
          name: try rows.required(rows.text(row, 0)), detail: try rows.text(row, 1),
          alerts: try rows.required(rows.integer(row, 2)), events: try rows.required(rows.integer(row, 3)),
          last: try rows.required(rows.timestamp(row, 4))))
    }
    return counts
  }

  private static func table(_ filter: AlertFilter) -> String {
    filter.shadow ? "fraud.shadow_alerts" : "fraud.alerts"
  }

  /// What a filter asks for, as parameters 1 to 7.
  static let condition = """
    ($1::text[] IS NULL OR severity = ANY ($1))
      AND ($2::text[] IS NULL OR rule_id = ANY ($2) OR EXISTS (
        SELECT FROM fraud.rules r
        WHERE r.pipeline_id = a.pipeline_id AND r.rule_id = a.rule_id AND r.id::text = ANY ($2)))
      AND ($3::text[] IS NULL OR pipeline = ANY ($3) OR pipeline_id::text = ANY ($3))
      AND ($4::bigint IS NULL OR created_at >= now() - $4 * interval '1 microsecond')
      AND ($5::timestamptz IS NULL OR created_at >= $5)
      AND NOT EXISTS (
        SELECT FROM unnest($6::text[], $7::text[]) AS w(field, value)
        WHERE transaction_data ->> w.field IS DISTINCT FROM w.value)
    """

  static func parameters(_ filter: AlertFilter) -> [PostgresValue] {
    func texts(_ texts: [String]) -> PostgresValue { texts.isEmpty ? .null : .array(PostgresArray(texts: texts)) }
    return [
      texts(filter.severities), texts(filter.rules), texts(filter.pipelines), .integer(orNull: filter.age),
      .timestamp(orNull: filter.since), .array(PostgresArray(texts: filter.fields.map(\.name))),
      .array(PostgresArray(texts: filter.fields.map(\.value))),
    ]
  }

  static let columns = """
    a.id, a.created_at, a.pipeline, coalesce(a.severity, ''), a.rule_id, a.rule_description, a.event_id, a.event_time,
    a.score, json_build_object('alert_id', a.alert_id, 'pipeline', a.pipeline, 'pipeline_version', a.pipeline_version,
      'event_id', a.event_id, 'event_time', \(rfc3339("a.event_time")), 'rule_id', a.rule_id,
      'rule_description', a.rule_description, 'severity', a.severity, 'score', a.score, 'risk_level', a.risk_level,
      'reasons', a.reasons, 'topic', a.topic, 'partition', a.partition, 'offset', a."offset", 'line', a.line,
      'transaction_data', a.transaction_data, 'id', a.id, 'created_at', \(rfc3339("a.created_at")))
    """

  /// An SQL expression for a timestamp as the contract writes it.
  static func rfc3339(_ column: String) -> String {
    "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
  }

  static func read(
    _ sql: String, _ parameters: [PostgresValue], _ connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredAlert] {
    let rows = try connection.query(sql, parameters)
    var alerts: [StoredAlert] = []
    for row in 0..<rows.rowCount {
      alerts.append(
        StoredAlert(
          id: try rows.required(rows.integer(row, 0)), createdAt: try rows.required(rows.timestamp(row, 1)),
          pipeline: try rows.required(rows.text(row, 2)), severity: try rows.required(rows.text(row, 3)),
          ruleID: try rows.text(row, 4), ruleDescription: try rows.text(row, 5), eventID: try rows.text(row, 6),
          eventTime: try rows.timestamp(row, 7), score: try rows.double(row, 8),
          json: try rows.required(rows.text(row, 9))))
    }
    return alerts
  }
}

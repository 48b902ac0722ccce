public import FraudCore

/// What applying a definition did.
public struct AppliedPipeline: Sendable, Hashable {
  /// The pipeline's number.
  public var id: Int
  /// Its name.
  public var name: String
  /// The version that is in force now.
  public var version: Int
  /// Whether the content had never been applied before. Equal content is the same version.
  public var isNew: Bool
}

/// A pipeline as it is configured in the database.
public struct StoredPipeline: Sendable {
  /// Its number.
  public var id: Int
  /// Its name.
  public var name: String
  /// The version in force, or the one that was asked for.
  public var version: Int
  /// Whether that version is the one in force.
  public var isActive: Bool
  /// How many versions there are.
  public var versions: Int
  /// The SHA-256 of the definition's canonical JSON.
  public var sha256: String
  /// The definition as JSON.
  public var definition: String
  /// Who applied the version.
  public var author: String
  /// Why, where it was said.
  public var note: String?
  /// When the version was applied first, in microseconds since 1970.
  public var createdAt: Int64
  /// The rules of the version: number and id, in the definition's order.
  public var rules: [(id: Int, name: String)] = []
}

/// The pipelines of a database: `fraud.pipelines` and their immutable versions.
///
/// Wherever a pipeline is asked for, its name or its number will do; a name that looks like a number wins.
public enum PipelineStore {
  /// Puts a definition in force: a new version, or the one that has the same content already.
  ///
  /// - Parameters:
  ///   - author: Who does it, for the audit log.
  ///   - note: Why.
  ///   - force: Accepts a schema that cannot read the events of the version in force.
  /// - Throws: ``StoreError`` with `.refused`, naming each field, where the schema is not BACKWARD compatible with that of
  ///   the version in force; then nothing has changed.
  public static func apply(
    _ definition: PipelineDefinition, author: String, note: String? = nil, force: Bool = false,
    on connection: inout PostgresConnection
  ) throws(StoreError) -> AppliedPipeline {
    let name = definition.name
    return try connection.transaction { connection throws(StoreError) in
      try connection.execute(
        """
        INSERT INTO fraud.pipelines (name)
        SELECT $1 WHERE NOT EXISTS (SELECT FROM fraud.pipelines WHERE name = $1) ON CONFLICT (name) DO NOTHING
        """, [.text(name)])
      // The row's lock makes those who apply to one pipeline take turns.
      let pipeline = try connection.query(
        "SELECT id, active_version FROM fraud.pipelines WHERE name = $1 FOR UPDATE", [.text(name)])
      let id = try pipeline.required(pipeline.integer(0, 0))
      if let active = try pipeline.integer(0, 1), !force {
        try refuseIncompatible(definition, id: id, active: active, on: &connection)
      }
      let merged = try ListStore.merged(definition, id: id, on: &connection)
      return try put(merged, id: id, action: "apply", author: author, note: note, on: &connection)
    }
  }

  /// Puts a definition in force, inside a transaction that has locked its pipeline's row.
  ///
  /// - Parameter action: what the audit log calls it; without it the caller writes there.
  static func put(
    _ definition: PipelineDefinition, id: Int64, action: String?, author: String, note: String?,
    on connection: inout PostgresConnection
  ) throws(StoreError) -> AppliedPipeline {
    let name = definition.name
    let sha256 = definition.sha256
    let rows = try connection.query(
      """
      SELECT p.active_version, v.version FROM fraud.pipelines p
      LEFT JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id AND v.sha256 = $2 WHERE p.id = $1
      """, [.integer(id), .text(sha256)])
    let active = try rows.integer(0, 0)
    let same = try rows.integer(0, 1)
    var version: Int64
    if let same {
      version = same
    } else {
      let added = try connection.query(
        """
        INSERT INTO fraud.pipeline_versions (pipeline_id, version, sha256, definition, author, note)
        SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5
        FROM fraud.pipeline_versions WHERE pipeline_id = $1
        RETURNING version
        """,
        [
          .integer(id), .text(sha256), .json(Array(definition.source.canonicalJSON.utf8)), .text(author),
          .text(orNull: note),
        ])
      version = try added.required(added.integer(0, 0))
      try connection.execute(
        """
        INSERT INTO fraud.rules (pipeline_id, rule_id)
        SELECT $1, r.rule_id FROM unnest($2::text[]) WITH ORDINALITY AS r(rule_id, place)
        WHERE NOT EXISTS (SELECT FROM fraud.rules k WHERE k.pipeline_id = $1 AND k.rule_id = r.rule_id)
        ORDER BY r.place
        """, [.integer(id), .array(PostgresArray(texts: definition.rules.map(\.id)))])
    }
    if active != version {
      try connection.execute(
        "UPDATE fraud.pipelines SET active_version = $2 WHERE id = $1", [.integer(id), .integer(version)])
      if let action { try audit(action, pipeline: name, version: version, who: author, why: note, on: &connection) }
    }
    return AppliedPipeline(id: Int(id), name: name, version: Int(version), isNew: same == nil)
  }

  /// Refuses a schema that events of the version in force could not be read with.
  private static func refuseIncompatible(
    _ definition: PipelineDefinition, id: Int64, active: Int64, on connection: inout PostgresConnection
  ) throws(StoreError) {
    let row = try connection.query(
      "SELECT definition FROM fraud.pipeline_versions WHERE pipeline_id = $1 AND version = $2",
      [.integer(id), .integer(active)])
    // A definition that this program cannot read any more is no reason to refuse a new one.
    guard let stored = try row.text(0, 0), let tree = try? DefinitionValue(json: Array(stored.utf8)),
      let inForce = try? PipelineDefinition(tree)
    else { return }
    let reasons = definition.schema.incompatibilities(with: inForce.schema)
    if reasons.isEmpty { return }
    throw StoreError(
      code: .refused,
      message: "the schema cannot read the events of version \(active) of \(definition.name):\n"
        + reasons.map { "  \($0)" }.joined(separator: "\n")
        + "\nIf that is meant: `fraudctl pipeline apply --force`")
  }

  /// Puts an earlier version in force again.
  ///
  /// - Parameter version: Without it the newest one before that in force.
  /// - Returns: The version that was in force and the one that is now, or nil where there is no such pipeline or version.
  public static func rollBack(
    _ pipeline: String, to version: Int? = nil, author: String, note: String? = nil,
    on connection: inout PostgresConnection
  ) throws(StoreError) -> (name: String, from: Int, to: Int)? {
    guard let id = try identify(pipeline, on: &connection) else { return nil }
    return try connection.transaction { connection throws(StoreError) in
      let rows = try connection.query(
        "SELECT name, active_version FROM fraud.pipelines WHERE id = $1 FOR UPDATE", [.integer(Int64(id))])
      guard rows.rowCount == 1, let active = try rows.integer(0, 1) else { return nil }
      let name = try rows.required(rows.text(0, 0))
      let target = try connection.query(
        """
        SELECT max(version) FROM fraud.pipeline_versions
        WHERE pipeline_id = $1 AND (version = $2 OR $2 IS NULL AND version < $3)
        """, [.integer(Int64(id)), .integer(orNull: version.map(Int64.init)), .integer(active)])
      guard let target = try target.integer(0, 0) else { return nil }
      if target != active {
        try connection.execute(
          "UPDATE fraud.pipelines SET active_version = $2 WHERE id = $1", [.integer(Int64(id)), .integer(target)])
        try audit("rollback", pipeline: name, version: target, who: author, why: note, on: &connection)
      }
      return (name, Int(active), Int(target))
    }
  }

  /// All pipelines by name, each with its version in force.
  public static func list(on connection: inout PostgresConnection) throws(StoreError) -> [StoredPipeline] {
    let rows = try connection.query("\(selection) WHERE v.version = p.active_version ORDER BY p.name")
    var pipelines: [StoredPipeline] = []
    for row in 0..<rows.rowCount { pipelines.append(try stored(rows, row)) }
    return pipelines
  }

  /// One pipeline.
  ///
  /// - Parameters:
  ///   - pipeline: Its name or number.
  ///   - version: A version; without it the one in force.
  /// - Returns: nil where there is no such pipeline or version.
  public static func find(
    _ pipeline: String, version: Int? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> StoredPipeline? {
    guard let id = try identify(pipeline, on: &connection) else { return nil }
    let rows = try connection.query(
      "\(selection) WHERE p.id = $1 AND v.version = coalesce($2, p.active_version)",
      [.integer(Int64(id)), .integer(orNull: version.map(Int64.init))])
    guard rows.rowCount == 1 else { return nil }
    var found = try stored(rows, 0)
    let rules = try connection.query(
      """
      SELECT id, rule_id FROM fraud.rules WHERE pipeline_id = $1 ORDER BY id
      """, [.integer(Int64(id))])
    for row in 0..<rules.rowCount {
      found.rules.append(
        (id: Int(try rules.required(rules.integer(row, 0))), name: try rules.required(rules.text(row, 1))))
    }
    return found
  }

  /// The version in force, where it is another than the one that is known; its rules are left out.
  package static func inForce(
    _ id: Int, unless known: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> StoredPipeline? {
    // The number first: the definition is asked for only when it changes.
    let number = try connection.query("SELECT active_version FROM fraud.pipelines WHERE id = $1", [.integer(Int64(id))])
    guard number.rowCount == 1, let active = try number.integer(0, 0), active != known else { return nil }
    let rows = try connection.query(
      "\(selection) WHERE p.id = $1 AND v.version = $2", [.integer(Int64(id)), .integer(active)])
    return rows.rowCount == 1 ? try stored(rows, 0) : nil
  }

  /// All versions of a pipeline, the newest first. Empty where there is no such pipeline.
  public static func history(
    _ pipeline: String, on connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredPipeline] {
    guard let id = try identify(pipeline, on: &connection) else { return [] }
    let rows = try connection.query("\(selection) WHERE p.id = $1 ORDER BY v.version DESC", [.integer(Int64(id))])
    var versions: [StoredPipeline] = []
    for row in 0..<rows.rowCount { versions.append(try stored(rows, row)) }
    return versions
  }

  /// A pipeline's number. Nil where there is no such pipeline.
  public static func identify(
    _ pipeline: String, on connection: inout PostgresConnection
  ) throws(StoreError) -> Int? {
    let rows = try connection.query(
      "SELECT id FROM fraud.pipelines WHERE name = $1 OR id = $2 ORDER BY name = $1 DESC LIMIT 1",
      [.text(pipeline), .integer(orNull: Int64(pipeline))])
    return rows.rowCount == 0 ? nil : Int(try rows.required(rows.integer(0, 0)))
  }

  /// The tables that hold rows of pipelines, those that refer to others first.
  private static let tables = [
    "fraud.partitions", "fraud.alerts", "fraud.shadow_alerts", "fraud.rejected_events", "fraud.rule_errors",
    "fraud.rule_error_counts", "fraud.state_deltas", "fraud.state_buckets", "fraud.aggregates", "fraud.stream_progress",
    "fraud.commit_ranges",
    "fraud.experiment_counts", "fraud.online_features", "fraud.alert_outbox", "fraud.activations",
  ]

  /// How many rows of a pipeline there are, by table; tables without any are left out.
  public static func contents(
    _ id: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> [(table: String, rows: Int64)] {
    var contents: [(table: String, rows: Int64)] = []
    for table in tables {
      let result = try connection.query("SELECT count(*) FROM \(table) WHERE pipeline_id = $1", [.integer(Int64(id))])
      let rows = try result.required(result.integer(0, 0))
      if rows > 0 { contents.append((table, rows)) }
    }
    return contents
  }

  /// Deletes a pipeline with its versions, progress, alerts, rejected events and errors, in one transaction. The audit
  /// log stays. A process that runs it is fenced off at its next commit.
  public static func delete(
    _ id: Int, author: String, note: String? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) {
    try connection.transaction { connection throws(StoreError) in
      let found = try connection.query(
        "SELECT name FROM fraud.pipelines WHERE id = $1 FOR UPDATE", [.integer(Int64(id))])
      guard found.rowCount == 1 else { return }
      let name = try found.required(found.text(0, 0))
      for table in tables {
        try connection.execute("DELETE FROM \(table) WHERE pipeline_id = $1", [.integer(Int64(id))])
      }
      try connection.execute("DELETE FROM fraud.pipelines WHERE id = $1", [.integer(Int64(id))])
      try audit("delete", pipeline: name, version: nil, who: author, why: note, on: &connection)
    }
  }

  /// Discards how far a pipeline is, what its features remember and what was counted, in one transaction, so that it begins
  /// anew at the oldest event that its topic holds. Its versions and what came out of it stay: processed again, an event
  /// yields the same alerts under the same ids, which are kept once. A process that runs it is fenced off.
  ///
  /// - Returns: the rows of `fraud.partitions` that went.
  @discardableResult
  public static func reset(
    _ id: Int, author: String, note: String? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> Int {
    try connection.transaction { connection throws(StoreError) in
      let found = try connection.query(
        "SELECT name FROM fraud.pipelines WHERE id = $1 FOR UPDATE", [.integer(Int64(id))])
      guard found.rowCount == 1 else { return 0 }
      let name = try found.required(found.text(0, 0))
      // The partitions first: their locks make commits under way end before, and those that follow find no row.
      let tables = [
        "fraud.partitions", "fraud.stream_progress", "fraud.commit_ranges", "fraud.state_deltas", "fraud.state_buckets",
        "fraud.rule_error_counts",
        "fraud.experiment_counts", "fraud.activations",
      ]
      var partitions = 0
      for table in tables {
        let rows = try connection.execute("DELETE FROM \(table) WHERE pipeline_id = $1", [.integer(Int64(id))])
        if table == tables[0] { partitions = rows }
      }
      try audit("reset", pipeline: name, version: nil, who: author, why: note, on: &connection)
      return partitions
    }
  }

  /// Writes a line of the audit log.
  static func audit(
    _ action: String, pipeline: String, version: Int64?, who: String, why: String?, detail: [UInt8]? = nil,
    on connection: inout PostgresConnection
  ) throws(StoreError) {
    try connection.execute(
      "INSERT INTO fraud.audit_log (who, action, pipeline, version, why, detail) VALUES ($1, $2, $3, $4, $5, $6)",
      [
        .text(who), .text(action), .text(pipeline), .integer(orNull: version), .text(orNull: why),
        detail.map(PostgresValue.json) ?? .null,
      ])
  }

  private static let selection = """
    SELECT p.id, p.name, v.version, v.version IS NOT DISTINCT FROM p.active_version,
      (SELECT count(*) FROM fraud.pipeline_versions k WHERE k.pipeline_id = p.id),
      v.sha256, v.definition, v.author, v.note, v.created_at
    FROM fraud.pipelines p JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id
    """

  private static func stored(_ rows: borrowing PostgresResult, _ row: Int) throws(StoreError) -> StoredPipeline {
    StoredPipeline(
      id: Int(try rows.required(rows.integer(row, 0))), name: try rows.required(rows.text(row, 1)),
      version: Int(try rows.required(rows.integer(row, 2))), isActive: try rows.required(rows.boolean(row, 3)),
      versions: Int(try rows.required(rows.integer(row, 4))), sha256: try rows.required(rows.text(row, 5)),
      definition: try rows.required(rows.text(row, 6)), author: try rows.required(rows.text(row, 7)),
      note: try rows.text(row, 8), createdAt: try rows.required(rows.timestamp(row, 9)))
  }
}

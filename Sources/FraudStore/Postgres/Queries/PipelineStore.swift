public import FraudCore

/// What applying a definition did.
public struct AppliedPipeline: Sendable, Hashable {
  /// The pipeline's number.
  public var id: Int
  /// Its name.
  public var name: String
  /// The version that is in force now.
  public var version: Int
  /// Whether the content had never been applied before. Equal content, beside the same control, is the same version.
  public var isNew: Bool
  /// The version that decides the events of the other keys, where this one is in force for a share of them.
  public var control: Int?
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
  /// Of all keys, the share in basis points that the version is in force for, where it is not for all.
  public var share: Int?
  /// Where the version is in force for a share of the keys, the version that decides the events of the others.
  public var control: (version: Int, definition: String)?
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
  ///   - zones: What names of time zones mean, where the definition has a `share`: it is compiled with its control.
  /// - Throws: ``StoreError`` with `.refused`, naming each field, where the schema is not BACKWARD compatible with that of
  ///   the version in force, or where a definition with a `share` has no control or cannot run beside it; then nothing has
  ///   changed.
  public static func apply(
    _ definition: PipelineDefinition, author: String, note: String? = nil, force: Bool = false,
    zones: TimeZones = .offsetsOnly, on connection: inout PostgresConnection
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
        """
        SELECT p.id, p.active_version, coalesce(v.control_version, v.version) FROM fraud.pipelines p
        LEFT JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id AND v.version = p.active_version
        WHERE p.name = $1 FOR UPDATE OF p
        """, [.text(name)])
      let id = try pipeline.required(pipeline.integer(0, 0))
      if let active = try pipeline.integer(0, 1), !force {
        try refuseIncompatible(definition, id: id, active: active, on: &connection)
      }
      let merged = try ListStore.merged(definition, id: id, on: &connection)
      var control: Int64?
      if merged.share != nil {
        guard let number = try pipeline.integer(0, 2) else {
          throw StoreError(
            code: .refused,
            message:
              "\(name) has no version that could decide the events of the other keys: apply one without 'share' first")
        }
        try refuse(merged, beside: number, id: id, zones, on: &connection)
        control = number
      }
      return try put(
        merged, id: id, control: control, action: "apply", author: author, note: note, on: &connection)
    }
  }

  /// Refuses a version that cannot run beside its control.
  private static func refuse(
    _ definition: PipelineDefinition, beside control: Int64, id: Int64, _ zones: TimeZones,
    on connection: inout PostgresConnection
  ) throws(StoreError) {
    let row = try connection.query(
      "SELECT definition FROM fraud.pipeline_versions WHERE pipeline_id = $1 AND version = $2",
      [.integer(id), .integer(control)])
    do {
      let source = try DefinitionValue(json: Array(try row.required(row.text(0, 0)).utf8))
      _ = try PipelineVersion(definition.source, number: 0, beside: (source, Int(control)), zones: zones)
    } catch let error as DefinitionError {
      throw StoreError(
        code: .refused,
        message: "the version cannot be in force for a share of the keys beside version \(control):\n"
          + error.problems.map { "  \($0.message)" }.joined(separator: "\n"))
    } catch let error as StoreError {
      throw error
    } catch {
      throw StoreError(code: .corrupt, message: "version \(control) of \(definition.name) cannot be read: \(error)")
    }
  }

  /// Puts a definition in force, inside a transaction that has locked its pipeline's row.
  ///
  /// - Parameters:
  ///   - control: the version that decides the events of the other keys, of a definition with a `share`.
  ///   - isControl: it is only kept, for another version to have it as its control.
  ///   - action: what the audit log calls it; without it the caller writes there.
  static func put(
    _ definition: PipelineDefinition, id: Int64, control: Int64? = nil, isControl: Bool = false, action: String?,
    author: String, note: String?, on connection: inout PostgresConnection
  ) throws(StoreError) -> AppliedPipeline {
    let name = definition.name
    let sha256 = definition.sha256
    let rows = try connection.query(
      """
      SELECT p.active_version, v.version FROM fraud.pipelines p
      LEFT JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id AND v.sha256 = $2
        AND v.control_version IS NOT DISTINCT FROM $3::int
      WHERE p.id = $1
      """, [.integer(id), .text(sha256), .integer(orNull: control)])
    let active = try rows.integer(0, 0)
    let same = try rows.integer(0, 1)
    var version: Int64
    if let same {
      version = same
    } else {
      let added = try connection.query(
        """
        INSERT INTO fraud.pipeline_versions (pipeline_id, version, sha256, definition, author, note, control_version)
        SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6
        FROM fraud.pipeline_versions WHERE pipeline_id = $1
        RETURNING version
        """,
        [
          .integer(id), .text(sha256), .json(Array(definition.source.canonicalJSON.utf8)), .text(author),
          .text(orNull: note), .integer(orNull: control),
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
    if active != version, !isControl {
      try connection.execute(
        "UPDATE fraud.pipelines SET active_version = $2 WHERE id = $1", [.integer(id), .integer(version)])
      if let action { try audit(action, pipeline: name, version: version, who: author, why: note, on: &connection) }
    }
    return AppliedPipeline(
      id: Int(id), name: name, version: Int(version), isNew: same == nil, control: control.map(Int.init))
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
  /// - Parameter version: Without it the control of that in force, or else the newest one before it.
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
        SELECT coalesce(max(control_version) FILTER (WHERE $2::bigint IS NULL AND version = $3::bigint),
          max(version) FILTER (WHERE version = $2::bigint OR $2::bigint IS NULL AND version < $3::bigint))
        FROM fraud.pipeline_versions WHERE pipeline_id = $1
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

  /// The share of a version `v` that has a control, from 0 to 1.
  static let share = "CASE WHEN v.control_version IS NOT NULL THEN (v.definition ->> 'share')::double precision END"

  private static let selection = """
    SELECT p.id, p.name, v.version, v.version IS NOT DISTINCT FROM p.active_version,
      (SELECT count(*) FROM fraud.pipeline_versions k WHERE k.pipeline_id = p.id),
      v.sha256, v.definition, v.author, v.note, v.created_at, v.control_version, c.definition, \(share)
    FROM fraud.pipelines p JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id
    LEFT JOIN fraud.pipeline_versions c ON c.pipeline_id = p.id AND c.version = v.control_version
    """

  private static func stored(_ rows: borrowing PostgresResult, _ row: Int) throws(StoreError) -> StoredPipeline {
    var pipeline = StoredPipeline(
      id: Int(try rows.required(rows.integer(row, 0))), name: try rows.required(rows.text(row, 1)),
      version: Int(try rows.required(rows.integer(row, 2))), isActive: try rows.required(rows.boolean(row, 3)),
      versions: Int(try rows.required(rows.integer(row, 4))), sha256: try rows.required(rows.text(row, 5)),
      definition: try rows.required(rows.text(row, 6)), author: try rows.required(rows.text(row, 7)),
      note: try rows.text(row, 8), createdAt: try rows.required(rows.timestamp(row, 9)))
    if let control = try rows.integer(row, 10) {
      pipeline.share = try rows.double(row, 12).map { Int(($0 * 10_000).rounded()) }
      pipeline.control = (Int(control), try rows.required(rows.text(row, 11)))
    }
    return pipeline
  }
}

public import FraudCore

/// What is to become of a list.
public enum ListChange: Sendable {
  /// These values are in it, until an instant in microseconds since 1970 where one is given.
  case add([String], expiresAt: Int64? = nil)
  /// These values are not in it.
  case remove([String])
  /// These values are in it and no others.
  case replace([String], expiresAt: Int64? = nil)

  /// The values that it names.
  var values: [String] {
    switch self {
    case .add(let values, _), .remove(let values), .replace(let values, _): values
    }
  }

  /// How the audit log names it.
  var action: String {
    switch self {
    case .add: "list add"
    case .remove: "list remove"
    case .replace: "list import"
    }
  }
}

/// What changing a list did.
public struct ChangedList: Sendable, Hashable {
  /// The pipeline's name.
  public var pipeline: String
  /// The pipeline's version that is in force now.
  public var version: Int
  /// The list's name.
  public var list: String
  /// Values that were not in it before, and values that are no longer.
  public var added: Int
  /// See ``added``.
  public var removed: Int
  /// Values in it now.
  public var count: Int
}

/// A value of a list and what is known of it.
public struct ListEntry: Sendable, Hashable {
  /// The value's text.
  public var value: String
  /// When it goes, in microseconds since 1970.
  public var expiresAt: Int64?
  /// Why it was added.
  public var reason: String?
  /// Who added it; nil for a value of the definition itself.
  public var who: String?
  /// When, in microseconds since 1970.
  public var changedAt: Int64?
}

/// The lists of pipelines: changed by command while pipelines run.
///
/// A pipeline's version holds its lists whole, so a change of a list makes a new version, which processors take up at
/// a batch boundary like any other. `fraud.list_entries` remembers what commands changed, with who and why; applying the
/// definition's file again keeps these changes. Everything about one change is one transaction.
public enum ListStore {
  /// Changes a list of the version in force.
  ///
  /// - Parameters:
  ///   - list: its name, in any case.
  ///   - reason: kept with each value, and in the audit log.
  /// - Throws: ``StoreError`` with `.refused` where there is no such pipeline or list, or a value is not of its type.
  public static func change(
    _ pipeline: String, list: String, _ change: ListChange, author: String, reason: String? = nil,
    on connection: inout PostgresConnection
  ) throws(StoreError) -> ChangedList {
    guard let id = try PipelineStore.identify(pipeline, on: &connection) else {
      throw StoreError(code: .refused, message: "there is no pipeline '\(pipeline)'")
    }
    return try connection.transaction { connection throws(StoreError) in
      let inForce = try inForce(id, on: &connection)
      let active = inForce.definition
      guard let declared = inForce.lists.first(where: { $0.name.lowercased() == list.lowercased() }) else {
        let hint = nearest(to: list, among: inForce.lists.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
        throw StoreError(code: .refused, message: "pipeline \(active.name) has no list '\(list)'\(hint)")
      }
      let values = try normalized(change.values, for: declared)
      let named = Set(values)
      /// What becomes of a list with these values; the control's may be others.
      func changed(_ before: [String]) -> [String] {
        switch change {
        case .add:
          let known = Set(before)
          return before + values.filter { !known.contains($0) }
        case .remove: return before.filter { !named.contains($0) }
        case .replace: return values
        }
      }
      let before = declared.values
      let after = changed(before)
      switch change {
      case .add(_, let expiresAt):
        try record(values, isPresent: true, expiresAt, id, declared.name, author, reason, on: &connection)
      case .remove:
        try record(values, isPresent: false, nil, id, declared.name, author, reason, on: &connection)
      case .replace(_, let expiresAt):
        let gone = inForce.values(ofList: declared.name).filter { !named.contains($0) }
        try record(after, isPresent: true, expiresAt, id, declared.name, author, reason, on: &connection)
        try record(gone, isPresent: false, nil, id, declared.name, author, reason, on: &connection)
      }
      let version = try put(
        inForce, id: id, action: change.action, author: author, reason: reason, on: &connection
      ) { $0.name == declared.name ? changed($0.values) : nil }
      let (old, new) = (Set(before), Set(after))
      return ChangedList(
        pipeline: active.name, version: version, list: declared.name, added: new.subtracting(old).count,
        removed: old.subtracting(new).count, count: after.count)
    }
  }

  /// Takes values out whose time is over, each pipeline in a transaction of its own.
  ///
  /// - Returns: the pipelines that have a new version now.
  @discardableResult
  public static func expire(on connection: inout PostgresConnection) throws(StoreError) -> [String] {
    let due = try connection.query(
      "SELECT DISTINCT pipeline_id FROM fraud.list_entries WHERE expires_at <= now() ORDER BY pipeline_id")
    var changed: [String] = []
    for row in 0..<due.rowCount {
      let id = Int(try due.required(due.integer(row, 0)))
      let name = try connection.transaction { connection throws(StoreError) -> String? in
        let active = try inForce(id, on: &connection)
        let over = try connection.query(
          "DELETE FROM fraud.list_entries WHERE pipeline_id = $1 AND expires_at <= now() RETURNING list, value",
          [.integer(Int64(id))])
        // Another program was quicker.
        if over.rowCount == 0 { return nil }
        var gone: [String: Set<String>] = [:]
        for row in 0..<over.rowCount {
          gone[try over.required(over.text(row, 0)), default: []].insert(try over.required(over.text(row, 1)))
        }
        _ = try put(active, id: id, action: "list expire", author: "expiry", reason: nil, on: &connection) { list in
          gone[list.name].map { values in list.values.filter { !values.contains($0) } }
        }
        return active.definition.name
      }
      if let name { changed.append(name) }
    }
    return changed
  }

  /// The lists of the version in force, each with its values in their order.
  ///
  /// - Parameter list: only this one.
  /// - Returns: nil where there is no such pipeline.
  public static func show(
    _ pipeline: String, list: String? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> [(name: String, type: ListDefinition.Element, entries: [ListEntry])]? {
    guard let stored = try PipelineStore.find(pipeline, on: &connection) else { return nil }
    let definition = try parsed(stored.definition)
    let rows = try connection.query(
      """
      SELECT list, value, expires_at, reason, who, changed_at FROM fraud.list_entries
      WHERE pipeline_id = $1 AND is_present
      """, [.integer(Int64(stored.id))])
    var known: [String: [String: ListEntry]] = [:]
    for row in 0..<rows.rowCount {
      let value = try rows.required(rows.text(row, 1))
      known[try rows.required(rows.text(row, 0)), default: [:]][value] = ListEntry(
        value: value, expiresAt: try rows.timestamp(row, 2), reason: try rows.text(row, 3), who: try rows.text(row, 4),
        changedAt: try rows.timestamp(row, 5))
    }
    return definition.lists.filter { list == nil || $0.name.lowercased() == list?.lowercased() }.map { list in
      (list.name, list.type, list.values.map { known[list.name]?[$0] ?? ListEntry(value: $0) })
    }
  }

  /// A definition with what commands have changed of its lists. The pipeline's row is locked already.
  static func merged(
    _ definition: PipelineDefinition, id: Int64, on connection: inout PostgresConnection
  ) throws(StoreError) -> PipelineDefinition {
    if definition.lists.isEmpty { return definition }
    let rows = try connection.query(
      """
      SELECT list, value, is_present FROM fraud.list_entries
      WHERE pipeline_id = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY changed_at, value
      """, [.integer(id)])
    if rows.rowCount == 0 { return definition }
    var added: [String: [String]] = [:]
    var removed: [String: Set<String>] = [:]
    for row in 0..<rows.rowCount {
      let list = try rows.required(rows.text(row, 0))
      let value = try rows.required(rows.text(row, 1))
      if try rows.required(rows.boolean(row, 2)) {
        added[list, default: []].append(value)
      } else {
        removed[list, default: []].insert(value)
      }
    }
    var contents: [String: [String]] = [:]
    let active = try? inForce(Int(id), on: &connection).definition
    for list in definition.lists where added[list.name] != nil || removed[list.name] != nil {
      let gone = removed[list.name] ?? []
      let known = Set(list.values)
      let values = list.values.filter { !gone.contains($0) } + (added[list.name] ?? []).filter { !known.contains($0) }
      // The same values in the order in force, so that another order alone makes no version.
      let inForce = active?.lists.first { $0.name == list.name }?.values ?? []
      contents[list.name] = Set(inForce) == Set(values) ? inForce : values
    }
    return contents.isEmpty ? definition : try replacing(contents, in: definition)
  }

  /// The definition in force and, where it is for a share of the keys, its control's.
  private struct InForce {
    var definition: PipelineDefinition
    var control: (number: Int64, definition: PipelineDefinition)?

    /// The lists of both, the control's where only it has them.
    var lists: [ListDefinition] {
      let names = Set(definition.lists.map(\.name))
      return definition.lists + (control?.definition.lists ?? []).filter { !names.contains($0.name) }
    }

    /// The values of a list in either.
    func values(ofList name: String) -> [String] {
      var seen: Set<String> = []
      return (definition.lists + (control?.definition.lists ?? [])).filter { $0.name == name }.flatMap(\.values)
        .filter { seen.insert($0).inserted }
    }
  }

  /// What is in force, the pipeline's row locked.
  private static func inForce(
    _ id: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> InForce {
    try connection.execute("SELECT FROM fraud.pipelines WHERE id = $1 FOR UPDATE", [.integer(Int64(id))])
    let row = try connection.query(
      """
      SELECT v.definition, c.version, c.definition FROM fraud.pipelines p
      JOIN fraud.pipeline_versions v ON v.pipeline_id = p.id AND v.version = p.active_version
      LEFT JOIN fraud.pipeline_versions c ON c.pipeline_id = p.id AND c.version = v.control_version WHERE p.id = $1
      """, [.integer(Int64(id))])
    guard row.rowCount == 1, let text = try row.text(0, 0) else {
      throw StoreError(code: .refused, message: "pipeline \(id) has no version in force")
    }
    var inForce = InForce(definition: try parsed(text))
    if let control = try row.text(0, 2) {
      inForce.control = (try row.required(row.integer(0, 1)), try parsed(control))
    }
    return inForce
  }

  private static func parsed(_ text: String) throws(StoreError) -> PipelineDefinition {
    do {
      return try PipelineDefinition(DefinitionValue(json: Array(text.utf8)))
    } catch {
      throw StoreError(code: .corrupt, message: "the definition in force cannot be read: \(error)")
    }
  }

  /// Values as the list's type writes them, each once.
  private static func normalized(_ values: [String], for list: ListDefinition) throws(StoreError) -> [String] {
    var seen: Set<String> = []
    var result: [String] = []
    for value in values {
      var text = value
      if list.type == .integer {
        guard let number = Int64(value) else {
          throw StoreError(code: .refused, message: "list \(list.name) holds integers: '\(value)' is none")
        }
        text = String(number)
      }
      if seen.insert(text).inserted { result.append(text) }
    }
    return result
  }

  private static func record(
    _ values: [String], isPresent: Bool, _ expiresAt: Int64?, _ id: Int, _ list: String, _ author: String,
    _ reason: String?, on connection: inout PostgresConnection
  ) throws(StoreError) {
    if values.isEmpty { return }
    try connection.execute(
      """
      INSERT INTO fraud.list_entries (pipeline_id, list, value, is_present, expires_at, reason, who)
      SELECT $1, $2, v, $4, $5, $6, $7 FROM unnest($3::text[]) AS v
      ON CONFLICT (pipeline_id, list, value) DO UPDATE SET is_present = excluded.is_present,
        expires_at = excluded.expires_at, reason = excluded.reason, who = excluded.who, changed_at = now()
      """,
      [
        .integer(Int64(id)), .text(list), .array(PostgresArray(texts: values)), .boolean(isPresent),
        .timestamp(orNull: expiresAt), .text(orNull: reason), .text(author),
      ])
  }

  /// Values that the audit log names at most of one change.
  private static let auditedMax = 1_000

  /// Puts the definition with other contents of lists in force, and says so in the audit log. A control's lists change with
  /// it: a key in either arm is to meet what people have put there.
  ///
  /// - Parameter change: a list's new contents, where it has any.
  private static func put(
    _ inForce: InForce, id: Int, action: String, author: String, reason: String?,
    on connection: inout PostgresConnection, _ change: (ListDefinition) -> [String]?
  ) throws(StoreError) -> Int {
    func changes(of definition: PipelineDefinition) -> [String: [String]] {
      Dictionary(definition.lists.compactMap { list in change(list).map { (list.name, $0) } }) { first, _ in first }
    }
    let definition = inForce.definition
    var contents = changes(of: definition)
    let changed = try replacing(contents, in: definition)
    var before = Dictionary(definition.lists.map { ($0.name, $0.values) }) { first, _ in first }
    var control = inForce.control?.number
    if let other = inForce.control?.definition {
      let values = changes(of: other)
      let names = Set(contents.keys).union(values.keys).sorted().joined(separator: " ")
      control = Int64(
        try PipelineStore.put(
          try replacing(values, in: other), id: Int64(id), isControl: true, action: nil, author: author,
          note: "\(action) \(names), for the control" + (reason.map { ": \($0)" } ?? ""), on: &connection
        ).version)
      before.merge(other.lists.map { ($0.name, $0.values) }) { first, _ in first }
      contents.merge(values) { first, _ in first }
    }
    let names = contents.keys.sorted()
    let note = ([action] + names).joined(separator: " ") + (reason.map { ": \($0)" } ?? "")
    let version = try PipelineStore.put(
      changed, id: Int64(id), control: control, action: nil, author: author, note: note, on: &connection
    ).version
    for name in names {
      let before = before[name] ?? []
      let (old, new) = (Set(before), Set(contents[name] ?? []))
      var detail = Array(#"{"list":"#.utf8)
      JSONText.append(string: name, to: &detail)
      for (key, values) in [
        ("added", (contents[name] ?? []).filter { !old.contains($0) }),
        ("removed", before.filter { !new.contains($0) }),
      ] {
        detail += Array(#","\#(key)_count":\#(values.count),"\#(key)":["#.utf8)
        for (index, value) in values.prefix(auditedMax).enumerated() {
          if index > 0 { detail.append(UInt8(ascii: ",")) }
          JSONText.append(string: value, to: &detail)
        }
        detail.append(UInt8(ascii: "]"))
      }
      detail.append(UInt8(ascii: "}"))
      try PipelineStore.audit(
        action, pipeline: definition.name, version: Int64(version), who: author, why: reason, detail: detail,
        on: &connection)
    }
    return version
  }

  /// A definition with other contents of lists.
  private static func replacing(
    _ contents: [String: [String]], in definition: PipelineDefinition
  ) throws(StoreError) -> PipelineDefinition {
    var tree = definition.source
    guard case .object(var members) = tree.content, let place = members.firstIndex(where: { $0.key == "lists" }),
      case .array(var elements) = members[place].value.content
    else { return definition }
    for index in elements.indices {
      guard case .object(var keys) = elements[index].content,
        let name = keys.first(where: { $0.key == "name" })?.value.content, case .string(let list) = name,
        let values = contents[list]
      else { continue }
      keys.removeAll { $0.key == "values" || $0.key == "file" }
      let array = DefinitionValue(.array(values.map { DefinitionValue(.string($0)) }))
      keys.append(DefinitionValue.Member(key: "values", value: array))
      elements[index].content = .object(keys)
    }
    members[place].value.content = .array(elements)
    tree.content = .object(members)
    let bytes = tree.canonicalJSON.utf8.count
    guard bytes <= Limits.definitionBytes else {
      throw StoreError(
        code: .refused,
        message: "with its lists the definition would have \(bytes) bytes, more than \(Limits.definitionBytes)")
    }
    do {
      return try PipelineDefinition(tree)
    } catch {
      throw StoreError(code: .refused, message: "\(error)")
    }
  }
}

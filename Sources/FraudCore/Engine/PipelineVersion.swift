/// A version of a pipeline, ready to evaluate.
public struct PipelineVersion: Sendable {
  /// The compiled definition.
  public var pipeline: Pipeline
  /// The number that alerts carry.
  public var number: Int
  /// What the lists hold that the definition leaves to a file, by name.
  public var lists: [String: ListValues]
  /// The version that decides the events of the other keys, where this one is in force for a share of them.
  public private(set) var control: ControlVersion?

  /// Names a version that decides all events, whatever `share` it declares.
  public init(_ pipeline: Pipeline, number: Int, lists: [String: ListValues] = [:]) {
    self.pipeline = pipeline
    self.number = number
    self.lists = lists
  }

  /// Compiles a version with a `share` and its control, so that one engine decides with both: each event by one of them, and
  /// with features that have seen the events of all keys.
  ///
  /// Both pipelines get the features of both definitions, a feature that they have in common once, and so one state serves
  /// them; rules, lists and scoring are each one's own.
  ///
  /// - Parameters:
  ///   - source: the definition with `share`; its lists hold their values.
  ///   - number: the number that its alerts carry.
  ///   - control: the definition that decides the events of the other keys, and the number that its alerts carry.
  /// - Throws: ``DefinitionError`` where one has mistakes, or the two cannot run side by side.
  public init(
    _ source: DefinitionValue, number: Int, beside control: (source: DefinitionValue, number: Int),
    zones: TimeZones = .offsetsOnly
  ) throws(DefinitionError) {
    let definition = try PipelineDefinition(source)
    let other = try PipelineDefinition(control.source)
    var obstacles = definition.obstacles(beside: other)
    if definition.share == nil { obstacles.append("a version beside a control needs a 'share'") }
    guard obstacles.isEmpty else {
      throw DefinitionError(problems: obstacles.map { DefinitionProblem(path: "share", message: $0) })
    }
    self.init(try Pipeline(source.joined(with: control.source), zones: zones), number: number)
    let order = pipeline.definition.source
    let joined = try Pipeline(control.source.joined(with: source, inOrderOf: order), zones: zones)
    self.control = ControlVersion(pipeline: joined, number: control.number)
  }
}

/// The version that decides the events of the keys that a version with a `share` is not in force for.
public struct ControlVersion: Sendable {
  /// The compiled definition, with the features of both versions.
  public let pipeline: Pipeline
  /// The number that its alerts carry.
  public let number: Int
  /// What the lists hold that the definition leaves to a file, by name.
  public var lists: [String: ListValues] = [:]
}

extension PipelineDefinition {
  /// The parts of a definition that two versions which run side by side may each have of their own.
  private static let ownParts: Set = ["share", "features", "lists", "tables", "rules", "scoring", "on_rule_error"]

  /// Why this version cannot run beside a control, each in words that name the part; empty where it can.
  ///
  /// Rules, scoring, lists and new features may differ. What decides which events are read, how, and where results go has
  /// to be the same, and so has a feature of the same name: there is one state for both.
  public func obstacles(beside control: PipelineDefinition) -> [String] {
    var reasons: [String] = []
    let (own, other) = (source.members, control.source.members)
    for key in Set((own + other).map(\.key)).subtracting(Self.ownParts).sorted() {
      let (mine, theirs) = (own.first { $0.key == key }?.value, other.first { $0.key == key }?.value)
      guard mine?.canonicalJSON != theirs?.canonicalJSON else { continue }
      var place = "'\(key)'"
      if key == "schema", let field = Self.firstDifference(mine, theirs) { place = "field '\(field)' of the schema" }
      reasons.append("\(place) differs: apply that to all keys first, in a version without 'share'")
    }
    for part in ["features", "tables"] {
      let theirs = other.first { $0.key == part }?.value.elements ?? []
      for element in own.first(where: { $0.key == part })?.value.elements ?? [] {
        guard let name = element.name, let same = theirs.first(where: { $0.isNamed(name) }),
          same.canonicalJSON != element.canonicalJSON
        else { continue }
        reasons.append(
          "\(part.dropLast()) '\(name)' is declared otherwise: there is one state for both versions; give the new one"
            + " another name")
      }
    }
    let features = (own + other).filter { $0.key == "features" || $0.key == "aggregations" }
      .map { part in part.value.canonicalJSON.lowercased().filter { $0 != " " && $0 != "`" } }
    for list in lists {
      guard let same = control.lists.first(where: { $0.name.lowercased() == list.name.lowercased() }),
        same.type != list.type || same.values != list.values || same.file != list.file,
        features.contains(where: { $0.contains("list(\(list.name.lowercased()))") })
      else { continue }
      reasons.append(
        "list '\(list.name)' holds other values, and a feature or aggregation looks at it: change it for all keys first, with"
          + " `fraudctl list`, or give the new one another name")
    }
    return reasons
  }

  /// The name of the first element that only one of two arrays has so.
  private static func firstDifference(_ own: DefinitionValue?, _ other: DefinitionValue?) -> String? {
    let (own, other) = (own?.elements ?? [], other?.elements ?? [])
    let theirs = Set(other.map(\.canonicalJSON))
    let mine = Set(own.map(\.canonicalJSON))
    return own.first { !theirs.contains($0.canonicalJSON) }?.name
      ?? other.first { !mine.contains($0.canonicalJSON) }?.name
  }
}

extension DefinitionValue {
  /// This definition with the features, tables and lists of another that it has not.
  ///
  /// - Parameter order: the definition whose order they have; without one this one's come first.
  fileprivate func joined(with other: DefinitionValue, inOrderOf order: DefinitionValue? = nil) -> DefinitionValue {
    var joined = members
    for part in ["features", "tables", "lists"] {
      var elements = joined.first { $0.key == part }?.value.elements ?? []
      let more = other.members.first { $0.key == part }?.value.elements ?? []
      elements += more.filter { element in
        !elements.contains { known in element.name.map { known.isNamed($0) } ?? false }
      }
      if let order = order?.members.first(where: { $0.key == part })?.value.elements {
        elements = order.compactMap { place in elements.first { known in place.name.map { known.isNamed($0) } ?? false }
        }
      }
      joined.removeAll { $0.key == part }
      if !elements.isEmpty { joined.append(Member(key: part, value: DefinitionValue(.array(elements)))) }
    }
    return DefinitionValue(.object(joined), line: line, column: column)
  }

  fileprivate var members: [Member] {
    if case .object(let members) = content { members.filter { $0.value.content != .null } } else { [] }
  }

  fileprivate var elements: [DefinitionValue] { if case .array(let elements) = content { elements } else { [] } }

  fileprivate var name: String? {
    guard case .string(let name)? = members.first(where: { $0.key == "name" })?.value.content else { return nil }
    return name
  }

  fileprivate func isNamed(_ other: String) -> Bool { name?.lowercased() == other.lowercased() }
}

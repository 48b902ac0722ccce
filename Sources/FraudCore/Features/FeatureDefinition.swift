/// The span of event time that a feature looks back over. All times are in microseconds.
public enum FeatureWindow: Sendable, Hashable {
  /// Everything that was folded in since the key was first seen.
  case life
  /// `(t − length, t]`.
  case sliding(Int64)
  /// The part up to `t` of the aligned window of this length that holds `t`.
  case tumbling(Int64)
  /// The events before `t` that follow each other, and the last of which precedes `t`, by at most the gap.
  case session(gap: Int64)
}

/// One element of a pipeline's `features`: a number remembered per key, or a column derived from others.
///
///     - {name: tx_count_10m, function: count, window: 10m, by: customer_id, include_current: true}
///     - {name: amount_ratio, expression: "amount / nullif(amount_mean, 0)"}
///     - {name: local, local_time: created_at, zone: America/Sao_Paulo}
///     - {name: country_risk, lookup: {US: 0.02, NG: 0.18}, of: country, default: 0.05}
public struct FeatureDefinition: Sendable, Hashable {
  /// The column's name.
  public var name: String
  /// What is computed from keyed state; `nil` for a derived column.
  public var function: FeatureFunction?
  /// What a derived column is computed from, in the language of rules.
  public var expression: String?
  /// The stream whose events are folded in; `nil` for the pipeline's own.
  public var from: String?
  /// The fields or earlier features whose values are folded in.
  public var of: [String] = []
  /// The fields or earlier features whose values together are the key.
  public var by: [String] = []
  /// The span of event time that is looked back over.
  public var window: FeatureWindow = .life
  /// How far the window lies in the past, in microseconds.
  public var delay: Int64 = 0
  /// A condition on the events that are folded in (`where`).
  public var condition: String?
  /// Whether the value covers the current event too.
  public var includeCurrent = false
  /// Stands in for NULL.
  public var defaultValue: DefinitionValue?
  /// The value is NULL until this many events are covered.
  public var minEvents: Int64 = 0
  /// Bounds memory: the window is kept as this many panes of equal length.
  public var panes: Int?
  /// The most events remembered for a key; beyond it the oldest are dropped and the value is flagged.
  public var maxEventsPerKey = 10_000
  /// Whether the feature may be approximate where its key spans partitions (`scope: partition`).
  public var partitionScope = false
  /// The largest value of a graph's feature.
  public var bound = 100
  /// Which quantile, above 0 and below 1.
  public var quantile: Double?
  /// The weight of the newest event in `ewma`, above 0 and at most 1.
  public var alpha: Double?
  /// The age in microseconds at which an event weighs half in `ewma`.
  public var halfLife: Int64?
  /// The span in microseconds that `rate` counts for.
  public var per: Int64 = 1_000_000
  /// The timestamp that a derived column shows as the wall clock of ``zone`` does.
  public var localTime: String?
  /// The time zone of ``localTime``, as in `America/Sao_Paulo`.
  public var zone: String?
  /// A table that a derived column looks the value of ``of`` up in; what is not there is NULL.
  public var lookup: [DefinitionValue.Member]?
  /// The name of such a table, where `lookup` names one.
  public var lookupTable: String?
  /// Where the definition stands, as in `features[2]`, for messages.
  public var path: String
  /// The line it stands on, or 0.
  package var line: Int
  /// The column it stands at, or 0.
  package var column: Int
}

extension FeatureDefinition {
  private static let aggregateKeys = [
    "function", "from", "of", "by", "window", "delay", "where", "include_current", "min_events", "panes",
    "max_events_per_key", "scope", "quantile", "alpha", "half_life", "per", "bound",
  ]

  /// Reads one element of `features`. Problems are left with the reader; `nil` where there is not even a name.
  package init?(_ node: DefinitionNode, reader: inout DefinitionReader) {
    guard
      let members = reader.members(
        of: node, known: ["name", "expression", "default", "local_time", "zone", "lookup"] + Self.aggregateKeys),
      let name = reader.required("name", of: members, in: node).flatMap({ reader.string($0) })
    else { return nil }
    self.name = name
    (path, line, column) = (node.path, node.value.line, node.value.column)
    defaultValue = members["default"]?.value
    if readDerived(members, reader: &reader) { return }
    function = reader.required("function", of: members, in: node).flatMap { reader.choice($0) }
    from = members["from"].flatMap { reader.string($0) }
    if let member = members["of"] { of = reader.elementsOrOne(of: member).compactMap { reader.string($0) } }
    if function?.isOfGraph == true {
      if let extra = members["by"] {
        reader.report("a graph has no keys: \(function?.rawValue ?? "") takes its fields in 'of'", at: extra)
      }
    } else if let member = reader.required("by", of: members, in: node) {
      by = reader.elementsOrOne(of: member).compactMap { reader.string($0) }
      if by.isEmpty { reader.report("a feature needs at least one field to remember by", at: member) }
    }
    if let member = members["window"] { window = Self.window(member, reader: &reader) ?? .life }
    if let member = members["delay"] { delay = reader.duration(member) ?? 0 }
    condition = members["where"].flatMap { reader.string($0) }
    includeCurrent = members["include_current"].flatMap { reader.boolean($0) } ?? false
    minEvents = members["min_events"].flatMap { reader.integer($0, in: 0...1_000_000_000) } ?? 0
    panes = members["panes"].flatMap { reader.integer($0, in: 1...Int64(Limits.windowPanes)) }.map { Int($0) }
    if let limit = members["max_events_per_key"]
      .flatMap({ reader.integer($0, in: 1...Int64(Limits.eventsPerKey)) })
    {
      maxEventsPerKey = Int(limit)
    }
    if let member = members["scope"] { readScope(member, reader: &reader) }
    readParameters(members, reader: &reader)
    check(members, at: node, reader: &reader)
  }

  /// Reads a column that needs no state; `false` where the feature is not one.
  private mutating func readDerived(_ members: [String: DefinitionNode], reader: inout DefinitionReader) -> Bool {
    var allowed: [String] = []
    let kind: String
    if let member = members["expression"] {
      (kind, expression) = ("expression", reader.string(member))
    } else if let member = members["local_time"] {
      (kind, allowed) = ("local_time", ["zone"])
      localTime = reader.string(member)
      zone = reader.required("zone", of: members, in: member).flatMap { reader.string($0) }
    } else if let member = members["lookup"] {
      (kind, allowed) = ("lookup", ["of"])
      switch member.value.content {
      case .object(let entries) where !entries.isEmpty: lookup = entries
      case .string(let name): lookupTable = name
      default: reader.report("expected a table's name, or values by key as in {US: 0.02, NG: 0.18}", at: member)
      }
      of = reader.required("of", of: members, in: member).flatMap { reader.string($0) }.map { [$0] } ?? []
    } else {
      if let extra = members["zone"] { reader.report("only a column with 'local_time' has a zone", at: extra) }
      return false
    }
    for key in Self.aggregateKeys + ["expression", "local_time", "zone", "lookup"]
    where key != kind && !allowed.contains(key) {
      if let extra = members[key] { reader.report("a column with \(kind) has no '\(key)'", at: extra) }
    }
    return true
  }

  private static func window(_ node: DefinitionNode, reader: inout DefinitionReader) -> FeatureWindow? {
    func positive(_ member: DefinitionNode, reader: inout DefinitionReader) -> Int64? {
      guard let length = reader.duration(member) else { return nil }
      if length == 0 { reader.report("a window of no length holds nothing", at: member) }
      return length > 0 ? length : nil
    }
    guard case .object = node.value.content else { return positive(node, reader: &reader).map { .sliding($0) } }
    guard let members = reader.members(of: node, known: ["tumbling", "gap"]) else { return nil }
    if let member = members["tumbling"], members.count == 1 {
      return positive(member, reader: &reader).map { .tumbling($0) }
    }
    if let member = members["gap"], members.count == 1 {
      return positive(member, reader: &reader).map { .session(gap: $0) }
    }
    reader.report("expected a duration, {tumbling: 1h} or {gap: 30m}", at: node)
    return nil
  }

  private mutating func readScope(_ node: DefinitionNode, reader: inout DefinitionReader) {
    guard let text = reader.string(node) else { return }
    partitionScope = text == "partition"
    if !partitionScope { reader.report("the only scope that can be named is 'partition'", at: node) }
  }

  private mutating func readParameters(_ members: [String: DefinitionNode], reader: inout DefinitionReader) {
    if let member = members["quantile"], let value = reader.number(member) {
      quantile = value
      if !(value > 0 && value < 1) { reader.report("a quantile lies between 0 and 1", at: member) }
    }
    if let member = members["alpha"], let value = reader.number(member) {
      alpha = value
      if !(value > 0 && value <= 1) { reader.report("alpha lies above 0 and at most at 1", at: member) }
    }
    if let member = members["half_life"] {
      halfLife = reader.duration(member)
      if halfLife == 0 { reader.report("a half-life of nothing forgets everything", at: member) }
    }
    if let member = members["per"], let value = reader.duration(member) {
      per = value
      if value == 0 { reader.report("a rate per nothing has no meaning", at: member) }
    }
    if let limit = members["bound"].flatMap({ reader.integer($0, in: 2...Limits.graphBound) }) { bound = Int(limit) }
    let owners: [(String, [FeatureFunction])] = [
      ("bound", [.shared, .groupSize]),
      ("quantile", [.quantile]), ("alpha", [.ewma]), ("half_life", [.ewma]), ("per", [.rate]),
    ]
    for (key, functions) in owners {
      if let member = members[key], let function, !functions.contains(function) {
        reader.report("only \(functions.map(\.rawValue).joined(separator: " and ")) takes '\(key)'", at: member)
      }
    }
  }

  private func check(_ members: [String: DefinitionNode], at node: DefinitionNode, reader: inout DefinitionReader) {
    guard let function else { return }
    let place = { (key: String) in members[key] ?? node }
    let named = function.rawValue
    if !function.ofCounts.contains(of.count) {
      let wanted =
        switch function.ofCounts {
        case 0...0: "no 'of'"
        case 0...1: "at most one field in 'of'"
        case 1...1: "one field in 'of'"
        case 2...8: "an entity and one to seven links in 'of'"
        default: "latitude and longitude in 'of'"
        }
      reader.report("\(named) takes \(wanted)", at: place("of"))
    }
    if from != nil, includeCurrent {
      reader.report("the current event is none of the stream's", at: place("include_current"))
    }
    if from != nil, function.isOfGraph {
      reader.report("\(named) is told from the pipeline's own events alone", at: place("from"))
    }
    if includeCurrent, function.comparesCurrent {
      reader.report(
        "\(named) compares the current event with earlier ones and cannot include it", at: place("include_current"))
    }
    if includeCurrent, delay > 0 {
      reader.report("a delayed window never reaches the current event", at: place("include_current"))
    }
    if delay > 0 {
      switch window {
      case .life: reader.report("a delay needs a window: without one, the whole life counts", at: place("delay"))
      case .session:
        reader.report("a session cannot be delayed: it is the one that the current event is in", at: place("delay"))
      case .sliding, .tumbling: break
      }
    }
    if function.isOfGraph {
      switch window {
      case .life, .sliding: if delay > 0 { reader.report("a graph has no delay", at: place("delay")) }
      default: reader.report("a graph's window is a duration such as 30d", at: place("window"))
      }
      if minEvents > 0 { reader.report("a graph counts no events", at: place("min_events")) }
    }
    if function == .rate, case .sliding = window {
    } else if function == .rate {
      reader.report("rate needs a window such as 10m", at: place("window"))
    }
    if function == .quantile, quantile == nil { reader.report("quantile needs 'quantile', such as 0.95", at: node) }
    if function == .ewma, (alpha == nil) == (halfLife == nil) {
      reader.report("ewma needs either 'alpha' or 'half_life'", at: node)
    }
    if panes != nil {
      if case .sliding = window {} else { reader.report("panes divide a window such as 24h", at: place("panes")) }
      if !PaneLayout.functions.contains(function) {
        let known = PaneLayout.functions.map(\.rawValue).joined(separator: ", ")
        reader.report("panes keep sums, from which \(named) cannot be told; only \(known)", at: place("panes"))
      }
    }
  }
}

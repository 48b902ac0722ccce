/// What a measure of an aggregation tells of the events of a window.
public enum MeasureFunction: String, Sendable, Hashable, CaseIterable {
  /// How many events; with `of`, how many that have a value there.
  case count
  case sum
  case mean
  case min
  case max
  /// How many different values.
  case distinct
  case quantile
  /// The part of the events for which `where` is true; with `of`, the part of the field's sum that lies in them.
  case share
  /// Events per second, or per `per`.
  case rate
}

/// One measure of an aggregation.
public struct MeasureDefinition: Sendable, Hashable {
  /// Its name in the rows.
  public var name: String
  /// What it tells.
  public var function: MeasureFunction
  /// The field or feature that it reads.
  public var of: String?
  /// A condition on the events that it counts (`where`).
  public var condition: String?
  /// Which quantile, above 0 and below 1.
  public var quantile: Double
  /// The span in microseconds that `rate` counts for.
  public var per: Int64
  /// Where the definition stands, for messages.
  public var path: String
}

/// One element of a pipeline's `aggregations`: a row for each key and window of event time, written when the watermark has
/// passed the window.
///
///     - name: merchant_15m
///       by: merchant_id
///       window: {sliding: 15m, every: 5m}
///       measures:
///         - {name: transactions, function: count}
///         - {name: fraud_rate, function: share, where: is_fraud}
public struct AggregationDefinition: Sendable, Hashable {
  /// The name in the rows.
  public var name: String
  /// The fields or features whose values together are the key; none for the whole stream.
  public var by: [String]
  /// The length of a window in microseconds.
  public var length: Int64
  /// How far windows lie apart, in microseconds: the length itself where they do not overlap.
  public var step: Int64
  /// A condition on the events that count (`where`).
  public var condition: String?
  /// What a row tells.
  public var measures: [MeasureDefinition]
  /// The topic that the rows go to, where they go to Kafka, too.
  public var topic: String?
  /// Where the definition stands, for messages.
  public var path: String
  /// The line it stands on, or 0.
  package var line: Int
  /// The column it stands at, or 0.
  package var column: Int
}

extension AggregationDefinition {
  /// Reads one element of `aggregations`. Problems are left with the reader.
  package init?(_ node: DefinitionNode, reader: inout DefinitionReader) {
    guard let members = reader.members(of: node, known: ["name", "by", "window", "where", "measures", "topic"]),
      let name = reader.required("name", of: members, in: node).flatMap({ reader.string($0) })
    else { return nil }
    self.name = name
    (path, line, column) = (node.path, node.value.line, node.value.column)
    if name.isEmpty || name.utf8.count > 64 {
      reader.report("an aggregation's name has 1 to 64 bytes", at: members["name"] ?? node)
    }
    (length, step) = (3_600_000_000, 3_600_000_000)
    measures = []
    condition = members["where"].flatMap { reader.string($0) }
    topic = members["topic"].flatMap { reader.topic($0) }
    by = members["by"].map { reader.elementsOrOne(of: $0).compactMap { reader.string($0) } } ?? []
    if by.count > Limits.aggregationKeys {
      reader.report("a key has at most \(Limits.aggregationKeys) parts", at: members["by"] ?? node)
    }
    if Set(by.map { $0.lowercased() }).count < by.count {
      reader.report("a field stands twice in the key", at: members["by"] ?? node)
    }
    if let window = reader.required("window", of: members, in: node) { readWindow(window, reader: &reader) }
    let elements = reader.required("measures", of: members, in: node).flatMap { reader.elements(of: $0) }
    for element in elements ?? [] {
      guard let measure = MeasureDefinition(element, reader: &reader) else { continue }
      if measures.contains(where: { $0.name.lowercased() == measure.name.lowercased() }) {
        reader.report("another measure is called '\(measure.name)'", at: element)
      }
      measures.append(measure)
    }
    if elements?.isEmpty == true, let member = members["measures"] {
      reader.report("a row needs at least one measure", at: member)
    }
    if measures.count > Limits.aggregationMeasures, let member = members["measures"] {
      reader.report("an aggregation has at most \(Limits.aggregationMeasures) measures", at: member)
    }
  }

  private mutating func readWindow(_ node: DefinitionNode, reader: inout DefinitionReader) {
    var (lengthNode, stepNode): (DefinitionNode?, DefinitionNode?) = (node, nil)
    if case .object = node.value.content {
      let members = reader.members(of: node, known: ["tumbling", "sliding", "every"]) ?? [:]
      lengthNode = members["tumbling"] ?? members["sliding"]
      stepNode = members["every"]
      if (members["tumbling"] == nil) == (members["sliding"] == nil) || (stepNode == nil) != (members["sliding"] == nil)
      {
        reader.report("expected a duration, {tumbling: 1h} or {sliding: 15m, every: 5m}", at: node)
        return
      }
    }
    guard let lengthNode, let length = reader.duration(lengthNode) else { return }
    guard length >= Limits.aggregationStep else {
      return reader.report("a window lasts at least a second", at: lengthNode)
    }
    self.length = length
    step = length
    guard let stepNode, let step = reader.duration(stepNode) else { return }
    guard step >= Limits.aggregationStep, length % step == 0, length / step <= Limits.aggregationPanes else {
      return reader.report(
        "a window must be 1 to \(Limits.aggregationPanes) times as long as 'every', a second or more", at: stepNode)
    }
    self.step = step
  }
}

extension MeasureDefinition {
  fileprivate init?(_ node: DefinitionNode, reader: inout DefinitionReader) {
    let known = ["name", "function", "of", "where", "quantile", "per"]
    guard let members = reader.members(of: node, known: known),
      let name = reader.required("name", of: members, in: node).flatMap({ reader.string($0) }),
      let function: MeasureFunction = reader.required("function", of: members, in: node).flatMap({ reader.choice($0) })
    else { return nil }
    self.name = name
    self.function = function
    path = node.path
    of = members["of"].flatMap { reader.string($0) }
    condition = members["where"].flatMap { reader.string($0) }
    quantile = members["quantile"].flatMap { reader.number($0) } ?? 0.5
    per = members["per"].flatMap { reader.duration($0) } ?? 1_000_000
    switch function {
    case .count, .share: break
    case .rate: if let extra = members["of"] { reader.report("rate takes no 'of'", at: extra) }
    default: if of == nil { reader.report("\(function.rawValue) needs 'of'", at: members["of"] ?? node) }
    }
    if function == .share, condition == nil { reader.report("share needs 'where'", at: node) }
    if function == .quantile, !(quantile > 0 && quantile < 1) {
      reader.report("a quantile lies between 0 and 1", at: members["quantile"] ?? node)
    }
    if function == .quantile, members["quantile"] == nil {
      reader.report("quantile needs 'quantile', such as 0.95", at: node)
    }
    if per == 0, let member = members["per"] { reader.report("a rate per nothing has no meaning", at: member) }
    for (key, owner) in [("quantile", MeasureFunction.quantile), ("per", .rate)] where function != owner {
      if let extra = members[key] { reader.report("only \(owner.rawValue) takes '\(key)'", at: extra) }
    }
  }
}

extension PipelineDefinition {
  /// The topics that rows go to, by the name of the aggregation.
  package var aggregateTopics: [String: String] {
    var topics: [String: String] = [:]
    for aggregation in aggregations { topics[aggregation.name] = aggregation.topic }
    return topics
  }

  /// Every topic that its results go to, once, in the order of the definition.
  package var outputTopics: [String] {
    var topics: [String] = []
    for topic in [alertsTopic] + aggregations.map(\.topic) {
      if let topic, !topics.contains(topic) { topics.append(topic) }
    }
    return topics
  }
}

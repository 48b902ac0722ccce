extension PipelineDefinition {
  private static let keys = [
    "name", "kafka_topic", "format", "schema", "event_id", "event_time", "label", "key", "share", "streams", "features",
    "aggregations", "deduplicate", "state", "online_features", "alerts_topic", "lists", "tables", "rules", "scoring",
    "on_rule_error", "archive",
  ]

  /// Reads a definition from the tree that YAML or JSON was read into.
  ///
  /// - Throws: ``DefinitionError`` with every mistake of form or name. Expressions are checked by ``Pipeline``, which
  ///   reports their mistakes together with these.
  public init(_ source: DefinitionValue) throws(DefinitionError) {
    var reader = DefinitionReader()
    let definition = PipelineDefinition(source, reader: &reader)
    guard let definition, reader.problems.isEmpty else { throw DefinitionError(problems: reader.problems) }
    self = definition
  }

  /// Reads what can be read and leaves the problems with the reader; `nil` only where there is no object at all.
  init?(_ source: DefinitionValue, reader: inout DefinitionReader) {
    let root = DefinitionNode(value: source, path: "")
    guard let members = reader.members(of: root, known: Self.keys) else { return nil }
    self.source = source
    name = reader.required("name", of: members, in: root).flatMap { reader.pipelineName($0) } ?? ""
    kafkaTopic = members["kafka_topic"].flatMap { reader.topic($0) }
    alertsTopic = members["alerts_topic"].flatMap { reader.topic($0) }
    if let alertsTopic, alertsTopic == kafkaTopic, let member = members["alerts_topic"] {
      reader.report("alerts would come back as events: 'alerts_topic' must not be 'kafka_topic'", at: member)
    }
    format = members["format"].flatMap { reader.choice($0) } ?? .json
    schema = reader.required("schema", of: members, in: root).map { reader.schema($0) } ?? Schema(fields: [])
    let fields = schema.fields
    eventID = members["event_id"].flatMap { reader.fieldName($0, among: fields)?.name }
    eventTime = members["event_time"].flatMap { reader.eventTime($0, among: fields) }
    label = members["label"].flatMap { reader.label($0, among: fields) }
    key = members["key"].flatMap { reader.fieldName($0, among: fields)?.name }
    share = members["share"].flatMap { reader.basisPoints($0, atMost: 10_000) }
    if key == nil, let member = members["share"] {
      reader.report("events are divided by their key: 'share' needs 'key'", at: member)
    }
    lists = members["lists"].map { reader.lists($0, fields: fields) } ?? []
    var taken = fields.map(\.name) + lists.map(\.name)
    tables = members["tables"].map { reader.tables($0, taken: taken) } ?? []
    taken += tables.map(\.name)
    let topics = [kafkaTopic, alertsTopic].compactMap(\.self)
    let declaredKey = key
    let keyField = fields.first { $0.name == declaredKey }
    streams =
      members["streams"].map { reader.streams($0, taken: taken, topics: topics, key: keyField) } ?? []
    features = []
    for element in members["features"].flatMap({ reader.elements(of: $0) }) ?? [] {
      if let feature = FeatureDefinition(element, reader: &reader) { features.append(feature) }
    }
    aggregations = []
    for element in members["aggregations"].flatMap({ reader.elements(of: $0) }) ?? [] {
      guard let aggregation = AggregationDefinition(element, reader: &reader) else { continue }
      if let topic = aggregation.topic, topic == kafkaTopic {
        reader.report("rows would come back as events: 'topic' must not be 'kafka_topic'", at: element)
      }
      aggregations.append(aggregation)
    }
    if aggregations.count > Limits.aggregations, let member = members["aggregations"] {
      reader.report("a pipeline has at most \(Limits.aggregations) aggregations", at: member)
    }
    deduplicate = members["deduplicate"].flatMap { reader.duration($0) }
    if let member = members["deduplicate"], members["event_id"] == nil {
      reader.report("events are told apart by their id: 'deduplicate' needs 'event_id'", at: member)
    }
    stateLimits = members["state"].map { StateLimits($0, reader: &reader) } ?? StateLimits()
    onlineFeatures = members["online_features"].flatMap { reader.boolean($0) } ?? false
    if onlineFeatures, let member = members["online_features"] {
      if features.isEmpty || key == nil { reader.report("'online_features' needs 'features' and 'key'", at: member) }
      if let key, fields.contains(where: { $0.name == key && $0.sensitive != nil }) {
        reader.report("the key '\(key)' is sensitive: others could not read rows by it", at: member)
      }
    }
    rules = members["rules"].map { reader.rules($0) } ?? []
    if key == nil, let rule = rules.first(where: { $0.share != nil }) {
      let value = DefinitionValue(.null, line: rule.line, column: rule.column)
      reader.report(
        "events are divided by their key: 'share' needs 'key'",
        at: DefinitionNode(value: value, path: "\(rule.path).share"))
    }
    scoring = members["scoring"].map { ScoringDefinition($0, reader: &reader) } ?? ScoringDefinition()
    onRuleError = members["on_rule_error"].flatMap { reader.choice($0) } ?? .ignore
    archive = members["archive"].map { ArchiveDefinition($0, fields: fields, reader: &reader) } ?? ArchiveDefinition()
  }
}

extension DefinitionReader {
  fileprivate mutating func pipelineName(_ node: DefinitionNode) -> String? {
    guard let name = string(node) else { return nil }
    let allowed = name.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
    guard allowed, (1...64).contains(name.utf8.count) else {
      report("a pipeline's name has 1 to 64 letters, digits, '_' and '-', not '\(name.prefix(80))'", at: node)
      return nil
    }
    return name
  }

  mutating func topic(_ node: DefinitionNode) -> String? {
    guard let topic = string(node) else { return nil }
    let allowed = topic.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(byte)
    }
    guard allowed, (1...249).contains(topic.utf8.count), topic != ".", topic != ".." else {
      report("a topic's name has 1 to 249 letters, digits, '.', '_' and '-', not '\(topic.prefix(80))'", at: node)
      return nil
    }
    return topic
  }

  /// A field's name, matched exactly.
  package mutating func fieldName(_ node: DefinitionNode, among fields: [Field]) -> Field? {
    guard let name = string(node) else { return nil }
    if let field = fields.first(where: { $0.name == name }) { return field }
    let hint = nearest(to: name, among: fields.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
    report("unknown field '\(name)'\(hint)", at: node)
    return nil
  }

  mutating func eventTime(_ node: DefinitionNode, among fields: [Field]) -> EventTimeDefinition? {
    var fieldNode = node
    var members: [String: DefinitionNode] = [:]
    if case .object = node.value.content {
      members = self.members(of: node, known: ["field", "watermark_delay", "allowed_lateness", "max_future"]) ?? [:]
      guard let member = required("field", of: members, in: node) else { return nil }
      fieldNode = member
    }
    guard let field = fieldName(fieldNode, among: fields) else { return nil }
    guard field.type == .timestamp else {
      report("the event time must be a timestamp, '\(field.name)' is \(field.type.rawValue)", at: fieldNode)
      return nil
    }
    var time = EventTimeDefinition(field: field.name)
    if let delay = members["watermark_delay"].flatMap({ duration($0) }) { time.watermarkDelay = delay }
    if let lateness = members["allowed_lateness"].flatMap({ duration($0) }) { time.allowedLateness = lateness }
    if let future = members["max_future"].flatMap({ duration($0) }) { time.maxFuture = future }
    return time
  }

  mutating func label(_ node: DefinitionNode, among fields: [Field]) -> String? {
    guard let field = fieldName(node, among: fields) else { return nil }
    guard field.type == .boolean || field.type == .integer else {
      report("a label is boolean or 0 and 1, '\(field.name)' is \(field.type.rawValue)", at: node)
      return nil
    }
    return field.name
  }

  fileprivate mutating func lists(_ node: DefinitionNode, fields: [Field]) -> [ListDefinition] {
    var lists: [ListDefinition] = []
    for element in elements(of: node) ?? [] {
      guard let members = members(of: element, known: ["name", "type", "file", "values"]) else { continue }
      let name = required("name", of: members, in: element).flatMap { string($0) }
      let type: ListDefinition.Element? = members["type"].map { choice($0) } ?? .string
      let file = members["file"].flatMap { string($0) }
      let values = (members["values"].flatMap { elements(of: $0) } ?? []).compactMap { string($0) }
      if members["file"] != nil, let both = members["values"] {
        report("a list has 'file' or 'values', not both", at: both)
      }
      guard let name, let type else { continue }
      if lists.contains(where: { $0.name.lowercased() == name.lowercased() })
        || fields.contains(where: { $0.name.lowercased() == name.lowercased() })
      {
        report("'\(name)' is already the name of a field or list", at: members["name"] ?? element)
      }
      if type == .integer, let bad = values.first(where: { Int64($0) == nil }) {
        report("'\(bad)' is no integer", at: members["values"] ?? element)
      }
      lists.append(ListDefinition(name: name, type: type, file: file, values: values))
    }
    return lists
  }

  fileprivate mutating func rules(_ node: DefinitionNode) -> [RuleDefinition] {
    var rules: [RuleDefinition] = []
    var paths: [String: String] = [:]
    for element in elements(of: node) ?? [] {
      guard let rule = rule(element) else { continue }
      if let earlier = paths[rule.id] {
        report("the id '\(rule.id)' is already that of \(earlier); give each rule its own 'id'", at: element)
      }
      paths[rule.id] = element.path
      rules.append(rule)
    }
    return rules
  }

  /// A rule; one without an expression is reported and left out, so that the indices of the others may shift only then.
  private mutating func rule(_ node: DefinitionNode) -> RuleDefinition? {
    let known = ["id", "rule_expression", "severity", "description", "mode", "enabled", "weight", "points", "share"]
    guard let members = members(of: node, known: known) else { return nil }
    guard let place = required("rule_expression", of: members, in: node), let expression = string(place) else {
      return nil
    }
    let id = members["id"].flatMap { string($0) } ?? RuleDefinition.derivedID(of: expression)
    if id.isEmpty || id.utf8.count > 128 {
      report("a rule's id has 1 to 128 bytes", at: members["id"] ?? node)
    }
    var mode: RuleMode = members["mode"].flatMap { choice($0) } ?? .live
    if let enabled = members["enabled"].flatMap({ boolean($0) }), !enabled { mode = .off }
    return RuleDefinition(
      path: node.path, id: id, expression: expression,
      severity: members["severity"].flatMap { choice($0) } ?? .warning,
      description: members["description"].flatMap { string($0) } ?? "", mode: mode,
      weight: members["weight"].flatMap { basisPoints($0, atMost: 10_000) },
      points: members["points"].flatMap { integer($0, in: 0...1_000_000) }.map { Int($0) },
      share: members["share"].flatMap { basisPoints($0, atMost: 10_000) },
      line: place.value.line, column: place.value.column)
  }
}

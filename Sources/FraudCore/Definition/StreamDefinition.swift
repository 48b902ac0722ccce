/// A further topic whose events are not scored but remembered: payments, devices, refunds, chargebacks, labels.
///
///     streams:
///       - name: chargebacks
///         kafka_topic: chargebacks
///         schema: [{name: customer_id, type: integer, nullable: false}, {name: booked_at, type: timestamp, nullable: false}]
///         event_time: booked_at
///         key: customer_id
///     features:
///       - {name: chargebacks_90d, from: chargebacks, function: count, window: 90d, by: customer_id}
public struct StreamDefinition: Sendable, Hashable {
  /// What features call it in `from`.
  public var name: String
  /// The topic its events come from, where the pipeline reads Kafka.
  public var kafkaTopic: String?
  /// What its events hold.
  public var schema: Schema
  /// The field that identifies an event, for ``deduplicate``.
  public var eventID: String?
  /// When an event happened; without it the record's timestamp says so.
  public var eventTime: EventTimeDefinition?
  /// The field that only delayed features may read.
  public var label: String?
  /// The field that the topic is partitioned by: the pipeline's `key`, whatever it is called here.
  public var key: String?
  /// How long an event's id is remembered, in microseconds of event time: a second event with it is not folded in.
  public var deduplicate: Int64?
  /// Where the definition stands, as in `streams[1]`, for messages.
  public var path: String
  /// The line it stands on, or 0.
  package var line: Int
  /// The column it stands at, or 0.
  package var column: Int
}

extension DefinitionReader {
  /// Reads `streams`. What is wrong with one is reported, and it is left out only where it has no name.
  ///
  /// - Parameters:
  ///   - taken: names that fields and lists have.
  ///   - topics: the pipeline's own topics.
  ///   - key: the pipeline's key.
  mutating func streams(
    _ node: DefinitionNode, taken: [String], topics: [String], key: Field?
  ) -> [StreamDefinition] {
    var streams: [StreamDefinition] = []
    let elements = elements(of: node) ?? []
    if elements.count > Limits.streams { report("a pipeline reads at most \(Limits.streams) streams", at: node) }
    for element in elements.prefix(Limits.streams) {
      guard let stream = stream(element, key: key) else { continue }
      let name = stream.name.lowercased()
      if taken.contains(where: { $0.lowercased() == name }) || streams.contains(where: { $0.name.lowercased() == name })
      {
        report("'\(stream.name)' is already the name of a field, list or stream", at: element)
        continue
      }
      if let topic = stream.kafkaTopic, (topics + streams.compactMap(\.kafkaTopic)).contains(topic) {
        report("the topic '\(topic)' is already read or written by this pipeline", at: element)
      }
      streams.append(stream)
    }
    return streams
  }

  private mutating func stream(_ node: DefinitionNode, key: Field?) -> StreamDefinition? {
    let known = ["name", "kafka_topic", "schema", "event_id", "event_time", "label", "key", "deduplicate"]
    guard let members = members(of: node, known: known),
      let name = required("name", of: members, in: node).flatMap({ string($0) })
    else { return nil }
    if name.isEmpty || name.utf8.count > 64 { report("a stream's name has 1 to 64 bytes", at: members["name"] ?? node) }
    let schema = required("schema", of: members, in: node).map { self.schema($0) } ?? Schema(fields: [])
    let fields = schema.fields
    var stream = StreamDefinition(
      name: name, kafkaTopic: members["kafka_topic"].flatMap { topic($0) }, schema: schema, path: node.path,
      line: node.value.line, column: node.value.column)
    stream.eventID = members["event_id"].flatMap { fieldName($0, among: fields)?.name }
    stream.eventTime = members["event_time"].flatMap { eventTime($0, among: fields) }
    stream.label = members["label"].flatMap { label($0, among: fields) }
    stream.deduplicate = members["deduplicate"].flatMap { duration($0) }
    if let member = members["deduplicate"], members["event_id"] == nil {
      report("events are told apart by their id: 'deduplicate' needs 'event_id'", at: member)
    }
    guard let member = members["key"] else {
      if let key {
        report(
          "'key' is missing: the pipeline's topic is partitioned by '\(key.name)', and the stream's has to be, too",
          at: node)
      }
      return stream
    }
    guard let field = fieldName(member, among: fields) else { return stream }
    stream.key = field.name
    if let key {
      if field.type != key.type {
        report(
          "the key '\(field.name)' is \(field.type.rawValue), the pipeline's key '\(key.name)' is \(key.type.rawValue)",
          at: member)
      }
    } else {
      report("a stream has the pipeline's key: name that in the pipeline's own 'key'", at: member)
    }
    return stream
  }
}

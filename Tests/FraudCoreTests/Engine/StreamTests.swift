import TestRandom
import Testing

@testable import FraudCore

/// An event of a topic, 0 for the scored one.
private struct TopicEvent {
  var topic: Int
  var event: TestEvent
}

private let fields = """
  {"name": "key", "type": "integer"}, {"name": "name", "type": "string"},
  {"name": "t", "type": "timestamp", "nullable": false}, {"name": "amount", "type": "float"},
  {"name": "count", "type": "integer", "nullable": false}, {"name": "flag", "type": "boolean"},
  {"name": "lat", "type": "float"}, {"name": "lon", "type": "float"}, {"name": "text", "type": "string"}
  """

/// The second stream calls its fields otherwise, so that none but the key is where a field of the scored event is.
private let otherFields = fields.replacing("\"name\": \"", with: "\"name\": \"its_")

/// A pipeline whose only rule reads every feature.
private func pipeline(_ features: [String], lateness: String = "1h") throws -> Pipeline {
  let names = features.indices.map { "f\($0)" }
  let listed = zip(names, features).map { "{\"name\": \"\($0)\", \($1)}" }
  func time(_ field: String) -> String { #"{"field": "\#(field)", "allowed_lateness": "\#(lateness)"}"# }
  let rule = names.map { "\($0) IS NULL OR \($0) IS NOT NULL" }.joined(separator: " OR ")
  return try Pipeline(
    DefinitionValue(
      json: Array(
        """
        {"name": "p", "schema": [\(fields)], "event_time": \(time("t")), "key": "key",
         "streams": [{"name": "a", "schema": [\(fields)], "event_time": \(time("t")), "key": "key"},
                     {"name": "b", "schema": [\(otherFields)], "event_time": \(time("its_t")), "key": "its_key"}],
         "features": [\(listed.joined(separator: ","))], "rules": [{"id": "all", "rule_expression": "\(rule)"}]}
        """.utf8)))
}

/// What the naive list is asked for a feature of a topic.
private func definition(_ members: String) throws -> FeatureDefinition {
  var reader = DefinitionReader()
  let json = Array("{\"name\": \"f\", \(members.replacing("\"its_", with: "\""))}".utf8)
  let definition = FeatureDefinition(
    DefinitionNode(value: try DefinitionValue(json: json), path: "features[0]"), reader: &reader)
  return try #require(definition)
}

private func randomTopicEvents(_ count: Int, seed: UInt64, disorder: Int64) -> [TopicEvent] {
  var generator = SeededGenerator(seed: seed &* 31)
  return randomEvents(count, seed: seed, disorder: disorder).map { event in
    TopicEvent(topic: Int.random(in: 0..<3, using: &generator), event: event)
  }
}

private func json(_ event: TestEvent, prefix: String) -> [UInt8] {
  var text: [UInt8] = []
  var object = JSONObjectText()
  func put(_ name: String, _ value: FieldValue?) {
    object.key(prefix + name, &text)
    JSONText.append(value, to: &text)
  }
  put("key", event.key.map { .integer($0) })
  put("name", event.name.map { .string($0) })
  put("t", .timestamp(event.time))
  put("amount", event.amount.map { .float($0) })
  put("count", .integer(event.count))
  put("flag", event.flag.map { .boolean($0) })
  put("lat", event.latitude.map { .float($0) })
  put("lon", event.longitude.map { .float($0) })
  put("text", event.text.map { .string($0) })
  object.end(&text)
  return text
}

private func json(_ event: TopicEvent) -> [UInt8] { json(event.event, prefix: event.topic == 2 ? "its_" : "") }

/// The features of the scored events, each topic's events given one by one.
private func values(of events: [TopicEvent], by engine: inout Engine) throws -> [[FieldValue?]] {
  var rows: [[FieldValue?]] = []
  for event in events {
    if event.topic > 0 {
      try engine.observe(json(event), stream: ["", "a", "b"][event.topic])
    } else {
      rows.append(try engine.score(json(event)).reasons[0].values.map(\.value))
    }
  }
  return rows
}

/// The same with the events of all topics gathered in batches, each topic's decoded in portions of the given size.
private func mergedValues(of events: [TopicEvent], by engine: inout Engine, portion: Int) throws -> [[FieldValue?]] {
  let pipeline = engine.pipeline
  var rows: [[FieldValue?]] = []
  func emit(_ engine: inout Engine, _ batch: EventBatch) {
    for draft in engine.alerts { rows.append(engine.alert(draft, of: batch).reasons[0].values.map(\.value)) }
  }
  var batches: [EventBatch] = (0..<3).map { topic in
    EventBatch(
      layout: topic == 0 ? pipeline.layout : pipeline.features.streams[topic - 1].layout,
      source: EventSource(topic: "\(topic)"))
  }
  var start = 0
  while start < events.count {
    let part = events[start..<min(events.count, start + portion)]
    for topic in batches.indices {
      batches[topic].removeAll()
      for event in part where event.topic == topic {
        batches[topic].append(message: json(event).span, offset: Int64(batches[topic].positions.count))
      }
      let decoder = topic == 0 ? pipeline.decoder : pipeline.features.streams[topic - 1].decoder
      var state = DecoderState(decoder)
      decoder.decode(&batches[topic], &state)
      #expect(state.rejected.isEmpty)
    }
    var next = [0, 0, 0]
    for event in part {
      engine.take(row: next[event.topic], of: batches[event.topic], topic: event.topic, emit: emit)
      next[event.topic] += 1
    }
    start += part.count
  }
  engine.evaluateTaken(emit: emit)
  return rows
}

private func eachFeature(window: String) -> [String] {
  var list: [String] = []
  for (from, prefix) in [("", ""), (#""from": "a", "#, ""), (#""from": "b", "#, "its_")] {
    func add(_ function: String, _ more: String = "") {
      list.append(#"\#(from)"function": "\#(function)", "by": "key"\#(window)\#(more)"#)
    }
    add("count")
    for function in ["sum", "mean", "stddev", "min", "max", "first", "last", "distinct", "count"] {
      add(function, #", "of": "\#(prefix)amount""#)
    }
    for function in ["min", "last", "distinct"] { add(function, #", "of": "\#(prefix)text""#) }
    add("max", #", "of": "\#(prefix)flag""#)
    add("seconds_since_last")
    add("previous", #", "of": "\#(prefix)text""#)
    if prefix.isEmpty {
      add("ratio", #", "of": "amount""#)
      add("distance_km", #", "of": ["lat", "lon"]"#)
    }
    if from.isEmpty, !window.contains("delay") { add("count", #", "include_current": true"#) }
  }
  // What compares with the scored event needs the field there.
  return list.filter { !($0.contains("previous") && $0.contains("its_")) }
}

private let windows = [
  "", #", "window": "40m""#, #", "window": {"tumbling": "1h"}"#, #", "window": {"gap": "10m"}"#,
  #", "window": "40m", "delay": "20m""#,
]

@Test(arguments: windows, [0, 2_400_000_000] as [Int64])
func streamsAgreeWithTheNaiveList(window: String, disorder: Int64) throws {
  let features = eachFeature(window: window)
  let pipeline = try pipeline(features)
  let definitions = try features.map(definition)
  let topics = features.map { $0.contains(#""from": "a""#) ? 1 : $0.contains(#""from": "b""#) ? 2 : 0 }
  for seed in 1...2 as ClosedRange<UInt64> {
    let events = randomTopicEvents(200, seed: seed, disorder: disorder)
    var naive = (0..<3).map { _ in NaiveFeatures([]) }
    var expected: [[FieldValue?]] = []
    for event in events {
      if event.topic == 0 {
        expected.append(
          zip(definitions, topics).map { definition, topic in naive[topic].value(of: definition, for: event.event) })
      }
      naive[event.topic].fold(event.event)
    }
    var engine = Engine(pipeline)
    let found = try values(of: events, by: &engine)
    #expect(found.count == expected.count)
    for (row, (a, b)) in zip(found, expected).enumerated() {
      for column in features.indices where !agree(a[column], b[column], tolerance: 1e-8) {
        Issue.record("seed \(seed) row \(row) \(features[column]): \(a[column] as Any), not \(b[column] as Any)")
      }
    }
    for portion in [1, 7, 64, 1_000] {
      var merging = Engine(pipeline)
      #expect(try mergedValues(of: events, by: &merging, portion: portion) == found, "seed \(seed) portion \(portion)")
      #expect(merging.features.snapshot() == engine.features.snapshot())
      #expect(merging.summary == engine.summary)
    }
  }
}

@Test func streamsGoOnFromSnapshotsAndDeltas() throws {
  let pipeline = try pipeline(eachFeature(window: #", "window": "40m""#))
  let events = randomTopicEvents(120, seed: 9, disorder: 2_400_000_000)
  var whole = Engine(pipeline)
  let expected = try values(of: events, by: &whole)
  var stored = Engine(pipeline)
  var running = Engine(pipeline)
  running.features.trackChanges()
  for cut in stride(from: 0, through: events.count, by: 5) {
    var early = Engine(pipeline)
    let before = try values(of: Array(events[..<cut]), by: &early)
    var late = Engine(pipeline)
    try late.features.apply(early.features.snapshot())
    #expect(before + (try values(of: Array(events[cut...]), by: &late)) == expected)
    #expect(late.features.snapshot() == whole.features.snapshot())
    _ = try values(of: Array(events[max(0, cut - 5)..<cut]), by: &running)
    try stored.features.apply(running.features.takeDelta())
    #expect(stored.features.snapshot() == early.features.snapshot())
  }
}

@Test func eventsOfOtherKeysMayComeInAnyOrder() throws {
  let pipeline = try pipeline(eachFeature(window: #", "window": "40m""#), lateness: "100d")
  let events = randomTopicEvents(150, seed: 4, disorder: 0).filter { $0.event.key != nil }
  var generator = SeededGenerator(seed: 77)
  func byKey(_ events: [TopicEvent]) throws -> [Int64: [[FieldValue?]]] {
    var engine = Engine(pipeline)
    var rows: [Int64: [[FieldValue?]]] = [:]
    for (event, row) in zip(events.filter { $0.topic == 0 }, try values(of: events, by: &engine)) {
      rows[event.event.key ?? 0, default: []].append(row)
    }
    return rows
  }
  let expected = try byKey(events)
  for _ in 0..<5 {
    // Each key's events keep their order; which key is next is drawn.
    var queues = Dictionary(grouping: events) { $0.event.key ?? 0 }.sorted { $0.key < $1.key }.map { $0.value[...] }
    var shuffled: [TopicEvent] = []
    while !queues.isEmpty {
      let index = Int.random(in: queues.indices, using: &generator)
      shuffled.append(queues[index].removeFirst())
      if queues[index].isEmpty { queues.remove(at: index) }
    }
    #expect(try byKey(shuffled) == expected)
  }
}

@Test func aStreamChangesNothingOfFeaturesWithoutIt() throws {
  let own = eachFeature(window: "").filter { !$0.contains("from") }
  let events = randomTopicEvents(100, seed: 5, disorder: 0)
  var alone = Engine(try pipeline(own))
  var beside = Engine(try pipeline(own + [#""from": "a", "function": "count", "by": "key""#]))
  let expected = try values(of: events.filter { $0.topic == 0 }, by: &alone)
  let found = try values(of: events, by: &beside)
  #expect(found.map { Array($0.dropLast()) } == expected)
  #expect(alone.features.program.identity != beside.features.program.identity)
}

@Test func conditionsSelectAmongTheStreamsEvents() throws {
  var engine = Engine(
    try pipeline([
      #""from": "a", "function": "count", "by": "key", "where": "amount > 10 AND text = 'x'""#,
      #""from": "b", "function": "sum", "of": "its_amount", "by": "key", "where": "its_amount > 10""#,
      #""function": "count", "by": "key", "where": "amount > 10""#,
      #""from": "a", "function": "last", "of": "text", "by": ["key", "name"]"#,
    ]))
  func event(_ topic: Int, _ time: Int64, _ amount: Double, _ text: String = "x", name: String? = "n") -> TopicEvent {
    TopicEvent(topic: topic, event: TestEvent(key: 1, name: name, time: time, amount: amount, count: 0, text: text))
  }
  let rows = try values(
    of: [
      event(1, 1, 20), event(1, 2, 5), event(1, 3, 30, "y"), event(1, 4, 40, "z", name: "m"), event(2, 5, 11),
      event(2, 6, 9), event(0, 7, 50), event(0, 8, 1),
    ], by: &engine)
  #expect(rows[0] == [.integer(1), .float(11), .integer(0), .string("y")])
  #expect(rows[1] == [.integer(1), .float(11), .integer(1), .string("y")])
}

@Test func lateAndRepeatedEventsOfAStreamAreCountedAndNotFoldedIn() throws {
  let definition = """
    {"name": "p", "schema": [{"name": "key", "type": "integer"}, {"name": "t", "type": "timestamp"}],
     "event_time": "t", "key": "key",
     "streams": [{"name": "s", "schema": [{"name": "id", "type": "string"}, {"name": "key", "type": "integer"},
         {"name": "at", "type": "timestamp"}], "event_id": "id", "deduplicate": "1h", "key": "key",
       "event_time": {"field": "at", "watermark_delay": "0s", "allowed_lateness": "10m"}}],
     "features": [{"name": "n", "from": "s", "function": "count", "by": "key"}],
     "rules": [{"id": "r", "rule_expression": "n >= 0"}]}
    """
  var engine = Engine(try Pipeline(DefinitionValue(json: Array(definition.utf8))))
  func observe(_ id: String, _ time: String) throws {
    try engine.observe(Array(#"{"id": "\#(id)", "key": 1, "at": "2026-01-01T\#(time)Z"}"#.utf8), stream: "s")
  }
  try observe("a", "12:00:00")
  try observe("a", "12:20:00")
  try observe("b", "12:20:00")
  try observe("c", "12:09:59")
  try observe("d", "12:10:00")
  try observe("a", "13:21:00")
  #expect(throws: RejectedEvent.self) { try engine.observe(Array("{".utf8), stream: "s") }
  let scored = try engine.score(Array(#"{"key": 1, "t": "2026-01-01T12:00:00Z"}"#.utf8))
  #expect(scored.reasons[0].values[0].value == .integer(4))
  let counts = engine.summary.streams[0]
  #expect(counts.accepted == 6 && counts.rejected == [.badJSON: 1] && counts.late == 1 && counts.duplicates == 1)
  #expect(engine.summary.accepted == 1 && engine.summary.late == 0 && engine.summary.events == 1)
}

@Test(arguments: [
  (
    #"{"name": "n", "from": "paymets", "function": "count", "by": "id"}"#,
    "there is no stream 'paymets', did you mean 'payments'?"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "count", "by": "place"}"#,
    "stream 'payments' has no field 'place' to meet by"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "count", "by": "code"}"#,
    "'code' is string here and integer in stream 'payments'"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "sum", "of": "amont", "by": "id"}"#,
    "stream 'payments' has no field 'amont', did you mean 'amount'?"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "sum", "of": "currency", "by": "id"}"#,
    "sum needs numbers, 'currency' is string"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "sum", "of": "bad", "by": "id"}"#,
    "'bad' is the label of 'payments': only a feature with a 'delay' may read it"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "count", "by": "id", "where": "bad = 1"}"#,
    "the label of 'payments' is read: only a feature with a 'delay' may"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "count", "by": "id", "where": "place = 'x'"}"#,
    "unknown column 'place'"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "count", "by": "id", "include_current": true}"#,
    "the current event is none of the stream's"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "ratio", "of": "amount", "by": "id"}"#,
    "ratio compares with the scored event, which has no such field 'amount'"
  ),
  (
    #"{"name": "n", "from": "payments", "function": "shared", "of": ["client", "currency"]}"#,
    "shared is told from the pipeline's own events alone"
  ),
  (#"{"name": "payments", "function": "count", "by": "id"}"#, "'payments' is already the name of a stream"),
])
func mistakesAboutStreamsAreNamed(feature: String, message: String) throws {
  let definition = """
    {"name": "p", "kafka_topic": "orders", "key": "id",
     "schema": [{"name": "id", "type": "integer"}, {"name": "place", "type": "string"}, {"name": "code", "type": "string"}],
     "streams": [{"name": "payments", "kafka_topic": "payments", "key": "client", "label": "bad",
       "schema": [{"name": "client", "type": "integer"}, {"name": "amount", "type": "float"},
         {"name": "currency", "type": "string"}, {"name": "code", "type": "integer"}, {"name": "bad", "type": "integer"}]}],
     "features": [\(feature)]}
    """
  let error = #expect(throws: DefinitionError.self) {
    try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  }
  let problems = error?.problems.map(\.description) ?? []
  #expect(problems.count == 1 && problems[0].contains(message), "\(problems)")
}

@Test(arguments: [
  (
    #"{"name": "s", "schema": [{"name": "id", "type": "integer"}]}"#,
    "'key' is missing: the pipeline's topic is partitioned by 'id'"
  ),
  (
    #"{"name": "s", "key": "id", "schema": [{"name": "id", "type": "string"}]}"#,
    "the key 'id' is string, the pipeline's key 'id' is integer"
  ),
  (
    #"{"name": "s", "key": "id", "kafka_topic": "orders", "schema": [{"name": "id", "type": "integer"}]}"#,
    "the topic 'orders' is already read or written"
  ),
  (
    #"{"name": "ID", "key": "id", "schema": [{"name": "id", "type": "integer"}]}"#,
    "'ID' is already the name of a field, list or stream"
  ),
  (
    #"{"name": "s", "key": "id", "deduplicate": "1h", "schema": [{"name": "id", "type": "integer"}]}"#,
    "'deduplicate' needs 'event_id'"
  ),
  (#"{"name": "s", "key": "id", "topic": "x", "schema": [{"name": "id", "type": "integer"}]}"#, "topic"),
])
func mistakesOfStreamsAreNamed(stream: String, message: String) throws {
  let definition = """
    {"name": "p", "kafka_topic": "orders", "key": "id", "schema": [{"name": "id", "type": "integer"}],
     "streams": [\(stream)]}
    """
  let error = #expect(throws: DefinitionError.self) {
    try Pipeline(DefinitionValue(json: Array(definition.utf8)))
  }
  let problems = error?.problems.map(\.description) ?? []
  #expect(problems.count == 1 && problems[0].contains(message), "\(problems)")
}

@Test func topicsMeetInTheOrderOfTheirTimes() throws {
  let pipeline = try pipeline([#""function": "count", "by": "key""#])
  for seed in 1...8 as ClosedRange<UInt64> {
    var generator = SeededGenerator(seed: seed)
    var now: Int64 = 0
    // Times of each topic; many are equal.
    var events: [(time: Int64, topic: Int)] = []
    for _ in 0..<300 {
      now += Int64.random(in: 0...2, using: &generator)
      events.append((now, Int.random(in: 0..<3, using: &generator)))
    }
    let expected = events.sorted { ($0.time, ($0.topic + 2) % 3) < ($1.time, ($1.topic + 2) % 3) }.map {
      [$0.time, Int64($0.topic)]
    }
    var merge = TopicMerge(pipeline)
    var queues = (0..<3).map { topic in events.filter { $0.topic == topic }.map(\.time)[...] }
    var found: [[Int64]] = []
    while !merge.isEmpty {
      for topic in merge.wanted {
        if queues[topic].isEmpty { merge.setEnded(true, topic: topic) }
        let count = min(queues[topic].count, Int.random(in: 1...40, using: &generator))
        merge.append(batch(times: queues[topic].prefix(count), topic: topic, of: pipeline), topic: topic)
        queues[topic].removeFirst(count)
      }
      var unit = merge.nextUnit()
      if unit.isEmpty, merge.wanted.isEmpty { unit = merge.nextUnit(waits: false) }
      found += unit.map { [$0.time, Int64($0.topic)] }
      merge.finishUnit()
    }
    let isEqual = found == expected
    #expect(isEqual, "seed \(seed)")
  }
}

private func batch(times: ArraySlice<Int64>, topic: Int, of pipeline: Pipeline) -> EventBatch {
  let layout = topic == 0 ? pipeline.layout : pipeline.features.streams[topic - 1].layout
  var batch = EventBatch(layout: layout, source: EventSource(topic: "\(topic)"))
  for time in times {
    batch.positions.append(EventPosition(offset: Int64(batch.rowCount), start: 0, count: 0))
    batch.rowCount += 1
    batch.set(.timestamp(time), column: 2, row: batch.rowCount - 1)
  }
  return batch
}

// How events of several topics are evaluated: the rows of all, in their order, are gathered in one merged batch of which
// features are computed; the scored ones among them, with what was computed, go on to the rules in a batch of their own.

/// The events of all topics that an engine has taken and not yet evaluated.
struct MergedEvents: Sendable {
  /// Rows of all topics in their order, and for each its topic and, of a scored one, its row in ``scored``.
  var merged: EventBatch
  var sources: [Int] = []
  var places: [Int] = []
  /// The scored rows of this and earlier merged batches.
  var scored: EventBatch
  /// Of ``scored``, what was found when features were computed.
  var late = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  var future = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  var repeated = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  var truncations: [Int: [Int]] = [:]
  var aggregates: [AggregateRow] = []
  /// Where each topic's fields stand in the merged batch.
  let columns: [[Int]]

  init(_ pipeline: Pipeline) {
    let none = EventSource(topic: "")
    merged = EventBatch(layout: pipeline.features.merged, source: none)
    scored = EventBatch(layout: pipeline.layout, source: none)
    columns = [Array(0..<pipeline.layout.fieldCount)] + pipeline.features.streams.map(\.columns)
  }

  /// Whether a row with a message of this many bytes still fits.
  func hasRoom(forMessageOf count: Int) -> Bool {
    merged.hasRoom(forMessageOf: count) && scored.hasRoom(forMessageOf: count) && merged.byteCount < Self.bytesMax
      && scored.byteCount < Self.bytesMax
  }

  /// Bytes of messages after which a batch is evaluated although it has room for more.
  private static var bytesMax: Int { 4 << 20 }

  mutating func append(row: Int, of batch: borrowing EventBatch, topic: Int) {
    merged.append(row: row, of: batch, columns: columns[topic])
    sources.append(topic)
    places.append(topic == 0 ? scored.rowCount : -1)
    guard topic == 0 else { return }
    if scored.rowCount == 0 {
      scored.source = batch.source
      scored.holdsJSON = batch.holdsJSON
    }
    scored.append(row: row, of: batch, columns: columns[0])
  }

  mutating func removeMerged() {
    merged.removeAllRows()
    sources.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
  }

  mutating func removeScored() {
    scored.removeAll()
    for word in late.indices { (late[word], future[word], repeated[word]) = (0, 0, 0) }
    truncations.removeAll()
    aggregates.removeAll(keepingCapacity: true)
  }
}

extension Engine {
  /// Takes a decoded event of a topic, 0 for the scored one; events come in the order in which they are to be remembered.
  ///
  /// - Parameter emit: called each time that scored events were evaluated, as after ``evaluate(_:)``, with their batch.
  package mutating func take(
    row: Int, of batch: borrowing EventBatch, topic: Int, emit: (inout Engine, EventBatch) throws -> Void
  ) rethrows {
    guard var events = merging.take() else { preconditionFailure("the pipeline reads no other topic") }
    if !events.hasRoom(forMessageOf: batch.positions[row].count)
      || topic == 0 && events.scored.rowCount > 0 && events.scored.source != batch.source
    {
      merging = events
      try evaluateTaken(emit: emit)
      events = merging.take() ?? events
    }
    events.append(row: row, of: batch, topic: topic)
    if topic == 0 { counts.accepted += 1 } else { counts.streams[topic - 1].accepted += 1 }
    merging = events
  }

  /// Takes an event of a merge.
  package mutating func take(
    _ place: TopicMerge.Place, of merge: borrowing TopicMerge, emit: (inout Engine, EventBatch) throws -> Void
  ) rethrows {
    try take(row: place.row, of: merge[place], topic: place.topic, emit: emit)
  }

  /// Counts what was not accepted of a topic, 0 for the scored one, and the unknown fields of what was.
  package mutating func count(rejected: [RejectedEvent], unknownFields: Int, topic: Int) {
    if topic == 0 {
      for event in rejected { counts.count(rejected: event.reason) }
      counts.unknownFields += unknownFields
    } else {
      for event in rejected { counts.streams[topic - 1].rejected[event.reason, default: 0] += 1 }
    }
  }

  /// Counts fields of scored events that no schema declares.
  mutating func count(unknownFields: Int) { counts.unknownFields += unknownFields }

  /// Evaluates all events that were taken.
  package mutating func evaluateTaken(emit: (inout Engine, EventBatch) throws -> Void) rethrows {
    guard var events = merging.take() else { return }
    applyFeatures(to: &events)
    let hasScored = events.scored.rowCount > 0
    if hasScored {
      fitOutcomes(to: events.scored)
      (features.late, features.future, features.repeated) = (events.late, events.future, events.repeated)
      features.mergedTruncations = events.truncations
      features.aggregates = events.aggregates
      decide(&events.scored)
      defer {
        events.removeScored()
        merging = events
      }
      try emit(&self, events.scored)
      return
    }
    merging = events
  }

  /// Computes features of the rows that were gathered; the scored ones get their columns.
  private mutating func applyFeatures(to events: inout MergedEvents) {
    guard events.merged.rowCount > 0 else { return }
    let (late, clocks) = (features.lateCount, features.streams)
    features.setSources(events.sources)
    features.apply(to: &events.merged, lists: lists)
    counts.late += features.lateCount - late
    for index in clocks.indices {
      counts.streams[index].late += features.streams[index].lateCount - clocks[index].lateCount
      counts.streams[index].duplicates += features.streams[index].repeatedCount - clocks[index].repeatedCount
    }
    events.aggregates += features.aggregates
    let computed = pipeline.layout.fieldCount..<pipeline.layout.columns.count
    for row in 0..<events.merged.rowCount where events.places[row] >= 0 {
      let place = events.places[row]
      events.scored.copy(columns: computed, row: row, of: events.merged, to: place)
      let (word, bit, target) = (row >> 6, UInt64(row & 63), UInt64(1) << UInt64(place & 63))
      if features.late[word] >> bit & 1 == 1 { events.late[place >> 6] |= target }
      if features.future[word] >> bit & 1 == 1 { events.future[place >> 6] |= target }
      if features.repeated[word] >> bit & 1 == 1 { events.repeated[place >> 6] |= target }
    }
    for table in features.tables {
      for (column, rows) in table.truncated {
        events.truncations[column, default: []] += rows.map { events.places[$0] }
      }
    }
    events.removeMerged()
  }

  /// Computes the features of scored rows alone, in a pipeline that reads other topics, too.
  mutating func applyAlone(to batch: inout EventBatch) {
    guard var events = merging.take() else { return }
    defer { merging = events }
    for row in 0..<batch.rowCount { events.append(row: row, of: batch, topic: 0) }
    applyFeatures(to: &events)
    let computed = pipeline.layout.fieldCount..<pipeline.layout.columns.count
    for row in 0..<batch.rowCount { batch.copy(columns: computed, row: row, of: events.scored, to: row) }
    (features.late, features.future, features.repeated) = (events.late, events.future, events.repeated)
    features.mergedTruncations = events.truncations
    features.aggregates = events.aggregates
    events.removeScored()
  }

  /// Remembers one event of a stream, given as the text of a JSON object, for the events that are scored after it.
  ///
  /// - Parameters:
  ///   - stream: the stream's name in the definition.
  ///   - offset: its offset there.
  ///   - timestamp: the record's timestamp in microseconds since 1970, for streams without an event time.
  /// - Throws: ``RejectedEvent`` when the text is no event of the stream's schema.
  /// - Precondition: the pipeline declares the stream.
  public mutating func observe(
    _ event: [UInt8], stream: String, offset: Int64 = 0, timestamp: Int64? = nil
  ) throws(RejectedEvent) {
    guard let index = pipeline.features.streams.firstIndex(where: { $0.name == stream }) else {
      preconditionFailure("pipeline \(pipeline.definition.name) has no stream '\(stream)'")
    }
    let plan = pipeline.features.streams[index]
    var batch = EventBatch(layout: plan.layout, source: EventSource(topic: stream), capacity: 1)
    var state = DecoderState(plan.decoder)
    if batch.hasRoom(forMessageOf: event.count) {
      batch.append(message: event.span, offset: offset, timestamp: timestamp)
    }
    plan.decoder.decode(&batch, &state)
    if let rejected = state.rejected.first {
      counts.streams[index].rejected[rejected.reason, default: 0] += 1
      throw rejected
    }
    if batch.rowCount == 0 { return }
    take(row: 0, of: batch, topic: index + 1) { _, _ in }
    evaluateTaken { _, _ in }
  }
}

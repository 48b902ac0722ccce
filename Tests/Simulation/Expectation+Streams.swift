import FraudCore

// The plain twin for pipelines of several topics: every event is decoded and evaluated alone, in an order that is sorted
// here once more.

extension Expectation {
  /// An event of one of the topics, and where it stands.
  private struct Event {
    var time: Int64
    /// Among events of one time: the streams in the order of the definition, then the scored topic.
    var order: Int
    var offset: Int64
    var topic: Int
    var batch: EventBatch
    var unknownFields: Int
  }

  /// Evaluates a partition's topics to their ends, as the commits divided them.
  ///
  /// - Parameters:
  ///   - isOneByOne: whether all events of a version are taken in their order, whatever commit they were in.
  ///   - scoredFirst: a planted bug.
  /// - Returns: what is remembered in the end, and what was counted of each stream.
  mutating func process(
    _ logs: [[SimulatedRecord]], topics: [String], partition: Int32, _ commits: [SimulatedDatabase.Commit],
    isOneByOne: Bool, poison: Set<Life.Place>, latePoison: Set<Life.Place>, scoredFirst: Bool
  ) throws -> (features: [UInt8], streams: [EventCounts]) {
    let sources = topics.map { EventSource(topic: $0, generation: "dev", partition: partition) }
    let versions = Simulation.versions(hasStreams: true)
    var engine = Engine(versions[0].pipeline, version: 0)
    var counts = EventCounts()
    var streams = topics.dropFirst().map { _ in EventCounts() }
    func close(_ engine: Engine) {
      count(engine, of: sources[0], into: &counts)
      for (index, stream) in engine.summary.streams.enumerated() {
        streams[index].accepted += Int64(stream.accepted)
        streams[index].rejected += Int64(stream.events - stream.accepted)
      }
    }
    func use(_ version: Int) throws {
      guard engine.version != version else { return }
      close(engine)
      let (remembered, isFirst) = (engine.features.snapshot(), engine.version == 0)
      engine = Engine(versions[version - 1])
      if !isFirst { try engine.features.apply(remembered) }
    }
    var units: [(version: Int, events: [Event])] = []
    for commit in commits {
      try use(commit.version)
      var events: [Event] = []
      for (topic, range) in commit.ranges.enumerated() {
        var last = Int64.min
        for offset in range {
          guard logs[topic].indices.contains(Int(offset)) else { continue }
          let place = Life.Place(topic: topics[topic], partition: partition, offset: offset)
          let decoded = try decode(
            logs[topic][Int(offset)], offset, topic, sources[topic], isPoison: poison.contains(place),
            isLatePoison: latePoison.contains(place), &engine)
          guard let (batch, time, unknownFields) = decoded else { continue }
          last = time ?? last
          events.append(
            Event(
              time: last, order: topic == 0 && !scoredFirst ? topics.count : topic, offset: offset, topic: topic,
              batch: batch, unknownFields: unknownFields))
        }
      }
      if isOneByOne, let last = units.indices.last, units[last].version == commit.version {
        units[last].events += events
      } else {
        units.append((commit.version, events))
      }
    }
    // What was rejected is counted.
    close(engine)
    engine = Engine(versions[0].pipeline, version: 0)
    for unit in units {
      try use(unit.version)
      for event in unit.events.sorted(by: { ($0.time, $0.order, $0.offset) < ($1.time, $1.order, $1.offset) }) {
        engine.take(row: 0, of: event.batch, topic: event.topic) { keep($0, $1) }
        engine.evaluateTaken { keep($0, $1) }
        engine.count(rejected: [], unknownFields: event.unknownFields, topic: event.topic)
      }
    }
    close(engine)
    self.counts[sources[0]] = counts
    return (engine.features.snapshot(), streams)
  }

  /// One record alone; `nil` where it is rejected or a tombstone.
  private mutating func decode(
    _ record: SimulatedRecord, _ offset: Int64, _ topic: Int, _ source: EventSource, isPoison: Bool,
    isLatePoison: Bool, _ engine: inout Engine
  ) throws -> (batch: EventBatch, time: Int64?, unknownFields: Int)? {
    let plan = topic == 0 ? nil : engine.pipeline.features.streams[topic - 1]
    let decoder = plan?.decoder ?? engine.pipeline.decoder
    var batch = EventBatch(layout: plan?.layout ?? engine.pipeline.layout, source: source, capacity: 1)
    let timestamp = record.timestampMilliseconds.map { $0 * 1_000 }
    if let value = record.value {
      batch.append(message: value.span, offset: offset, timestamp: timestamp)
    } else {
      batch.appendTombstone(offset: offset, timestamp: timestamp)
    }
    var state = DecoderState(decoder)
    let position = batch.positions.first
    decoder.decode(&batch, &state)
    var rejected = state.rejected
    if let position, isPoison || isLatePoison && rejected.isEmpty {
      rejected = [
        RejectedEvent(
          reason: .crashedWorker, detail: "the process crashed each time it evaluated this event", position: position)
      ]
    }
    engine.count(rejected: rejected, unknownFields: 0, topic: topic)
    let redaction = plan?.redaction ?? Redaction(schema: engine.pipeline.definition.schema)
    for event in rejected { keep(RejectedRecord(event, of: batch, redaction)) }
    if !rejected.isEmpty || batch.rowCount == 0 { return nil }
    let time =
      topic == 0 ? engine.pipeline.eventTime(row: 0, batch: batch) ?? timestamp : plan?.time(row: 0, of: batch)
    return (batch, time, topic == 0 ? state.unknownFields : 0)
  }
}

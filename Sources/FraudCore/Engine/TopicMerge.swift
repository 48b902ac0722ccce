/// Events of several topics that were read and decoded, and the order in which they are evaluated.
///
/// Events are taken in units. A unit is a beginning of what was read of each topic: everything up to the last event that
/// happened before the latest that every topic has delivered, so that none runs ahead of another while all are read. Within a
/// unit events are ordered by (event time, topic, offset), the streams in the order of the definition and the scored topic
/// behind them: an event is scored with everything that happened up to its own time. What a unit holds of each topic is all
/// that its order depends on; so of a topic's events without a time, which happened when the one before them did, those that
/// are its first in a unit come first.
package struct TopicMerge: Sendable {
  /// An event's place in the merge.
  package struct Place: Sendable, Hashable {
    var time: Int64
    /// Among events of one time.
    var order: Int
    var offset: Int64
    /// 0 for the scored topic.
    package var topic: Int
    package var portion: Int
    package var row: Int
  }

  /// Decoded events of one topic.
  struct Portion: Sendable {
    var batch: EventBatch
    var times: [Int64]
    /// The rows whose time is that of the one before, in order.
    var timeless: [Int]
    /// Fields of its events that no schema declares.
    var unknownFields: Int
    /// Whether each of its events is to be evaluated alone.
    var isCareful: Bool
  }

  struct Queue: Sendable {
    var portions: [Portion] = []
    /// Rows of the first portion that were taken.
    var taken = 0
    /// Nothing more is to come, or nothing is there to be waited for.
    var isEnded = false
    /// The latest time of what is waiting.
    var latest: Int64? {
      var latest: Int64?
      for (index, portion) in portions.enumerated() {
        for time in portion.times[(index == 0 ? taken : 0)...] { latest = max(latest ?? time, time) }
      }
      return latest
    }
    /// The time of the last row that was added.
    var last: Int64 = .min
    /// Whether it holds too little to tell what comes before the others' next events: nothing, or events of one time, of
    /// which there may be more.
    var isThin: Bool {
      if isEnded || portions.count > 1 { return false }
      guard let first = portions.first else { return true }
      return first.times[taken...].allSatisfy { $0 == first.times[taken] }
    }
  }

  private let pipeline: Pipeline
  private(set) var queues: [Queue]
  /// Where the unit at hand ends in each queue: a portion and a row of it.
  private var ends: [(portion: Int, row: Int)]

  package init(_ pipeline: Pipeline) {
    self.pipeline = pipeline
    queues = Array(repeating: Queue(), count: pipeline.features.streams.count + 1)
    ends = Array(repeating: (0, 0), count: queues.count)
  }

  /// The topics whose next events have to be read before anything can be taken.
  package var wanted: [Int] { queues.indices.filter { queues[$0].isThin } }

  /// Whether everything was read and taken.
  package var isEmpty: Bool { queues.allSatisfy { $0.portions.isEmpty && $0.isEnded } }

  /// Adds the next rows of a topic.
  package mutating func append(_ batch: EventBatch, topic: Int, unknownFields: Int = 0, isCareful: Bool = false) {
    guard batch.rowCount > 0 else { return }
    var times: [Int64] = []
    var timeless: [Int] = []
    times.reserveCapacity(batch.rowCount)
    for row in 0..<batch.rowCount {
      let time =
        topic == 0
        ? pipeline.eventTime(row: row, batch: batch) ?? batch.positions[row].timestamp
        : pipeline.features.streams[topic - 1].time(row: row, of: batch)
      if let time { queues[topic].last = time } else { timeless.append(row) }
      times.append(queues[topic].last)
    }
    queues[topic].portions.append(
      Portion(
        batch: batch, times: times, timeless: timeless, unknownFields: unknownFields,
        isCareful: isCareful))
  }

  /// Says that a topic has no more events, or has some again.
  package mutating func setEnded(_ isEnded: Bool, topic: Int) { queues[topic].isEnded = isEnded }

  /// Chooses the next unit.
  ///
  /// - Parameters:
  ///   - waits: whether a topic of which too little is there, and that is not at its end, holds back the others.
  ///   - isSingle: whether the unit is to hold one event at most: of the next ones of all topics, the first.
  /// - Returns: its events in their order; none where nothing can be taken.
  package mutating func nextUnit(waits: Bool = true, isSingle: Bool = false) -> [Place] {
    var bound: Int64?
    for queue in queues where !queue.isEnded {
      guard let latest = queue.latest else {
        if waits { return [] }
        continue
      }
      // More events of the latest time may follow.
      let end = waits ? max(latest, .min + 1) - 1 : latest
      bound = min(bound ?? end, end)
    }
    var places: [Place] = []
    for topic in queues.indices {
      ends[topic] = end(of: queues[topic], upTo: bound)
      let order = topic == 0 ? queues.count : topic
      var isBeforeAny = true
      for portion in 0..<min(ends[topic].portion + 1, queues[topic].portions.count) {
        let whole = queues[topic].portions[portion]
        let end = portion < ends[topic].portion ? whole.times.count : ends[topic].row
        for row in (portion == 0 ? queues[topic].taken : 0)..<max(end, portion == 0 ? queues[topic].taken : 0) {
          isBeforeAny = isBeforeAny && whole.timeless.contains(row)
          places.append(
            Place(
              time: isBeforeAny ? .min : whole.times[row], order: order, offset: whole.batch.positions[row].offset,
              topic: topic, portion: portion, row: row))
        }
      }
    }
    places.sort { ($0.time, $0.order, $0.offset) < ($1.time, $1.order, $1.offset) }
    guard isSingle, let first = places.first(where: { firstOffset(ofTopic: $0.topic) == $0.offset }) else {
      return places
    }
    for topic in ends.indices { ends[topic] = topic == first.topic ? (first.portion, first.row + 1) : (0, 0) }
    return [first]
  }

  /// Whether an event is to be evaluated alone.
  func isCareful(_ place: Place) -> Bool { queues[place.topic].portions[place.portion].isCareful }

  /// Whether any of those that wait is.
  var holdsCareful: Bool { queues.contains { $0.portions.contains(where: \.isCareful) } }

  /// Whether anything is waiting.
  var hasRows: Bool { queues.contains { !$0.portions.isEmpty } }

  /// Bytes of a topic's messages that were not taken.
  func byteCount(ofTopic topic: Int) -> Int {
    let (portions, taken) = (queues[topic].portions, queues[topic].taken)
    let done = portions.first.map { $0.batch.positions[taken].start } ?? 0
    return portions.reduce(0) { $0 + $1.batch.messageBytes } - done
  }

  /// The offset of the first event of a topic that was not taken.
  func firstOffset(ofTopic topic: Int) -> Int64? {
    queues[topic].portions.first.map { $0.batch.positions[queues[topic].taken].offset }
  }

  /// Fields of the unit's scored events that no schema declares. Where a batch is divided between two units, the events of
  /// this one are decoded once more to tell.
  func unknownFields(_ decoder: EventDecoder) -> Int {
    var state = DecoderState(decoder)
    var count = 0
    for portion in 0..<min(ends[0].portion + 1, queues[0].portions.count) {
      let whole = queues[0].portions[portion].batch
      let start = portion == 0 ? queues[0].taken : 0
      let end = portion < ends[0].portion ? whole.rowCount : max(ends[0].row, start)
      if start == end || queues[0].portions[portion].unknownFields == 0 { continue }
      if start == 0, end == whole.rowCount {
        count += queues[0].portions[portion].unknownFields
        continue
      }
      var part = EventBatch(layout: whole.layout, source: whole.source, capacity: whole.capacity)
      for row in start..<end {
        let position = whole.positions[row]
        part.append(
          message: whole.bytes.span.extracting(position.start..<position.start + position.count),
          offset: position.offset)
      }
      decoder.decode(&part, &state)
      count += state.unknownFields
    }
    return count
  }

  /// The batch that a place is in.
  package subscript(place: Place) -> EventBatch {
    _read { yield queues[place.topic].portions[place.portion].batch }
  }

  /// Leaves the unit behind.
  package mutating func finishUnit() {
    for topic in queues.indices {
      let (portion, row) = ends[topic]
      queues[topic].portions.removeFirst(portion)
      queues[topic].taken = portion == 0 ? max(row, queues[topic].taken) : row
      if let first = queues[topic].portions.first, queues[topic].taken == first.times.count {
        queues[topic].portions.removeFirst()
        queues[topic].taken = 0
      }
      ends[topic] = (0, 0)
    }
  }

  /// Behind the last event that is not later than the bound.
  private func end(of queue: Queue, upTo bound: Int64?) -> (portion: Int, row: Int) {
    guard let bound else { return (queue.portions.count, 0) }
    for portion in queue.portions.indices.reversed() {
      if let row = queue.portions[portion].times.lastIndex(where: { $0 <= bound }) { return (portion, row + 1) }
    }
    return (0, 0)
  }
}

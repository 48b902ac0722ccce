/// How far a pipeline is in one of its streams, beside one partition of the scored topic.
public struct StreamProgress: Sendable, Hashable {
  /// The stream's topic; the partition is that of the scored topic.
  public var topic: String
  /// The offset at which the pipeline began to read it.
  public var startOffset: Int64
  /// The next event to fold in.
  public var nextOffset: Int64
  /// Events that were decoded.
  public var accepted: Int64 = 0
  /// Events that are in `fraud.rejected_events`.
  public var rejected: Int64 = 0

  /// Begins a stream.
  public init(topic: String, startOffset: Int64) {
    self.topic = topic
    self.startOffset = startOffset
    nextOffset = startOffset
  }
}

/// What one partition's worker has read of all topics of a pipeline with streams, and not yet evaluated.
///
/// A commit evaluates one unit of a ``TopicMerge``: what stands before the latest time that every topic has delivered. A topic
/// that is read to its end holds nothing back, so one that is idle or empty costs nothing; one that is not, and from which
/// nothing comes, holds back the others for ``ProcessorConfiguration/streamPatience``.
struct PartitionStreams {
  /// One topic: the scored one first, then the streams in the order of the definition.
  struct Topic {
    let partition: TopicPartition
    let source: EventSource
    let startOffset: Int64
    /// The offset after the last record that was evaluated, and after the last one that was read.
    var evaluatedOffset: Int64
    var readOffset: Int64
    /// Whether everything that it holds has been read.
    var isAtEnd = false
    /// Whether the source was told to read no further for now.
    var isPaused = false
    var batch: EventBatch
    var state: DecoderState
    /// What was rejected behind ``evaluatedOffset``.
    var rejected: [(event: RejectedEvent, record: RejectedRecord)] = []
    /// Records that wait to be decoded one by one, while the topic is taken with care, and those behind them.
    var waiting = WaitingRecords()
    /// Records to come that are to be taken so: at least all that the dead owner can have had in its hands.
    var carefulRecords = 0

    var pendingCount: Int { Int(clamping: readOffset - evaluatedOffset) }

    /// Turns the messages that wait into rows and rejected events; whether there were any.
    mutating func decode(_ decoder: EventDecoder, _ redaction: Redaction) -> Bool {
      guard !batch.positions.isEmpty else { return false }
      decoder.decode(&batch, &state)
      for event in state.rejected { rejected.append((event, RejectedRecord(event, of: batch, redaction))) }
      return true
    }
  }

  /// What came out of a unit.
  struct Output {
    var alerts: [Alert] = []
    var shadowAlerts: [Alert] = []
    var rejected: [RejectedRecord] = []
    var ruleErrors: [RuleErrorRecord] = []
    var aggregates: [AggregateRecord] = []
    var online: OnlineFeatures?
    var latestEventTime: Int64?

    mutating func observe(_ engine: Engine, _ batch: EventBatch) {
      alerts += engine.alertRecords(of: batch)
      shadowAlerts += engine.shadowAlertRecords(of: batch)
      ruleErrors += engine.ruleErrorRecords(of: batch)
      for row in engine.features.aggregates { aggregates.append(AggregateRecord(source: batch.source, row: row)) }
      online?.observe(batch, engine.pipeline)
      if let time = engine.latestEventTime(of: batch) { latestEventTime = max(latestEventTime ?? time, time) }
    }
  }

  var topics: [Topic]
  var merge: TopicMerge
  private let plans: [StreamPlan]
  private let decoder: EventDecoder
  private let redaction: Redaction
  /// What is evaluated event by event, and how much of it was.
  var careful: CarefulUnit?
  /// The records that owners before this one died with.
  var suspects: [PartitionProgress.NotedRecord]
  /// Whether a record stays noted until its commit is done, and is committed alone.
  let staysNoted: Bool
  /// Since when nothing could be evaluated for want of a topic's records.
  private var blockedSince: Duration?

  /// - Parameter earliestOffset: where to begin a stream that was never read.
  /// - Returns: nil where the pipeline reads no other topic.
  init?(
    _ pipeline: Pipeline, _ progress: PartitionProgress, _ configuration: ProcessorConfiguration,
    earliestOffset: (TopicPartition) throws -> Int64
  ) rethrows {
    guard !pipeline.features.streams.isEmpty else { return nil }
    plans = pipeline.features.streams
    decoder = pipeline.decoder
    redaction = Redaction(schema: pipeline.definition.schema)
    merge = TopicMerge(pipeline)
    suspects = progress.noted
    staysNoted = progress.crashCount >= Limits.crashesBeforeCommitCare * (suspects.isEmpty ? 1 : 2)
    let rows = configuration.batchRows
    let scored = TopicPartition(topic: progress.source.topic, partition: progress.source.partition)
    topics = [
      Topic(
        partition: scored, source: progress.source, startOffset: progress.startOffset,
        evaluatedOffset: progress.nextOffset, readOffset: progress.nextOffset,
        batch: EventBatch(layout: pipeline.layout, source: progress.source, capacity: rows),
        state: DecoderState(pipeline.decoder))
    ]
    for (stream, plan) in zip(pipeline.definition.streams, plans) {
      let place = TopicPartition(topic: stream.kafkaTopic ?? stream.name, partition: scored.partition)
      let source = EventSource(
        topic: place.topic, generation: progress.source.generation, partition: place.partition)
      let known = progress.streams.first { $0.topic == place.topic }
      let start = try known?.startOffset ?? earliestOffset(place)
      let next = known?.nextOffset ?? start
      topics.append(
        Topic(
          partition: place, source: source, startOffset: start, evaluatedOffset: next, readOffset: next,
          batch: EventBatch(layout: plan.layout, source: source, capacity: rows), state: DecoderState(plan.decoder)))
    }
    if progress.crashCount > 0 { takeWithCare(configuration) }
  }

  /// Records read and not evaluated.
  var pendingCount: Int { topics.reduce(0) { $0 + $1.pendingCount } }

  /// Bytes of a topic's messages that were read and not evaluated.
  func pendingBytes(ofTopic topic: Int) -> Int {
    topics[topic].batch.messageBytes + merge.byteCount(ofTopic: topic) + topics[topic].waiting.byteCount
  }

  /// The first offset of a topic that is not done with.
  private func firstPending(ofTopic topic: Int) -> Int64 {
    let pending = [
      merge.firstOffset(ofTopic: topic), topics[topic].batch.positions.first?.offset,
      topics[topic].waiting.first?.offset,
    ]
    return pending.compactMap { $0 }.min() ?? topics[topic].readOffset
  }

  /// Whether all topics were read to their ends.
  var isAtEnd: Bool { topics.allSatisfy(\.isAtEnd) }

  func index(of partition: TopicPartition) -> Int? { topics.firstIndex { $0.partition == partition } }

  mutating func setPaused(_ isPaused: Bool, topic: Int) { topics[topic].isPaused = isPaused }

  /// Keeps records; one that was read before is passed over.
  mutating func take(
    _ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>, topic: Int,
    failpoint: ProcessorConfiguration.Failpoint?
  ) {
    for message in messages where message.offset >= topics[topic].readOffset {
      topics[topic].readOffset = message.offset + 1
      topics[topic].isAtEnd = false
      if topics[topic].carefulRecords > 0 || !topics[topic].waiting.isEmpty {
        topics[topic].waiting.append(message, bytes: bytes, isAlone: topics[topic].carefulRecords > 0)
        topics[topic].carefulRecords = max(0, topics[topic].carefulRecords - 1)
        continue
      }
      failpoint?("take", message.offset, topics[topic].partition)
      let timestamp = PartitionWorker.microseconds(message.timestampMilliseconds)
      let value: Span<UInt8>? = if let range = message.value { bytes.extracting(range) } else { nil }
      append(value, offset: message.offset, timestamp: timestamp, topic: topic)
    }
  }

  /// Puts a record into the topic's batch, which is decoded where it is full.
  mutating func append(_ value: Span<UInt8>?, offset: Int64, timestamp: Int64?, topic: Int) {
    if !topics[topic].batch.hasRoom(forMessageOf: value?.count ?? 0) { decode(topic) }
    if let value {
      topics[topic].batch.append(message: value, offset: offset, timestamp: timestamp)
    } else {
      topics[topic].batch.appendTombstone(offset: offset, timestamp: timestamp)
    }
  }

  /// Learns that nothing stands before an offset any more but what was given, and nothing behind it.
  mutating func reachEnd(_ offset: Int64, topic: Int) {
    topics[topic].readOffset = max(topics[topic].readOffset, offset)
    topics[topic].isAtEnd = true
    // What comes now was not there when the former owner died.
    topics[topic].carefulRecords = 0
  }

  /// How a topic's events are decoded, and what is masked of those that are rejected.
  func decoding(ofTopic index: Int) -> (decoder: EventDecoder, redaction: Redaction) {
    index == 0 ? (decoder, redaction) : (plans[index - 1].decoder, plans[index - 1].redaction)
  }

  private mutating func decode(_ index: Int) {
    let (decoder, redaction) = decoding(ofTopic: index)
    guard topics[index].decode(decoder, redaction) else { return }
    merge.append(topics[index].batch, topic: index, unknownFields: topics[index].state.unknownFields)
    topics[index].batch.removeAll()
  }

  /// Evaluates what can be evaluated now, or begins to do so with care.
  ///
  /// - Parameter begins: whether a unit that is taken with care may begin.
  /// - Returns: whether any topic got ahead, and so whether there is something to commit.
  mutating func evaluate(
    _ engine: inout Engine, now: Duration, configuration: ProcessorConfiguration, begins: Bool,
    into output: inout Output
  ) -> Bool {
    if let careful {
      if !careful.isDone { return false }
      return finishUnit(&engine, into: &output)
    }
    // What waits to be decoded tells what comes first.
    if hasCarefulWork || !begins && merge.holdsCareful { return false }
    for topic in topics.indices {
      decode(topic)
      merge.setEnded(topics[topic].isAtEnd, topic: topic)
    }
    let isSingle = staysNoted && merge.holdsCareful
    var unit = merge.nextUnit(isSingle: isSingle)
    if !unit.isEmpty {
      blockedSince = nil
    } else if merge.hasRows {
      let since = blockedSince ?? now
      blockedSince = since
      if now - since >= configuration.streamPatience { unit = merge.nextUnit(waits: false, isSingle: isSingle) }
    }
    if unit.contains(where: { merge.isCareful($0) }) {
      careful = CarefulUnit(places: unit)
      takeCarefree(&engine, configuration.failpoint, into: &output)
      return false
    }
    for place in unit { evaluate(place, &engine, configuration.failpoint, into: &output) }
    engine.evaluateTaken { output.observe($0, $1) }
    return finishUnit(&engine, into: &output)
  }

  func evaluate(
    _ place: TopicMerge.Place, _ engine: inout Engine, _ failpoint: ProcessorConfiguration.Failpoint?,
    into output: inout Output
  ) {
    failpoint?("evaluate", merge[place].positions[place.row].offset, topics[place.topic].partition)
    engine.take(place, of: merge) { output.observe($0, $1) }
  }

  /// Leaves an evaluated unit behind; whether any topic got ahead.
  private mutating func finishUnit(_ engine: inout Engine, into output: inout Output) -> Bool {
    careful = nil
    engine.count(unknownFields: merge.unknownFields(decoder))
    merge.finishUnit()
    var isAhead = false
    for topic in topics.indices {
      let end = firstPending(ofTopic: topic)
      isAhead = isAhead || end > topics[topic].evaluatedOffset
      topics[topic].evaluatedOffset = end
      let count = topics[topic].rejected.prefix { $0.record.offset < end }.count
      engine.count(rejected: topics[topic].rejected[..<count].map(\.event), unknownFields: 0, topic: topic)
      output.rejected += topics[topic].rejected[..<count].map(\.record)
      topics[topic].rejected.removeFirst(count)
    }
    return isAhead
  }
}

/// How far a commit moves a stream.
public struct StreamAdvance: Sendable, Hashable {
  /// The stream as it is after the commit.
  public var progress: StreamProgress
  /// The offset it goes on from: with ``StreamProgress/nextOffset`` the range that the commit evaluated.
  public var firstOffset: Int64
}

extension PartitionStreams {
  /// What a commit says of each stream, and how it is afterwards.
  ///
  /// - Parameters:
  ///   - progress: the partition's, from which the commit starts.
  ///   - counted: what the engine counted since.
  func advances(from progress: PartitionProgress, counted: RunSummary) -> [StreamAdvance] {
    topics.dropFirst().enumerated().map { index, topic in
      var stream =
        progress.streams.first { $0.topic == topic.partition.topic }
        ?? StreamProgress(topic: topic.partition.topic, startOffset: topic.startOffset)
      let first = stream.nextOffset
      stream.nextOffset = topic.evaluatedOffset
      stream.accepted += Int64(counted.streams[index].accepted)
      stream.rejected += Int64(counted.streams[index].events - counted.streams[index].accepted)
      return StreamAdvance(progress: stream, firstOffset: first)
    }
  }
}

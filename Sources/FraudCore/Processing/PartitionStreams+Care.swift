// Care after crashes. In a pipeline of one topic records follow each other, and one note says all. Here a record is in hand
// twice: when it is decoded, and when its turn comes among those of all topics, which may be another in each life of the
// partition, since it depends on what was read by then. So each record is noted twice, and what an owner died with stays
// noted beside it until it was tried, whatever comes before it.

extension PartitionStreams {
  /// A unit that is evaluated event by event.
  struct CarefulUnit {
    let places: [TopicMerge.Place]
    var next = 0
    var isDone: Bool { next == places.count }
  }

  /// Whether a record is to be taken alone now.
  var hasCarefulWork: Bool {
    careful.map { !$0.isDone } ?? false || topics.contains { !$0.waiting.isEmpty }
  }

  /// Whether the next owner is to take care, should this one leave.
  var isCareful: Bool {
    !suspects.isEmpty || hasCarefulWork || merge.holdsCareful || topics.contains { $0.carefulRecords > 0 }
  }

  /// Takes from now on as many records of each topic with care as an owner may have in its hands.
  mutating func takeWithCare(_ configuration: ProcessorConfiguration) {
    for topic in topics.indices { topics[topic].carefulRecords = configuration.streamRecordsInHand }
  }

  /// The record to take next, and whether it is to be decoded or evaluated.
  private var nextCareful: (topic: Int, offset: Int64, isDecoded: Bool)? {
    if let careful, !careful.isDone {
      let place = careful.places[careful.next]
      return (place.topic, merge[place].positions[place.row].offset, true)
    }
    for topic in topics.indices {
      if let record = topics[topic].waiting.first { return (topic, record.offset, false) }
    }
    return nil
  }

  private func suspect(_ topic: Int, _ offset: Int64) -> Int? {
    suspects.firstIndex { $0.topic == topics[topic].partition.topic && $0.offset == offset }
  }

  /// What is to be noted before the next record is taken, and whether that is its trial; `nil` where it is known to have
  /// killed its owners.
  var nextNotes: (records: [PartitionProgress.NotedRecord], isTrial: Bool)? {
    guard let (topic, offset, _) = nextCareful else { return nil }
    var records = suspects
    if let known = suspect(topic, offset) {
      if records[known].isTrial { return nil }
      records[known].isTrial = true
      return (records, true)
    }
    let record = PartitionProgress.NotedRecord(topic: topics[topic].partition.topic, offset: offset, isTrial: false)
    records.append(record)
    return (Array(records.suffix(Limits.notedRecords)), false)
  }

  /// Takes the next record alone: decodes it, evaluates it, or keeps it among the rejected, unseen.
  mutating func takeNext(
    _ engine: inout Engine, _ failpoint: ProcessorConfiguration.Failpoint?, into output: inout Output
  ) {
    guard let (topic, offset, isDecoded) = nextCareful else { return }
    let known = suspect(topic, offset)
    if isDecoded, let unit = careful {
      evaluate(unit.places[unit.next], &engine, failpoint, into: &output)
      engine.evaluateTaken { output.observe($0, $1) }
      careful?.next += 1
      if let known { suspects.remove(at: known) }
      return
    }
    guard let record = topics[topic].waiting.popFirst() else { return }
    if let known, suspects[known].isTrial { return reject(record, topic: topic) }
    failpoint?("take", offset, topics[topic].partition)
    var batch = alone(record, topic: topic)
    let (decoder, redaction) = decoding(ofTopic: topic)
    decoder.decode(&batch, &topics[topic].state)
    for event in topics[topic].state.rejected {
      topics[topic].rejected.append((event, RejectedRecord(event, of: batch, redaction)))
    }
    merge.append(batch, topic: topic, unknownFields: topics[topic].state.unknownFields, isCareful: true)
  }

  /// Takes what nobody had in hand and only waits for what is taken alone, up to the next record of that.
  mutating func takeCarefree(
    _ engine: inout Engine, _ failpoint: ProcessorConfiguration.Failpoint?, into output: inout Output
  ) {
    for topic in topics.indices {
      while let next = topics[topic].waiting.first, !next.isAlone, let record = topics[topic].waiting.popFirst() {
        failpoint?("take", record.offset, topics[topic].partition)
        append(record.value?.span, offset: record.offset, timestamp: record.timestamp, topic: topic)
      }
    }
    while let unit = careful, !unit.isDone, !merge.isCareful(unit.places[unit.next]) {
      evaluate(unit.places[unit.next], &engine, failpoint, into: &output)
      careful?.next += 1
    }
    engine.evaluateTaken { output.observe($0, $1) }
  }

  /// The suspects that a commit of what was evaluated leaves under suspicion.
  var suspectsAhead: [PartitionProgress.NotedRecord] {
    suspects.filter { suspect in
      !topics.contains { $0.partition.topic == suspect.topic && suspect.offset < $0.evaluatedOffset }
    }
  }

  /// Forgets suspects that commits have left behind.
  mutating func forgetSuspects(before progress: PartitionProgress) {
    suspects.removeAll { suspect in
      let stream = progress.streams.first { $0.topic == suspect.topic }
      let committed = suspect.topic == progress.source.topic ? progress.nextOffset : stream?.nextOffset
      return suspect.offset < committed ?? 0
    }
  }

  private func alone(_ record: WaitingRecord, topic: Int) -> EventBatch {
    var batch = EventBatch(layout: topics[topic].batch.layout, source: topics[topic].source, capacity: 1)
    if let value = record.value {
      batch.append(message: value.span, offset: record.offset, timestamp: record.timestamp)
    } else {
      batch.appendTombstone(offset: record.offset, timestamp: record.timestamp)
    }
    return batch
  }

  private mutating func reject(_ record: WaitingRecord, topic: Int) {
    let batch = alone(record, topic: topic)
    guard let position = batch.positions.first else { return }
    let event = RejectedEvent(crashedWorkerAt: position)
    topics[topic].rejected.append((event, RejectedRecord(event, of: batch, decoding(ofTopic: topic).redaction)))
  }
}

/// Taking records: of one topic in batches, of several topics in the order of their times, and one by one after crashes.
extension Processor where Store: ~Copyable {
  var startOffsets: [TopicPartition: StartOffset] {
    var starts: [TopicPartition: StartOffset] = [:]
    for worker in workers { for start in worker.starts { starts[start.partition] = .at(start.offset) } }
    return starts
  }

  /// The worker and the topic of a partition, in a pipeline that reads several topics.
  func place(of partition: TopicPartition) -> (worker: Int, topic: Int)? {
    for index in workers.indices where workers[index].partition.partition == partition.partition {
      if let topic = workers[index].streams?.index(of: partition) { return (index, topic) }
    }
    return nil
  }

  /// Keeps records of several topics; a topic of which much is waiting is read no further for now.
  private mutating func takeStreams(now: Duration) throws {
    let bytes = records.bytes
    for run in records.runs {
      guard let (index, topic) = place(of: run.partition) else { continue }
      workers[index].take(
        records.messages[run.messages], bytes: bytes.span, topic: topic, failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
      if let streams = workers[index].streams, !streams.topics[topic].isPaused,
        streams.topics[topic].pendingCount >= configuration.streamRecordsMax
          || streams.pendingBytes(ofTopic: topic) >= streamBytesMax
      {
        try source.pause([run.partition])
        workers[index].setPaused(true, topic: topic)
      }
    }
    if !records.isEmpty { bufferedBytesPeak = max(bufferedBytesPeak, bufferedBytes) }
  }

  /// Bytes of one topic's and partition's records after which it is read no further while they wait for others: less, the
  /// more of them there are.
  var streamBytesMax: Int {
    let topicCount = workers.reduce(0) { $0 + $1.partitions.count }
    return max(
      configuration.commitBytes / 16, min(configuration.commitBytes, 4 * configuration.commitBytes / max(1, topicCount))
    )
  }

  /// Reads topics on of which little is waiting.
  mutating func resumeStreams() throws {
    for index in workers.indices {
      guard let streams = workers[index].streams else { continue }
      for (topic, state) in streams.topics.enumerated()
      where state.isPaused && state.pendingCount < configuration.streamRecordsMax / 2
        && (streams.pendingBytes(ofTopic: topic) < streamBytesMax / 2 || state.pendingCount <= 1)
      {
        workers[index].setPaused(false, topic: topic)
        if held == nil { try source.resume([state.partition]) }
      }
    }
  }

  mutating func take(now: Duration) throws {
    if !pipeline.features.streams.isEmpty { return try takeStreams(now: now) }
    let bytes = records.bytes
    for run in records.runs {
      guard let index = workers.firstIndex(where: { $0.partition == run.partition }) else { continue }
      if workers[index].isCareful {
        workers[index].wait(records.messages[run.messages], bytes: bytes.span)
        // Not sooner: what is paused is fetched anew later.
        if !workers[index].isPaused, waitingFullness(of: workers[index]) >= 1 {
          try source.pause([run.partition])
          workers[index].isPaused = true
        }
        continue
      }
      workers[index].take(records.messages[run.messages], bytes: bytes.span, failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
    }
    if !records.isEmpty { bufferedBytesPeak = max(bufferedBytesPeak, bufferedBytes) }
  }

  /// Evaluates records one by one, each noted before, so that the next owner knows which one this process died with.
  ///
  /// A process that is killed from outside leaves a note, too. So the record is only suspected: the next owner puts it to
  /// the trial, with a note that stands for no longer than it takes to evaluate the record, and only a record whose trial
  /// was survived by nobody is rejected unseen.
  mutating func takeCarefully(now: Duration) throws {
    for _ in 0..<Limits.carefulRecordsPerStep {
      guard held == nil, now >= nextCare, let index = workers.firstIndex(where: \.hasWaiting) else { return }
      if workers[index].streams != nil {
        if try !takeStreamCarefully(index, now: now) { return }
        continue
      }
      let (partition, staysNoted) = (workers[index].partition, workers[index].staysNoted)
      let note = workers[index].nextNote
      if let note, try !store([note], of: workers[index].progress, now: now) { return }
      let pendingCount = workers.reduce(0) { $0 + $1.pendingCount }
      workers[index].takeWaiting(upTo: configuration.commitEvents - pendingCount, failpoint: configuration.failpoint)
      if commitDue == nil { commitDue = now + configuration.commitInterval }
      // Where this fails the next note or commit takes it back.
      if note?.isTrial == true, !staysNoted { _ = try store([], of: workers[index].progress, now: now) }
      if isCommitFull || workers.contains(where: \.mustCommit) { try commit(now: now) }
      if held == nil, let index = workers.firstIndex(where: { $0.partition == partition }),
        workers[index].isPaused, waitingFullness(of: workers[index]) < 0.5
      {
        try source.resume([partition])
        workers[index].isPaused = false
      }
    }
  }

  /// How much of a partition waits to be taken one by one, by records and by its share of the bytes, against what may before
  /// it is read no further.
  private func waitingFullness(of worker: PartitionWorker) -> Double {
    max(
      Double(worker.waiting.count) / Double(configuration.recordsInHand),
      Double(worker.waiting.byteCount * workers.count) / Double(records.bytesMax))
  }

  /// Takes the next record of a partition of several topics alone. `false` where the store is away or the partition is
  /// another's.
  private mutating func takeStreamCarefully(_ index: Int, now: Duration) throws -> Bool {
    // Not in the trial of another.
    workers[index].takeCarefree(failpoint: configuration.failpoint)
    let notes = workers[index].nextNotes
    if let notes, try !store(notes.records, of: workers[index].progress, now: now) { return false }
    workers[index].takeNext(failpoint: configuration.failpoint)
    if commitDue == nil { commitDue = now + configuration.commitInterval }
    let staysNoted = workers[index].streams?.staysNoted ?? false
    if notes?.isTrial == true, !staysNoted || !workers[index].hasFinishedUnit {
      // Where this fails the next note or commit takes it back.
      if try !store(workers[index].streamSuspects, of: workers[index].progress, now: now) { return false }
    }
    if workers[index].hasFinishedUnit {
      commitDue = now
      if staysNoted { try commit(now: now) }
    }
    return true
  }

  /// Stores notes. `false` where the store is away or the partitions are another's.
  mutating func store(
    _ notes: [PartitionProgress.NotedRecord], of progress: PartitionProgress, now: Duration
  ) throws -> Bool {
    do {
      try store.note(notes, of: progress)
      if case .holding = phase { phase = .running }
      return true
    } catch {
      if try canRetry(after: error, now: now) {
        nextCare = now + configuration.retryDelay.lowerBound
        phase = .holding("\(error)")
      }
    }
    return false
  }
}

/// Which partitions are this processor's, and what it does when the source, the store or another process changes that.
extension Processor where Store: ~Copyable {
  mutating func handle(_ event: SourceEvent, now: Duration) throws {
    switch event {
    case .assigned(let partitions):
      wanted = WantedPartitions(partitions: partitions, nextTry: now, delay: configuration.retryDelay.lowerBound)
    case .revoked:
      if held != nil { try retry(now: now) }
      if held == nil { try commit(now: now) }
      try? store.release(workers.map(\.progressToRelease))
      try drop()
    case .lost:
      try drop()
    case .reachedEnd(let partition, let offset):
      if let (index, topic) = place(of: partition) {
        workers[index].reachEnd(offset, topic: topic)
        if commitDue == nil, workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
        return
      }
      guard let index = workers.firstIndex(where: { $0.partition == partition }) else { return }
      workers[index].reachEnd(offset)
      if commitDue == nil, workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
    case .failed(let partition, let error):
      throw ProcessorError(code: .source, message: "\(partition) cannot be read on: \(error)")
    }
  }

  /// Takes ownership of partitions and starts each where its last commit ended; while the store is away, later.
  mutating func own(_ request: WantedPartitions, now: Duration) throws {
    workers = []
    do {
      for partition in try scored(among: request.partitions) {
        let place = EventSource(topic: partition.topic, generation: generation, partition: partition.partition)
        let progress = try store.takeOwnership(
          pipelineID: pipelineID, source: place, startOffset: try source.earliestOffset(of: partition))
        workers.append(
          try PartitionWorker(
            partition: partition, progress: progress, engine: Engine(inForce),
            configuration: configuration, from: &store, earliestOffset: { try source.earliestOffset(of: $0) }))
      }
    } catch {
      guard try canRetry(after: error, partitions: request.partitions, now: now) else { return }
      workers = []
      let delay = min(request.delay * 2, configuration.retryDelay.upperBound)
      wanted = WantedPartitions(partitions: request.partitions, nextTry: now + request.delay, delay: delay)
      phase = .holding("\(error)")
      return
    }
    configuration.failpoint?("owned", 0, nil)
    wanted = nil
    try source.assign(startOffsets)
    phase = .running
    fencedUntil = nil
  }

  /// The scored topic's partitions in order, each of which needs the same partition of every stream beside it.
  private func scored(among partitions: [TopicPartition]) throws -> [TopicPartition] {
    let streams = pipeline.definition.streams.compactMap(\.kafkaTopic)
    if streams.isEmpty { return partitions.sorted() }
    let scored = partitions.filter { !streams.contains($0.topic) }.sorted()
    let wanted = Set(scored.map(\.partition))
    for stream in streams {
      let given = Set(partitions.filter { $0.topic == stream }.map(\.partition))
      guard let apart = wanted.symmetricDifference(given).min() else { continue }
      throw ProcessorError(
        code: .source,
        message: "partition \(apart) of \(stream) was not given to the same member as that of"
          + " \(scored.first?.topic ?? "the scored topic"): all members of a group run the same pipeline, and all its"
          + " topics have the same number of partitions")
    }
    return scored
  }

  /// Does what an error of the store asks for: leaves partitions that are another's, and goes back to where a store is that
  /// has forgotten commits.
  ///
  /// - Parameter partitions: what it is about, where that is not what it owns.
  /// - Returns: whether the same is to be tried again a little later; if not, it owns nothing any more.
  /// - Throws: where it cannot go on.
  mutating func canRetry(
    after error: any Error, partitions: [TopicPartition]? = nil, now: Duration
  ) throws -> Bool {
    if let error = error as? StateFormatError { throw unusable(error) }
    guard let failure = error as? any CommitFailure else { throw error }
    if failure.isUndone {
      try goBack(to: partitions ?? workers.flatMap(\.partitions), failure, now: now)
    } else if failure.isFenced {
      try leave(failure, now: now)
    } else if failure.isRetryable {
      return true
    } else {
      throw error
    }
    return false
  }

  /// Leaves partitions that another process has taken.
  private mutating func leave(_ failure: any CommitFailure, now: Duration) throws {
    try drop()
    phase = .fenced("\(failure)")
    fencedUntil = now + configuration.fencedPatience
  }

  /// Takes partitions again whose commits the store has forgotten, and reads on where it is now.
  private mutating func goBack(
    to partitions: [TopicPartition], _ failure: any CommitFailure, now: Duration
  ) throws {
    try source.resume(partitions)
    try drop()
    phase = .holding("\(failure)")
    wanted = WantedPartitions(partitions: partitions, nextTry: now, delay: configuration.retryDelay.lowerBound)
  }

  private func unusable(_ error: StateFormatError) -> ProcessorError {
    let name = pipeline.definition.name
    return ProcessorError(
      code: .state,
      message: "what is stored of the features of pipeline \(name) cannot be used: \(error.description)."
        + " `fraudctl pipeline reset \(name)` discards it")
  }

  /// Forgets everything that is not committed.
  private mutating func drop() throws {
    workers = []
    held = nil
    wanted = nil
    commitDue = nil
    settleDue = nil
    if case .holding = phase { phase = .running }
    try source.unassign()
  }
}

/// Committing what was evaluated, again where the store was away.
extension Processor where Store: ~Copyable {
  /// Makes sure that the store keeps all commits so far for good. ``step(now:)`` does it now and then; it is for whoever
  /// wants to end because everything is done.
  ///
  /// - Returns: whether it does. If not, go on with ``step(now:)``: the store is away, or it fell over and has forgotten
  ///   commits, whose records are then read again.
  @discardableResult
  public mutating func settle(now: Duration) throws -> Bool {
    guard settleDue != nil else { return held == nil && wanted == nil }
    do {
      try store.settle(workers.map(\.progress))
      settleDue = nil
      if held == nil, case .holding = phase { phase = .running }
      return true
    } catch {
      if try canRetry(after: error, now: now) {
        settleDue = now + configuration.retryDelay.lowerBound
        phase = .holding("\(error)")
      }
    }
    return false
  }

  func isCommitDue(now: Duration) -> Bool {
    guard let commitDue else { return false }
    return now >= commitDue || isCommitFull || workers.allSatisfy(\.isAtEnd)
  }

  var isCommitFull: Bool {
    workers.reduce(0) { $0 + $1.pendingCount } >= configuration.commitEvents
      || workers.reduce(0) { $0 + $1.pendingBytes + $1.waiting.byteCount } >= configuration.commitBytes
  }

  /// - Parameter begins: whether events of several topics may begin to be taken one by one, which is committed later.
  mutating func commit(now: Duration, begins: Bool = true) throws {
    commitDue = nil
    var unit = CommitUnit(
      pipeline: pipeline.definition.name, pipelineID: pipelineID, pipelineVersion: version, batchID: makeBatchID())
    var summary = RunSummary(pipeline: pipeline, version: version)
    let read = workers.reduce(0) { $0 + $1.pendingBytes + $1.streamBytes }
    for index in workers.indices where workers[index].pendingCount > 0 {
      if workers[index].streams != nil {
        let isAhead = workers[index].evaluateStreams(now: now, configuration: configuration, begins: begins)
        // What waits for another topic is tried again.
        if workers[index].pendingCount > 0 { commitDue = now + configuration.commitInterval }
        if !isAhead { continue }
      }
      workers[index].contribute(to: &unit, summary: &summary)
    }
    try resumeStreams()
    if unit.advances.isEmpty { return }
    let bytes = read - workers.reduce(0) { $0 + $1.pendingBytes + $1.streamBytes }
    try attempt(
      HeldCommit(unit: unit, bytes: bytes, summary: summary, nextTry: now, delay: configuration.retryDelay.lowerBound),
      now)
  }

  mutating func retry(now: Duration) throws {
    guard let held else { return }
    try attempt(held, now)
  }

  private mutating func attempt(_ commit: HeldCommit, _ now: Duration) throws {
    do {
      configuration.failpoint?("commit", 0, nil)
      let outcome = try store.commit(commit.unit)
      configuration.failpoint?("committed", 0, nil)
      if held != nil {
        try source.resume(
          workers.filter { !$0.isPaused }.flatMap { worker in
            worker.streams?.topics.filter { !$0.isPaused }.map(\.partition) ?? [worker.partition]
          })
        held = nil
        phase = .running
      }
      commitCount += 1
      if settleDue == nil { settleDue = now + configuration.settleInterval }
      conflicts += outcome.conflicts
      committed.merge(commit.summary)
      var offsets: [TopicPartition: Int64] = [:]
      for progress in outcome.progress {
        let partition = TopicPartition(topic: progress.source.topic, partition: progress.source.partition)
        offsets[partition] = progress.nextOffset
        guard let index = workers.firstIndex(where: { $0.partition == partition }) else { continue }
        workers[index].progress = progress
        for topic in workers[index].streams?.topics ?? [] { offsets[topic.partition] = topic.evaluatedOffset }
      }
      try source.commit(offsets)
    } catch {
      guard try canRetry(after: error, now: now) else { return }
      if held == nil { try source.pause(workers.flatMap(\.partitions)) }
      let delay = min(commit.delay * 2, configuration.retryDelay.upperBound)
      held = HeldCommit(
        unit: commit.unit, bytes: commit.bytes, summary: commit.summary, nextTry: now + commit.delay, delay: delay)
      phase = .holding("\(error)")
    }
  }
}

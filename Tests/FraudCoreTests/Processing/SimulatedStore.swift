@testable import FraudCore

/// What went wrong with a simulated commit.
struct SimulatedFailure: CommitFailure {
  var isRetryable = false
  var isFenced = false
}

/// The database that all simulated processors share: partitions' rows, alerts and rejected events by their natural keys.
final class SimulatedDatabase {
  struct Row {
    var owner: Int
    var progress: PartitionProgress
  }

  /// Bugs that the simulation must notice.
  enum Bug: CaseIterable {
    /// A commit does not ask whether its sender still owns the partition and starts where the row stands.
    case noFence
    /// A commit whose fence does not hold counts as one that was applied before.
    case alwaysCommitted
    /// A commit's rows become visible although its offsets do not.
    case notAtomic
    /// A commit's offsets become visible although its rows do not.
    case rowsLost
  }

  var rows: [EventSource: Row] = [:]
  var alerts: [UniqueID: Alert] = [:]
  var rejected: [String: RejectedRecord] = [:]
  /// Rows that were there already: the fence let something through that it should not have.
  var conflicts = 0
  private var applied = 0
  var isAway = false
  /// Commits under way whose connection is gone; they may still come to their end.
  var inFlight: [(unit: CommitUnit, owner: Int)] = []
  let bug: Bug?

  init(bug: Bug? = nil) { self.bug = bug }

  func take(_ source: EventSource, owner: Int, startOffset: Int64) -> PartitionProgress {
    if var row = rows[source] {
      row.owner = owner
      row.progress.epoch += 1
      rows[source] = row
      return row.progress
    }
    let progress = PartitionProgress(
      pipelineID: 1, source: source, epoch: 1, startOffset: startOffset, nextOffset: startOffset, sequence: 0,
      batchID: nil, pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts())
    rows[source] = Row(owner: owner, progress: progress)
    return progress
  }

  /// One transaction. `nil` where the fence does not hold.
  func apply(_ unit: CommitUnit, owner: Int) -> CommitOutcome? {
    for advance in unit.advances {
      guard let row = rows[advance.progress.source] else { return nil }
      let same =
        row.owner == owner && row.progress.epoch == advance.progress.epoch
        && row.progress.nextOffset == advance.progress.nextOffset && row.progress.sequence == advance.progress.sequence
      if !same, bug != .noFence {
        if bug == .notAtomic { write(unit) }
        return nil
      }
    }
    var moved: [PartitionProgress] = []
    for advance in unit.advances {
      var progress = advance.progress
      progress.nextOffset = advance.nextOffset
      progress.sequence += 1
      progress.batchID = unit.batchID
      progress.counts += advance.counts
      rows[progress.source]?.progress = progress
      moved.append(progress)
    }
    applied += 1
    if bug != .rowsLost || applied % 4 != 0 { write(unit) }
    return CommitOutcome(progress: moved, conflicts: 0, wasCommittedBefore: false)
  }

  private func write(_ unit: CommitUnit) {
    for alert in unit.alerts where alerts.updateValue(alert, forKey: alert.id) != nil { conflicts += 1 }
    for event in unit.rejected {
      let key = "\(event.source.partition)/\(event.offset)"
      if rejected.updateValue(event, forKey: key) != nil { conflicts += 1 }
    }
  }

  func resolve(_ unit: CommitUnit, owner: Int) -> CommitOutcome? {
    var moved: [PartitionProgress] = []
    for advance in unit.advances {
      guard let row = rows[advance.progress.source] else { return nil }
      let isOurs =
        row.owner == owner && row.progress.epoch == advance.progress.epoch && row.progress.batchID == unit.batchID
      if bug == .alwaysCommitted {
        var progress = advance.progress
        progress.nextOffset = advance.nextOffset
        moved.append(progress)
      } else if isOurs {
        moved.append(row.progress)
      } else {
        return nil
      }
    }
    return CommitOutcome(progress: moved, conflicts: 0, wasCommittedBefore: true)
  }
}

/// One processor's connection to the database, with the faults of a network.
final class SimulatedCommitter: Committer {
  private let database: SimulatedDatabase
  private let owner: Int
  private var random: SimulatedRandom
  /// Once in how many calls something goes wrong; 0 for never.
  var faults: Int

  init(_ database: SimulatedDatabase, owner: Int, faults: Int, seed: UInt64) {
    self.database = database
    self.owner = owner
    self.faults = faults
    random = SimulatedRandom(seed: seed)
  }

  func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    if database.isAway || fails() { throw SimulatedFailure(isRetryable: true) }
    // A transaction under way holds the row's lock: it comes to its end first.
    settle(source)
    return database.take(source, owner: owner, startOffset: startOffset)
  }

  func commit(_ unit: CommitUnit) throws -> CommitOutcome {
    if database.isAway { throw SimulatedFailure(isRetryable: true) }
    if fails() {
      switch Int.random(in: 0..<3, using: &random) {
      case 0: break
      case 1: _ = database.apply(unit, owner: owner)
      default: database.inFlight.append((unit, owner))
      }
      throw SimulatedFailure(isRetryable: true)
    }
    for advance in unit.advances { settle(advance.progress.source) }
    if let outcome = database.apply(unit, owner: owner) { return outcome }
    if let outcome = database.resolve(unit, owner: owner) { return outcome }
    throw SimulatedFailure(isFenced: true)
  }

  func release(_ progress: [PartitionProgress]) throws {}

  private func fails() -> Bool { faults > 0 && random.oneIn(faults) }

  /// What is under way on a row ends before anybody else gets its lock, as a commit or as a rollback.
  private func settle(_ source: EventSource) {
    for (unit, owner) in database.inFlight
    where unit.advances.contains(where: { $0.progress.source == source }) {
      if random.oneIn(2) { _ = database.apply(unit, owner: owner) }
    }
    database.inFlight.removeAll { $0.unit.advances.contains { $0.progress.source == source } }
  }
}

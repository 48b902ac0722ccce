import FraudCore

/// A store of one's own, which outlives the processors that write to it as a database would.
///
/// What makes it exact: a commit takes place as a whole, and only where the partition still is as the unit found it.
final class Ledger {
  private struct Row {
    var owner: UniqueID
    var progress: PartitionProgress
    var buckets: [Int: [UInt8]] = [:]
    var deltas: [(sequence: Int64, bytes: [UInt8])] = []
  }

  private(set) var alerts: [Alert] = []
  private(set) var rejected: [RejectedRecord] = []
  private var rows: [EventSource: Row] = [:]
  /// Answers that get lost, to show what a processor makes of that.
  var lostAnswers = 0

  fileprivate func take(_ source: EventSource, pipelineID: Int, startOffset: Int64, owner: UniqueID)
    -> PartitionProgress
  {
    var row =
      rows[source]
      ?? Row(
        owner: owner,
        progress: PartitionProgress(
          pipelineID: pipelineID, source: source, epoch: 0, startOffset: startOffset, nextOffset: startOffset,
          sequence: 0, batchID: nil, pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts()))
    row.owner = owner
    row.progress.epoch += 1
    rows[source] = row
    return row.progress
  }

  fileprivate func readState(_ source: EventSource, _ body: (StoredBytes) throws -> Void) throws {
    guard let row = rows[source] else { return }
    for (_, bytes) in row.buckets.sorted(by: { $0.key < $1.key }) { try body(.bucket(bytes)) }
    for delta in row.deltas { try body(.delta(delta.bytes)) }
  }

  fileprivate func commit(_ unit: CommitUnit, owner: UniqueID) throws -> CommitOutcome {
    // The fence, for all partitions before anything is written.
    var wasCommittedBefore = false
    for advance in unit.advances {
      guard let row = rows[advance.progress.source], row.owner == owner, row.progress.epoch == advance.progress.epoch
      else { throw LedgerFailure.fenced }
      if row.progress.batchID == unit.batchID {
        wasCommittedBefore = true
      } else if row.progress.sequence != advance.progress.sequence {
        throw LedgerFailure.fenced
      }
    }
    var moved: [PartitionProgress] = []
    for advance in unit.advances {
      guard var row = rows[advance.progress.source] else { throw LedgerFailure.fenced }
      if !wasCommittedBefore { apply(advance, unit.batchID, unit.pipelineVersion, to: &row) }
      rows[advance.progress.source] = row
      moved.append(row.progress)
    }
    if !wasCommittedBefore {
      alerts += unit.alerts
      rejected += unit.rejected
    }
    if lostAnswers > 0 {
      lostAnswers -= 1
      throw LedgerFailure.away
    }
    return CommitOutcome(progress: moved, conflicts: 0, wasCommittedBefore: wasCommittedBefore)
  }

  private func apply(_ advance: PartitionAdvance, _ batch: UniqueID, _ version: Int, to row: inout Row) {
    row.progress.nextOffset = advance.nextOffset
    row.progress.sequence += 1
    row.progress.batchID = batch
    row.progress.pipelineVersion = version
    row.progress.watermark = advance.watermark
    row.progress.maxEventTime = advance.maxEventTime
    row.progress.counts += advance.counts
    row.progress.state = advance.stateChange?.state
    guard let change = advance.stateChange else { return }
    for bucket in change.buckets { row.buckets[bucket.number] = bucket.bytes }
    row.deltas.removeAll { $0.sequence <= change.state.snapshotSequence }
    if let delta = change.delta { row.deltas.append((row.progress.sequence, delta)) }
  }
}

/// One processor's way to the ledger.
struct LedgerCommitter: Committer {
  let ledger: Ledger
  private let owner = UniqueID(high: .random(in: 0...UInt64.max), low: .random(in: 0...UInt64.max))

  init(_ ledger: Ledger) { self.ledger = ledger }

  func takeOwnership(pipelineID: Int, source: EventSource, startOffset: Int64) throws -> PartitionProgress {
    ledger.take(source, pipelineID: pipelineID, startOffset: startOffset, owner: owner)
  }

  func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws {
    try ledger.readState(progress.source, body)
  }

  func commit(_ unit: CommitUnit) throws -> CommitOutcome { try ledger.commit(unit, owner: owner) }
  func release(_ progress: [PartitionProgress]) throws {}
}

/// Why the ledger did not commit, or did not say so.
enum LedgerFailure: CommitFailure {
  case away, fenced

  var isRetryable: Bool { self == .away }
  var isFenced: Bool { self == .fenced }
}

/// Where a processor's results go: how far partitions are and everything that came out of them, true all at once.
///
/// `PartitionCommitter` of FraudStore is one over PostgreSQL. A committer is used from one thread, and its calls block.
public protocol Committer: ~Copyable {
  /// Becomes the only one that can commit to a partition, and says where to go on.
  ///
  /// - Parameter startOffset: where to begin a partition that was never processed.
  /// - Throws: a ``CommitFailure``.
  mutating func takeOwnership(
    pipelineID: Int, source: EventSource, startOffset: Int64
  ) throws -> PartitionProgress

  /// Reads what is stored of a partition's features: every bucket, then every later delta in the order of the commits.
  ///
  /// - Parameters:
  ///   - progress: what ``takeOwnership(pipelineID:source:startOffset:)`` gave.
  ///   - body: takes in the bytes of each.
  /// - Throws: a ``CommitFailure``, also where anything that should be stored is not or is damaged; what `body` throws.
  mutating func readState(of progress: PartitionProgress, _ body: (StoredBytes) throws -> Void) throws

  /// Notes which record of a partition is about to be evaluated, and which others are suspected; these notes take the place
  /// of earlier ones, as those of ``PartitionAdvance/noted`` do with a commit. If the process dies, the next owner finds
  /// them in ``PartitionProgress/noted``; a store that falls over may forget them. Only asked for after crashes.
  ///
  /// - Throws: a ``CommitFailure``.
  mutating func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws

  /// Commits a unit. Called again with the same unit after an error it commits it once, whatever became of the first try.
  ///
  /// - Throws: a ``CommitFailure``.
  mutating func commit(_ unit: CommitUnit) throws -> CommitOutcome

  /// Makes sure that the store will not forget any commit so far of these partitions, even if it falls over.
  ///
  /// - Throws: a ``CommitFailure``; with ``CommitFailure/isUndone`` where it has forgotten some already.
  mutating func settle(_ progress: [PartitionProgress]) throws

  /// Says that partitions are free: the next owner does not take this one for crashed. Stores their
  /// ``PartitionProgress/crashCount`` and ``PartitionProgress/noted`` as they are given; nothing else depends on it.
  mutating func release(_ progress: [PartitionProgress]) throws
}

extension Committer where Self: ~Copyable {
  /// Notes nothing: a record that crashes its process then does so again and again.
  public mutating func note(_ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress) throws {}

  /// Does nothing: right for a store that never forgets a commit that it has answered.
  public mutating func settle(_ progress: [PartitionProgress]) throws {}
}

/// A part of a stored state.
public enum StoredBytes: Sendable {
  case bucket([UInt8])
  case delta([UInt8])
}

/// Why a committer did not commit.
public protocol CommitFailure: Error {
  /// The store is away or busy for now: calling again is right, and safe even if the first try did succeed.
  var isRetryable: Bool { get }
  /// Another process has taken one of the partitions.
  var isFenced: Bool { get }
  /// The store fell over and has forgotten commits that it had answered, and nobody else has the partitions: whoever takes
  /// them again learns where to go on.
  var isUndone: Bool { get }
}

extension CommitFailure {
  /// No: the store forgets nothing.
  public var isUndone: Bool { false }
}

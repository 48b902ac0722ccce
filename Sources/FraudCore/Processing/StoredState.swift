/// What a store holds of one partition's features: snapshots of keys by bucket, and what each later commit changed.
///
/// Everything in it is an absolute value, so taking in the buckets and then the deltas in the order of their commits gives
/// the state back, also where a bucket is newer than some of the deltas.
///
/// - Source: `RELIABILITY.md` 2.7, option B.
public struct StoredState: Sendable, Hashable {
  /// Which features it is of, ``FeatureProgram/identity``.
  public var identity: UniqueID
  /// The commit up to which the buckets hold everything; the store has a delta of every later one.
  public var snapshotSequence: Int64
  /// The buckets that the store has, a bit each.
  public var buckets: UInt64

  /// Describes a stored state.
  public init(identity: UniqueID, snapshotSequence: Int64, buckets: UInt64) {
    self.identity = identity
    self.snapshotSequence = snapshotSequence
    self.buckets = buckets
  }
}

/// All keys of one of the ``FeatureState/bucketCount`` parts of a state, as bytes.
public struct StateBucket: Sendable, Hashable {
  /// The part, from 0.
  public var number: Int
  /// The keys and what is remembered of them.
  public var bytes: [UInt8]

  /// Names a bucket's bytes.
  public init(number: Int, bytes: [UInt8]) {
    self.number = number
    self.bytes = bytes
  }
}

/// What a commit does to a partition's stored state.
public struct StateChange: Sendable, Hashable {
  /// The stored state after the commit. Deltas up to its ``StoredState/snapshotSequence`` go.
  public var state: StoredState
  /// What the commit's events changed; `nil` where the buckets hold all of it.
  public var delta: [UInt8]?
  /// Buckets that are replaced, as of this commit.
  public var buckets: [StateBucket]

  /// Describes a change.
  public init(state: StoredState, delta: [UInt8]?, buckets: [StateBucket]) {
    self.state = state
    self.delta = delta
    self.buckets = buckets
  }
}

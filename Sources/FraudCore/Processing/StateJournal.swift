/// Decides what each commit writes of a partition's features: a delta, and from time to time buckets that make earlier
/// deltas needless.
///
/// Once the deltas are many, the buckets that changed are rewritten, a few with each commit so that none takes long. When
/// the last of them is written, the deltas up to the commit that wrote the first are no longer needed: what they say stands
/// in a bucket, and what changed after stands in a later delta too.
///
/// Features of another definition than the stored ones replace it all at once, so a store never holds a mixture.
struct StateJournal {
  private let identity: UniqueID
  private let limits: ProcessorConfiguration.StateLimits
  private var stored: StoredState?
  /// Deltas after the snapshot.
  private var deltas = Deltas()
  private var rewriting: Rewriting?
  /// Whether it is not known which buckets the stored deltas belong to: the case after a restart.
  private var isAnyBucketChanged: Bool

  private struct Deltas {
    var rows = 0
    var bytes = 0
  }

  private struct Rewriting {
    var start: Int64
    var pending: UInt64
    /// Deltas since the start.
    var deltas = Deltas()
  }

  /// Bytes of the deltas after the snapshot.
  var deltaBytes: Int { deltas.bytes }

  /// Goes on from what is stored.
  init(_ program: FeatureProgram, stored: StoredState?, limits: ProcessorConfiguration.StateLimits) {
    identity = program.identity
    self.stored = stored
    self.limits = limits
    isAnyBucketChanged = stored != nil
  }

  /// Goes on with another version's features from the same stored state.
  func continued(with program: FeatureProgram) -> StateJournal {
    var next = StateJournal(program, stored: stored, limits: limits)
    next.deltas = deltas
    return next
  }

  /// Counts a delta that was read back.
  mutating func observe(storedDelta bytes: Int) {
    deltas.rows += 1
    deltas.bytes += bytes
  }

  /// What a commit writes.
  ///
  /// - Parameter sequence: the commit's number.
  mutating func change(of features: inout FeatureState, at sequence: Int64) -> StateChange {
    let delta = features.takeDelta()
    var state = stored ?? StoredState(identity: identity, snapshotSequence: sequence &- 1, buckets: 0)
    guard state.identity == identity else { return replaceAll(features: &features, at: sequence) }
    deltas.rows += 1
    deltas.bytes += delta.count
    rewriting?.deltas.rows += 1
    rewriting?.deltas.bytes += delta.count
    if rewriting == nil, deltas.rows > limits.deltaRows || deltas.bytes > max(limits.deltaBytes, features.byteCount / 2)
    {
      let changed = features.takeChangedBucketSet()
      rewriting = Rewriting(start: sequence, pending: isAnyBucketChanged ? .max : changed)
      isAnyBucketChanged = false
    }
    var buckets: [StateBucket] = []
    if let current = rewriting {
      let share = max(1, features.byteCount / FeatureState.bucketCount)
      let chosen = Self.lowest(max(1, limits.commitBytes / share), of: current.pending)
      buckets = features.snapshots(ofBuckets: chosen)
      state.buckets |= chosen
      rewriting?.pending &= ~chosen
      if current.pending & ~chosen == 0 {
        state.snapshotSequence = current.start
        deltas = current.deltas
        rewriting = nil
      }
    }
    stored = state
    return StateChange(state: state, delta: state.snapshotSequence == sequence ? nil : delta, buckets: buckets)
  }

  private mutating func replaceAll(features: inout FeatureState, at sequence: Int64) -> StateChange {
    let state = StoredState(identity: identity, snapshotSequence: sequence, buckets: .max)
    _ = features.takeChangedBucketSet()
    (stored, deltas, rewriting, isAnyBucketChanged) = (state, Deltas(), nil, false)
    return StateChange(state: state, delta: nil, buckets: features.snapshots(ofBuckets: .max))
  }

  private static func lowest(_ count: Int, of set: UInt64) -> UInt64 {
    var (rest, chosen) = (set, UInt64(0))
    for _ in 0..<min(count, rest.nonzeroBitCount) {
      chosen |= rest & (0 &- rest)
      rest &= rest &- 1
    }
    return chosen
  }
}

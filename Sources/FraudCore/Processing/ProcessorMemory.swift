/// What a processor holds in memory of its partitions.
public struct ProcessorMemory: Sendable, Hashable {
  /// Bytes of records that were read and are not committed: those that wait, and those whose results do.
  public var bufferedBytes = 0
  /// The most that ``bufferedBytes`` ever was.
  public var bufferedBytesPeak = 0
  /// What ``bufferedBytes`` stays below, but for one record that is larger than a poll: a commit is due before, and while the
  /// store is away the source is paused.
  public var bufferedBytesMax = 0
  /// Bytes of what features remember.
  public var stateBytes = 0
  /// Keys that they remember something of.
  public var stateKeys = 0
  /// Bytes of the deltas that the store keeps behind its snapshots, and that a restart reads.
  public var deltaBytes = 0

  /// Nothing held.
  public init() {}
}

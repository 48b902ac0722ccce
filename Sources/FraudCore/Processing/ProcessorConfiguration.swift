/// How a processor paces its commits and how long it waits.
public struct ProcessorConfiguration: Sendable {
  /// Events after which a commit is due.
  public var commitEvents = 5_000
  /// Bytes of records after which a commit is due.
  public var commitBytes = Limits.commitRecordBytes
  /// How long the first event of a commit waits for others.
  public var commitInterval: Duration = .milliseconds(20)
  /// How long one poll waits for records.
  public var pollTimeout: Duration = .milliseconds(10)
  /// The first and the longest wait between two tries while the store is away.
  public var retryDelay: ClosedRange<Duration> = .milliseconds(100)...(.seconds(5))
  /// How long after a commit the store is asked to keep it for good, where commits alone do not.
  public var settleInterval: Duration = .milliseconds(500)
  /// How long a processor that was fenced waits to be given partitions again before it gives up.
  public var fencedPatience: Duration = .seconds(60)
  /// How long the events of other topics wait for one that is not at its end and from which nothing comes.
  public var streamPatience: Duration = .seconds(1)
  /// When the stored snapshots of features are rewritten.
  package var state = StateLimits()
  /// Called with the name of each step and where it is, by tests that let processes die there.
  package var failpoint: Failpoint?
  package typealias Failpoint = @Sendable (_ name: StaticString, _ offset: Int64, _ partition: TopicPartition?) -> Void
  /// Folds a partition's earlier events into an engine that remembers nothing, so that features that are new begin with what
  /// they would have had; `false` where some of these offsets are not kept any more.
  package var history: History?
  package typealias History =
    @Sendable (_ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>) throws -> Bool
  /// Events that are evaluated at once.
  package var batchRows = Limits.batchRows
  /// Records of a partition at most that a processor has taken and not committed: a commit becomes due in the midst of one
  /// poll's.
  var recordsInHand: Int { commitEvents + batchRows }
  /// Records of one topic and partition that may wait for those of others.
  var streamRecordsMax: Int { max(2 * commitEvents, 4 * Limits.batchRows) }
  /// As ``recordsInHand``, of each topic.
  var streamRecordsInHand: Int { streamRecordsMax + Limits.batchRows }

  package struct StateLimits: Sendable {
    package var deltaRows = Limits.stateDeltaRows
    package var deltaBytes = Limits.stateDeltaBytes
    package var commitBytes = Limits.stateCommitBytes
  }

  /// The defaults.
  public init() {}
}

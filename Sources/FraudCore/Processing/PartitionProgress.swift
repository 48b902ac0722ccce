/// How many of what came out of a partition's events.
public struct EventCounts: Sendable, Hashable {
  /// Events that were decoded and decided.
  public var accepted: Int64 = 0
  /// Events that are in `fraud.rejected_events`.
  public var rejected: Int64 = 0
  /// Events that were passed over on purpose, such as declared duplicates.
  public var skipped: Int64 = 0
  /// Accepted events that came later than the allowed lateness.
  public var late: Int64 = 0
  /// Fields of accepted events that the schema does not declare.
  public var unknownFields: Int64 = 0
  /// Events that the policy decided against.
  public var decisions: Int64 = 0
  /// Alerts of those.
  public var alerts: Int64 = 0
  /// Accepted events that their label says are fraud.
  public var positives: Int64 = 0

  /// Nothing counted.
  public init() {}

  /// Adds what another counted.
  public static func += (counts: inout EventCounts, more: EventCounts) {
    counts.accepted &+= more.accepted
    counts.rejected &+= more.rejected
    counts.skipped &+= more.skipped
    counts.late &+= more.late
    counts.unknownFields &+= more.unknownFields
    counts.decisions &+= more.decisions
    counts.alerts &+= more.alerts
    counts.positives &+= more.positives
  }
}

/// How far one pipeline is in one partition, and who may carry it on: the partition's row in `fraud.partitions`.
public struct PartitionProgress: Sendable, Hashable {
  /// The pipeline's number.
  public var pipelineID: Int
  /// The partition.
  public var source: EventSource
  /// Counts the take-overs; a commit of an earlier epoch changes nothing.
  public var epoch: Int64
  /// The offset at which the pipeline began.
  public var startOffset: Int64
  /// The next event to process.
  public var nextOffset: Int64
  /// Counts the commits.
  public var sequence: Int64
  /// The last commit, by which its own sender recognises it.
  public var batchID: UniqueID?
  /// The version of the last commit.
  public var pipelineVersion: Int?
  /// How far event time is, in microseconds since 1970.
  public var watermark: Int64?
  /// The latest event time seen, in microseconds since 1970.
  public var maxEventTime: Int64?
  /// Everything counted since the start.
  public var counts: EventCounts
  /// What is stored of its features; `nil` where the last commit was of a pipeline without any.
  public var state: StoredState?
  /// How far its streams are, as far as any was read.
  public var streams: [StreamProgress] = []
  /// Owners in a row that went without a word and without one commit: this many crashes at ``nextOffset``.
  public var crashCount = 0
  /// The record that an owner which took records with care had in its hands last, behind those that earlier ones died with
  /// and that have not been tried since.
  public var noted: [NotedRecord] = []

  /// Whether a crash is to be accounted for: the commits of such a partition are always to survive one of the store.
  package var isSuspected: Bool { crashCount > 0 || !noted.isEmpty }

  /// A record that was, or is, about to be evaluated by an owner which takes records with care.
  public struct NotedRecord: Sendable, Hashable {
    /// The topic that the record is of: the scored one, or a stream's.
    public var topic: String
    /// The record's offset.
    public var offset: Int64
    /// An owner before this one died with the record in its hands, too: should it happen again, the record is at fault.
    public var isTrial: Bool

    /// Notes a record.
    public init(topic: String, offset: Int64, isTrial: Bool) {
      self.topic = topic
      self.offset = offset
      self.isTrial = isTrial
    }
  }

  /// Describes a partition's row.
  public init(
    pipelineID: Int, source: EventSource, epoch: Int64, startOffset: Int64, nextOffset: Int64, sequence: Int64,
    batchID: UniqueID?, pipelineVersion: Int?, watermark: Int64?, maxEventTime: Int64?, counts: EventCounts,
    state: StoredState? = nil
  ) {
    self.pipelineID = pipelineID
    self.source = source
    self.epoch = epoch
    self.startOffset = startOffset
    self.nextOffset = nextOffset
    self.sequence = sequence
    self.batchID = batchID
    self.pipelineVersion = pipelineVersion
    self.watermark = watermark
    self.maxEventTime = maxEventTime
    self.counts = counts
    self.state = state
  }
}

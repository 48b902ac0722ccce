/// An event that could not be accepted, as it is kept.
public struct RejectedRecord: Sendable, Hashable {
  /// Where it came from.
  public var source: EventSource
  /// Its offset there.
  public var offset: Int64
  /// Its line in a file.
  public var line: Int64?
  /// Why, as one of the words of the contract.
  public var reason: String
  /// Why, for people.
  public var detail: String?
  /// The field at fault.
  public var field: String?
  /// The event with what is sensitive masked, or its head; nil for a tombstone.
  public var payload: [UInt8]?
  /// The bytes of the whole event.
  public var payloadLength: Int64?
  /// Of the whole event, where only its head is kept.
  public var sha256: String?

  /// How much of an event longer than ``Limits/rejectedEventBytes`` is kept.
  public static let headBytes = 64 << 10

  /// Keeps an event whole, or where it is too long its head, its length and its SHA-256.
  public init(
    source: EventSource, offset: Int64, line: Int64? = nil, reason: String, detail: String?, field: String?,
    payload: [UInt8]?
  ) {
    self.init(
      source: source, offset: offset, line: line, reason: reason, detail: detail, field: field, payload: payload,
      limit: Limits.rejectedEventBytes)
  }

  package init(
    source: EventSource, offset: Int64, line: Int64?, reason: String, detail: String?, field: String?,
    payload: [UInt8]?, limit: Int
  ) {
    self.source = source
    self.offset = offset
    self.line = line
    self.reason = reason
    self.detail = detail
    self.field = field
    self.payload = payload
    payloadLength = payload.map { Int64($0.count) }
    if let payload, payload.count > limit {
      self.payload = Array(payload.prefix(Self.headBytes))
      sha256 = SHA256.hexadecimalDigest(payload)
    }
  }
}

/// A rule that had no value for an event.
public struct RuleErrorRecord: Sendable, Hashable {
  /// Where the event came from.
  public var source: EventSource
  /// Its offset there.
  public var offset: Int64
  /// Its line in a file.
  public var line: Int64?
  /// The event's declared identity.
  public var eventID: String?
  /// The rule.
  public var ruleID: String
  /// The error's name, as in `DIVIDE_BY_ZERO`.
  public var code: String
  /// For people.
  public var message: String
  /// The version of the pipeline that has the rule; `nil` for the commit's.
  public var pipelineVersion: Int?

  /// Describes an error.
  public init(
    source: EventSource, offset: Int64, line: Int64? = nil, eventID: String?, ruleID: String, code: String,
    message: String, pipelineVersion: Int? = nil
  ) {
    self.pipelineVersion = pipelineVersion
    self.source = source
    self.offset = offset
    self.line = line
    self.eventID = eventID
    self.ruleID = ruleID
    self.code = code
    self.message = message
  }
}

/// A row of an aggregation, and the partition that it is of.
public struct AggregateRecord: Sendable, Hashable {
  /// Where its events came from.
  public var source: EventSource
  /// What it says.
  public var row: AggregateRow

  /// Names a row's partition.
  public init(source: EventSource, row: AggregateRow) {
    self.source = source
    self.row = row
  }
}

/// What one partition adds to a commit.
public struct PartitionAdvance: Sendable {
  /// What the events were processed from. The commit takes place only where this still holds.
  public var progress: PartitionProgress
  /// The event after the last one processed.
  public var nextOffset: Int64
  /// How far event time is now, in microseconds since 1970.
  public var watermark: Int64?
  /// The latest event time seen now, in microseconds since 1970.
  public var maxEventTime: Int64?
  /// What this commit adds.
  public var counts = EventCounts()
  /// How many errors each rule had; all of them, also those that are not kept.
  public var ruleErrorCounts: [String: Int64] = [:]
  /// The version beside the commit's that decided the events of some keys, and how many errors each rule of it had.
  public var control: (version: Int, ruleErrorCounts: [String: Int64])?
  /// What the arms of rules and versions with a share counted.
  public var experiments: [RunSummary.ExperimentCounts] = []
  /// The pipeline's streams, in the order of the definition.
  public var streams: [StreamAdvance] = []
  /// The records that stay under suspicion.
  public var noted: [PartitionProgress.NotedRecord] = []
  /// What this commit does to what is stored of the features; `nil`, for a pipeline without any, leaves nothing stored.
  public var stateChange: StateChange?

  /// Begins an advance from `progress` to `nextOffset`.
  public init(progress: PartitionProgress, nextOffset: Int64) {
    self.progress = progress
    self.nextOffset = nextOffset
    watermark = progress.watermark
    maxEventTime = progress.maxEventTime
  }

  /// Adds what an engine counted, as ``Engine/countsByVersion`` gives it; the whole of it is returned.
  @discardableResult
  package mutating func add(_ byVersion: [RunSummary]) -> RunSummary {
    var counted = byVersion[byVersion.count - 1]
    if byVersion.count > 1 { counted.merge(byVersion[0]) }
    counts += EventCounts(counted)
    for rule in byVersion[0].rules where rule.errors > 0 { ruleErrorCounts[rule.id, default: 0] += Int64(rule.errors) }
    if byVersion.count > 1, let version = byVersion[1].pipelineVersion {
      var errors = control?.ruleErrorCounts ?? [:]
      for rule in byVersion[1].rules where rule.errors > 0 { errors[rule.id, default: 0] += Int64(rule.errors) }
      control = (version, errors)
    }
    for more in byVersion.flatMap(\.experiments) {
      let place = experiments.firstIndex { $0.ruleID == more.ruleID && $0.version == more.version }
      if let place {
        experiments[place].treated.add(more.treated)
        experiments[place].control.add(more.control)
      } else {
        experiments.append(more)
      }
    }
    return counted
  }
}

/// Everything that becomes true at once: how far some partitions of a pipeline are, and what came out of them.
///
/// A unit that failed to commit is committed again as it is; its ``batchID`` tells whether it had been committed after all.
public struct CommitUnit: Sendable {
  /// This commit's own name.
  public let batchID: UniqueID
  /// The pipeline's name.
  public var pipeline: String
  /// Its number.
  public var pipelineID: Int
  /// The version that decided; alerts and rule errors name their own, which may be its control.
  public var pipelineVersion: Int
  /// The partitions, each once, all of this pipeline.
  public var advances: [PartitionAdvance] = []
  /// Alerts of rules in force.
  public var alerts: [Alert] = []
  /// Alerts of rules in shadow mode.
  public var shadowAlerts: [Alert] = []
  /// Events that could not be accepted.
  public var rejected: [RejectedRecord] = []
  /// Rule errors in the order of their offsets. The first 100 by rule, partition and version are kept; what a partition's
  /// batch holds beyond that may be left out.
  public var ruleErrors: [RuleErrorRecord] = []
  /// Rows of aggregations that became due.
  public var aggregates: [AggregateRecord] = []

  /// The current features of keys, each key once, where the pipeline asks for them.
  public var features: [FeatureRow] = []
  /// The topic that the alerts go to as well, and the event field whose text is the message's key.
  public var alertsTopic: String?
  /// See ``alertsTopic``.
  public var alertsKey: String?
  /// The topics that rows go to as well, by the name of the aggregation.
  public var aggregateTopics: [String: String] = [:]

  /// Begins a unit.
  public init(pipeline: String, pipelineID: Int, pipelineVersion: Int, batchID: UniqueID) {
    self.batchID = batchID
    self.pipeline = pipeline
    self.pipelineID = pipelineID
    self.pipelineVersion = pipelineVersion
  }
}

/// What a commit did.
public struct CommitOutcome: Sendable {
  /// The partitions as they are now, in the order of the unit's advances.
  public var progress: [PartitionProgress]
  /// Rows that were in the database already although the fence held. More than none means that processing is not
  /// deterministic or two programs share a name; the stored rows are kept.
  public var conflicts: Int
  /// The unit had been committed by an earlier attempt whose answer was lost.
  public var wasCommittedBefore: Bool

  /// Says what a commit did.
  public init(progress: [PartitionProgress], conflicts: Int, wasCommittedBefore: Bool) {
    self.progress = progress
    self.conflicts = conflicts
    self.wasCommittedBefore = wasCommittedBefore
  }
}

/// Why an event alerted: one triggered rule and what it added.
public struct Reason: Sendable, Hashable {
  /// The rule's id.
  public var ruleID: String
  /// What it added to the score.
  public var contribution: Score
  /// The computed columns that the rule looked at, by name, as they were when it was decided.
  public var values: [Value]
  /// Those of the values that miss events because a key had too many.
  public var truncated: [String]
  /// The relative errors of those of the values that a sketch estimated.
  public var errors: [Value]
  /// Whether the event came later than allowed, so that the features had let go of part of its past.
  public var isLate: Bool

  /// One computed column's value; `nil` is NULL.
  public struct Value: Sendable, Hashable {
    /// The column's name.
    public var name: String
    /// What it held.
    public var value: FieldValue?

    /// Names a value.
    public init(name: String, value: FieldValue?) {
      self.name = name
      self.value = value
    }
  }

  /// Makes a reason.
  public init(
    ruleID: String, contribution: Score, values: [Value] = [], truncated: [String] = [], errors: [Value] = [],
    isLate: Bool = false
  ) {
    self.ruleID = ruleID
    self.contribution = contribution
    self.values = values
    self.truncated = truncated
    self.errors = errors
    self.isLate = isLate
  }
}

/// One alert, whole: what is written to a file, a table or a topic.
public struct Alert: Sendable, Hashable {
  /// The same for the same event and rule, however often they are processed.
  public var id: UniqueID
  /// The pipeline's name.
  public var pipeline: String
  /// The version that decided, `nil` for a file.
  public var pipelineVersion: Int?
  /// The event's declared identity as text.
  public var eventID: String?
  /// When the event happened, in microseconds since 1970.
  public var eventTime: Int64?
  /// The rule that triggered; `nil` for one alert a decision.
  public var ruleID: String?
  /// What a match of the rule means.
  public var ruleDescription: String?
  /// The rule's severity, or the gravest of the rules that triggered.
  public var severity: Severity
  /// The event's score.
  public var score: Score
  /// The score's band.
  public var riskLevel: String
  /// Every rule that triggered and what it added.
  public var reasons: [Reason]
  /// Where the event came from.
  public var source: EventSource
  /// The event's offset in the partition, or its record number in the file.
  public var offset: Int64
  /// The event's line in the file, `nil` where there are no lines.
  public var line: Int64?
  /// The event as a JSON object, with what is sensitive masked.
  public var transactionData: [UInt8]

  /// Makes an alert.
  public init(
    id: UniqueID, pipeline: String, pipelineVersion: Int?, eventID: String?, eventTime: Int64?, ruleID: String?,
    ruleDescription: String?, severity: Severity, score: Score, riskLevel: String, reasons: [Reason],
    source: EventSource, offset: Int64, line: Int64?, transactionData: [UInt8]
  ) {
    self.id = id
    self.pipeline = pipeline
    self.pipelineVersion = pipelineVersion
    self.eventID = eventID
    self.eventTime = eventTime
    self.ruleID = ruleID
    self.ruleDescription = ruleDescription
    self.severity = severity
    self.score = score
    self.riskLevel = riskLevel
    self.reasons = reasons
    self.source = source
    self.offset = offset
    self.line = line
    self.transactionData = transactionData
  }
}

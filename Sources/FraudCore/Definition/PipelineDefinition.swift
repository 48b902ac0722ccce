/// How an event's text is written.
public enum EventFormat: String, Sendable, Hashable, CaseIterable {
  /// One JSON object an event.
  case json
}

/// Whether a rule counts.
public enum RuleMode: String, Sendable, Hashable, CaseIterable {
  /// It is evaluated and enters the decision.
  case live
  /// It is evaluated, counted and kept apart, and never alerts.
  case shadow
  /// It is not evaluated.
  case off
}

/// What becomes of an event on which a rule cannot be evaluated: a division by zero, an overflow, a bad cast.
public enum RuleErrorPolicy: String, Sendable, Hashable, CaseIterable {
  /// It counts as no match. The error is counted and kept either way.
  case ignore
  /// It counts as a match.
  case alert
}

/// Which time an event happened at, and how late it may come.
public struct EventTimeDefinition: Sendable, Hashable {
  /// The `timestamp` field that holds it.
  public var field: String
  /// How far the watermark stays behind the latest event, in microseconds.
  public var watermarkDelay: Int64 = 60_000_000
  /// How far behind the watermark an event may be and still be folded into features, in microseconds.
  public var allowedLateness: Int64 = 3_600_000_000
  /// How far ahead of its record's timestamp an event may be and still move the watermark, in microseconds.
  public var maxFuture: Int64 = 300_000_000

  /// Takes the event time from a field, with the default bounds.
  public init(field: String) {
    self.field = field
  }
}

/// A list that rules test with `x IN LIST(name)`.
public struct ListDefinition: Sendable, Hashable {
  /// What a list's values are.
  public enum Element: String, Sendable, Hashable, CaseIterable {
    case string
    case integer
  }

  /// The name that rules use.
  public var name: String
  /// What its values are.
  public var type: Element
  /// The file that holds one value a line, relative to the definition's file.
  public var file: String?
  /// The values themselves, where the definition holds them.
  public var values: [String]

  /// Declares a list.
  public init(name: String, type: Element, file: String? = nil, values: [String] = []) {
    self.name = name
    self.type = type
    self.file = file
    self.values = values
  }
}

/// A rule as it was declared.
public struct RuleDefinition: Sendable, Hashable {
  /// Where it stands in the definition, as in `rules[2]`.
  public var path: String
  /// The declared id, or `r-` and the first eight digits of the trimmed expression's SHA-256.
  public var id: String
  /// The condition, in the language of `Docs/rules.md`.
  public var expression: String
  /// How serious a match is.
  public var severity: Severity
  /// What a match means, for people.
  public var description: String
  /// Whether it counts.
  public var mode: RuleMode
  /// What it adds to a weighted score, in basis points, where it says so.
  public var weight: Int?
  /// What it adds to a score of points, where it says so.
  public var points: Int?
  /// Of all keys, the share in basis points that it is in force for; `nil` for every one. See ``Experiment``.
  public var share: Int?
  /// Where its expression stands in the text.
  package var line: Int
  package var column: Int

  /// The id of a rule that declares none.
  public static func derivedID(of expression: String) -> String {
    let trimmed = expression.unicodeScalars.drop { $0.properties.isWhitespace }
    let end = trimmed.lastIndex { !$0.properties.isWhitespace }
    let text = end.map { String(String.UnicodeScalarView(trimmed[...$0])) } ?? ""
    return "r-" + SHA256.hexadecimalDigest(text.utf8).prefix(8)
  }
}

/// A pipeline as one document declares it: events, features, rules and what decides.
///
/// Reading checks the document's form and names; ``Pipeline`` compiles it.
public struct PipelineDefinition: Sendable, Hashable {
  /// The pipeline's name: letters, digits, `_` and `-`, at most 64.
  public var name: String
  /// The topic its events come from, where it reads Kafka.
  public var kafkaTopic: String?
  /// How its events are written.
  public var format: EventFormat
  /// What an event holds.
  public var schema: Schema
  /// The topic that its alerts go to, where they go to Kafka, too.
  public var alertsTopic: String?
  /// The field that identifies an event.
  public var eventID: String?
  /// When an event happened; without it the record's timestamp says so.
  public var eventTime: EventTimeDefinition?
  /// The field that says what was fraud, for metrics only.
  public var label: String?
  /// The field that the topic is partitioned by.
  public var key: String?
  /// Of all keys, the share in basis points that this version is in force for, beside a control that decides the events of
  /// the others; `nil` for every one. See ``Experiment``.
  public var share: Int?
  /// Further topics whose events features remember.
  public var streams: [StreamDefinition]
  /// What is remembered and computed beside the fields, in order.
  public var features: [FeatureDefinition]
  /// What is told of keys and windows, in rows of their own.
  public var aggregations: [AggregationDefinition]
  /// How long an event's id is remembered, in microseconds of event time: a second event with it is counted, not scored.
  public var deduplicate: Int64?
  /// How much features may remember.
  public var stateLimits: StateLimits
  /// Whether the store keeps a row a key with its current features, for other services to read.
  public var onlineFeatures: Bool
  /// The lists that rules may test.
  public var lists: [ListDefinition]
  /// The tables that features look values up in.
  public var tables: [TableDefinition]
  /// The rules in their order.
  public var rules: [RuleDefinition]
  /// What an error in a rule means.
  public var onRuleError: RuleErrorPolicy
  /// What the archive keeps beside the fields.
  public var archive: ArchiveDefinition
  /// How the rules' outcomes become one decision, and how many alerts it yields.
  public var scoring: ScoringDefinition
  /// The document with every default left as it was written; its canonical JSON identifies the version.
  public var source: DefinitionValue

  /// The SHA-256 of the canonical JSON: what makes two versions equal.
  public var sha256: String { SHA256.hexadecimalDigest(source.canonicalJSON.utf8) }
}

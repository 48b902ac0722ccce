/// What a run counted: the events it read, what became of them, and how the rules did against the labels.
///
/// Summaries of parts of a run add up with ``merge(_:)``.
public struct RunSummary: Sendable, Hashable {
  /// How often a rule or the decision was right, on events whose label is known.
  public struct Hits: Sendable, Hashable {
    /// Matches on events labelled as fraud.
    public var truePositives = 0
    /// Matches on events labelled as genuine.
    public var falsePositives = 0

    /// The share of matches that were fraud, `nil` without a match.
    public var precision: Double? {
      let matches = truePositives + falsePositives
      return matches == 0 ? nil : Double(truePositives) / Double(matches)
    }

    /// The share of all fraud that matched, `nil` without fraud.
    public func recall(of positives: Int) -> Double? {
      positives == 0 ? nil : Double(truePositives) / Double(positives)
    }
  }

  /// A rule and what it did.
  public struct Rule: Sendable, Hashable {
    /// Its id.
    public var id: String
    /// Whether it counts.
    public var mode: RuleMode
    /// Deciding events that it triggered on; for a shadow rule, every event that it triggered on.
    public var matches = 0
    /// Events on which it could not be evaluated.
    public var errors = 0
    /// Its matches against the labels.
    public var hits = Hits()
  }

  /// What was read of a further topic.
  public struct Stream: Sendable, Hashable {
    /// Its name in the definition.
    public var name: String
    /// Events that decoded.
    public var accepted = 0
    /// Events that did not, by reason.
    public var rejected: [RejectionReason: Int] = [:]
    /// Accepted events behind the stream's allowed lateness, which were not folded in.
    public var late = 0
    /// Accepted events that had come before, which were not folded in.
    public var duplicates = 0
  }

  /// The pipeline's name.
  public var pipeline: String
  /// The version that ran, `nil` for a file.
  public var pipelineVersion: Int?
  /// Events that decoded.
  public var accepted = 0
  /// Events that did not, by reason.
  public var rejected: [RejectionReason: Int] = [:]
  /// Fields that no schema declares, counted over all events.
  public var unknownFields = 0
  /// Events behind the allowed lateness.
  public var late = 0
  /// Events that had come before and were not scored again.
  public var duplicates = 0
  /// Events that the policy alerts on or blocks.
  public var decisions = 0
  /// Alerts written.
  public var alerts = 0
  /// Alerts by severity, in the order of ``Severity/allCases``.
  public var alertsBySeverity = [Int](repeating: 0, count: Severity.allCases.count)
  /// The further topics, in the order of the definition.
  public var streams: [Stream]
  /// Every rule that ran, in the order of the definition.
  public var rules: [Rule]
  /// Rules that are in force for a share of the keys.
  public var experiments: [ExperimentCounts]
  /// Events labelled as fraud; `nil` where the pipeline has no label.
  public var positives: Int?
  /// How the decision did against the labels.
  public var decisionHits = Hits()

  /// Nothing counted yet.
  public init(pipeline: Pipeline, version: Int? = nil) {
    self.pipeline = pipeline.definition.name
    pipelineVersion = version
    streams = pipeline.definition.streams.map { Stream(name: $0.name) }
    rules = pipeline.rules.map { Rule(id: $0.id, mode: $0.mode) }
    experiments = pipeline.rules.compactMap { rule in
      rule.share.map { ExperimentCounts(ruleID: rule.id, share: $0, version: version) }
    }
    positives = pipeline.definition.label == nil ? nil : 0
  }

  /// Events that did not decode.
  public var rejectedCount: Int { rejected.values.reduce(0, +) }

  /// Events read: always accepted plus rejected.
  public var events: Int { accepted + rejectedCount }

  /// Counts an event that was not accepted.
  mutating func count(rejected reason: RejectionReason) { rejected[reason, default: 0] += 1 }

  /// Adds another part's counts, of the same pipeline. Where the other is of another version, rules are told by their ids:
  /// what is new there is added, and the mode is the other's.
  public mutating func merge(_ other: RunSummary) {
    if pipelineVersion != other.pipelineVersion || rules.count != other.rules.count {
      let known = Dictionary(rules.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
      let present = Set(other.rules.map(\.id))
      rules =
        other.rules.map { rule in
          var merged = known[rule.id] ?? Rule(id: rule.id, mode: rule.mode)
          merged.mode = rule.mode
          return merged
        } + rules.filter { !present.contains($0.id) }
      pipelineVersion = other.pipelineVersion
    }
    accepted += other.accepted
    rejected.merge(other.rejected, uniquingKeysWith: +)
    unknownFields += other.unknownFields
    late += other.late
    duplicates += other.duplicates
    decisions += other.decisions
    alerts += other.alerts
    for index in alertsBySeverity.indices { alertsBySeverity[index] += other.alertsBySeverity[index] }
    for index in other.rules.indices {
      rules[index].matches += other.rules[index].matches
      rules[index].errors += other.rules[index].errors
      rules[index].hits.add(other.rules[index].hits)
    }
    for more in other.streams {
      if let index = streams.firstIndex(where: { $0.name == more.name }) {
        streams[index].add(more)
      } else {
        streams.append(more)
      }
    }
    // By id: the experiments of two versions may differ. A whole version is an experiment of its own.
    for more in other.experiments {
      let place = experiments.firstIndex {
        $0.ruleID == more.ruleID && $0.share == more.share && ($0.controlVersion == nil || $0.version == more.version)
      }
      if let index = place {
        experiments[index].treated.add(more.treated)
        experiments[index].control.add(more.control)
      } else {
        experiments.append(more)
      }
    }
    if let more = other.positives { positives = (positives ?? 0) + more }
    decisionHits.add(other.decisionHits)
  }

  /// What was counted since an earlier summary of the same run.
  package func difference(from earlier: RunSummary) -> RunSummary {
    var counts = self
    counts.accepted -= earlier.accepted
    for (reason, count) in earlier.rejected { counts.rejected[reason, default: 0] -= count }
    counts.rejected = counts.rejected.filter { $0.value != 0 }
    counts.unknownFields -= earlier.unknownFields
    counts.late -= earlier.late
    counts.duplicates -= earlier.duplicates
    counts.decisions -= earlier.decisions
    counts.alerts -= earlier.alerts
    for index in counts.alertsBySeverity.indices { counts.alertsBySeverity[index] -= earlier.alertsBySeverity[index] }
    for index in counts.streams.indices { counts.streams[index].subtract(earlier.streams[index]) }
    for index in counts.rules.indices {
      counts.rules[index].matches -= earlier.rules[index].matches
      counts.rules[index].errors -= earlier.rules[index].errors
      counts.rules[index].hits.subtract(earlier.rules[index].hits)
    }
    for index in counts.experiments.indices {
      counts.experiments[index].treated.subtract(earlier.experiments[index].treated)
      counts.experiments[index].control.subtract(earlier.experiments[index].control)
    }
    if let positives, let before = earlier.positives { counts.positives = positives - before }
    counts.decisionHits.subtract(earlier.decisionHits)
    return counts
  }

  /// The summary as one JSON object with the contract's keys.
  ///
  /// - Parameter seconds: how long the run took.
  public func json(seconds: Double) -> [UInt8] {
    var text: [UInt8] = []
    var object = JSONObjectText()
    object.key("pipeline", &text)
    JSONText.append(string: pipeline, to: &text)
    object.key("pipeline_version", &text)
    if let pipelineVersion {
      JSONText.append(Int64(pipelineVersion), to: &text)
    } else {
      JSONText.appendNull(to: &text)
    }
    object.count("events", events, &text)
    object.count("accepted", accepted, &text)
    object.count("rejected", rejectedCount, &text)
    object.counts(
      "rejected_by_reason",
      RejectionReason.allCases.compactMap { reason in rejected[reason].map { (reason.rawValue, $0) } },
      &text)
    object.count("unknown_fields", unknownFields, &text)
    object.count("late", late, &text)
    object.count("duplicates", duplicates, &text)
    object.count("decisions", decisions, &text)
    object.count("alerts", alerts, &text)
    object.counts("alerts_by_rule", rules.filter { $0.mode == .live }.map { ($0.id, $0.matches) }, &text)
    object.counts(
      "alerts_by_severity", zip(Severity.allCases, alertsBySeverity).map { ($0.rawValue, $1) }, &text)
    object.counts("shadow_by_rule", rules.filter { $0.mode == .shadow }.map { ($0.id, $0.matches) }, &text)
    object.counts("rule_errors", rules.filter { $0.errors > 0 }.map { ($0.id, $0.errors) }, &text)
    if !streams.isEmpty { appendStreams(&object, to: &text) }
    if !experiments.isEmpty { appendExperiments(&object, to: &text) }
    object.key("labels", &text)
    appendLabels(to: &text)
    object.key("seconds", &text)
    JSONText.append((seconds * 1_000_000).rounded() / 1_000_000, to: &text)
    object.key("events_per_second", &text)
    JSONText.append(seconds > 0 ? (Double(events) / seconds).rounded() : .nan, to: &text)
    object.end(&text)
    return text
  }

  private func appendStreams(_ object: inout JSONObjectText, to text: inout [UInt8]) {
    object.key("streams", &text)
    var byName = JSONObjectText()
    for stream in streams {
      byName.key(stream.name, &text)
      var counts = JSONObjectText()
      counts.count("events", stream.events, &text)
      counts.count("accepted", stream.accepted, &text)
      counts.count("rejected", stream.events - stream.accepted, &text)
      counts.counts(
        "rejected_by_reason",
        RejectionReason.allCases.compactMap { reason in stream.rejected[reason].map { (reason.rawValue, $0) } },
        &text)
      counts.count("late", stream.late, &text)
      counts.count("duplicates", stream.duplicates, &text)
      counts.end(&text)
    }
    byName.end(&text)
  }

  private func appendExperiments(_ object: inout JSONObjectText, to text: inout [UInt8]) {
    object.key("experiments", &text)
    var byRule = JSONObjectText()
    for experiment in experiments {
      byRule.key(experiment.controlVersion == nil ? experiment.ruleID : "version \(experiment.version ?? 0)", &text)
      var arms = JSONObjectText()
      if let control = experiment.controlVersion { arms.count("control_version", control, &text) }
      arms.key("share", &text)
      JSONText.append(Double(experiment.share) / 10_000, to: &text)
      for (name, arm) in [("treated", experiment.treated), ("control", experiment.control)] {
        arms.key(name, &text)
        var counts = JSONObjectText()
        counts.count("events", arm.events, &text)
        counts.count("alerts", arm.alerts, &text)
        counts.count("positives", arm.positives, &text)
        counts.count("tp", arm.hits.truePositives, &text)
        counts.count("fp", arm.hits.falsePositives, &text)
        counts.end(&text)
      }
      arms.end(&text)
    }
    byRule.end(&text)
  }

  private func appendLabels(to text: inout [UInt8]) {
    guard let positives else {
      JSONText.appendNull(to: &text)
      return
    }
    var labels = JSONObjectText()
    labels.count("positives", positives, &text)
    labels.key("decision", &text)
    append(decisionHits, positives, to: &text)
    labels.key("rules", &text)
    var byRule = JSONObjectText()
    for rule in rules {
      byRule.key(rule.id, &text)
      append(rule.hits, positives, to: &text)
    }
    byRule.end(&text)
    labels.end(&text)
  }

  private func append(_ hits: Hits, _ positives: Int, to text: inout [UInt8]) {
    var object = JSONObjectText()
    object.count("tp", hits.truePositives, &text)
    object.count("fp", hits.falsePositives, &text)
    object.key("precision", &text)
    JSONText.append(hits.precision ?? .nan, to: &text)
    object.key("recall", &text)
    JSONText.append(hits.recall(of: positives) ?? .nan, to: &text)
    object.end(&text)
  }
}

extension RunSummary.Stream {
  /// Events read: always accepted plus rejected.
  public var events: Int { accepted + rejected.values.reduce(0, +) }

  mutating func add(_ other: Self) {
    accepted += other.accepted
    rejected.merge(other.rejected, uniquingKeysWith: +)
    late += other.late
    duplicates += other.duplicates
  }

  mutating func subtract(_ other: Self) {
    accepted -= other.accepted
    for (reason, count) in other.rejected { rejected[reason, default: 0] -= count }
    rejected = rejected.filter { $0.value != 0 }
    late -= other.late
    duplicates -= other.duplicates
  }
}

extension RunSummary.Hits {
  mutating func add(_ other: Self) {
    truePositives += other.truePositives
    falsePositives += other.falsePositives
  }

  mutating func subtract(_ other: Self) {
    truePositives -= other.truePositives
    falsePositives -= other.falsePositives
  }
}

extension EventCounts {
  /// The part of a summary that a partition keeps.
  package init(_ summary: RunSummary) {
    self.init()
    accepted = Int64(summary.accepted)
    rejected = Int64(summary.rejectedCount)
    late = Int64(summary.late)
    unknownFields = Int64(summary.unknownFields)
    decisions = Int64(summary.decisions)
    alerts = Int64(summary.alerts)
    positives = Int64(summary.positives ?? 0)
  }
}

/// Which keys a rule with a `share` is in force for.
///
/// A rule with `share: 0.1` is in force for a tenth of the keys, the treated arm, and not for the others, the control arm.
/// A key is always in the same arm of a rule, whatever machine asks, and the arms of two rules have nothing to do with
/// each other. Any program can tell the arm: XXH64 with seed 0 of the rule's id, a zero byte and the key's text, modulo
/// 10,000, is below the share times 10,000.
public enum Experiment {
  /// Whether a rule is in force for a key.
  ///
  /// - Parameters:
  ///   - key: The key's text; an integer in decimal digits.
  ///   - share: Of all keys, in basis points.
  public static func isTreated(rule: String, key: String, share: Int) -> Bool {
    isTreated(Array(rule.utf8) + [0] + Array(key.utf8), share: share)
  }

  static func isTreated(_ text: [UInt8], share: Int) -> Bool {
    StableHash.hash(text.span) % 10_000 < UInt64(clamping: share)
  }
}

/// The arms of a batch's rows for each rule that has a share.
struct ExperimentArms: Sendable {
  /// A rule with a share.
  struct Experiment: Sendable {
    /// Its index in ``Pipeline/rules``.
    var rule: Int
    /// In basis points.
    var share: Int
    /// What the keys' texts are hashed behind.
    var prefix: [UInt8]
  }

  let experiments: [Experiment]
  /// The column of the keys.
  let key: Int
  /// Of each experiment, the rows for which its rule is in force, and those for which it is not; a row without a key is
  /// in neither.
  private(set) var treated: [[UInt64]]
  private(set) var control: [[UInt64]]
  private var text: [UInt8] = []

  /// - Returns: nil where no rule has a share.
  init?(_ pipeline: Pipeline) {
    guard let key = pipeline.definition.key.flatMap({ pipeline.layout.index(of: $0) }) else { return nil }
    self.key = key
    experiments = pipeline.rules.enumerated().compactMap { index, rule in
      rule.share.map { Experiment(rule: index, share: $0, prefix: Array(rule.id.utf8) + [0]) }
    }
    if experiments.isEmpty { return nil }
    treated = [[UInt64]](repeating: [], count: experiments.count)
    control = treated
  }

  /// Finds the arms of a batch's rows, and makes each rule false where it is not in force.
  ///
  /// - Parameter rows: those that are in any arm; `nil` for all.
  mutating func apply(to outcomes: inout RuleOutcomes, of batch: EventBatch, only rows: [UInt64]? = nil) {
    let words = (batch.rowCount + 63) / 64
    for index in experiments.indices {
      let experiment = experiments[index]
      treated[index] = [UInt64](repeating: 0, count: words)
      control[index] = treated[index]
      for row in 0..<batch.rowCount where batch.isValid(column: key, row: row) {
        text = experiment.prefix
        batch.appendKey(column: key, row: row, to: &text)
        let bit = 1 << UInt64(row & 63) as UInt64
        if FraudCore.Experiment.isTreated(text, share: experiment.share) {
          treated[index][row >> 6] |= bit
        } else {
          control[index][row >> 6] |= bit
        }
      }
      if let rows {
        for word in 0..<words {
          treated[index][word] &= rows[word]
          control[index][word] &= rows[word]
        }
      }
      for word in 0..<words {
        let place = experiment.rule * outcomes.stride + word
        outcomes.triggered[place] &= treated[index][word]
        outcomes.null[place] &= treated[index][word]
        outcomes.error[place] &= treated[index][word]
      }
    }
  }
}

extension EventBatch {
  /// A key's text: a string's bytes as they are, anything else as JSON writes it.
  package func appendKey(column: Int, row: Int, to text: inout [UInt8]) {
    if layout.columns[column].type == .string {
      text.append(contentsOf: bytes[TextSlice(word: word(column: column, row: row)).range])
    } else {
      JSONText.append(column: column, row: row, of: self, to: &text)
    }
  }
}

extension RunSummary {
  /// What one arm of an experiment counted.
  public struct Arm: Sendable, Hashable {
    /// Events of the arm's keys.
    public var events = 0
    /// Of those, events that the policy alerts on.
    public var alerts = 0
    /// Of all, events labelled as fraud.
    public var positives = 0
    /// The alerts whose label is known.
    public var hits = Hits()

    /// Nothing counted.
    public init() {}

    /// Adds another part's counts.
    public mutating func add(_ other: Arm) {
      events += other.events
      alerts += other.alerts
      positives += other.positives
      hits.add(other.hits)
    }

    mutating func subtract(_ other: Arm) {
      events -= other.events
      alerts -= other.alerts
      positives -= other.positives
      hits.subtract(other.hits)
    }
  }

  /// A rule, or a whole version, that is in force for a share of the keys, and what both arms counted.
  public struct ExperimentCounts: Sendable, Hashable {
    /// The rule; empty for a whole version.
    public var ruleID: String
    /// The share of keys that it is in force for, in basis points.
    public var share: Int
    /// The version of the pipeline that decided the events, where a file has none `nil`; of a whole version, it itself.
    public var version: Int?
    /// The version that decides the events of the other keys, where this is a whole version.
    public var controlVersion: Int?
    /// Events of keys that it is in force for.
    public var treated = Arm()
    /// Events of all other keys.
    public var control = Arm()
  }
}

extension ExperimentArms {
  /// Adds a batch's events and decisions to the counts of both arms.
  func count(
    _ decisions: Decisions, of batch: EventBatch, label: Int?, into counts: inout [RunSummary.ExperimentCounts]
  ) {
    for index in experiments.indices {
      counts[index].treated.add(decisions, of: batch, rows: treated[index], label: label)
      counts[index].control.add(decisions, of: batch, rows: control[index], label: label)
    }
  }
}

extension RunSummary.Arm {
  /// Adds a batch's events and decisions, of these rows.
  mutating func add(_ decisions: Decisions, of batch: EventBatch, rows: [UInt64], label: Int?) {
    for word in rows.indices {
      events += rows[word].nonzeroBitCount
      guard let label else { continue }
      let fraud = batch.validity[label * batch.bitmapStride + word] & batch.labelBits(column: label, word: word)
      positives += (rows[word] & fraud).nonzeroBitCount
    }
    for place in decisions.rows.indices where decisions.verdicts[place].alerts {
      let row = Int(decisions.rows[place])
      let bit = 1 << UInt64(row & 63) as UInt64
      guard rows[row >> 6] & bit != 0 else { continue }
      alerts += 1
      guard let label, batch.isValid(column: label, row: row) else { continue }
      if batch.labelBits(column: label, word: row >> 6) & bit != 0 {
        hits.truePositives += 1
      } else {
        hits.falsePositives += 1
      }
    }
  }
}

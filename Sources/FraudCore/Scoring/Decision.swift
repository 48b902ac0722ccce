/// What the scoring policy makes of one event.
public struct Decision: Sendable, Hashable {
  /// The verdict.
  public enum Verdict: String, Sendable, Hashable, CaseIterable {
    case noAlert = "no_alert"
    case alert
    /// From an override.
    case block
    /// From an override.
    case allow

    /// Whether the event yields alerts.
    public var alerts: Bool { self == .alert || self == .block }
  }

  /// What happens to the event.
  public var verdict: Verdict
  /// What the policy added up.
  public var score: Score
  /// The score's band.
  public var riskLevel: String

  /// Makes a decision.
  public init(verdict: Verdict, score: Score, riskLevel: String) {
    self.verdict = verdict
    self.score = score
    self.riskLevel = riskLevel
  }
}

/// What one rule added to a score.
public struct Contribution: Sendable, Hashable {
  /// The rule's place in the definition.
  public var rule: Int
  /// In the unit of the score; all of an event's contributions add up to its score exactly.
  public var amount: Score

  /// Makes a contribution.
  public init(rule: Int, amount: Score) {
    self.rule = rule
    self.amount = amount
  }
}

/// A batch's decisions: only the rows where something happened are listed, every other row is `no_alert` with score 0.
///
/// Under policy `model` every row is listed. Reused from batch to batch.
package struct Decisions: Sendable {
  /// Rows in ascending order.
  package var rows: [Int32] = []
  package var verdicts: [Decision.Verdict] = []
  package var scores: [Score] = []
  /// For `weighted` and `evaluable`, what the sum of weights was divided by; else 0.
  package var denominators: [Int] = []

  package init() {}

  package mutating func removeAll() {
    rows.removeAll(keepingCapacity: true)
    verdicts.removeAll(keepingCapacity: true)
    scores.removeAll(keepingCapacity: true)
    denominators.removeAll(keepingCapacity: true)
  }

  mutating func append(row: Int, verdict: Decision.Verdict, score: Score, denominator: Int) {
    rows.append(Int32(truncatingIfNeeded: row))
    verdicts.append(verdict)
    scores.append(score)
    denominators.append(denominator)
  }
}

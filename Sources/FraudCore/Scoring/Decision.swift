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
  /// The live rules that triggered on each row, in the order of the definition, one row after the other; those of row
  /// `index` end where those of row `index + 1` start.
  private(set) var triggeredRules: [Int32] = []
  private(set) var triggeredStarts: [Int32] = [0]

  package init() {}

  /// Where the rules that triggered on a decided row stand in ``triggeredRules``.
  func triggered(at index: Int) -> Range<Int> {
    Int(triggeredStarts[index])..<Int(triggeredStarts[index + 1])
  }

  package mutating func removeAll() {
    rows.removeAll(keepingCapacity: true)
    verdicts.removeAll(keepingCapacity: true)
    scores.removeAll(keepingCapacity: true)
    denominators.removeAll(keepingCapacity: true)
    triggeredRules.removeAll(keepingCapacity: true)
    triggeredStarts.removeAll(keepingCapacity: true)
    triggeredStarts.append(0)
  }

  /// Sorts hits, which come rule by rule, by row.
  ///
  /// - Parameters:
  ///   - hits: a row in the low and a rule in the high 32 bits; every row is among ``rows``.
  ///   - places: for each row of the batch how many hits it has; used up.
  mutating func setTriggered(_ hits: [UInt64], places: inout [Int32]) {
    var start: Int32 = 0
    for row in rows {
      let count = places[Int(row)]
      places[Int(row)] = start
      start += count
      triggeredStarts.append(start)
    }
    triggeredRules.append(contentsOf: repeatElement(0, count: hits.count))
    for hit in hits {
      let row = Int(truncatingIfNeeded: hit & 0xFFFF_FFFF)
      triggeredRules[Int(places[row])] = Int32(truncatingIfNeeded: hit >> 32)
      places[row] += 1
    }
  }

  mutating func append(row: Int, verdict: Decision.Verdict, score: Score, denominator: Int) {
    rows.append(Int32(truncatingIfNeeded: row))
    verdicts.append(verdict)
    scores.append(score)
    denominators.append(denominator)
  }
}

/// What scoring needs to know of a rule.
public struct ScoredRule: Sendable, Hashable {
  /// The rule's id.
  public var id: String
  /// Basis points for `any`, `weighted` and `evaluable`, points for `points`; nothing under `model`.
  public var weight: Int
  /// Whether the rule enters the score; shadow rules and those switched off do not.
  public var live: Bool

  /// Describes a rule to a policy.
  public init(id: String, weight: Int, live: Bool = true) {
    self.id = id
    self.weight = weight
    self.live = live
  }
}

/// A scoring definition bound to the rules of a pipeline: turns outcomes into decisions.
///
/// Everything that is added up is a whole number, so the order of the rules never matters. One more rule that triggers
/// never lowers a score; under `evaluable` that holds as long as the same rules can be evaluated.
public struct ScoringPolicy: Sendable {
  /// What was declared.
  public let definition: ScoringDefinition
  /// All rules, in the order of the definition.
  public let rules: [ScoredRule]
  /// The weights of all live rules.
  public let totalWeight: Int
  private let overrides: [(rule: Int, override: ScoringDefinition.Override)]
  /// Places in the order of ids, which settles ties without regard to the order of the definition.
  private let ranks: [Int]

  /// Binds a definition to rules.
  ///
  /// - Throws: ``DefinitionError`` when an override names a rule that is not there.
  public init(_ definition: ScoringDefinition, rules: [ScoredRule]) throws(DefinitionError) {
    self.definition = definition
    self.rules = rules
    totalWeight = rules.reduce(0) { $0 + ($1.live ? $1.weight : 0) }
    var problems: [DefinitionProblem] = []
    var overrides: [(rule: Int, override: ScoringDefinition.Override)] = []
    for (id, override) in definition.overrides {
      if let rule = rules.firstIndex(where: { $0.id == id }) {
        if rules[rule].live { overrides.append((rule, override)) }
      } else {
        let hint = nearest(to: id, among: rules.map(\.id)).map { ", did you mean '\($0)'?" } ?? ""
        problems.append(
          DefinitionProblem(path: "scoring.overrides.\(id)", message: "there is no rule '\(id)'\(hint)"))
      }
    }
    guard problems.isEmpty else { throw DefinitionError(problems: problems) }
    self.overrides = overrides
    var ranks = [Int](repeating: 0, count: rules.count)
    for (rank, rule) in rules.indices.sorted(by: { rules[$0].id < rules[$1].id }).enumerated() { ranks[rule] = rank }
    self.ranks = ranks
  }

  /// Decides a batch.
  ///
  /// - Parameters:
  ///   - rows: those to be decided, a bit each; `nil` for all. No rule triggered on others.
  ///   - probabilities: the model's column as bit patterns of doubles and its validity, for policy `model`.
  ///   - decisions: emptied, then filled with the rows where a live rule triggered, or with all rows under `model`.
  /// - Complexity: O(rules × rows / 64 + triggers); nothing is allocated once `scratch` and `decisions` are warm.
  package func decide(
    _ outcomes: borrowing RuleOutcomes, rowCount: Int, only rows: [UInt64]? = nil,
    probabilities: (words: [UInt64], validity: [UInt64])? = nil, scratch: inout ScoringScratch,
    into decisions: inout Decisions
  ) {
    precondition(outcomes.ruleCount == rules.count, "\(outcomes.ruleCount) outcomes for \(rules.count) rules")
    decisions.removeAll()
    let words = (rowCount + 63) / 64
    precondition(words <= outcomes.stride, "\(rowCount) rows in bitmaps of \(outcomes.stride) words")
    scratch.reset(words: words)
    for index in rules.indices where outcomes.mayBeTriggered[index] && rules[index].live {
      let start = index * outcomes.stride
      for word in 0..<words {
        var bits = outcomes.triggered[start + word]
        guard bits != 0 else { continue }
        let weight = rules[index].weight
        scratch.touched[word] |= bits
        while bits != 0 {
          let row = word * 64 + bits.trailingZeroBitCount
          scratch.sums[row] += weight
          scratch.counts[row] += 1
          scratch.hits.append(UInt64(truncatingIfNeeded: row) | UInt64(truncatingIfNeeded: index) << 32)
          bits &= bits - 1
        }
      }
    }
    for (index, override) in overrides {
      for word in 0..<words {
        let bits = outcomes.triggered[index * outcomes.stride + word]
        switch override {
        case .finalBlock: scratch.finalBlocks[word] |= bits
        case .allow: scratch.allows[word] |= bits
        case .block: scratch.blocks[word] |= bits
        }
      }
    }
    if definition.policy == .evaluable { collectMissing(outcomes, words: words, scratch: &scratch) }
    if definition.policy == .model {
      for row in 0..<rowCount where rows.map({ $0[row >> 6] >> UInt64(row & 63) & 1 == 1 }) ?? true {
        let word = row >> 6
        let isValid = probabilities.map { $0.validity[word] >> UInt64(row & 63) & 1 == 1 } ?? false
        let value = isValid ? probabilities.map { Double(bitPattern: $0.words[row]) } ?? 0 : 0
        append(row, score: .probability(value), denominator: 0, scratch: scratch, to: &decisions)
      }
      decisions.setTriggered(scratch.hits, places: &scratch.counts)
      return
    }
    for word in 0..<words {
      var bits = scratch.touched[word]
      while bits != 0 {
        let row = word * 64 + bits.trailingZeroBitCount
        bits &= bits - 1
        let (score, denominator) = score(sum: scratch.sums[row], missing: scratch.missing[row])
        append(row, score: score, denominator: denominator, scratch: scratch, to: &decisions)
      }
    }
    decisions.setTriggered(scratch.hits, places: &scratch.counts)
  }

  /// One row's decision out of a batch's.
  package func decision(at index: Int, of decisions: borrowing Decisions) -> Decision {
    Decision(
      verdict: decisions.verdicts[index], score: decisions.scores[index],
      riskLevel: definition.bands.name(of: decisions.scores[index]))
  }

  /// The decision of a row that is not listed: nothing triggered.
  public var quiet: Decision {
    let score = zero
    return Decision(verdict: .noAlert, score: score, riskLevel: definition.bands.name(of: score))
  }

  /// Whether what each rule added to a decided row's score is its weight: nothing was capped or divided.
  func addsUp(at index: Int, of decisions: borrowing Decisions) -> Bool {
    guard case .basisPoints(let score) = decisions.scores[index] else { return false }
    var sum = 0
    for place in decisions.triggered(at: index) { sum += rules[Int(decisions.triggeredRules[place])].weight }
    return sum == score
  }

  /// What each live rule that triggered added to a row's score, in the order of the definition. Under `model`, nothing.
  package func contributions(at index: Int, of decisions: borrowing Decisions) -> [Contribution] {
    contributions(
      of: decisions.triggered(at: index).map { Int(decisions.triggeredRules[$0]) }, score: decisions.scores[index])
  }

  /// Shares out a score among the rules that made it, so that the parts add up to it exactly.
  ///
  /// Where the score was capped or divided, each part is rounded down and the basis points left over go to the largest
  /// remainders, the lesser id first of equals.
  public func contributions(of triggered: [Int], score: Score) -> [Contribution] {
    let sum = triggered.reduce(0) { $0 + rules[$1].weight }
    switch score {
    case .points: return triggered.map { Contribution(rule: $0, amount: .points(rules[$0].weight)) }
    case .probability: return triggered.map { Contribution(rule: $0, amount: .probability(0)) }
    case .basisPoints(let target):
      guard sum > 0 else { return triggered.map { Contribution(rule: $0, amount: .basisPoints(0)) } }
      // Neither capped nor divided, as mostly: every weight is its own part.
      if sum == target { return triggered.map { Contribution(rule: $0, amount: .basisPoints(rules[$0].weight)) } }
      var parts = triggered.map { rules[$0].weight * target / sum }
      let remainders = triggered.map { rules[$0].weight * target % sum }
      let order = triggered.indices.sorted {
        (-remainders[$0], ranks[triggered[$0]]) < (-remainders[$1], ranks[triggered[$1]])
      }
      for index in order.prefix(target - parts.reduce(0, +)) { parts[index] += 1 }
      return triggered.indices.map { Contribution(rule: triggered[$0], amount: .basisPoints(parts[$0])) }
    }
  }

  /// The decision for a set of triggered rules, for analysis and documentation.
  public func decision(triggered: [Int], notEvaluable: [Int] = [], probability: Double? = nil) -> Decision {
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: 1)
    for rule in triggered { outcomes.triggered[rule] = 1 }
    for rule in notEvaluable { outcomes.null[rule] = 1 }
    var scratch = ScoringScratch()
    var decisions = Decisions()
    decide(
      outcomes, rowCount: 1, probabilities: probability.map { ([$0.bitPattern], [1]) }, scratch: &scratch,
      into: &decisions)
    return decisions.rows.isEmpty ? quiet : decision(at: 0, of: decisions)
  }

  private var zero: Score {
    switch definition.policy {
    case .any, .weighted, .evaluable: .basisPoints(0)
    case .points: .points(0)
    case .model: .probability(0)
    }
  }

  private func collectMissing(
    _ outcomes: borrowing RuleOutcomes, words: Int, scratch: inout ScoringScratch
  ) {
    for (index, rule) in rules.enumerated() where rule.live {
      let start = index * outcomes.stride
      for word in 0..<words {
        var bits = (outcomes.null[start + word] | outcomes.error[start + word]) & scratch.touched[word]
        while bits != 0 {
          scratch.missing[word * 64 + bits.trailingZeroBitCount] += rule.weight
          bits &= bits - 1
        }
      }
    }
  }

  /// Rounded down, so that a score shown as 0.7 has reached a threshold of 0.7 and one shown as 0.6999 has not.
  private func score(sum: Int, missing: Int) -> (Score, denominator: Int) {
    switch definition.policy {
    case .any: return (.basisPoints(min(sum, 10_000)), 0)
    case .points: return (.points(sum), 0)
    case .weighted: return (.basisPoints(totalWeight > 0 ? sum * 10_000 / totalWeight : 0), totalWeight)
    case .evaluable:
      let mass = max(totalWeight - missing, definition.floor, 1)
      return (.basisPoints(min(sum * 10_000 / mass, 10_000)), mass)
    case .model: return (.probability(0), 0)
    }
  }

  private func reachesThreshold(_ score: Score) -> Bool {
    guard let threshold = definition.threshold else { return true }
    switch score {
    case .basisPoints(let count), .points(let count): return count >= threshold
    case .probability(let value): return value >= Double(threshold) / 10_000
    }
  }

  private func append(
    _ row: Int, score: Score, denominator: Int, scratch: borrowing ScoringScratch, to decisions: inout Decisions
  ) {
    let word = row >> 6
    let bit = (1 as UInt64) << UInt64(row & 63)
    let verdict: Decision.Verdict =
      if scratch.finalBlocks[word] & bit != 0 {
        .block
      } else if scratch.allows[word] & bit != 0 {
        .allow
      } else if scratch.blocks[word] & bit != 0 {
        .block
      } else {
        reachesThreshold(score) ? .alert : .noAlert
      }
    decisions.append(row: row, verdict: verdict, score: score, denominator: denominator)
  }
}

/// Working memory of ``ScoringPolicy/decide(_:rowCount:probabilities:scratch:into:)``, kept by whoever calls it.
package struct ScoringScratch: Sendable {
  fileprivate var sums: [Int] = []
  /// How many rules triggered on each row, and each time that one did: a row in the low and a rule in the high 32 bits.
  fileprivate var counts: [Int32] = []
  fileprivate var hits: [UInt64] = []
  fileprivate var missing: [Int] = []
  fileprivate var touched: [UInt64] = []
  fileprivate var finalBlocks: [UInt64] = []
  fileprivate var allows: [UInt64] = []
  fileprivate var blocks: [UInt64] = []

  package init() {}

  fileprivate mutating func reset(words: Int) {
    if touched.count < words {
      sums = [Int](repeating: 0, count: words * 64)
      missing = sums
      counts = [Int32](repeating: 0, count: words * 64)
      hits.removeAll()
      touched = [UInt64](repeating: 0, count: words)
      (finalBlocks, allows, blocks) = (touched, touched, touched)
      return
    }
    for hit in hits {
      let row = Int(truncatingIfNeeded: hit & 0xFFFF_FFFF)
      (sums[row], missing[row], counts[row]) = (0, 0, 0)
    }
    hits.removeAll(keepingCapacity: true)
    for word in touched.indices {
      (touched[word], finalBlocks[word], allows[word], blocks[word]) = (0, 0, 0, 0)
    }
  }
}

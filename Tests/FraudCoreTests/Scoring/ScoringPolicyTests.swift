import TestRandom
import Testing

@testable import FraudCore

/// S2's five detectors: high value, velocity, geographic, time, blacklist.
private let s2 = [("HV", 3_000), ("V", 2_500), ("G", 2_000), ("T", 1_500), ("B", 1_000)].map {
  ScoredRule(id: $0.0, weight: $0.1)
}

private func members(of mask: Int, count: Int = 5) -> [Int] { (0..<count).filter { mask >> $0 & 1 == 1 } }

@Test func weightedAlertsOnEightOfThirtyOneCombinations() throws {
  let policy = try ScoringPolicy(ScoringDefinition(policy: .weighted, threshold: 7_000), rules: s2)
  var alerts: [String: String] = [:]
  for mask in 1..<32 {
    let rules = members(of: mask)
    let decision = policy.decision(triggered: rules)
    #expect(decision.score == .basisPoints(rules.reduce(0) { $0 + s2[$1].weight }))
    if decision.verdict == .alert { alerts[rules.map { s2[$0].id }.joined(separator: "+")] = "\(decision.score)" }
  }
  #expect(
    alerts == [
      "HV+V+G": "0.75", "HV+V+T": "0.7", "HV+V+G+T": "0.9", "HV+V+G+B": "0.85", "HV+V+T+B": "0.8", "HV+G+T+B": "0.75",
      "V+G+T+B": "0.7", "HV+V+G+T+B": "1",
    ])
}

@Test func overridesDecideBeforeTheSum() throws {
  let block = ScoringDefinition(policy: .weighted, threshold: 7_000, overrides: [("B", .block)])
  let policy = try ScoringPolicy(block, rules: s2)
  #expect((1..<32).count { policy.decision(triggered: members(of: $0)).verdict.alerts } == 19)
  let all = ScoringDefinition(overrides: [("HV", .finalBlock), ("V", .allow), ("G", .block)])
  let order = try ScoringPolicy(all, rules: s2)
  #expect(order.decision(triggered: [0, 1, 2]).verdict == .block)
  #expect(order.decision(triggered: [1, 2, 3]).verdict == .allow)
  #expect(order.decision(triggered: [2, 3]).verdict == .block)
  #expect(order.decision(triggered: [3]).verdict == .alert)
  #expect(throws: DefinitionError.self) {
    try ScoringPolicy(ScoringDefinition(overrides: [("HVV", .block)]), rules: s2)
  }
}

@Test func evaluableProtectsNewAccounts() throws {
  let policy = try ScoringPolicy(ScoringDefinition(policy: .evaluable, threshold: 7_000), rules: s2)
  #expect(policy.decision(triggered: [1, 2], notEvaluable: [0, 3]).score == .basisPoints(8_181))
  #expect(policy.decision(triggered: [1, 2], notEvaluable: [0, 3]).verdict == .alert)
  let floored = policy.decision(triggered: [1], notEvaluable: [0, 2, 3])
  #expect(floored.score == .basisPoints(5_000) && floored.verdict == .noAlert)
}

/// S5: amount, crypto, country, night, weekend, velocity.
@Test func pointsReachCriticalInFourteenOfSixtyFour() throws {
  let rules = [30, 20, 15, 10, 5, 25].enumerated().map { ScoredRule(id: "P\($0)", weight: $1) }
  let policy = try ScoringPolicy(ScoringDefinition(policy: .points, threshold: 50), rules: rules)
  var levels: [String: Int] = [:]
  for mask in 0..<64 {
    let triggered = members(of: mask, count: 6)
    let decision = policy.decision(triggered: triggered)
    let points = triggered.reduce(0) { $0 + rules[$1].weight }
    let expected =
      points >= 75 ? "CRITICAL" : points >= 50 ? "HIGH" : points >= 25 ? "MEDIUM" : points >= 10 ? "LOW" : "MINIMAL"
    #expect(decision.score == .points(points) && decision.riskLevel == expected)
    #expect(decision.verdict == (points >= 50 ? .alert : .noAlert))
    levels[decision.riskLevel, default: 0] += 1
  }
  #expect(levels["CRITICAL"] == 14)
}

@Test func modelDecidesByItsProbability() throws {
  let policy = try ScoringPolicy(ScoringDefinition(policy: .model, threshold: 7_000, model: "m"), rules: s2)
  #expect(policy.decision(triggered: [], probability: 0.7).verdict == .alert)
  #expect(policy.decision(triggered: [0], probability: 0.699).verdict == .noAlert)
  #expect(policy.decision(triggered: [0], probability: nil).verdict == .noAlert)
  #expect(policy.decision(triggered: [], probability: 0.8).riskLevel == "CRITICAL")
}

@Test(arguments: [ScoringDefinition.Policy.any, .points, .weighted, .evaluable])
func isMonotoneAndIndependentOfOrder(policy kind: ScoringDefinition.Policy) throws {
  let seed: UInt64 = 0x5EED
  var generator = SeededGenerator(seed: seed)
  for _ in 0..<60 {
    let count = Int.random(in: 1...7, using: &generator)
    let rules = (0..<count).map { index in
      ScoredRule(
        id: "R\(index)", weight: Int.random(in: 0...4_000, using: &generator),
        live: Int.random(in: 0..<5, using: &generator) > 0)
    }
    let definition = ScoringDefinition(policy: kind, threshold: kind == .any ? nil : 4_000)
    let policy = try ScoringPolicy(definition, rules: rules)
    let order = Array(rules.indices).shuffled(using: &generator)
    let shuffled = try ScoringPolicy(definition, rules: order.map { rules[$0] })
    let missing = members(of: Int.random(in: 0..<1 << count, using: &generator), count: count)
    for mask in 0..<1 << count {
      let triggered = members(of: mask, count: count).filter { !missing.contains($0) }
      let decision = policy.decision(triggered: triggered, notEvaluable: missing)
      let other = shuffled.decision(
        triggered: triggered.compactMap { order.firstIndex(of: $0) },
        notEvaluable: missing.compactMap { order.firstIndex(of: $0) })
      #expect(decision == other, "seed \(seed)")
      let parts = policy.contributions(of: triggered.filter { rules[$0].live }, score: decision.score)
      let sum = parts.reduce(0) { $0 + $1.amount.count }
      #expect(sum == decision.score.count || parts.allSatisfy { rules[$0.rule].weight == 0 }, "seed \(seed)")
      for extra in rules.indices where !triggered.contains(extra) && !missing.contains(extra) {
        let more = policy.decision(triggered: triggered + [extra], notEvaluable: missing)
        #expect(more.score.count >= decision.score.count, "seed \(seed)")
        #expect(more.verdict.alerts || !decision.verdict.alerts, "seed \(seed)")
      }
    }
  }
}

@Test func decidesManyRowsAsOneByOne() throws {
  var generator = SeededGenerator(seed: 7)
  let definition = ScoringDefinition(policy: .evaluable, threshold: 6_000, overrides: [("B", .block), ("T", .allow)])
  let policy = try ScoringPolicy(definition, rules: s2)
  var scratch = ScoringScratch()
  var decisions = Decisions()
  for rowCount in [200, 1, 1_024, 64] {
    var outcomes = RuleOutcomes(ruleCount: 5, stride: 16)
    for rule in 0..<5 {
      for row in 0..<rowCount {
        let bit = (1 as UInt64) << UInt64(row & 63)
        switch Int.random(in: 0..<12, using: &generator) {
        case 0, 1: outcomes.triggered[rule * 16 + row / 64] |= bit
        case 2: outcomes.null[rule * 16 + row / 64] |= bit
        case 3: outcomes.error[rule * 16 + row / 64] |= bit
        default: break
        }
      }
    }
    policy.decide(outcomes, rowCount: rowCount, scratch: &scratch, into: &decisions)
    var listed: [Int: Int] = [:]
    for (index, row) in decisions.rows.enumerated() { listed[Int(row)] = index }
    for row in 0..<rowCount {
      let triggered = s2.indices.filter { outcomes.isTriggered(rule: $0, row: row) }
      let missing = s2.indices.filter { !outcomes.isEvaluable(rule: $0, row: row) }
      let expected = policy.decision(triggered: triggered, notEvaluable: missing)
      #expect(listed[row].map { policy.decision(at: $0, of: decisions) } ?? policy.quiet == expected)
    }
  }
}

@Test func readsScoringDefinitions() throws {
  func read(_ json: String) throws -> (ScoringDefinition, [String]) {
    var reader = DefinitionReader()
    let node = DefinitionNode(value: try DefinitionValue(json: Array(json.utf8)), path: "scoring")
    let definition = ScoringDefinition(node, reader: &reader)
    return (definition, reader.problems.map(\.description))
  }
  let (weighted, none) = try read(
    #"{"policy": "weighted", "threshold": 0.7, "alerts": "per_decision", "overrides": {"B": "block"}, "bands": {"high": 0.6, "low": 0}}"#
  )
  #expect(none.isEmpty)
  #expect(weighted.policy == .weighted && weighted.threshold == 7_000 && weighted.alerts == .perDecision)
  #expect(weighted.overrides.map(\.rule) == ["B"] && weighted.bands.name(of: .basisPoints(6_000)) == "high")
  #expect(weighted.bands.name(of: .basisPoints(5_999)) == "low")
  #expect(try read("{}").0 == ScoringDefinition())
  #expect(
    try read(#"{"policy": "point", "threshold": 3, "floor": 1, "overrides": {"a": "blok"}}"#).1 == [
      "scoring.policy: unknown value 'point', did you mean 'points'?",
      "scoring.threshold: policy any has no threshold: a rule that triggers decides",
      "scoring.floor: only policy evaluable has a floor",
      "scoring.overrides.a: unknown value 'blok', did you mean 'block'?",
    ])
  #expect(try read(#"{"policy": "model"}"#).1.count == 2)
}

@Test(
  arguments: [("0.25", 2_500), ("1", 10_000), ("0.00010", 1), ("0.12345", nil), ("-1", nil), ("1e3", nil), ("1.", nil)]
    as [(String, Int?)])
func readsBasisPoints(text: String, expected: Int?) {
  #expect(parseBasisPoints(text) == expected)
}

extension Score {
  /// The whole number inside.
  fileprivate var count: Int {
    switch self {
    case .basisPoints(let count), .points(let count): count
    case .probability: 0
    }
  }
}

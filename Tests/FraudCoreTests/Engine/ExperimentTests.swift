import TestRandom
import Testing

@testable import FraudCore

@Suite struct ExperimentTests {
  private func pipeline(_ more: String = "", key: String = #""key":"customer","#) throws -> Pipeline {
    try Pipeline(
      DefinitionValue(
        json: Array(
          """
          {"name":"p",\(key)"event_id":"id","label":"fraud","schema":[{"name":"id","type":"string"},
          {"name":"customer","type":"integer"},{"name":"amount","type":"float"},{"name":"fraud","type":"boolean"}],
          "rules":[{"id":"base","rule_expression":"amount > 900","severity":"info"},
          {"id":"new","rule_expression":"amount > 500","severity":"warning","share":0.3\(more)}]}
          """.utf8)))
  }

  /// Computed in Python from the specification of XXH64, whose hash of nothing is 0xef46db3751d8e999: `xxh64(b"new\0" + key) % 10000`.
  @Test func theHashIsTheOneThatIsPublished() {
    let places: [(key: String, place: Int)] = Self.places
    for (key, place) in places {
      #expect(Experiment.isTreated(rule: "new", key: key, share: place + 1), "\(key)")
      #expect(!Experiment.isTreated(rule: "new", key: key, share: place), "\(key)")
    }
    #expect(!Experiment.isTreated(rule: "new", key: "1", share: 0))
    #expect(Experiment.isTreated(rule: "new", key: "1", share: 10_000))
  }

  static let places: [(key: String, place: Int)] = [
    ("1", 4248), ("2", 9630), ("42", 411), ("-7", 8098), ("C-1001", 8892), ("Zoë", 2432),
  ]

  @Test func bothArmsAreCountedAsANaiveTwinDoes() throws {
    let pipeline = try pipeline()
    var engine = Engine(pipeline)
    var random = SeededGenerator(seed: 7)
    var expected = RunSummary.ExperimentCounts(ruleID: "new", share: 3_000)
    var isTreated: [Int: Bool] = [:]
    for number in 0..<3_000 {
      let customer = Int.random(in: 0..<200, using: &random)
      let amount = Int.random(in: 0..<1_000, using: &random)
      let label: Bool? = Int.random(in: 0..<10, using: &random) == 0 ? nil : Bool.random(using: &random)
      let hasKey = Int.random(in: 0..<20, using: &random) > 0
      let event =
        #"{"id":"\#(number)","customer":\#(hasKey ? "\(customer)" : "null"),"amount":\#(amount),"fraud":\#(label.map { "\($0)" } ?? "null")}"#
      let scored = try engine.score(Array(event.utf8))
      let treated = hasKey && Experiment.isTreated(rule: "new", key: "\(customer)", share: 3_000)
      let rules = (amount > 900 ? ["base"] : []) + (treated && amount > 500 ? ["new"] : [])
      #expect(scored.alerts.compactMap(\.ruleID) == rules)
      guard hasKey else { continue }
      isTreated[customer] = treated
      var arm = RunSummary.Arm()
      arm.events = 1
      arm.alerts = rules.isEmpty ? 0 : 1
      arm.positives = label == true ? 1 : 0
      if !rules.isEmpty, let label {
        if label { arm.hits.truePositives = 1 } else { arm.hits.falsePositives = 1 }
      }
      if treated { expected.treated.add(arm) } else { expected.control.add(arm) }
    }
    #expect(engine.summary.experiments == [expected])
    #expect((35..<85).contains(isTreated.values.count { $0 }))
    let json = String(decoding: engine.summary.json(seconds: 1), as: UTF8.self)
    #expect(
      json.contains(#""experiments":{"new":{"share":0.3,"treated":{"events":\#(expected.treated.events),"#), "\(json)")
    #expect(engine.summary.difference(from: engine.summary).experiments[0].treated == RunSummary.Arm())
  }

  @Test func aShareNeedsAKey() {
    let error = #expect(throws: DefinitionError.self) { _ = try pipeline(key: "") }
    #expect(error?.problems.first?.path == "rules[1].share")
    #expect(throws: DefinitionError.self) { _ = try pipeline(#","share":1.5"#) }
  }

  /// The ends are where the observed share lies z standard errors away: found by bisection.
  @Test(arguments: [
    (0, 10, 0.0, 0.2775328), (5, 10, 0.2365931, 0.7634069), (10, 10, 0.7224672, 1.0), (1, 1000, 0.0001765, 0.0056426),
  ])
  func wilsonIntervals(successes: Int, trials: Int, lower: Double, upper: Double) throws {
    let interval = try #require(WilsonInterval(successes: successes, of: trials))
    #expect(abs(interval.lower - lower) < 1e-6 && abs(interval.upper - upper) < 1e-6, "\(interval)")
    #expect(WilsonInterval(successes: 0, of: 0) == nil)
  }

  /// Newcombe 1998, table II, method 10.
  @Test(arguments: [
    ((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((6, 7), (2, 7), 0.0582, 0.8062),
    ((5, 56), (0, 29), -0.0381, 0.1926), ((0, 10), (0, 20), -0.1611, 0.2775), ((10, 10), (0, 20), 0.6791, 1),
  ])
  func differencesOfShares(first: (Int, Int), second: (Int, Int), lower: Double, upper: Double) throws {
    let interval = try #require(
      DifferenceInterval(
        (successes: first.0, trials: first.1), (successes: second.0, trials: second.1)))
    #expect(abs(interval.lower - lower) < 6e-5 && abs(interval.upper - upper) < 6e-5, "\(interval)")
    #expect(DifferenceInterval((0, 0), (1, 2)) == nil)
  }

  @Test func anAlertsJSONIsWhatScoreWrites() throws {
    var engine = Engine(try pipeline(), version: 3)
    var batch = EventBatch(layout: engine.pipeline.layout, source: EventSource(topic: "t", partition: 4))
    batch.append(message: Array(#"{"id":"é\"1","customer":1,"amount":950.25}"#.utf8).span, offset: 12, timestamp: 5)
    engine.process(&batch)
    var written: [UInt8] = []
    let text = AlertText(pipeline: engine.pipeline, version: 3, source: batch.source)
    for draft in engine.alerts {
      text.append(draft, of: engine, batch: batch, to: &written)
    }
    let alerts = engine.alerts.map { engine.alert($0, of: batch) }
    #expect(!alerts.isEmpty)
    #expect(alerts.flatMap { $0.json + [UInt8(ascii: "\n")] } == written)
  }
}

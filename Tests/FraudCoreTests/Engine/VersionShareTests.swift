import TestRandom
import Testing

@testable import FraudCore

/// Versions that are in force for a share of the keys, beside a control.
@Suite struct VersionShareTests {
  private static let fields = """
    {"name":"id","type":"string"},{"name":"customer","type":"integer"},{"name":"merchant","type":"string"},
    {"name":"amount","type":"float"},{"name":"divisor","type":"integer"},{"name":"fraud","type":"boolean"},
    {"name":"at","type":"timestamp","unit":"s"}
    """

  private static func source(
    _ more: String = "", fields: String = Self.fields, features: String, rules: String
  ) -> DefinitionValue {
    let text = """
      {"name":"p","key":"customer","event_id":"id","label":"fraud","event_time":"at","deduplicate":"1h",\(more)
      "schema":[\(fields)],"features":[\(features)],"rules":[\(rules)]}
      """
    do {
      return try DefinitionValue(json: Array(text.utf8))
    } catch {
      preconditionFailure("\(error)")
    }
  }

  private static let control = source(
    #""lists":[{"name":"blocked","type":"integer","values":["3","5"]}],"#,
    features: """
      {"name":"seen","function":"count","by":"customer"},{"name":"busy","function":"count","by":"merchant","scope":"partition"},
      {"name":"top","function":"max","of":"amount","by":"customer"}
      """,
    rules: """
      {"id":"large","rule_expression":"amount > 800","severity":"critical"},
      {"id":"record","rule_expression":"amount > top AND seen > 2"},{"id":"blocked","rule_expression":"customer IN LIST(blocked)"},
      {"id":"busy","rule_expression":"busy % 7 = 3","share":0.5},{"id":"ratio","rule_expression":"amount / divisor > 900"},
      {"id":"quiet","rule_expression":"amount < 20","mode":"shadow"}
      """)

  private static func candidate(share: Double = 0.3) -> DefinitionValue {
    source(
      """
      "share":\(share),"lists":[{"name":"blocked","type":"integer","values":["4"]},{"name":"odd","values":["m1"]}],
      "scoring":{"policy":"weighted","threshold":0.3},"on_rule_error":"alert",
      """,
      features: """
        {"name":"mean","function":"mean","of":"amount","by":"customer"},
        {"name":"busy","function":"count","by":"merchant","scope":"partition"},
        {"name":"seen","function":"count","by":"customer"}
        """,
      rules: """
        {"id":"large","rule_expression":"amount > 700","severity":"warning","weight":0.9},
        {"id":"unusual","rule_expression":"amount > 1.5 * mean"},{"id":"odd","rule_expression":"merchant IN LIST(odd)"},
        {"id":"blocked","rule_expression":"customer IN LIST(blocked)"},{"id":"busy","rule_expression":"busy % 5 = 3","share":0.4},
        {"id":"ratio","rule_expression":"amount / divisor > 900"},{"id":"quiet","rule_expression":"amount < 30","mode":"shadow"}
        """)
  }

  private struct Event {
    var text: [UInt8]
    var customer: Int?
    var isFraud: Bool?
  }

  private func events(_ count: Int, seed: UInt64) -> [Event] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { number in
      let customer: Int? = Int.random(in: 0..<20, using: &random) > 0 ? Int.random(in: 0..<60, using: &random) : nil
      let label: Bool? = Int.random(in: 0..<10, using: &random) == 0 ? nil : Bool.random(using: &random)
      let id = number % 11 == 10 ? number - 5 : number
      let text =
        #"{"id":"\#(id)","customer":\#(customer.map { "\($0)" } ?? "null"),"merchant":"m\#(Int.random(in: 0..<5, using: &random))","#
        + #""amount":\#(Int.random(in: 0..<1_000, using: &random)),"divisor":\#(Int.random(in: 0..<3, using: &random)),"#
        + #""fraud":\#(label.map { "\($0)" } ?? "null"),"at":\#(1_700_000_000 + number * 20 - (number % 13 == 7 ? 4_500 : 0))}"#
      return Event(text: Array(text.utf8), customer: customer, isFraud: label)
    }
  }

  private func isTreated(_ event: Event, share: Int = 3_000) -> Bool {
    event.customer.map { Experiment.isTreated(pipeline: "p", key: "\($0)", share: share) } ?? false
  }

  private struct Outcome: Equatable {
    var alerts: [Alert] = []
    var shadowAlerts: [Alert] = []
    var errors: [RuleErrorRecord] = []
    var decisions: [Decision] = []
  }

  /// What an engine makes of events, in batches of some size, by the event.
  private func process(_ events: [Event], with engine: inout Engine, batchRows: Int) -> [Int: Outcome] {
    var outcomes: [Int: Outcome] = [:]
    for start in stride(from: 0, to: events.count, by: batchRows) {
      var batch = EventBatch(
        layout: engine.pipeline.layout, source: EventSource(topic: "t"), capacity: batchRows)
      for index in start..<min(events.count, start + batchRows) {
        let text = events[index].text
        batch.append(message: text.span, offset: Int64(index), timestamp: nil)
      }
      engine.process(&batch)
      let alerts = engine.alertRecords(of: batch)
      #expect(alerts.map(\.offset) == alerts.map(\.offset).sorted())
      for alert in alerts { outcomes[Int(alert.offset), default: Outcome()].alerts.append(alert) }
      for alert in engine.shadowAlertRecords(of: batch) {
        outcomes[Int(alert.offset), default: Outcome()].shadowAlerts.append(alert)
      }
      for error in engine.ruleErrorRecords(of: batch) {
        outcomes[Int(error.offset), default: Outcome()].errors.append(error)
      }
      for (row, kept) in engine.keptDecisions(of: batch).enumerated() {
        outcomes[start + row, default: Outcome()].decisions.append(kept.decision)
      }
    }
    return outcomes
  }

  /// Each event is decided as the version of its key alone would have, with features that saw all keys' events.
  @Test(arguments: [1, 17, 100], [3_000, 0, 10_000])
  func eachEventIsDecidedAsByItsVersionAlone(batchRows: Int, share: Int) throws {
    let candidate = Self.candidate(share: Double(share) / 10_000)
    let version = try PipelineVersion(candidate, number: 2, beside: (Self.control, 1))
    var both = Engine(version)
    var treated = Engine(try Pipeline(candidate), version: 2)
    var control = Engine(try Pipeline(Self.control), version: 1)
    let events = events(1_500, seed: 41)
    let actual = process(events, with: &both, batchRows: batchRows)
    let ofTreated = process(events, with: &treated, batchRows: 100)
    let ofControl = process(events, with: &control, batchRows: 100)
    var kinds: Set<String> = []
    for (index, event) in events.enumerated() {
      let expected = isTreated(event, share: share) ? ofTreated[index] : ofControl[index]
      #expect(actual[index] == expected, "event \(index)")
      for alert in expected?.alerts ?? [] { kinds.insert("\(alert.pipelineVersion ?? 0) \(alert.ruleID ?? "")") }
    }
    if share == 3_000 { #expect(kinds.count == 11, "\(kinds.sorted())") }
    #expect(both.summary.accepted == events.count)
    #expect(both.summary.duplicates == control.summary.duplicates && both.summary.duplicates > 50)
    #expect(both.summary.late == control.summary.late && both.summary.late > 50)
    #expect(both.summary.positives == control.summary.positives)
    #expect(both.summary.alerts == actual.values.reduce(0) { $0 + $1.alerts.count })
  }

  @Test func oneEventIsDecidedAsInABatch() throws {
    let version = try PipelineVersion(Self.candidate(), number: 2, beside: (Self.control, 1))
    let events = events(400, seed: 5)
    var (single, batches) = (Engine(version), Engine(version))
    let expected = process(events, with: &batches, batchRows: 64)
    for (index, event) in events.enumerated() {
      let scored = try single.score(event.text, source: EventSource(topic: "t"), offset: Int64(index))
      #expect(scored.alerts == expected[index]?.alerts ?? [])
      #expect([scored.decision] == expected[index]?.decisions)
    }
    #expect(single.summary == batches.summary)
  }

  @Test func bothArmsAreCounted() throws {
    let version = try PipelineVersion(Self.candidate(), number: 2, beside: (Self.control, 1))
    var engine = Engine(version)
    let events = events(2_000, seed: 6)
    let outcomes = process(events, with: &engine, batchRows: 100)
    var expected = RunSummary.ExperimentCounts(ruleID: "", share: 3_000, version: 2, controlVersion: 1)
    for (index, event) in events.enumerated() where event.customer != nil {
      var arm = RunSummary.Arm()
      arm.events = 1
      arm.positives = event.isFraud == true ? 1 : 0
      if outcomes[index]?.alerts.isEmpty == false {
        arm.alerts = 1
        if let isFraud = event.isFraud {
          if isFraud { arm.hits.truePositives = 1 } else { arm.hits.falsePositives = 1 }
        }
      }
      if isTreated(event) { expected.treated.add(arm) } else { expected.control.add(arm) }
    }
    let counted = engine.countsByVersion
    #expect(counted[0].experiments.last == expected)
    // A rule's share divides the keys of its version alone.
    for counts in counted {
      let rule = try #require(counts.experiments.first)
      let arm = counts.pipelineVersion == 2 ? expected.treated : expected.control
      #expect(rule.ruleID == "busy" && rule.treated.events + rule.control.events == arm.events)
      #expect(rule.treated.events > 100 && rule.control.events > 100)
    }
    let json = String(decoding: engine.summary.json(seconds: 1), as: UTF8.self)
    #expect(json.contains(#""version 2":{"control_version":1,"share":0.3,"treated":{"events":"#), "\(json)")
    #expect(
      engine.summary.rules.map(\.id) == ["large", "unusual", "odd", "blocked", "busy", "ratio", "quiet", "record"])
  }

  /// What is said of values (truncated, late) reaches both versions, and so does what streams are remembered for.
  @Test(arguments: [false, true])
  func flagsOfValuesReachBothVersions(hasStream: Bool) throws {
    func source(_ share: String, rules: String, more: String = "") -> DefinitionValue {
      let stream =
        #""streams":[{"name":"chargebacks","key":"customer","schema":[{"name":"customer","type":"integer"}]}],"#
      return Self.source(
        share + (hasStream ? stream : ""),
        features: #"{"name":"n","function":"count","by":"customer","window":"1d","max_events_per_key":3}"#
          + (hasStream ? #",{"name":"charged","function":"count","by":"customer","from":"chargebacks"}"# : "") + more,
        rules: rules)
    }
    let control = source(
      "", rules: #"{"id":"many","rule_expression":"n >= 1\#(hasStream ? " AND charged >= 1" : "")"}"#)
    let candidate = source(
      #""share":0.5,"#, rules: #"{"id":"more","rule_expression":"n >= 0\#(hasStream ? " AND charged >= 2" : "")"}"#,
      more:
        #",{"name":"m","function":"count","by":"merchant","window":"1d","scope":"partition","max_events_per_key":2}"#)
    var both = Engine(try PipelineVersion(candidate, number: 2, beside: (control, 1)))
    var alone = [Engine(try Pipeline(control), version: 1), Engine(try Pipeline(candidate), version: 2)]
    var flagged: Set<String> = []
    for (index, event) in events(700, seed: 12).enumerated() {
      if hasStream, index % 5 == 0 {
        let chargeback = Array(#"{"customer":\#(index % 60)}"#.utf8)
        try both.observe(chargeback, stream: "chargebacks", timestamp: 1_700_000_000_000_000)
        for engine in alone.indices {
          try alone[engine].observe(chargeback, stream: "chargebacks", timestamp: 1_700_000_000_000_000)
        }
      }
      let place = EventSource(topic: "t")
      let scored = try both.score(event.text, source: place, offset: Int64(index))
      let expected = try alone.indices.map { try alone[$0].score(event.text, source: place, offset: Int64(index)) }
      let version = isTreated(event, share: 5_000) ? 1 : 0
      #expect(scored.alerts == expected[version].alerts, "event \(index)")
      for reason in scored.reasons {
        if !reason.truncated.isEmpty { flagged.insert("truncated \(version)") }
        if reason.isLate { flagged.insert("late \(version)") }
      }
    }
    #expect(flagged.isSuperset(of: ["truncated 0", "truncated 1"]), "\(flagged)")
    if !hasStream { #expect(flagged.count == 4, "\(flagged)") }
  }

  /// Going over from a version alone to a shared one and on keeps what features remember.
  @Test func featuresGoOnWhenAVersionIsSharedAndPromoted() throws {
    let events = events(900, seed: 8)
    let shared = try PipelineVersion(Self.candidate(), number: 2, beside: (Self.control, 1))
    let promoted = PipelineVersion(try Pipeline(Self.candidate()), number: 3)
    let control = PipelineVersion(try Pipeline(Self.control), number: 1)
    var engine = Engine(control)
    var naive = [Engine(control), Engine(PipelineVersion(promoted.pipeline, number: 2)), Engine(promoted)]
    for (index, event) in events.enumerated() {
      if index == 300 {
        engine.adopt(shared)
        // The candidate's new feature begins with the events that follow.
        naive[1].features = naive[0].features.carried(to: promoted.pipeline.features, limits: StateLimits())
      }
      if index == 600 {
        engine.adopt(promoted)
        naive[2].features = naive[1].features
      }
      let now = index < 300 ? 0 : index < 600 ? 1 : 2
      let scored = try engine.score(event.text, source: EventSource(topic: "t"), offset: Int64(index))
      let ofControl = try naive[0].score(event.text, source: EventSource(topic: "t"), offset: Int64(index))
      let expected =
        now == 0
        ? ofControl : try naive[now].score(event.text, source: EventSource(topic: "t"), offset: Int64(index))
      let isOwn = now == 2 || now == 0 || isTreated(event)
      #expect(scored.alerts == (isOwn ? expected : ofControl).alerts, "event \(index)")
    }
  }

  /// Computed in Python from the specification of XXH64: `xxh64(b"version\0card-payments\0" + key) % 10000`.
  @Test(arguments: [("1", 7126), ("2", 7047), ("42", 7400), ("-7", 9081), ("C-1001", 8429), ("Zoë", 9869)])
  func theHashIsTheOneThatIsPublished(key: String, place: Int) {
    #expect(Experiment.isTreated(pipeline: "card-payments", key: key, share: place + 1))
    #expect(!Experiment.isTreated(pipeline: "card-payments", key: key, share: place))
  }

  /// A rule's arms and a version's have nothing to do with each other: all four meetings come as often as their shares say.
  @Test func armsOfRulesAndVersionsAreIndependent() {
    var counts = [0, 0, 0, 0]
    for key in 0..<4_000 {
      let version = Experiment.isTreated(pipeline: "p", key: "\(key)", share: 5_000)
      let rule = Experiment.isTreated(rule: "p", key: "\(key)", share: 5_000)
      counts[(version ? 2 : 0) + (rule ? 1 : 0)] += 1
    }
    for count in counts { #expect((900...1_100).contains(count), "\(counts)") }
  }

  @Test func aShareNeedsAKey() throws {
    let text = #"{"name":"p","share":0.1,"schema":[{"name":"a","type":"integer"}],"rules":[]}"#
    let error = #expect(throws: DefinitionError.self) {
      _ = try PipelineDefinition(DefinitionValue(json: Array(text.utf8)))
    }
    #expect(error?.problems.first?.path == "share")
  }

  @Test(arguments: [
    (#""kafka_topic":"other","#, "", "", "'kafka_topic' differs"),
    (#""online_features":true,"#, "", "", "'online_features' differs"),
    ("", #",{"name":"more","type":"string"}"#, "", "field 'more' of the schema differs"),
    ("", "", #",{"name":"top","function":"min","of":"amount","by":"customer"}"#, "feature 'top' is declared otherwise"),
  ])
  func whatCannotRunSideBySideIsNamed(more: String, field: String, feature: String, reason: String) throws {
    let candidate = Self.source(
      #""share":0.1,"# + more, fields: Self.fields + field,
      features: #"{"name":"seen","function":"count","by":"customer"}"# + feature,
      rules: #"{"id":"large","rule_expression":"amount > 700"}"#)
    let error = #expect(throws: DefinitionError.self) {
      _ = try PipelineVersion(candidate, number: 2, beside: (Self.control, 1))
    }
    #expect(
      error?.problems.count == 1 && error?.problems[0].message.hasPrefix(reason) == true, "\(String(describing: error))"
    )
  }

  @Test func aListThatAFeatureLooksAtHasToBeTheSame() throws {
    func source(_ share: String, _ values: String) -> DefinitionValue {
      Self.source(
        #"\#(share)"lists":[{"name":"Blocked","type":"integer","values":[\#(values)]}],"#,
        features:
          #"{"name":"hits","function":"count","by":"merchant","scope":"partition","where":"customer IN LIST( `blocked` )"}"#,
        rules: #"{"id":"large","rule_expression":"hits > 700"}"#)
    }
    let error = #expect(throws: DefinitionError.self) {
      _ = try PipelineVersion(source(#""share":0.1,"#, #""1""#), number: 2, beside: (source("", #""2""#), 1))
    }
    #expect(error?.problems.first?.message.hasPrefix("list 'Blocked' holds other values") == true)
    _ = try PipelineVersion(source(#""share":0.1,"#, #""2""#), number: 2, beside: (source("", #""2""#), 1))
  }
}

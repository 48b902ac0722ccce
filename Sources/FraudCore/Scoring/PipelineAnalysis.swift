/// What a pipeline's rules and scoring can and cannot do, found without an event: what `fraudctl pipeline check` tells.
public struct PipelineAnalysis: Sendable, Hashable {
  /// One thing worth knowing before publishing.
  public struct Finding: Sendable, Hashable, CustomStringConvertible {
    /// How much it matters.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
      /// Something that cannot be meant.
      case warning
      /// Something to know.
      case note
    }

    /// How much it matters.
    public var kind: Kind
    /// The rule it is about, if it is about one.
    public var ruleID: String?
    /// The finding in words.
    public var message: String

    /// The finding with the rule it is about.
    public var description: String { ruleID.map { "\($0): \(message)" } ?? message }
  }

  /// How many sets of live rules alert or block, of all that are not empty; `nil` where there are too many to try.
  public private(set) var alertingCombinations: (alerting: Int, all: Int)? {
    get { combinations.map { ($0[0], $0[1]) } }
    set { combinations = newValue.map { [$0.alerting, $0.all] } }
  }
  private var combinations: [Int]?
  /// Everything found, in the order of the definition.
  public private(set) var findings: [Finding] = []

  /// Rules whose sets are all tried: 2^14 decisions take well under a second.
  private static let combinedRules = 14

  /// Looks at a pipeline.
  ///
  /// - Parameter zones: as the pipeline was compiled with.
  public init(_ pipeline: Pipeline, zones: TimeZones = .offsetsOnly) {
    let schema = pipeline.definition.schema
    let always = KnownValues(schema: schema, zones: zones)
    var possible: [Int] = []
    for (index, rule) in pipeline.rules.enumerated() {
      if !always.canBeTrue(rule.expression) {
        note(.warning, rule.id, "can never be true")
      } else if rule.mode == .live {
        possible.append(index)
      }
      if let twin = pipeline.rules[..<index].first(where: { $0.expression == rule.expression }) {
        note(.warning, rule.id, "has the same condition as '\(twin.id)'")
      }
    }
    for name in pipeline.features.unkeyedFeatures {
      note(
        .note, nil,
        "feature '\(name)' is not kept by '\(pipeline.definition.key ?? "")': it is exact in files and in topics of one "
          + "partition, else say `scope: partition`")
    }
    let policy = pipeline.scoring
    if policy.definition.policy != .model { combine(possible, policy: policy) }
    lookAtFirstEvents(possible, pipeline: pipeline, zones: zones)
  }

  private mutating func note(_ kind: Finding.Kind, _ rule: String?, _ message: String) {
    findings.append(Finding(kind: kind, ruleID: rule, message: message))
  }

  /// Tries every set of rules, and every rule against every set of the others.
  private mutating func combine(_ rules: [Int], policy: ScoringPolicy) {
    guard !rules.isEmpty else {
      note(.warning, nil, "no live rule can be true, so nothing can alert")
      return
    }
    guard rules.count <= Self.combinedRules else {
      let highest = policy.decision(triggered: rules)
      if !highest.verdict.alerts {
        note(.warning, nil, "nothing can alert: all \(rules.count) live rules together score \(highest.score)")
      }
      return
    }
    let alerts = (0..<1 << rules.count).map { set in
      policy.decision(triggered: rules.indices.filter { set >> $0 & 1 == 1 }.map { rules[$0] }).verdict
    }
    let count = alerts.dropFirst().count { $0.alerts }
    alertingCombinations = (count, alerts.count - 1)
    // That one rule is enough is what `any` means.
    if policy.definition.policy == .any, policy.definition.overrides.isEmpty { return }
    note(
      count == 0 ? .warning : .note, nil,
      "\(count) of \(alerts.count - 1) combinations of \(rules.count) live rules alert")
    for (index, rule) in rules.enumerated() {
      let matters = alerts.indices.contains { $0 >> index & 1 == 0 && alerts[$0] != alerts[$0 | 1 << index] }
      if !matters { note(.warning, policy.rules[rule].id, "changes no outcome, whatever the other rules say") }
    }
  }

  /// What the first event of a key can reach: features that remember nothing are 0 or NULL.
  private mutating func lookAtFirstEvents(_ rules: [Int], pipeline: Pipeline, zones: TimeZones) {
    guard pipeline.definition.features.contains(where: { $0.function != nil }), !rules.isEmpty,
      pipeline.scoring.definition.policy != .model
    else { return }
    let lists = pipeline.definition.lists.map {
      DeclaredList(name: $0.name, type: $0.type == .integer ? .integer : .string)
    }
    let compiler = ExpressionCompiler(layout: pipeline.layout, lists: lists, zones: zones)
    var first = KnownValues(schema: pipeline.definition.schema, zones: zones)
    for feature in pipeline.definition.features {
      guard let column = pipeline.layout.index(of: feature.name) else { continue }
      if let text = feature.expression {
        if let expression = try? compiler.expression(text), let value = first.constant(expression),
          value != .null || feature.defaultValue == nil
        {
          first.set(value, of: column)
        }
      } else if let value = feature.valueOverNothing {
        first.set(value, of: column)
      }
    }
    let reachable = rules.filter { first.canBeTrue(pipeline.rules[$0].expression) }
    let unreachable = rules.filter { !reachable.contains($0) }
    guard !unreachable.isEmpty else { return }
    let keys = pipeline.definition.features.flatMap(\.by)
    let key = pipeline.definition.key ?? keys.first ?? "key"
    let policy = pipeline.scoring
    let highest = policy.decision(
      triggered: reachable, notEvaluable: policy.definition.policy == .evaluable ? unreachable : [])
    if highest.verdict.alerts {
      let names = unreachable.map { policy.rules[$0].id }.joined(separator: ", ")
      note(.note, nil, "on the first event of a \(key), these cannot be true: \(names)")
    } else {
      note(.warning, nil, "a new \(key) can never alert: its first event scores at most \(highest.score)")
    }
  }
}

extension FeatureDefinition {
  /// The value where nothing was folded in yet; `nil` where it depends on the event or stands in for NULL.
  fileprivate var valueOverNothing: Value? {
    // A stream may have told of the key before.
    guard let function, from == nil else { return nil }
    let isCounting = function == .count || function == .distinct
    if includeCurrent {
      return function == .count && condition == nil && of.isEmpty && minEvents <= 1 ? .integer(1) : nil
    }
    if isCounting, minEvents == 0 { return .integer(0) }
    if function == .rate, minEvents == 0 { return .double(0) }
    return defaultValue == nil ? .null : nil
  }
}

/// How a pipeline makes one decision of its rules' outcomes: the `scoring` part of a definition.
///
///     scoring: {policy: weighted, threshold: 0.7, alerts: per_decision, overrides: {FR-005: block}}
public struct ScoringDefinition: Sendable, Hashable {
  /// What is added up and compared with the threshold.
  public enum Policy: String, Sendable, Hashable, CaseIterable {
    /// One live rule that triggers is enough; the score is the sum of the weights, capped at 1.
    case any
    /// A scorecard: the points of the rules that trigger.
    case points
    /// The weights of the rules that trigger over the weights of all live rules.
    case weighted
    /// The weights of the rules that trigger over those of the rules that could be evaluated, at least `floor`.
    case evaluable
    /// A model's probability.
    case model
  }

  /// How many alerts an event yields.
  public enum Alerts: String, Sendable, Hashable, CaseIterable {
    case perRule = "per_rule"
    case perDecision = "per_decision"
  }

  /// What a rule decides by itself, before anything is added up. The first that applies wins.
  public enum Override: String, Sendable, Hashable, CaseIterable {
    /// Blocks whatever else holds.
    case finalBlock = "final_block"
    /// Allows unless a final block holds.
    case allow
    /// Blocks unless an allow holds.
    case block
  }

  /// What is added up.
  public var policy: Policy
  /// The least score that alerts, in basis points or, for `points`, in points. `any` has none.
  public var threshold: Int?
  /// The least denominator of `evaluable` in basis points.
  public var floor: Int
  /// The names of the risk levels.
  public var bands: RiskBands
  /// How many alerts a deciding event yields.
  public var alerts: Alerts
  /// Rule ids and what they decide, in the order of the text.
  public var overrides: [(rule: String, override: Override)] {
    get { overrideRules.indices.map { (overrideRules[$0], overrideKinds[$0]) } }
    set { (overrideRules, overrideKinds) = (newValue.map(\.rule), newValue.map(\.override)) }
  }
  /// The model that `model` asks.
  public var model: String?

  private var overrideRules: [String] = []
  private var overrideKinds: [Override] = []

  /// Describes a policy; the default is what a pipeline without `scoring` has.
  public init(
    policy: Policy = .any, threshold: Int? = nil, floor: Int = 5_000, bands: RiskBands? = nil,
    alerts: Alerts = .perRule, overrides: [(rule: String, override: Override)] = [], model: String? = nil
  ) {
    self.policy = policy
    self.threshold = threshold
    self.floor = floor
    self.bands = bands ?? .standard(points: policy == .points)
    self.alerts = alerts
    self.model = model
    self.overrides = overrides
  }
}

extension ScoringDefinition {
  /// Reads the `scoring` part of a definition. Problems are left with the reader.
  package init(_ node: DefinitionNode, reader: inout DefinitionReader) {
    self.init()
    guard
      let members = reader.members(
        of: node, known: ["policy", "threshold", "floor", "bands", "alerts", "overrides", "model"])
    else { return }
    if let member = members["policy"] { policy = reader.choice(member) ?? .any }
    if let member = members["alerts"] { alerts = reader.choice(member) ?? .perRule }
    if let member = members["model"] { model = reader.string(member) }
    readThreshold(members["threshold"], in: node, reader: &reader)
    if let member = members["floor"] {
      if policy != .evaluable { reader.report("only policy evaluable has a floor", at: member) }
      floor = reader.basisPoints(member) ?? floor
    }
    if policy == .model, model == nil { reader.report("policy model needs 'model', the name of one", at: node) }
    if policy != .model, let member = members["model"] {
      reader.report("only policy model names a model here; rules can compare one's score", at: member)
    }
    bands =
      members["bands"].map { Self.bands($0, points: policy == .points, reader: &reader) }
      ?? .standard(points: policy == .points)
    if let member = members["overrides"] { readOverrides(member, reader: &reader) }
  }

  private mutating func readThreshold(
    _ node: DefinitionNode?, in whole: DefinitionNode, reader: inout DefinitionReader
  ) {
    guard let node else {
      if policy != .any { reader.report("policy \(policy.rawValue) needs a 'threshold'", at: whole) }
      return
    }
    switch policy {
    case .any: reader.report("policy any has no threshold: a rule that triggers decides", at: node)
    case .points: threshold = reader.integer(node, in: 1...1_000_000_000).map { Int($0) }
    case .weighted, .evaluable, .model:
      threshold = reader.basisPoints(node, atMost: 10_000)
      if threshold == 0 { reader.report("a threshold of 0 would alert on every event", at: node) }
    }
  }

  private static func bands(_ node: DefinitionNode, points: Bool, reader: inout DefinitionReader) -> RiskBands {
    var bands: [RiskBands.Band] = []
    guard case .object(let members) = node.value.content, !members.isEmpty else {
      reader.report("expected names and their lowest scores, as in {HIGH: 0.5, LOW: 0}", at: node)
      return .standard(points: points)
    }
    for member in members {
      let place = DefinitionNode(value: member.value, path: "\(node.path).\(member.key)")
      let from = points ? reader.integer(place, in: 0...1_000_000_000).map { Int($0) } : reader.basisPoints(place)
      guard let from else { continue }
      if bands.contains(where: { $0.from == from || $0.name == member.key }) {
        reader.report("another band has this name or lowest score", at: place)
      }
      bands.append(RiskBands.Band(name: member.key, from: from))
    }
    return RiskBands(bands)
  }

  private mutating func readOverrides(_ node: DefinitionNode, reader: inout DefinitionReader) {
    guard case .object(let members) = node.value.content else {
      reader.report("expected rule ids and what they decide, as in {FR-005: block}", at: node)
      return
    }
    for member in members {
      let place = DefinitionNode(value: member.value, path: "\(node.path).\(member.key)")
      if overrides.contains(where: { $0.rule == member.key }) {
        reader.report("'\(member.key)' stands twice", at: place)
      } else if let override = reader.choice(place, of: Override.self) {
        overrides.append((member.key, override))
      }
    }
  }
}

import FraudCore
import TestRandom

/// What a seed's topics are and hold.
struct World {
  let topics: [String]
  /// Whether every topic is in the order of its times.
  let isOrdered: Bool
  /// How long topics wait for each other.
  let patience: Duration

  var hasStreams: Bool { topics.count > 1 }
  /// Whether no topic ever goes on without another.
  var isPatient: Bool { patience > .seconds(1_000_000) }

  init(_ random: inout SeededGenerator, hasStreams: Bool) {
    topics = hasStreams ? ["payments", "refunds", "visits"] : ["payments"]
    isOrdered = hasStreams && random.oneIn(2)
    let patiences: [Duration] = [.zero, .milliseconds(60), .seconds(2_000_000), .seconds(2_000_000)]
    patience = hasStreams ? patiences[Int.random(in: 0..<4, using: &random)] : .zero
  }

  /// The records of every topic and partition.
  func logs(_ random: inout SeededGenerator) -> [[[SimulatedRecord]]] {
    let partitions = Int.random(in: 1...(hasStreams ? 2 : 3), using: &random)
    return topics.indices.map { topic in
      (0..<partitions).map { _ in
        let most = !hasStreams ? 60 : topic == 2 && random.oneIn(2) ? 0 : 40
        return (0..<Int.random(in: 0...most, using: &random)).map { record($0, topic: topic, &random) }
      }
    }
  }

  private func record(_ id: Int, topic: Int, _ random: inout SeededGenerator) -> SimulatedRecord {
    var record = SimulatedRecord(value: nil, timestampMilliseconds: 1_700_000_000_000 + Int64(id))
    let kind = Int.random(in: 0..<12, using: &random)
    if kind == 0 { return record }
    if kind == 1 {
      record.value = Array("{\"id\": \(id), \"amount\": tru".utf8)
      return record
    }
    let disorder = isOrdered ? 0 : Int.random(in: -40...40, using: &random)
    var time = "\(1_700_000_000 + id * 5 + disorder)"
    if hasStreams, !isOrdered {
      // Events without a time, some of them in records without one.
      if random.oneIn(12) { time = "null" }
      if random.oneIn(3) { record.timestampMilliseconds = nil }
    }
    let known = random.oneIn(8) ? id / 2 : id
    let customer = Int.random(in: 0...4, using: &random)
    let amount = Int.random(in: 0...100, using: &random)
    let divisor = Int.random(in: 0...3, using: &random)
    let text =
      switch topic {
      case 0:
        #""id": \#(known), "at": \#(time), "customer": "c\#(customer)", "amount": \#(amount), "divisor": \#(divisor)"#
      case 1: #""id": \#(known), "booked": \#(time), "owner": "c\#(customer)", "amount": \#(amount)"#
      default: #""at": \#(time), "customer": "c\#(customer)", "page": \#(divisor)"#
      }
    record.value = Array("{\(text)\(hasStreams && random.oneIn(6) ? ", \"more\": 1" : "")}".utf8)
    return record
  }
}

extension Simulation {
  /// Version 2 has other rules, one feature less, one more, and one over another window; version 3 no features at all. Versions
  /// 4 and 5 are in force for a share of the customers beside version 1, with features less and more, and other rules.
  private static let definitions: [(features: String, rules: String, share: Double?)] = [
    (
      features: """
      {"name": "recent", "function": "count", "by": "customer", "window": "60s"},
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
      {"name": "kinds", "function": "distinct", "of": "divisor", "by": "customer"},
      {"name": "before", "function": "previous", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "often", "rule_expression": "recent > 4"}, {"id": "unusual", "rule_expression": "amount > 1.5 * usual"},
      {"id": "diverse", "rule_expression": "kinds = 3"}, {"id": "rising", "rule_expression": "amount > before + 20"},
      """, share: nil
    ),
    (
      features: """
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
      {"name": "recent", "function": "count", "by": "customer", "window": "90s"},
      {"name": "top", "function": "max", "of": "amount", "by": "customer"},
      {"name": "before", "function": "previous", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "often", "rule_expression": "recent > 5"}, {"id": "unusual", "rule_expression": "amount > 1.5 * usual"},
      {"id": "record", "rule_expression": "amount > top"}, {"id": "rising", "rule_expression": "amount > before + 20"},
      """, share: nil
    ),
    (features: "", rules: "", share: nil),
    (
      features: """
      {"name": "top", "function": "max", "of": "amount", "by": "customer"},
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "unusual", "rule_expression": "amount > 1.2 * usual"}, {"id": "record", "rule_expression": "amount > top"},
      """, share: 0.6
    ),
    (
      features: #"{"name": "before", "function": "previous", "of": "amount", "by": "customer"}"#,
      rules: #"{"id": "rising", "rule_expression": "amount > before + 5", "severity": "critical", "share": 0.5},"#,
      share: 0.3
    ),
  ]

  /// What versions of a pipeline of several topics have besides.
  private static let streamDefinitions = [
    (
      features: """
      {"name": "refunded", "from": "refunds", "function": "sum", "of": "amount", "by": "customer", "window": "60s"},
      {"name": "large_refunds", "from": "refunds", "function": "count", "by": "customer", "where": "amount > 50"},
      {"name": "page", "from": "visits", "function": "last", "of": "page", "by": "customer"},
      """,
      rules: """
      {"id": "refunded", "rule_expression": "refunded > 60"}, {"id": "odd", "rule_expression": "large_refunds % 2 = 1"},
      {"id": "page", "rule_expression": "page = divisor"},
      """
    ),
    (
      features: """
      {"name": "page", "from": "visits", "function": "last", "of": "page", "by": "customer"},
      {"name": "pages", "from": "visits", "function": "distinct", "of": "page", "by": "customer"},
      {"name": "refunded", "from": "refunds", "function": "sum", "of": "amount", "by": "customer", "window": "40s"},
      """,
      rules: """
      {"id": "refunded", "rule_expression": "refunded > 90"}, {"id": "pages", "rule_expression": "pages = 2"},
      {"id": "page", "rule_expression": "page = divisor"},
      """
    ),
    (features: "", rules: ""),
    (
      features: """
      {"name": "pages", "from": "visits", "function": "distinct", "of": "page", "by": "customer"},
      """,
      rules: #"{"id": "pages", "rule_expression": "pages = 1"},"#
    ),
    (features: "", rules: ""),
  ]

  private static let streams = """
    "streams": [
      {"name": "refunds", "kafka_topic": "refunds", "event_id": "id", "deduplicate": "1h", "key": "owner",
       "event_time": {"field": "booked", "allowed_lateness": "30s"},
       "schema": [{"name": "id", "type": "integer"}, {"name": "booked", "type": "timestamp", "unit": "s"},
                  {"name": "owner", "type": "string"}, {"name": "amount", "type": "float"}]},
      {"name": "visits", "kafka_topic": "visits", "key": "customer", "event_time": "at",
       "schema": [{"name": "at", "type": "timestamp", "unit": "s"}, {"name": "customer", "type": "string"},
                  {"name": "page", "type": "integer"}]}],
    """

  private static let ofOneTopic = versions(streams: "", definitions.map { _ in ("", "") })
  private static let ofSeveralTopics = versions(streams: streams, streamDefinitions)

  /// The versions of the pipeline, each one's number its place from 1.
  static func versions(hasStreams: Bool) -> [PipelineVersion] { hasStreams ? ofSeveralTopics : ofOneTopic }

  private static func versions(
    streams: String, _ additions: [(features: String, rules: String)]
  ) -> [PipelineVersion] {
    precondition(additions.count == definitions.count)
    let sources = zip(definitions, additions).map { source($0, $1, streams: streams) }
    return definitions.indices.map { index in
      do {
        let source = try DefinitionValue(json: sources[index])
        if definitions[index].share == nil { return PipelineVersion(try Pipeline(source), number: index + 1) }
        return try PipelineVersion(source, number: index + 1, beside: (DefinitionValue(json: sources[0]), 1))
      } catch {
        preconditionFailure("a definition of the simulation does not compile: \(error)")
      }
    }
  }

  private static func source(
    _ own: (features: String, rules: String, share: Double?), _ more: (features: String, rules: String),
    streams: String
  ) -> [UInt8] {
    let deduplicate = own.features.isEmpty ? "" : #""deduplicate": "1h","#
    let share = own.share.map { "\"share\": \($0)," } ?? ""
    return Array(
      """
      {"name": "simulated", "kafka_topic": "payments", "event_id": "id", \(deduplicate) \(share) "key": "customer",
       \(streams) "event_time": {"field": "at", "allowed_lateness": "30s"},
       "schema": [{"name": "id", "type": "integer", "nullable": false}, {"name": "at", "type": "timestamp", "unit": "s"},
                  {"name": "customer", "type": "string"}, {"name": "amount", "type": "float"},
                  {"name": "divisor", "type": "integer"}],
       "features": [\(more.features) \(own.features)],
       "rules": [\(more.rules) \(own.rules)
                 {"id": "large", "rule_expression": "amount > 80"},
                 {"id": "divided", "rule_expression": "amount / divisor > 10", "severity": "critical"},
                 {"id": "shadow", "rule_expression": "amount < 5", "mode": "shadow"}]}
      """.utf8)
  }
}

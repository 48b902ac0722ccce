import FraudCore

/// Bytes into columns, and one event through the whole engine.
enum DecodeBenchmarks {
  static func run(only: String?) {
    var random = SeededGenerator(seed: 1)
    let payments = (0..<1_000).map { _ in Payment(using: &random) }
    let regular = payments.map(\.json)
    // Every event differs from the one before: keys turned round, one more of them, spaces and an escape.
    let irregular = regular.enumerated().map { index, event in
      let members = event.dropFirst().dropLast().split(separator: ",\"").map { $0.hasPrefix("\"") ? $0 : "\"" + $0 }
      let turn = index % members.count
      let turned = members[turn...] + members[..<turn]
      return "{" + turned.joined(separator: index % 2 == 0 ? "," : ", ")
        + ", \"note\": [\"caf\\u00e9\", {\"x\": 1.5e3}, \"é\"]}"
    }
    for (name, events) in [("DecodeRegular", regular), ("DecodeIrregular", irregular)]
    where only.map(name.has) ?? true {
      decode(name, events, amount: payments.reduce(0) { $0 + $1.amount })
    }
    if only.map("SingleEvent".has) ?? true { single(regular) }
  }

  private static func decode(_ name: String, _ events: [String], amount: Double) {
    let lines = Array(events.map { $0 + "\n" }.joined().utf8)
    let decoder = EventDecoder(schema: Workload.schema)
    var state = DecoderState(decoder)
    var batch = EventBatch(layout: Workload.layout, source: EventSource(topic: "w1"))
    batch.bytes = lines + [UInt8](repeating: 0, count: EventBatch.padding)
    let time = leastNanoseconds {
      decoder.beginLines(&batch, &state)
      _ = decoder.decodeLines(&batch, &state)
    }
    let sum = (0..<batch.rowCount).reduce(0) { $0 + Double(bitPattern: batch.word(column: 2, row: $1)) }
    precondition(batch.rowCount == events.count && abs(sum - amount) < 0.005, "decoded something else")
    let rows = Double(events.count)
    print(
      padded(name, 20), "\(text(time / rows)) ns an event, \(text(Double(lines.count) / time)) GB/s,",
      "\(text(Double(lines.count) / rows, digits: 0)) bytes an event")
  }

  /// Decoding, the ten rules of W1 and the policy, one event at a time, each call timed.
  private static func single(_ events: [String]) {
    let fields = Workload.schema.fields.map {
      "{\"name\": \"\($0.name)\", \"type\": \"\($0.type.rawValue)\", \"nullable\": \($0.nullable)}"
    }
    let rules = RuleBenchmarks.w1.map {
      "{\"rule_expression\": \"\($0.sql)\", \"severity\": \"warning\", \"description\": \"W1\"}"
    }
    let definition = """
      {"name": "w1", "event_id": "transaction_id", "event_time": "created_at", "scoring": {"policy": "any"},
       "schema": [\(fields.joined(separator: ", "))], "rules": [\(rules.joined(separator: ", "))]}
      """
    guard let value = try? DefinitionValue(json: Array(definition.utf8)), let pipeline = try? Pipeline(value) else {
      preconditionFailure("W1 does not compile")
    }
    var engine = Engine(pipeline)
    let messages = events.map { Array($0.utf8) }
    let clock = ContinuousClock()
    var times: [Duration] = []
    var alerts = 0
    for round in 0..<100 {
      for message in messages {
        let start = clock.now
        let scored = try? engine.score(message)
        let time = start.duration(to: clock.now)
        // The first rounds warm up.
        if round >= 10 { times.append(time) }
        alerts += scored?.alerts.count ?? 0
      }
    }
    times.sort()
    precondition(
      engine.summary.accepted == 100 * messages.count && alerts == engine.summary.alerts, "an event was not scored")
    func microseconds(_ share: Double) -> String {
      text(times[Int(share * Double(times.count - 1))] / .microseconds(1))
    }
    print(
      padded("SingleEvent", 20), "p50 \(microseconds(0.5)) µs, p99 \(microseconds(0.99)) µs, with the clock,",
      "\(alerts / 100) alerts in \(messages.count) events")
  }
}

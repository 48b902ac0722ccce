import Testing

@testable import FraudCore

private let minute: Int64 = 60_000_000

/// Two aggregations with every measure: sliding windows by name, tumbling ones of the whole stream.
private let everything = #"""
  [{"name": "by-name", "by": ["name", "flag"], "window": {"sliding": "15m", "every": "5m"}, "where": "count >= -2",
    "measures": [
      {"name": "n", "function": "count"}, {"name": "amounts", "function": "count", "of": "amount"},
      {"name": "sum", "function": "sum", "of": "amount"}, {"name": "mean", "function": "mean", "of": "amount"},
      {"name": "min", "function": "min", "of": "amount"}, {"name": "max", "function": "max", "of": "count"},
      {"name": "texts", "function": "distinct", "of": "text"},
      {"name": "p90", "function": "quantile", "quantile": 0.9, "of": "amount"},
      {"name": "positive", "function": "share", "where": "count > 0"},
      {"name": "weight", "function": "share", "of": "count", "where": "count > 1"},
      {"name": "rate", "function": "rate", "per": "1m"}]},
   {"name": "all", "window": {"tumbling": "1h"}, "measures": [
      {"name": "n", "function": "count", "where": "flag"}, {"name": "keys", "function": "distinct", "of": "key"}]}]
  """#

private func compile(_ json: String, time: EventTimeDefinition = EventTimeDefinition(field: "t")) throws -> (
  FeatureProgram, [String]
) {
  var reader = DefinitionReader()
  let node = DefinitionNode(value: try DefinitionValue(json: Array(json.utf8)), path: "aggregations")
  let aggregations = (reader.elements(of: node) ?? []).compactMap { AggregationDefinition($0, reader: &reader) }
  let program = FeatureProgram(
    [], schema: testSchema, eventTime: time, aggregations: aggregations, reader: &reader)
  return (program, reader.problems.map(\.description))
}

/// Events through a state in batches of the given sizes: the rows that came out, those of the end last.
private func aggregate(
  _ events: [TestEvent], through state: inout FeatureState, batches: [Int], closing: Bool = true
) -> [AggregateRow] {
  var rows: [AggregateRow] = []
  var start = 0
  var turn = 0
  while start < events.count {
    let end = min(events.count, start + batches[turn % batches.count])
    var batch = makeBatch(events[start..<end], layout: state.program.layout)
    state.apply(to: &batch)
    rows += state.aggregates
    start = end
    turn += 1
  }
  if closing {
    state.closeAggregations()
    rows += state.aggregates
  }
  return rows
}

/// What aggregations mean, said plainly: all events are kept, and each time the watermark passes an end, every window that
/// ended since, and every earlier one that got an event since, is computed from them.
private struct NaiveAggregations {
  struct Row: Equatable {
    var name: String
    var end: Int64
    var key: [FieldValue?]
    var isCorrection: Bool
    var values: [FieldValue?]
  }

  var kept: [TestEvent] = []
  var latest: Int64?
  var touched: [[Int64]: Set<[FieldValue?]>] = [:]
  var rows: [Row] = []
  let delay: Int64 = minute
  let lateness: Int64 = 60 * minute

  private func keyOf(_ event: TestEvent, _ aggregation: Int) -> [FieldValue?] {
    aggregation == 0 ? [event.name.map { .string($0) }, event.flag.map { .boolean($0) }] : []
  }
  private let lengths = [15 * minute, 60 * minute]
  private let steps = [5 * minute, 60 * minute]

  mutating func observe(_ event: TestEvent) {
    if let latest, event.time < latest - delay - lateness { return }
    // The event itself moves the watermark first; its own windows end later than that.
    let before = latest
    latest = max(latest ?? .min, event.time)
    close(after: before.map { $0 - delay }, upTo: (latest ?? 0) - delay)
    if event.count >= -2 { touch(event, 0) }
    touch(event, 1)
    kept.append(event)
  }

  private mutating func touch(_ event: TestEvent, _ aggregation: Int) {
    var end = event.time / steps[aggregation] * steps[aggregation] + steps[aggregation]
    while end <= event.time / steps[aggregation] * steps[aggregation] + lengths[aggregation] {
      if end <= (latest ?? 0) - delay {
        touched[[Int64(aggregation), end], default: []].insert(keyOf(event, aggregation))
      }
      end += steps[aggregation]
    }
  }

  mutating func finish() { close(after: latest.map { $0 - delay }, upTo: nil) }

  private mutating func close(after old: Int64?, upTo new: Int64?) {
    for aggregation in 0..<2 {
      let (length, step) = (lengths[aggregation], steps[aggregation])
      let before = old.map { $0 / step * step } ?? .min
      let reached = new.map { $0 / step * step } ?? .max
      guard reached > before else { continue }
      var ends: [Int64: Set<[FieldValue?]>] = [:]
      for event in kept where aggregation == 1 || event.count >= -2 {
        var end = event.time / step * step + step
        for _ in 0..<length / step {
          let isDue = end > before || touched[[Int64(aggregation), end]]?.contains(keyOf(event, aggregation)) == true
          if isDue, end <= reached { ends[end, default: []].insert(keyOf(event, aggregation)) }
          end += step
        }
      }
      for (end, keys) in ends {
        for key in keys {
          let events = kept.filter {
            $0.time >= end - length && $0.time < end && keyOf($0, aggregation) == key
              && (aggregation == 1 || $0.count >= -2)
          }
          rows.append(
            Row(
              name: aggregation == 0 ? "by-name" : "all", end: end, key: key, isCorrection: end <= before,
              values: aggregation == 0 ? measures(events) : hourly(events)))
        }
      }
      for place in touched.keys where place[0] == aggregation { touched[place] = nil }
    }
  }

  private func measures(_ events: [TestEvent]) -> [FieldValue?] {
    let amounts = events.compactMap(\.amount)
    let counts = events.map { Double($0.count) }
    let total = counts.reduce(0, +)
    return [
      .integer(Int64(events.count)), .integer(Int64(amounts.count)),
      amounts.isEmpty ? nil : .float(amounts.reduce(0, +)),
      amounts.isEmpty ? nil : .float(amounts.reduce(0, +) / Double(amounts.count)),
      amounts.min().map { .float($0) }, events.map(\.count).max().map { .integer($0) },
      .integer(Int64(Set(events.compactMap(\.text)).count)),
      amounts.isEmpty ? nil : .float(amounts.sorted()[Int(0.9 * Double(amounts.count - 1))]),
      events.isEmpty ? nil : .float(Double(events.count { $0.count > 0 }) / Double(events.count)),
      total == 0 ? nil : .float(counts.filter { $0 > 1 }.reduce(0, +) / total),
      .float(Double(events.count) / 15),
    ]
  }

  private func hourly(_ events: [TestEvent]) -> [FieldValue?] {
    [.integer(Int64(events.count { $0.flag == true })), .integer(Int64(Set(events.compactMap(\.key)).count))]
  }
}

@Test(arguments: [0, 2_400_000_000, 9_000_000_000] as [Int64])
func aggregatesAgreeWithTheNaiveList(disorder: Int64) throws {
  let (program, problems) = try compile(everything)
  #expect(problems.isEmpty)
  for seed in 1...3 as ClosedRange<UInt64> {
    let events = randomEvents(150, seed: seed, disorder: disorder)
    var naive = NaiveAggregations()
    for event in events { naive.observe(event) }
    naive.finish()
    var state = FeatureState(program)
    let rows = aggregate(events, through: &state, batches: [1, 7, 64])
    var again = FeatureState(program)
    #expect(aggregate(events, through: &again, batches: [150]) == rows, "seed \(seed)")
    var expected = naive.rows
    #expect(rows.count == expected.count, "seed \(seed)")
    for row in rows {
      let found = expected.firstIndex {
        $0.name == row.aggregation && $0.end == row.end && $0.key == row.key.map(\.value)
          && $0.isCorrection == (row.revision > 0)
          && zip($0.values, row.measures).allSatisfy {
            agree($0, $1.value, tolerance: $1.function == .quantile ? 0.011 : 1e-9)
          }
      }
      guard let found else {
        Issue.record(
          "seed \(seed): \(row.aggregation) \(row.end) \(row.key) \(row.revision): \(row.measures.map(\.value))")
        return
      }
      expected.remove(at: found)
    }
    #expect(rows.contains { $0.revision > 0 } == (disorder > 0), "seed \(seed)")
  }
}

@Test func eightPartitionsGiveWhatOneGives() throws {
  let (program, _) = try compile(everything)
  let events = randomEvents(400, seed: 5, disorder: 0)
  var whole = FeatureState(program)
  let expected = aggregate(events, through: &whole, batches: [100])
  var merged: [String: AggregateRow] = [:]
  for partition in 0..<8 {
    var state = FeatureState(program)
    let part = events.enumerated().filter { $0.offset % 8 == partition }.map(\.element)
    for row in aggregate(part, through: &state, batches: [33]) {
      let place = "\(row.aggregation) \(row.end) \(row.key)"
      if merged[place] == nil { merged[place] = row } else { merged[place]?.merge(row) }
    }
  }
  #expect(merged.count == expected.count)
  for row in expected {
    let other = try #require(merged["\(row.aggregation) \(row.end) \(row.key)"])
    #expect(other.events == row.events && other.measures.map(\.value) == row.measures.map(\.value))
  }
}

@Test func aggregationsGoOnFromASnapshotAtEveryPosition() throws {
  let (program, _) = try compile(everything)
  let events = randomEvents(90, seed: 9, disorder: 2_400_000_000)
  var reference = FeatureState(program)
  reference.trackChanges()
  var replica = FeatureState(program)
  for position in events.indices {
    var batch = makeBatch(events[position...position], layout: program.layout)
    reference.apply(to: &batch)
    try replica.apply(reference.takeDelta())
    var restored = FeatureState(program)
    try restored.apply(reference.snapshot())
    #expect(restored.snapshot() == reference.snapshot() && replica.snapshot() == reference.snapshot())
    guard position % 10 == 0 else { continue }
    var other = reference
    let rest = Array(events[(position + 1)...])
    #expect(aggregate(rest, through: &restored, batches: [8]) == aggregate(rest, through: &other, batches: [8]))
  }
  // What no window needs any more is gone.
  #expect(reference.keyCount < 120)
}

@Test func sketchesOfPartitionsAddUp() throws {
  var (a, b, whole) = (WordHeap(), WordHeap(), WordHeap())
  var (setA, setB, set) = (HeapBlock(word: 0), HeapBlock(word: 0), HeapBlock(word: 0))
  var (sketchA, sketchB, sketch) = (HeapBlock(word: 0), HeapBlock(word: 0), HeapBlock(word: 0))
  for index in 0..<3_000 as Range<UInt64> {
    let (hash, value) = (StableHash.hash(index % 1_900), Double(index * 7 % 1_000) - 100)
    whole.insert(hash, intoSet: &set)
    whole.insert(value, intoSketch: &sketch)
    if index % 7 == 0 {
      a.insert(hash, intoSet: &setA)
      a.insert(value, intoSketch: &sketchA)
    } else {
      b.insert(hash, intoSet: &setB)
      b.insert(value, intoSketch: &sketchB)
    }
  }
  for (one, other, expected) in [
    (a.measure(ofSet: setA), b.measure(ofSet: setB), whole.measure(ofSet: set)),
    (a.measure(ofSketch: sketchA), b.measure(ofSketch: sketchB), whole.measure(ofSketch: sketch)),
  ] {
    for (first, second) in [(one, other), (other, one)] {
      var merged = first
      merged.merge(second)
      #expect(merged == expected)
    }
  }
}

@Test func aggregationsAreCheckedWhole() throws {
  let (_, problems) = try compile(
    #"""
    [{"name": "a", "by": ["nam", "key", "KEY"], "window": {"sliding": "10m", "every": "3m"}, "measures": []},
     {"name": "A", "window": "1h", "where": "amout > 1", "measures": [
       {"name": "x", "function": "sum"}, {"name": "X", "function": "share"},
       {"name": "q", "function": "quantile", "of": "text", "quantile": 2},
       {"name": "m", "function": "max", "of": "text", "per": "1m"}]},
     {"name": "c", "window": {"tumbling": "1h", "sliding": "2h"}, "measures": [{"name": "n", "function": "cout"}]},
     {"name": "d", "measures": [{"name": "n", "function": "count"}]}]
    """#)
  #expect(
    problems == [
      "aggregations[0].by: a field stands twice in the key",
      "aggregations[0].window.every: a window must be 1 to 1024 times as long as 'every', a second or more",
      "aggregations[0].measures: a row needs at least one measure",
      "aggregations[1].measures[0]: sum needs 'of'",
      "aggregations[1].measures[1]: share needs 'where'",
      "aggregations[1].measures[1]: another measure is called 'X'",
      "aggregations[1].measures[2].quantile: a quantile lies between 0 and 1",
      "aggregations[1].measures[3].per: only rate takes 'per'",
      "aggregations[2].window: expected a duration, {tumbling: 1h} or {sliding: 15m, every: 5m}",
      "aggregations[2].measures[0].function: unknown value 'cout', did you mean 'count'?",
      "aggregations[3]: 'window' is missing",
      "aggregations[0].by: unknown column 'nam', did you mean 'name'?",
      "aggregations[1].name: another aggregation is called 'A'",
      "aggregations[1].where: unknown column 'amout', did you mean 'amount'?",
      "aggregations[1].measures[2].of: quantile needs numbers, 'text' is string",
      "aggregations[1].measures[3].of: max of texts is not kept",
    ], "\(problems)")
}

@Test func keysOfAllTypesAndLengthsComeBack() throws {
  let (program, problems) = try compile(
    #"""
    [{"name": "a", "by": ["key", "amount", "flag", "t", "text"], "window": "1h", "measures": [
       {"name": "n", "function": "count"}]}]
    """#)
  #expect(problems.isEmpty)
  let long = String(repeating: "é", count: 800)
  let events = [
    TestEvent(key: -5, time: 7, amount: -0.5, count: 0, flag: false, text: long),
    TestEvent(key: nil, time: 8, amount: nil, count: 0, flag: nil, text: ""),
    TestEvent(key: .min, time: -9, amount: 0, count: 0, flag: true, text: nil),
  ]
  var state = FeatureState(program)
  let rows = aggregate(events, through: &state, batches: [3])
  #expect(
    rows.map { $0.key.map(\.value) } == [
      [.integer(.min), .float(0), .boolean(true), .timestamp(-9), nil],
      [nil, nil, nil, .timestamp(8), .string("")],
      [
        .integer(-5), .float(-0.5), .boolean(false), .timestamp(7), .string(String(repeating: "é", count: 512)),
      ],
    ])
  var text: [UInt8] = []
  rows[1].append(source: EventSource(topic: "x"), to: &text)
  #expect(
    String(decoding: text, as: UTF8.self) == #"""
      {"aggregation":"a","window_start":"1970-01-01T00:00:00.000000Z","window_end":"1970-01-01T01:00:00.000000Z",\#
      "key":{"key":null,"amount":null,"flag":null,"t":"1970-01-01T00:00:00.000008Z","text":""},"revision":0,"events":1,\#
      "measures":{"n":1},"topic":"x","partition":0}

      """#)
}

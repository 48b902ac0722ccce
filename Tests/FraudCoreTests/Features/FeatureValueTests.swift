import TestRandom
import Testing

@testable import FraudCore

/// All functions in all windows, over events in and out of order, against the naive list.
private let windows = [
  "", #", "window": "10m""#, #", "window": "2h""#, #", "window": {"tumbling": "1h"}"#, #", "window": {"gap": "15m"}"#,
  #", "window": "30m", "delay": "45m""#,
]

private func features(window: String) -> String {
  var list: [String] = []
  func add(_ function: String, _ rest: String = "") {
    list.append(#"{"name": "f\#(list.count)", "function": "\#(function)", "by": "key"\#(rest)\#(window)}"#)
  }
  let current = window.contains("delay") ? "" : #", "include_current": true"#
  for include in ["", current] {
    add("count", include)
    add("count", #", "of": "amount", "min_events": 2"# + include)
    for function in ["sum", "mean", "stddev", "variance", "ratio", "min", "max", "first", "last", "distinct"] {
      add(function, #", "of": "amount""# + include)
    }
    for function in ["min", "max", "first", "last", "distinct"] { add(function, #", "of": "text""# + include) }
    for function in ["min", "max", "first", "last", "distinct", "mean"] { add(function, #", "of": "flag""# + include) }
    for function in ["min", "max", "sum"] { add(function, #", "of": "count""# + include) }
    add("ewma", #", "of": "amount", "alpha": 0.25"# + include)
    if !window.isEmpty { add("quantile", #", "of": "amount", "quantile": 0.9"# + include) }
    if window.contains("\"window\": \"") { add("rate", #", "per": "1m""# + include) }
  }
  add("previous", #", "of": "text""#)
  add("ewma", #", "of": "amount", "half_life": "20m""#)
  for function in ["seconds_since_last", "hour_zscore", "hour_surprise"] { add(function) }
  for function in ["distance_km", "speed_kmh"] { add(function, #", "of": ["lat", "lon"]"#) }
  return "[" + list.joined(separator: ",") + "]"
}

func randomEvents(_ count: Int, seed: UInt64, disorder: Int64, keys: Int64 = 3) -> [TestEvent] {
  var generator = SeededGenerator(seed: seed)
  var now: Int64 = 1_700_000_000_000_000
  return (0..<count).map { _ in
    now += Int64.random(in: 0...6, using: &generator) * 60_000_000
    var time = now
    if disorder > 0, Int.random(in: 0..<4, using: &generator) == 0 {
      time -= Int64.random(in: 0...disorder, using: &generator)
    }
    func maybe<T>(_ value: T) -> T? { Int.random(in: 0..<6, using: &generator) == 0 ? nil : value }
    return TestEvent(
      key: maybe(Int64.random(in: 0..<keys, using: &generator) - 1),
      name: maybe(["a", "b", ""].randomElement(using: &generator)!),
      time: time, amount: maybe(Double(Int.random(in: -500...500, using: &generator)) / 4),
      count: Int64.random(in: -3...3, using: &generator), flag: maybe(Bool.random(using: &generator)),
      latitude: maybe(Double.random(in: -90...90, using: &generator)),
      longitude: maybe(Double.random(in: -180...180, using: &generator)),
      text: maybe(["x", "yy", "a longer text than eight bytes", "\u{e9}"].randomElement(using: &generator)!))
  }
}

@Test(arguments: windows, [0, 2_400_000_000, 20_000_000_000] as [Int64])
func valuesAgreeWithTheNaiveList(window: String, disorder: Int64) throws {
  let (program, problems) = try compileFeatures(features(window: window))
  #expect(problems.isEmpty)
  var reader = DefinitionReader()
  let node = DefinitionNode(value: try DefinitionValue(json: Array(features(window: window).utf8)), path: "features")
  let definitions = (reader.elements(of: node) ?? []).compactMap { FeatureDefinition($0, reader: &reader) }
  for seed in 1...2 as ClosedRange<UInt64> {
    let events = randomEvents(80, seed: seed, disorder: disorder)
    var naive = NaiveFeatures(definitions)
    var late: [Bool] = []
    let expected = events.map { event in
      let values = naive.values(for: event)
      late.append(naive.isLate)
      return values
    }
    var state = FeatureState(program)
    let actual = run(events, through: &state, batches: [1, 7, 64, 100])
    #expect(state.lateCount == late.count { $0 })
    for row in events.indices where !late[row] || window.isEmpty {
      for feature in definitions.indices where !agree(actual[row][feature], expected[row][feature], tolerance: 1e-7) {
        Issue.record(
          """
          seed \(seed), row \(row), \(definitions[feature].function!.rawValue) of \(definitions[feature].of) \
          current \(definitions[feature].includeCurrent): \(actual[row][feature] as Any), expected \
          \(expected[row][feature] as Any)
          """)
        return
      }
    }
  }
}

@Test func featuresUseConditionsAndEarlierFeatures() throws {
  let (program, problems) = try compileFeatures(
    #"""
    [{"name": "small", "function": "count", "by": "key", "where": "amount < 10"},
     {"name": "mean", "function": "mean", "of": "amount", "by": "key"},
     {"name": "share", "expression": "amount / nullif(mean, 0)", "default": -1},
     {"name": "peak", "function": "max", "of": "share", "by": "key", "include_current": true},
     {"name": "high", "function": "count", "by": "name", "where": "share > 1.5", "window": "1d", "include_current": true},
     {"name": "broken", "expression": "1 / (count - 1)"}]
    """#)
  #expect(problems.isEmpty)
  #expect(program.layout.columns.suffix(6).map(\.type) == [.integer, .float, .float, .float, .integer, .float])
  let events = [(5.0, 0), (20, 1), (25, 2), (nil, 0), (1, 0)].enumerated().map { index, event in
    TestEvent(
      key: 7, name: "n", time: Int64(index) * 1_000_000, amount: event.0, count: Int64(event.1))
  }
  for sizes in [[5], [1], [2, 3]] {
    var state = FeatureState(program)
    let rows = run(events, through: &state, batches: sizes)
    #expect(rows.map { $0[0] } == [0, 1, 1, 1, 1].map { .integer($0) })
    #expect(rows.map { $0[2] } == [-1, 4, 2, -1, 0.06].map { .float($0) })
    #expect(rows.map { $0[3] } == [-1, 4, 4, 4, 4].map { .float($0) })
    #expect(rows.map { $0[4] } == [0, 1, 2, 2, 2].map { .integer($0) })
    #expect(rows.map { $0[5] } == [.float(-1), nil, .float(1), .float(-1), .float(-1)])
    #expect(state.errorCount == 1)
  }
}

@Test func reportsMistakesOfNamesAndTypes() throws {
  let (_, problems) = try compileFeatures(
    #"""
    [{"name": "Amount", "function": "count", "by": "key"},
     {"name": "b", "function": "sum", "of": "text", "by": "key"},
     {"name": "c", "function": "count", "by": "kee"},
     {"name": "d", "function": "count", "by": "key", "where": "amout > 1"},
     {"name": "e", "expression": "later + 1"},
     {"name": "f", "function": "mean", "of": "flag", "by": "name"},
     {"name": "g", "function": "mean", "of": "flag", "by": "name", "window": "7d", "delay": "7d", "default": "x"},
     {"name": "later", "function": "count", "by": "name", "where": "flag"}]
    """#, label: "flag")
  #expect(
    problems == [
      "features[0].name: 'Amount' is already the name of a field",
      "features[1].of: sum needs numbers, 'text' is string",
      "features[2].by: unknown column 'kee', did you mean 'key'?",
      "features[3].where: unknown column 'amout', did you mean 'amount'?",
      "features[4].expression: unknown column 'later'",
      "features[5].of: 'flag' is the label: only a feature with a 'delay' may read it",
      "features[6].default: expected a number, found 'x'",
      "features[7].where: 'flag' is the label: only a feature with a 'delay' may read it",
    ])
}

@Test func derivedColumnsNeedNoState() throws {
  let (program, problems) = try compileFeatures(
    #"""
    [{"name": "local", "local_time": "t", "zone": "-03:00"},
     {"name": "local_hour", "expression": "hour(local)"},
     {"name": "risk", "lookup": {"x": 0.25, "yy": 1}, "of": "text", "default": 0.5},
     {"name": "kind", "lookup": {"-1": "small", "2": "large"}, "of": "count"},
     {"name": "z", "function": "hour_zscore", "of": "local", "by": "key"}]
    """#)
  #expect(problems.isEmpty)
  var state = FeatureState(program)
  let day: Int64 = 86_400_000_000
  let events = [
    TestEvent(key: 1, time: 1_800_000_000, count: -1, text: "x"), TestEvent(key: 1, time: day, count: 2, text: "z"),
    TestEvent(key: 1, time: 2 * day, count: 0),
  ]
  let rows = run(events, through: &state, batches: [2])
  #expect(rows.map { $0[1] } == [.integer(21), .integer(21), .integer(21)])
  #expect(rows.map { $0[2] } == [.float(0.25), .float(0.5), .float(0.5)])
  #expect(rows.map { $0[3] } == [.string("small"), .string("large"), nil])
  #expect(rows.map { $0[4] } == [nil, nil, nil])
  #expect(try compileFeatures(#"[{"name": "l", "local_time": "t", "zone": "Mars/Base"}]"#).1.count == 1)
}

@Test(arguments: [0, 2_400_000_000] as [Int64], [false, true])
func aSingleCountAgreesWithTheNaiveList(disorder: Int64, includeCurrent: Bool) throws {
  let json = #"""
    [{"name": "n", "function": "count", "by": "key", "window": "40m", "include_current": \#(includeCurrent), "min_events": 1}]
    """#
  let (program, _) = try compileFeatures(json)
  var reader = DefinitionReader()
  let node = DefinitionNode(value: try DefinitionValue(json: Array(json.utf8)), path: "features")
  let definitions = (reader.elements(of: node) ?? []).compactMap { FeatureDefinition($0, reader: &reader) }
  let events = randomEvents(400, seed: 31, disorder: disorder)
  var naive = NaiveFeatures(definitions)
  var state = FeatureState(program)
  let rows = run(events, through: &state, batches: [100, 1])
  #expect(events.map { naive.values(for: $0) } == rows)
}

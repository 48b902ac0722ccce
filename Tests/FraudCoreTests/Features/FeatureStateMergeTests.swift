import TestRandom
import Testing

@testable import FraudCore

/// Every operation that can be merged: over the life, in lists, sessions, tumbling and delayed windows, and in panes.
private let mergeable = #"""
  [{"name": "life_count", "function": "count", "by": "key"},
   {"name": "sum", "function": "sum", "of": "amount", "by": "key"},
   {"name": "deviation", "function": "stddev", "of": "amount", "by": "key"},
   {"name": "least", "function": "min", "of": "amount", "by": "key"},
   {"name": "greatest", "function": "max", "of": "text", "by": "key"},
   {"name": "first", "function": "first", "of": "text", "by": "key"},
   {"name": "last", "function": "last", "of": "count", "by": "key"},
   {"name": "previous", "function": "previous", "of": "text", "by": ["key", "name"]},
   {"name": "distinct", "function": "distinct", "of": "amount", "by": "name"},
   {"name": "quantile", "function": "quantile", "of": "amount", "quantile": 0.9, "by": "key"},
   {"name": "average", "function": "ewma", "of": "amount", "half_life": "1h", "by": "key"},
   {"name": "seconds", "function": "seconds_since_last", "by": "key"},
   {"name": "speed", "function": "speed_kmh", "of": ["lat", "lon"], "by": "key"},
   {"name": "hour", "function": "hour_zscore", "by": "key"},
   {"name": "surprise", "function": "hour_surprise", "by": "name"},
   {"name": "window_count", "function": "count", "by": "key", "window": "40m"},
   {"name": "window_mean", "function": "mean", "of": "amount", "by": "key", "window": "2h", "where": "amount > 0"},
   {"name": "window_deviation", "function": "variance", "of": "amount", "by": "key", "window": "2h"},
   {"name": "window_text", "function": "max", "of": "text", "by": "key", "window": "1h", "include_current": true},
   {"name": "window_max", "function": "max", "of": "amount", "by": "key", "window": {"tumbling": "1h"}},
   {"name": "delayed", "function": "sum", "of": "amount", "by": "key", "window": "1h", "delay": "30m"},
   {"name": "session", "function": "distinct", "of": "text", "by": "key", "window": {"gap": "20m"}},
   {"name": "few", "function": "sum", "of": "amount", "by": "key", "window": "3h", "max_events_per_key": 4},
   {"name": "panes", "function": "mean", "of": "amount", "by": "key", "window": "2h", "panes": 8},
   {"name": "pane_max", "function": "max", "of": "amount", "by": "key", "window": "2h", "panes": 8},
   {"name": "pane_variance", "function": "variance", "of": "amount", "by": "key", "window": "2h", "panes": 8}]
  """#

/// Events of which no two have the same time, so that there is one order.
private func events(_ count: Int, seed: UInt64, keys: Int64) -> [TestEvent] {
  var events = randomEvents(count, seed: seed, disorder: 0, keys: keys)
  for index in events.indices { events[index].time += Int64(index) }
  return events
}

private func state(_ program: FeatureProgram, _ events: [TestEvent], seed: UInt64 = 0) -> FeatureState {
  var state = FeatureState(program, seed: seed)
  _ = run(events, through: &state, batches: [7, 30])
  return state
}

/// Events divided at random, so that both states remember most keys: merged, they go on as one that saw all of them.
@Test(arguments: 1...12 as ClosedRange<UInt64>)
func mergedStatesGoOnAsOne(seed: UInt64) throws {
  let (program, problems) = try compileFeatures(mergeable)
  try #require(problems.isEmpty, "\(problems)")
  let all = events(260, seed: seed, keys: 4)
  let (head, tail) = (Array(all[..<180]), Array(all[180...]))
  var generator = SeededGenerator(seed: seed)
  let sides = head.map { _ in Int.random(in: 0..<3, using: &generator) == 0 }
  var merged = state(program, zip(head, sides).filter(\.1).map(\.0))
  let other = state(program, zip(head, sides).filter { !$0.1 }.map(\.0), seed: 5)
  try merged.merge(other)
  merged.tables.forEach { $0.keys.checkInvariants() }
  var whole = state(program, head)
  // Through bytes, too: what was merged is a state like any other.
  var restored = FeatureState(program)
  try restored.apply(merged.snapshot())
  #expect(restored.snapshot() == merged.snapshot())
  let expected = run(tail, through: &whole, batches: [9])
  for (name, rows) in [
    ("merged", run(tail, through: &merged, batches: [9])), ("restored", run(tail, through: &restored, batches: [4])),
  ] {
    for (index, (row, wanted)) in zip(rows, expected).enumerated() {
      for (column, (value, right)) in zip(row, wanted).enumerated() {
        let feature = program.layout.columns[testSchema.fields.count + column].name
        #expect(agree(value, right, tolerance: 1e-8), "\(name), seed \(seed), event \(index), \(feature)")
      }
    }
  }
}

/// Keys apart: the bytes are those of one state that saw everything, whatever features there are.
@Test func statesOfDifferentKeysBecomeOneByteForByte() throws {
  let (program, _) = try compileFeatures(
    #"""
    [{"name": "a", "function": "ewma", "of": "amount", "alpha": 0.1, "by": "key"},
     {"name": "b", "function": "distinct", "of": "text", "by": "key"},
     {"name": "c", "function": "max", "of": "text", "by": ["key", "name"]},
     {"name": "d", "function": "mean", "of": "amount", "by": "key"}]
    """#, deduplicate: ("t", 3_600_000_000))
  for seed in 20..<26 as Range<UInt64> {
    let all = events(200, seed: seed, keys: 30)
    let isOdd = { (event: TestEvent) in (event.key ?? 0) & 1 == 1 }
    var merged = state(program, all.filter(isOdd))
    try merged.merge(state(program, all.filter { !isOdd($0) }))
    #expect(merged.snapshot() == state(program, all).snapshot(), "seed \(seed)")
    try merged.merge(FeatureState(program))
    #expect(merged.snapshot() == state(program, all).snapshot())
  }
}

@Test func whatCannotBeMergedIsRefusedByName() throws {
  let (program, _) = try compileFeatures(
    #"""
    [{"name": "n", "function": "count", "by": "key"},
     {"name": "smooth", "function": "ewma", "of": "amount", "alpha": 0.1, "by": "key"},
     {"name": "ring", "function": "group_size", "of": ["key", "text"]}]
    """#)
  let all = events(60, seed: 3, keys: 3)
  var first = state(program, Array(all[..<30]))
  let before = first.snapshot()
  let error = try #require(throws: FeatureMergeError.self) { try first.merge(state(program, Array(all[30...]))) }
  #expect(error.features == ["smooth", "ring"])
  #expect(error.description.contains("smooth, ring"))
  #expect(first.snapshot() == before)
  let (different, _) = try compileFeatures(#"[{"name": "n", "function": "count", "by": "name"}]"#)
  let other = try #require(throws: FeatureMergeError.self) { try first.merge(FeatureState(different)) }
  #expect(other.features.isEmpty)
}

/// Limits hold after a merge as before.
@Test func aMergedStateKeepsItsLimits() throws {
  let (program, _) = try compileFeatures(mergeable)
  let all = events(200, seed: 9, keys: 40)
  var merged = FeatureState(program, limits: StateLimits(keys: 12))
  _ = run(Array(all[..<100]), through: &merged, batches: [10])
  try merged.merge(state(program, Array(all[100...])))
  #expect(merged.tables.allSatisfy { $0.keys.count <= 12 })
  // Those that were seen last are the ones that stay.
  let seen = all.last { $0.key != nil }?.key
  let table = try #require(merged.tables.first { $0.layout.identity.hasPrefix("by key as") })
  #expect(table.record(ofWord: UInt64(bitPattern: try #require(seen))) != 0)
}

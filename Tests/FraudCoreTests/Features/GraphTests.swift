import TestRandom
import Testing

@testable import FraudCore

/// Links between people and things, said plainly: every folded link is kept, groups are found by following all of them.
private struct NaiveGraph {
  struct Link {
    var entity: String
    var thing: String
    var time: Int64
  }

  var links: [Link] = []

  /// The people that are reached from one, itself counted, over links later than a time.
  func group(of entity: String, with things: [String], after: Int64?, isWhole: Bool) -> Int {
    let live =
      links.filter { after == nil || $0.time > after! } + things.map { Link(entity: entity, thing: $0, time: .max) }
    var group: Set<String> = [entity]
    while true {
      let reached = Set(live.filter { group.contains($0.entity) }.map(\.thing))
      let more = group.union(live.filter { reached.contains($0.thing) }.map(\.entity))
      if more == group || !isWhole { return more.count }
      group = more
    }
  }
}

/// `text` is the person, `key` and `count` are what links them.
private let features = #"""
  [{"name": "group", "function": "group_size", "of": ["text", "key", "count"], "window": "2h", "include_current": true},
   {"name": "before", "function": "group_size", "of": ["text", "key", "count"], "where": "amount > 0"},
   {"name": "shared", "function": "shared", "of": ["text", "key", "count"], "window": "2h", "include_current": true},
   {"name": "few", "function": "group_size", "of": ["text", "key", "count"], "bound": 3, "include_current": true}]
  """#

private func events(_ count: Int, seed: UInt64) -> [TestEvent] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { index in
    TestEvent(
      key: Int.random(in: 0..<8, using: &generator) == 0 ? nil : Int64.random(in: 0..<60, using: &generator),
      time: 1_700_000_000_000_000 + Int64(index) * 60_000_000 + Int64.random(in: -600...0, using: &generator)
        * 1_000_000,
      amount: Double.random(in: -1...1, using: &generator), count: Int64.random(in: 0..<70, using: &generator),
      text: Int.random(in: 0..<9, using: &generator) == 0 ? nil : "p\(Int.random(in: 0..<50, using: &generator))")
  }
}

@Test func groupsAgreeWithFollowingAllLinks() throws {
  let (program, problems) = try compileFeatures(features)
  #expect(problems.isEmpty)
  #expect(program.tables.count == 2)
  for seed in 1...3 as ClosedRange<UInt64> {
    let events = events(400, seed: seed)
    var state = FeatureState(program)
    let rows = run(events, through: &state, batches: [1, 30, 100])
    var (all, positive) = (NaiveGraph(), NaiveGraph())
    var largest = 0
    for (row, event) in events.enumerated() {
      guard let person = event.text else {
        #expect(rows[row] == [nil, nil, nil, nil])
        continue
      }
      let things = [event.key.map { "k\($0)" }, "c\(event.count)"].compactMap { $0 }
      let after = event.time - 7_200_000_000
      let group = all.group(of: person, with: things, after: after, isWhole: true)
      largest = max(largest, group)
      #expect(
        rows[row] == [
          .integer(Int64(group)), .integer(Int64(positive.group(of: person, with: [], after: nil, isWhole: true))),
          .integer(Int64(all.group(of: person, with: things, after: after, isWhole: false) - 1)),
          .integer(Int64(min(3, all.group(of: person, with: things, after: nil, isWhole: true)))),
        ], "seed \(seed), row \(row)")
      for thing in things {
        all.links.append(.init(entity: person, thing: thing, time: event.time))
        if event.amount ?? 0 > 0 { positive.links.append(.init(entity: person, thing: thing, time: event.time)) }
      }
    }
    #expect(largest > 10)
  }
}

@Test func graphsGoOnFromASnapshotAndDeltas() throws {
  let (program, _) = try compileFeatures(features)
  let events = events(120, seed: 7)
  var reference = FeatureState(program, limits: StateLimits(keys: 60))
  reference.trackChanges()
  var replica = FeatureState(program, limits: StateLimits(keys: 60))
  for position in events.indices {
    _ = run(Array(events[position...position]), through: &reference, batches: [1])
    try replica.apply(reference.takeDelta())
    #expect(replica.snapshot() == reference.snapshot())
    guard position % 20 == 0 else { continue }
    var restored = FeatureState(program, limits: StateLimits(keys: 60))
    try restored.apply(reference.snapshot())
    var other = reference
    let rest = Array(events[(position + 1)...])
    #expect(run(rest, through: &restored, batches: [9]) == run(rest, through: &other, batches: [50]))
  }
  #expect(reference.evictedCount > 0)
}

/// A thing that everybody uses (a proxy's address) is bounded: the latest neighbours stay, and the value says so.
@Test func crowdedLinksAreCutAndSaySo() throws {
  let (program, problems) = try compileFeatures(
    #"[{"name": "n", "function": "shared", "of": ["text", "key"], "max_events_per_key": 5, "bound": 50}]"#)
  #expect(problems.isEmpty)
  let events = (0..<9).map { TestEvent(key: 1, time: Int64($0) * 1_000_000, count: 0, text: "p\($0)") }
  var state = FeatureState(program)
  _ = run(events, through: &state, batches: [4])
  #expect(state.truncatedCount == 0)
  let rows = run([events[8], events[0]], through: &state, batches: [2])
  #expect(rows == [[.integer(4)], [.integer(5)]])
  #expect(state.truncatedCount == 2)
}

@Test func graphsAreChecked() throws {
  let (_, problems) = try compileFeatures(
    #"""
    [{"name": "a", "function": "group_size", "of": ["text"], "by": "key"},
     {"name": "b", "function": "shared", "of": ["text", "kee"], "window": {"gap": "1h"}, "bound": 1},
     {"name": "c", "function": "count", "by": "key", "bound": 5}]
    """#)
  #expect(
    problems == [
      "features[0].by: a graph has no keys: group_size takes its fields in 'of'",
      "features[0].of: group_size takes an entity and one to seven links in 'of'",
      "features[1].bound: 1 is outside 2 to 10000",
      "features[1].window: a graph's window is a duration such as 30d",
      "features[2].bound: only shared and group_size takes 'bound'",
      "features[1].of: unknown column 'kee', did you mean 'key'?",
    ], "\(problems)")
}

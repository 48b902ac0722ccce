import Testing

@testable import FraudCore

private let minute: Int64 = 60_000_000

@Test func repeatedEventsAreNotCounted() throws {
  let (program, problems) = try compileFeatures(
    #"[{"name": "n", "function": "count", "by": "key"}]"#, deduplicate: ("text", 60 * minute))
  #expect(problems.isEmpty)
  let events = [("a", 0), ("b", 1), ("a", 30), ("a", 60), ("a", 61), (nil, 62), (nil, 62), ("b", 63)].map {
    TestEvent(key: 1, time: $0.1 * minute, count: 0, text: $0.0)
  }
  for sizes in [[8], [1], [3]] {
    var state = FeatureState(program)
    let rows = run(events, through: &state, batches: sizes)
    #expect(rows.map { $0[0] } == [0, 1, 2, 2, 2, 3, 4, 5].map { .integer($0) })
    #expect(state.repeatedCount == 2)
    var restored = FeatureState(program)
    try restored.apply(state.snapshot())
    #expect(run([events[7]], through: &restored, batches: [1])[0][0] == .integer(6) && restored.repeatedCount == 3)
  }
}

@Test func oldKeysAreSweptSoThatMemoryStaysBounded() throws {
  let (program, _) = try compileFeatures(
    #"[{"name": "n", "function": "count", "by": "key"}]"#,
    time: {
      var time = EventTimeDefinition(field: "t"); (time.watermarkDelay, time.allowedLateness) = (0, 0); return time
    }())
  var state = FeatureState(program, limits: StateLimits(timeToLive: minute))
  let events = (0..<6_000).map { TestEvent(key: Int64($0), time: Int64($0) * 1_000_000, count: 0) }
  _ = run(events, through: &state, batches: [500])
  #expect(state.keyCount <= 1_024 && state.evictedCount == 6_000 - state.keyCount)
}

@Test func theOldestKeysGoFirst() throws {
  let (program, _) = try compileFeatures(#"[{"name": "n", "function": "count", "by": "key"}]"#)
  let order: [Int64] = [5, 3, 9, 3, 7, 5, 3, 9]
  let events = order.enumerated().map { TestEvent(key: $1, time: Int64($0), count: 0) }
  var state = FeatureState(program, limits: StateLimits(keys: 3))
  // 7 drives out 5, seen longest ago, which then drives out 9, and 9 drives out 7.
  let counts = run(events, through: &state, batches: [8]).map { $0[0] }
  #expect(counts == [0, 0, 0, 1, 0, 0, 2, 0].map { .integer($0) })
  #expect(state.evictedCount == 3 && state.keyCount == 3)
}

@Test func longListsAreCutAndSaySo() throws {
  let (program, _) = try compileFeatures(
    #"""
    [{"name": "n", "function": "sum", "of": "count", "by": "key", "window": "1h", "max_events_per_key": 5},
     {"name": "m", "function": "count", "by": "key", "window": "2m", "max_events_per_key": 5}]
    """#)
  let events = (0..<12).map { TestEvent(key: 1, time: $0 * minute, count: $0) }
  var state = FeatureState(program)
  let rows = run(events, through: &state, batches: [12])
  #expect(rows[11] == [.float(6 + 7 + 8 + 9 + 10), .integer(1)])
  #expect(state.truncatedCount == 6)
  #expect(state.truncatedColumns(row: 11) == [testSchema.fields.count])
}

@Test func aClockAheadDoesNotMoveTheWatermark() throws {
  let (program, _) = try compileFeatures(#"[{"name": "n", "function": "count", "by": "key", "window": "10m"}]"#)
  let start: Int64 = 1_700_000_000_000_000
  var events = (0..<3).map { TestEvent(key: 1, time: start + $0 * minute, count: 0, timestamp: start + $0 * minute) }
  events.insert(TestEvent(key: 1, time: start + 10_000 * minute, count: 0, timestamp: start), at: 1)
  events.append(TestEvent(key: 1, time: start - 70 * minute, count: 0, timestamp: start))
  var state = FeatureState(program)
  let rows = run(events, through: &state, batches: [5])
  #expect(rows.map { $0[0] } == [0, 0, 1, 2, 0].map { .integer($0) })
  #expect(state.futureCount == 1 && state.lateCount == 1 && state.latestTime == start + 2 * minute)
}

@Test func distancesAtTheEdgesOfTheMap() {
  func distance(_ a: (Double, Double), _ b: (Double, Double)) -> Double? {
    guard let a = SpherePoint(latitude: a.0, longitude: a.1), let b = SpherePoint(latitude: b.0, longitude: b.1)
    else { return nil }
    return a.kilometres(to: b)
  }
  let degree = 6_371 * Double.pi / 180
  let cases: [((Double, Double), (Double, Double), Double)] = [
    ((0, 179.5), (0, -179.5), degree), ((89, 0), (89, 180), 2 * degree), ((90, 17), (90, -120), 0),
    ((-90, 0), (90, 0), 180 * degree), ((0, 0), (0, 180), 180 * degree), ((51.5, -0.125), (51.5, -0.125), 0),
    ((0, 0), (0, 1e-6), degree * 1e-6), ((10, 20), (10, 380 - 360), 0), ((0, 0), (60, 0), 60 * degree),
  ]
  for (a, b, expected) in cases {
    #expect(((distance(a, b) ?? -1) - expected).magnitude < 2e-4 * max(1e-6, min(1, expected)))
  }
  #expect(distance((90.1, 0), (0, 0)) == nil && distance((.nan, 0), (0, 0)) == nil)
  // São Paulo to Rio de Janeiro, by the haversine formula at high precision.
  #expect(((distance((-23.5505, -46.6333), (-22.9068, -43.1729)) ?? 0) - 360.7487).magnitude < 0.01)
}

@Test func aMoveWithinOneSecondHasASpeed() throws {
  let (program, _) = try compileFeatures(
    #"[{"name": "v", "function": "speed_kmh", "of": ["lat", "lon"], "by": "key"}]"#)
  let events = [(0.0, 0), (1.0, 0), (1.0, 1), (nil, 2), (1.0, 3), (2.0, 1)].map { latitude, second in
    TestEvent(key: 1, time: Int64(second) * 1_000_000, count: 0, latitude: latitude, longitude: 0)
  }
  var state = FeatureState(program)
  let speeds = run(events, through: &state, batches: [6]).map { $0[0] }
  #expect(agree(speeds[1], .float(6_371 * Double.pi / 180 * 3_600)))
  // Standing still; no place; no speed backwards in time.
  #expect(speeds[0] == nil && speeds[2] == .float(0) && speeds[3] == nil && speeds[4] == .float(0) && speeds[5] == nil)
}

@Test func hashesAsPublished() {
  // Test vectors of the xxHash project (XXH64, seeds 0 and 0x9E3779B1).
  func hash(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 { StableHash.hash(bytes.span, seed: seed) }
  #expect(hash([]) == 0xEF46_DB37_51D8_E999)
  #expect(hash(Array("a".utf8)) == 0xD24E_C4F1_A98C_6E5B)
  #expect(hash(Array("abc".utf8)) == 0x44BC_2CF5_AD77_0999)
  #expect(hash(Array("Nobody inspects the spammish repetition".utf8)) == 0xFBCE_A83C_8A37_8BF1)
  let word: UInt64 = 0x0123_4567_89AB_CDEF
  let bytes = (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
  #expect(StableHash.hash(word, seed: 5) == hash(bytes, seed: 5))
}

@Test func sketchesStayWithinTheirError() {
  var heap = WordHeap()
  var (set, sketch, half) = (HeapBlock(word: 0), HeapBlock(word: 0), HeapBlock(word: 0))
  for index in 0..<20_000 as Range<UInt64> {
    heap.insert(StableHash.hash(index), intoSet: &set)
    if index < 10_000 { heap.insert(StableHash.hash(index * 2), intoSet: &half) }
    heap.insert(Double(index) / 7 - 100, intoSketch: &sketch)
    let count = heap.distinctCount(set)
    let error = (Double(count) - Double(index + 1)).magnitude / Double(index + 1)
    if index < 256 ? count != index + 1 : error > 4 * DistinctSet.relativeError {
      Issue.record("\(count) of \(index + 1)")
      return
    }
  }
  heap.merge(set: half, of: heap, into: &set)
  #expect((heap.distinctCount(set) - 20_000).magnitude < 1_300)
  for q in [0.01, 0.25, 0.5, 0.9, 0.999] {
    let exact = Double(Int(q * 19_999)) / 7 - 100
    let value = heap.quantile(q, ofSketch: sketch) ?? .nan
    #expect((value - exact).magnitude <= 0.0101 * exact.magnitude + 1e-9, "\(q)")
  }
}

@Test func eventsOfOtherKeysMakeNoDifference() throws {
  let (program, _) = try compileFeatures(
    #"""
    [{"name": "a", "function": "mean", "of": "amount", "by": "key", "window": "30m"},
     {"name": "b", "function": "distinct", "of": "text", "by": "key"}]
    """#)
  let events = randomEvents(200, seed: 21, disorder: 0, keys: 6).map { event in
    var event = event
    event.time = 1_700_000_000_000_000 + (event.time - 1_700_000_000_000_000) / 4
    return event
  }
  var state = FeatureState(program)
  let rows = run(events, through: &state, batches: [64])
  // Each key's events keep their order; the keys follow one another.
  let order = events.indices.sorted { (events[$0].key ?? .min, $0) < (events[$1].key ?? .min, $1) }
  var time = EventTimeDefinition(field: "t")
  time.allowedLateness = 86_400_000_000
  let (lenient, _) = try compileFeatures(
    #"""
    [{"name": "a", "function": "mean", "of": "amount", "by": "key", "window": "30m"},
     {"name": "b", "function": "distinct", "of": "text", "by": "key"}]
    """#, time: time)
  var other = FeatureState(lenient)
  let moved = run(order.map { events[$0] }, through: &other, batches: [50, 9])
  for (place, row) in order.enumerated() { #expect(moved[place] == rows[row]) }
}

@Test func panesCoverWholePanesOnly() throws {
  let list = ["count", "sum", "mean", "variance", "min", "max"].enumerated().map { index, function in
    let of = function == "count" ? "" : #", "of": "count""#
    return #"{"name": "p\#(index)", "function": "\#(function)"\#(of), "by": "key", "window": "1h", "panes": 6}"#
  }
  let delayed =
    #"{"name": "d", "function": "sum", "of": "count", "by": "key", "window": "1h", "panes": 6, "delay": "30m"}"#
  let (program, problems) = try compileFeatures("[" + (list + [delayed]).joined(separator: ",") + "]")
  #expect(problems.isEmpty)
  let start: Int64 = 1_700_000_400_000_000  // a multiple of ten minutes
  var events = randomEvents(150, seed: 8, disorder: 1_200_000_000, keys: 2)
  for index in events.indices { events[index].time += start - 1_700_000_000_000_000 }
  for sizes in [[1], [40]] {
    var state = FeatureState(program)
    let rows = run(events, through: &state, batches: sizes)
    for row in events.indices where events[row].key != nil {
      func covered(_ end: Int64) -> [Double] {
        let last = end / 600_000_000
        return events[..<row].filter { $0.key == events[row].key && (last - 5...last).contains($0.time / 600_000_000) }
          .map { Double($0.count) }
      }
      // Panes that have left the ring are gone for events that come late; those are not looked at here.
      guard events[row].time >= events[..<row].filter({ $0.key == events[row].key }).map(\.time).max() ?? 0 else {
        continue
      }
      let values = covered(events[row].time)
      let mean = values.reduce(0, +) / Double(values.count)
      #expect(rows[row][0] == .integer(Int64(values.count)))
      #expect(rows[row][1] == (values.isEmpty ? nil : .float(values.reduce(0, +))))
      #expect(agree(rows[row][2], values.isEmpty ? nil : .float(mean)))
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      #expect(agree(rows[row][3], values.count < 2 ? nil : .float(squares / Double(values.count - 1))))
      #expect(rows[row][4] == values.min().map { .integer(Int64($0)) })
      #expect(rows[row][5] == values.max().map { .integer(Int64($0)) })
      let earlier = covered(events[row].time - 1_800_000_000)
      #expect(rows[row][6] == (earlier.isEmpty ? nil : .float(earlier.reduce(0, +))))
    }
    var restored = FeatureState(program)
    try restored.apply(state.snapshot())
    #expect(restored.snapshot() == state.snapshot())
  }
}

@Test func longTextsAreCutAtACharacter() throws {
  let (program, _) = try compileFeatures(
    #"""
    [{"name": "a", "function": "last", "of": "text", "by": "key"},
     {"name": "b", "function": "first", "of": "text", "by": "key", "window": "1h"}]
    """#)
  let long = "x" + String(repeating: "\u{e9}", count: 2_000)
  let events = [long, "short"].enumerated().map { TestEvent(key: 1, time: Int64($0), count: 0, text: $1) }
  var state = FeatureState(program)
  let kept = FieldValue.string("x" + String(repeating: "\u{e9}", count: 511))
  #expect(run(events, through: &state, batches: [2]) == [[nil, nil], [kept, kept]])
}

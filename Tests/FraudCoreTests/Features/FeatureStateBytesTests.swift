import TestRandom
import Testing

@testable import FraudCore

private let everything = #"""
  [{"name": "a", "function": "count", "by": "key", "window": "20m"},
   {"name": "b", "function": "mean", "of": "amount", "by": "key", "window": "20m", "include_current": true},
   {"name": "c", "function": "max", "of": "text", "by": "key", "window": {"gap": "10m"}},
   {"name": "d", "function": "distinct", "of": "text", "by": "key"},
   {"name": "e", "function": "quantile", "of": "amount", "quantile": 0.9, "by": "key"},
   {"name": "f", "function": "last", "of": "text", "by": ["key", "name"]},
   {"name": "g", "function": "distinct", "of": "key", "by": "name", "window": "2h", "where": "amount > 0"},
   {"name": "h", "function": "hour_surprise", "by": "name"},
   {"name": "i", "function": "speed_kmh", "of": ["lat", "lon"], "by": "key"}]
  """#

/// Values of the rest of a run, and the bytes at its end.
private func finish(_ events: [TestEvent], _ state: inout FeatureState) -> ([[FieldValue?]], [UInt8]) {
  let rows = run(events, through: &state, batches: [3, 50])
  return (rows, state.snapshot())
}

@Test(arguments: [StateLimits(), StateLimits(timeToLive: 1_800_000_000, keys: 3), StateLimits(bytes: 2_500)])
func restoredAtEveryPositionGoesOnAsBefore(limits: StateLimits) throws {
  let (program, problems) = try compileFeatures(everything)
  try #require(problems.isEmpty)
  let events = randomEvents(60, seed: 11, disorder: 2_000_000_000)
  var whole = FeatureState(program, limits: limits)
  let (rows, end) = finish(events, &whole)
  if limits != StateLimits() { #expect(whole.evictedCount > 0) }
  for position in 0...events.count {
    var first = FeatureState(program, limits: limits)
    let head = run(Array(events[..<position]), through: &first, batches: [4])
    let bytes = first.snapshot()
    // Another seed puts every key elsewhere.
    var second = FeatureState(program, limits: limits, seed: 99)
    try second.apply(bytes)
    #expect(second.snapshot() == bytes)
    #expect(second.byteCount == first.byteCount)
    let (tail, bytesAtEnd) = finish(Array(events[position...]), &second)
    #expect(head + tail == rows, "position \(position)")
    #expect(bytesAtEnd == end, "position \(position)")
  }
}

@Test func deltasAndBucketsGiveTheStateBack() throws {
  let (program, _) = try compileFeatures(everything)
  let events = randomEvents(120, seed: 5, disorder: 600_000_000, keys: 40)
  let limits = StateLimits(timeToLive: 2_400_000_000, keys: 25)
  var state = FeatureState(program, limits: limits)
  state.trackChanges()
  var deltas: [[UInt8]] = []
  var buckets: [Int: [UInt8]] = [:]
  var (start, deltasKept) = (0, 0)
  for size in [1, 10, 30, 5, 44, 30] {
    _ = run(Array(events[start..<start + size]), through: &state, batches: [7])
    start += size
    deltas.append(state.takeDelta())
    if size == 30 {
      for bucket in state.snapshots(ofBuckets: state.takeChangedBucketSet()) { buckets[bucket.number] = bucket.bytes }
      deltasKept = deltas.count
    }
    var fromDeltas = FeatureState(program, limits: limits)
    for delta in deltas { try fromDeltas.apply(delta) }
    #expect(fromDeltas.snapshot() == state.snapshot())
    var fromBuckets = FeatureState(program, limits: limits)
    for bucket in buckets.keys.sorted() where bucket > 0 { try fromBuckets.apply(buckets[bucket]!) }
    if let first = buckets[0] { try fromBuckets.apply(first) }
    for delta in deltas[deltasKept...] { try fromBuckets.apply(delta) }
    #expect(fromBuckets.snapshot() == state.snapshot())
  }
}

@Test func unchangedFeaturesKeepTheirStateInANewVersion() throws {
  let (old, _) = try compileFeatures(
    #"[{"name": "a", "function": "count", "by": "key"}, {"name": "b", "function": "sum", "of": "amount", "by": "key"}]"#
  )
  let (new, _) = try compileFeatures(
    #"""
    [{"name": "c", "function": "max", "of": "amount", "by": "key"}, {"name": "total", "function": "sum", "of": "amount", "by": "key"},
     {"name": "d", "function": "count", "by": "name"}]
    """#)
  let events = [1.0, 2, 3].enumerated().map { TestEvent(key: 1, name: "n", time: Int64($0), amount: $1, count: 0) }
  var first = FeatureState(old)
  _ = run(events, through: &first, batches: [3])
  var second = FeatureState(new)
  try second.apply(first.snapshot())
  #expect(run([events[0]], through: &second, batches: [1]) == [[nil, .float(6), .integer(0)]])
}

@Test func refusesWhatIsNoState() throws {
  let (program, _) = try compileFeatures(everything)
  var state = FeatureState(program)
  _ = run(randomEvents(40, seed: 3, disorder: 0), through: &state, batches: [40])
  let bytes = state.snapshot()
  for count in stride(from: 0, to: bytes.count, by: 13) {
    var other = FeatureState(program)
    #expect(throws: StateFormatError.self) { try other.apply(Array(bytes[..<count])) }
  }
  var generator = SeededGenerator(seed: 77)
  for _ in 0..<2_000 {
    var broken = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      broken[Int.random(in: 8..<broken.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
    }
    var other = FeatureState(program)
    // Anything but a trap is an answer here; the store's checksum tells whether bytes are what was written.
    guard (try? other.apply(broken)) != nil else { continue }
    _ = run(randomEvents(5, seed: 4, disorder: 0), through: &other, batches: [5])
  }
}

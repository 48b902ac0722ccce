import FraudCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// S2's five detectors over events in memory, shaped like workload W2: time per event, bytes per key, and how long a
/// snapshot of the state takes to write and to read.
enum FeatureBenchmarks {
  private static let features = """
    [{"name": "n", "function": "count", "by": "customer_id"},
     {"name": "mean", "function": "mean", "of": "amount", "by": "customer_id"},
     {"name": "n10m", "function": "count", "window": "10m", "by": "customer_id", "include_current": true},
     {"name": "km", "function": "distance_km", "of": ["lat", "lon"], "by": "customer_id"},
     {"name": "since", "function": "seconds_since_last", "by": "customer_id"},
     {"name": "z", "function": "hour_zscore", "by": "customer_id"}]
    """

  static func run(only part: String?) {
    for (name, customers) in [("FeaturesOfAHundredThousandKeys", 100_000), ("FeaturesOfAMillionKeys", 1_000_000)]
    where part.map({ name.contains($0) }) ?? true {
      measure(name, customers: customers)
    }
  }

  private static func measure(_ name: String, customers: Int) {
    let schema = Schema(fields: [
      Field(name: "customer_id", type: .integer, nullable: false), Field(name: "amount", type: .float, nullable: false),
      Field(name: "lat", type: .float, nullable: false), Field(name: "lon", type: .float, nullable: false),
      Field(name: "t", type: .timestamp, nullable: false),
    ])
    var reader = DefinitionReader()
    guard let value = try? DefinitionValue(json: Array(features.utf8)) else { return }
    let elements = reader.elements(of: DefinitionNode(value: value, path: "features")) ?? []
    let definitions = elements.compactMap { FeatureDefinition($0, reader: &reader) }
    let program = FeatureProgram(
      definitions, schema: schema, eventTime: EventTimeDefinition(field: "t"), reader: &reader)
    precondition(reader.problems.isEmpty, "\(reader.problems)")

    let clock = ContinuousClock()
    var random = SeededGenerator(seed: 2)
    var state = FeatureState(program)
    var batch = EventBatch(layout: program.layout, source: EventSource(topic: "w2"))
    let batches = customers / 1_024 * 4
    var spent = Duration.zero
    var time: Int64 = 1_740_787_200_000_000
    var busy = 0
    for _ in 0..<batches {
      fill(&batch, customers: customers, time: &time, random: &random)
      spent += clock.measure { state.apply(to: &batch) }
      busy += (0..<batch.rowCount).count { batch.words[7 * batch.stride + $0] > 5 }
    }
    let events = batches * 1_024
    var bytes: [UInt8] = []
    let written = processorMilliseconds { bytes = state.snapshot() }
    var other = FeatureState(program)
    let read = processorMilliseconds { try? other.apply(bytes) }
    precondition(other.keyCount == state.keyCount, "the state did not come back")
    print(
      padded(name, 34), "\(events) events, \(state.keyCount) keys, \(busy) in a burst:",
      text(nanoseconds(spent) / Double(events), digits: 0), "ns an event,",
      state.byteCount / state.keyCount, "bytes a key; snapshot of \(bytes.count) bytes written in",
      text(written, digits: 0), "ms of CPU, read in", text(read, digits: 0), "ms")
  }

  private static func processorMilliseconds(_ body: () -> Void) -> Double {
    let start = clock()
    body()
    return Double(clock() - start) / Double(CLOCKS_PER_SEC) * 1_000
  }

  private static func nanoseconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) * 1e9 + Double(duration.components.attoseconds) / 1e9
  }

  /// 1,024 events of customers at random, ten milliseconds apart.
  private static func fill(
    _ batch: inout EventBatch, customers: Int, time: inout Int64, random: inout SeededGenerator
  ) {
    batch.removeAll()
    batch.rowCount = batch.capacity
    for word in 0..<5 * batch.bitmapStride { batch.validity[word] = ~0 }
    for row in 0..<batch.rowCount {
      time += 10_000
      let values: [UInt64] = [
        UInt64(Int.random(in: 0..<customers, using: &random)), (1 + 100 * random.unit()).bitPattern,
        (180 * random.unit() - 90).bitPattern, (360 * random.unit() - 180).bitPattern, UInt64(bitPattern: time),
      ]
      for (column, value) in values.enumerated() { batch.words[column * batch.stride + row] = value }
      batch.positions.append(EventPosition(offset: Int64(row), start: 0, count: 0))
    }
  }
}

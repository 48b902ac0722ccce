@testable import FraudCore

/// What features mean, said as plainly as possible: every folded event is kept, every value is computed from a list.
struct NaiveFeatures {
  let features: [FeatureDefinition]
  let definition: EventTimeDefinition
  private var folded: [TestEvent] = []
  private var latest: Int64?
  /// Whether the last event came later than allowed; then only what happens to be kept still counts.
  private(set) var isLate = false

  init(_ features: [FeatureDefinition], _ definition: EventTimeDefinition = EventTimeDefinition(field: "t")) {
    self.features = features
    self.definition = definition
  }

  mutating func values(for event: TestEvent) -> [FieldValue?] {
    let values = features.map { value(of: $0, for: event) }
    fold(event)
    return values
  }

  mutating func fold(_ event: TestEvent) {
    isLate = latest.map { event.time < $0 - definition.watermarkDelay - definition.allowedLateness } ?? false
    guard !isLate else { return }
    folded.append(event)
    if event.timestamp.map({ event.time - $0 <= definition.maxFuture }) ?? true {
      latest = max(latest ?? .min, event.time)
    }
  }

  private func field(_ name: String, of event: TestEvent) -> FieldValue? {
    switch name {
    case "key": event.key.map { .integer($0) }
    case "name": event.name.map { .string($0) }
    case "t": .timestamp(event.time)
    case "amount": event.amount.map { .float($0) }
    case "count": .integer(event.count)
    case "flag": event.flag.map { .boolean($0) }
    case "lat": event.latitude.map { .float($0) }
    case "lon": event.longitude.map { .float($0) }
    default: event.text.map { .string($0) }
    }
  }

  private func key(_ feature: FeatureDefinition, of event: TestEvent) -> [FieldValue]? {
    let values = feature.by.map { field($0, of: event) }
    return values.contains { $0 == nil } ? nil : values.compactMap { $0 }
  }

  func value(of feature: FeatureDefinition, for event: TestEvent) -> FieldValue? {
    guard let function = feature.function, let key = key(feature, of: event) else { return nil }
    let upper = event.time - feature.delay
    // Events with equal times stay in the order in which they were folded in.
    var all =
      feature.by == ["key"] ? folded.filter { $0.key == event.key } : folded.filter { self.key(feature, of: $0) == key }
    if feature.window != .life {
      all = all.filter { $0.time <= upper }
      all = all.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }
    var covered = all
    switch feature.window {
    case .life: break
    case .sliding(let length): covered = all.filter { $0.time > upper - length }
    case .tumbling(let length):
      let start = upper - ((upper % length) + length) % length
      covered = all.filter { $0.time >= start }
    case .session(let gap):
      covered = []
      var next = upper
      for event in all.reversed() {
        if next - event.time > gap { break }
        covered.insert(event, at: 0)
        next = event.time
      }
    }
    if feature.includeCurrent { covered.append(event) }
    return compute(function, feature, covered, current: event)
  }

  private func compute(
    _ function: FeatureFunction, _ feature: FeatureDefinition, _ covered: [TestEvent], current: TestEvent
  ) -> FieldValue? {
    let of = feature.of.first ?? ""
    let pairs = covered.compactMap { event in field(of, of: event).map { (event.time, $0) } }
    let values = pairs.map { $0.1 }
    let numbers = values.compactMap { number($0) }
    func atLeast(_ count: Int) -> Bool { count >= Int(feature.minEvents) }
    let mean = numbers.reduce(0, +) / Double(numbers.count)
    let isLife = feature.window == .life
    switch function {
    case .count:
      let count = of.isEmpty ? covered.count : values.count
      return atLeast(count) ? .integer(Int64(count)) : nil
    case .rate:
      guard case .sliding(let length) = feature.window, atLeast(covered.count) else { return nil }
      return .float(Double(covered.count) * (Double(feature.per) / Double(length)))
    case .sum: return !numbers.isEmpty && atLeast(numbers.count) ? .float(numbers.reduce(0, +)) : nil
    case .mean: return !numbers.isEmpty && atLeast(numbers.count) ? .float(mean) : nil
    case .ratio:
      guard !numbers.isEmpty, atLeast(numbers.count), mean != 0, let x = field(of, of: current).flatMap({ number($0) })
      else { return nil }
      return .float(x / mean)
    case .variance, .stddev:
      guard numbers.count > 1, atLeast(numbers.count) else { return nil }
      let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(numbers.count - 1)
      return .float(function == .variance ? variance : variance.squareRoot())
    case .min, .max:
      guard !values.isEmpty, atLeast(values.count) else { return nil }
      var best = values[0]
      for value in values where function == .min ? isLess(value, best) : isLess(best, value) { best = value }
      return best
    case .distinct:
      guard atLeast(isLife ? values.count : covered.count) else { return nil }
      return .integer(Int64(Set(values).count))
    case .first, .last, .previous:
      guard !values.isEmpty, atLeast(values.count) else { return nil }
      var best = pairs[0]
      for pair in pairs.dropFirst() where function == .first ? pair.0 < best.0 : pair.0 >= best.0 { best = pair }
      return best.1
    case .quantile:
      guard !numbers.isEmpty, atLeast(numbers.count) else { return nil }
      return .float(numbers.sorted()[Int((feature.quantile ?? 0.5) * Double(numbers.count - 1))])
    case .ewma:
      guard !numbers.isEmpty, atLeast(numbers.count) else { return nil }
      if let alpha = feature.alpha { return .float(numbers.dropFirst().reduce(numbers[0]) { $0 + alpha * ($1 - $0) }) }
      let newest = pairs.map { $0.0 }.max() ?? 0
      var (sum, weight) = (0.0, 0.0)
      for (time, value) in pairs {
        let w = Mathematics.pow(2, -Double(newest - time) / Double(feature.halfLife ?? 1))
        sum += w * (number(value) ?? 0)
        weight += w
      }
      return .float(sum / weight)
    case .secondsSinceLast:
      guard let last = covered.map(\.time).max(), last <= current.time, atLeast(covered.count) else { return nil }
      return .integer((current.time - last) / 1_000_000)
    case .shared, .groupSize: return nil
    case .distanceKm, .speedKmh: return move(function, feature, covered, current: current)
    case .hourZscore:
      let hours = covered.map { Double(hour($0.time)) }
      guard hours.count > 1, atLeast(hours.count) else { return nil }
      let mean = hours.reduce(0, +) / Double(hours.count)
      let variance = hours.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(hours.count - 1)
      return variance > 1e-12 ? .float((Double(hour(current.time)) - mean).magnitude / variance.squareRoot()) : nil
    case .hourSurprise:
      guard !covered.isEmpty, atLeast(covered.count) else { return nil }
      let weights = [6.0, 4, 1]
      var mass = 0.0
      for event in covered {
        let apart = (hour(event.time) - hour(current.time)).magnitude
        let circular = Int(min(apart, 24 - apart))
        if circular < 3 { mass += weights[circular] / 16 }
      }
      return .float(-Mathematics.log2((mass + 1 / 24) / Double(covered.count + 1)))
    }
  }

  /// The haversine formula.
  private func move(
    _ function: FeatureFunction, _ feature: FeatureDefinition, _ covered: [TestEvent], current: TestEvent
  ) -> FieldValue? {
    let places = covered.filter { $0.latitude != nil && $0.longitude != nil }
    guard let last = places.indices.max(by: { (places[$0].time, $0) < (places[$1].time, $1) }).map({ places[$0] }),
      last.time <= current.time, let latitude = current.latitude, let longitude = current.longitude
    else { return nil }
    let radians = Double.pi / 180
    let (a, b) = ((last.latitude ?? 0) * radians, latitude * radians)
    let (s, c) = (Mathematics.sin((b - a) / 2), Mathematics.sin((longitude - (last.longitude ?? 0)) * radians / 2))
    let km = 2 * 6371 * Mathematics.asin(min(1, (s * s + Mathematics.cos(a) * Mathematics.cos(b) * c * c).squareRoot()))
    if function == .distanceKm { return .float(km) }
    return .float(km * 3_600 / max(1, Double(current.time - last.time) / 1e6))
  }

  private func hour(_ time: Int64) -> Int { Int(((time / 3_600_000_000) % 24 + 24) % 24) }

  private func number(_ value: FieldValue) -> Double? {
    switch value {
    case .integer(let value): Double(value)
    case .float(let value): value
    case .boolean(let value): value ? 1 : 0
    default: nil
    }
  }

  private func isLess(_ a: FieldValue, _ b: FieldValue) -> Bool {
    switch (a, b) {
    case (.integer(let x), .integer(let y)), (.timestamp(let x), .timestamp(let y)): x < y
    case (.float(let x), .float(let y)): x < y
    case (.boolean(let x), .boolean(let y)): !x && y
    case (.string(let x), .string(let y)): x.utf8.lexicographicallyPrecedes(y.utf8)
    default: false
    }
  }
}

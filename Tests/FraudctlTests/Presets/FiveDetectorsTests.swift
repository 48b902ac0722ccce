import Foundation
import FraudCore
import Testing

@testable import fraudctl

/// S2's five detectors written down plainly, from the words of its README and nothing of ours: a record a customer, one event
/// after the other.
private struct PlainDetectors {
  struct Customer {
    var amounts: [Double] = []
    /// Welford's running moments of the hour, as S2 keeps them: at exactly two deviations rounding decides.
    var hours = (mean: 0.0, squares: 0.0)
    var times: [Int] = []
    var place: (latitude: Double, longitude: Double)?
  }

  var customers: [Int: Customer] = [:]
  let blocked: Set<Int>

  /// The rules that trigger. Events of a customer come in the order of their times.
  mutating func rules(for event: W2Event) -> [String] {
    var customer = customers[event.customer] ?? Customer()
    var rules: [String] = []
    let count = customer.amounts.count
    if count >= 5, event.amount > 3 * customer.amounts.reduce(0, +) / Double(count) { rules.append("FR-001") }
    if customer.times.count(where: { $0 > event.milliseconds - 600_000 }) + 1 > 5 { rules.append("FR-002") }
    if let last = customer.times.last, let place = customer.place, event.milliseconds - last < 3_600_000,
      kilometres(place, (event.latitude, event.longitude)) > 500
    {
      rules.append("FR-003")
    }
    let hour = Double(event.milliseconds / 3_600_000 % 24)
    if count >= 5, customer.hours.squares > 0,
      abs(hour - customer.hours.mean) / (customer.hours.squares / Double(count - 1)).squareRoot() > 2
    {
      rules.append("FR-004")
    }
    if blocked.contains(event.customer) { rules.append("FR-005") }
    customer.amounts.append(event.amount)
    let deviation = hour - customer.hours.mean
    customer.hours.mean += deviation / Double(count + 1)
    customer.hours.squares += deviation * (hour - customer.hours.mean)
    customer.times.append(event.milliseconds)
    customer.place = (event.latitude, event.longitude)
    customers[event.customer] = customer
    return rules
  }

  private func kilometres(_ a: (latitude: Double, longitude: Double), _ b: (latitude: Double, longitude: Double))
    -> Double
  {
    let radians = Double.pi / 180
    let (s, c) = (sin((b.latitude - a.latitude) * radians / 2), sin((b.longitude - a.longitude) * radians / 2))
    return 12_742 * asin((s * s + cos(a.latitude * radians) * cos(b.latitude * radians) * c * c).squareRoot())
  }
}

private struct W2Event: Decodable {
  var customer: Int
  var amount: Double
  var latitude: Double
  var longitude: Double
  var time: String

  enum CodingKeys: String, CodingKey {
    case customer = "customer_id"
    case amount
    case latitude = "lat"
    case longitude = "lon"
    case time = "event_time"
  }

  var milliseconds: Int {
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    return Int((((try? style.parse(time))?.timeIntervalSince1970 ?? -1) * 1_000).rounded())
  }
}

/// Workload W2 in small: the generator of `../shared/perf` where it and numpy are there, else one of the same kind.
private func w2Lines() throws -> (lines: [[UInt8]], blocked: [String]) {
  let folder = try TestSite.makeFolder()
  defer { try? FileManager.default.removeItem(atPath: folder) }
  if let python = ProcessInfo.processInfo.environment["FRAUD_PYTHON"], let shared = SharedFiles.folder,
    SharedFiles.run(
      python,
      [
        "\(shared)/perf/gen.py", "w2", "\(folder)/w2.ndjson", "--rows", "20000", "--customers", "600", "--blacklist",
        "\(folder)/blocked",
      ])
  {
    let lines = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/w2.ndjson")).split(separator: 10).map { Array($0) }
    let blocked = try String(contentsOfFile: "\(folder)/blocked", encoding: .utf8).split(separator: "\n").map(
      String.init)
    return (lines, blocked)
  }
  print("no generator of W2 (FRAUD_PYTHON with numpy, and ../shared/perf): events of the same kind instead")
  var state: UInt64 = 2
  func random(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
  var time = 1_740_787_200_000
  let lines = (0..<20_000).map { number in
    // Bursts, spikes, jumps and odd hours come by chance.
    time += random(200) == 0 ? random(7_200_000) : random(3_000)
    let customer = random(8) == 0 ? random(3) : random(600)
    let amount = Double((random(100) == 0 ? 40_000 : 2_000) + random(4_000)) / 100
    let latitude = Double(customer % 100 - 50) + (random(60) == 0 ? 9 : 0) + Double(random(100)) / 1_000
    let text = Date(timeIntervalSince1970: Double(time) / 1_000).formatted(
      Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    return Array(
      """
      {"transaction_id":"t\(number)","customer_id":\(customer),"store_id":1,"amount":\(amount),"lat":\(latitude),"lon":20.5,\
      "event_time":"\(text)"}
      """.utf8)
  }
  return (lines, (0..<60).map { "\($0 * 10)" })
}

/// Every event of W2 triggers exactly the rules that a plain implementation says.
@Test func theFiveDetectorsAgreeEventByEvent() throws {
  let (lines, blocked) = try w2Lines()
  let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/five-detectors.yaml")
  let list = try #require(loaded.pipeline.definition.lists.first)
  var engine = Engine(loaded.pipeline, lists: [list.name: list.contents(blocked)])
  var plain = PlainDetectors(blocked: Set(blocked.compactMap { Int($0) }))
  var counts: [String: Int] = [:]
  for (number, line) in lines.enumerated() {
    let expected = try plain.rules(for: JSONDecoder().decode(W2Event.self, from: Data(line)))
    let actual = try engine.score(line, offset: Int64(number)).reasons.map(\.ruleID)
    guard actual == expected else {
      Issue.record("event \(number) \(String(decoding: line, as: UTF8.self)): \(actual), expected \(expected)")
      return
    }
    for rule in expected { counts[rule, default: 0] += 1 }
  }
  #expect(lines.count == 20_000 && counts.count == 5 && counts.values.allSatisfy { $0 > 20 }, "\(counts)")
}

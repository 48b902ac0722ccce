import Foundation
import FraudCore
import FraudStore
import Testing

@testable import fraudctl

/// The presets of `Examples/Pipelines`: each loads and finds in its sample what is written here.
@Suite struct PresetTests {
  /// Every preset, its sample and how often each rule matches in it.
  static let presets: [(name: String, sample: String, matches: String)] = [
    (
      "card-payments", "Data/sparkov.csv.zst",
      "large-online 201, large-in-store 67, night-groceries 143, miscellaneous 72, night-spending 349, fuel 1745"
    ),
    (
      "ecommerce-transactions", "Pipelines/Samples/ecommerce-transactions.ndjson",
      "large 2, very-large 2, not-eur 3, test-amounts 2"
    ),
    (
      "five-detectors", "Pipelines/Samples/five-detectors.ndjson",
      "FR-001 1, FR-002 3, FR-003 1, FR-004 1, FR-005 1"
    ),
    // No single detector reaches 0.70, which is what this preset shows.
    (
      "five-detectors-weighted", "Pipelines/Samples/five-detectors.ndjson",
      "FR-001 0, FR-002 0, FR-003 0, FR-004 0, FR-005 0"
    ),
    (
      "industrial-iot", "Pipelines/Samples/industrial-iot.ndjson",
      "temperature 1, pressure 1, multiple 1, vibration-jump 2"
    ),
    (
      "marketplace-orders", "Pipelines/Samples/marketplace-orders.ndjson",
      "first-time-buyer 1, bulk 1, international 1"
    ),
    (
      "order-features", "Pipelines/Samples/order-features.ndjson",
      "burst 1, amount 1, anonymous 1, geography 1, history 1, device-ring 1"
    ),
    (
      "order-joins", "Pipelines/Samples/order-joins.ndjson", "elsewhere 1, payment 1, failed 1, bot 1"
    ),
    ("paysim", "Pipelines/Samples/paysim.ndjson", "large-transfer 1, burst 4, fan-out 3, unusual 1"),
    (
      "scorecard", "Pipelines/Samples/scorecard.ndjson",
      "amount 2, crypto 1, country 1, night 1, weekend 2, velocity 1"
    ),
    (
      "stripe-payment-monitor", "Pipelines/Samples/stripe-payment-monitor.ndjson",
      "large 2, non-usd 1, high-risk-country 1, large-crypto 1, guest-checkout 1"
    ),
    ("stripe-payments", "Pipelines/Samples/stripe-payments.ndjson", "high-value-usd 2"),
  ]

  @Test func everyPresetIsHere() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: TestSite.pipelines)
      .filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }
    #expect(Set(files) == Set(Self.presets.map(\.name) + ["handbook", "order-streams"]))
  }

  @Test(arguments: presets)
  func findsWhatItsSampleHolds(name: String, sample: String, matches: String) async throws {
    let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/\(name).yaml")
    let summary = try await FileScoring(loaded.pipeline, lists: loaded.lists, emission: .none).run(
      inputs: ["\(TestSite.checkout)/Examples/\(sample)"], files: ScoreFiles(results: nil), threads: 1)
    #expect(summary.rejectedCount == 0 && summary.accepted > 0)
    #expect(summary.rules.allSatisfy { $0.errors == 0 })
    #expect(summary.rules.map { "\($0.id) \($0.matches)" }.joined(separator: ", ") == matches)
  }

  @Test func whatStreamsTellIsRemembered() throws {
    let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/order-streams.yaml")
    let samples = "\(TestSite.pipelines)/Samples/order-streams"
    let summary = try StreamScoring(loaded.pipeline, emission: .none).run(
      inputs: [samples + "/orders.ndjson"],
      streams: [[samples + "/payments.ndjson"], [samples + "/chargebacks.ndjson"]], files: ScoreFiles(results: nil))
    #expect(
      summary.rules.map { "\($0.id) \($0.matches)" }.joined(separator: ", ")
        == "chargebacks 1, card-testing 1, loss 2, fraud-before 1")
    #expect(summary.accepted == 11 && summary.streams.map(\.accepted) == [11, 4])
    #expect(summary.streams[0].duplicates == 1)
  }

  /// Hits and hits that are fraud, as the data's README states them, and what follows: precision and recall.
  @Test func theHandbookPresetStatesPrecisionAndRecall() async throws {
    guard let transactions = SharedFiles.unpacked("data/handbook/transactions.csv.gz") else {
      print("skipped: no ../shared/data/handbook")
      return
    }
    defer { try? FileManager.default.removeItem(atPath: transactions) }
    let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/handbook.yaml")
    let summary = try await FileScoring(loaded.pipeline, lists: loaded.lists, emission: .none).run(
      inputs: [transactions], files: ScoreFiles(results: nil), threads: 2)
    #expect(summary.accepted == 200_000 && summary.positives == 927)
    let expected = [
      ("amount", 309, 309), ("busy-day", 5_896, 22), ("very-busy", 825, 2), ("unusual", 145, 142),
      ("terminal", 145, 139),
    ]
    for (rule, (id, hits, fraud)) in zip(summary.rules, expected) {
      #expect(rule.id == id && rule.hits.truePositives == fraud && rule.hits.falsePositives == hits - fraud)
      #expect(rule.hits.precision == Double(fraud) / Double(hits))
      #expect(rule.hits.recall(of: 927) == Double(fraud) / 927)
    }
    let text = String(decoding: summary.json(seconds: 1), as: UTF8.self)
    #expect(text.contains(#""terminal":{"tp":139,"fp":6,"precision":0.9586"#))
  }
}

/// S5's scorecard over all 64 combinations of its six signals, each made by real events.
@Test func theScorecardAddsUpInAllCombinations() throws {
  let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/scorecard.yaml")
  let points = ["amount": 30, "crypto": 20, "country": 15, "night": 10, "weekend": 5, "velocity": 25]
  let ids = loaded.pipeline.rules.map(\.id)
  #expect(Set(ids) == Set(points.keys))
  var levels: [String: Int] = [:]
  for mask in 0..<64 {
    func has(_ id: String) -> Bool { ids.firstIndex(of: id).map { mask >> $0 & 1 == 1 } ?? false }
    var engine = Engine(loaded.pipeline, lists: loaded.lists)
    // New York is five hours behind in February; the 15th of 2025 is a Saturday, the 12th a Wednesday.
    let day = has("weekend") ? 15 : 12
    let hour = has("night") ? 8 : 17
    func event(_ number: Int, minute: Int, isLast: Bool) -> [UInt8] {
      let (amount, method, place) =
        isLast
        ? (
          has("amount") ? 5_000.01 : 5_000, has("crypto") ? "crypto" : "card",
          has("country") ? "Lagos, NG" : "Austin, US"
        )
        : (1, "card", "Austin, US")
      return Array(
        """
        {"transaction_id": "t\(number)", "user_id": 1, "merchant_id": 2, "amount": \(amount), "payment_method": "\(method)", \
        "location": "\(place)", "timestamp": "2025-02-\(day)T\(hour < 10 ? "0" : "")\(hour):\(minute)Z"}
        """.utf8)
    }
    let earlier = has("velocity") ? 5 : 4
    for number in 0..<earlier { _ = try engine.score(event(number, minute: 10 + number, isLast: false)) }
    let scored = try engine.score(event(9, minute: 20, isLast: true))
    let expected = points.filter { has($0.key) }.values.reduce(0, +)
    let level =
      expected >= 75
      ? "CRITICAL" : expected >= 50 ? "HIGH" : expected >= 25 ? "MEDIUM" : expected >= 10 ? "LOW" : "MINIMAL"
    #expect(scored.decision.score == .points(expected) && scored.decision.riskLevel == level, "combination \(mask)")
    #expect((scored.decision.verdict == .alert) == (expected >= 50))
    #expect(Set(scored.reasons.map(\.ruleID)) == Set(points.keys.filter(has)))
    for reason in scored.reasons { #expect(reason.contribution == .points(points[reason.ruleID] ?? 0)) }
    levels[scored.decision.riskLevel, default: 0] += 1
  }
  #expect(levels["CRITICAL"] == 14)
}

/// S3's joins: in whatever order the four parts of an order come, the last of them completes it, and every rule sees all of it.
@Test func partsOfAnOrderMayComeInAnyOrder() throws {
  let loaded = try LoadedPipeline(file: "\(TestSite.pipelines)/order-joins.yaml")
  let sample = try Data(contentsOf: URL(fileURLWithPath: "\(TestSite.pipelines)/Samples/order-joins.ndjson"))
  let parts = sample.split(separator: UInt8(ascii: "\n")).prefix(4).map { Array($0) }
  for number in 0..<24 {
    var rest = parts
    let order = [number % 4, number / 4 % 3, number / 12, 0].map { rest.remove(at: $0) }
    var engine = Engine(loaded.pipeline, lists: loaded.lists)
    let scored = try order.map { try engine.score($0) }
    #expect(scored.map { $0.alerts.count } == [0, 0, 0, 1], "order \(number)")
    #expect(scored[3].reasons.map(\.ruleID) == ["elsewhere", "payment", "failed", "bot"], "order \(number)")
  }
}

/// Files that lie beside the checkout and are no part of it.
enum SharedFiles {
  /// `../shared`, or one level further up for a clone in a folder of clones.
  static var folder: String? {
    let parent = URL(fileURLWithPath: TestSite.checkout).deletingLastPathComponent()
    return [parent, parent.deletingLastPathComponent()].map { $0.appending(path: "shared").path }
      .first { FileManager.default.fileExists(atPath: $0) }
  }

  /// A copy of a packed file without its `.gz`, to be removed by whoever asked.
  static func unpacked(_ path: String) -> String? {
    guard let folder, FileManager.default.fileExists(atPath: "\(folder)/\(path)") else { return nil }
    let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    let copy = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString)-\(name)").path
    return run("/bin/sh", ["-c", "gzip -dc \"$0\" > \"$1\"", "\(folder)/\(path)", copy]) ? copy : nil
  }

  static func run(_ program: String, _ arguments: [String]) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}

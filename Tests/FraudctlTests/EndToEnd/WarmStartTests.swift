import Foundation
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// A feature that is added to a running pipeline begins with what it would have had.
@Suite(.enabled(if: Program.isBuilt, "needs the built fraudctl"))
struct WarmStartTests {
  @Test func newFeaturesBeginFilled() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let whole = ReplayTests.definition.replacing("raw: RAW, decisions: true", with: "raw: false")
        .replacing(", window: 1h", with: "").replacing("n > 3", with: "n > 8")
      let lines = whole.split(separator: "\n", omittingEmptySubsequences: false)
      let plain = lines.filter { !$0.contains("features:") && !$0.contains("name: n,") && !$0.contains("id: often") }
      let file = folder + "/cards.yaml"
      let broker = try TestBroker()
      try broker.createTopic(named: "tx", partitions: 4)
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      func apply(_ text: String) throws {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let applied = try Program.run(["pipeline", "apply", file, "--database", database.url])
        #expect(applied.code == 0, "\(applied.errors)")
      }
      func send(_ range: Range<Int>) throws {
        let text = range.map { ReplayTests.line($0) + "\n" }.joined()
        let produced = try Program.run(
          [
            "produce", "--topic", "tx", "--key", "user", "--timestamp", "at", "--brokers", broker.bootstrapServers,
            "--data", folder + "/data",
          ], input: Array(text.utf8))
        #expect(produced.code == 0, "\(produced.errors)")
      }
      func committed(_ count: Int) throws -> Bool {
        try until(60) { try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= count }
      }
      try apply(plain.joined(separator: "\n"))
      try send(0..<300)
      let run = try Program([
        "process", "--pipeline", "cards", "--brokers", broker.bootstrapServers, "--database", database.url, "--archive",
        folder + "/archive", "--warm-from", folder + "/archive",
      ])
      #expect(try committed(300), "\(run.errors)")
      // Complete hours of each partition are archived, the rest is in the topic alone.
      #expect(try until(60) { try ArchiveDirectory(root: folder + "/archive").files().count >= 12 }, "\(run.errors)")
      try apply(whole)
      #expect(until(60) { run.errors.contains("cards: version 2 in force") }, "\(run.errors)")
      #expect(run.errors.contains("features filled with the events up to"), "\(run.errors)")
      try send(300..<400)
      #expect(try committed(400), "\(run.errors)")
      run.send(SIGTERM)
      #expect(run.wait().code == 0, "\(run.errors)")

      let scored = try Program.run(
        ["score", "--pipeline", file], input: Array((0..<400).map { ReplayTests.line($0) + "\n" }.joined().utf8))
      let late = Set((300..<400).map { "é\($0)|often" })
      let expected = try scoredAlerts(scored).intersection(late)
      #expect(expected.count == 80)
      #expect(try database.alerts(of: "cards").intersection(late) == expected)
      #expect(
        try database.count("SELECT count(*) FROM fraud.alerts WHERE rule_id = 'often' AND pipeline_version = 1") == 0)
    }
  }
}

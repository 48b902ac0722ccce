import Foundation
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// Aggregations of eight partitions in the database against those of one file.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(5)))
struct AggregationProcessTests {
  private static let overlay = """
    aggregations:
      - name: state
        by: state
        window: {sliding: 6h, every: 2h}
        measures:
          - {name: n, function: count}
          - {name: amount, function: sum, of: amt}
          - {name: mean, function: mean, of: amt}
          - {name: cards, function: distinct, of: cc_num}
          - {name: median, function: quantile, of: amt, quantile: 0.5}
          - {name: large, function: share, where: "amt > 100"}
    """

  @Test func eightPartitionsGiveWhatAFileGives() throws {
    let folder = try TestSite.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Self.overlay.write(toFile: folder + "/aggregations.yaml", atomically: true, encoding: .utf8)
    let lines = try TestSite.cardPayments(1_600)
    try Data(lines.joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: folder + "/events.ndjson"))
    let broker = try TestBroker()
    try broker.createTopic(named: "card-payments", partitions: 8)
    try TestSite.send(lines, to: "card-payments", partitions: 8, of: broker)
    let database = TestDatabase(url: try TestSite.makeDatabase())
    let definition = [
      "--pipeline", TestSite.pipelines + "/card-payments.yaml", "--overlay", folder + "/aggregations.yaml",
    ]
    // Small commits, so that windows are closed in many of them and what is open goes through the database's hands.
    let outcome = try Program.run(
      ["process"] + definition + [
        "--brokers", broker.bootstrapServers, "--database", database.url, "--group", broker.group("g"), "--until-end",
        "--commit-events",
        "100",
      ])
    #expect(outcome.code == 0, "\(outcome.errors)")
    let scored = try Program.run(
      ["score"] + definition + [
        "--input", folder + "/events.ndjson", "--emit", "none", "--aggregations", folder + "/rows.ndjson",
      ])
    #expect(scored.code == 0, "\(scored.errors)")
    var expected: [String: [String: Double]] = [:]
    for line in try Data(contentsOf: URL(fileURLWithPath: folder + "/rows.ndjson")).split(separator: UInt8(ascii: "\n"))
    {
      let row = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
      let key = try #require(row["key"] as? [String: String])
      expected["\(key["state"] ?? "") \(row["window_end"] ?? "")"] =
        (row["measures"] as? [String: NSNumber])?.mapValues(\.doubleValue)
    }
    var connection = try PostgresConnection(PostgresAddress(database.url))
    let rows = try connection.query(
      """
      SELECT key->>'state' || ' ' || to_char(window_end AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS".000000Z"'),
        measures::text, partitions, complete FROM fraud.aggregate_values ORDER BY 1
      """)
    var complete = 0
    var spread = 0
    for row in 0..<rows.rowCount where try rows.boolean(row, 3) == true {
      let place = try rows.text(row, 0) ?? ""
      let text = try rows.text(row, 1) ?? ""
      let values = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: NSNumber])
      let wanted = try #require(expected[place], "\(place)")
      #expect(values.count == wanted.count)
      for (name, value) in wanted {
        let actual = values[name]?.doubleValue ?? .nan
        // The median is computed by another library's exp().
        #expect(name == "median" ? abs(actual - value) < 1e-9 * value : actual == value, "\(place) \(name)")
      }
      complete += 1
      if try rows.integer(row, 2) ?? 0 > 3 { spread += 1 }
    }
    #expect(complete > 50 && spread > 20, "\(complete) of \(rows.rowCount), \(expected.count) in the file")
  }
}

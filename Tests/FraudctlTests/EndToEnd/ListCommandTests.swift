import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// `list add|remove|import|show` as a user runs them, and what `process` makes of it.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(3)))
struct ListCommandTests {
  @Test func aListThatWasChangedDecides() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let file = folder + "/p.yaml"
      let text = """
        name: p
        kafka_topic: payments
        schema: [{name: id, type: string}, {name: customer, type: integer}]
        event_id: id
        lists: [{name: blocked, type: integer, file: blocked.txt}]
        rules: [{id: r, rule_expression: "customer IN LIST(blocked)", severity: info}]
        """
      try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      try Data("1\n2\n".utf8).write(to: URL(fileURLWithPath: folder + "/blocked.txt"))
      try Data("5\n6\n\n".utf8).write(to: URL(fileURLWithPath: folder + "/more.txt"))
      func list(_ arguments: String..., code: Int32 = 0) throws -> String {
        let outcome = try Program.run(["list"] + arguments + ["--pipeline", "p", "--database", database.url])
        #expect(outcome.code == code, "\(arguments) \(outcome)")
        return outcome.output + outcome.errors
      }
      #expect(try Program.run(["pipeline", "apply", file, "--database", database.url]).code == 0)
      #expect(try list("add", "blocked", "4", "--expires", "7d", "--reason", "case 812").contains("version 2"))
      #expect(try list("remove", "blocked", "1", "--json").contains(#""added":0,"removed":1,"count":2"#))
      #expect(try list("import", "blocked", folder + "/more.txt").contains("2 added"))
      #expect(try list("add", "blokked", "4", code: 65).contains("did you mean 'blocked'?"))
      #expect(try list("add", "blocked", "x", code: 65).contains("holds integers"))
      let shown = try list("show", "blocked", "--json")
      #expect(shown.contains(#""value":"4","expires_at":"20"#) && shown.contains(#""reason":"case 812""#), "\(shown)")
      #expect(try list("show", "--json").contains(#""list":"blocked","type":"integer","count":4"#))

      let broker = try TestBroker()
      try broker.createTopic(named: "payments", partitions: 1)
      let lines = (1...6).map { Array(#"{"id":"e\#($0)","customer":\#($0)}"#.utf8) }
      try TestSite.send(lines, to: "payments", partitions: 1, of: broker)
      let processed = try Program.run([
        "process", "--pipeline", file, "--brokers", broker.bootstrapServers, "--database", database.url, "--until-end",
      ])
      #expect(processed.code == 0, "\(processed)")
      #expect(try database.alerts(of: "p") == ["e2|r", "e4|r", "e5|r", "e6|r"])
      #expect(try database.text("SELECT DISTINCT pipeline_version FROM fraud.alerts") == "4")
    }
  }

  /// `list add` and `list remove` hold in a process that runs, from a batch boundary on, which is on record.
  @Test func aChangeOfAListIsTakenOverWhileItRuns() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      try Data("1\n".utf8).write(to: URL(fileURLWithPath: folder + "/blocked.txt"))
      let text = """
        name: p
        kafka_topic: payments
        schema: [{name: id, type: string, nullable: false}, {name: customer, type: integer}]
        event_id: id
        lists: [{name: blocked, type: integer, file: blocked.txt}]
        rules: [{id: r, rule_expression: "customer IN LIST(blocked)"}]
        """
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/p.yaml"))
      let broker = try TestBroker()
      try broker.createTopic(named: "payments", partitions: 1)
      func send(_ ids: Range<Int>) throws {
        try TestSite.send(
          ids.map { Array(#"{"id":"e\#($0)","customer":\#($0 % 3)}"#.utf8) }, to: "payments", partitions: 1, of: broker)
      }
      let run = try Program([
        "process", "--pipeline", folder + "/p.yaml", "--brokers", broker.bootstrapServers, "--database", database.url,
      ])
      func committed(_ count: Int) throws -> Bool {
        try until(60) { try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= count }
      }
      try send(0..<30)
      #expect(try committed(30), "\(run.errors)")
      for (index, change) in [["add", "blocked", "2"], ["remove", "blocked", "1"]].enumerated() {
        let before = ContinuousClock.now
        let outcome = try Program.run(["list"] + change + ["--pipeline", "p", "--database", database.url])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(until(60) { run.errors.contains("p: version \(index + 2) in force") }, "\(run.errors)")
        print("a change of a list was in force \(before.duration(to: .now)) after `list \(change[0])` began")
        try send((index + 1) * 30..<(index + 2) * 30)
        #expect(try committed((index + 2) * 30), "\(run.errors)")
      }
      run.send(SIGTERM)
      #expect(run.wait().code == 0, "\(run.errors)")
      let alerts = try database.text(
        """
        SELECT pipeline_version, (transaction_data ->> 'customer')::int, count(*), min("offset"), max("offset")
        FROM fraud.alerts GROUP BY 1, 2 ORDER BY 1, 2
        """)
      #expect(alerts == "1|1|10|1|28\n2|1|10|31|58\n2|2|10|32|59\n3|2|10|62|89")
      #expect(
        try database.text("SELECT from_offset, version FROM fraud.activations ORDER BY 1") == "0|1\n30|2\n60|3")
    }
  }
}

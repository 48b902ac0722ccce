import Foundation
import FraudCore
import FraudKafka
import FraudStore
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

      let broker = try DevBroker()
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
}

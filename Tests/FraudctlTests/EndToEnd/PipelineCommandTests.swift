import Foundation
import FraudCore
import FraudStore
import Testing

/// `pipeline check|apply|diff|rollback` as a user runs them.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(3)))
struct PipelineCommandTests {
  @Test func aBadVersionNeverReachesTheDatabase() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let url = try TestSite.makeDatabase()
      func apply(_ text: String, _ more: String...) throws -> Program.Outcome {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/p.yaml"))
        return try Program.run(["pipeline", "apply", folder + "/p.yaml", "--database", url] + more)
      }
      let first = """
        name: p
        schema: [{name: a, type: integer}, {name: at, type: timestamp, min: "2020-01-01T00:00:00Z"}]
        lists: [{name: odd, type: integer, file: odd.txt}]
        rules: [{id: x, rule_expression: "a IN LIST(odd)"}]
        """
      try Data("1\n3\n".utf8).write(to: URL(fileURLWithPath: folder + "/odd.txt"))
      #expect(try apply(first, "--note", "first").code == 0)

      let bad = first.replacing("a IN", with: "aa IN").replacing("odd.txt", with: "even.txt")
        .replacing("2020-01-01T00:00:00Z", with: "soon")
      let refused = try apply(bad)
      #expect(refused.code == 65)
      for part in ["schema[1].min", "unknown column 'aa', did you mean 'a'?", "lists[0].file: cannot read"] {
        #expect(refused.errors.contains(part), "\(refused.errors)")
      }
      let checked = try Program.run(["pipeline", "check", folder + "/p.yaml", "--json"])
      #expect(checked.code == 65)
      #expect(checked.output.contains(#""valid":false"#) && checked.output.contains(#""path":"lists[0].file""#))

      let retyped = try apply(
        first.replacing("{name: a, type: integer}", with: "{name: b, type: string}")
          .replacing("a IN LIST(odd)", with: "b = 'x'"))
      #expect(retyped.code == 65)
      #expect(retyped.errors.contains("field 'a' was removed"), "\(retyped.errors)")
      let history = ["pipeline", "history", "p", "--database", url, "--json"]
      #expect(try Program.run(history).lines.count == 1)

      // Another content of the list's file is another version.
      try Data("1\n3\n5\n".utf8).write(to: URL(fileURLWithPath: folder + "/odd.txt"))
      #expect(try apply(first).output.contains("version 2"))
      let difference = try Program.run(["pipeline", "diff", "p", "--database", url])
      #expect(difference.output.contains("~ lists odd"), "\(difference.output)")
      #expect(try Program.run(["pipeline", "rollback", "p", "--database", url, "--note", "wrong"]).code == 0)
      let versions = try Program.run(history)
      #expect(versions.lines.count == 2)
      #expect(versions.output.contains(#""version":1,"is_active":true"#), "\(versions.output)")
      let valid = try Program.run(["pipeline", "check", TestSite.pipelines + "/five-detectors-weighted.yaml"])
      #expect(valid.code == 0)
      #expect(valid.output.contains("8 of 31 combinations of 5 live rules alert"), "\(valid.output)")
    }
  }
}

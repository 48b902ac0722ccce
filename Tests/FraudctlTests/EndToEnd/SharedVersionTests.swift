import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// Versions in force for a share of the keys, from `pipeline apply` to `pipeline compare`, with a broker and PostgreSQL.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct SharedVersionTests {
  /// A pipeline, its topic with two partitions, and what is run on them.
  private struct Site {
    let folder: String
    let database: TestDatabase
    let broker: TestBroker

    init() throws {
      folder = try TestSite.makeFolder()
      database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      broker = try TestBroker()
      try broker.createTopic(named: "payments", partitions: 2)
    }

    static let control = """
      lists: [{name: blocked, type: integer, values: ["7"]}]
      features: [{name: seen, function: count, by: customer}]
      rules:
        - {id: large, rule_expression: "amount > 900", severity: critical}
        - {id: often, rule_expression: "seen >= 12 AND amount > 600"}
        - {id: blocked, rule_expression: "customer IN LIST(blocked)", severity: info}
        - {id: divided, rule_expression: "amount / divisor > 5000"}
      """

    static let candidate = """
      lists: [{name: blocked, type: integer, values: ["7", "8"]}]
      features:
        - {name: most, function: max, of: amount, by: customer}
        - {name: seen, function: count, by: customer}
      rules:
        - {id: large, rule_expression: "amount > 700", severity: warning}
        - {id: often, rule_expression: "seen >= 10 AND amount > 500"}
        - {id: blocked, rule_expression: "customer IN LIST(blocked)", severity: info}
        - {id: record, rule_expression: "amount > most + 100"}
      """

    func write(_ body: String, share: Double? = nil, more: String = "", field: String = "") throws -> String {
      let text = """
        name: p
        kafka_topic: payments
        \(share.map { "share: \($0)" } ?? "")
        \(more)
        schema:
          - {name: id, type: string, nullable: false}
          - {name: customer, type: integer}
          - {name: amount, type: float, nullable: false}
          - {name: divisor, type: integer}
          - {name: fraud, type: boolean}
          - {name: at, type: timestamp, unit: s}
          \(field)
        event_id: id
        event_time: at
        label: fraud
        key: customer
        \(body)
        """
      let file = folder + "/\(UUID().uuidString).yaml"
      try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      return file
    }

    func fraudctl(_ arguments: String...) throws -> Program.Outcome {
      try Program.run(arguments + ["--database", database.url])
    }

    var metrics: String { folder + "/metrics.prom" }

    func process(_ group: String, failpoint: String? = nil) throws -> Program {
      try Program(
        [
          "process", "--pipeline", "p", "--brokers", broker.bootstrapServers, "--database", database.url, "--group",
          broker.group(group), "--commit-events", "20", "--metrics-file", metrics,
        ], environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:])
    }

    func send(_ numbers: Range<Int>) throws {
      try TestSite.send(numbers.map { Array(Event($0).text.utf8) }, to: "payments", partitions: 2, of: broker)
    }

    func committed(_ count: Int) throws -> Bool {
      try until(90) { try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= count }
    }

    /// Everything that is to be the same however a run was disturbed.
    func results() throws -> String {
      try database.results()
        + database.text("SELECT topic, partition, from_offset, version FROM fraud.activations")
        + database.text(
          """
          SELECT pipeline_version, partition, rule_id, is_treated, share, events, alerts, positives, true_positives,
            false_positives FROM fraud.experiment_counts
          """)
        + database.text("SELECT pipeline_version, partition, rule_id, errors FROM fraud.rule_error_counts")
        + database.text(#"SELECT pipeline_version, partition, rule_id, "offset" FROM fraud.rule_errors"#)
    }
  }

  /// An event by its number: a customer's come in one partition.
  private struct Event {
    let number: Int
    let customer: Int?
    let amount: Int
    let isFraud: Bool?

    init(_ number: Int) {
      self.number = number
      customer = number % 31 == 30 ? nil : (number * 13 + 2 * (number / 40)) % 60
      amount = number * 37 % 1_000
      isFraud = number % 9 == 8 ? nil : amount * (number % 7 + 1) > 2_500
    }

    var text: String {
      #"{"id":"e\#(number)","customer":\#(customer.map { "\($0)" } ?? "null"),"amount":\#(amount),"#
        + #""divisor":\#(number % 11 == 0 ? 0 : 1),"fraud":\#(isFraud.map { "\($0)" } ?? "null")}"#
    }

    /// The version that decides it, where 2 is in force for four tenths of the keys.
    var isTreated: Bool {
      customer.map { Experiment.isTreated(pipeline: "p", key: "\($0)", share: 4_000) } ?? false
    }
  }

  /// From version 1 to a shared version 2, where the process may be killed as it goes over and in the midst of commits.
  private func run(_ site: Site, isDisturbed: Bool) throws {
    let applied = try site.fraudctl("pipeline", "apply", site.write(Site.control))
    #expect(applied.code == 0, "\(applied)")
    var run = try site.process("first", failpoint: isDisturbed ? "switch:1" : nil)
    try site.send(0..<300)
    #expect(try site.committed(300), "\(run.errors)")
    let shared = try site.fraudctl("pipeline", "apply", site.write(Site.candidate, share: 0.4))
    #expect(
      shared.output == "pipeline p (1), version 2 for 40 % of the keys, version 1 for the others\n", "\(shared)")
    if isDisturbed {
      #expect(run.wait().code == -SIGKILL, "\(run.errors)")
      run = try site.process("second", failpoint: "fenced:4")
    } else {
      let message = "p: version 2 in force for 40 % of the keys and 1 for the others"
      #expect(until(90) { run.errors.contains(message) }, "\(run.errors)")
    }
    try site.send(300..<600)
    if isDisturbed {
      #expect(run.wait().code == -SIGKILL, "\(run.errors)")
      run = try site.process("third", failpoint: "committed:2")
      try site.send(600..<900)
      #expect(run.wait().code == -SIGKILL, "\(run.errors)")
      run = try site.process("fourth")
    } else {
      try site.send(600..<900)
    }
    #expect(try site.committed(900), "\(run.errors)")
    run.send(SIGTERM)
    #expect(run.wait().code == 0, "\(run.errors)")
  }

  @Test func killedAsItGoesOverItEqualsAnUndisturbedRun() async throws {
    try await onThread {
      // One after the other, since on a cluster they share a topic.
      let disturbed = try Site()
      defer { try? FileManager.default.removeItem(atPath: disturbed.folder) }
      try run(disturbed, isDisturbed: true)
      let undisturbed = try Site()
      defer { try? FileManager.default.removeItem(atPath: undisturbed.folder) }
      try run(undisturbed, isDisturbed: false)
      #expect(try disturbed.results() == undisturbed.results())
      #expect(
        try disturbed.database.text("SELECT partition, from_offset, version FROM fraud.activations")
          == "0|0|1\n0|150|2\n1|0|1\n1|150|2")
      try expectEachVersionsOwnAlerts(undisturbed)
      try expectFigures(undisturbed)
    }
  }

  /// Each event was decided as `score` decides it with the version of its key, over the events of all keys.
  private func expectEachVersionsOwnAlerts(_ site: Site) throws {
    let events = (0..<900).map { Event($0).text }.joined(separator: "\n")
    try Data(events.utf8).write(to: URL(fileURLWithPath: site.folder + "/events.ndjson"))
    var expected: Set<String> = []
    for (version, body) in [(1, Site.control), (2, Site.candidate)] {
      let scored = try Program.run([
        "score", "--pipeline", try site.write(body, share: version == 2 ? 0.4 : nil), "--input",
        site.folder + "/events.ndjson",
      ])
      #expect(scored.errors.contains("`share` of 40 % counts where the version is applied") == (version == 2))
      for alert in try scoredAlerts(scored) {
        let parts = alert.split(separator: "|").map(String.init)
        let event = Event(Int(parts[0].dropFirst()) ?? 0)
        // What `most` remembers begins with the version that brought it.
        if parts[1] != "record", (event.number >= 300 && event.isTreated) == (version == 2) {
          expected.insert("\(alert)|\(version)")
        }
      }
    }
    let alerts = try site.database.text(
      "SELECT event_id, rule_id, pipeline_version FROM fraud.alerts WHERE rule_id <> 'record'")
    #expect(Set(alerts.split(separator: "\n").map(String.init)) == expected)
    let records = try site.database.text("SELECT event_id FROM fraud.alerts WHERE rule_id = 'record'").split(
      separator: "\n")
    let treated = (300..<900).map(Event.init).filter(\.isTreated)
    var most: [Int: Int] = [:]
    var numbers: Set<Int> = []
    for event in (300..<900).map(Event.init) {
      guard let customer = event.customer else { continue }
      if event.isTreated, let before = most[customer], event.amount > before + 100 { numbers.insert(event.number) }
      most[customer] = max(most[customer] ?? 0, event.amount)
    }
    #expect(Set(records.map { Int($0.dropFirst()) ?? 0 }) == numbers && !numbers.isEmpty && !treated.isEmpty)
    // Errors are those of the control's rule, for its keys, and of version 1 before.
    let errors = (0..<900).map(Event.init).count { $0.number % 11 == 0 && ($0.number < 300 || !$0.isTreated) }
    let counted = try site.database.text(
      "SELECT pipeline_version, rule_id, sum(errors) FROM fraud.rule_error_counts GROUP BY 1, 2")
    #expect(counted == "1|divided|\(errors)")
  }

  /// `pipeline compare` shows what the alerts and labels say, counted here.
  private func expectFigures(_ site: Site) throws {
    let alerted = Set(
      try site.database.text("SELECT DISTINCT event_id FROM fraud.alerts").split(separator: "\n").map(String.init))
    let compared = try site.fraudctl("pipeline", "compare", "p", "--json")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(compared.output.utf8)) as? [String: Any])
    #expect(
      object["version"] as? Int == 2 && object["control_version"] as? Int == 1 && object["share"] as? Double == 0.4)
    var counts: [(events: Int, alerts: Int, right: Int, wrong: Int)] = []
    for (name, isTreated) in [("treated", true), ("control", false)] {
      let events = (300..<900).map(Event.init).filter { $0.customer != nil && $0.isTreated == isTreated }
      let alerts = events.filter { alerted.contains("e\($0.number)") }
      let (right, wrong) = (alerts.count { $0.isFraud == true }, alerts.count { $0.isFraud == false })
      let arm = try #require(object[name] as? [String: Any])
      #expect(arm["events"] as? Int == events.count && arm["alerts"] as? Int == alerts.count, "\(compared)")
      #expect(arm["positives"] as? Int == events.count { $0.isFraud == true }, "\(compared)")
      #expect(arm["tp"] as? Int == right && arm["fp"] as? Int == wrong, "\(compared)")
      #expect(arm["precision"] as? Double == Double(right) / Double(right + wrong))
      counts.append((events.count, alerts.count, right, wrong))
    }
    let rates = counts.map { Double($0.alerts) / Double($0.events) }
    #expect(object["alert_rate_difference"] as? Double == rates[0] - rates[1], "\(compared)")
    let interval = try #require(object["alert_rate_difference_interval"] as? [Double])
    #expect(interval[0] < rates[0] - rates[1] && rates[0] - rates[1] < interval[1])
    #expect((object["precision_difference_interval"] as? [Double])?.count == 2)
    let table = try site.fraudctl("pipeline", "compare", "p")
    #expect(table.output.contains("version 1") && table.output.contains("points ("), "\(table)")
  }

  /// Lists change in both arms; the candidate is replaced, promoted and taken back; every command names both versions.
  @Test func aSharedVersionFromItsBeginningToItsEnd() async throws {
    try await onThread {
      let site = try Site()
      defer { try? FileManager.default.removeItem(atPath: site.folder) }
      func apply(_ file: String) throws -> Program.Outcome { try site.fraudctl("pipeline", "apply", file) }

      let alone = try apply(site.write(Site.candidate, share: 0.4))
      #expect(alone.code == 65 && alone.errors.contains("apply one without 'share' first"), "\(alone)")
      #expect(try apply(site.write(Site.control)).code == 0)
      for (file, reason) in [
        (
          try site.write(Site.candidate, share: 0.4, field: "- {name: more, type: string}"),
          "field 'more' of the schema differs"
        ),
        (try site.write(Site.candidate, share: 0.4, more: "deduplicate: 1h"), "'deduplicate' differs"),
        (
          try site.write(
            Site.candidate.replacingOccurrences(of: "{name: seen,", with: "{name: seen, window: 1h,"), share: 0.4),
          "feature 'seen' is declared otherwise"
        ),
      ] {
        let refused = try apply(file)
        #expect(refused.code == 65 && refused.errors.contains(reason), "\(refused)")
      }
      #expect(try site.database.count("SELECT count(*) FROM fraud.pipeline_versions") == 1)
      #expect(try apply(site.write(Site.candidate, share: 0.4)).output.contains("version 2 for 40 % of the keys"))
      // Another share is another version; the control stays.
      #expect(
        try apply(site.write(Site.candidate, share: 0.5)).output.contains("version 3 for 50 % of the keys, version 1"))
      #expect(
        try apply(site.write(Site.candidate, share: 0.4)).output.contains("version 2 for 40 % of the keys, version 1"))

      let run = try site.process("only")
      try site.send(0..<200)
      #expect(try site.committed(200), "\(run.errors)")
      // A customer who is put on a list is on it in both arms.
      let added = try site.fraudctl("list", "add", "blocked", "9", "10", "11", "12", "--pipeline", "p")
      #expect(added.code == 0, "\(added)")
      #expect(
        until(90) { run.errors.contains("p: version 5 in force for 40 % of the keys and 4 for") }, "\(run.errors)")
      try site.send(200..<400)
      #expect(try site.committed(400), "\(run.errors)")
      let blocked = (200..<400).map(Event.init).filter { (9...12).contains($0.customer ?? 0) }
      #expect(Set(blocked.map(\.isTreated)) == [true, false])
      #expect(
        Set(
          try site.database.text(
            "SELECT event_id, pipeline_version FROM fraud.alerts WHERE rule_id = 'blocked' AND transaction_data ->> 'customer' IN ('9', '10', '11', '12')"
          ).split(separator: "\n").map(String.init))
          == Set(blocked.map { "e\($0.number)|\($0.isTreated ? 5 : 4)" }))
      // Versions that differ in a list alone are one experiment.
      let compared = try site.fraudctl("pipeline", "compare", "p", "--json")
      let object = try JSONSerialization.jsonObject(with: Data(compared.output.utf8)) as? [String: Any]
      let keyed = (0..<400).map(Event.init).filter { $0.customer != nil }
      #expect(
        (object?["treated"] as? [String: Any])?["events"] as? Int == keyed.count(where: \.isTreated), "\(compared)")
      #expect((object?["control"] as? [String: Any])?["events"] as? Int == keyed.count { !$0.isTreated }, "\(compared)")

      for command in [["status"], ["pipeline", "list"]] {
        let shown = try Program.run(command + ["--database", site.database.url])
        #expect(shown.output.contains("5 (40 %), 4"), "\(shown)")
        let json = try Program.run(command + ["--database", site.database.url, "--json"])
        #expect(json.output.contains(#""share":0.4,"control_version":4"#), "\(json)")
      }
      let samples = [
        #"fraud_pipeline_version{pipeline="p"} 5"#, #"fraud_pipeline_version_share{pipeline="p"} 0.4"#,
        #"fraud_pipeline_control_version{pipeline="p"} 4"#,
      ]
      #expect(
        until(10) {
          let text = (try? String(contentsOfFile: site.metrics, encoding: .utf8)) ?? ""
          return samples.allSatisfy { text.contains($0 + "\n") }
        })
      let history = try site.fraudctl("pipeline", "history", "p")
      #expect(history.output.contains("in force for 40 % of the keys"), "\(history)")
      #expect(history.output.contains("in force for the others") && history.output.contains("for 50 % beside 1"))
      #expect(try site.fraudctl("pipeline", "show", "p", "--json").output.contains(#""control_version":4"#))
      let difference = try site.fraudctl("pipeline", "diff", "p")
      #expect(difference.output.contains("version 4 → 5") && difference.output.contains("share"), "\(difference)")

      // Without its share it decides all, and its features go on.
      let promoted = try apply(site.write(Site.candidate))
      #expect(promoted.output.hasSuffix(", version 6\n"), "\(promoted)")
      #expect(until(90) { run.errors.contains("p: version 6 in force\n") }, "\(run.errors)")
      try site.send(400..<600)
      #expect(try site.committed(600), "\(run.errors)")
      let back = try site.fraudctl("pipeline", "rollback", "p", "--to", "5")
      #expect(back.code == 0, "\(back)")
      let control = try site.fraudctl("pipeline", "rollback", "p", "--json")
      #expect(control.output.contains(#""from":5,"version":4"#), "\(control)")
      #expect(until(90) { run.errors.contains("p: version 4 in force\n") }, "\(run.errors)")
      run.send(SIGTERM)
      #expect(run.wait().code == 0, "\(run.errors)")
      #expect(
        try site.database.count("SELECT count(*) FROM fraud.alerts WHERE \"offset\" >= 200 AND pipeline_version <> 6")
          == 0)
      var most: [Int: Int] = [:]
      var records: Set<Int> = []
      for event in (0..<600).map(Event.init) {
        guard let customer = event.customer else { continue }
        if event.number >= 400, let before = most[customer], event.amount > before + 100 {
          records.insert(event.number)
        }
        most[customer] = max(most[customer] ?? 0, event.amount)
      }
      let found = try site.database.text(
        "SELECT event_id FROM fraud.alerts WHERE rule_id = 'record' AND pipeline_version = 6")
      #expect(Set(found.split(separator: "\n").map { Int($0.dropFirst()) ?? 0 }) == records)
      #expect(try site.fraudctl("pipeline", "delete", "p", "--yes").code == 0)
    }
  }
}

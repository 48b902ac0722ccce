import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

/// `process` as a user runs it, against a dev broker and a PostgreSQL of its own, with everything that may happen to it.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct ProcessTests {
  /// A topic with card transactions, and the file that holds them.
  final class CardTopic {
    static let partitions = 4
    let broker: TestBroker
    let file: String
    let lines: Int
    private let held: [[UInt8]]

    /// - Parameter held: how many of them ``sendHeld()`` sends.
    init(_ count: Int, holding held: Int = 0) throws {
      let lines = try TestSite.cardPayments(count)
      self.lines = lines.count
      self.held = Array(lines.suffix(held))
      file = try TestSite.makeFolder() + "/events.ndjson"
      try Data(lines.joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: file))
      broker = try TestBroker()
      try broker.createTopic(named: "card-payments", partitions: Self.partitions)
      try TestSite.send(lines.dropLast(held), to: "card-payments", partitions: Self.partitions, of: broker)
    }

    func sendHeld() throws {
      try TestSite.send(held, to: "card-payments", partitions: Self.partitions, of: broker)
    }

    deinit { try? FileManager.default.removeItem(atPath: URL(fileURLWithPath: file).deletingLastPathComponent().path) }

    func process(_ database: TestDatabase, group: String = "g", _ more: String...) throws -> Program {
      try Program(
        [
          "process", "--pipeline", TestSite.pipelines + "/card-payments.yaml", "--brokers", broker.bootstrapServers,
          "--database", database.url, "--group", broker.group(group),
        ] + more)
    }

    /// A run that nothing disturbs, compared with `score` over the same events.
    func undisturbed() throws -> TestDatabase {
      let database = TestDatabase(url: try TestSite.makeDatabase())
      let metrics = file + ".prom"
      let outcome = try process(database, "--until-end", "--json", "--stats", "--metrics-file", metrics).wait()
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.output.contains(#""events":\#(lines),"accepted":\#(lines),"rejected":0"#), "\(outcome.output)")
      let scored = try Program.run([
        "score", "--pipeline", TestSite.pipelines + "/card-payments.yaml", "--input", file, "--output", "-",
      ])
      let alerts = try scoredAlerts(scored)
      #expect(alerts.count > 5)
      #expect(try database.alerts(of: "card-payments") == alerts)
      let text = try String(contentsOfFile: metrics, encoding: .utf8)
      #expect(text.contains(#"fraud_events_total{pipeline="card-payments"} \#(lines)"#), "\(text)")
      #expect(outcome.errors.contains("event to commit p50"), "\(outcome.errors)")
      #expect(outcome.errors.contains("partitions 0 from 0, 1 from 0, 2 from 0, 3 from 0"), "\(outcome.errors)")
      let status = try Program.run([
        "status", "--json", "--database", database.url, "--brokers", broker.bootstrapServers,
      ])
      #expect(status.lines.count == Self.partitions)
      #expect(status.output.split(separator: #""lag":0,"#).count == Self.partitions + 1, "\(status.output)")
      return database
    }
  }

  @Test func killedAtAnyMomentItLosesAndRepeatsNothing() async throws {
    try await onThread {
      let topic = try CardTopic(6_000)
      let undisturbed = try topic.undisturbed()
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      var random = SystemRandomNumberGenerator()
      for attempt in 0..<6 {
        // A group of its own each time, so that nobody waits for the dead member; progress is in the database. The kill
        // comes when partitions are being taken or soon after, often before there is a commit.
        let taken = try database.count("SELECT coalesce(sum(epoch), 0) FROM fraud.partitions")
        let run = try topic.process(database, group: "kill-\(attempt)", "--commit-events", "10")
        _ = try until(90) {
          try !run.isRunning || database.count("SELECT coalesce(sum(epoch), 0) FROM fraud.partitions") > taken
        }
        usleep(.random(in: 0...200_000, using: &random))
        run.send(SIGKILL)
        #expect(run.wait().code == -SIGKILL, "\(run.errors)")
      }
      let outcome = try topic.process(database, group: "last", "--commit-events", "10", "--until-end").wait()
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(try database.results() == undisturbed.results(), "\(outcome.errors)")
    }
  }

  /// What features remember moves with the offsets: the alerts of a run that dies again and again are `score`'s.
  @Test func whatFeaturesRememberSurvivesBeingKilled() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let file = folder + "/events.ndjson"
      let lines = try TestSite.cardPayments(4_000)
      try Data(lines.joined(separator: [UInt8(ascii: "\n")])).write(to: URL(fileURLWithPath: file))
      let pipeline = folder + "/pipeline.yaml"
      let text = try String(contentsOfFile: TestSite.pipelines + "/card-payments.yaml", encoding: .utf8)
      let features = """
        features:
          - {name: recent, function: count, by: cc_num, window: 24h}
          - {name: usual, function: mean, of: amt, by: cc_num}
          - {name: shops, function: distinct, of: merchant, by: cc_num, window: 30d}
        rules:
          - {id: unusual, rule_expression: "amt > 4 * usual AND recent >= 2"}
          - {id: many-shops, rule_expression: "shops > 12 AND amt > 200"}

        """
      try Data(text.replacing("rules:\n", with: features).utf8).write(to: URL(fileURLWithPath: pipeline))
      let broker = try TestBroker()
      try broker.createTopic(named: "card-payments", partitions: 2)
      let sent = try Program.run([
        "produce", "--brokers", broker.bootstrapServers, "--topic", "card-payments", "--input", file, "--key", "cc_num",
      ])
      #expect(sent.code == 0, "\(sent.errors)")
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      func process(_ group: String, _ more: String...) throws -> Program {
        try Program(
          [
            "process", "--pipeline", pipeline, "--brokers", broker.bootstrapServers, "--database", database.url,
            "--group", broker.group(group),
          ] + more)
      }
      for attempt in 0..<3 {
        let progress = "SELECT coalesce(sum(seq), 0) FROM fraud.partitions"
        let commits = try database.count(progress)
        let run = try process("kill-\(attempt)", "--commit-events", "20")
        // The last one dies as soon as it has a partition, the others when they have committed something.
        _ = try until(90) {
          try !run.isRunning
            || database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") == lines.count
            || database.count(progress) > commits
        }
        run.send(SIGKILL)
        #expect(run.wait().code == -SIGKILL, "\(run.errors)")
      }
      let outcome = try process("last", "--commit-events", "20", "--until-end").wait()
      #expect(outcome.code == 0, "\(outcome.errors)")
      let alerts = try scoredAlerts(try Program.run(["score", "--pipeline", pipeline, "--input", file]))
      #expect(alerts.contains { $0.hasSuffix("|unusual") } && alerts.contains { $0.hasSuffix("|many-shops") })
      #expect(try database.alerts(of: "card-payments") == alerts)
      #expect(try database.count("SELECT count(*) FROM fraud.state_deltas") > 0)
    }
  }

  /// A message that kills whoever evaluates it is isolated within three restarts, and is the only one that is.
  @Test func aMessageThatCrashesTheWorkerIsIsolated() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "poisoned", partitions: 2)
      let lines = (0..<60).map { id in
        Array(#"{"id": "\#(id)", "text": "\#(id == 31 ? "dreadful" : "fine")"}"#.utf8)
      }
      try TestSite.send(lines, to: "poisoned", partitions: 2, of: broker)
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let pipeline = folder + "/p.yaml"
      try Data(
        """
        name: poisoned
        kafka_topic: poisoned
        schema: [{name: id, type: string, nullable: false}, {name: text, type: string}]
        event_id: id
        rules: [{id: every, rule_expression: "text IS NOT NULL"}]
        """.utf8
      ).write(to: URL(fileURLWithPath: pipeline))
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      func start(_ group: String) throws -> Program.Outcome {
        try Program(
          [
            "process", "--pipeline", pipeline, "--brokers", broker.bootstrapServers, "--database", database.url,
            "--group", broker.group(group), "--until-end",
          ], environment: ["FRAUD_FAILPOINT": "poison:dreadful"]
        ).wait()
      }
      try expectIsolation(start)
      let rejected = try database.text(
        #"SELECT "partition", "offset", reason, convert_from(payload, 'UTF8') FROM fraud.rejected_events"#)
      #expect(rejected == #"1|15|crashed_worker|{"id": "31", "text": "dreadful"}"#)
      #expect(try database.count("SELECT count(*) FROM fraud.alerts") == 59)
      #expect(try database.text("SELECT sum(accepted), sum(rejected) FROM fraud.partitions") == "59|1")
    }
  }

  /// A new version takes over while it runs, at an offset of each partition that is on record; features go on, and a
  /// version that does not compile is never seen.
  @Test func aVersionIsTakenOverWhileItRuns() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      func apply(_ rules: String, _ database: TestDatabase) throws -> Program.Outcome {
        let text = """
          name: live
          kafka_topic: live
          key: user
          schema: [{name: id, type: string, nullable: false}, {name: user, type: string}, {name: amount, type: float}]
          event_id: id
          features: [{name: seen, function: count, by: user}]
          rules: [\(rules)]
          """
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/live.yaml"))
        return try Program.run(["pipeline", "apply", folder + "/live.yaml", "--database", database.url])
      }
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      #expect(try apply(#"{id: every, rule_expression: "amount > 0"}"#, database).code == 0)
      let broker = try TestBroker()
      try broker.createTopic(named: "live", partitions: 2)
      func send(_ ids: Range<Int>) throws {
        try TestSite.send(
          ids.map { Array(#"{"id": "\#($0)", "user": "u\#($0 % 2)", "amount": 5}"#.utf8) }, to: "live", partitions: 2,
          of: broker)
      }
      func process(_ group: String) throws -> Program {
        try Program([
          "process", "--pipeline", "live", "--brokers", broker.bootstrapServers, "--database", database.url,
          "--group", broker.group(group),
        ])
      }
      func committed(_ count: Int) throws -> Bool {
        try until(60) { try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= count }
      }
      try send(0..<100)
      let run = try process("first")
      #expect(try committed(100), "\(run.errors)")

      #expect(try apply(#"{id: broken, rule_expression: "amout > 0"}"#, database).code == 65)
      let before = ContinuousClock.now
      #expect(try apply(#"{id: counted, rule_expression: "seen >= 50"}"#, database).code == 0)
      #expect(until(60) { run.errors.contains("live: version 2 in force") }, "\(run.errors)")
      print("a version was in force \(before.duration(to: .now)) after `pipeline apply` began")
      try send(100..<160)
      #expect(try committed(160), "\(run.errors)")
      run.send(SIGKILL)
      #expect(run.wait().code == -SIGKILL)
      try send(160..<200)
      let second = try process("second")
      #expect(try committed(200), "\(second.errors)")
      second.send(SIGTERM)
      #expect(second.wait().code == 0, "\(second.errors)")

      let alerts = try database.text(
        """
        SELECT pipeline_version, rule_id, count(*), min(event_id::int), max(event_id::int) FROM fraud.alerts GROUP BY 1, 2
        """)
      #expect(alerts == "1|every|100|0|99\n2|counted|100|100|199")
      #expect(
        try database.text("SELECT partition, from_offset, version FROM fraud.activations")
          == "0|0|1\n0|50|2\n1|0|1\n1|50|2")
    }
  }

  @Test func twoProcessesShareTheWorkAndOneIsEnoughInTheEnd() async throws {
    try await onThread {
      let topic = try CardTopic(4_000)
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      let first = try topic.process(database, "--commit-events", "100")
      let second = try topic.process(database, "--commit-events", "100")
      let isDone = try until(120) {
        try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= topic.lines
      }
      #expect(isDone, "\(first.errors)\n\(second.errors)")
      let start = ContinuousClock.now
      first.send(SIGTERM)
      let left = first.wait(60)
      #expect(left.code == 0, "\(left.errors)")
      #expect(start.duration(to: .now) < .seconds(5))
      second.send(SIGTERM)
      #expect(second.wait(60).code == 0, "\(second.errors)")
      #expect(try database.count("SELECT sum(accepted + rejected) FROM fraud.partitions") == topic.lines)
      #expect(try database.count("SELECT sum(accepted + rejected - next_offset) FROM fraud.partitions") == 0)
    }
  }

  @Test(arguments: ["on", "off"]) func aDatabaseThatFallsOverIsWaitedFor(durability: String) async throws {
    try await onThread {
      let topic = try CardTopic(4_000, holding: 2_000)
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let server = try EmbeddedPostgres.acquire(dataDirectory: folder)
      defer { try? EmbeddedPostgres.remove(dataDirectory: folder) }
      let database = TestDatabase(url: server.address.secretText)
      _ = try Program.run(["database", "migrate", "--database", database.url])
      let run = try topic.process(database, "--commit-events", "20", "--durability", durability)
      let hasBegun = try until(90) {
        try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") > 0
      }
      #expect(hasBegun, "\(run.errors)")
      let status = try #require(try EmbeddedPostgres.status(dataDirectory: folder))
      let file = try String(contentsOfFile: status.directory + "/data/postmaster.pid", encoding: .utf8)
      let postmaster = try #require(pid_t(file.prefix { $0.isNumber }))
      // An immediate shutdown: the server recovers as from a crash.
      kill(postmaster, SIGQUIT)
      #expect(until(90) { kill(postmaster, 0) != 0 })
      try topic.sendHeld()
      #expect(until(90) { run.errors.contains("waiting: ") }, "\(run.errors)")
      #expect(run.isRunning)
      let again = try EmbeddedPostgres.acquire(dataDirectory: folder)
      defer {
        again.release()
        server.release()
      }
      let isDone = try until(120) {
        try database.count("SELECT coalesce(sum(next_offset), 0) FROM fraud.partitions") >= topic.lines
      }
      #expect(isDone, "\(run.errors)")
      run.send(SIGTERM)
      #expect(run.wait(60).code == 0, "\(run.errors)")
      #expect(try database.results() == topic.undisturbed().results())
    }
  }

  @Test func threePipelinesDoNotSeeEachOther() async throws {
    try await onThread {
      let names = ["stripe-payments", "marketplace-orders", "industrial-iot"]
      let topics = ["stripe_transactions", "marketplace_orders", "sensor_readings"]
      let data = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: data) }
      let broker = try Program(["broker", "--data", data] + topics.flatMap { ["--topic", $0 + ":2"] })
      #expect(until(90) { broker.output.contains(":") }, "\(broker.errors)")
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      var runs: [Program] = []
      for (name, topic) in zip(names, topics) {
        let sample = TestSite.pipelines + "/Samples/\(name).ndjson"
        // One partition, since features of one pipeline see events in the order of the file.
        let key = ["stripe-payments": "customer_id", "marketplace-orders": "buyer_id", "industrial-iot": "sensor_id"]
        let sent = try Program.run(
          ["produce", "--data", data, "--topic", topic, "--input", sample, "--key", key[name] ?? ""])
        #expect(sent.code == 0, "\(sent.errors)")
        runs.append(
          try Program([
            "process", "--pipeline", TestSite.pipelines + "/\(name).yaml", "--data", data, "--database", database.url,
            "--until-end",
          ]))
      }
      for (index, run) in runs.enumerated() {
        let outcome = run.wait()
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("pipeline \(names[index]) "), "\(outcome.errors)")
        #expect(outcome.errors.contains("Loaded "), "\(outcome.errors)")
      }
      for (name, topic) in zip(names, topics) {
        let sample = TestSite.pipelines + "/Samples/\(name).ndjson"
        let scored = try Program.run(["score", "--pipeline", TestSite.pipelines + "/\(name).yaml", "--input", sample])
        let alerts = try scoredAlerts(scored)
        #expect(!alerts.isEmpty)
        if name != "industrial-iot" { #expect(try database.alerts(of: name) == alerts) }
        #expect(
          try database.count("SELECT count(*) FROM fraud.alerts WHERE pipeline = '\(name)'") == scored.lines.count)
        let events = try String(contentsOfFile: sample, encoding: .utf8).split(separator: "\n").count
        let progress = try database.text(
          """
          SELECT count(DISTINCT p.topic), min(p.topic), sum(p.next_offset), sum(p.accepted + p.rejected)
          FROM fraud.partitions p JOIN fraud.pipelines n ON n.id = p.pipeline_id WHERE n.name = '\(name)'
          """)
        #expect(progress == "1|\(topic)|\(events)|\(events)")
        #expect(
          try database.count("SELECT count(*) FROM fraud.alerts WHERE pipeline = '\(name)' AND topic <> '\(topic)'")
            == 0)
      }
      broker.send(SIGTERM)
      #expect(broker.wait(60).code == 0)
    }
  }
}

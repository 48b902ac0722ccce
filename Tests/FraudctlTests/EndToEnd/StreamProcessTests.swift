import Foundation
import FraudCore
import FraudKafka
import FraudStore
import TestBrokers
import Testing

@testable import fraudctl

/// `process` over several topics that meet by key and event time.
@Suite(.enabled(if: Program.isBuilt, "fraudctl is not built beside the tests"), .timeLimit(.minutes(10)))
struct StreamProcessTests {
  static let definition = """
    name: orders
    kafka_topic: orders
    schema:
      - {name: id, type: integer, nullable: false}
      - {name: user, type: integer, nullable: false}
      - {name: at, type: timestamp, nullable: false}
    event_id: id
    event_time: at
    key: user
    streams:
      - name: payments
        kafka_topic: payments
        schema:
          - {name: client, type: integer, nullable: false}
          - {name: amount, type: integer, nullable: false}
          - {name: paid_at, type: timestamp, nullable: false}
        event_time: paid_at
        key: client
      - name: labels
        kafka_topic: labels
        schema: [{name: user, type: integer, nullable: false}, {name: at, type: timestamp, nullable: false}]
        event_time: at
        key: user
    features:
      - {name: paid, from: payments, function: count, by: user, window: 2h}
      - {name: last_paid, from: payments, function: last, of: amount, by: user}
      - {name: labelled, from: labels, function: count, by: user}
      - {name: ordered, function: count, by: user, window: 2h}
    rules:
      - {id: three, rule_expression: "paid % 3 = 1"}
      - {id: last, rule_expression: "last_paid % 2 = 0 AND labelled = 0"}
      - {id: both, rule_expression: "(paid + ordered) % 5 = 2"}
    """

  /// Orders and payments of 30 customers in the order of their times; the topic of labels stays empty.
  final class Topics {
    static let partitions = 2
    let broker: TestBroker
    let folder: String
    let orderCount = 6_000

    init() throws {
      folder = try TestSite.makeFolder()
      broker = try TestBroker()
      for topic in ["orders", "payments", "labels"] {
        try broker.createTopic(named: topic, partitions: Self.partitions)
      }
      try broker.createTopic(named: "narrow", partitions: 1)
      try Data(StreamProcessTests.definition.utf8).write(to: URL(fileURLWithPath: folder + "/p.yaml"))
      var (orders, payments): (String, String) = ("", "")
      for index in 0..<2 * orderCount {
        // Every twelve seconds one or the other.
        let minutes = index / 5
        let time = String(
          format: "2026-01-%02dT%02d:%02d:%02dZ", 1 + minutes / 1_440, minutes / 60 % 24, minutes % 60, index % 5 * 12)
        let user = index / 2 * 7_919 % 30
        if index % 2 == 0 {
          orders += #"{"id":\#(index),"user":\#(user),"at":"\#(time)"\#(index % 50 == 0 ? #","more":1"# : "")}"# + "\n"
        } else {
          let amount = index % 101 == 0 ? "true" : "\(index * 31 % 17)"
          payments += #"{"client":\#(user),"amount":\#(amount),"paid_at":"\#(time)"}"# + "\n"
        }
      }
      for (topic, text, key) in [("orders", orders, "user"), ("payments", payments, "client")] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(topic).ndjson"))
        let sent = try Program.run([
          "produce", "--brokers", broker.bootstrapServers, "--topic", topic, "--key", key, "--input",
          "\(folder)/\(topic).ndjson",
        ])
        try #require(sent.code == 0, "\(sent.errors)")
      }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func process(
      _ database: TestDatabase, group: String, _ more: [String], failpoint: String? = nil
    ) throws -> Program {
      try Program(
        [
          "process", "--pipeline", folder + "/p.yaml", "--brokers", broker.bootstrapServers, "--database",
          database.url, "--group", broker.group(group),
        ] + more, environment: failpoint.map { ["FRAUD_FAILPOINT": $0] } ?? [:])
    }

    func makeDatabase() throws -> TestDatabase {
      let database = TestDatabase(url: try TestSite.makeDatabase())
      _ = try Program.run(["database", "migrate", "--database", database.url])
      return database
    }
  }

  static func progress(_ database: TestDatabase) throws -> String {
    try database.text(
      "SELECT topic, partition, stream_topic, start_offset, next_offset, accepted, rejected FROM fraud.stream_progress")
  }

  /// Killed again and again, with topics that wait for each other, it does what an undisturbed run and `score` do.
  @Test func killedAtAnyMomentTopicsStillMeet() async throws {
    try await onThread {
      let topics = try Topics()
      let whole = try topics.makeDatabase()
      let patient = ["--stream-wait", "60s", "--commit-events", "100"]
      let undisturbed = try topics.process(whole, group: "whole", patient + ["--until-end"]).wait()
      #expect(undisturbed.code == 0, "\(undisturbed.errors)")
      let scored = try Program.run([
        "score", "--pipeline", topics.folder + "/p.yaml", "--input", topics.folder + "/orders.ndjson", "--stream",
        "payments=\(topics.folder)/payments.ndjson", "--stream", "labels=/dev/null",
      ])
      #expect(scored.code == 0, "\(scored.errors)")
      let alerts = try scoredAlerts(scored)
      #expect(alerts.count > 500)
      #expect(try whole.alerts(of: "orders") == alerts)
      #expect(
        try whole.text("SELECT topic, reason, count(*) FROM fraud.rejected_events GROUP BY 1, 2")
          == "payments|wrong_type|59")
      #expect(
        try whole.text("SELECT sum(accepted), sum(rejected), sum(unknown_fields) FROM fraud.partitions") == "6000|0|240"
      )
      #expect(
        try whole.text("SELECT stream_topic, sum(accepted), sum(rejected) FROM fraud.stream_progress GROUP BY 1")
          == "labels|0|0\npayments|5941|59")

      let killed = try topics.makeDatabase()
      for (number, failpoint) in ["committed:1", "fenced:2", "commit:2"].enumerated() {
        // At the deadline it is killed wherever it is.
        let run = try topics.process(killed, group: "kill-\(number)", patient, failpoint: failpoint).wait(60)
        #expect(run.code == -SIGKILL, "\(failpoint): \(run.errors)")
      }
      let last = try topics.process(killed, group: "last", patient + ["--until-end"]).wait()
      #expect(last.code == 0, "\(last.errors)")
      #expect(try killed.results() == whole.results(), "\(last.errors)")
      #expect(try Self.progress(killed) == Self.progress(whole))

      // A stream's events were never to be scored, and the scored topic is not theirs.
      _ = try Program.run(["pipeline", "apply", topics.folder + "/p.yaml", "--database", whole.url])
      let redriven = try Program.run([
        "rejected", "redrive", "--pipeline", "orders", "--publish", "--dry-run", "--json", "--database", whole.url,
        "--brokers", topics.broker.bootstrapServers,
      ])
      #expect(redriven.output.contains(#""published":0,"alerts":0,"rejected":{}"#), "\(redriven)")
    }
  }

  /// What each commit took of each topic is on record, and gives the same alerts again, however the topics came.
  @Test func recordedRangesGiveTheSameAlertsAgain() async throws {
    try await onThread {
      let topics = try Topics()
      let database = try topics.makeDatabase()
      let hasty = ["--stream-wait", "0s", "--commit-events", "40"]
      for failpoint in ["committed:2", "fenced:2"] {
        let run = try topics.process(database, group: failpoint, hasty, failpoint: failpoint).wait(60)
        #expect(run.code == -SIGKILL, "\(run.errors)")
      }
      let last = try topics.process(database, group: "last", hasty + ["--until-end"]).wait()
      #expect(last.code == 0, "\(last.errors)")
      let pipeline = try LoadedPipeline(file: topics.folder + "/p.yaml").pipeline
      var replayed: [String] = []
      let generation = try database.text("SELECT DISTINCT generation FROM fraud.partitions")
      for partition in 0..<Topics.partitions {
        replayed += try Replay(topics, pipeline, partition: Int32(partition), generation: generation).alerts(database)
      }
      let stored = try database.text("SELECT alert_id, event_id, rule_id, reasons::text AS reasons FROM fraud.alerts")
        .split(separator: "\n").map(String.init)
      #expect(stored.count > 10)
      #expect(replayed.sorted() == stored.sorted())
    }
  }

  /// Evaluates the ranges that commits recorded, in their order.
  struct Replay {
    let pipeline: Pipeline
    let partition: Int32
    let generation: String
    /// The messages of each topic by offset, with their times in milliseconds.
    private var messages: [[(offset: Int64, timestamp: Int64?, value: [UInt8])]] = []

    init(_ topics: Topics, _ pipeline: Pipeline, partition: Int32, generation: String) throws {
      self.pipeline = pipeline
      self.partition = partition
      self.generation = generation
      var configuration = ConsumerConfiguration(
        connection: KafkaConnection(brokers: topics.broker.bootstrapServers),
        group: topics.broker.group("replay-\(partition)"))
      if !topics.broker.isReal { configuration.suitDevBroker() }
      for topic in ["orders", "payments", "labels"] {
        let consumer = try KafkaConsumer(configuration)
        defer { consumer.close() }
        try consumer.assign([TopicPartition(topic: topic, partition: partition): .beginning])
        var found: [(offset: Int64, timestamp: Int64?, value: [UInt8])] = []
        var batch = MessageBatch()
        var isAtEnd = false
        let deadline = ContinuousClock.now + .seconds(120)
        while !isAtEnd, ContinuousClock.now < deadline {
          if case .reachedEnd = try consumer.poll(into: &batch, timeout: .milliseconds(100)) { isAtEnd = true }
          for message in batch.messages {
            found.append(
              (message.offset, message.timestampMilliseconds, message.value.map { Array(batch.bytes[$0]) } ?? []))
          }
        }
        try #require(isAtEnd)
        messages.append(found)
      }
    }

    func alerts(_ database: TestDatabase) throws -> [String] {
      var connection = try PostgresConnection(PostgresAddress(database.url))
      let ranges = try connection.query(
        """
        SELECT seq, read_topic, first_offset, next_offset FROM fraud.commit_ranges
        WHERE partition = $1 ORDER BY seq
        """, [.integer(Int64(partition))])
      var engine = Engine(pipeline, version: 1)
      var merge = TopicMerge(pipeline)
      var alerts: [String] = []
      let names = ["orders", "payments", "labels"]
      func emit(_ engine: inout Engine, _ batch: EventBatch) {
        for draft in engine.alerts {
          let alert = engine.alert(draft, of: batch)
          var reasons: [UInt8] = []
          Reason.append(alert.reasons, to: &reasons)
          alerts.append(
            "\(alert.id)|\(alert.eventID ?? "")|\(alert.ruleID ?? "")|\(String(decoding: reasons, as: UTF8.self))")
        }
      }
      for topic in names.indices { merge.setEnded(true, topic: topic) }
      var row = 0
      while row < ranges.rowCount {
        let sequence = try ranges.integer(row, 0)
        while row < ranges.rowCount, try ranges.integer(row, 0) == sequence {
          let topic = try #require(names.firstIndex(of: try ranges.text(row, 1) ?? ""))
          let offsets = try (ranges.integer(row, 2) ?? 0)..<(ranges.integer(row, 3) ?? 0)
          let plan = topic == 0 ? nil : pipeline.features.streams[topic - 1]
          var state = DecoderState(plan?.decoder ?? pipeline.decoder)
          let wanted = messages[topic].filter { offsets.contains($0.offset) }
          try #require(wanted.count == offsets.count)
          for start in stride(from: 0, to: wanted.count, by: Limits.batchRows) {
            var batch = EventBatch(
              layout: plan?.layout ?? pipeline.layout,
              source: EventSource(topic: names[topic], generation: generation, partition: partition))
            for message in wanted[start..<min(wanted.count, start + Limits.batchRows)] {
              batch.append(
                message: message.value.span, offset: message.offset, timestamp: message.timestamp.map { $0 * 1_000 })
            }
            (plan?.decoder ?? pipeline.decoder).decode(&batch, &state)
            merge.append(batch, topic: topic)
          }
          row += 1
        }
        for place in merge.nextUnit() { engine.take(place, of: merge, emit: emit) }
        engine.evaluateTaken(emit: emit)
        merge.finishUnit()
      }
      return try alerts.map { line in
        // As PostgreSQL writes JSON.
        let parts = line.split(separator: "|", maxSplits: 3)
        let text = try connection.query("SELECT $1::jsonb::text", [.text(String(parts[3]))])
        return "\(parts[0])|\(parts[1])|\(parts[2])|\(try text.text(0, 0) ?? "")"
      }
    }
  }

  @Test func topicsThatAreDividedOtherwiseAreRefused() async throws {
    try await onThread {
      let topics = try Topics()
      let database = try topics.makeDatabase()
      let overlay = topics.folder + "/narrow.yaml"
      let text = Self.definition.replacing("kafka_topic: payments", with: "kafka_topic: narrow")
      try Data(text.utf8).write(to: URL(fileURLWithPath: overlay))
      let outcome = try Program.run([
        "process", "--pipeline", overlay, "--brokers", topics.broker.bootstrapServers, "--database", database.url,
      ])
      #expect(outcome.code == 65)
      #expect(outcome.errors.contains("topic narrow has 1 partition and orders 2"), "\(outcome.errors)")
    }
  }
}

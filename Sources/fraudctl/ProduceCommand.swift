import ArgumentParser
import Foundation
import FraudCore
import FraudKafka

/// `fraudctl produce`: a file, or stdin, to a topic.
struct ProduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "produce",
    abstract: "Send events from files or stdin to a Kafka topic.",
    discussion: """
      Lines are sent as they are, blank ones are skipped. Records of a CSV file become JSON objects: with --schema or
      --pipeline the declared numbers and booleans are written as such, else every cell is text, and an empty one null.
      Equal keys go to the same partition, as Java's producer chooses it.

      EXAMPLES
        fraudctl produce --topic transactions --input events.ndjson --key customer_id
        fraudctl produce --topic transactions --input events.csv --pipeline pipeline.yaml --key card --rate 1000
        fraudctl produce --topic transactions --partitions 8 --input events.ndjson.zst --key card --brokers kafka:9092
        tail -f events.ndjson | fraudctl produce --topic transactions --brokers kafka:9092
      """)

  @Option(help: "The topic.")
  var topic: String

  @Option(
    help: ArgumentHelp(
      "Create the topic with so many partitions where there is none, replicated as the cluster's default says (default: it must "
        + "exist).", valueName: "n"))
  var partitions: Int?

  @Option(help: ArgumentHelp("A file, also packed as .zst, or - for stdin. May be repeated.", valueName: "file|-"))
  var input: [String] = ["-"]

  @Option(help: ArgumentHelp("ndjson or csv (default: by the file's name).", valueName: "format"))
  var inputFormat: MessageInput.Format?

  @Option(help: ArgumentHelp("Messages a second (default: as fast as possible).", valueName: "n"))
  var rate: Double?

  @Option(
    help: ArgumentHelp(
      "Stay at most 2 MiB ahead of what this consumer group has committed, so that the dev broker forgets nothing.",
      valueName: "group"))
  var follow: String?

  @Option(help: ArgumentHelp("The field whose text is the message's key.", valueName: "field"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "The field that is the message's timestamp: ISO 8601, or a number in the unit that the schema declares, else in "
        + "milliseconds (default: the time of sending).", valueName: "field"))
  var timestamp: String?

  @Option(help: ArgumentHelp("A schema, for the types of CSV cells.", valueName: "file"))
  var schema: String?

  @Option(help: ArgumentHelp("A pipeline, for the types of CSV cells.", valueName: "file"))
  var pipeline: String?

  @OptionGroup var brokers: BrokerOptions
  @OptionGroup var place: DataOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let rate, !(rate > 0 && rate.isFinite) { throw ValidationError("--rate must be more than 0") }
    if let partitions, partitions < 1 { throw ValidationError("--partitions must be at least 1") }
    if schema != nil, pipeline != nil { throw ValidationError("--schema and --pipeline exclude each other") }
  }

  func run() throws {
    try reporting {
      Interruption.watch()
      let schema = try (schema ?? pipeline).map { try Schema(readDefinition($0)) }
      // Every input is opened before anything is sent.
      let inputs = try input.map { try MessageInput(path: $0, format: inputFormat, schema: schema) }
      let connection = try brokers.connection(data: place.data)
      let admin = try KafkaAdmin(connection)
      if let partitions { try admin.ensureTopic(named: topic, partitions: partitions) }
      let target = try admin.existingTopic(named: topic)
      let followed = try follow.map { try FollowedGroup($0, connection, admin, target) }
      let loss = try DevBrokerLoss(admin, target)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection))

      var feed = Feed(topic: topic)
      feed.key = key
      feed.rate = rate
      if let followed { feed.messagesRead = followed.messagesRead }
      feed.timestamp = timestamp.map { name in
        (name, schema?.fields.first { $0.name == name }?.unit ?? .milliseconds)
      }
      let start = ContinuousClock.now
      var progress = ProduceProgress()
      let failure = result(of: {
        for input in inputs {
          try feed.send(input, through: producer) { progress.show($0, producer.report.delivered) }
        }
        try feed.finish(producer) { progress.show($0, producer.report.delivered) }
      })
      progress.clear()
      let summary = ProduceSummary(
        topic: topic, counts: feed.counts, report: producer.report, elapsed: start.duration(to: .now))
      try show(summary, feed.counts, producer.report, summary.failed == 0 ? (try? loss?.messages(admin)) ?? 0 : 0)
      if let failure { throw failure }
      if Interruption.isRequested { throw ExitCode.interrupted }
      if summary.failed + summary.skipped > 0 { throw ExitCode.failure }
    }
  }

  /// What ended the sending early, if anything did: the summary is due all the same.
  private func result(of body: () throws -> Void) -> (any Error)? {
    do {
      try body()
      return nil
    } catch {
      return error
    }
  }

  private func show(_ summary: ProduceSummary, _ counts: Feed.Counts, _ report: DeliveryReport, _ lost: Int64) throws {
    let terminal = Terminal.standardError
    for problem in counts.problems { terminal.message(printable(problem), style: .warning) }
    for failure in report.failures { terminal.message(failure.description, style: .warning) }
    if summary.withoutKey > 0 {
      terminal.message(
        "\(grouped(summary.withoutKey)) messages have no field '\(key ?? "")' and went without a key", style: .warning)
    }
    if counts.withoutTimestamp > 0 {
      terminal.message(
        "\(grouped(counts.withoutTimestamp)) messages have no timestamp in '\(timestamp ?? "")' and got the time of "
          + "sending", style: .warning)
    }
    if lost > 0 {
      terminal.message(
        "the dev broker keeps 5 MiB a partition and has forgotten the oldest \(grouped(Int(lost))) messages; "
          + "more partitions hold more", style: .warning)
    }
    if output.json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      encoder.keyEncodingStrategy = .convertToSnakeCase
      Terminal.standardOutput.line(String(decoding: try encoder.encode(summary), as: UTF8.self))
    } else {
      terminal.message(summary.text)
    }
  }
}

extension MessageInput.Format: ExpressibleByArgument {}

/// What `produce` did, as `--json` prints it.
private struct ProduceSummary: Encodable {
  var topic: String
  var read: Int
  var delivered: Int
  var failed: Int
  var skipped: Int
  var withoutKey: Int
  var withoutTimestamp: Int
  var bytes: Int
  var seconds: Double
  var messagesPerSecond: Double

  init(topic: String, counts: Feed.Counts, report: DeliveryReport, elapsed: Duration) {
    self.topic = topic
    read = counts.read
    delivered = report.delivered
    failed = counts.sent - report.delivered
    skipped = counts.skipped
    withoutKey = counts.withoutKey
    withoutTimestamp = counts.withoutTimestamp
    bytes = counts.bytes
    let seconds = elapsed / .seconds(1)
    self.seconds = (seconds * 1_000).rounded() / 1_000
    messagesPerSecond = seconds > 0 ? (Double(report.delivered) / seconds).rounded() : 0
  }

  var text: String {
    var text = "\(grouped(delivered)) messages delivered to '\(topic)'"
    if failed > 0 { text += ", \(grouped(failed)) not delivered" }
    if skipped > 0 { text += ", \(grouped(skipped)) records skipped" }
    return text + " in \(String(format: "%.1f", seconds)) s (\(grouped(Int(messagesPerSecond)))/s)"
  }
}

/// A line on the terminal that says how far it is, five times a second.
private struct ProduceProgress {
  private let terminal = Terminal.standardError
  private var last: ContinuousClock.Instant? = nil
  private var isShown = false

  mutating func show(_ counts: Feed.Counts, _ delivered: Int) {
    guard terminal.isInteractive, last.map({ $0.duration(to: .now) > .milliseconds(200) }) ?? true else { return }
    last = .now
    isShown = true
    terminal.write("\r\u{1B}[K\(grouped(counts.sent)) sent, \(grouped(delivered)) delivered")
  }

  func clear() {
    if isShown { terminal.write("\r\u{1B}[K") }
  }
}

/// How far a consumer group has come since messages were first sent.
private final class FollowedGroup {
  private let consumer: KafkaConsumer
  private let starts: [TopicPartition: Int64]

  init(_ group: String, _ connection: KafkaConnection, _ admin: KafkaAdmin, _ topic: TopicDescription) throws {
    // It never subscribes, so it is no member of the group.
    consumer = try KafkaConsumer(ConsumerConfiguration(connection: connection, group: group))
    var starts: [TopicPartition: Int64] = [:]
    for (partition, watermarks) in try admin.watermarks(of: topic.partitions) { starts[partition] = watermarks.high }
    self.starts = starts
  }

  func messagesRead() throws -> Int {
    try consumer.committedOffsets(of: starts.keys.sorted()).reduce(0) { sum, committed in
      sum + Int(max(0, committed.value - (starts[committed.key] ?? committed.value)))
    }
  }
}

/// Notices when the dev broker forgets messages while others are sent.
private struct DevBrokerLoss {
  private let before: [TopicPartition: Watermarks]

  /// Looks at where the topic's partitions begin; `nil` for a real broker, which keeps what it is told to keep.
  init?(_ admin: KafkaAdmin, _ topic: TopicDescription) throws {
    guard DevBroker.isDevBroker(clusterID: admin.clusterID()) else { return nil }
    before = try admin.watermarks(of: topic.partitions)
  }

  /// Messages forgotten since.
  func messages(_ admin: KafkaAdmin) throws -> Int64 {
    try admin.watermarks(of: before.keys.sorted()).reduce(0) { sum, now in
      sum + max(0, now.value.low - (before[now.key]?.low ?? now.value.low))
    }
  }
}

import ArgumentParser
import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// `fraudctl replay`: archived events to a topic again.
struct ReplayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Publish archived events again, in their order, at a chosen rate.",
    discussion: """
      Events of a partition go in the order of their offsets; partitions are merged by their records' timestamps. Each goes
      with the timestamp that it had and with its key: the text of the field that the pipeline names as 'key', or --key. Without
      a key it goes to the partition that it came from, where the topic has it. A message is the event's own bytes where the
      archive keeps them (archive: {raw: true}), else a JSON object in the order of the schema.

      --from and --to are about the event time that the definition names, else about the record's timestamp; --to is the first
      instant that is left out. Interrupted, it says where it stopped and how to go on (--after).

      EXAMPLES
        fraudctl replay --pipeline pipeline.yaml --from 2025-03-01 --to 2025-03-02 --topic payments-test --rate 100
        fraudctl replay --pipeline card-payments --brokers kafka:9092
        fraudctl replay --pipeline card-payments --after transactions:0:5211 --after transactions:1:4980
      """)

  @Option(
    help: ArgumentHelp(
      "Whose events: a definition, or the name of a pipeline in the archive.", valueName: "file|name"),
    completion: .file())
  var pipeline: String

  @Option(help: ArgumentHelp("The archive's folder.", valueName: "dir"))
  var archive = ".fraud/archive"

  @OptionGroup var time: TimeOptions

  @Option(help: ArgumentHelp("The timestamp field that --from and --to are about.", valueName: "field"))
  var eventTime: String?

  @Option(
    help: ArgumentHelp("The topic, which must exist (default: the one that each event came from).", valueName: "topic"))
  var topic: String?

  @Option(help: ArgumentHelp("Events a second (default: as fast as possible).", valueName: "n"))
  var rate: Double?

  @Option(
    help: ArgumentHelp("The field whose text is the message's key (default: the definition's).", valueName: "field"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Go on behind this event of a partition. May be repeated.", valueName: "topic:partition:offset"))
  var after: [String] = []

  @OptionGroup var brokers: BrokerOptions
  @OptionGroup var place: DataOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let rate, !(rate > 0 && rate.isFinite) { throw ValidationError("--rate must be more than 0") }
    _ = try positions()
    _ = try time.range()
  }

  func run() throws {
    try reporting {
      Interruption.watch()
      let source = try ReplaySource(self, times: time.range(), after: positions())
      let connection = try brokers.connection(data: place.data)
      let admin = try KafkaAdmin(connection)
      var partitionCounts: [String: Int] = [:]
      for name in topic.map({ [$0] }) ?? source.topics {
        partitionCounts[name] = try admin.existingTopic(named: name).partitions.count
      }
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection))
      var replay = Replay(topic: topic, rate: rate, partitionCounts: partitionCounts)
      let start = ContinuousClock.now
      var failure: (any Error)?
      do {
        try replay.send(source, through: producer)
      } catch {
        failure = error
      }
      replay.clearProgress()
      let summary = ReplaySummary(
        replay, producer.report, isComplete: source.isAtEnd && failure == nil, elapsed: start.duration(to: .now))
      try show(summary, producer.report)
      if let failure { throw failure }
      if Interruption.isRequested { throw ExitCode.interrupted }
      if summary.failed > 0 { throw ExitCode.failure }
    }
  }

  /// The offsets that were sent already.
  private func positions() throws -> [TopicPartition: Int64] {
    var positions: [TopicPartition: Int64] = [:]
    for text in after {
      let parts = text.split(separator: ":")
      guard parts.count >= 3, let offset = Int64(parts[parts.count - 1]), let partition = Int32(parts[parts.count - 2])
      else { throw ValidationError("--after takes topic:partition:offset, not '\(text)'") }
      let topic = parts.dropLast(2).joined(separator: ":")
      positions[TopicPartition(topic: topic, partition: partition)] = offset
    }
    return positions
  }

  private func show(_ summary: ReplaySummary, _ report: DeliveryReport) throws {
    let terminal = Terminal.standardError
    for failure in report.failures { terminal.message(failure.description, style: .warning) }
    if output.json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      encoder.keyEncodingStrategy = .convertToSnakeCase
      Terminal.standardOutput.line(String(decoding: try encoder.encode(summary), as: UTF8.self))
    } else {
      terminal.message(summary.text, style: summary.complete ? .success : .warning)
      if !summary.complete, !summary.positions.isEmpty {
        terminal.line("  go on with " + summary.positions.map { "--after \($0.argument)" }.joined(separator: " "))
      }
    }
  }
}

/// The events to send, merged over the partitions.
private final class ReplaySource {
  /// One partition that is being read.
  private final class Partition {
    let place: TopicPartition
    private var reader: ArchivePartitionReader
    private var row = -1
    private let wants: (EventBatch, Int) -> Bool

    init(
      _ place: TopicPartition, _ reader: consuming ArchivePartitionReader, wants: @escaping (EventBatch, Int) -> Bool
    ) {
      self.place = place
      self.reader = reader
      self.wants = wants
    }

    /// Goes to the next event that is wanted; whether there is one.
    func advance() throws -> Bool {
      while true {
        row += 1
        while row >= reader.batch.rowCount {
          guard try reader.next() else { return false }
          row = 0
        }
        if wants(reader.batch, row) { return true }
      }
    }

    var timestamp: Int64? { reader.batch.positions[row].timestamp }

    func message(keyColumn: Int?) -> ReplayMessage {
      let batch = reader.batch
      var message = ReplayMessage(place: place, offset: batch.positions[row].offset)
      JSONText.append(eventOf: row, of: batch, to: &message.value)
      message.key = keyColumn.flatMap { batch.value(column: $0, row: row) }.map { Array($0.plainText.utf8) }
      // Kafka has no times before 1970.
      message.milliseconds = timestamp.map { $0 / 1_000 }.flatMap { $0 > 0 ? $0 : nil }
      return message
    }
  }

  /// The topics that the events come from.
  let topics: [String]
  /// How many events there are at most.
  private(set) var isAtEnd = false
  private var partitions: [Partition] = []
  private let keyColumn: Int?

  init(_ command: ReplayCommand, times: ClosedRange<Int64>?, after: [TopicPartition: Int64]) throws {
    let directory = ArchiveDirectory(root: command.archive)
    guard FileManager.default.fileExists(atPath: command.archive) else {
      throw Failure.invalid("there is no archive at \(command.archive); name one with --archive")
    }
    let known = try directory.pipelines()
    let definition =
      FileManager.default.fileExists(atPath: command.pipeline)
      ? try LoadedPipeline(file: command.pipeline).pipeline.definition : nil
    let name = definition?.name ?? command.pipeline
    guard known.contains(name) else {
      let hint = nearest(to: name, among: known).map { ", did you mean '\($0)'?" } ?? ""
      throw Failure.invalid("the archive \(command.archive) has no events of a pipeline '\(name)'\(hint)")
    }
    let schema = try definition?.schema ?? directory.archivedSchema(ofPipeline: name)
    let layout = ColumnLayout(schema: schema)
    func column(_ field: String?, _ option: String) throws -> Int? {
      guard let field else { return nil }
      guard let column = schema.fields.firstIndex(where: { $0.name == field }) else {
        let hint = nearest(to: field, among: schema.fields.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
        throw Failure.invalid("\(option): unknown field '\(field)'\(hint)")
      }
      return column
    }
    keyColumn = try column(command.key ?? definition?.key, "--key")
    let eventTime = command.eventTime ?? definition?.eventTime?.field
    let timeColumn = try column(eventTime, "--event-time")
    if let timeColumn, schema.fields[timeColumn].type != .timestamp {
      throw Failure.invalid("--event-time: '\(schema.fields[timeColumn].name)' is no timestamp")
    }

    var topics: [String] = []
    for files in try directory.partitions(ofPipeline: name) {
      let place = TopicPartition(topic: files[0].topic, partition: files[0].partition)
      if topics.last != place.topic { topics.append(place.topic) }
      let last = after[place]
      let wanted = try files.filter { file in
        if let last, file.offsets.upperBound <= last { return false }
        return try times.map { try directory.mayHold($0, eventTime: eventTime, in: file) } ?? true
      }
      let reader = ArchivePartitionReader(directory, files: wanted, schema: schema, layout: layout)
      let partition = Partition(place, reader) { batch, row in
        if let last, batch.positions[row].offset <= last { return false }
        guard let times else { return true }
        guard let timeColumn else { return batch.positions[row].timestamp.map { times.contains($0) } ?? false }
        guard case .timestamp(let time) = batch.value(column: timeColumn, row: row) else { return false }
        return times.contains(time)
      }
      if try partition.advance() { partitions.append(partition) }
    }
    self.topics = topics
  }

  /// The next event, and the reader that has it moved on; `nil` at the end.
  func next() throws -> ReplayMessage? {
    // The earliest timestamp; partitions whose events have none go first, one after the other.
    var first: Int?
    for index in partitions.indices {
      guard let best = first else {
        first = index
        continue
      }
      if (partitions[index].timestamp ?? .min) < (partitions[best].timestamp ?? .min) { first = index }
    }
    guard let first else {
      isAtEnd = true
      return nil
    }
    let message = partitions[first].message(keyColumn: keyColumn)
    if try !partitions[first].advance() { partitions.remove(at: first) }
    return message
  }
}

/// One event as it goes out.
private struct ReplayMessage {
  var place: TopicPartition
  var offset: Int64
  var key: [UInt8]?
  var value: [UInt8] = []
  var milliseconds: Int64?
}

/// The sending of a replay.
private struct Replay {
  private let topic: String?
  private let rate: Double?
  private let partitionCounts: [String: Int]
  private var feeds: [String: Feed] = [:]
  private let terminal = Terminal.standardError
  private var lastShown: ContinuousClock.Instant?
  /// Events read from the archive, and handed to the producer.
  private(set) var sent = 0
  /// The last event of each partition that was sent, and those known to be delivered.
  private var last: [TopicPartition: Int64] = [:]
  private(set) var delivered: [TopicPartition: Int64] = [:]

  init(topic: String?, rate: Double?, partitionCounts: [String: Int]) {
    self.topic = topic
    self.rate = rate
    self.partitionCounts = partitionCounts
  }

  /// Sends everything, unless interrupted, and waits until it is delivered.
  mutating func send(_ source: ReplaySource, through producer: KafkaProducer) throws {
    let start = ContinuousClock.now
    defer { settle(producer) }
    while !Interruption.isRequested, let message = try source.next() {
      let topic = topic ?? message.place.topic
      var feed = feeds[topic] ?? Feed(topic: topic)
      if let rate {
        try feed.wait(until: start + .seconds(Double(sent) / rate), producer) { _ in }
        if Interruption.isRequested { break }
      }
      let before = feed.counts.sent
      let hasPartition = Int(message.place.partition) < partitionCounts[topic] ?? 0
      try feed.send(
        message.value, key: message.key, milliseconds: message.milliseconds,
        partition: message.key == nil && hasPartition ? message.place.partition : nil, through: producer
      ) { _ in }
      feeds[topic] = feed
      guard feed.counts.sent > before else { break }
      sent += 1
      last[message.place] = message.offset
      if sent % 256 == 0 {
        settle(producer)
        show(producer)
        try Feed.checkReachable(producer)
      }
    }
    for feed in feeds.values { try feed.finish(producer) { _ in } }
  }

  /// Takes down how far everything is delivered.
  private mutating func settle(_ producer: KafkaProducer) {
    if producer.report.delivered == sent { delivered = last }
  }

  private mutating func show(_ producer: KafkaProducer) {
    guard terminal.isInteractive, lastShown.map({ $0.duration(to: .now) > .milliseconds(200) }) ?? true else { return }
    lastShown = .now
    terminal.write("\r\u{1B}[K\(grouped(sent)) sent, \(grouped(producer.report.delivered)) delivered")
  }

  func clearProgress() {
    if lastShown != nil { terminal.write("\r\u{1B}[K") }
  }
}

/// What `replay` did, as `--json` prints it.
private struct ReplaySummary: Encodable {
  struct Position: Encodable {
    var topic: String
    var partition: Int32
    /// Of the last event that is known to be delivered.
    var offset: Int64

    var argument: String { "\(topic):\(partition):\(offset)" }
  }

  var sent: Int
  var delivered: Int
  var failed: Int
  var complete: Bool
  var positions: [Position]
  var seconds: Double
  var eventsPerSecond: Double

  init(_ replay: Replay, _ report: DeliveryReport, isComplete: Bool, elapsed: Duration) {
    sent = replay.sent
    delivered = report.delivered
    failed = replay.sent - report.delivered
    complete = isComplete && failed == 0
    positions = replay.delivered.sorted { $0.key < $1.key }.map {
      Position(topic: $0.key.topic, partition: $0.key.partition, offset: $0.value)
    }
    let seconds = elapsed / .seconds(1)
    self.seconds = (seconds * 1_000).rounded() / 1_000
    eventsPerSecond = seconds > 0 ? (Double(report.delivered) / seconds).rounded() : 0
  }

  var text: String {
    var text = complete ? "" : "stopped: "
    text += "\(grouped(delivered)) events replayed in \(String(format: "%.1f", seconds)) s"
    text += " (\(grouped(Int(eventsPerSecond)))/s)"
    if failed > 0 { text += ", \(grouped(failed)) not known to be delivered" }
    return text
  }
}

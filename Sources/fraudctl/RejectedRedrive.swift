import ArgumentParser
import Foundation
import FraudCore
import FraudKafka
import FraudStore

extension RejectedCommand {
  /// `fraudctl rejected redrive`: rejected events, tried again.
  struct Redrive: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "redrive",
      abstract: "Score rejected events again, or publish them again, after the cause was mended.",
      discussion: """
        The version in force scores each event at its old place, so that its alerts have the ids that they would have had,
        and the partition's counts follow. What is accepted stays in `rejected list --all` as settled and is never tried
        again; what is rejected again stays open. Interrupted or run twice it does everything once.

        A pipeline that remembers (features, deduplicate) cannot score an event out of its turn: --publish writes the
        events to the end of the topic, where they are processed like any other. Killed at the wrong moment, it may
        publish up to 200 events a second time; each carries its old place in the header `fraud-redrive`.

        Bytes that are not whole in the database, or masked there, are read from the topic, if it still holds them.
        Events of a stream are left alone: they were never to be scored.

        EXAMPLES
          fraudctl rejected redrive --pipeline card-payments --reason missing_field --dry-run
          fraudctl rejected redrive --pipeline card-payments --note 'currency is optional now'
          fraudctl rejected redrive --pipeline card-payments --place transactions/3/1747
          fraudctl rejected redrive --pipeline card-payments --publish --brokers kafka:9092
        """)

    @Option(help: ArgumentHelp("The pipeline's name or number.", valueName: "pipeline")) var pipeline: String
    @Option(help: ArgumentHelp("Only this reason. May be repeated.", valueName: "reason")) var reason: [String] = []
    @Option(
      help: ArgumentHelp(
        "Only events written since then: a duration before now, or an instant (UTC).", valueName: "1h|instant"))
    var since: Since?
    @Option(help: ArgumentHelp("Only this event.", valueName: "topic/partition/offset")) var place: EventPlace?
    @Flag(help: "Write the events to the topic again instead of scoring them.") var publish = false
    @Option(help: ArgumentHelp("The topic to publish to (default: the pipeline's).", valueName: "topic"))
    var topic: String?
    @Flag(help: "Only say what would come of it.") var dryRun = false
    @Option(help: "Why, for the audit log.") var note: String?
    @OptionGroup var brokers: BrokerOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      if topic != nil, !publish { throw ValidationError("--topic goes with --publish") }
    }

    func run() throws {
      try reporting {
        try withDatabase(database) { connection, _ in
          guard let stored = try PipelineStore.find(pipeline, on: &connection) else {
            throw Failure.failed("there is no pipeline \(printable(pipeline))")
          }
          let loaded = try PipelineVersion(stored)
          let definition = loaded.pipeline.definition
          if !publish, !definition.features.isEmpty || definition.deduplicate != nil {
            throw Failure.failed(
              "pipeline \(stored.name) remembers earlier events (\(definition.features.isEmpty ? "deduplicate" : "features"))"
                + " and cannot score one out of its turn; --publish writes the events to its topic again")
          }
          if let place, definition.streams.contains(where: { $0.kafkaTopic == place.topic }) {
            throw Failure.failed("\(printable(place.topic)) is the topic of a stream, whose events are not scored")
          }
          var filter = RejectedFilter()
          filter.reasons = reason
          filter.age = since?.ago
          filter.since = since?.instant
          filter.topic = place?.topic
          filter.partition = place?.partition
          filter.offset = place?.offset
          let outcome = try redrive(filter, stored, loaded, on: &connection)
          show(outcome, stored)
        }
      }
    }

    private func redrive(
      _ filter: RejectedFilter, _ stored: StoredPipeline, _ loaded: PipelineVersion,
      on connection: inout PostgresConnection
    ) throws -> RedriveOutcome {
      var redrive = FraudStore.Redrive(filter, of: stored, author: currentUser(), note: note)
      let payloads = WholePayloads(
        schema: loaded.pipeline.definition.schema, connection: try? brokers.connection(data: database.place.data))
      var total = RedriveOutcome()
      var publisher: Publisher?
      if publish, !dryRun {
        guard let topic = topic ?? loaded.pipeline.definition.kafkaTopic else {
          throw Failure.invalid("pipeline \(stored.name): 'kafka_topic' is missing, and --topic")
        }
        publisher = try Publisher(brokers.connection(data: database.place.data), topic: topic)
      }
      let streams = Set(loaded.pipeline.definition.streams.compactMap(\.kafkaTopic))
      while !Interruption.isRequested {
        var page = try redrive.nextPage(on: &connection)
        if page.isEmpty { break }
        page.removeAll { streams.contains($0.topic) }
        let bytes = try payloads.read(page)
        var engine = Engine(loaded)
        if !dryRun, !publish {
          total += try redrive.score(page, payloads: bytes, with: &engine, on: &connection)
          continue
        }
        let (accepted, outcome) = foresee(page, bytes, &engine)
        total += outcome
        guard let publisher else { continue }
        _ = try redrive.publish(accepted.map { page[$0] }, on: &connection) {
          try publisher.send(accepted.map { (page[$0], bytes[$0] ?? []) })
        }
      }
      return total
    }

    /// The events that would be accepted, and what would come of all, with nothing written.
    private func foresee(
      _ page: [StoredRejection], _ payloads: [[UInt8]?], _ engine: inout Engine
    ) -> (accepted: [Int], RedriveOutcome) {
      var outcome = RedriveOutcome()
      var accepted: [Int] = []
      for (index, payload) in payloads.enumerated() {
        guard let payload else {
          outcome.unavailable += 1
          continue
        }
        do {
          let scored = try engine.score(payload)
          accepted.append(index)
          if !publish { outcome.alerts += scored.alerts.count }
        } catch {
          outcome.rejected[error.reason.rawValue, default: 0] += 1
        }
      }
      if publish { outcome.published = accepted.count } else { outcome.scored = accepted.count }
      return (accepted, outcome)
    }

    private func show(_ outcome: RedriveOutcome, _ stored: StoredPipeline) {
      let rejected = outcome.rejected.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
      if output.json {
        var reasons = JSONObjectText()
        for (reason, count) in rejected { reasons.append(reason, Int64(count)) }
        var object = JSONObjectText()
        object.append("pipeline", stored.name)
        object.append("version", Int64(stored.version))
        object.append("dry_run", dryRun)
        object.append("scored", Int64(outcome.scored))
        object.append("published", Int64(outcome.published))
        object.append("alerts", Int64(outcome.alerts))
        object.append("rejected", json: reasons.finished)
        object.append("unavailable", Int64(outcome.unavailable))
        Terminal.standardOutput.line(object.finished)
        return
      }
      let would = dryRun ? "would be " : ""
      var parts: [String] = []
      if outcome.scored > 0 {
        parts.append("\(grouped(outcome.scored)) \(would)accepted, with \(grouped(outcome.alerts)) alerts")
      }
      if outcome.published > 0 { parts.append("\(grouped(outcome.published)) \(would)published") }
      for (reason, count) in rejected { parts.append("\(grouped(count)) \(would)rejected again: \(reason)") }
      if outcome.unavailable > 0 {
        parts.append(
          "\(grouped(outcome.unavailable)) without bytes: neither the database nor the topic holds them whole")
      }
      let title = "pipeline \(stored.name), version \(stored.version): "
      Terminal.standardOutput.line(title + (parts.isEmpty ? "no open rejected events" : parts.joined(separator: "; ")))
    }
  }
}

/// `topic/partition/offset`, as lists of rejected events print it.
struct EventPlace: ExpressibleByArgument {
  var topic: String
  var partition: Int
  var offset: Int64

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 3, let partition = Int(parts[1]), let offset = Int64(parts[2]) else { return nil }
    (topic, self.partition, self.offset) = (String(parts[0]), partition, offset)
  }
}

/// The bytes of rejected events as they were: those in the database where they are whole and unmasked, else the topic's.
private final class WholePayloads {
  private let isMasked: Bool
  private let connection: KafkaConnection?
  private var consumer: KafkaConsumer?
  private var generation: String?

  init(schema: Schema, connection: KafkaConnection?) {
    isMasked = schema.fields.contains { $0.sensitive != nil }
    self.connection = connection
  }

  func read(_ page: [StoredRejection]) throws -> [[UInt8]?] {
    try page.map { event in
      if let payload = event.payload, !isMasked, Int64(payload.count) == event.payloadLength { return payload }
      return event.payload == nil ? nil : try readFromTopic(event)
    }
  }

  /// The record at an event's place; nil where no broker is in reach, or the topic is another one or holds it no more.
  private func readFromTopic(_ event: StoredRejection) throws -> [UInt8]? {
    guard let connection else { return nil }
    if consumer == nil {
      let cluster = try KafkaAdmin(connection).clusterID()
      generation = DevBroker.isDevBroker(clusterID: cluster) ? "dev" : cluster ?? "0"
      var consuming = ConsumerConfiguration(connection: connection, group: "fraud-redrive")
      if DevBroker.isDevBroker(clusterID: cluster) { consuming.suitDevBroker() }
      consumer = try KafkaConsumer(consuming)
    }
    guard let consumer, generation == event.generation else { return nil }
    let partition = TopicPartition(topic: event.topic, partition: Int32(clamping: event.partition))
    let held = try consumer.watermarks(of: [partition])[partition]
    guard let held, (held.low..<held.high).contains(event.offset) else { return nil }
    try consumer.assign([partition: .at(event.offset)])
    var batch = MessageBatch(messagesMax: 1)
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if case .failed(_, let error) = try consumer.poll(into: &batch, timeout: .milliseconds(100)) { throw error }
      guard let message = batch.messages.first else { continue }
      guard message.offset == event.offset, let value = message.value else { return nil }
      return Array(batch.bytes[value])
    }
    return nil
  }
}

/// Writes events to a topic and waits until the brokers have them.
private final class Publisher {
  private let producer: KafkaProducer
  private let topic: String

  init(_ connection: KafkaConnection, topic: String) throws {
    _ = try KafkaAdmin(connection).topic(named: topic)
    producer = try KafkaProducer(ProducerConfiguration(connection: connection))
    self.topic = topic
  }

  /// Each event goes to the partition that it was in, so that events of a key stay together.
  func send(_ events: [(event: StoredRejection, payload: [UInt8])]) throws {
    let before = producer.report.delivered
    for (event, payload) in events {
      let place = "\(event.topic)/\(event.partition)/\(event.offset)"
      try producer.send(
        to: topic, key: nil, value: payload.span, partition: Int32(clamping: event.partition),
        headers: [("fraud-redrive", Array(place.utf8))])
    }
    _ = try producer.flush(timeout: .seconds(20))
    if let failure = producer.report.failures.first { throw failure }
    guard producer.report.delivered - before == events.count else {
      producer.discard()
      throw Failure.unavailable("the brokers did not acknowledge \(events.count) events within 20 s")
    }
  }
}

import Foundation
import FraudCore
import FraudKafka

/// Sends the messages of an input to a topic, in order, with keys, at a rate.
struct Feed {
  /// How far it has come.
  struct Counts {
    /// Messages of the input.
    var read = 0
    /// Messages handed to the producer, and their bytes.
    var sent = 0
    var bytes = 0
    /// Records that make no message, and the first reasons.
    var skipped = 0
    var problems: [String] = []
    /// Messages sent without a key though one was asked for.
    var withoutKey = 0
    /// Messages sent with the time of sending though a field's was asked for.
    var withoutTimestamp = 0
  }

  static let problemsMax = 10
  /// Bytes that a feed with a reader to follow stays ahead of it in all, so that no partition of the dev broker holds
  /// more than half of what it keeps.
  static let bytesAheadMax = 2 << 20
  /// How long brokers may be away before the feed gives up.
  static let patience = Duration.seconds(30)

  let topic: String
  /// The field whose text is the message's key.
  var key: String?
  /// The field that is the message's timestamp, and the unit of one that is a number.
  var timestamp: (field: String, unit: TimestampUnit)?
  /// Messages a second; as fast as the brokers take them if `nil`.
  var rate: Double?
  /// How many of the messages sent have been read by whoever is to keep up; asked when ``bytesAheadMax`` is reached.
  var messagesRead: (() throws -> Int)?
  private(set) var counts = Counts()
  private var lastMessagesRead = 0

  init(topic: String) { self.topic = topic }

  /// Sends everything that `input` holds, unless interrupted.
  ///
  /// - Parameter onProgress: called at least every 256 messages and ten times a second.
  /// - Throws: ``Failure`` or ``KafkaError``; what was sent before is on its way.
  mutating func send(
    _ input: MessageInput, through producer: KafkaProducer, onProgress: (Counts) -> Void
  ) throws {
    let start = ContinuousClock.now
    let keyName = key.map { Array($0.utf8) }
    let timestampName = timestamp.map { Array($0.field.utf8) }
    let base = counts.read
    var message: [UInt8] = []
    var problem: String?
    while !Interruption.isRequested, try input.next(into: &message, problem: &problem) {
      counts.read += 1
      if let problem {
        counts.skipped += 1
        if counts.problems.count < Self.problemsMax {
          counts.problems.append("\(input.name), record \(input.line): \(problem)")
        }
        continue
      }
      if let rate {
        try wait(until: start + .seconds(Double(counts.read - base - 1) / rate), producer, onProgress)
        if Interruption.isRequested { break }
      }
      let key = keyName.flatMap { text(of: $0, in: message.span) }
      if keyName != nil, key == nil { counts.withoutKey += 1 }
      let milliseconds = timestampName.flatMap { timestamp(of: $0, in: message.span) }
      if timestampName != nil, milliseconds == nil { counts.withoutTimestamp += 1 }
      try send(message, key: key, milliseconds: milliseconds, through: producer, onProgress)
      if counts.sent % 256 == 0 {
        onProgress(counts)
        try Self.checkReachable(producer)
      }
      try waitForReader(producer, onProgress)
    }
    onProgress(counts)
  }

  /// The text of a field of a JSON object.
  private func text(of field: [UInt8], in message: Span<UInt8>) -> [UInt8]? {
    guard let value = JSON.member(field, of: message) else { return nil }
    return JSON.text(of: value, in: message)
  }

  /// The instant in a field of a JSON object, in milliseconds since 1970. Kafka has none before.
  private func timestamp(of field: [UInt8], in message: Span<UInt8>) -> Int64? {
    guard let timestamp, let value = JSON.member(field, of: message),
      let microseconds = JSON.timestamp(of: value, in: message, unit: timestamp.unit), microseconds >= 1_000
    else { return nil }
    return microseconds / 1_000
  }

  /// Sends one message, waiting for room. Where it is interrupted meanwhile, the message is not counted as sent.
  mutating func send(
    _ message: [UInt8], key: [UInt8]?, milliseconds: Int64?, partition: Int32? = nil, through producer: KafkaProducer,
    _ onProgress: (Counts) -> Void
  ) throws {
    while true {
      do throws(KafkaError) {
        try producer.send(
          to: topic, key: key?.span, value: message.span, partition: partition, timestampMilliseconds: milliseconds,
          timeout: .milliseconds(100))
        counts.sent += 1
        counts.bytes += message.count
        return
      } catch {
        guard error.code == .queueFull else { throw error }
      }
      onProgress(counts)
      if Interruption.isRequested { return }
      try Self.checkReachable(producer)
    }
  }

  /// Waits until the reader has come near enough. Messages are taken to be of average size.
  private mutating func waitForReader(_ producer: KafkaProducer, _ onProgress: (Counts) -> Void) throws {
    guard let messagesRead else { return }
    let aheadMax = max(1, Self.bytesAheadMax / max(1, counts.bytes / max(1, counts.sent)))
    while counts.sent - lastMessagesRead > aheadMax, !Interruption.isRequested {
      lastMessagesRead = try messagesRead()
      guard counts.sent - lastMessagesRead > aheadMax else { return }
      producer.serve(timeout: .milliseconds(2))
      onProgress(counts)
      try Self.checkReachable(producer)
    }
  }

  /// Waits for a moment, serving the producer.
  func wait(
    until time: ContinuousClock.Instant, _ producer: KafkaProducer, _ onProgress: (Counts) -> Void
  ) throws {
    while !Interruption.isRequested {
      let left = ContinuousClock.now.duration(to: time)
      guard left > .zero else { return }
      if left < .milliseconds(1) {
        usleep(UInt32(max(0, left.components.attoseconds / 1_000_000_000_000)))
      } else {
        producer.serve(timeout: min(left, .milliseconds(100)))
        onProgress(counts)
        try Self.checkReachable(producer)
      }
    }
  }

  /// Waits until everything sent is delivered or given up; after an interruption at most 10 s.
  func finish(_ producer: KafkaProducer, onProgress: (Counts) -> Void) throws {
    var deadline: ContinuousClock.Instant?
    while try producer.flush(timeout: .milliseconds(100)) > 0 {
      onProgress(counts)
      if Interruption.isRequested {
        deadline = deadline ?? .now + .seconds(10)
        if let deadline, ContinuousClock.now > deadline { return producer.discard() }
      }
      try Self.checkReachable(producer)
    }
  }

  /// Gives up where no broker has answered for ``patience``.
  static func checkReachable(_ producer: KafkaProducer) throws {
    guard let away = producer.unreachableDuration(), away > patience else { return }
    throw Failure.unavailable("no broker has answered for \(away.components.seconds) s")
  }
}

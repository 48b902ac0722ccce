import Foundation
import FraudCore
import FraudKafka
import TestBrokers
import Testing

/// Runs a test's blocking body on a thread of its own, so that tests wait side by side.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await Task(executorPreference: ThreadExecutor()) { try body() }.value
}

private final class ThreadExecutor: TaskExecutor {
  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    Thread { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }.start()
  }
}

/// A message with its bytes copied out.
struct Received: Equatable {
  var partition: Int32
  var offset: Int64
  var timestamp: Int64?
  var key: String?
  var value: String?
  var valueCount: Int
}

extension MessageBatch {
  /// Every message in order, large values without their text.
  var received: [Received] {
    runs.flatMap { run in
      messages[run.messages].map { message in
        Received(
          partition: run.partition.partition, offset: message.offset, timestamp: message.timestampMilliseconds,
          key: message.key.map { String(decoding: bytes[$0], as: UTF8.self) },
          value: message.value.map { $0.count > 1_000 ? "…" : String(decoding: bytes[$0], as: UTF8.self) },
          valueCount: message.value?.count ?? -1)
      }
    }
  }
}

/// Settings against which tests run: quick answers from the dev broker.
func connection(_ broker: some TestAddress) -> KafkaConnection {
  KafkaConnection(brokers: broker.bootstrapServers, requestTimeout: .seconds(5))
}

func consumer(_ broker: some TestAddress, group: String = "group") throws -> KafkaConsumer {
  var configuration = ConsumerConfiguration(connection: connection(broker), group: broker.group(group))
  if !broker.isReal { configuration.suitDevBroker() }
  return try KafkaConsumer(configuration)
}

extension KafkaProducer {
  func send(to topic: String, _ value: String?, key: String? = nil, partition: Int32? = nil, timestamp: Int64? = nil)
    throws
  {
    let value = value.map { Array($0.utf8) }
    let key = key.map { Array($0.utf8) }
    try send(
      to: topic, key: key?.span, value: value?.span, partition: partition, timestampMilliseconds: timestamp)
  }

  /// Delivers everything and checks that nothing failed.
  func finish(_ count: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(try flush(timeout: .seconds(60)) == 0, sourceLocation: sourceLocation)
    #expect(report.delivered == count, sourceLocation: sourceLocation)
    #expect(report.failed == 0, "\(report.failures)", sourceLocation: sourceLocation)
  }
}

extension KafkaConsumer {
  /// Polls until `isDone` says so, at most 20 s, and returns the messages; events go to `onEvent`.
  func read(
    into batch: inout MessageBatch, until isDone: ([Received]) -> Bool,
    onEvent: (SourceEvent) throws -> Void = { _ in }
  ) throws -> [Received] {
    let end = ContinuousClock.now + .seconds(20)
    var received: [Received] = []
    while !isDone(received), ContinuousClock.now < end {
      let event = try poll(into: &batch, timeout: .milliseconds(100))
      received += batch.received
      if let event { try onEvent(event) }
    }
    return received
  }

  func read(_ count: Int) throws -> [Received] {
    var batch = MessageBatch()
    return try read(into: &batch, until: { $0.count >= count })
  }
}

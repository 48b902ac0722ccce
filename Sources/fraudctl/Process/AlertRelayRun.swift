import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization

/// Publishes one pipeline's alerts to its `alerts_topic`, and rows of aggregations to theirs, on a thread of its own, unless
/// another process does it.
final class AlertRelayRun: Sendable {
  struct Status: Sendable {
    var published = 0
    var isHolding: String?
    var isFinished = false
  }

  let pipeline: String
  private let topics: [String]
  private let id: Int
  private let connection: KafkaConnection
  private let address: PostgresAddress
  private let state = Mutex(Status())
  private let isStopping = Atomic<Bool>(false)

  /// - Returns: nil where nothing goes to a topic.
  init?(pipeline: String, id: Int, topics: [String], connection: KafkaConnection, address: PostgresAddress) {
    if topics.isEmpty { return nil }
    self.pipeline = pipeline
    self.id = id
    self.topics = topics
    self.connection = connection
    self.address = address
  }

  /// The topics, for messages.
  var target: String { topics.joined(separator: ", ") }

  var status: Status { state.withLock { $0 } }

  /// Asks it to publish what waits and end.
  func stop() { isStopping.store(true, ordering: .relaxed) }

  func start() {
    let thread = Thread { [self] in
      var isDone = false
      while !isDone {
        do {
          isDone = try relay()
        } catch {
          state.withLock { $0.isHolding = "\(error)" }
          // What waits is published by the next process; it is not lost.
          isDone = isStopping.load(ordering: .relaxed)
          if !isDone { Thread.sleep(forTimeInterval: 1) }
        }
      }
      state.withLock { $0.isFinished = true }
    }
    thread.name = "fraud.alerts.\(pipeline)"
    thread.start()
  }

  /// Relays until it is to stop or something fails.
  ///
  /// - Returns: whether it was to stop.
  private func relay() throws -> Bool {
    var database = try PostgresConnection(address)
    let outbox = AlertOutbox(pipelineID: id, ownerName: "\(ProcessInfo.processInfo.hostName):\(getpid())")
    while try !outbox.tryBecomeRelay(on: &database) {
      if isStopping.load(ordering: .relaxed) { return true }
      Thread.sleep(forTimeInterval: 0.5)
    }
    defer { outbox.release(on: &database) }
    var sink = KafkaAlertSink(connection, pipeline: pipeline, topic: topics[0])
    if let batch = try sink.lastBatch() { try outbox.forget(batch, on: &database) }
    state.withLock { $0.isHolding = nil }
    while true {
      let isLast = isStopping.load(ordering: .relaxed)
      let published = try outbox.drain(to: &sink, on: &database)
      state.withLock { $0.published += published }
      if isLast { return true }
      if published == 0 { Thread.sleep(forTimeInterval: 0.05) }
    }
  }
}

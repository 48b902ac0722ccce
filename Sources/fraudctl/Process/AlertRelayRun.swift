import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Synchronization

/// Publishes one pipeline's alerts to its `alerts_topic`, and rows of aggregations to theirs, on a thread of its own, unless
/// another process does it. A version that names other topics, or the first ones, is followed while it runs.
final class AlertRelayRun: Sendable {
  struct Status: Sendable {
    var published = 0
    /// The topics that they go to, for messages.
    var target = ""
    var isHolding: String?
    var isFinished = false
  }

  let pipeline: String
  /// The topics that the version in force names.
  private let topics: @Sendable () -> [String]
  private let id: Int
  private let connection: KafkaConnection
  private let address: PostgresAddress
  private let state = Mutex(Status())
  private let isStopping = Atomic<Bool>(false)

  init(_ run: PipelineRun) {
    pipeline = run.pipeline.definition.name
    id = run.id
    topics = { run.status.outputTopics }
    connection = run.options.connection
    address = run.options.address
  }

  var status: Status { state.withLock { $0 } }

  /// Asks it to publish what waits and end.
  func stop() { isStopping.store(true, ordering: .relaxed) }

  /// Starts the thread.
  func start() throws(StoreError) {
    try startThread(named: "fraud.alerts.\(pipeline)") { [self] in
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
  }

  /// Relays to one topic until it is to stop, the topic changes, or something fails.
  ///
  /// - Returns: whether it was to stop.
  private func relay() throws -> Bool {
    let topics = topics()
    // Beside the first stands which batch has arrived.
    guard let topic = topics.first else {
      if isStopping.load(ordering: .relaxed) { return true }
      Thread.sleep(forTimeInterval: 0.1)
      return false
    }
    state.withLock { $0.target = topics.joined(separator: ", ") }
    var database = try PostgresConnection(address)
    let outbox = AlertOutbox(pipelineID: id, ownerName: PipelineRun.ownerName)
    while try !outbox.tryBecomeRelay(on: &database) {
      if isStopping.load(ordering: .relaxed) { return true }
      Thread.sleep(forTimeInterval: 0.5)
    }
    defer { outbox.release(on: &database) }
    Failpoints.shared?.hit("relay-owned")
    // Which batch has arrived stands beside the topic that was relayed to last.
    if let last = try outbox.lastTopic(on: &database), last != topic {
      var former = KafkaAlertSink(connection, pipeline: pipeline, topic: last)
      if let batch = try former.lastBatch() { try outbox.forget(batch, on: &database) }
      Failpoints.shared?.hit("relay-switched")
    }
    try outbox.begin(topic: topic, on: &database)
    Failpoints.shared?.hit("relay-begun")
    var sink = RelaySink(sink: KafkaAlertSink(connection, pipeline: pipeline, topic: topic))
    if let batch = try sink.lastBatch() { try outbox.forget(batch, on: &database) }
    state.withLock { $0.isHolding = nil }
    while true {
      let isLast = isStopping.load(ordering: .relaxed)
      let published = try outbox.drain(to: &sink, on: &database)
      state.withLock { $0.published += published }
      if isLast { return true }
      // A version without a topic leaves what waits to this one.
      let next = self.topics()
      if !next.isEmpty, next != topics { return false }
      if published == 0 { Thread.sleep(forTimeInterval: 0.05) }
    }
  }
}

/// Topics, with the failpoint of a batch that has arrived.
private struct RelaySink: AlertSink, ~Copyable {
  var sink: KafkaAlertSink

  mutating func lastBatch() throws -> UniqueID? { try sink.lastBatch() }

  mutating func deliver(_ alerts: [OutgoingAlert], batch: UniqueID) throws {
    try sink.deliver(alerts, batch: batch)
    Failpoints.shared?.hit("relay-delivered")
  }
}

public import FraudCore

/// Publishes alerts to topics, each batch in one Kafka transaction with a record that names the batch.
///
/// The record goes to a topic of one partition beside the alerts', `TOPIC-progress`, under the pipeline's name as its key;
/// so whoever takes over reads there which batch was published last. Brokers fence an older sink of the same
/// pipeline by its transactional id, and readers with `isolation.level=read_committed` see each alert once. A broker
/// without transactions, as ``DevBroker``, shows what is sent at once and fences nobody: there a crash may repeat a batch.
public struct KafkaAlertSink: AlertSink, ~Copyable {
  private let connection: KafkaConnection
  private let pipeline: String
  private let progress: TopicPartition
  private var producer: KafkaProducer?

  /// Publishes one pipeline's alerts.
  ///
  /// - Parameter topic: where they go; `TOPIC-progress` is made beside it where the brokers let it.
  public init(_ connection: KafkaConnection, pipeline: String, topic: String) {
    self.connection = connection
    self.pipeline = pipeline
    progress = TopicPartition(topic: topic + "-progress", partition: 0)
  }

  /// The id by which brokers know the sinks of a pipeline.
  public static func transactionalID(pipeline: String) -> String { "fraud-alerts-" + pipeline }

  /// Takes the place of any older sink of the pipeline, and reads which batch was published last.
  public mutating func lastBatch() throws -> UniqueID? {
    producer = nil
    let producer = try KafkaProducer(
      ProducerConfiguration(connection: connection, transactionalID: Self.transactionalID(pipeline: pipeline)))
    // Fences the one before, and ends its transaction one way or the other, before its progress is read.
    try producer.initializeTransactions()
    self.producer = producer
    let admin = try KafkaAdmin(connection)
    let isDevBroker = DevBroker.isDevBroker(clusterID: admin.clusterID())
    if try admin.topics().contains(where: { $0.name == progress.topic }) {
      return try readProgress(isDevBroker: isDevBroker)
    }
    // The dev broker makes topics when they are written to and in no other way; others, as many copies as is their default.
    if !isDevBroker {
      try admin.createTopic(
        named: progress.topic, partitions: 1, replicationFactor: -1, settings: ["cleanup.policy": "compact"])
    }
    return nil
  }

  /// Publishes a batch in one transaction.
  public mutating func deliver(_ alerts: [OutgoingAlert], batch: UniqueID) throws {
    guard let producer else {
      throw KafkaError(code: .fatal, message: "alerts cannot be published before the last batch is known")
    }
    do {
      try producer.beginTransaction()
      for alert in alerts {
        let id = Array(alert.alertID.description.utf8)
        try producer.send(
          to: alert.target, key: alert.key?.span, value: alert.payload.span, headers: [("alert_id", id)])
      }
      try producer.send(
        to: progress.topic, key: Array(pipeline.utf8).span, value: Array(batch.description.utf8).span, partition: 0)
      try commit(producer)
    } catch {
      // What becomes of the transaction is asked of the brokers when the sink starts again.
      self.producer = nil
      throw error
    }
  }

  private func commit(_ producer: KafkaProducer) throws(KafkaError) {
    var tries = 0
    while true {
      do throws(KafkaError) {
        return try producer.commitTransaction()
      } catch {
        tries += 1
        if error.isRetriable, tries < 10 { continue }
        if error.requiresAbort { try? producer.abortTransaction() }
        throw error
      }
    }
  }

  /// The last batch that is named under the pipeline's key.
  private func readProgress(isDevBroker: Bool) throws -> UniqueID? {
    var consuming = ConsumerConfiguration(connection: connection, group: Self.transactionalID(pipeline: pipeline))
    if isDevBroker { consuming.suitDevBroker() }
    let consumer = try KafkaConsumer(consuming)
    defer { consumer.close() }
    try consumer.assign([progress: .beginning])
    var batch = MessageBatch()
    var last: UniqueID?
    let deadline = ContinuousClock.now + connection.requestTimeout + .seconds(20)
    while ContinuousClock.now < deadline {
      let event = try consumer.poll(into: &batch, timeout: .milliseconds(100))
      for message in batch.messages {
        guard let key = message.key, let value = message.value,
          batch.bytes[key].elementsEqual(pipeline.utf8)
        else { continue }
        last = UniqueID(String(decoding: batch.bytes[value], as: UTF8.self))
      }
      switch event {
      case .reachedEnd: return last
      case .failed(_, let error): throw error
      default: continue
      }
    }
    throw KafkaError(code: .timedOut, message: "\(progress.topic) was not read to its end")
  }
}

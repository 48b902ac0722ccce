import CRdkafka
public import FraudCore

/// Asks a cluster about its topics, and creates and deletes them.
///
/// Every call blocks for at most the connection's request timeout, so call it from a thread that may wait.
public final class KafkaAdmin {
  private let client: ClientHandle
  private let connection: KafkaConnection

  /// Makes a client; connecting goes on in the background.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`.
  public init(_ connection: KafkaConnection) throws(KafkaError) {
    let configuration = try ClientConfiguration(
      connection: connection,
      defaults: [
        ("receive.message.max.bytes", "\(64 << 20)"), ("reconnect.backoff.max.ms", "2000"),
        ("log.connection.close", "false"),
      ],
      reserved: [("statistics.interval.ms", "0")])
    self.connection = connection
    client = try ClientHandle(
      RD_KAFKA_PRODUCER, configuration: configuration, context: ClientContext(label: "fraud.kafka.admin", isQuiet: true)
    )
  }

  /// Every topic of the cluster, by name.
  ///
  /// - Throws: ``KafkaError`` with `.unavailable` when no broker answers.
  public func topics() throws(KafkaError) -> [TopicDescription] {
    defer { client.context.writeLog() }
    return try client.topics(timeout: connection.requestTimeout)
  }

  /// One topic.
  ///
  /// - Throws: ``KafkaError`` with `.unknownTopic`, naming the nearest topic that exists, or `.unavailable`.
  public func topic(named name: String) throws(KafkaError) -> TopicDescription {
    defer { client.context.writeLog() }
    return try client.topic(named: name, timeout: connection.requestTimeout)
  }

  /// The offsets that partitions hold now. A partition that does not exist is an error.
  public func watermarks(of partitions: [TopicPartition]) throws(KafkaError) -> [TopicPartition: Watermarks] {
    defer { client.context.writeLog() }
    return try client.watermarks(of: partitions, timeout: connection.requestTimeout)
  }

  /// Names the cluster, so that a topic can be told from one of the same name elsewhere; `nil` if it does not answer.
  public func clusterID() -> String? {
    guard let text = unsafe rd_kafka_clusterid(client.raw, connection.requestTimeout.milliseconds) else { return nil }
    defer { unsafe rd_kafka_mem_free(client.raw, text) }
    return unsafe String(cString: text)
  }

  /// Creates a topic and waits until the controller has done so.
  ///
  /// - Parameters:
  ///   - replicationFactor: -1 for the cluster's default, which brokers know from 2.4 on.
  ///   - settings: the topic's own properties, such as `cleanup.policy`.
  /// - Throws: ``KafkaError``, also when the topic exists.
  public func createTopic(
    named name: String, partitions: Int, replicationFactor: Int = 1, settings: [String: String] = [:]
  ) throws(KafkaError) {
    let (created, text) = unsafe withErrorText {
      unsafe rd_kafka_NewTopic_new(name, Int32(clamping: partitions), Int32(clamping: replicationFactor), $0, $1)
    }
    guard let topic = unsafe created else {
      throw KafkaError(code: .configuration, message: "cannot create topic '\(name)': \(text)")
    }
    defer { unsafe rd_kafka_NewTopic_destroy(topic) }
    for (property, value) in settings.sorted(by: { $0.key < $1.key }) {
      let result = unsafe rd_kafka_NewTopic_set_config(topic, property, value)
      guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw kafkaError(result, "cannot create topic '\(name)': \(property)")
      }
    }
    try unsafe perform("cannot create topic '\(name)'", RD_KAFKA_ADMIN_OP_CREATETOPICS) { options, queue in
      var topics: OpaquePointer? = unsafe topic
      unsafe rd_kafka_CreateTopics(self.client.raw, &topics, 1, options, queue)
    } results: { event, count in
      unsafe rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), count)
    }
  }

  /// Deletes a topic with everything in it.
  public func deleteTopic(named name: String) throws(KafkaError) {
    guard let topic = unsafe rd_kafka_DeleteTopic_new(name) else {
      throw KafkaError(code: .other, message: "out of memory")
    }
    defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
    try unsafe perform("cannot delete topic '\(name)'", RD_KAFKA_ADMIN_OP_DELETETOPICS) { options, queue in
      var topics: OpaquePointer? = unsafe topic
      unsafe rd_kafka_DeleteTopics(self.client.raw, &topics, 1, options, queue)
    } results: { event, count in
      unsafe rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), count)
    }
  }

  /// Sends one administrative request and waits for its answer.
  private func perform(
    _ context: String, _ operation: rd_kafka_admin_op_t,
    request: (_ options: OpaquePointer?, _ queue: OpaquePointer) -> Void,
    results: (_ event: OpaquePointer, _ count: UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?
  ) throws(KafkaError) {
    defer { client.context.writeLog() }
    guard let queue = unsafe rd_kafka_queue_new(client.raw) else {
      throw KafkaError(code: .other, message: "out of memory")
    }
    defer { unsafe rd_kafka_queue_destroy(queue) }
    let options = unsafe rd_kafka_AdminOptions_new(client.raw, operation)
    defer { unsafe rd_kafka_AdminOptions_destroy(options) }
    let timeout = connection.requestTimeout.milliseconds
    _ = unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeout, nil, 0)
    _ = unsafe rd_kafka_AdminOptions_set_operation_timeout(options, timeout, nil, 0)
    unsafe request(options, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, timeout &+ 1_000) else {
      throw client.context.explained(kafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, context))
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    let error = unsafe rd_kafka_event_error(event)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      let detail = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) }
      throw client.context.explained(kafkaError(error, context, detail: detail))
    }
    var count = 0
    guard let list = unsafe results(event, &count) else { return }
    for index in 0..<count {
      let result = unsafe list[index]
      let error = unsafe rd_kafka_topic_result_error(result)
      guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
        let detail = unsafe rd_kafka_topic_result_error_string(result).map { unsafe String(cString: $0) }
        throw kafkaError(error, context, detail: detail)
      }
    }
  }
}

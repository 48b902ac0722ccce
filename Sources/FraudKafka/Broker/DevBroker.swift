import CRdkafka

/// A Kafka broker in this process, for demonstrations and tests: librdkafka's mock cluster on the loopback interface.
///
/// It speaks the Kafka protocol to any client, and forgets everything when it is closed. It is no substitute for a
/// broker beyond that: it keeps the newest 5 MiB and 100,000 messages a partition, has no transaction isolation, no
/// fencing by group generation and no topic administration (topics are created here), lets a consumer group's first
/// member wait 3 s, creates a topic that a client asks for by name, and gets a new cluster id each time. A message that
/// takes more than 5 MiB as it is stored, compressed, is lost.
@safe public final class DevBroker {
  /// Bytes of a partition beyond which the oldest are forgotten. Compressed batches count as they are stored.
  public static let partitionBytes = 5 << 20
  /// Messages of a partition beyond which the oldest are forgotten.
  public static let partitionMessages = 100_000

  /// Whether a cluster of this id (``KafkaAdmin/clusterID()``) is a dev broker, in this process or another.
  public static func isDevBroker(clusterID: String?) -> Bool { clusterID?.hasPrefix("mockCluster") ?? false }

  private let client: ClientHandle
  private let cluster: OpaquePointer
  /// The address to give to clients.
  public let bootstrapServers: String

  /// Starts a broker on a free port.
  ///
  /// - Throws: ``KafkaError`` when it cannot listen.
  public init(brokers: Int = 1) throws(KafkaError) {
    let configuration = try ClientConfiguration(
      // The mock's own client connects nowhere; it only lends its settings.
      connection: nil,
      defaults: [("receive.message.max.bytes", "\(64 << 20)"), ("message.max.bytes", "\(33 << 20)")],
      reserved: [])
    let client = try ClientHandle(
      RD_KAFKA_PRODUCER, configuration: configuration, context: ClientContext(label: "fraud.kafka.broker"))
    guard let cluster = unsafe rd_kafka_mock_cluster_new(client.raw, Int32(clamping: brokers)) else {
      throw KafkaError(code: .unavailable, message: "the dev broker cannot listen on 127.0.0.1")
    }
    bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    self.client = client
    unsafe self.cluster = cluster
  }

  // The cluster ends before the client that it lives in.
  deinit { unsafe rd_kafka_mock_cluster_destroy(cluster) }

  /// Creates a topic.
  ///
  /// - Throws: ``KafkaError`` when there is one of that name.
  public func createTopic(named name: String, partitions: Int) throws(KafkaError) {
    guard !name.isEmpty, (1...1_000).contains(partitions) else {
      throw KafkaError(
        code: .configuration, message: "topic '\(name)' with \(partitions) partitions: a name and 1 to 1000 are needed")
    }
    let result = unsafe rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot create topic '\(name)'") }
  }

  /// Stops answering, as a broker that has died. For tests.
  package func setDown(_ isDown: Bool, broker: Int32 = 1) {
    _ = unsafe isDown ? rd_kafka_mock_broker_set_down(cluster, broker) : rd_kafka_mock_broker_set_up(cluster, broker)
  }

  /// Answers the next requests of a kind (0 is Produce, 1 Fetch ...) with these errors of the protocol. For tests.
  package func pushErrors(_ codes: [Int32], request: Int16) {
    let errors = codes.map { rd_kafka_resp_err_t($0) }
    unsafe rd_kafka_mock_push_request_errors_array(cluster, request, errors.count, errors)
  }
}

/// How a producer writes.
public struct ProducerConfiguration: Sendable {
  /// The cluster.
  public var connection: KafkaConnection
  /// Names the producer across restarts and makes it transactional; `nil` for one that is idempotent only.
  public var transactionalID: String?
  /// How long a message may wait and be retried before its delivery counts as failed.
  public var deliveryTimeout: Duration
  /// How long a broker keeps a transaction open that nobody ends.
  public var transactionTimeout: Duration
  /// How long messages wait for others to share a request with. Longer is more throughput, shorter less delay.
  public var linger: Duration
  /// Bytes of messages queued at most, after which ``KafkaProducer/send(to:key:value:partition:timestampMilliseconds:headers:timeout:)`` waits.
  public var queueBytes: Int
  /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
  public var compression: String

  /// Every setting but the cluster has a default that suits a steady stream of small events.
  public init(connection: KafkaConnection, transactionalID: String? = nil) {
    self.connection = connection
    self.transactionalID = transactionalID
    deliveryTimeout = .seconds(120)
    transactionTimeout = .seconds(60)
    linger = .milliseconds(5)
    queueBytes = 64 << 20
    compression = "lz4"
  }

  /// Checks all settings and properties, without connecting.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`, its message naming every property that is refused and why.
  public func validate() throws(KafkaError) {
    _ = try clientConfiguration()
  }

  /// Keys are spread as Java's producer does it, so that topics written by both are co-partitioned.
  func clientConfiguration() throws(KafkaError) -> ClientConfiguration {
    var reserved = [
      ("enable.idempotence", "true"), ("partitioner", "murmur2_random"), ("statistics.interval.ms", "0"),
    ]
    // A message must be given up before its transaction is.
    var deliveryTimeout = deliveryTimeout
    if let transactionalID {
      deliveryTimeout = min(deliveryTimeout, transactionTimeout)
      reserved.append(("transactional.id", transactionalID))
      reserved.append(("transaction.timeout.ms", "\(transactionTimeout.milliseconds)"))
    }
    return try ClientConfiguration(
      connection: connection,
      defaults: [
        ("compression.codec", compression),
        ("linger.ms", "\(linger.milliseconds)"),
        ("message.timeout.ms", "\(max(1, deliveryTimeout.milliseconds))"),
        ("queue.buffering.max.kbytes", "\(max(1, queueBytes >> 10))"),
        ("queue.buffering.max.messages", "200000"),
        // The broker decides which size it takes; this only has to let 32 MiB and its framing through.
        ("message.max.bytes", "\(33 << 20)"),
        ("receive.message.max.bytes", "\(64 << 20)"),
        ("reconnect.backoff.max.ms", "2000"),
        ("log.connection.close", "false"),
      ],
      reserved: reserved)
  }
}

import CRdkafka

/// How a consumer reads.
public struct ConsumerConfiguration: Sendable {
  /// The cluster.
  public var connection: KafkaConnection
  /// The consumer group. Members of one group share the partitions of the topics that they subscribe to.
  public var group: String
  /// A name that survives restarts (`group.instance.id`): a member that comes back within the session timeout keeps
  /// its partitions without a rebalance. `nil` for an ordinary member.
  public var groupInstance: String?
  /// How long the group waits for a silent member before it gives its partitions away.
  public var sessionTimeout: Duration
  /// How long the owner may take between two polls before it loses its partitions.
  public var pollInterval: Duration
  /// Bytes of messages that librdkafka fetches ahead, in all. It may exceed it by a fetch a partition, and needs some 700 bytes
  /// more for each message: while a backlog of 113-byte events is read, 64 MiB of them take 460 MB and 8 MiB take 140 MB.
  ///
  /// librdkafka before 2.2 reads nothing for a second once this is reached, so there it is 64 MiB, to hold a second's worth of
  /// events: with 16 MiB a backlog of 180-byte events was read at 27,000 a second, with 64 MiB at 270,000. Later ones are told to
  /// wait for 10 ms only, and 8 MiB are enough.
  public var prefetchBytes: Int
  /// How long a broker may hold back an answer for want of messages. It only sets how often an idle consumer asks.
  public var fetchWait: Duration

  /// Reads as a member of `group`; every other setting has the value that suits a processor.
  public init(connection: KafkaConnection, group: String) {
    self.connection = connection
    self.group = group
    groupInstance = nil
    sessionTimeout = .seconds(45)
    pollInterval = .seconds(300)
    prefetchBytes = Self.canShortenPause ? 8 << 20 : 64 << 20
    fetchWait = .milliseconds(100)
  }

  /// Whether librdkafka can be told how long it reads nothing once enough is fetched ahead.
  private static var canShortenPause: Bool { rd_kafka_version() >= 0x0202_0000 }

  /// How long it then does.
  private static let fetchPause = Duration.milliseconds(10)

  /// Suits ``DevBroker``, which holds back every empty answer for the whole of the fetch wait, and each rebalance for
  /// the session timeout less a second. The session must outlast the 3 s that a group's first member waits.
  public mutating func suitDevBroker() {
    fetchWait = .milliseconds(5)
    sessionTimeout = .seconds(4)
    connection.properties["heartbeat.interval.ms"] = connection.properties["heartbeat.interval.ms"] ?? "500"
  }

  /// Checks all settings and properties, without connecting.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`, its message naming every property that is refused and why.
  public func validate() throws(KafkaError) {
    _ = try clientConfiguration()
  }

  /// The properties that exactness rests on are reserved: offsets are kept by the owner and given at assignment, so
  /// librdkafka neither stores nor resets them; the eager `range` assignor is the one whose revocations are complete,
  /// and co-partitions topics of equal size (`RELIABILITY` 2.4 and 2.8 name the faults that this avoids).
  func clientConfiguration() throws(KafkaError) -> ClientConfiguration {
    guard !group.isEmpty else {
      throw KafkaError(code: .configuration, message: "Kafka configuration: the consumer group has no name")
    }
    var reserved = [
      ("group.id", group), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
      ("auto.offset.reset", "error"), ("enable.partition.eof", "true"), ("allow.auto.create.topics", "false"),
      ("partition.assignment.strategy", "range"), ("statistics.interval.ms", "0"),
    ]
    if let groupInstance { reserved.append(("group.instance.id", groupInstance)) }
    let pause = Self.canShortenPause ? [("fetch.queue.backoff.ms", "\(Self.fetchPause.milliseconds)")] : []
    return try ClientConfiguration(
      connection: connection,
      defaults: pause + [
        ("isolation.level", "read_committed"),
        ("session.timeout.ms", "\(sessionTimeout.milliseconds)"),
        ("max.poll.interval.ms", "\(max(pollInterval, sessionTimeout).milliseconds)"),
        ("queued.max.messages.kbytes", "\(max(1, prefetchBytes >> 10))"),
        // Per partition, and with the same pause: the bytes alone are to decide.
        ("queued.min.messages", "1000000"),
        ("fetch.wait.max.ms", "\(fetchWait.milliseconds)"),
        ("fetch.message.max.bytes", "\(1 << 20)"),
        ("fetch.max.bytes", "\(16 << 20)"),
        // A broker delivers the first batch of a fetch whatever its size: 32 MiB of message beside 16 MiB of others.
        ("receive.message.max.bytes", "\(64 << 20)"),
        ("reconnect.backoff.max.ms", "2000"),
      ],
      reserved: reserved)
  }
}

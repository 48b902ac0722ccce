import CRdkafka
public import FraudCore
import Synchronization

/// How the messages of a producer have fared so far.
public struct DeliveryReport: Sendable {
  /// Failures that are kept with their reason.
  public static let failuresMax = 10

  /// Messages that the brokers have acknowledged.
  public internal(set) var delivered = 0
  /// Messages that were given up.
  public internal(set) var failed = 0
  /// The first of every reason in every partition.
  public internal(set) var failures: [KafkaError] = []
  /// Bytes of keys and values acknowledged.
  public internal(set) var deliveredBytes = 0
}

/// Writes messages, each of them once and in order (idempotence), in transactions where asked.
///
/// Calls may block while the queue is full or a transaction ends, so make them from a thread of your own. Delivery is
/// reported later, while the producer is called: look at ``report`` after ``flush(timeout:)``.
public final class KafkaProducer {
  private let client: ClientHandle
  private let transactionTimeout: Duration
  private var sent = 0

  /// Makes a producer; connecting goes on in the background.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`.
  public init(_ configuration: ProducerConfiguration) throws(KafkaError) {
    let clientConfiguration = try configuration.clientConfiguration()
    unsafe rd_kafka_conf_set_dr_msg_cb(clientConfiguration.raw) { client, message, _ in
      guard let context = unsafe ClientContext.of(client), let message = unsafe message else { return }
      let fields = unsafe message.pointee
      let error: KafkaError? =
        if unsafe fields.err == RD_KAFKA_RESP_ERR_NO_ERROR {
          nil
        } else {
          unsafe KafkaProducer.deliveryError(message)
        }
      context.state.withLock { state in
        guard let error else {
          state.deliveries.delivered += 1
          state.deliveries.deliveredBytes += unsafe fields.len + fields.key_len
          return
        }
        state.deliveries.failed += 1
        let isKnown = state.deliveries.failures.contains { $0.raw == error.raw && $0.partition == error.partition }
        if !isKnown, state.deliveries.failures.count < DeliveryReport.failuresMax {
          state.deliveries.failures.append(error)
        }
      }
    }
    transactionTimeout = configuration.transactionTimeout
    client = try ClientHandle(
      RD_KAFKA_PRODUCER, configuration: clientConfiguration, context: ClientContext(label: "fraud.kafka.producer"))
  }

  private static func deliveryError(_ message: UnsafePointer<rd_kafka_message_t>) -> KafkaError {
    let fields = unsafe message.pointee
    var error = unsafe kafkaError(fields.err, "not delivered")
    error.code = .delivery
    if let topic = unsafe fields.rkt {
      error.partition = unsafe TopicPartition(
        topic: String(cString: rd_kafka_topic_name(topic)), partition: fields.partition)
    }
    return error
  }

  /// Queues a message, waiting up to `timeout` for room.
  ///
  /// - Parameters:
  ///   - key: chooses the partition, equal keys the same one; without a key any.
  ///   - value: `nil` is a tombstone.
  ///   - partition: overrides the choice by key.
  ///   - timestampMilliseconds: since 1970; the time of the call if `nil`.
  /// - Throws: ``KafkaError``: `.queueFull` after `timeout`, `.configuration` for a message that is too large,
  ///   `.fatal` or `.fenced` when the producer is of no more use.
  public func send(
    to topic: String, key: Span<UInt8>?, value: Span<UInt8>?, partition: Int32? = nil,
    timestampMilliseconds: Int64? = nil, headers: [(String, [UInt8])] = [], timeout: Duration = .seconds(60)
  ) throws(KafkaError) {
    sent += 1
    if sent % 1_000 == 0 { serve() }
    var deadline: ContinuousClock.Instant?
    while true {
      let result = enqueue(topic, key, value, partition, timestampMilliseconds, headers)
      switch result {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return
      case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        let end = deadline ?? .now + timeout
        deadline = end
        guard ContinuousClock.now < end else {
          throw client.context.explained(
            KafkaError(code: .queueFull, message: "the producer's queue is full", raw: result.rawValue))
        }
        // Serving delivery reports is what makes room.
        _ = unsafe rd_kafka_poll(client.raw, 50)
        client.context.writeLog()
        try client.checkFatal()
      case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        let count = (key?.count ?? 0) + (value?.count ?? 0)
        throw KafkaError(
          code: .delivery, message: "a message of \(count) bytes is larger than message.max.bytes",
          raw: result.rawValue)
      default:
        try client.checkFatal()
        throw kafkaError(result, "cannot send to '\(topic)'")
      }
    }
  }

  private func enqueue(
    _ topic: String, _ key: Span<UInt8>?, _ value: Span<UInt8>?, _ partition: Int32?, _ timestamp: Int64?,
    _ headers: [(String, [UInt8])]
  ) -> rd_kafka_resp_err_t {
    var list: OpaquePointer?
    if !headers.isEmpty {
      unsafe list = rd_kafka_headers_new(headers.count)
      for (name, bytes) in headers {
        unsafe bytes.withUnsafeBytes {
          _ = unsafe rd_kafka_header_add(list, name, -1, $0.baseAddress, $0.count)
        }
      }
    }
    // The bytes are copied before the call returns.
    let result = unsafe withBytes(key) { keyStart, keyCount in
      unsafe withBytes(value) { valueStart, valueCount in
        unsafe fraud_kafka_produce(
          client.raw, topic, partition ?? RD_KAFKA_PARTITION_UA, keyStart, keyCount, valueStart, valueCount,
          timestamp ?? 0, list)
      }
    }
    if result != RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe list { unsafe rd_kafka_headers_destroy(list) }
    return result
  }

  /// Lends a span's address: null for none, and an address that is not null for an empty one, which Kafka tells apart.
  private func withBytes<R>(_ bytes: Span<UInt8>?, _ body: (UnsafeRawPointer?, Int) -> R) -> R {
    guard let bytes else { return body(nil, 0) }
    return unsafe bytes.withUnsafeBytes { buffer in
      if let start = buffer.baseAddress { return unsafe body(start, buffer.count) }
      let nothing: UInt8 = 0
      return unsafe withUnsafeBytes(of: nothing) { unsafe body($0.baseAddress, 0) }
    }
  }

  /// Lets delivery reports come in, waiting up to `timeout` for the first. Call it when nothing is sent for long.
  public func serve(timeout: Duration = .zero) {
    _ = unsafe rd_kafka_poll(client.raw, timeout.milliseconds)
    client.context.writeLog()
  }

  /// Waits until every message is delivered or given up, at most `timeout`.
  ///
  /// - Returns: the messages still on their way.
  /// - Throws: ``KafkaError`` when the producer is of no more use.
  @discardableResult
  public func flush(timeout: Duration) throws(KafkaError) -> Int {
    _ = unsafe rd_kafka_flush(client.raw, timeout.milliseconds)
    client.context.writeLog()
    try client.checkFatal()
    return inFlight
  }

  /// Gives up every message that has not been delivered; they are reported as failed.
  public func discard() {
    _ = unsafe rd_kafka_purge(client.raw, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
    serve()
  }

  /// Messages queued or on their way.
  public var inFlight: Int { Int(unsafe rd_kafka_outq_len(client.raw)) }

  /// How the messages have fared as of the last call.
  public var report: DeliveryReport { client.context.state.withLock { $0.deliveries } }

  /// How long no broker at all has been reachable; `nil` while one is. Takes 0.2 s while none is.
  public func unreachableDuration() -> Duration? { client.unreachableDuration() }

  /// Takes over the transactional id: an older producer of the same id is fenced, its open transaction aborted.
  /// Call it once, before the first transaction.
  public func initializeTransactions() throws(KafkaError) {
    try unsafe check(
      "cannot start transactions", rd_kafka_init_transactions(client.raw, transactionTimeout.milliseconds))
  }

  /// Begins a transaction: what is sent from now on becomes visible at once, or never.
  public func beginTransaction() throws(KafkaError) {
    try unsafe check("cannot begin a transaction", rd_kafka_begin_transaction(client.raw))
  }

  /// Makes the consumer's progress part of the transaction. Fails where the group has given the partitions away since.
  public func sendOffsets(_ nextOffsets: [TopicPartition: Int64], of consumer: KafkaConsumer) throws(KafkaError) {
    let list = PartitionList(nextOffsets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    let timeout = transactionTimeout.milliseconds
    // The metadata is read anew each time: it holds the group's generation.
    let error: OpaquePointer? = try unsafe consumer.withGroupMetadata { metadata throws(KafkaError) in
      unsafe rd_kafka_send_offsets_to_transaction(client.raw, list.raw, metadata, timeout)
    }
    try unsafe check("cannot send offsets to the transaction", error)
  }

  /// Ends the transaction with success, once everything sent in it is delivered.
  ///
  /// - Throws: ``KafkaError`` with `isRetriable` (make the same call again), `requiresAbort` (abort, and read the input
  ///   again), or `.fatal` or `.fenced`: end the process.
  public func commitTransaction() throws(KafkaError) {
    try unsafe check(
      "cannot commit the transaction", rd_kafka_commit_transaction(client.raw, transactionTimeout.milliseconds))
  }

  /// Ends the transaction without effect.
  public func abortTransaction() throws(KafkaError) {
    try unsafe check(
      "cannot abort the transaction", rd_kafka_abort_transaction(client.raw, transactionTimeout.milliseconds))
  }

  private func check(_ context: String, _ error: OpaquePointer?) throws(KafkaError) {
    client.context.writeLog()
    if let error = unsafe error { throw unsafe kafkaError(taking: error, context) }
  }
}

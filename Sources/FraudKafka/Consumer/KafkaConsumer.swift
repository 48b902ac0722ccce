import CRdkafka
public import FraudCore
import Logging
import Synchronization

/// Reads topics as a member of a consumer group, with offsets kept by the owner.
///
/// One thread owns a consumer, of its own and not of the cooperative pool: ``poll(into:timeout:)`` blocks. Nothing is
/// stored or reset behind the owner's back: it answers each assignment with the offset at which every partition starts,
/// usually from the transaction that also holds the results. Messages below the offset expected next are dropped, which
/// is the defence against clients and brokers that deliver one twice.
///
/// While the owner cannot take messages it pauses the partitions and polls on; a member that does not poll loses them.
public final class KafkaConsumer: RecordSource {
  private struct Position {
    var next: Int64?
    var isPaused = false
  }

  private let client: ClientHandle
  private let configuration: ConsumerConfiguration
  /// What has been asked for; emptied when a rebalance takes it away.
  private var positions: [TopicPartition: Position] = [:]
  private var pendingError: KafkaError?
  private var pendingRebalances: [ClientContext.Rebalance] = []
  /// What came while the owner only kept its membership alive; the next polls hand it out.
  private let early = EarlyMessages()
  private var pausedMeanwhile: [TopicPartition] = []
  private var isClosed = false
  private(set) var topics: [String] = []

  /// Messages that arrived again and were dropped.
  public private(set) var repeatedMessages = 0

  /// Makes a consumer; connecting goes on in the background.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`.
  public init(_ configuration: ConsumerConfiguration) throws(KafkaError) {
    let clientConfiguration = try configuration.clientConfiguration()
    unsafe rd_kafka_conf_set_rebalance_cb(clientConfiguration.raw) { client, code, list, _ in
      unsafe KafkaConsumer.rebalance(client, code, list)
    }
    self.configuration = configuration
    client = try ClientHandle(
      RD_KAFKA_CONSUMER, configuration: clientConfiguration, context: ClientContext(label: "fraud.kafka.consumer"))
    // One queue for messages, events and errors, served by poll alone.
    unsafe rd_kafka_poll_set_consumer(client.raw)
  }

  deinit { close() }

  /// Runs inside `rd_kafka_consumer_poll` or `rd_kafka_consumer_close`, on the owner's thread. The owner answers after
  /// the poll, except while closing.
  private static func rebalance(
    _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t,
    _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
  ) {
    guard let client = unsafe client, let context = unsafe ClientContext.of(client) else { return }
    let partitions = unsafe list.map { unsafe PartitionList.entries(of: $0).map(\.partition).sorted() } ?? []
    let rebalance: ClientContext.Rebalance =
      if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
        .assigned(partitions)
      } else if unsafe rd_kafka_assignment_lost(client) != 0 {
        .lost(partitions)
      } else {
        .revoked(partitions)
      }
    let isClosing = context.state.withLock {
      if !$0.isClosing { $0.rebalances.append(rebalance) }
      return $0.isClosing
    }
    if isClosing {
      _ = unsafe rd_kafka_assign(client, nil)
    } else {
      // Poll returns at once, before it hands out another message.
      unsafe rd_kafka_yield(client)
    }
  }

  /// Joins the group for these topics, all of which must exist. Partitions come as ``SourceEvent/assigned(_:)`` from
  /// later polls. Blocks up to the connection's request timeout.
  ///
  /// - Throws: ``KafkaError`` with `.unavailable` when no broker answers, `.unknownTopic` naming the nearest topic.
  public func subscribe(to topics: [String]) throws(KafkaError) {
    defer { client.context.writeLog() }
    for topic in topics {
      _ = try client.topic(named: topic, timeout: configuration.connection.requestTimeout)
    }
    let list = PartitionList(topics.map { TopicPartition(topic: $0, partition: RD_KAFKA_PARTITION_UA) })
    let result = unsafe rd_kafka_subscribe(client.raw, list.raw)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw kafkaError(result, "cannot subscribe to \(topics.joined(separator: ", "))")
    }
    self.topics = topics
  }

  /// Reads these partitions from these offsets, and no others.
  ///
  /// This answers ``SourceEvent/assigned(_:)``. Called again it goes back (or ahead) to other offsets. Without a
  /// subscription it reads partitions outside any group.
  public func assign(_ starts: [TopicPartition: StartOffset]) throws(KafkaError) {
    let sorted = starts.sorted { $0.key < $1.key }
    let list = PartitionList(
      sorted.map { partition, start in
        switch start {
        case .beginning: (partition, Int64(RD_KAFKA_OFFSET_BEGINNING))
        case .end: (partition, Int64(RD_KAFKA_OFFSET_END))
        case .at(let offset): (partition, max(0, offset))
        }
      })
    let result = unsafe rd_kafka_assign(client.raw, list.raw)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot take partitions") }
    early.removeAll()
    pausedMeanwhile = []
    positions = [:]
    for (partition, start) in sorted {
      if case .at(let offset) = start {
        positions[partition] = Position(next: max(0, offset))
      } else {
        positions[partition] = Position()
      }
    }
  }

  /// Gives every partition back. This answers ``SourceEvent/revoked(_:)`` and ``SourceEvent/lost(_:)``.
  public func unassign() throws(KafkaError) {
    early.removeAll()
    pausedMeanwhile = []
    positions = [:]
    let result = unsafe rd_kafka_assign(client.raw, nil)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot give partitions back") }
  }

  /// Waits up to `timeout` for a message or an event, then takes what is there without waiting further.
  ///
  /// - Parameters:
  ///   - batch: emptied, then filled with messages of assigned partitions.
  ///   - timeout: how long to wait for the first.
  /// - Returns: what happened after the messages in `batch`, if anything did.
  /// - Throws: ``KafkaError``: `.fatal`, `.fenced`, `.notAuthorized` when this consumer is of no more use;
  ///   `.unknownTopic` when a subscribed topic does not exist. Brokers that are away are no error: the consumer waits
  ///   for them, ``unreachableDuration()`` says how long already.
  public func poll(into batch: inout MessageBatch, timeout: Duration) throws(KafkaError) -> SourceEvent? {
    client.context.writeLog()
    batch.removeAll()
    if let error = pendingError {
      pendingError = nil
      throw error
    }
    if let event = takeRebalance() { return event }
    try endPause()
    var wait = timeout.milliseconds
    // The partition of the last run, compared by address before it is looked up by name.
    var lastTopic: OpaquePointer?
    var lastPartition: Int32 = -1
    var current: TopicPartition?
    var next: Int64?
    var isInRun = false
    func keepPosition() {
      if let current { positions[current]?.next = next }
    }
    defer { keepPosition() }

    while !batch.isFull {
      guard let message = unsafe nextMessage(wait) else {
        if batch.isEmpty { try client.checkFatal() }
        keepPosition()
        current = nil
        return takeRebalance()
      }
      if wait > 0 || batch.isEmpty { client.context.noteAnswer() }
      wait = 0
      defer { unsafe rd_kafka_message_destroy(message) }
      if unsafe message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR {
        keepPosition()
        current = nil
        guard let outcome = unsafe event(of: message, error: message.pointee.err) else {
          unsafe lastTopic = nil
          continue
        }
        switch outcome {
        case .success(let event): return event
        case .failure(let error):
          if batch.isEmpty { throw error }
          pendingError = error
          return nil
        }
      }
      if unsafe message.pointee.rkt != lastTopic || message.pointee.partition != lastPartition {
        keepPosition()
        unsafe lastTopic = message.pointee.rkt
        lastPartition = unsafe message.pointee.partition
        let partition = unsafe TopicPartition(
          topic: String(cString: rd_kafka_topic_name(message.pointee.rkt)), partition: lastPartition)
        current = positions[partition] == nil ? nil : partition
        next = positions[partition]?.next
        isInRun = false
      }
      guard current != nil else { continue }
      let offset = unsafe message.pointee.offset
      if let expected = next, offset < expected {
        repeatedMessages += 1
        continue
      }
      next = offset + 1
      if !isInRun, let current { batch.beginRun(current) }
      isInRun = true
      unsafe Self.append(message, to: &batch)
    }
    return nil
  }

  private func nextMessage(_ wait: Int32) -> UnsafeMutablePointer<rd_kafka_message_t>? {
    if let message = unsafe early.takeFirst() { return unsafe message }
    return unsafe rd_kafka_consumer_poll(client.raw, wait)
  }

  /// Stays a member of the group without taking messages, while the owner is busy for longer than
  /// ``ConsumerConfiguration/pollInterval``. Partitions are paused until the next ``poll(into:timeout:)``.
  ///
  /// - Returns: false where a rebalance has come, which the next poll returns: the owner should not let the group wait.
  /// - Throws: ``KafkaError`` where this consumer is of no more use.
  public func keepAlive() throws(KafkaError) -> Bool {
    client.context.writeLog()
    let running = positions.filter { !$0.value.isPaused }.keys.sorted()
    if !running.isEmpty {
      try pause(running)
      pausedMeanwhile += running
    }
    if let message = unsafe rd_kafka_consumer_poll(client.raw, 0) { unsafe early.append(message) }
    try client.checkFatal()
    return pendingRebalances.isEmpty && client.context.state.withLock { $0.rebalances.isEmpty }
  }

  private func endPause() throws(KafkaError) {
    guard !pausedMeanwhile.isEmpty else { return }
    let partitions = pausedMeanwhile.filter { positions[$0] != nil }
    pausedMeanwhile = []
    if !partitions.isEmpty { try resume(partitions) }
  }

  private static func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>, to batch: inout MessageBatch) {
    var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timestamp = unsafe rd_kafka_message_timestamp(message, &type)
    let fields = unsafe message.pointee
    unsafe batch.append(
      offset: fields.offset,
      timestampMilliseconds: type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : timestamp,
      key: fields.key.map { unsafe UnsafeRawBufferPointer(start: $0, count: fields.key_len) },
      value: fields.payload.map { unsafe UnsafeRawBufferPointer(start: $0, count: fields.len) })
  }

  /// What a message that carries an error means; `nil` if librdkafka recovers by itself.
  private func event(
    of message: UnsafeMutablePointer<rd_kafka_message_t>, error: rd_kafka_resp_err_t
  ) -> Result<SourceEvent, KafkaError>? {
    let partition = unsafe message.pointee.rkt.map {
      unsafe TopicPartition(topic: String(cString: rd_kafka_topic_name($0)), partition: message.pointee.partition)
    }
    if error == RD_KAFKA_RESP_ERR__PARTITION_EOF, let partition {
      guard let position = positions[partition] else { return nil }
      let offset = unsafe message.pointee.offset
      // Control records and compacted messages are not delivered: the end may lie beyond the last message.
      positions[partition]?.next = max(position.next ?? 0, offset)
      return .success(.reachedEnd(partition, offset: offset))
    }
    let detail = unsafe rd_kafka_message_errstr(message).map { unsafe String(cString: $0) }
    var described = kafkaError(error, "cannot read", detail: detail)
    described.partition = unsafe message.pointee.partition >= 0 ? partition : nil
    switch described.code {
    case .offsetOutOfRange:
      guard let partition, positions[partition] != nil else { return nil }
      return .success(.failed(partition, described))
    case .unknownTopic:
      let names = partition.map(\.topic) ?? topics.joined(separator: ", ")
      return .failure(
        KafkaError(code: .unknownTopic, message: "topic '\(names)' does not exist", raw: described.raw))
    case .notAuthorized, .fenced, .fatal:
      return .failure(described)
    default:
      client.context.logger.warning("\(described)")
      return nil
    }
  }

  private func takeRebalance() -> SourceEvent? {
    if pendingRebalances.isEmpty {
      pendingRebalances = client.context.state.withLock { state in
        defer { state.rebalances = [] }
        return state.rebalances
      }
    }
    guard !pendingRebalances.isEmpty else { return nil }
    switch pendingRebalances.removeFirst() {
    case .assigned(let partitions):
      return .assigned(partitions)
    case .revoked(let partitions):
      for partition in partitions { positions[partition] = nil }
      return .revoked(partitions)
    case .lost(let partitions):
      for partition in partitions { positions[partition] = nil }
      return .lost(partitions)
    }
  }

  /// Stops reading these partitions until they are resumed. Messages fetched ahead are dropped and fetched again, so
  /// pause when full and resume when empty rather than around every batch.
  public func pause(_ partitions: [TopicPartition]) throws(KafkaError) {
    let list = PartitionList(partitions)
    let result = unsafe rd_kafka_pause_partitions(client.raw, list.raw)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot pause") }
    for partition in partitions { positions[partition]?.isPaused = true }
  }

  /// Reads paused partitions on from where they stopped.
  public func resume(_ partitions: [TopicPartition]) throws(KafkaError) {
    let list = PartitionList(partitions)
    let result = unsafe rd_kafka_resume_partitions(client.raw, list.raw)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot resume") }
    for partition in partitions { positions[partition]?.isPaused = false }
  }

  /// The partitions that are being read, in order.
  public var assignment: [TopicPartition] { positions.keys.sorted() }

  /// Whether a partition is paused.
  public func isPaused(_ partition: TopicPartition) -> Bool { positions[partition]?.isPaused ?? false }

  /// The offset after the last message handed out; `nil` before the first when the start was not an offset.
  public func position(of partition: TopicPartition) -> Int64? { positions[partition]?.next }

  /// How many messages of a partition lie ahead, as of the last fetch; `nil` until one has come.
  public func lagRecords(of partition: TopicPartition) -> Int64? {
    guard let next = positions[partition]?.next else { return nil }
    var low: Int64 = -1
    var high: Int64 = -1
    let result = unsafe rd_kafka_get_watermark_offsets(
      client.raw, partition.topic, partition.partition, &low, &high)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 else { return nil }
    return max(0, high - next)
  }

  /// Asks the brokers which offsets partitions hold now, up to the last stable one when reading committed messages.
  /// Blocks up to twice the connection's request timeout.
  public func watermarks(of partitions: [TopicPartition]) throws(KafkaError) -> [TopicPartition: Watermarks] {
    try client.watermarks(of: partitions, timeout: configuration.connection.requestTimeout)
  }

  /// The offset of the oldest message that a partition holds. Blocks up to the connection's request timeout.
  public func earliestOffset(of partition: TopicPartition) throws(KafkaError) -> Int64 {
    guard let watermarks = try watermarks(of: [partition])[partition] else {
      throw KafkaError(code: .unknownTopic, message: "no answer about its offsets", partition: partition)
    }
    return watermarks.low
  }

  /// Stores offsets in the group without waiting, for dashboards: what was read is decided by the owner's own record.
  public func commit(_ nextOffsets: [TopicPartition: Int64]) throws(KafkaError) {
    guard !nextOffsets.isEmpty else { return }
    let list = PartitionList(nextOffsets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    let result = unsafe rd_kafka_commit(client.raw, list.raw, 1)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else { throw kafkaError(result, "cannot commit offsets") }
  }

  /// The offsets stored in the group; a partition without one is left out. Blocks up to the request timeout.
  public func committedOffsets(of partitions: [TopicPartition]) throws(KafkaError) -> [TopicPartition: Int64] {
    let list = PartitionList(partitions)
    let result = unsafe rd_kafka_committed(
      client.raw, list.raw, configuration.connection.requestTimeout.milliseconds)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw client.context.explained(kafkaError(result, "cannot read committed offsets"))
    }
    var offsets: [TopicPartition: Int64] = [:]
    for entry in list.entries where entry.error == RD_KAFKA_RESP_ERR_NO_ERROR && entry.offset >= 0 {
      offsets[entry.partition] = entry.offset
    }
    return offsets
  }

  /// How long no broker at all has been reachable; `nil` while one is. Takes 0.2 s while none is.
  public func unreachableDuration() -> Duration? { client.unreachableDuration() }

  /// Leaves the group. Finish or discard first: partitions are given back without further events.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    early.removeAll()
    positions = [:]
    client.context.state.withLock { $0.isClosing = true }
    _ = unsafe rd_kafka_consumer_close(client.raw)
    client.context.writeLog()
  }

  /// Lends the group's metadata of this moment, which fences offsets sent to a transaction.
  func withGroupMetadata<R>(_ body: (OpaquePointer) throws(KafkaError) -> R) throws(KafkaError) -> R {
    guard let metadata = unsafe rd_kafka_consumer_group_metadata(client.raw) else {
      throw KafkaError(code: .configuration, message: "this consumer is in no group")
    }
    defer { unsafe rd_kafka_consumer_group_metadata_destroy(metadata) }
    return try unsafe body(metadata)
  }
}

/// Messages and events in the order in which they came, owned until they are taken.
@safe
private final class EarlyMessages {
  private var messages: [UnsafeMutablePointer<rd_kafka_message_t>] = unsafe []

  deinit { removeAll() }

  /// Hands over a message, to be destroyed by the removal.
  func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>) { unsafe messages.append(message) }

  /// The first one, which the caller then owns.
  func takeFirst() -> UnsafeMutablePointer<rd_kafka_message_t>? {
    unsafe messages.isEmpty ? nil : messages.removeFirst()
  }

  func removeAll() {
    while let message = unsafe takeFirst() { unsafe rd_kafka_message_destroy(message) }
  }
}

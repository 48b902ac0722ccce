import CRdkafka
import FraudCore
import Synchronization

extension ClientHandle {
  /// Every topic of the cluster. Asking for all of them never creates one, as asking for one by name may.
  func topics(timeout: Duration) throws(KafkaError) -> [TopicDescription] {
    var answer: UnsafePointer<rd_kafka_metadata>?
    let result = unsafe rd_kafka_metadata(raw, 1, nil, &answer, timeout.milliseconds)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe answer else {
      throw unanswered(kafkaError(result, "no answer about topics"), timeout)
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    context.noteAnswer()
    var topics: [TopicDescription] = []
    for index in 0..<Int(unsafe metadata.pointee.topic_cnt) {
      let topic = unsafe metadata.pointee.topics[index]
      guard unsafe topic.err == RD_KAFKA_RESP_ERR_NO_ERROR, let name = unsafe topic.topic else { continue }
      topics.append(
        TopicDescription(name: unsafe String(cString: name), partitionCount: unsafe Int(topic.partition_cnt)))
    }
    return topics.sorted { $0.name < $1.name }
  }

  /// One topic, or an error that names the nearest.
  func topic(named name: String, timeout: Duration) throws(KafkaError) -> TopicDescription {
    let topics = try topics(timeout: timeout)
    if let topic = topics.first(where: { $0.name == name }) { return topic }
    let suggestion = nearest(to: name, among: topics.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
    throw KafkaError(code: .unknownTopic, message: "topic '\(name)' does not exist\(suggestion)")
  }

  /// The offsets that partitions hold now.
  ///
  /// Asked for as the offsets of the times -2 and -1, which stand for the beginning and the end:
  /// `rd_kafka_query_watermark_offsets` of 2.0.2 waits for ever when brokers are away, whatever its timeout.
  func watermarks(
    of partitions: [TopicPartition], timeout: Duration
  ) throws(KafkaError) -> [TopicPartition: Watermarks] {
    guard !partitions.isEmpty else { return [:] }
    let lows = try offsets(of: partitions, at: Int64(RD_KAFKA_OFFSET_BEGINNING), timeout)
    let highs = try offsets(of: partitions, at: Int64(RD_KAFKA_OFFSET_END), timeout)
    var watermarks: [TopicPartition: Watermarks] = [:]
    for (partition, low) in lows {
      if let high = highs[partition] { watermarks[partition] = Watermarks(low: low, high: max(low, high)) }
    }
    return watermarks
  }

  private func offsets(
    of partitions: [TopicPartition], at time: Int64, _ timeout: Duration
  ) throws(KafkaError) -> [TopicPartition: Int64] {
    let list = PartitionList(partitions.map { ($0, time) })
    let result = unsafe rd_kafka_offsets_for_times(raw, list.raw, timeout.milliseconds)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
      // librdkafka from 2.3 on calls a partition unknown whose broker it cannot reach, too.
      let isAway = result == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && !isAnswered()
      throw context.explained(kafkaError(isAway ? RD_KAFKA_RESP_ERR__TRANSPORT : result, "cannot read watermarks"))
    }
    var offsets: [TopicPartition: Int64] = [:]
    for entry in list.entries {
      guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
        var error = kafkaError(entry.error, "cannot read watermarks")
        error.partition = entry.partition
        throw context.explained(error)
      }
      offsets[entry.partition] = entry.offset
    }
    return offsets
  }

  /// How long no broker has been reachable; `nil` while one is.
  ///
  /// librdkafka says once that all brokers are down and never that one is back, so that has to be asked for.
  func unreachableDuration() -> Duration? {
    guard let since = context.state.withLock({ $0.unreachableSince }) else { return nil }
    return isAnswered() ? nil : since.duration(to: .now)
  }

  /// Whether a broker answers at once.
  private func isAnswered() -> Bool {
    var answer: UnsafePointer<rd_kafka_metadata>?
    let result = unsafe rd_kafka_metadata(raw, 0, nil, &answer, 200)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe answer else { return false }
    unsafe rd_kafka_metadata_destroy(metadata)
    context.noteAnswer()
    return true
  }

  /// A request for topics that nobody answered: any broker can answer it, so none can be reached.
  private func unanswered(_ error: KafkaError, _ timeout: Duration) -> KafkaError {
    guard error.code == .timedOut || error.code == .unavailable else { return error }
    var error = error
    error.code = .unavailable
    error.message = "no broker answers within \(timeout.milliseconds / 1_000) s"
    return context.explained(error)
  }
}

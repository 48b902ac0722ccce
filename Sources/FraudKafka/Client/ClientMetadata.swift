import CRdkafka
import FraudCore

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

  /// The offsets that a partition holds now.
  func watermarks(of partition: TopicPartition, timeout: Duration) throws(KafkaError) -> Watermarks {
    var low: Int64 = 0
    var high: Int64 = 0
    let result = unsafe rd_kafka_query_watermark_offsets(
      raw, partition.topic, partition.partition, &low, &high, timeout.milliseconds)
    guard result == RD_KAFKA_RESP_ERR_NO_ERROR else {
      var error = kafkaError(result, "cannot read watermarks")
      error.partition = partition
      throw context.explained(error)
    }
    return Watermarks(low: low, high: high)
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

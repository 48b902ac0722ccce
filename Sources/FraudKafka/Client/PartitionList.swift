import CRdkafka
import FraudCore

/// Owns an `rd_kafka_topic_partition_list_t`.
@safe struct PartitionList: ~Copyable {
  let raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

  /// A list of partitions with offsets, in the order given.
  init(_ entries: [(TopicPartition, Int64)]) {
    unsafe raw = rd_kafka_topic_partition_list_new(Int32(clamping: entries.count))
    for (partition, offset) in entries {
      let entry = unsafe rd_kafka_topic_partition_list_add(raw, partition.topic, partition.partition)
      if let entry = unsafe entry { unsafe entry.pointee.offset = offset }
    }
  }

  /// A list of partitions without offsets.
  init(_ partitions: [TopicPartition]) {
    self.init(partitions.map { ($0, Int64(RD_KAFKA_OFFSET_INVALID)) })
  }

  /// Takes over a list that a call has handed out.
  init(taking raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) { unsafe self.raw = raw }

  /// Every entry's partition, offset and error.
  var entries: [(partition: TopicPartition, offset: Int64, error: rd_kafka_resp_err_t)] {
    unsafe Self.entries(of: raw)
  }

  static func entries(
    of raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
  ) -> [(partition: TopicPartition, offset: Int64, error: rd_kafka_resp_err_t)] {
    (0..<Int(unsafe raw.pointee.cnt)).map { index in
      let entry = unsafe raw.pointee.elems[index]
      let topic = unsafe String(cString: entry.topic)
      return unsafe (TopicPartition(topic: topic, partition: entry.partition), entry.offset, entry.err)
    }
  }

  deinit { unsafe rd_kafka_topic_partition_list_destroy(raw) }
}

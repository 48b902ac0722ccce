/// One partition of one topic.
public struct TopicPartition: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The topic's name.
  public var topic: String
  /// The partition's number, from 0.
  public var partition: Int32

  /// Names a partition.
  public init(topic: String, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  /// `topic[partition]`
  public var description: String { "\(topic)[\(partition)]" }

  /// By topic, then by number.
  public static func < (a: TopicPartition, b: TopicPartition) -> Bool {
    (a.topic, a.partition) < (b.topic, b.partition)
  }
}

/// Where reading a partition starts.
public enum StartOffset: Sendable, Hashable {
  /// At the oldest message that the partition holds.
  case beginning
  /// After the newest message.
  case end
  /// At an offset, which the partition must hold.
  case at(Int64)
}

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
  /// At an offset, which the partition must hold; ``KafkaError/Code/offsetOutOfRange`` otherwise.
  case at(Int64)
}

/// The offsets that a partition holds: from `low` up to but not including `high`.
public struct Watermarks: Sendable, Hashable {
  /// The oldest offset.
  public var low: Int64
  /// The offset that the next message will get.
  public var high: Int64

  /// Makes a pair of watermarks.
  public init(low: Int64, high: Int64) {
    self.low = low
    self.high = high
  }
}

/// A topic as the cluster describes it.
public struct TopicDescription: Sendable, Hashable {
  /// The topic's name.
  public var name: String
  /// How many partitions it has.
  public var partitionCount: Int

  /// The topic's partitions in order.
  public var partitions: [TopicPartition] {
    (0..<partitionCount).map { TopicPartition(topic: name, partition: Int32($0)) }
  }
}

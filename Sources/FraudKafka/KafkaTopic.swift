public import FraudCore

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

/// Where a processor's events come from: partitions that may come and go, read from offsets that the processor names.
///
/// `KafkaConsumer` of FraudKafka is one, a file is another, one's own is a third. A source is used from one thread.
public protocol RecordSource {
  /// Waits up to `timeout` for records or for something to happen to the partitions.
  ///
  /// - Parameter batch: emptied, then filled with records of assigned partitions, in the order of their offsets.
  /// - Returns: what happened after the records in `batch`, if anything did.
  /// - Throws: when the source is of no more use. A server that is away is no error: the source waits for it.
  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent?

  /// Takes these partitions, each from its offset. The answer to ``SourceEvent/assigned(_:)``.
  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws

  /// Gives all partitions back. The answer to ``SourceEvent/revoked(_:)`` and ``SourceEvent/lost(_:)``.
  mutating func unassign() throws

  /// Stops reading partitions, for backpressure. A paused source must still be polled.
  mutating func pause(_ partitions: [TopicPartition]) throws

  /// Reads paused partitions on.
  mutating func resume(_ partitions: [TopicPartition]) throws

  /// The offset of the oldest record that a partition holds.
  mutating func earliestOffset(of partition: TopicPartition) throws -> Int64

  /// Tells the source how far results are committed; for dashboards only.
  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws
}

/// Something that happened to a source besides records.
public enum SourceEvent: Sendable {
  /// These partitions were given to this owner, who answers with ``RecordSource/assign(_:)``, naming where each starts;
  /// until then nothing is read.
  case assigned([TopicPartition])
  /// These partitions are taken away. The owner commits or discards what it holds of them and answers with
  /// ``RecordSource/unassign()``; the group waits for that.
  case revoked([TopicPartition])
  /// These partitions are gone and may have a new owner already. Nothing of them may be committed any more. The owner
  /// answers with ``RecordSource/unassign()``.
  case lost([TopicPartition])
  /// Everything up to the partition's end has been read.
  case reachedEnd(TopicPartition, offset: Int64)
  /// One partition cannot be read on, for instance since its start lies out of range; the others are not affected.
  case failed(TopicPartition, any Error)
}

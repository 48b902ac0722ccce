/// The columns of an archive file that say where an event came from.
///
/// They stand after the schema's fields. A field cannot have such a name: ``FraudCore`` reserves names that start with
/// an underscore for the engine.
package enum ArchiveColumns {
  package static let topic = "_kafka_topic"
  package static let partition = "_kafka_partition"
  package static let offset = "_kafka_offset"
  /// The record's timestamp; NULL where the record had none.
  package static let timestamp = "_kafka_timestamp"
  /// The event's bytes, where the pipeline keeps them.
  package static let raw = "_raw"

  static let all: Set = [topic, partition, offset, timestamp, raw]
}

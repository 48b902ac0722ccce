import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// A partition's earlier events: what the archive holds of them, and what the topic holds before and behind that.
struct ArchiveHistory: Sendable {
  let root: String
  let connection: KafkaConnection

  /// How long brokers may be silent before the history counts as unknown.
  private static let patience = Duration.seconds(60)

  /// Folds the events of some offsets into an engine, in their order.
  ///
  /// - Returns: whether all of them were there.
  func fill(_ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>) throws -> Bool {
    let directory = ArchiveDirectory(root: root)
    let name = engine.pipeline.definition.name
    let first = try directory.files(ArchiveDirectory.Filter(pipeline: name))
      .first { $0.topic == source.topic && $0.partition == source.partition }?.offsets.lowerBound
    let start = min(max(first ?? offsets.upperBound, offsets.lowerBound), offsets.upperBound)
    var isWhole = try read(&engine, source, offsets.lowerBound..<start)
    if isWhole, start < offsets.upperBound {
      let warming = try directory.warm(&engine, source: source, offsets: start..<offsets.upperBound)
      isWhole = try read(&engine, source, warming.nextOffset..<offsets.upperBound)
    }
    let partition = "\(name): partition \(source.partition)"
    if isWhole {
      Terminal.standardError.message("\(partition): features filled with the events up to \(offsets.upperBound)")
    } else {
      Terminal.standardError.message(
        "\(partition): new features begin empty, since neither \(root) nor the topic holds all events from "
          + "\(offsets.lowerBound) to \(offsets.upperBound)", style: .warning)
    }
    return isWhole
  }

  /// Folds what the topic holds of some offsets; `false` where it begins later.
  private func read(_ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>) throws -> Bool {
    guard !offsets.isEmpty else { return true }
    let partition = TopicPartition(topic: source.topic, partition: source.partition)
    let admin = try KafkaAdmin(connection)
    // It is assigned by hand and commits nothing, so it is no member of the group.
    var configuration = ConsumerConfiguration(connection: connection, group: "fraud-history")
    if DevBroker.isDevBroker(clusterID: admin.clusterID()) { configuration.suitDevBroker() }
    let consumer = try KafkaConsumer(configuration)
    defer { consumer.close() }
    guard try consumer.earliestOffset(of: partition) <= offsets.lowerBound else { return false }
    try consumer.assign([partition: .at(offsets.lowerBound)])
    var records = MessageBatch()
    var batch = EventBatch(layout: engine.pipeline.layout, source: source)
    func fold() {
      engine.pipeline.decoder.decode(&batch, &engine.decoding)
      engine.remember(&batch)
      batch.removeAll()
    }
    var lastHeard = ContinuousClock.now
    while true {
      let event = try consumer.poll(into: &records, timeout: .milliseconds(50))
      for run in records.runs {
        for message in records.messages[run.messages] {
          lastHeard = .now
          guard message.offset < offsets.upperBound else {
            fold()
            return true
          }
          guard let value = message.value else { continue }
          if !batch.hasRoom(forMessageOf: value.count) { fold() }
          let bytes = records.bytes
          batch.append(
            message: bytes.span.extracting(value), offset: message.offset,
            timestamp: message.timestampMilliseconds.map { $0.multipliedReportingOverflow(by: 1_000).partialValue })
          if message.offset == offsets.upperBound - 1 {
            fold()
            return true
          }
        }
      }
      if case .reachedEnd(_, let offset) = event, offset >= offsets.upperBound {
        fold()
        return true
      }
      if case .failed(_, let error) = event { throw error }
      guard lastHeard.duration(to: .now) < Self.patience else { return false }
    }
  }
}

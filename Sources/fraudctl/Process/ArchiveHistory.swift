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
  /// - Parameter keepAlive: called between batches, since this may take long.
  /// - Returns: whether all of them were there that its features can depend on.
  func fill(
    _ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>, keepAlive: () throws -> Void
  ) throws -> Bool {
    let pipeline = engine.pipeline
    let name = pipeline.definition.name
    if let stream = pipeline.definition.streams.first {
      Terminal.standardError.message(
        "\(name): new features begin empty, since the archive holds no events of the stream '\(stream.name)'",
        style: .warning)
      return false
    }
    let anew = engine
    var missing: Range<Int64>?
    var firstTime: Int64?
    func observe(_ batch: borrowing EventBatch) throws {
      if firstTime == nil, batch.rowCount > 0 { firstTime = pipeline.eventTime(row: 0, batch: batch) }
      try keepAlive()
    }
    let directory = ArchiveDirectory(root: root)
    var next = offsets.lowerBound
    let end = offsets.upperBound..<offsets.upperBound
    for part in try directory.coverage(ofPipeline: name, source, offsets) + [end] {
      if next < part.lowerBound {
        let start = try firstOffset(source, next..<part.lowerBound)
        if start > next { (engine, missing, firstTime) = (anew, next..<start, nil) }
        if try !read(&engine, source, start..<part.lowerBound, observe) {
          (engine, missing, firstTime) = (anew, start..<part.lowerBound, nil)
        }
      }
      if !part.isEmpty { _ = try directory.warm(&engine, source: source, offsets: part, progress: observe) }
      next = part.upperBound
    }
    let terminal = Terminal.standardError
    let partition = "\(name): partition \(source.partition)"
    guard let missing else {
      terminal.message("\(partition): features filled with the events up to \(offsets.upperBound)")
      return true
    }
    if let firstTime, let latest = engine.features.latestTime, Self.isBeyond(firstTime, latest, pipeline.definition) {
      terminal.message(
        "\(partition): features filled with the events from \(missing.upperBound) up to \(offsets.upperBound); what came "
          + "before lies behind every window")
      return true
    }
    terminal.message(
      "\(partition): new features begin empty, since neither \(root) nor the topic holds the events from "
        + "\(missing.lowerBound) up to \(missing.upperBound)", style: .warning)
    return false
  }

  /// Whether nothing before the first event that is there can be in a window of an event to come, however late either is.
  static func isBeyond(_ firstTime: Int64, _ latestTime: Int64, _ definition: PipelineDefinition) -> Bool {
    guard let lookBack = definition.lookBack else { return false }
    let time = definition.eventTime
    let slack = (time?.watermarkDelay ?? 60_000_000).addingReportingOverflow(time?.allowedLateness ?? 0)
    let (both, tooFar) = slack.partialValue.multipliedReportingOverflow(by: 2)
    let (reach, overflow) = lookBack.addingReportingOverflow(both)
    return !slack.overflow && !tooFar && !overflow
      && latestTime.subtractingReportingOverflow(firstTime).partialValue >= reach
  }

  /// The first of some offsets that the topic still holds; their end where it holds none.
  private func firstOffset(_ source: EventSource, _ offsets: Range<Int64>) throws -> Int64 {
    let partition = TopicPartition(topic: source.topic, partition: source.partition)
    let consumer = try KafkaConsumer(ConsumerConfiguration(connection: connection, group: "fraud-history"))
    defer { consumer.close() }
    return min(max(try consumer.earliestOffset(of: partition), offsets.lowerBound), offsets.upperBound)
  }

  /// Folds what the topic holds of some offsets; `false` where brokers fall silent.
  private func read(
    _ engine: inout Engine, _ source: EventSource, _ offsets: Range<Int64>,
    _ progress: (borrowing EventBatch) throws -> Void
  ) throws -> Bool {
    guard !offsets.isEmpty else { return true }
    let partition = TopicPartition(topic: source.topic, partition: source.partition)
    let admin = try KafkaAdmin(connection)
    // It is assigned by hand and commits nothing, so it is no member of the group.
    var configuration = ConsumerConfiguration(connection: connection, group: "fraud-history")
    if DevBroker.isDevBroker(clusterID: admin.clusterID()) { configuration.suitDevBroker() }
    let consumer = try KafkaConsumer(configuration)
    defer { consumer.close() }
    try consumer.assign([partition: .at(offsets.lowerBound)])
    var records = MessageBatch()
    var batch = EventBatch(layout: engine.pipeline.layout, source: source)
    func fold() throws {
      engine.pipeline.decoder.decode(&batch, &engine.decoding)
      engine.remember(&batch)
      try progress(batch)
      batch.removeAll()
    }
    var lastHeard = ContinuousClock.now
    while true {
      let event = try consumer.poll(into: &records, timeout: .milliseconds(50))
      try progress(batch)
      for run in records.runs {
        for message in records.messages[run.messages] {
          lastHeard = .now
          guard message.offset < offsets.upperBound else {
            try fold()
            return true
          }
          guard let value = message.value else { continue }
          if !batch.hasRoom(forMessageOf: value.count) { try fold() }
          let bytes = records.bytes
          batch.append(
            message: bytes.span.extracting(value), offset: message.offset,
            timestamp: message.timestampMilliseconds.map { $0.multipliedReportingOverflow(by: 1_000).partialValue })
          if message.offset == offsets.upperBound - 1 {
            try fold()
            return true
          }
        }
      }
      if case .reachedEnd(_, let offset) = event, offset >= offsets.upperBound {
        try fold()
        return true
      }
      if case .failed(_, let error) = event { throw error }
      guard lastHeard.duration(to: .now) < Self.patience else { return false }
    }
  }
}

/// The group wants partitions back while a history is being read. The processor hears of it when it polls next, and whoever
/// has the partitions then reads the history again.
struct HistoryInterrupted: CommitFailure {
  var isRetryable: Bool { true }
  var isFenced: Bool { false }
}

package import FraudCore

extension ArchiveDirectory {
  /// The parts of some offsets of which the archive holds every accepted event, in their order.
  ///
  /// Each file says from where on it is whole. Those of the first format do not: they are taken to follow each other.
  ///
  /// - Throws: ``StoreError`` with `.corrupt` where a file cannot be read, or is of an earlier topic.
  package func coverage(
    ofPipeline pipeline: String, _ source: EventSource, _ offsets: Range<Int64>
  ) throws(StoreError) -> [Range<Int64>] {
    var parts: [Range<Int64>] = []
    for file in try files(Filter(pipeline: pipeline))
    where file.topic == source.topic && file.partition == source.partition
      && file.offsets.lowerBound < offsets.upperBound
    {
      let notes = try ArchiveNotes(open(file))
      guard notes.generation == source.generation else {
        throw .corrupt("'\(file.path)' holds events of an earlier topic '\(source.topic)'")
      }
      let start = max(
        min(notes.coveredFrom ?? parts.last?.upperBound ?? .max, file.offsets.lowerBound), offsets.lowerBound)
      let end = min(file.offsets.upperBound + 1, offsets.upperBound)
      if let last = parts.last, start <= last.upperBound {
        parts[parts.count - 1] = last.lowerBound..<max(last.upperBound, end)
      } else if start < end {
        parts.append(start..<end)
      }
    }
    return parts
  }

  /// What was folded into an engine.
  package struct Warming: Sendable {
    /// The offset after the last event that was folded in; events from here up to where the engine is to go on are still to
    /// come from the topic.
    package var nextOffset: Int64
    package var eventCount = 0
  }

  /// Folds a partition's archived events into an engine's features, up to an exact offset, as if it had run all along.
  ///
  /// A feature that is new starts with what it would have had: the engine then goes on at the offset, and every value after
  /// it is that of a long-running one.
  ///
  /// - Parameters:
  ///   - engine: remembers nothing yet.
  ///   - source: the topic and its generation, and the partition.
  ///   - offsets: from where the pipeline began, to the first offset that is not folded in.
  ///   - progress: called with each batch that was folded in.
  /// - Returns: how far the archive reached.
  /// - Throws: ``StoreError`` with `.corrupt` where the archive cannot be read, or holds events of an earlier topic.
  package func warm(
    _ engine: inout Engine, source: EventSource, offsets: Range<Int64>,
    progress: (borrowing EventBatch) throws -> Void = { _ in }
  ) throws -> Warming {
    let pipeline = engine.pipeline
    var warming = Warming(nextOffset: offsets.lowerBound)
    let files = try files(Filter(pipeline: pipeline.definition.name)).filter {
      $0.topic == source.topic && $0.partition == source.partition && $0.offsets.overlaps(offsets)
    }
    guard let first = files.first else { return warming }
    guard try ArchiveNotes(open(first)).generation == source.generation else {
      throw StoreError.corrupt("'\(first.path)' holds events of an earlier topic '\(source.topic)'")
    }
    var reader = ArchivePartitionReader(
      self, files: files, schema: pipeline.definition.schema, layout: pipeline.layout)
    while try reader.next() {
      let kept = (0..<reader.batch.rowCount).filter { offsets.contains(reader.batch.positions[$0].offset) }
      if kept.count < reader.batch.rowCount { reader.batch.keep(rows: kept) }
      guard let last = kept.last else { continue }
      engine.remember(&reader.batch)
      warming.nextOffset = reader.batch.positions[last].offset + 1
      warming.eventCount += kept.count
      try progress(reader.batch)
    }
    if let last = files.last { warming.nextOffset = min(offsets.upperBound, last.offsets.upperBound + 1) }
    return warming
  }
}

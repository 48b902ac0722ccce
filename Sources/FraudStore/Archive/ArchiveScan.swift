package import FraudCore

/// Reads the archived events of one pipeline as batches, file after file by topic, partition and offset.
///
/// Files of different versions read together: a field that a file has not is NULL or its default, narrower types widen.
/// Files and row groups that hold nothing of the time asked for are passed over.
package struct ArchiveScan: ~Copyable {
  private let directory: ArchiveDirectory
  private let schema: Schema
  private let layout: ColumnLayout
  private let fields: Set<Int>?
  private let eventTime: String?
  private let times: ClosedRange<Int64>?
  private var files: [ArchiveFile]
  private var reader: ParquetBatchReader?
  /// The rows just read.
  package private(set) var batch: EventBatch

  /// Prepares to read.
  ///
  /// - Parameters:
  ///   - layout: the batch's columns, of which the first are the schema's fields.
  ///   - fields: indices of the fields that are wanted, `nil` for all.
  ///   - eventTime: the field that `times` is about; without one the record's timestamp is.
  ///   - times: microseconds since 1970; events of other times, and of none, are left out.
  package init(
    _ directory: ArchiveDirectory, pipeline: String, schema: Schema, layout: ColumnLayout, fields: Set<Int>? = nil,
    eventTime: String? = nil, times: ClosedRange<Int64>? = nil
  ) throws(StoreError) {
    self.directory = directory
    self.schema = schema
    self.layout = layout
    self.fields = fields
    self.eventTime = eventTime
    self.times = times
    files = try directory.files(ArchiveDirectory.Filter(pipeline: pipeline)).reversed()
    batch = EventBatch(layout: layout, source: EventSource(topic: ""))
  }

  /// Reads the next events into ``batch``.
  ///
  /// - Returns: whether there were any.
  package mutating func next() throws(StoreError) -> Bool {
    while true {
      if var reader = reader.take() {
        if try reader.next() {
          batch = reader.batch
          self.reader = consume reader
          keepWantedTimes()
          if batch.rowCount > 0 { return true }
          continue
        }
      }
      guard let file = files.popLast() else { return false }
      let parquet = try directory.open(file)
      var groups: [Int]?
      if let times {
        groups = try parquet.rowGroups(holding: .integers(times), in: eventTime ?? ArchiveColumns.timestamp)
      }
      reader = try ParquetBatchReader(
        parquet, schema: schema, layout: layout, fields: fields, rowGroups: groups, positions: .archived)
    }
  }

  private mutating func keepWantedTimes() {
    guard let times else { return }
    let column = eventTime.flatMap { layout.index(of: $0) }
    let kept = (0..<batch.rowCount).filter { row in
      if let column {
        return batch.isValid(column: column, row: row)
          && times.contains(Int64(bitPattern: batch.word(column: column, row: row)))
      }
      return batch.positions[row].timestamp.map { times.contains($0) } ?? false
    }
    if kept.count < batch.rowCount { batch.keep(rows: kept) }
  }
}

extension EventBatch {
  /// Drops all rows but some, which are given in ascending order.
  mutating func keep(rows kept: [Int]) {
    for (column, description) in layout.columns.enumerated() {
      var validBits = [UInt64](repeating: 0, count: bitmapStride)
      var valueBits = [UInt64](repeating: 0, count: bitmapStride)
      let first = column * stride
      for (row, source) in kept.enumerated() {
        if isValid(column: column, row: source) { validBits[row >> 6] |= 1 << UInt64(row & 63) }
        if description.type == .boolean {
          valueBits[row >> 6] |= (words[first + source >> 6] >> UInt64(source & 63) & 1) << UInt64(row & 63)
        } else {
          words[first + row] = words[first + source]
        }
      }
      for word in 0..<bitmapStride {
        validity[column * bitmapStride + word] = validBits[word]
        if description.type == .boolean { words[first + word] = valueBits[word] }
      }
      if description.type != .boolean { for row in kept.count..<stride { words[first + row] = 0 } }
    }
    positions = kept.map { positions[$0] }
    rowCount = kept.count
  }
}

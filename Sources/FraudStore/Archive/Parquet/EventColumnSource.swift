internal import FraudCore

/// Where a column of an archive file takes its values from.
package enum EventColumnSource: Sendable, Hashable {
  /// A column of the batch.
  case column(Int)
  /// The batch's topic, partition, and each event's offset and record timestamp.
  case topic
  case partition
  case offset
  case timestamp
  /// The event's bytes as they came.
  case raw

  func textByteCount(in batch: EventBatch, rows: Range<Int>) -> Int {
    switch self {
    case .column(let index):
      guard batch.layout.columns[index].type == .string else { return 0 }
      return rows.reduce(0) { $0 + TextSlice(word: batch.word(column: index, row: $1)).count }
    case .topic: return rows.count * batch.source.topic.utf8.count
    case .raw: return rows.reduce(0) { $0 + batch.positions[$1].count }
    case .partition, .offset, .timestamp: return 0
    }
  }
}

extension ColumnBuffer {
  /// Appends rows of a batch.
  mutating func append(
    _ batch: EventBatch, _ source: EventColumnSource, rows: Range<Int>
  ) throws(StoreError) {
    switch source {
    case .column(let index):
      let start = index * batch.bitmapStride
      let validity = batch.validity.span.extracting(start..<start + batch.bitmapStride)
      let words = batch.words.span.extracting(index * batch.stride..<(index + 1) * batch.stride)
      if column.type == .boolean {
        try append(bits: words, validity: validity, rows: rows)
      } else {
        try unsafe append(words: words, validity: validity, bytes: batch.bytes.span.bytes, rows: rows)
      }
    case .topic:
      let topic = Array(batch.source.topic.utf8)
      unsafe append(repeating: topic.span.bytes, count: rows.count)
    case .partition:
      for _ in rows { try append(word: UInt64(bitPattern: Int64(batch.source.partition))) }
    case .offset:
      for row in rows { try append(word: UInt64(bitPattern: batch.positions[row].offset)) }
    case .timestamp:
      for row in rows { try append(word: batch.positions[row].timestamp.map { UInt64(bitPattern: $0) }) }
    case .raw:
      let bytes = unsafe batch.bytes.span.bytes
      for row in rows {
        let position = batch.positions[row]
        append(text: bytes.extracting(position.start..<position.start + position.count))
      }
    }
  }
}

internal import FraudCore

extension ParquetFile {
  /// What rows a reader looks for in a column.
  package enum Sought: Sendable, Hashable {
    /// Integers, and timestamps in microseconds.
    case integers(ClosedRange<Int64>)
    case text(String)
  }

  /// The row groups that may hold rows with such values, by the bounds and the bloom filters of their columns.
  ///
  /// Bounds are believed only where their order is known; without them, or without the column, a row group counts.
  ///
  /// - Throws: ``StoreError`` where a bloom filter cannot be read.
  package func rowGroups(holding sought: Sought, in columnName: String) throws(StoreError) -> [Int] {
    let all = Array(metadata.rowGroups.indices)
    guard let column = column(named: columnName) else { return all }
    var kept: [Int] = []
    for group in all where try mayHold(sought, column, group) { kept.append(group) }
    return kept
  }

  private func mayHold(_ sought: Sought, _ column: Int, _ group: Int) throws(StoreError) -> Bool {
    let chunk = metadata.rowGroups[group].columns[column]
    let leaf = columns[column]
    if let nulls = chunk.statistics?.nullCount, nulls == chunk.valueCount, nulls > 0 { return false }
    let hasOrder = column < metadata.columnOrders.count && metadata.columnOrders[column]
    switch sought {
    case .integers(let range):
      guard let statistics = chunk.statistics, let low = bound(statistics.minimum, leaf),
        let high = bound(statistics.maximum, leaf)
      else { return true }
      return low <= range.upperBound && high >= range.lowerBound
    case .text(let text):
      guard leaf.meaning == .text else { return true }
      let bytes = Array(text.utf8)
      if hasOrder, let low = chunk.statistics?.minimum, let high = chunk.statistics?.maximum {
        if bytes.lexicographicallyPrecedes(low) || high.lexicographicallyPrecedes(bytes) { return false }
      }
      guard let filter = try bloomFilter(chunk) else { return true }
      return unsafe filter.mayContain(hash: XXHash64.hash(bytes.span.bytes))
    }
  }

  /// A bound of a column of signed numbers, as integer or in microseconds; `nil` where there is none to believe.
  private func bound(_ bytes: [UInt8]?, _ leaf: ParquetLeaf) -> Int64? {
    guard let bytes else { return nil }
    var word: UInt64 = 0
    for (index, byte) in bytes.prefix(8).enumerated() { word |= UInt64(byte) << UInt64(index * 8) }
    let value: Int64
    switch (leaf.physicalType, bytes.count) {
    case (.int32, 4): value = Int64(Int32(truncatingIfNeeded: word))
    case (.int64, 8): value = Int64(bitPattern: word)
    default: return nil
    }
    switch leaf.meaning {
    case .integer(isSigned: true): return value
    case .timestamp(let multiplier, let divisor, _):
      let (product, overflow) = value.multipliedReportingOverflow(by: multiplier)
      return overflow ? nil : floored(product, over: divisor)
    case .date:
      let (product, overflow) = value.multipliedReportingOverflow(by: TimestampText.microsecondsPerDay)
      return overflow ? nil : product
    default: return nil
    }
  }

  /// A column chunk's bloom filter, where it has one of the only kind that the format knows.
  func bloomFilter(_ chunk: ColumnChunkMetadata) throws(StoreError) -> BloomFilter? {
    guard let start = chunk.bloomFilterOffset else { return nil }
    guard start >= 4, start < Int64(dataEnd) else { throw .corrupt("a bloom filter outside of the file") }
    var head: [UInt8] = []
    try source.append(Int(start)..<min(Int(start) + 64, dataEnd), to: &head)
    var reader = ThriftReader(head, in: 0..<head.count)
    var (byteCount, known) = (Int32(0), 0)
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1: byteCount = try reader.int32(field)
      case 2, 3, 4:
        guard field.type == .structure else { throw StoreError.corrupt("a bloom filter's header makes no sense") }
        try reader.structure { choice, reader throws(StoreError) in
          if choice.id == 1 { known += 1 }
          try reader.skip(choice.type)
        }
      default: try reader.skip(field.type)
      }
    }
    guard known == 3 else { return nil }
    let first = Int(start) + reader.position
    guard BloomFilter.byteCountRange.contains(Int(byteCount)), Int(byteCount) <= dataEnd - first else {
      throw .corrupt("a bloom filter of \(byteCount) bytes")
    }
    var bytes: [UInt8] = []
    try source.append(first..<first + Int(byteCount), to: &bytes)
    return try unsafe BloomFilter(bytes: bytes.span.bytes)
  }
}

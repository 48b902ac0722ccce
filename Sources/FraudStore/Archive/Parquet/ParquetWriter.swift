package import FraudCore

/// Writes flat tables as a Parquet file, in memory bounded by a row group.
///
/// The file comes out as bytes to be taken with ``takeOutput()`` and put wherever they belong, so that writing is a pure
/// function: equal rows give equal bytes, however they were divided into batches.
///
/// Pages are of version 1 and compressed by zstd, as every current reader takes them. Numbers are written as a
/// dictionary, as packed differences or plain, texts as a dictionary or as packed lengths and bytes, whichever the
/// values of the row group make smaller. Each page carries a CRC-32; page and chunk carry bounds and counts of NULLs.
///
/// - Source: apache/parquet-format 2.11.
package struct ParquetWriter: ~Copyable {
  /// Rows of a row group. At 131,072 a row group of fifteen columns takes about 16 MiB to gather, and DuckDB and Spark,
  /// which work on row groups in parallel, find enough of them.
  package static let rowGroupRows = 131_072
  /// Bytes of text that end a row group earlier.
  package static let rowGroupTextBytes = 64 << 20
  /// What a file says of its writer, in the form that readers parse. It changes when the bytes do.
  package static let createdBy = "fraud-sdk version 0.1.0 (build 1)"

  package let columns: [ParquetColumn]
  private var buffers: [ColumnBuffer]
  private var metadata = ParquetMetadata()
  private var indexes: [[ColumnChunkEncoder.Result]] = []
  private var isFinished = false
  private var encoder = ColumnChunkEncoder()
  private var compressor = ZstdCompressor()
  private var output: [UInt8] = Array("PAR1".utf8)
  /// Where ``output`` starts in the file.
  private var outputOffset: Int64 = 0

  /// Starts a file.
  ///
  /// - Parameter columns: at least one; names must be unique.
  package init(columns: [ParquetColumn]) {
    precondition(!columns.isEmpty, "a file without columns")
    self.columns = columns
    buffers = columns.map { ColumnBuffer(column: $0) }
    metadata.createdBy = Self.createdBy
    metadata.schema = [SchemaElement(name: "schema", childCount: Int32(columns.count))] + columns.map(\.schemaElement)
    metadata.columnOrders = columns.map { _ in true }
  }

  /// Rows taken so far.
  package var rowCount: Int64 {
    metadata.rowCount + Int64(buffers[0].rowCount)
  }

  /// Bytes of the file so far, without the row group being gathered.
  package var byteCount: Int64 {
    outputOffset + Int64(output.count)
  }

  /// Appends rows of a batch whose columns, as far as `sources` names them, are the file's.
  ///
  /// - Parameters:
  ///   - sources: for each column of the file the batch's column, or what of the position it holds.
  ///   - rows: which rows of the batch.
  /// - Throws: ``StoreError`` where a column that is not nullable has no value.
  package mutating func append(
    _ batch: EventBatch, rows: Range<Int>, sources: [EventColumnSource]
  ) throws(StoreError) {
    precondition(sources.count == columns.count, "\(sources.count) sources of \(columns.count) columns")
    var row = rows.lowerBound
    while row < rows.upperBound {
      let end = fitting(batch, rows: row..<rows.upperBound, sources: sources)
      if end > row {
        for (index, source) in sources.enumerated() {
          try buffers[index].append(batch, source, rows: row..<end)
        }
      }
      row = end
      if row < rows.upperBound { try flushRowGroup() }
    }
  }

  /// Takes the bytes that are ready, which come right after those taken before.
  package mutating func takeOutput() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &output)
    outputOffset += Int64(taken.count)
    return taken
  }

  /// Writes the rows that are left and the page indexes. Only ``finish(keyValues:sortedBy:)`` may follow.
  ///
  /// A step of its own for whoever wants a digest of all that in the footer's notes.
  package mutating func finishRows() throws(StoreError) {
    try flushRowGroup()
    for group in metadata.rowGroups.indices {
      for column in columns.indices {
        guard let index = indexes[group][column].columnIndex else { continue }
        let bytes = index.encoded()
        metadata.rowGroups[group].columns[column].columnIndexOffset = byteCount
        metadata.rowGroups[group].columns[column].columnIndexByteCount = Int32(bytes.count)
        output.append(contentsOf: bytes)
      }
    }
    for group in metadata.rowGroups.indices {
      for column in columns.indices {
        let bytes = indexes[group][column].offsetIndex.encoded()
        metadata.rowGroups[group].columns[column].offsetIndexOffset = byteCount
        metadata.rowGroups[group].columns[column].offsetIndexByteCount = Int32(bytes.count)
        output.append(contentsOf: bytes)
      }
    }
    indexes = []
    isFinished = true
  }

  /// Writes what is left and the footer; the file is complete with the output taken after this.
  ///
  /// - Parameters:
  ///   - keyValues: notes for the footer, in this order.
  ///   - sortedBy: the columns by which the rows of each row group are in ascending order, NULLs last.
  package mutating func finish(
    keyValues: [(key: String, value: String)] = [], sortedBy: [Int] = []
  ) throws(StoreError) {
    if !isFinished { try finishRows() }
    metadata.keyValues = keyValues.map { .init(key: $0.key, value: $0.value) }
    for group in metadata.rowGroups.indices {
      metadata.rowGroups[group].sortingColumns = sortedBy.map {
        .init(column: Int32($0), descending: false, nullsFirst: false)
      }
    }
    let footer = metadata.encoded()
    output.append(contentsOf: footer)
    appendHalfWord(UInt32(footer.count), to: &output)
    output.append(contentsOf: "PAR1".utf8)
  }

  /// Where the rows end that still go into this row group; at least one row where it is empty.
  private func fitting(_ batch: EventBatch, rows: Range<Int>, sources: [EventColumnSource]) -> Int {
    let end = min(rows.upperBound, rows.lowerBound + Self.rowGroupRows - buffers[0].rowCount)
    let room = Self.rowGroupTextBytes - buffers.reduce(0) { $0 + $1.textByteCount }
    func byteCount(_ rows: Range<Int>) -> Int {
      sources.reduce(0) { $0 + $1.textByteCount(in: batch, rows: rows) }
    }
    if byteCount(rows.lowerBound..<end) <= room { return end }
    var (row, used) = (rows.lowerBound, 0)
    while row < end {
      used += byteCount(row..<row + 1)
      if used > room && !(row == rows.lowerBound && buffers[0].rowCount == 0) { break }
      row += 1
    }
    return row
  }

  private mutating func flushRowGroup() throws(StoreError) {
    let rowCount = buffers[0].rowCount
    guard rowCount > 0 else { return }
    precondition(buffers.allSatisfy { $0.rowCount == rowCount }, "columns of different length")
    var group = RowGroupMetadata(rowCount: Int64(rowCount), fileOffset: byteCount)
    group.ordinal = Int16(exactly: metadata.rowGroups.count)
    var results: [ColumnChunkEncoder.Result] = []
    for index in buffers.indices {
      buffers[index].settleDictionary()
      let result = try encoder.encode(
        buffers[index], outputOffset: outputOffset, compressor: &compressor, to: &output)
      buffers[index].removeAll()
      group.totalByteCount += result.metadata.uncompressedByteCount
      group.totalCompressedByteCount = (group.totalCompressedByteCount ?? 0) + result.metadata.compressedByteCount
      group.columns.append(result.metadata)
      results.append(result)
    }
    for index in results.indices {
      guard let bytes = results[index].bloomFilter?.encoded() else { continue }
      group.columns[index].bloomFilterOffset = byteCount
      group.columns[index].bloomFilterByteCount = Int32(bytes.count)
      output.append(contentsOf: bytes)
      results[index].bloomFilter = nil
    }
    metadata.rowGroups.append(group)
    metadata.rowCount += Int64(rowCount)
    indexes.append(results)
  }
}

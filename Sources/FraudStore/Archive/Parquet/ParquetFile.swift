/// A Parquet file whose footer has been read and checked.
///
/// It never changes and is shared freely; readers made from it read their parts on their own.
package struct ParquetFile: Sendable {
  /// Bytes a footer may have.
  static let footerByteLimit = 256 << 20

  package let metadata: ParquetMetadata
  package let columns: [ParquetLeaf]
  let source: ByteSource
  /// Where the footer starts, and no page can lie.
  let dataEnd: Int

  /// Opens a file by its path.
  ///
  /// - Throws: ``StoreError`` with `.file` where it cannot be read, `.corrupt` where it is no sound Parquet file.
  package init(path: String) throws(StoreError) {
    try self.init(try ByteSource(path: path))
  }

  /// Reads the footer of a file.
  package init(_ source: ByteSource) throws(StoreError) {
    self.source = source
    do throws(StoreError) {
      (metadata, dataEnd) = try Self.readFooter(source)
      columns = try .init(ParquetLeaf.leaves(of: metadata.schema))
      try Self.check(metadata, columns, dataEnd)
    } catch {
      throw error.at(source.name)
    }
  }

  /// The index of a flat column by its exact name.
  package func column(named name: String) -> Int? {
    columns.firstIndex { $0.name == name && $0.isFlat }
  }

  /// The value of a note in the footer.
  package func note(_ key: String) -> String? {
    metadata.keyValues.first { $0.key == key }?.value
  }

  private static func readFooter(_ source: ByteSource) throws(StoreError) -> (ParquetMetadata, Int) {
    guard source.byteCount >= 12 else { throw .corrupt("\(source.byteCount) bytes are too few for a Parquet file") }
    var tail: [UInt8] = []
    try source.append(source.byteCount - 8..<source.byteCount, to: &tail)
    if tail[4...].elementsEqual("PARE".utf8) { throw .corrupt("the file is encrypted, which is not supported") }
    guard tail[4...].elementsEqual("PAR1".utf8) else { throw .corrupt("no Parquet file: it does not end with PAR1") }
    let length = Int(tail[0]) | Int(tail[1]) << 8 | Int(tail[2]) << 16 | Int(tail[3]) << 24
    guard length <= footerByteLimit, length <= source.byteCount - 12 else {
      throw .corrupt("a footer of \(length) bytes in a file of \(source.byteCount)")
    }
    let start = source.byteCount - 8 - length
    var footer: [UInt8] = []
    try source.append(start..<start + length, to: &footer)
    return (try ParquetMetadata.decoded(footer), start)
  }

  private static func check(
    _ metadata: ParquetMetadata, _ columns: [ParquetLeaf], _ dataEnd: Int
  ) throws(StoreError) {
    guard metadata.rowCount >= 0 else { throw .corrupt("a negative number of rows") }
    var rowCount: Int64 = 0
    for (number, group) in metadata.rowGroups.enumerated() {
      do throws(StoreError) {
        let (sum, overflow) = rowCount.addingReportingOverflow(group.rowCount)
        guard group.rowCount >= 0, !overflow else { throw .corrupt("\(group.rowCount) rows") }
        rowCount = sum
        guard group.columns.count == columns.count else {
          throw .corrupt("\(group.columns.count) column chunks for \(columns.count) columns")
        }
        for (leaf, chunk) in zip(columns, group.columns) {
          guard !chunk.isEncrypted else { throw .corrupt("column '\(leaf.name)' is encrypted, which is not supported") }
          guard chunk.hasMetadata, chunk.type == leaf.physicalType, chunk.path == leaf.path else {
            throw .corrupt("the metadata of column '\(leaf.name)' does not fit the schema")
          }
          guard !leaf.isFlat || chunk.valueCount == group.rowCount else {
            throw .corrupt("column '\(leaf.name)' has \(chunk.valueCount) values for \(group.rowCount) rows")
          }
        }
      } catch {
        throw error.at("row group \(number)")
      }
    }
    // Some writers leave the file's own count at zero.
    guard rowCount == metadata.rowCount || metadata.rowCount == 0 else {
      throw .corrupt("the row groups have \(rowCount) rows, the file says \(metadata.rowCount)")
    }
  }
}

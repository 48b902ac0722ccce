extension ParquetMetadata {
  /// The footer's bytes, without length and magic.
  func encoded() -> [UInt8] {
    var writer = ThriftWriter()
    writer.structure { writer in
      writer.int32(1, version)
      writer.list(2, of: .structure, schema) { $1.write(to: &$0) }
      writer.int64(3, rowCount)
      writer.list(4, of: .structure, rowGroups) { $1.write(to: &$0) }
      if !keyValues.isEmpty {
        writer.list(5, of: .structure, keyValues) { writer, pair in
          writer.structure { writer in
            writer.binary(1, pair.key.utf8)
            if let value = pair.value { writer.binary(2, value.utf8) }
          }
        }
      }
      if let createdBy { writer.binary(6, createdBy.utf8) }
      writer.list(7, of: .structure, columnOrders) { writer, _ in
        writer.structure { $0.structure(1) { _ in } }
      }
    }
    return writer.bytes
  }
}

extension SchemaElement {
  fileprivate func write(to writer: inout ThriftWriter) {
    writer.structure { writer in
      if let type { writer.int32(1, type.rawValue) }
      if let repetition { writer.int32(3, repetition.rawValue) }
      writer.binary(4, name.utf8)
      if type == nil { writer.int32(5, childCount) }
      if let convertedType { writer.int32(6, convertedType.rawValue) }
      switch logicalType {
      case .string: writer.structure(10) { $0.structure(1) { _ in } }
      case .timestamp(let unit, let isUTC):
        writer.structure(10) { union in
          union.structure(8) { timestamp in
            timestamp.boolean(1, isUTC)
            timestamp.structure(2) { $0.structure(unit.rawValue) { _ in } }
          }
        }
      case .integer(let bits, let isSigned):
        writer.structure(10) { union in
          union.structure(10) { integer in
            integer.int8(1, bits)
            integer.boolean(2, isSigned)
          }
        }
      default: break
      }
    }
  }
}

extension RowGroupMetadata {
  fileprivate func write(to writer: inout ThriftWriter) {
    writer.structure { writer in
      writer.list(1, of: .structure, columns) { $1.write(to: &$0) }
      writer.int64(2, totalByteCount)
      writer.int64(3, rowCount)
      if !sortingColumns.isEmpty {
        writer.list(4, of: .structure, sortingColumns) { writer, column in
          writer.structure { writer in
            writer.int32(1, column.column)
            writer.boolean(2, column.descending)
            writer.boolean(3, column.nullsFirst)
          }
        }
      }
      if let fileOffset { writer.int64(5, fileOffset) }
      if let totalCompressedByteCount { writer.int64(6, totalCompressedByteCount) }
      if let ordinal { writer.int16(7, ordinal) }
    }
  }
}

extension ColumnChunkMetadata {
  fileprivate func write(to writer: inout ThriftWriter) {
    writer.structure { writer in
      writer.int64(2, fileOffset)
      writer.structure(3) { writer in
        writer.int32(1, type.rawValue)
        writer.list(2, of: .int32, encodings) { $0.int32Element($1) }
        writer.list(3, of: .binary, path) { $0.binaryElement($1.utf8) }
        writer.int32(4, codec)
        writer.int64(5, valueCount)
        writer.int64(6, uncompressedByteCount)
        writer.int64(7, compressedByteCount)
        writer.int64(9, dataPageOffset)
        if let dictionaryPageOffset { writer.int64(11, dictionaryPageOffset) }
        if let statistics { writer.structure(12) { statistics.writeFields(to: &$0) } }
        writer.list(13, of: .structure, encodingStatistics) { writer, count in
          writer.structure { writer in
            writer.int32(1, count.page.rawValue)
            writer.int32(2, count.encoding.rawValue)
            writer.int32(3, count.count)
          }
        }
        if let bloomFilterOffset { writer.int64(14, bloomFilterOffset) }
        if let bloomFilterByteCount { writer.int32(15, bloomFilterByteCount) }
      }
      if let offsetIndexOffset { writer.int64(4, offsetIndexOffset) }
      if let offsetIndexByteCount { writer.int32(5, offsetIndexByteCount) }
      if let columnIndexOffset { writer.int64(6, columnIndexOffset) }
      if let columnIndexByteCount { writer.int32(7, columnIndexByteCount) }
    }
  }
}

extension ChunkStatistics {
  fileprivate func writeFields(to writer: inout ThriftWriter) {
    if let nullCount { writer.int64(3, nullCount) }
    if let distinctCount { writer.int64(4, distinctCount) }
    if let maximum { writer.binary(5, maximum) }
    if let minimum { writer.binary(6, minimum) }
    if let isMaximumExact { writer.boolean(7, isMaximumExact) }
    if let isMinimumExact { writer.boolean(8, isMinimumExact) }
  }
}

extension PageHeader {
  /// The header's bytes; data pages are written as v1, which every reader knows.
  func encoded() -> [UInt8] {
    var writer = ThriftWriter()
    writer.structure { writer in
      writer.int32(1, type.rawValue)
      writer.int32(2, uncompressedByteCount)
      writer.int32(3, compressedByteCount)
      if let checksum { writer.int32(4, checksum) }
      writer.structure(type == .dictionary ? 7 : 5) { writer in
        writer.int32(1, valueCount)
        writer.int32(2, encoding)
        if type == .data {
          writer.int32(3, levelEncoding)
          writer.int32(4, Encoding.rle.rawValue)
        }
      }
    }
    return writer.bytes
  }
}

extension OffsetIndex {
  func encoded() -> [UInt8] {
    var writer = ThriftWriter()
    writer.structure { writer in
      writer.list(1, of: .structure, pages) { writer, page in
        writer.structure { writer in
          writer.int64(1, page.offset)
          writer.int32(2, page.byteCount)
          writer.int64(3, page.firstRow)
        }
      }
    }
    return writer.bytes
  }
}

extension ColumnIndex {
  func encoded() -> [UInt8] {
    var writer = ThriftWriter()
    writer.structure { writer in
      writer.list(1, of: .booleanTrue, nullPages) { $0.booleanElement($1) }
      writer.list(2, of: .binary, minimums) { $0.binaryElement($1) }
      writer.list(3, of: .binary, maximums) { $0.binaryElement($1) }
      writer.int32(4, boundaryOrder.rawValue)
      writer.list(5, of: .int64, nullCounts) { $0.int64Element($1) }
    }
    return writer.bytes
  }
}

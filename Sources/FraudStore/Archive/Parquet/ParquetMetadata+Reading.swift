extension ParquetMetadata {
  /// Reads a footer. That its parts fit together is checked where they are used.
  static func decoded(_ bytes: [UInt8]) throws(StoreError) -> ParquetMetadata {
    var reader = ThriftReader(bytes, in: 0..<bytes.count)
    var footer = ParquetMetadata()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1: footer.version = try reader.int32(field)
      case 2:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          footer.schema.append(try .decoded(&reader))
        }
      case 3: footer.rowCount = try reader.int64(field)
      case 4:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          footer.rowGroups.append(try .decoded(&reader))
        }
      case 5:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          footer.keyValues.append(try .decoded(&reader))
        }
      case 6: footer.createdBy = try reader.string(field)
      case 7:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          var isTypeDefined = false
          try reader.structure { field, reader throws(StoreError) in
            isTypeDefined = field.id == 1
            try reader.skip(field.type)
          }
          footer.columnOrders.append(isTypeDefined)
        }
      case 8: throw StoreError.corrupt("the file is encrypted, which is not supported")
      default: try reader.skip(field.type)
      }
    }
    return footer
  }
}

extension ParquetMetadata.KeyValue {
  fileprivate static func decoded(_ reader: inout ThriftReader) throws(StoreError) -> Self {
    var pair = Self(key: "", value: nil)
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1: pair.key = try reader.string(field)
      case 2: pair.value = try reader.string(field)
      default: try reader.skip(field.type)
      }
    }
    return pair
  }
}

extension SchemaElement {
  fileprivate static func decoded(_ reader: inout ThriftReader) throws(StoreError) -> Self {
    var element = Self()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1:
        let code = try reader.int32(field)
        guard let type = PhysicalType(rawValue: code) else {
          throw StoreError.corrupt("unknown physical type \(code) in the schema")
        }
        element.type = type
      case 2: element.typeLength = try reader.int32(field)
      case 3:
        let code = try reader.int32(field)
        guard let repetition = Repetition(rawValue: code) else {
          throw StoreError.corrupt("unknown repetition \(code) in the schema")
        }
        element.repetition = repetition
      case 4: element.name = try reader.string(field)
      case 5: element.childCount = try reader.int32(field)
      // An annotation that we do not know leaves the plain type, as the format asks.
      case 6: element.convertedType = ConvertedType(rawValue: try reader.int32(field))
      case 7: element.scale = try reader.int32(field)
      case 8: element.precision = try reader.int32(field)
      case 10: element.logicalType = try .decoded(&reader, field)
      default: try reader.skip(field.type)
      }
    }
    return element
  }
}

extension LogicalType {
  fileprivate static func decoded(
    _ reader: inout ThriftReader, _ field: ThriftReader.FieldHeader
  ) throws(StoreError) -> LogicalType? {
    guard field.type == .structure else { throw .corrupt("a logical type that is no structure") }
    var type: LogicalType?
    try reader.structure { field, reader throws(StoreError) in
      guard field.type == .structure else { throw StoreError.corrupt("a logical type that is no structure") }
      switch field.id {
      case 5:
        var (scale, precision) = (Int32(0), Int32(0))
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: scale = try reader.int32(field)
          case 2: precision = try reader.int32(field)
          default: try reader.skip(field.type)
          }
        }
        type = .decimal(scale: scale, precision: precision)
      case 7, 8:
        var (isUTC, unit) = (false, TimeUnit?.none)
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: isUTC = try reader.boolean(field)
          case 2:
            try reader.structure { field, reader throws(StoreError) in
              unit = TimeUnit(rawValue: field.id)
              try reader.skip(field.type)
            }
          default: try reader.skip(field.type)
          }
        }
        guard let unit else { throw StoreError.corrupt("a time of unknown unit in the schema") }
        type = field.id == 7 ? .time(unit) : .timestamp(unit, isUTC: isUTC)
      case 10:
        var (bits, isSigned) = (Int8(0), true)
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: bits = try reader.int8(field)
          case 2: isSigned = try reader.boolean(field)
          default: try reader.skip(field.type)
          }
        }
        type = .integer(bits: bits, isSigned: isSigned)
      default:
        try reader.skip(field.type)
        switch field.id {
        case 1: type = .string
        case 4: type = .enum
        case 6: type = .date
        case 12: type = .json
        case 14: type = .uuid
        case 15: type = .float16
        default: type = .other(field.id)
        }
      }
    }
    return type
  }
}

extension RowGroupMetadata {
  fileprivate static func decoded(_ reader: inout ThriftReader) throws(StoreError) -> Self {
    var group = Self()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          group.columns.append(try .decoded(&reader))
        }
      case 2: group.totalByteCount = try reader.int64(field)
      case 3: group.rowCount = try reader.int64(field)
      case 4:
        try reader.list(field, of: .structure) { reader throws(StoreError) in
          var column = SortingColumn(column: 0, descending: false, nullsFirst: false)
          try reader.structure { field, reader throws(StoreError) in
            switch field.id {
            case 1: column.column = try reader.int32(field)
            case 2: column.descending = try reader.boolean(field)
            case 3: column.nullsFirst = try reader.boolean(field)
            default: try reader.skip(field.type)
            }
          }
          group.sortingColumns.append(column)
        }
      case 5: group.fileOffset = try reader.int64(field)
      case 6: group.totalCompressedByteCount = try reader.int64(field)
      default: try reader.skip(field.type)
      }
    }
    return group
  }
}

extension ColumnChunkMetadata {
  fileprivate static func decoded(_ reader: inout ThriftReader) throws(StoreError) -> Self {
    var chunk = Self()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1: chunk.filePath = try reader.string(field)
      case 2: chunk.fileOffset = try reader.int64(field)
      case 3:
        guard field.type == .structure else { throw StoreError.corrupt("column metadata that is no structure") }
        chunk.hasMetadata = true
        try reader.structure { field, reader throws(StoreError) in try chunk.read(field, from: &reader) }
      case 4: chunk.offsetIndexOffset = try reader.int64(field)
      case 5: chunk.offsetIndexByteCount = try reader.int32(field)
      case 6: chunk.columnIndexOffset = try reader.int64(field)
      case 7: chunk.columnIndexByteCount = try reader.int32(field)
      case 8, 9:
        chunk.isEncrypted = true
        try reader.skip(field.type)
      default: try reader.skip(field.type)
      }
    }
    return chunk
  }

  private mutating func read(
    _ field: ThriftReader.FieldHeader, from reader: inout ThriftReader
  ) throws(StoreError) {
    switch field.id {
    case 1:
      let code = try reader.int32(field)
      guard let type = PhysicalType(rawValue: code) else {
        throw .corrupt("unknown physical type \(code) of a column chunk")
      }
      self.type = type
    case 2:
      try reader.list(field, of: .int32) { reader throws(StoreError) in encodings.append(try reader.int32Element()) }
    case 3:
      try reader.list(field, of: .binary) { reader throws(StoreError) in path.append(try reader.stringElement()) }
    case 4: codec = try reader.int32(field)
    case 5: valueCount = try reader.int64(field)
    case 6: uncompressedByteCount = try reader.int64(field)
    case 7: compressedByteCount = try reader.int64(field)
    case 9: dataPageOffset = try reader.int64(field)
    case 11: dictionaryPageOffset = try reader.int64(field)
    case 12: statistics = try .decoded(&reader, field)
    case 13:
      try reader.list(field, of: .structure) { reader throws(StoreError) in
        var (page, encoding, count) = (Int32(-1), Int32(-1), Int32(0))
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: page = try reader.int32(field)
          case 2: encoding = try reader.int32(field)
          case 3: count = try reader.int32(field)
          default: try reader.skip(field.type)
          }
        }
        if let page = PageType(rawValue: page), let encoding = Encoding(rawValue: encoding) {
          encodingStatistics.append(PageEncodingCount(page: page, encoding: encoding, count: count))
        }
      }
    case 14: bloomFilterOffset = try reader.int64(field)
    // Some writer of old used the number for a list of its own.
    case 15 where field.type == .int32: bloomFilterByteCount = try reader.int32(field)
    default: try reader.skip(field.type)
    }
  }
}

extension ChunkStatistics {
  /// Leaves out the two oldest fields, whose order was never settled.
  fileprivate static func decoded(
    _ reader: inout ThriftReader, _ field: ThriftReader.FieldHeader
  ) throws(StoreError) -> Self {
    guard field.type == .structure else { throw .corrupt("statistics that are no structure") }
    var statistics = Self()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 3: statistics.nullCount = try reader.int64(field)
      case 4: statistics.distinctCount = try reader.int64(field)
      case 5: statistics.maximum = try reader.binary(field)
      case 6: statistics.minimum = try reader.binary(field)
      case 7: statistics.isMaximumExact = try reader.boolean(field)
      case 8: statistics.isMinimumExact = try reader.boolean(field)
      default: try reader.skip(field.type)
      }
    }
    return statistics
  }
}

extension PageHeader {
  /// Reads a page's header.
  static func decoded(_ reader: inout ThriftReader) throws(StoreError) -> PageHeader {
    var header = PageHeader()
    try reader.structure { field, reader throws(StoreError) in
      switch field.id {
      case 1:
        let code = try reader.int32(field)
        guard let type = PageType(rawValue: code) else { throw StoreError.corrupt("unknown page type \(code)") }
        header.type = type
      case 2: header.uncompressedByteCount = try reader.int32(field)
      case 3: header.compressedByteCount = try reader.int32(field)
      case 4: header.checksum = try reader.int32(field)
      case 5 where header.type == .data, 7 where header.type == .dictionary:
        guard field.type == .structure else { throw StoreError.corrupt("page details that are no structure") }
        header.hasDetails = true
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: header.valueCount = try reader.int32(field)
          case 2: header.encoding = try reader.int32(field)
          case 3 where header.type == .data: header.levelEncoding = try reader.int32(field)
          default: try reader.skip(field.type)
          }
        }
      case 8 where header.type == .dataV2:
        guard field.type == .structure else { throw StoreError.corrupt("page details that are no structure") }
        header.hasDetails = true
        try reader.structure { field, reader throws(StoreError) in
          switch field.id {
          case 1: header.valueCount = try reader.int32(field)
          case 2: header.nullCount = try reader.int32(field)
          case 3: header.rowCount = try reader.int32(field)
          case 4: header.encoding = try reader.int32(field)
          case 5: header.definitionByteCount = try reader.int32(field)
          case 6: header.repetitionByteCount = try reader.int32(field)
          case 7: header.isCompressed = try reader.boolean(field)
          default: try reader.skip(field.type)
          }
        }
      default: try reader.skip(field.type)
      }
    }
    guard header.type == .index || header.hasDetails else { throw .corrupt("a page header without its details") }
    return header
  }
}

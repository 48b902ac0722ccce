internal import FraudCore

/// Turns a column's values of one row group into pages.
struct ColumnChunkEncoder {
  /// Rows of a page: enough to compress well, few enough to skip by the page index.
  static let pageRows = 16_384
  /// Bytes of text that end a page earlier.
  static let pageTextBytes = 1 << 20
  /// Values after which a dictionary of numbers shows whether it pays.
  private static let dictionaryTrial = 16_384

  /// What is known of a chunk once it is encoded; its offsets are the file's.
  struct Result {
    var metadata: ColumnChunkMetadata
    var offsetIndex = OffsetIndex()
    /// Missing where a page of doubles holds nothing but NaN, which has no bounds.
    var columnIndex: ColumnIndex? = ColumnIndex()
    var bloomFilter: BloomFilter?
  }

  private enum Plan {
    case plainWords
    case booleans
    case deltaWords
    case dictionaryWords(WordDictionary, [UInt32])
    case dictionaryText(TextDictionary)
    case deltaLengthText

    var encoding: Encoding {
      switch self {
      case .plainWords, .booleans: .plain
      case .deltaWords: .deltaBinaryPacked
      case .dictionaryWords, .dictionaryText: .rleDictionary
      case .deltaLengthText: .deltaLengthByteArray
      }
    }
  }

  private var page: [UInt8] = []

  /// Appends the chunk's pages to `output`, which lies at `outputOffset` of the file.
  mutating func encode(
    _ buffer: ColumnBuffer, outputOffset: Int64, compressor: inout ZstdCompressor, to output: inout [UInt8]
  ) throws(StoreError) -> Result {
    let plan = Self.plan(buffer)
    let start = output.count
    var result = Result(
      metadata: ColumnChunkMetadata(
        type: buffer.column.physicalType, path: [buffer.column.name], codec: Codec.zstd.rawValue,
        valueCount: Int64(buffer.rowCount)))
    var encodings: Set<Encoding> = [plan.encoding]
    if buffer.column.nullable { encodings.insert(.rle) }

    if let entryCount = appendDictionary(plan) {
      encodings.insert(.plain)
      result.metadata.dictionaryPageOffset = outputOffset + Int64(output.count)
      let header = PageHeader(
        type: .dictionary, valueCount: Int32(entryCount), encoding: Encoding.plain.rawValue)
      try writePage(header, compressor: &compressor, result: &result, to: &output)
      result.metadata.encodingStatistics.append(.init(page: .dictionary, encoding: .plain, count: 1))
    }
    result.metadata.dataPageOffset = outputOffset + Int64(output.count)

    var bounds = ValueBounds.none
    var (row, value) = (0, 0)
    while row < buffer.rowCount {
      let rows = row..<Self.pageEnd(buffer, row: row, value: value)
      let count = buffer.column.nullable ? buffer.validity.oneCount(in: rows) : rows.count
      let values = value..<value + count
      page.removeAll(keepingCapacity: true)
      if buffer.column.nullable {
        appendHalfWord(0, to: &page)
        RunLengthEncoder.appendLevels(buffer.validity, in: rows, to: &page)
        let byteCount = UInt32(page.count - 4)
        for byte in 0..<4 { page[byte] = UInt8(truncatingIfNeeded: byteCount >> UInt32(byte * 8)) }
      }
      appendValues(buffer, plan, values)
      let offset = outputOffset + Int64(output.count)
      let byteCount = output.count
      try writePage(
        PageHeader(type: .data, valueCount: Int32(rows.count), encoding: plan.encoding.rawValue),
        compressor: &compressor, result: &result, to: &output)
      result.offsetIndex.pages.append(
        .init(offset: offset, byteCount: Int32(output.count - byteCount), firstRow: Int64(row)))
      let pageBounds = buffer.bounds(ofValues: values)
      bounds.formUnion(pageBounds)
      result.note(pageBounds, nullCount: rows.count - count, isAllNull: count == 0)
      (row, value) = (rows.upperBound, values.upperBound)
    }

    let pageCount = Int32(result.offsetIndex.pages.count)
    result.metadata.encodingStatistics.append(.init(page: .data, encoding: plan.encoding, count: pageCount))
    result.metadata.encodings = encodings.sorted().map(\.rawValue)
    result.metadata.compressedByteCount = Int64(output.count - start)
    result.metadata.statistics = Self.statistics(buffer, bounds, plan)
    result.bloomFilter = Self.bloomFilter(buffer, plan)
    return result
  }

  // MARK: Choosing an encoding

  private static func plan(_ buffer: ColumnBuffer) -> Plan {
    switch buffer.column.type {
    case .boolean: return .booleans
    case .string:
      if let dictionary = buffer.dictionary, dictionary.count > 0 { return .dictionaryText(dictionary) }
      return .deltaLengthText
    case .float:
      guard let (dictionary, indices) = numbered(buffer.words) else { return .plainWords }
      let bytes = dictionary.entries.count * 8 + indices.count * indexWidth(dictionary.entries.count) / 8
      return bytes < buffer.words.count * 6 ? .dictionaryWords(dictionary, indices) : .plainWords
    case .integer, .timestamp:
      let delta = DeltaBinaryPackedEncoder.byteCount(buffer.words.span)
      if let (dictionary, indices) = numbered(buffer.words) {
        // Small numbers have few bytes that are not zero, and compression takes the zeros away.
        let entryBytes = (8 - (dictionary.entries.map(\.leadingZeroBitCount).min() ?? 0) / 8)
        let bytes =
          dictionary.entries.count * entryBytes + indices.count * indexWidth(dictionary.entries.count) / 8
        // Compression shortens the indices of uneven values further, and packed differences hardly ever: hence the 5 / 4.
        if bytes < delta + delta / 4 { return .dictionaryWords(dictionary, indices) }
      }
      return delta < buffer.words.count * 7 ? .deltaWords : .plainWords
    }
  }

  /// The words' numbers in a dictionary, or `nil` where nearly all are different.
  private static func numbered(_ words: [UInt64]) -> (WordDictionary, [UInt32])? {
    guard !words.isEmpty else { return nil }
    var dictionary = WordDictionary()
    var indices: [UInt32] = []
    indices.reserveCapacity(words.count)
    for word in words {
      indices.append(dictionary.index(of: word))
      if indices.count % dictionaryTrial == 0 && dictionary.entries.count * 4 > indices.count * 3 { return nil }
    }
    return (dictionary, indices)
  }

  /// Bits of an index. One entry has one bit, too: readers have stumbled over none.
  private static func indexWidth(_ entryCount: Int) -> Int {
    UInt64.bitWidth - UInt64(max(entryCount, 2) - 1).leadingZeroBitCount
  }

  // MARK: Pages

  /// Where the page that starts at a row ends.
  private static func pageEnd(_ buffer: ColumnBuffer, row: Int, value: Int) -> Int {
    let limit = min(row + pageRows, buffer.rowCount)
    guard buffer.column.type == .string, buffer.dictionary == nil else { return limit }
    let start = value == 0 ? 0 : buffer.textEnds[value - 1]
    // Most pages are small in any case: looked at as a whole first.
    let last = min(value + limit - row, buffer.textEnds.count)
    if last == value || buffer.textEnds[last - 1] - start <= pageTextBytes { return limit }
    var (end, next) = (row, value)
    while end < limit {
      if !buffer.column.nullable || buffer.validity[end] {
        if end > row && buffer.textEnds[next] - start > pageTextBytes { return end }
        next += 1
      }
      end += 1
    }
    return limit
  }

  /// Puts the plan's dictionary into ``page`` and returns how many entries it has, or `nil` where there is none.
  private mutating func appendDictionary(_ plan: Plan) -> Int? {
    page.removeAll(keepingCapacity: true)
    switch plan {
    case .dictionaryWords(let dictionary, _):
      appendPlain(dictionary.entries, 0..<dictionary.entries.count)
      return dictionary.entries.count
    case .dictionaryText(let dictionary):
      for index in 0..<dictionary.count {
        let range = dictionary.range(of: index)
        appendHalfWord(UInt32(range.count), to: &page)
        page.append(contentsOf: dictionary.bytes[range])
      }
      return dictionary.count
    default: return nil
    }
  }

  private mutating func appendValues(_ buffer: ColumnBuffer, _ plan: Plan, _ values: Range<Int>) {
    switch plan {
    case .plainWords: appendPlain(buffer.words, values)
    case .deltaWords: DeltaBinaryPackedEncoder.append(buffer.words.span.extracting(values), to: &page)
    case .booleans:
      var bits = BitWriter()
      for index in values { bits.append(buffer.words[index], width: 1, to: &page) }
      bits.flush(to: &page)
    case .dictionaryWords(let dictionary, let indices):
      let width = Self.indexWidth(dictionary.entries.count)
      page.append(UInt8(width))
      RunLengthEncoder.append(indices.span.extracting(values), bitWidth: width, to: &page)
    case .dictionaryText(let dictionary):
      let width = Self.indexWidth(dictionary.count)
      page.append(UInt8(width))
      RunLengthEncoder.append(buffer.indices.span.extracting(values), bitWidth: width, to: &page)
    case .deltaLengthText:
      var lengths: [UInt64] = []
      lengths.reserveCapacity(values.count)
      for index in values { lengths.append(UInt64(buffer.textRange(index).count)) }
      DeltaBinaryPackedEncoder.append(lengths.span, to: &page)
      if let first = values.first {
        page.append(
          contentsOf: buffer.text[buffer.textRange(first).lowerBound..<buffer.textEnds[values.upperBound - 1]])
      }
    }
  }

  private mutating func appendPlain(_ words: [UInt64], _ range: Range<Int>) {
    #if _endian(little)
      // The bytes as they lie; the slice stays within the array.
      unsafe words.withUnsafeBytes { bytes in
        unsafe page.append(contentsOf: bytes[range.lowerBound * 8..<range.upperBound * 8])
      }
    #else
      for index in range { appendWord(words[index], to: &page) }
    #endif
  }

  private mutating func writePage(
    _ header: PageHeader, compressor: inout ZstdCompressor, result: inout Result, to output: inout [UInt8]
  ) throws(StoreError) {
    var compressed: [UInt8] = []
    swap(&compressed, &scratch)
    defer { swap(&compressed, &scratch) }
    compressed.removeAll(keepingCapacity: true)
    let written = try compressor.compress(page, appendingTo: &compressed)
    var header = header
    header.uncompressedByteCount = Int32(page.count)
    header.compressedByteCount = Int32(written)
    header.checksum = unsafe Int32(bitPattern: Checksum.of(compressed.span.bytes))
    let head = header.encoded()
    output.append(contentsOf: head)
    output.append(contentsOf: compressed)
    result.metadata.uncompressedByteCount += Int64(head.count + page.count)
  }

  private var scratch: [UInt8] = []

  // MARK: Statistics

  private static func statistics(_ buffer: ColumnBuffer, _ bounds: ValueBounds, _ plan: Plan) -> ChunkStatistics {
    var statistics = ChunkStatistics(nullCount: Int64(buffer.rowCount - buffer.valueCount))
    switch plan {
    case .dictionaryWords(let dictionary, _): statistics.distinctCount = Int64(dictionary.entries.count)
    case .dictionaryText(let dictionary): statistics.distinctCount = Int64(dictionary.count)
    default: break
    }
    if let encoded = bounds.encoded {
      (statistics.minimum, statistics.maximum) = (encoded.minimum, encoded.maximum)
      (statistics.isMinimumExact, statistics.isMaximumExact) = (encoded.isMinimumExact, encoded.isMaximumExact)
    }
    return statistics
  }

  private static func bloomFilter(_ buffer: ColumnBuffer, _ plan: Plan) -> BloomFilter? {
    guard buffer.column.bloomFilter, buffer.column.type != .boolean else { return nil }
    switch plan {
    case .dictionaryWords(let dictionary, _):
      var filter = BloomFilter(distinctCount: dictionary.entries.count)
      for word in dictionary.entries { filter.insert(hash: XXHash64.hash(word)) }
      return filter
    case .dictionaryText(let dictionary):
      var filter = BloomFilter(distinctCount: dictionary.count)
      let bytes = unsafe dictionary.bytes.span.bytes
      for index in 0..<dictionary.count {
        filter.insert(hash: XXHash64.hash(bytes.extracting(dictionary.range(of: index))))
      }
      return filter
    case .deltaLengthText:
      var filter = BloomFilter(distinctCount: buffer.textEnds.count)
      let bytes = unsafe buffer.text.span.bytes
      for index in buffer.textEnds.indices {
        filter.insert(hash: XXHash64.hash(bytes.extracting(buffer.textRange(index))))
      }
      return filter
    default:
      var filter = BloomFilter(distinctCount: buffer.words.count)
      for word in buffer.words { filter.insert(hash: XXHash64.hash(word)) }
      return filter
    }
  }
}

extension ColumnChunkEncoder.Result {
  /// Adds a page to the column index.
  fileprivate mutating func note(_ bounds: ValueBounds, nullCount: Int, isAllNull: Bool) {
    let encoded = bounds.encoded
    guard encoded != nil || isAllNull else {
      columnIndex = nil
      return
    }
    columnIndex?.nullPages.append(isAllNull)
    columnIndex?.minimums.append(encoded?.minimum ?? [])
    columnIndex?.maximums.append(encoded?.maximum ?? [])
    columnIndex?.nullCounts.append(Int64(nullCount))
  }
}

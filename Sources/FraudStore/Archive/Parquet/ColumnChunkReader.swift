internal import FraudCore

/// What a column reader held and the next one takes over: memory that is new must be mapped and cleared by the kernel, which
/// took a tenth of reading.
struct ChunkMemory {
  fileprivate var window: [UInt8] = []
  fileprivate var page: [UInt8] = []
}

/// Reads a flat column of one row group step by step, in memory bounded by a page and the dictionary.
struct ColumnChunkReader {
  /// Bytes of a page that are taken for sane.
  static let pageByteLimit = 256 << 20
  /// Bytes that are read ahead.
  private static let windowBytes = 1 << 20

  private let leaf: ParquetLeaf
  private let codec: Codec
  private let source: ByteSource
  private let verifiesChecksums: Bool
  /// The part of the chunk that is in memory; `windowPosition` of its bytes have been used.
  private var window: [UInt8] = []
  private var windowPosition = 0
  /// What of the file has not been read into the window.
  private var unread: Range<Int>
  private var rowsLeft: Int
  private var hasReadPage = false
  /// The current data page, with padding after its end.
  private var page: [UInt8] = []
  private var pageRowsLeft = 0
  private var levels: RunLengthDecoder?
  private var values: ValueDecoder?
  private var hasDictionary = false
  private var dictionary: [UInt64] = []

  /// - Parameter verifiesChecksums: whether pages with a checksum must have the right one.
  init(
    _ file: ParquetFile, column: Int, rowGroup: Int, verifiesChecksums: Bool, memory: consuming ChunkMemory
  ) throws(StoreError) {
    leaf = file.columns[column]
    precondition(leaf.isFlat, "column '\(leaf.name)' is not flat")
    source = file.source
    self.verifiesChecksums = verifiesChecksums
    let chunk = file.metadata.rowGroups[rowGroup].columns[column]
    guard let codec = Codec(rawValue: chunk.codec) else { throw .corrupt("unknown compression \(chunk.codec)") }
    switch codec {
    case .uncompressed, .snappy, .zstd: self.codec = codec
    default:
      throw .corrupt("pages are compressed with \(codec), which is not supported; uncompressed, snappy and zstd are")
    }
    guard chunk.filePath == nil else { throw .corrupt("the values lie in another file, which is not supported") }
    rowsLeft = Int(file.metadata.rowGroups[rowGroup].rowCount)
    (window, page) = (memory.window, memory.page)
    // Let go of, or emptying the window would copy it.
    memory = ChunkMemory()
    window.removeAll(keepingCapacity: true)
    guard rowsLeft > 0 else {
      unread = 0..<0
      return
    }
    var start = chunk.dataPageOffset
    // Some writers leave a zero where there is no dictionary.
    if let dictionary = chunk.dictionaryPageOffset, dictionary > 0 { start = min(start, dictionary) }
    guard start >= 4, start <= Int64(file.dataEnd), chunk.compressedByteCount >= 0 else {
      throw .corrupt("pages at \(start) of a file of \(source.byteCount) bytes")
    }
    // Old writers left a dictionary page's header out of the byte count; reading stops after the last row anyway.
    let (end, overflow) = start.addingReportingOverflow(chunk.compressedByteCount)
    guard !overflow, end <= Int64(file.dataEnd) else {
      throw .corrupt("\(chunk.compressedByteCount) bytes of pages at \(start) reach beyond the footer")
    }
    unread = Int(start)..<min(Int(end) + 128, file.dataEnd)
  }

  /// Ends reading and gives back what it was done with.
  consuming func release() -> ChunkMemory { ChunkMemory(window: window, page: page) }

  /// Reads up to the first data page. Texts of a dictionary are appended to the arena, which all later reads must share.
  mutating func start(_ zstd: borrowing ZstdDecompressor, arena: inout [UInt8]) throws(StoreError) {
    if rowsLeft > 0 { try nextPage(zstd, arena: &arena) }
  }

  /// Reads the next `count` rows, at most as many as are left.
  ///
  /// - Parameters:
  ///   - words: takes the values from index `base`, 0 where there is none.
  ///   - validity: a bitmap whose bits from `bitBase` (a multiple of 64) are 0; set where there is a value.
  mutating func read(
    _ count: Int, _ zstd: borrowing ZstdDecompressor, words: inout [UInt64], at base: Int, validity: inout [UInt64],
    bitBase: Int, arena: inout [UInt8]
  ) throws(StoreError) {
    precondition(count <= rowsLeft, "\(count) rows of \(rowsLeft)")
    var done = 0
    while done < count {
      while pageRowsLeft == 0 { try nextPage(zstd, arena: &arena) }
      let rows = min(pageRowsLeft, count - done)
      var bits = validity.mutableSpan
      let valid = try readLevels(rows, &bits, at: bitBase + done)
      var output = words.mutableSpan
      let first = base + done
      let (page, dictionary) = (page, dictionary)
      try values?.decode(
        page.span, dictionary: dictionary.span, into: &output, first..<first + valid, arena: &arena)
      if valid < rows { spread(&output, first, valid: valid, rows: rows, bits.span, at: bitBase + done) }
      done += rows
      pageRowsLeft -= rows
      rowsLeft -= rows
    }
  }

  // MARK: Levels

  /// Sets the bits of the rows that have a value and says how many have.
  private mutating func readLevels(
    _ rows: Int, _ bits: inout MutableSpan<UInt64>, at start: Int
  ) throws(StoreError) -> Int {
    guard levels != nil else {
      setBits(&bits, at: start, .max, count: rows)
      return rows
    }
    let page = page
    var (row, valid) = (0, 0)
    while row < rows {
      guard let piece = try levels?.decodeBits(page.span, limit: rows - row) else { break }
      setBits(&bits, at: start + row, piece.bits, count: piece.count)
      valid += piece.isRun ? (piece.bits == 0 ? 0 : piece.count) : piece.bits.nonzeroBitCount
      row += piece.count
    }
    return valid
  }

  /// Sets `count` bits, all to those of `pattern` where they are more than 64.
  private func setBits(_ bits: inout MutableSpan<UInt64>, at start: Int, _ pattern: UInt64, count: Int) {
    guard pattern != 0 else { return }
    var (position, left) = (start, count)
    while left > 0 {
      let (word, shift) = (position >> 6, position & 63)
      let some = min(left, 64 - shift)
      let mask: UInt64 = some == 64 ? .max : 1 << UInt64(some) - 1
      // A short pattern may straddle two words; a long one is all ones.
      let part = count > 64 ? mask : pattern >> UInt64(position - start) & mask
      bits[word] |= part << UInt64(shift)
      position += some
      left -= some
    }
  }

  /// Moves values that lie dense to their rows, from the last one on.
  private func spread(
    _ output: inout MutableSpan<UInt64>, _ first: Int, valid: Int, rows: Int, _ bits: Span<UInt64>, at start: Int
  ) {
    var source = first + valid
    for row in stride(from: rows - 1, through: 0, by: -1) {
      let bit = start + row
      if bits[bit >> 6] >> UInt64(bit & 63) & 1 == 1 {
        source -= 1
        output[first + row] = output[source]
      } else {
        output[first + row] = 0
      }
    }
  }

  // MARK: Pages

  private mutating func nextPage(_ zstd: borrowing ZstdDecompressor, arena: inout [UInt8]) throws(StoreError) {
    while true {
      let header = try readHeader()
      let body = try readBody(header)
      defer { hasReadPage = true }
      switch header.type {
      case .index: continue
      case .dictionary:
        guard !hasReadPage else { throw .corrupt("a dictionary that is not the first page") }
        try startDictionary(header, body, zstd, arena: &arena)
      case .data:
        try startDataPage(header, body, zstd)
        return
      case .dataV2:
        try startDataPageV2(header, body, zstd)
        return
      }
    }
  }

  private mutating func readHeader() throws(StoreError) -> PageHeader {
    // Headers are some tens of bytes, but for statistics of long texts.
    var wanted = 4 << 10
    while true {
      let available = min(wanted, window.count - windowPosition + unread.count)
      guard available > 0 else { throw .corrupt("the pages end before the rows do") }
      try fill(available)
      var reader = ThriftReader(window, in: windowPosition..<windowPosition + available)
      do throws(StoreError) {
        let header = try PageHeader.decoded(&reader)
        windowPosition = reader.position
        return header
      } catch {
        guard available == wanted, wanted < 16 << 20 else { throw error }
        wanted *= 8
      }
    }
  }

  /// Gets a page's bytes into the window and returns where they lie there.
  private mutating func readBody(_ header: PageHeader) throws(StoreError) -> Range<Int> {
    let count = Int(header.compressedByteCount)
    guard count >= 0, count <= Self.pageByteLimit,
      (0...Self.pageByteLimit).contains(Int(header.uncompressedByteCount))
    else {
      throw .corrupt("a page of \(count) bytes, \(header.uncompressedByteCount) uncompressed")
    }
    guard count <= window.count - windowPosition + unread.count else {
      throw .corrupt("a page of \(count) bytes reaches beyond its column chunk")
    }
    try fill(count)
    let body = windowPosition..<windowPosition + count
    windowPosition += count
    if verifiesChecksums, let checksum = header.checksum {
      guard unsafe Checksum.of(window.span.extracting(body).bytes) == UInt32(bitPattern: checksum) else {
        throw .corrupt("a page's checksum is wrong: the file was damaged after it was written")
      }
    }
    return body
  }

  /// Makes sure that so many unused bytes are in the window.
  private mutating func fill(_ count: Int) throws(StoreError) {
    let available = window.count - windowPosition
    guard available < count else { return }
    window.removeSubrange(0..<windowPosition)
    windowPosition = 0
    let more = min(max(count - available, Self.windowBytes), unread.count)
    try source.append(unread.lowerBound..<unread.lowerBound + more, to: &window)
    unread = unread.lowerBound + more..<unread.upperBound
  }

  /// Fills `page` with a body's bytes, the first `plain` of them as they are, and pads it.
  private mutating func decompress(
    _ body: Range<Int>, plain: Int, byteCount: Int, isCompressed: Bool, _ zstd: borrowing ZstdDecompressor
  ) throws(StoreError) {
    guard plain <= body.count, plain <= byteCount else { throw .corrupt("levels longer than their page") }
    if page.count < byteCount + RunLengthDecoder.padding {
      page = [UInt8](repeating: 0, count: byteCount + RunLengthDecoder.padding)
    }
    let packed = body.lowerBound + plain..<body.upperBound
    if isCompressed && codec != .uncompressed {
      page.replaceSubrange(0..<plain, with: window[body.lowerBound..<packed.lowerBound])
      // A page of NULLs may have no compressed bytes at all.
      guard !packed.isEmpty || byteCount > plain else { return }
      let window = window
      let source = window.span.extracting(packed)
      switch codec {
      case .snappy: try Snappy.decompress(source, into: &page, plain..<byteCount)
      default: unsafe try zstd.decompress(source.bytes, into: &page, plain..<byteCount)
      }
    } else {
      guard body.count == byteCount else { throw .corrupt("a page of \(body.count) bytes says \(byteCount)") }
      page.replaceSubrange(0..<byteCount, with: window[body])
    }
  }

  private mutating func startDictionary(
    _ header: PageHeader, _ body: Range<Int>, _ zstd: borrowing ZstdDecompressor, arena: inout [UInt8]
  ) throws(StoreError) {
    guard header.encoding == Encoding.plain.rawValue || header.encoding == Encoding.plainDictionary.rawValue else {
      throw .corrupt("a dictionary in encoding \(header.encoding)")
    }
    let byteCount = Int(header.uncompressedByteCount)
    try decompress(body, plain: 0, byteCount: byteCount, isCompressed: true, zstd)
    let least = leaf.physicalType == .byteArray ? 4 : ValueDecoder.width(of: leaf)
    guard header.valueCount >= 0, least > 0, Int(header.valueCount) <= byteCount / least else {
      throw .corrupt("a dictionary of \(header.valueCount) values in \(byteCount) bytes")
    }
    var entries = [UInt64](repeating: 0, count: Int(header.valueCount))
    var decoder = try ValueDecoder(
      page.span, in: 0..<byteCount, encoding: Encoding.plain.rawValue, leaf: leaf, hasDictionary: false)
    var output = entries.mutableSpan
    let none: [UInt64] = []
    try decoder.decode(page.span, dictionary: none.span, into: &output, 0..<output.count, arena: &arena)
    dictionary = entries
    hasDictionary = true
  }

  private mutating func startDataPage(
    _ header: PageHeader, _ body: Range<Int>, _ zstd: borrowing ZstdDecompressor
  ) throws(StoreError) {
    try takeRows(header.valueCount)
    let byteCount = Int(header.uncompressedByteCount)
    try decompress(body, plain: 0, byteCount: byteCount, isCompressed: true, zstd)
    var start = 0
    levels = nil
    if leaf.isNullable && pageRowsLeft > 0 {
      guard header.levelEncoding == Encoding.rle.rawValue else {
        throw .corrupt("definition levels in encoding \(header.levelEncoding), which is not supported")
      }
      guard byteCount >= 4 else { throw .corrupt("a page without definition levels") }
      let count = Int(loadHalfWord(page.span, 0))
      guard count <= byteCount - 4 else { throw .corrupt("definition levels longer than their page") }
      levels = try RunLengthDecoder(in: 4..<4 + count, bitWidth: 1)
      start = 4 + count
    }
    values = try ValueDecoder(
      page.span, in: start..<byteCount, encoding: header.encoding, leaf: leaf, hasDictionary: hasDictionary)
  }

  private mutating func startDataPageV2(
    _ header: PageHeader, _ body: Range<Int>, _ zstd: borrowing ZstdDecompressor
  ) throws(StoreError) {
    try takeRows(header.valueCount)
    let (definition, repetition) = (Int(header.definitionByteCount), Int(header.repetitionByteCount))
    let byteCount = Int(header.uncompressedByteCount)
    guard definition >= 0, repetition >= 0, definition <= byteCount, repetition <= byteCount - definition else {
      throw .corrupt("levels longer than their page")
    }
    let start = repetition + definition
    try decompress(body, plain: start, byteCount: byteCount, isCompressed: header.isCompressed, zstd)
    levels = leaf.isNullable ? try RunLengthDecoder(in: repetition..<start, bitWidth: 1) : nil
    values = try ValueDecoder(
      page.span, in: start..<byteCount, encoding: header.encoding, leaf: leaf, hasDictionary: hasDictionary)
  }

  private mutating func takeRows(_ count: Int32) throws(StoreError) {
    guard count >= 0, Int(count) <= rowsLeft else {
      throw .corrupt("a page of \(count) values where \(rowsLeft) rows are left")
    }
    pageRowsLeft = Int(count)
  }
}

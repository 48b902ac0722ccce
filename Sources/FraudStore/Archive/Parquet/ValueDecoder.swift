internal import FraudCore

/// Reads the values of one data page step by step, in any encoding, from bytes that nobody vouches for.
///
/// Every value becomes a word: numbers of 32 bits are widened (a float to a double), INT96 becomes microseconds since
/// 1970, booleans 0 and 1, and byte arrays slices of the `arena` that they are appended to.
struct ValueDecoder {
  private enum Form {
    case plainFixed
    case plainBoolean
    case plainBytes
    case fixedBytes
    case dictionary
    case runLengthBoolean
    case deltaWords
    case deltaLengthBytes
    case deltaBytes
    case byteStreamSplit
  }

  /// Bytes that texts of one batch may have together.
  static let arenaByteLimit = 512 << 20

  private let form: Form
  private let type: PhysicalType
  /// Bytes of a value, where all have the same.
  private let width: Int
  private let isText: Bool
  private var position: Int
  private let end: Int
  private var runs: RunLengthDecoder?
  private var prefixes: DeltaBinaryPackedDecoder?
  private var deltas: DeltaBinaryPackedDecoder?
  private var previous: [UInt8] = []
  /// Plain booleans that have been read.
  private var bitsTaken = 0
  /// Of split streams: how many values each holds, and which comes next.
  private var streamCount = 0
  private var streamIndex = 0

  /// Reads the values that lie in a range of a page.
  ///
  /// - Parameter isText: whether byte arrays must be UTF-8.
  init(
    _ bytes: Span<UInt8>, in range: Range<Int>, encoding: Int32, leaf: ParquetLeaf, hasDictionary: Bool
  ) throws(StoreError) {
    type = leaf.physicalType
    isText = leaf.meaning == .text
    position = range.lowerBound
    end = range.upperBound
    width = Self.width(of: leaf)
    guard let known = Encoding(rawValue: encoding) else { throw .corrupt("unknown encoding \(encoding)") }
    switch (known, type) {
    case (.plain, .boolean): form = .plainBoolean
    case (.plain, .byteArray): form = .plainBytes
    case (.plain, .fixedLengthByteArray): form = .fixedBytes
    case (.plain, _): form = .plainFixed
    case (.plainDictionary, _), (.rleDictionary, _):
      form = .dictionary
      guard hasDictionary else { throw .corrupt("a page of dictionary indices without a dictionary") }
      // A page of NULLs only may have no bytes at all.
      if range.isEmpty {
        runs = try RunLengthDecoder(in: range, bitWidth: 0)
      } else {
        position += 1
        runs = try RunLengthDecoder(in: position..<end, bitWidth: Int(bytes[range.lowerBound]))
      }
    case (.rle, .boolean):
      form = .runLengthBoolean
      guard range.count >= 4 else { throw .corrupt("a page of booleans without a length") }
      let count = Int(loadHalfWord(bytes, position))
      guard count <= range.count - 4 else { throw .corrupt("a page of booleans shorter than it says") }
      runs = try RunLengthDecoder(in: position + 4..<position + 4 + count, bitWidth: 1)
    case (.deltaBinaryPacked, .int32), (.deltaBinaryPacked, .int64):
      form = .deltaWords
      deltas = try range.isEmpty ? nil : DeltaBinaryPackedDecoder(bytes, in: range)
    case (.deltaLengthByteArray, .byteArray):
      form = .deltaLengthBytes
      try startLengths(bytes)
    case (.deltaByteArray, .byteArray), (.deltaByteArray, .fixedLengthByteArray):
      form = .deltaBytes
      if !range.isEmpty {
        var prefixes = try DeltaBinaryPackedDecoder(bytes, in: range)
        self.prefixes = prefixes
        position = try prefixes.skipToEnd(bytes)
        try startLengths(bytes)
      }
    case (.byteStreamSplit, .int32), (.byteStreamSplit, .int64), (.byteStreamSplit, .float),
      (.byteStreamSplit, .double),
      (.byteStreamSplit, .fixedLengthByteArray):
      form = .byteStreamSplit
      streamCount = range.count / width
    default: throw .corrupt("encoding \(known) of a column of type \(type)")
    }
  }

  /// Bytes of a value, or 0 where they differ.
  static func width(of leaf: ParquetLeaf) -> Int {
    switch leaf.physicalType {
    case .int32, .float: 4
    case .int64, .double: 8
    case .int96: 12
    case .fixedLengthByteArray: leaf.typeLength
    case .boolean, .byteArray: 0
    }
  }

  private mutating func startLengths(_ bytes: Span<UInt8>) throws(StoreError) {
    guard position < end else { return }
    var lengths = try DeltaBinaryPackedDecoder(bytes, in: position..<end)
    deltas = lengths
    position = try lengths.skipToEnd(bytes)
  }

  /// Fills a range of `output` with the next values.
  mutating func decode(
    _ bytes: Span<UInt8>, dictionary: Span<UInt64>, into output: inout MutableSpan<UInt64>, _ range: Range<Int>,
    arena: inout [UInt8]
  ) throws(StoreError) {
    guard !range.isEmpty else { return }
    precondition(range.upperBound <= output.count, "\(range) of \(output.count) values")
    switch form {
    case .plainFixed: try decodePlain(bytes, &output, range)
    case .plainBoolean: try decodeBooleans(bytes, &output, range)
    case .plainBytes: try decodePlainBytes(bytes, &output, range, &arena)
    case .fixedBytes:
      guard range.count <= (end - position) / width else { throw tooFew }
      let base = try append(bytes, position..<position + range.count * width, to: &arena)
      for (count, index) in range.enumerated() {
        output[index] = TextSlice(offset: base + count * width, count: width).word
      }
      position += range.count * width
    case .dictionary:
      try runs?.decode(bytes, into: &output, range)
      var greatest: UInt64 = 0
      for index in range { greatest = max(greatest, output[index]) }
      guard greatest < UInt64(dictionary.count) else {
        throw .corrupt("entry \(greatest) of a dictionary of \(dictionary.count)")
      }
      for index in range { output[index] = dictionary[Int(truncatingIfNeeded: output[index])] }
    case .runLengthBoolean: try runs?.decode(bytes, into: &output, range)
    case .deltaWords:
      guard deltas != nil else { throw tooFew }
      try deltas?.decode(bytes, into: &output, range)
      if type == .int32 { for index in range { output[index] = signExtended(output[index]) } }
    case .deltaLengthBytes: try decodeLengthBytes(bytes, &output, range, &arena)
    case .deltaBytes: try decodeDeltaBytes(bytes, &output, range, &arena)
    case .byteStreamSplit: try decodeStreams(bytes, &output, range, &arena)
    }
  }

  // MARK: Plain

  private mutating func decodePlain(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>
  ) throws(StoreError) {
    guard range.count <= (end - position) / width else { throw tooFew }
    var offset = position
    switch type {
    case .int32:
      for index in range {
        output[index] = signExtended(UInt64(loadHalfWord(bytes, offset)))
        offset += 4
      }
    case .float:
      for index in range {
        output[index] = Double(Float(bitPattern: loadHalfWord(bytes, offset))).bitPattern
        offset += 4
      }
    case .int96:
      for index in range {
        output[index] = microseconds(ofDay: loadWord(bytes, offset), julianDay: loadHalfWord(bytes, offset + 8))
        offset += 12
      }
    default:
      for index in range {
        output[index] = loadWord(bytes, offset)
        offset += 8
      }
    }
    position = offset
  }

  private mutating func decodeBooleans(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>
  ) throws(StoreError) {
    guard range.count <= (end - position) * 8 - bitsTaken else { throw tooFew }
    unpack(bytes, bitPosition: position * 8 + bitsTaken, bitWidth: 1, into: &output, range)
    bitsTaken += range.count
  }

  private mutating func decodePlainBytes(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>, _ arena: inout [UInt8]
  ) throws(StoreError) {
    let start = position
    let base = arena.count
    for index in range {
      guard end - position >= 4 else { throw tooFew }
      let count = Int(loadHalfWord(bytes, position))
      guard count <= end - position - 4 else { throw .corrupt("a text of \(count) bytes beyond the end of its page") }
      output[index] = TextSlice(offset: base + position + 4 - start, count: count).word
      position += 4 + count
    }
    // Copied as one piece, lengths between the texts included: a copy for each cost more than the gaps.
    _ = try append(bytes, start..<position, to: &arena)
    try checkText(output.span, range, arena, from: base)
  }

  // MARK: Packed lengths

  private mutating func decodeLengthBytes(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>, _ arena: inout [UInt8]
  ) throws(StoreError) {
    guard deltas != nil else { throw tooFew }
    try deltas?.decode(bytes, into: &output, range)
    let start = position
    let base = arena.count
    for index in range {
      guard let count = Int(exactly: output[index]), count <= end - position else {
        throw .corrupt("a text beyond the end of its page")
      }
      output[index] = TextSlice(offset: base + position - start, count: count).word
      position += count
    }
    _ = try append(bytes, start..<position, to: &arena)
    try checkText(output.span, range, arena, from: base)
  }

  private mutating func decodeDeltaBytes(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>, _ arena: inout [UInt8]
  ) throws(StoreError) {
    guard prefixes != nil, deltas != nil else { throw tooFew }
    var prefixCounts = [UInt64](repeating: 0, count: range.count)
    var spanOfPrefixes = prefixCounts.mutableSpan
    try prefixes?.decode(bytes, into: &spanOfPrefixes, 0..<range.count)
    try deltas?.decode(bytes, into: &output, range)
    let base = arena.count
    for (number, index) in range.enumerated() {
      guard let prefix = Int(exactly: prefixCounts[number]), prefix <= previous.count,
        let count = Int(exactly: output[index]), count <= end - position
      else { throw .corrupt("a text that continues more than there is") }
      guard type != .fixedLengthByteArray || prefix + count == width else {
        throw .corrupt("a value of \(prefix + count) bytes in a column of \(width)")
      }
      previous.removeSubrange(prefix...)
      for offset in position..<position + count { previous.append(bytes[offset]) }
      position += count
      guard previous.count <= Self.arenaByteLimit - arena.count else { throw tooLong }
      output[index] = TextSlice(offset: arena.count, count: previous.count).word
      arena.append(contentsOf: previous)
    }
    try checkText(output.span, range, arena, from: base)
  }

  // MARK: Split streams

  private mutating func decodeStreams(
    _ bytes: Span<UInt8>, _ output: inout MutableSpan<UInt64>, _ range: Range<Int>, _ arena: inout [UInt8]
  ) throws(StoreError) {
    guard range.count <= streamCount - streamIndex else { throw tooFew }
    for index in range {
      if type == .fixedLengthByteArray {
        guard width <= Self.arenaByteLimit - arena.count else { throw tooLong }
        output[index] = TextSlice(offset: arena.count, count: width).word
        for byte in 0..<width { arena.append(bytes[position + byte * streamCount + streamIndex]) }
      } else {
        var word: UInt64 = 0
        for byte in 0..<width {
          word |= UInt64(bytes[position + byte * streamCount + streamIndex]) << UInt64(byte * 8)
        }
        switch type {
        case .int32: output[index] = signExtended(word)
        case .float: output[index] = Double(Float(bitPattern: UInt32(truncatingIfNeeded: word))).bitPattern
        default: output[index] = word
        }
      }
      streamIndex += 1
    }
  }

  // MARK: Texts

  /// Appends a piece of the page to the arena and returns where it starts there.
  private func append(
    _ bytes: Span<UInt8>, _ range: Range<Int>, to arena: inout [UInt8]
  ) throws(StoreError) -> Int {
    guard range.count <= Self.arenaByteLimit - arena.count else { throw tooLong }
    let base = arena.count
    unsafe bytes.extracting(range).withUnsafeBufferPointer { unsafe arena.append(contentsOf: $0) }
    return base
  }

  /// Makes sure that texts are UTF-8: all at once where everything is ASCII, else one by one.
  private func checkText(
    _ slices: Span<UInt64>, _ range: Range<Int>, _ arena: [UInt8], from base: Int
  ) throws(StoreError) {
    guard isText else { return }
    try checkUTF8(slices.extracting(range), in: arena, from: base)
  }

  private var tooFew: StoreError { .corrupt("a page ends before its values do") }
  private var tooLong: StoreError {
    .corrupt("the texts of \(Limits.batchRows) rows exceed \(Self.arenaByteLimit >> 20) MiB")
  }
}

/// Makes sure that slices of the arena are UTF-8, where the arena from `base` holds nothing but them and their lengths.
func checkUTF8(_ slices: Span<UInt64>, in arena: [UInt8], from base: Int) throws(StoreError) {
  let bytes = arena.span
  if isASCII(bytes.extracting(base..<bytes.count)) { return }
  for index in slices.indices {
    let range = TextSlice(word: slices[index]).range
    guard firstInvalidUTF8(bytes, range) == range.upperBound else { throw .corrupt("a text that is not UTF-8") }
  }
}

private func isASCII(_ bytes: Span<UInt8>) -> Bool {
  var position = 0
  var vectors = SIMD4<UInt64>()
  while bytes.count - position >= 32 {
    // Bounds are checked; any bits are four words.
    vectors |= unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: SIMD4<UInt64>.self)
    position += 32
  }
  var union = vectors[0] | vectors[1] | vectors[2] | vectors[3]
  while bytes.count - position >= 8 {
    union |= loadWord(bytes, position)
    position += 8
  }
  while position < bytes.count {
    union |= UInt64(bytes[position])
    position += 1
  }
  return union & 0x8080_8080_8080_8080 == 0
}

/// The low 32 bits as a signed number.
@inline(__always)
private func signExtended(_ word: UInt64) -> UInt64 {
  UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: word)))
}

/// An INT96 timestamp: nanoseconds of a day, and the day by the Julian calendar's count.
private func microseconds(ofDay nanoseconds: UInt64, julianDay: UInt32) -> UInt64 {
  // Signed and wrapping, as Spark writes times so far from now that its own sum overflows.
  let day = Int64(Int32(bitPattern: julianDay)) - 2_440_588
  return UInt64(bitPattern: day &* 86_400_000_000 &+ Int64(bitPattern: nanoseconds) / 1_000)
}

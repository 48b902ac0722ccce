/// Reads Parquet's RLE and bit-packing hybrid step by step, from bytes that nobody vouches for.
///
/// The bytes are lent to each call and must have ``padding`` readable bytes after `end`.
struct RunLengthDecoder {
  /// Bytes that may be read, not used, after the end.
  static let padding = 16

  private var position: Int
  private let end: Int
  private let bitWidth: Int
  private var runLeft = 0
  private var runValue: UInt64 = 0
  private var literalsLeft = 0
  /// In bits from the start of the bytes.
  private var literalPosition = 0

  /// Reads values of 0 to 32 bits from a range of bytes.
  init(in range: Range<Int>, bitWidth: Int) throws(StoreError) {
    guard (0...32).contains(bitWidth) else { throw .corrupt("values of \(bitWidth) bits") }
    position = range.lowerBound
    end = range.upperBound
    self.bitWidth = bitWidth
  }

  /// Fills a range of `output` with the next values.
  mutating func decode(
    _ bytes: Span<UInt8>, into output: inout MutableSpan<UInt64>, _ range: Range<Int>
  ) throws(StoreError) {
    var index = range.lowerBound
    while index < range.upperBound {
      if runLeft > 0 {
        let count = min(runLeft, range.upperBound - index)
        for offset in index..<index + count { output[offset] = runValue }
        runLeft -= count
        index += count
      } else if literalsLeft > 0 {
        let count = min(literalsLeft, range.upperBound - index)
        unpack(
          bytes, bitPosition: literalPosition, bitWidth: bitWidth, into: &output, index..<index + count)
        literalPosition += count * bitWidth
        literalsLeft -= count
        index += count
      } else {
        try nextRun(bytes)
      }
    }
  }

  /// Takes the next run of equal values, at most `limit`, or up to 64 literals of one bit as a bitmap.
  ///
  /// For definition levels, where whole runs and words matter and not single values.
  mutating func decodeBits(
    _ bytes: Span<UInt8>, limit: Int
  ) throws(StoreError) -> (bits: UInt64, count: Int, isRun: Bool) {
    while true {
      if runLeft > 0 {
        let count = min(runLeft, limit)
        runLeft -= count
        guard runValue <= 1 else { throw .corrupt("a definition level of \(runValue) in a flat column") }
        return (runValue == 1 ? .max : 0, count, true)
      }
      if literalsLeft > 0 {
        let count = min(literalsLeft, limit, 56)
        let word = loadWord(bytes, literalPosition >> 3) >> UInt64(literalPosition & 7)
        literalPosition += count
        literalsLeft -= count
        return (word & (1 << UInt64(count) - 1), count, false)
      }
      try nextRun(bytes)
    }
  }

  private mutating func nextRun(_ bytes: Span<UInt8>) throws(StoreError) {
    let head = try readVarint(bytes, &position, end)
    if head & 1 == 0 {
      let byteCount = (bitWidth + 7) / 8
      guard byteCount <= end - position else { throw .corrupt("a run beyond the end of its page") }
      guard let count = Int(exactly: head >> 1), count > 0 else { throw .corrupt("an empty run") }
      runValue = 0
      for byte in 0..<byteCount { runValue |= UInt64(bytes[position + byte]) << UInt64(byte * 8) }
      position += byteCount
      runLeft = count
    } else {
      // The last group may be cut short by writers that do not fill it up.
      let groups = Int(truncatingIfNeeded: head >> 1)
      guard groups > 0, groups <= 1 << 28 else { throw .corrupt("\(groups) groups of packed values") }
      let byteCount = min(groups * bitWidth, end - position)
      literalsLeft = bitWidth == 0 ? groups * 8 : min(groups * 8, byteCount * 8 / bitWidth)
      guard literalsLeft > 0 else { throw .corrupt("packed values beyond the end of their page") }
      literalPosition = position * 8
      position += byteCount
    }
  }
}

/// Reads `range.count` values of 0 to 64 bits, the lowest bit first.
@inline(__always)
func unpack(
  _ bytes: Span<UInt8>, bitPosition: Int, bitWidth: Int, into output: inout MutableSpan<UInt64>, _ range: Range<Int>
) {
  precondition(range.upperBound <= output.count, "\(range) of \(output.count) values")
  var bit = bitPosition
  if bitWidth <= 56 {
    let mask: UInt64 = 1 << UInt64(bitWidth) - 1
    var range = range
    if bitWidth <= 8, bit & 7 == 0 {
      // One word holds the next eight values.
      while range.count >= 8 {
        var word = loadWord(bytes, bit >> 3)
        for index in range.lowerBound..<range.lowerBound &+ 8 {
          output[index] = word & mask
          word &>>= UInt64(bitWidth)
        }
        range = range.lowerBound &+ 8..<range.upperBound
        bit &+= 8 &* bitWidth
      }
    }
    for index in range {
      output[index] = loadWord(bytes, bit >> 3) >> UInt64(bit & 7) & mask
      bit += bitWidth
    }
  } else {
    let mask = UInt64.max >> UInt64(64 - bitWidth)
    for index in range {
      let (byte, shift) = (bit >> 3, UInt64(bit & 7))
      var word = loadWord(bytes, byte) >> shift
      if shift > 0 { word |= UInt64(bytes[byte + 8]) << (64 - shift) }
      output[index] = word & mask
      bit += bitWidth
    }
  }
}

/// Eight bytes from `offset`, the first one lowest.
@inline(__always)
func loadWord(_ bytes: Span<UInt8>, _ offset: Int) -> UInt64 {
  unsafe UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
}

/// Four bytes from `offset`, the first one lowest.
@inline(__always)
func loadHalfWord(_ bytes: Span<UInt8>, _ offset: Int) -> UInt32 {
  unsafe UInt32(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
}

/// Reads a number in seven-bit groups, the lowest first.
func readVarint(_ bytes: Span<UInt8>, _ position: inout Int, _ end: Int) throws(StoreError) -> UInt64 {
  var value: UInt64 = 0
  var shift: UInt64 = 0
  while true {
    guard position < end, shift < 64 else { throw .corrupt("a number beyond the end of its page") }
    let byte = bytes[position]
    position += 1
    value |= UInt64(byte & 0x7F) << shift
    if byte < 0x80 { return value }
    shift += 7
  }
}

/// Reads DELTA_BINARY_PACKED step by step, from bytes that nobody vouches for.
///
/// The bytes are lent to each call and must have ``RunLengthDecoder/padding`` readable bytes after `end`.
struct DeltaBinaryPackedDecoder {
  /// How many values the stream says it has, and how many have not been read.
  let valueCount: Int
  private(set) var valuesLeft: Int
  private var position: Int
  private let end: Int
  private let miniblockCount: Int
  private let miniblockValues: Int
  private var isFirst = true
  private var value: UInt64
  private var leastDelta: UInt64 = 0
  /// Where the block's widths lie, and which miniblock comes next.
  private var widthsPosition = 0
  private var nextMiniblock: Int
  private var miniblockLeft = 0
  private var bitWidth = 0
  private var bitPosition = 0

  /// Reads the header of the stream that starts at the range's start.
  init(_ bytes: Span<UInt8>, in range: Range<Int>) throws(StoreError) {
    var position = range.lowerBound
    end = range.upperBound
    let blockValues = try readVarint(bytes, &position, end)
    let miniblocks = try readVarint(bytes, &position, end)
    let count = try readVarint(bytes, &position, end)
    let first = try readVarint(bytes, &position, end)
    guard (1...1 << 24).contains(blockValues), (1...1 << 16).contains(miniblocks), blockValues % miniblocks == 0,
      blockValues / miniblocks % 8 == 0, count <= UInt64(Int32.max)
    else {
      throw .corrupt("packed differences in blocks of \(blockValues) with \(miniblocks) parts")
    }
    miniblockCount = Int(miniblocks)
    miniblockValues = Int(blockValues / miniblocks)
    valueCount = Int(count)
    valuesLeft = valueCount
    value = first >> 1 ^ (0 &- (first & 1))
    self.position = position
    nextMiniblock = miniblockCount
  }

  /// Fills a range of `output` with the next values, of which there must be enough.
  mutating func decode(
    _ bytes: Span<UInt8>, into output: inout MutableSpan<UInt64>, _ range: Range<Int>
  ) throws(StoreError) {
    guard range.count <= valuesLeft else { throw .corrupt("fewer packed differences than values") }
    valuesLeft -= range.count
    var index = range.lowerBound
    if isFirst && index < range.upperBound {
      isFirst = false
      output[index] = value
      index += 1
    }
    while index < range.upperBound {
      if miniblockLeft == 0 { try startMiniblock(bytes) }
      let count = min(miniblockLeft, range.upperBound - index)
      let part = index..<index + count
      unpack(bytes, bitPosition: bitPosition, bitWidth: bitWidth, into: &output, part)
      var sum = value
      for offset in part {
        sum &+= output[offset] &+ leastDelta
        output[offset] = sum
      }
      value = sum
      bitPosition += count * bitWidth
      miniblockLeft -= count
      index += count
    }
  }

  /// Goes past all values that have not been read, and returns where the stream ends.
  mutating func skipToEnd(_ bytes: Span<UInt8>) throws(StoreError) -> Int {
    if isFirst && valuesLeft > 0 {
      isFirst = false
      valuesLeft -= 1
    }
    valuesLeft -= min(valuesLeft, miniblockLeft)
    while valuesLeft > 0 {
      try startMiniblock(bytes)
      valuesLeft -= min(valuesLeft, miniblockLeft)
    }
    miniblockLeft = 0
    return position
  }

  private mutating func startMiniblock(_ bytes: Span<UInt8>) throws(StoreError) {
    if nextMiniblock == miniblockCount {
      let delta = try readVarint(bytes, &position, end)
      leastDelta = delta >> 1 ^ (0 &- (delta & 1))
      guard miniblockCount <= end - position else { throw .corrupt("packed differences beyond the end of their page") }
      widthsPosition = position
      position += miniblockCount
      nextMiniblock = 0
    }
    bitWidth = Int(bytes[widthsPosition + nextMiniblock])
    guard bitWidth <= 64 else { throw .corrupt("packed differences of \(bitWidth) bits") }
    let byteCount = miniblockValues / 8 * bitWidth
    guard byteCount <= end - position else { throw .corrupt("packed differences beyond the end of their page") }
    bitPosition = position * 8
    position += byteCount
    miniblockLeft = miniblockValues
    nextMiniblock += 1
  }
}

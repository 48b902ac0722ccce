/// A growing row of bits, bit `i` at bit `i % 64` of word `i / 64`; bits beyond the count are 0.
struct BitArray {
  private(set) var words: [UInt64] = []
  private(set) var count = 0

  subscript(_ index: Int) -> Bool {
    words[index >> 6] >> UInt64(index & 63) & 1 == 1
  }

  mutating func removeAll() {
    words.removeAll(keepingCapacity: true)
    count = 0
  }

  /// Appends the low `bitCount` (1 to 64) bits of a word.
  mutating func append(_ bits: UInt64, bitCount: Int) {
    let bits = bitCount == 64 ? bits : bits & (1 << UInt64(bitCount) - 1)
    let used = count & 63
    if used == 0 {
      words.append(bits)
    } else {
      words[words.count - 1] |= bits << UInt64(used)
      if used + bitCount > 64 { words.append(bits >> UInt64(64 - used)) }
    }
    count += bitCount
  }

  /// Appends a range of a bitmap.
  mutating func append(_ bitmap: Span<UInt64>, _ range: Range<Int>) {
    var position = range.lowerBound
    while position < range.upperBound {
      let bitCount = min(64, range.upperBound - position)
      append(bitmapBits(bitmap, at: position), bitCount: bitCount)
      position += bitCount
    }
  }

  /// Up to 64 bits from `index`.
  func bits(at index: Int, count bitCount: Int) -> UInt64 {
    let bits = bitmapBits(words.span, at: index)
    return bitCount == 64 ? bits : bits & (1 << UInt64(bitCount) - 1)
  }

  /// How many bits from `index` equal the one there, at most `limit`.
  func runLength(at index: Int, limit: Int) -> Int {
    let flip: UInt64 = self[index] ? UInt64.max : 0
    var run = 0
    while run < limit {
      let same = (bitmapBits(words.span, at: index + run) ^ flip).trailingZeroBitCount
      run += same
      if same < 64 { break }
    }
    return min(run, limit)
  }

  /// How many bits of a range are 1.
  func oneCount(in range: Range<Int>) -> Int {
    var ones = 0
    var position = range.lowerBound
    while position < range.upperBound {
      let bitCount = min(64, range.upperBound - position)
      ones += bits(at: position, count: bitCount).nonzeroBitCount
      position += bitCount
    }
    return ones
  }
}

/// The 64 bits of a bitmap from `index`, with zeros beyond its end.
@inline(__always)
func bitmapBits(_ bitmap: Span<UInt64>, at index: Int) -> UInt64 {
  let (word, shift) = (index >> 6, UInt64(index & 63))
  guard shift != 0 else { return bitmap[word] }
  let low = bitmap[word] >> shift
  return word + 1 < bitmap.count ? low | bitmap[word + 1] << (64 - shift) : low
}

/// Loads of several bytes at once, which every scanner here is made of.
///
/// `unsafeLoadUnaligned` checks its bounds; it is called unsafe because a type might not accept every bit pattern, and
/// integers and vectors of integers accept all of them. The same holds for reading a comparison's mask as two words.
extension Span<UInt8> {
  /// Eight bytes from `index`, the first one lowest.
  @inline(always)
  func word(at index: Int) -> UInt64 {
    unsafe UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
  }

  /// Eight bytes from `index`, or as many as there are and zeros.
  @inline(always)
  func wordOrZero(at index: Int) -> UInt64 {
    index &+ 8 <= count ? word(at: index) : lastWord(from: index)
  }

  private func lastWord(from index: Int) -> UInt64 {
    var word: UInt64 = 0
    for i in index..<count { word |= UInt64(self[i]) &<< UInt64(8 &* (i &- index)) }
    return word
  }

  /// Four bytes from `index`, the first one lowest.
  @inline(always)
  func halfWord(at index: Int) -> UInt32 {
    unsafe UInt32(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
  }

  /// Sixteen bytes from `index`.
  @inline(always)
  func vector(at index: Int) -> SIMD16<UInt8> {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: SIMD16<UInt8>.self)
  }

  /// Thirty-two bytes from `index` as four words, in the machine's byte order.
  @inline(always)
  func fourWords(at index: Int) -> SIMD4<UInt64> {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: SIMD4<UInt64>.self)
  }
}

extension MutableSpan<UInt8> {
  /// Stores a word's eight bytes from `index`, the lowest first. `storeBytes` checks its bounds; the view of
  /// bytes is called unsafe because some types do not accept every pattern of bits, which words do.
  @inline(always)
  mutating func store(_ word: UInt64, at index: Int) {
    var bytes = unsafe mutableBytes
    bytes.storeBytes(of: word.littleEndian, toByteOffset: index, as: UInt64.self)
  }
}

/// The index of the first true lane, or 16 where there is none.
@inline(always)
func firstTrue(_ mask: SIMDMask<SIMD16<Int8>>) -> Int {
  // Sound: both have 16 bytes, and any bits are a value of either.
  let words = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
  let low = UInt64(littleEndian: words[0])
  let high = UInt64(littleEndian: words[1])
  // A word without a true lane has 64 trailing zeros, which is 8 lanes.
  return low != 0 ? low.trailingZeroBitCount &>> 3 : 8 &+ (high.trailingZeroBitCount &>> 3)
}

/// Whether no lane is true.
@inline(always)
func isAllFalse(_ mask: SIMDMask<SIMD16<Int8>>) -> Bool {
  // Sound: both have 16 bytes, and any bits are a value of either.
  let words = unsafe unsafeBitCast(mask, to: SIMD2<UInt64>.self)
  return words[0] | words[1] == 0
}

/// Whether all lanes are zero.
@inline(always)
func isZero(_ vector: SIMD16<UInt8>) -> Bool {
  // Sound: both have 16 bytes, and any bits are a value of either.
  let words = unsafe unsafeBitCast(vector, to: SIMD2<UInt64>.self)
  return words[0] | words[1] == 0
}

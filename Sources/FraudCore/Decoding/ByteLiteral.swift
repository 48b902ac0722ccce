/// A short text that input is compared with: 32 bytes at once, the rest one by one.
struct ByteLiteral: Sendable {
  private var first = SIMD4<UInt64>()
  private var mask = SIMD4<UInt64>()
  private(set) var count = 0
  /// Where the bytes beyond the 32nd stand in the array that the owner keeps them in.
  private var rest = 0

  init() {}

  /// Takes a range of bytes; those beyond the 32nd are appended to `overflow`.
  init(_ bytes: Span<UInt8>, _ range: Range<Int>, overflow: inout [UInt8]) {
    count = range.count
    for index in 0..<min(32, range.count) {
      let shift = UInt64(8 * (index % 8))
      first[index / 8] |= UInt64(bytes[range.lowerBound + index]) << shift
      mask[index / 8] |= 0xFF << shift
    }
    for lane in 0..<4 {
      first[lane] = first[lane].littleEndian
      mask[lane] = mask[lane].littleEndian
    }
    rest = overflow.count
    for index in range.dropFirst(32) { overflow.append(bytes[index]) }
  }

  /// Whether the literal stands at `position`; 32 bytes from there must be readable.
  @inline(always)
  func matches(_ bytes: Span<UInt8>, at position: Int, overflow: Span<UInt8>) -> Bool {
    let difference = (bytes.fourWords(at: position) ^ first) & mask
    if difference[0] | difference[1] | difference[2] | difference[3] != 0 { return false }
    return count <= 32 || matchesRest(bytes, position, overflow)
  }

  private func matchesRest(_ bytes: Span<UInt8>, _ position: Int, _ overflow: Span<UInt8>) -> Bool {
    guard count <= bytes.count - position else { return false }
    for index in 32..<count where bytes[position + index] != overflow[rest + index - 32] { return false }
    return true
  }
}

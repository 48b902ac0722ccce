/// A short text that input is compared with: sixteen bytes at once, or twice sixteen that overlap; what is longer byte by
/// byte.
struct ByteLiteral: Sendable {
  private(set) var count = 0
  /// The first sixteen bytes, and which of them count.
  private var first = SIMD16<UInt8>()
  private var mask = SIMD16<UInt8>()
  /// The last sixteen of the first 32 bytes, where there are more than sixteen.
  private var last = SIMD16<UInt8>()
  private var lastStart = 0
  /// Where the bytes beyond the 32nd stand in the array that the owner keeps them in.
  private var rest = 0

  init() {}

  /// Takes a range of bytes; those beyond the 32nd are appended to `overflow`.
  init(_ bytes: Span<UInt8>, _ range: Range<Int>, overflow: inout [UInt8]) {
    count = range.count
    for index in 0..<min(16, count) {
      first[index] = bytes[range.lowerBound + index]
      mask[index] = 0xFF
    }
    if count > 16 {
      lastStart = min(count, 32) - 16
      for index in 0..<16 { last[index] = bytes[range.lowerBound + lastStart + index] }
    }
    rest = overflow.count
    for index in range.dropFirst(32) { overflow.append(bytes[index]) }
  }

  /// Whether the literal stands at `position`; 32 bytes from there must be readable.
  @inline(always)
  func matches(_ bytes: Span<UInt8>, at position: Int, overflow: Span<UInt8>) -> Bool {
    let difference = (bytes.vector(at: position) ^ first) & mask
    if !isZero(difference) { return false }
    if count <= 16 { return true }
    if !isZero(bytes.vector(at: position &+ lastStart) ^ last) { return false }
    return count <= 32 || matchesRest(bytes, position, overflow)
  }

  private func matchesRest(_ bytes: Span<UInt8>, _ position: Int, _ overflow: Span<UInt8>) -> Bool {
    guard count <= bytes.count - position else { return false }
    for index in 32..<count where bytes[position + index] != overflow[rest + index - 32] { return false }
    return true
  }
}

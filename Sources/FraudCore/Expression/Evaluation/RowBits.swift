/// One bit for each row of a batch: row `r` is bit `r % 64` of word `r / 64`.
///
/// A vector, so that logic on all 1,024 rows is a handful of instructions without a loop, whatever the row count.
typealias RowBits = SIMD16<UInt64>

/// The rows below a count.
func allRows(_ count: Int) -> RowBits {
  var bits = RowBits.zero
  for word in 0..<(count >> 6) { bits[word] = .max }
  if count & 63 != 0 { bits[count >> 6] = (1 &<< UInt64(count & 63)) &- 1 }
  return bits
}

/// The rows of a set for which a test holds.
///
/// The test is inlined. 64 rows become one word without a branch where most of them are wanted; where few are, those are
/// tested one by one.
///
/// - Parameter everyRow: whether the test may be asked about rows that are not in the set.
@inline(__always)
func testRows(in rows: RowBits, _ count: Int, everyRow: Bool = false, _ test: (Int) -> Bool) -> RowBits {
  var bits = RowBits.zero
  var start = 0
  for word in 0..<((count &+ 63) >> 6) {
    var left = rows[word]
    var found: UInt64 = 0
    // From 13 rows of 64 on testing all of them was quicker than finding each.
    if left == .max || (everyRow && count &- start >= 64 && left.nonzeroBitCount > 12) {
      for bit in 0..<64 { found |= (test(start &+ bit) ? 1 : 0) &<< UInt64(bit) }
      found &= left
    } else {
      while left != 0 {
        let bit = left.trailingZeroBitCount
        left &= left &- 1
        found |= (test(start &+ bit) ? 1 : 0) &<< UInt64(bit)
      }
    }
    bits[word] = found
    start &+= 64
  }
  return bits
}

/// Calls a body for each row of a set, in order.
@inline(__always)
func forEachRow(in rows: RowBits, _ count: Int, _ body: (Int) -> Void) {
  for word in 0..<((count &+ 63) >> 6) {
    var left = rows[word]
    while left != 0 {
      body(word &* 64 &+ left.trailingZeroBitCount)
      left &= left &- 1
    }
  }
}

extension Span<UInt64> {
  /// Sixteen words from an index: a bitmap.
  @inline(__always)
  func rowBits(at index: Int) -> RowBits {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index &* 8, as: RowBits.self)
  }
}

extension MutableSpan<UInt64> {
  /// Writes a bitmap as sixteen words from an index.
  @inline(__always)
  mutating func store(_ rows: RowBits, at index: Int) {
    var bytes = unsafe mutableBytes
    bytes.storeBytes(of: rows, toByteOffset: index &* 8, as: RowBits.self)
  }
}

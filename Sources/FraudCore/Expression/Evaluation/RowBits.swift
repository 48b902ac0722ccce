/// One bit for each row of a batch: row `r` is bit `r % 64` of word `r / 64`.
typealias RowBits = InlineArray<16, UInt64>

/// The rows below a count.
func allRows(_ count: Int) -> RowBits {
  var bits = RowBits(repeating: 0)
  for word in 0..<(count >> 6) { bits[word] = .max }
  if count & 63 != 0 { bits[count >> 6] = (1 &<< UInt64(count & 63)) &- 1 }
  return bits
}

/// The rows for which a test holds, all being tested.
///
/// The test is inlined; 64 rows become one word without a branch.
@inline(__always)
func testRows(_ count: Int, _ test: (Int) -> Bool) -> RowBits {
  var bits = RowBits(repeating: 0)
  var row = 0
  for word in 0..<(count >> 6) {
    var found: UInt64 = 0
    for bit in 0..<64 { found |= (test(row &+ bit) ? 1 : 0) &<< UInt64(bit) }
    bits[word] = found
    row &+= 64
  }
  if row < count {
    var found: UInt64 = 0
    for bit in 0..<(count &- row) { found |= (test(row &+ bit) ? 1 : 0) &<< UInt64(bit) }
    bits[count >> 6] = found
  }
  return bits
}

/// The rows of a set for which a test holds, only those being tested.
@inline(__always)
func testRows(in rows: borrowing RowBits, _ count: Int, _ test: (Int) -> Bool) -> RowBits {
  var bits = RowBits(repeating: 0)
  for word in 0..<((count &+ 63) >> 6) {
    var left = rows[word]
    var found: UInt64 = 0
    while left != 0 {
      let bit = left.trailingZeroBitCount
      left &= left &- 1
      if test(word &* 64 &+ bit) { found |= 1 &<< UInt64(bit) }
    }
    bits[word] = found
  }
  return bits
}

/// Calls a body for each row of a set, in order.
@inline(__always)
func forEachRow(in rows: borrowing RowBits, _ count: Int, _ body: (Int) -> Void) {
  for word in 0..<((count &+ 63) >> 6) {
    var left = rows[word]
    while left != 0 {
      body(word &* 64 &+ left.trailingZeroBitCount)
      left &= left &- 1
    }
  }
}

/// One bit for each row of a batch: row `r` is bit `r % 64` of word `r / 64`.
///
/// A vector, so that logic on all 1,024 rows is a handful of instructions without a loop, whatever the row count.
typealias RowBits = SIMD16<UInt64>

/// The rows that one run of the evaluator works on: ``RowBits``, or one word where a batch has no more than 64 rows.
///
/// A vector costs the same for one row as for a thousand, and most of what scoring a single event took: with a word the ten
/// rules of W1 took half the time.
protocol RowSet: Equatable, Sendable {
  static var none: Self { get }
  static var every: Self { get }
  /// The rows of a whole bitmap that this kind of set can hold.
  init(bits: RowBits)
  /// Reads a bitmap that starts at an index.
  init(_ words: Span<UInt64>, at index: Int)
  func store(to words: inout MutableSpan<UInt64>, at index: Int)
  /// 64 rows.
  subscript(word: Int) -> UInt64 { get set }
  static func & (a: Self, b: Self) -> Self
  static func | (a: Self, b: Self) -> Self
  static func ^ (a: Self, b: Self) -> Self
  static prefix func ~ (a: Self) -> Self
}

extension RowSet {
  @inline(__always)
  static func &= (a: inout Self, b: Self) { a = a & b }
  @inline(__always)
  static func |= (a: inout Self, b: Self) { a = a | b }
}

extension RowBits: RowSet {
  static var none: Self { .zero }
  static var every: Self { Self(repeating: .max) }

  @inline(__always)
  init(bits: RowBits) { self = bits }

  @inline(__always)
  init(_ words: Span<UInt64>, at index: Int) {
    self = unsafe words.bytes.unsafeLoadUnaligned(fromByteOffset: index &* 8, as: RowBits.self)
  }

  @inline(__always)
  func store(to words: inout MutableSpan<UInt64>, at index: Int) {
    var bytes = unsafe words.mutableBytes
    bytes.storeBytes(of: self, toByteOffset: index &* 8, as: RowBits.self)
  }
}

/// The first 64 rows of a batch.
struct RowWord: RowSet {
  var rows: UInt64

  static var none: Self { Self(rows: 0) }
  static var every: Self { Self(rows: .max) }

  @inline(__always)
  init(rows: UInt64) { self.rows = rows }
  @inline(__always)
  init(bits: RowBits) { rows = bits[0] }
  @inline(__always)
  init(_ words: Span<UInt64>, at index: Int) { rows = words[index] }
  @inline(__always)
  func store(to words: inout MutableSpan<UInt64>, at index: Int) { words[index] = rows }

  subscript(word: Int) -> UInt64 {
    @inline(__always) get { rows }
    @inline(__always) set { rows = newValue }
  }

  @inline(__always)
  static func & (a: Self, b: Self) -> Self { Self(rows: a.rows & b.rows) }
  @inline(__always)
  static func | (a: Self, b: Self) -> Self { Self(rows: a.rows | b.rows) }
  @inline(__always)
  static func ^ (a: Self, b: Self) -> Self { Self(rows: a.rows ^ b.rows) }
  @inline(__always)
  static prefix func ~ (a: Self) -> Self { Self(rows: ~a.rows) }
}

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
func testRows<Rows: RowSet>(
  in rows: Rows, _ count: Int, everyRow: Bool = false, _ test: (Int) -> Bool
) -> Rows {
  var bits = Rows.none
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
func forEachRow<Rows: RowSet>(in rows: Rows, _ count: Int, _ body: (Int) -> Void) {
  for word in 0..<((count &+ 63) >> 6) {
    var left = rows[word]
    while left != 0 {
      body(word &* 64 &+ left.trailingZeroBitCount)
      left &= left &- 1
    }
  }
}

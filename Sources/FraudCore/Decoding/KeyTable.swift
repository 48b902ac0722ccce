/// Finds a field by the bytes of its key.
struct KeyTable: Sendable {
  /// Indices of fields, or -1; the count is a power of two and at least twice that of the keys.
  private var slots: [Int32]
  private var literals: [ByteLiteral] = []
  private var overflow: [UInt8] = []

  init(_ names: [String]) {
    var size = 4
    while size < 2 * names.count { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    for (field, name) in names.enumerated() {
      // Padded, so that the hash and the comparison see zeros behind a short name, as `find` makes them.
      let bytes = Array(name.utf8) + [UInt8](repeating: 0, count: 32)
      let range = 0..<name.utf8.count
      literals.append(ByteLiteral(bytes.span, range, overflow: &overflow))
      var slot = Self.hash(bytes.span, range) & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(field)
    }
  }

  /// The field whose name stands in `range`, or -1. 32 bytes must be readable behind the range's start.
  @inline(always)
  func find(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    let slots = slots.span
    let literals = literals.span
    var slot = Self.hash(bytes, range) & (slots.count &- 1)
    while true {
      let field = Int(slots[slot])
      if field < 0 { return -1 }
      if literals[field].count == range.count,
        literals[field].matches(bytes, at: range.lowerBound, overflow: overflow.span)
      {
        return field
      }
      slot = (slot &+ 1) & (slots.count &- 1)
    }
  }

  /// Length, first and last bytes, multiplied once. Names come from the schema's author, so nobody can choose them to
  /// collide; keys of events only look.
  @inline(always)
  private static func hash(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    let count = range.count
    let mask: UInt64 = count >= 8 ? .max : (1 &<< UInt64(8 &* count)) &- 1
    let first = bytes.word(at: range.lowerBound) & mask
    let last = count > 8 ? bytes.word(at: range.upperBound &- 8) : 0
    let mixed = (first ^ last &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: count)) &* 0xFF51_AFD7_ED55_8CCD
    return Int(truncatingIfNeeded: mixed &>> 40)
  }
}

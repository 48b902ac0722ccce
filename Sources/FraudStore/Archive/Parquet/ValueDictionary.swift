/// Numbers distinct 64-bit words in the order of their first appearance.
///
/// Open addressing with linear probing; the hash is a multiplication, so the order of nothing depends on it.
struct WordDictionary {
  /// The distinct words by number.
  private(set) var entries: [UInt64] = []
  private var slots: [UInt32]
  private var shift: UInt64

  init() {
    slots = [UInt32](repeating: 0, count: 1 << 10)
    shift = 64 - 10
  }

  /// The word's number, a new one if need be.
  @inline(__always)
  mutating func index(of word: UInt64) -> UInt32 {
    var slot = Int(Self.hash(word) >> shift)
    while true {
      let entry = slots[slot]
      if entry == 0 { return insert(word, at: slot) }
      if entries[Int(entry) - 1] == word { return entry - 1 }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  @inline(__always)
  private static func hash(_ word: UInt64) -> UInt64 {
    (word ^ word >> 32) &* 0x9E37_79B9_7F4A_7C15
  }

  @inline(never)
  private mutating func insert(_ word: UInt64, at slot: Int) -> UInt32 {
    entries.append(word)
    slots[slot] = UInt32(entries.count)
    if entries.count * 2 > slots.count { grow() }
    return UInt32(entries.count - 1)
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    shift -= 1
    for (index, word) in entries.enumerated() {
      var slot = Int(Self.hash(word) >> shift)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(index + 1)
    }
  }
}

/// Numbers distinct texts in the order of their first appearance.
struct TextDictionary {
  /// The distinct texts one after the other.
  private(set) var bytes: [UInt8] = []
  /// Where each text ends in ``bytes``; it starts where the one before it ends.
  private(set) var ends: [Int] = []
  private var hashes: [UInt64] = []
  private var slots: [UInt32]
  private var shift: UInt64

  init() {
    slots = [UInt32](repeating: 0, count: 1 << 10)
    shift = 64 - 10
  }

  var count: Int { ends.count }

  /// Where the text of a number lies in ``bytes``.
  func range(of index: Int) -> Range<Int> {
    (index == 0 ? 0 : ends[index - 1])..<ends[index]
  }

  /// The text's number, a new one if need be.
  @inline(__always)
  mutating func index(of text: RawSpan) -> UInt32 {
    let hash = Self.hash(text)
    var slot = Int(hash >> shift)
    while true {
      let entry = Int(slots[slot])
      if entry == 0 { return insert(text, hash: hash, at: slot) }
      if hashes[entry - 1] == hash && matches(text, entry - 1) { return UInt32(entry - 1) }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  @inline(__always)
  private func matches(_ text: RawSpan, _ index: Int) -> Bool {
    let range = range(of: index)
    guard range.count == text.byteCount else { return false }
    return unsafe equalBytes(bytes.span.bytes.extracting(range), text)
  }

  @inline(never)
  private mutating func insert(_ text: RawSpan, hash: UInt64, at slot: Int) -> UInt32 {
    unsafe text.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    ends.append(bytes.count)
    hashes.append(hash)
    slots[slot] = UInt32(ends.count)
    if ends.count * 2 > slots.count { grow() }
    return UInt32(ends.count - 1)
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    shift -= 1
    for (index, hash) in hashes.enumerated() {
      var slot = Int(hash >> shift)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(index + 1)
    }
  }

  @inline(__always)
  private static func hash(_ text: RawSpan) -> UInt64 {
    let prime: UInt64 = 0x9E37_79B9_7F4A_7C15
    var hash = UInt64(truncatingIfNeeded: text.byteCount) &* prime
    var position = 0
    while text.byteCount - position >= 8 {
      let word = unsafe text.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
      hash = (hash ^ word) &* prime
      hash ^= hash >> 32
      position += 8
    }
    let rest = text.byteCount - position
    if rest > 0 { hash = (hash ^ tail(text, position)) &* prime }
    return (hash ^ hash >> 29) &* prime
  }

  /// The last one to seven bytes from `position` as one word.
  @inline(__always)
  private static func tail(_ text: RawSpan, _ position: Int) -> UInt64 {
    var word: UInt64 = 0
    for offset in position..<text.byteCount {
      word = word << 8 | UInt64(unsafe text.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
    }
    return word
  }
}

/// Whether two spans of equal length hold the same bytes.
@inline(__always)
func equalBytes(_ a: RawSpan, _ b: RawSpan) -> Bool {
  var position = 0
  while a.byteCount - position >= 8 {
    let left = unsafe a.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
    let right = unsafe b.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
    if left != right { return false }
    position += 8
  }
  while position < a.byteCount {
    let left = unsafe a.unsafeLoad(fromByteOffset: position, as: UInt8.self)
    let right = unsafe b.unsafeLoad(fromByteOffset: position, as: UInt8.self)
    if left != right { return false }
    position += 1
  }
  return true
}

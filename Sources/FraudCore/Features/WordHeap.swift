/// A block of a ``WordHeap``: its offset in the low 32 bits and its size class above; 0 is no block.
struct HeapBlock: Sendable, Hashable {
  var word: UInt64

  init(word: UInt64) { self.word = word }

  var isNone: Bool { word == 0 }
  var offset: Int { Int(truncatingIfNeeded: word & 0xFFFF_FFFF) }
  /// Words the block has.
  var count: Int { HeapBlock.size(ofClass: Int(truncatingIfNeeded: word >> 32)) }

  /// 4, 6, 8, 12, 16, 24, 32 ...: at most half of a block is not needed when it doubles, a third on average.
  static func size(ofClass index: Int) -> Int {
    (index & 1 == 0 ? 4 : 6) << (index >> 1)
  }

  static func sizeClass(holding count: Int) -> Int {
    var index = 0
    while size(ofClass: index) < count { index += 1 }
    return index
  }
}

/// Blocks of words of every key's lists, sets, sketches and texts, in one flat array.
///
/// A block that is given back waits in a list of its size and is handed out again before the array grows. What is counted
/// as used depends on the blocks in use alone, never on the order in which they came and went.
struct WordHeap: Sendable {
  /// Word 0 is never handed out.
  var words: [UInt64] = [0]
  private var free = [UInt32](repeating: 0, count: 64)
  /// Words of the blocks in use.
  private(set) var usedCount = 0

  /// A block of at least `count` words, all zero.
  mutating func allocate(_ count: Int) -> HeapBlock {
    let index = HeapBlock.sizeClass(holding: count)
    let size = HeapBlock.size(ofClass: index)
    usedCount += size
    let head = Int(free[index])
    if head != 0 {
      free[index] = UInt32(truncatingIfNeeded: words[head])
      for word in head..<head + size { words[word] = 0 }
      return HeapBlock(word: UInt64(head) | UInt64(index) << 32)
    }
    let offset = words.count
    precondition(offset + size <= Int(UInt32.max), "a state of more than 32 GiB in one partition")
    reserve(size)
    words.append(contentsOf: repeatElement(0, count: size))
    return HeapBlock(word: UInt64(offset) | UInt64(index) << 32)
  }

  /// Gives a block back.
  mutating func release(_ block: HeapBlock) {
    guard !block.isNone else { return }
    let index = Int(truncatingIfNeeded: block.word >> 32)
    usedCount -= HeapBlock.size(ofClass: index)
    words[block.offset] = UInt64(free[index])
    free[index] = UInt32(truncatingIfNeeded: block.offset)
  }

  /// Makes room for words that are about to come.
  mutating func expect(_ more: Int) {
    // Few come often, and an exact capacity each time would copy everything each time.
    if more > words.count { words.reserveCapacity(words.count + more) }
  }

  /// Grows by halves, so that a large state does not take twice its size.
  private mutating func reserve(_ count: Int) {
    if words.capacity < words.count + count {
      words.reserveCapacity(words.count + Swift.max(count, words.count / 2))
    }
  }
}

// Texts: a block whose first word is the count of bytes.
extension WordHeap {
  /// Keeps a copy of bytes.
  mutating func allocate(text bytes: Span<UInt8>) -> HeapBlock {
    let block = allocate(1 + (bytes.count + 7) / 8)
    words[block.offset] = UInt64(bytes.count)
    for index in bytes.indices {
      words[block.offset + 1 + index >> 3] |= UInt64(bytes[index]) << UInt64(8 * (index & 7))
    }
    return block
  }

  /// How many bytes a text has.
  func textCount(_ block: HeapBlock) -> Int {
    Int(truncatingIfNeeded: words[block.offset])
  }

  /// A text's first eight bytes as a number of the same order, zeros behind its end.
  func textPrefix(_ block: HeapBlock) -> UInt64 { words[block.offset + 1].byteSwapped }

  /// One byte of a text.
  func textByte(_ block: HeapBlock, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: words[block.offset + 1 + index >> 3] >> UInt64(8 * (index & 7)))
  }

  /// A text's bytes.
  func text(_ block: HeapBlock) -> [UInt8] {
    (0..<textCount(block)).map { textByte(block, $0) }
  }

  /// Whether a text holds these bytes.
  func text(_ block: HeapBlock, equals bytes: Span<UInt8>) -> Bool {
    guard textCount(block) == bytes.count else { return false }
    for index in bytes.indices where textByte(block, index) != bytes[index] { return false }
    return true
  }

  /// Whether a text stands before these bytes in byte order.
  func text(_ block: HeapBlock, precedes bytes: Span<UInt8>) -> Bool {
    let count = textCount(block)
    for index in 0..<Swift.min(count, bytes.count) {
      let byte = textByte(block, index)
      if byte != bytes[index] { return byte < bytes[index] }
    }
    return count < bytes.count
  }
}

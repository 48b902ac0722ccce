/// The remembered events of one key and list: a ring of fixed-width entries in one block of the heap, oldest first.
///
/// The block's first word is the latest time of an event that was dropped because there were too many, `Int64.min` where
/// none was. An entry is its event's time, a word for each payload and, where any may be NULL, a word with a bit for each
/// payload that is not.
struct EventRing {
  /// The block's first word where no event was dropped.
  static let noneDropped = UInt64(bitPattern: .min)

  var block: HeapBlock
  /// Where the oldest entry is.
  var head: Int
  var count: Int
  let entryWidth: Int

  /// Entries the block can hold.
  var capacity: Int

  init(blockWord: UInt64, placeWord: UInt64, entryWidth: Int, capacity: Int) {
    block = HeapBlock(word: blockWord)
    count = Int(truncatingIfNeeded: placeWord & 0xFFFF_FFFF)
    head = Int(truncatingIfNeeded: placeWord >> 32)
    self.entryWidth = entryWidth
    self.capacity = capacity
  }

  var placeWord: UInt64 { UInt64(truncatingIfNeeded: count) | UInt64(truncatingIfNeeded: head) << 32 }

  /// The first word of the entry that is `index` entries after the oldest.
  @inline(__always)
  func place(_ index: Int) -> Int {
    var entry = head &+ index
    if entry >= capacity { entry &-= capacity }
    return block.offset &+ 1 &+ entry &* entryWidth
  }

  @inline(__always)
  func time(_ index: Int, _ heap: borrowing WordHeap) -> Int64 {
    Int64(bitPattern: heap.words[place(index)])
  }

  /// Lets the oldest entries go.
  @inline(__always)
  mutating func drop(_ entries: Int) {
    head = (head &+ entries) % capacity
    count &-= entries
  }

  /// How many entries are not later than a time.
  func count(through time: Int64, _ heap: borrowing WordHeap) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low &+ high) / 2
      if self.time(middle, heap) <= time { low = middle &+ 1 } else { high = middle }
    }
    return low
  }
}

extension FeatureWindow {
  /// The latest time that the window which ends at `end` no longer covers; for a session, the earliest there is.
  @inline(__always)
  func lowerBound(endingAt end: Int64) -> Int64 {
    switch self {
    case .life, .session: return .min
    case .sliding(let length): return end.subtractingReportingOverflow(length).partialValue
    case .tumbling(let length):
      let remainder = end % length
      return end &- (remainder < 0 ? remainder &+ length : remainder) &- 1
    }
  }
}

/// Many predicates that compare one column with constants, answered together for each row.
///
/// Equalities and IN go through a hash table from constant to predicates. Ranges cut the line of keys into elementary
/// intervals, each with the predicates that hold in it; a row finds its interval by binary search. So a row costs one lookup
/// and one bit for each predicate that holds, however many do not.
struct PredicateIndex: Sendable {
  /// Fewer predicates than this on a column are evaluated one by one.
  static let predicatesMin = 8
  /// The share of predicates that hold in an elementary interval, on average, up to which setting a bit for each costs less
  /// than comparing all: one bit takes about as long as two comparisons.
  private static let shareMax = 0.55
  /// Entries of the lists of all intervals, four bytes each.
  private static let membersMax = 4_000_000

  enum Key: Sendable {
    case integers, doubles, texts
  }

  let column: Int
  let key: Key
  let valid: BitSource
  /// The bitmaps that are written, which follow one another.
  let firstBitmap: Int
  let bitmapCount: Int
  /// Hash table of keys or texts: index of the list plus one, 0 where free.
  private var table: [Int32] = []
  private var tableKeys: [UInt64] = []
  private var texts: [[UInt8]] = []
  private var mask = 0
  /// Sorted lowest keys of elementary intervals, with their lists; the first is 0.
  private var starts: [UInt64] = []
  private var intervalLists: [Int32] = []
  /// Lists of predicates: `members[listStarts[i] ..< listStarts[i + 1]]`.
  private var listStarts: [Int32] = [0]
  private var members: [Int32] = []

  /// One predicate: the keys or texts that it holds for, or a range of keys.
  enum Predicate: Sendable {
    case keys([UInt64])
    case texts([[UInt8]])
    case range(ClosedRange<UInt64>)
  }

  /// Builds an index, or gives `nil` where it would be slower than comparing.
  init?(column: Int, key: Key, valid: BitSource, predicates: [Predicate], firstBitmap: Int) {
    self.column = column
    self.key = key
    self.valid = valid
    self.firstBitmap = firstBitmap
    bitmapCount = predicates.count
    var byKey: [UInt64: [Int32]] = [:]
    var byText: [[UInt8]: [Int32]] = [:]
    var ranges: [(ClosedRange<UInt64>, Int32)] = []
    for (index, predicate) in predicates.enumerated() {
      switch predicate {
      case .keys(let keys): for key in Set(keys) { byKey[key, default: []].append(Int32(index)) }
      case .texts(let texts): for text in Set(texts) { byText[text, default: []].append(Int32(index)) }
      case .range(let range): ranges.append((range, Int32(index)))
      }
    }
    if !ranges.isEmpty {
      guard addRanges(ranges) else { return nil }
    }
    let count = max(byKey.count, byText.count)
    guard count > 0 else { return }
    var capacity = 16
    while capacity < count * 2 { capacity *= 2 }
    mask = capacity - 1
    table = [Int32](repeating: 0, count: capacity)
    tableKeys = [UInt64](repeating: 0, count: capacity)
    if key == .texts { texts = [[UInt8]](repeating: [], count: capacity) }
    for (key, list) in byKey.sorted(by: { $0.key < $1.key }) {
      let slot = freeSlot(IntegerSet.hash(key))
      tableKeys[slot] = key
      table[slot] = addList(list) + 1
    }
    for (text, list) in byText.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let prefix = text.span.wordOrZero(at: 0)
      let slot = freeSlot(TextSet.hash(text.span, 0, text.count, prefix))
      tableKeys[slot] = prefix
      texts[slot] = text
      table[slot] = addList(list) + 1
    }
  }

  private func freeSlot(_ hash: Int) -> Int {
    var slot = hash & mask
    while table[slot] != 0 { slot = (slot + 1) & mask }
    return slot
  }

  private mutating func addList(_ list: [Int32]) -> Int32 {
    members += list
    listStarts.append(Int32(members.count))
    return Int32(listStarts.count - 2)
  }

  /// Sweeps over the ends of ranges and notes what is open between them.
  private mutating func addRanges(_ ranges: [(ClosedRange<UInt64>, Int32)]) -> Bool {
    var cuts: Set<UInt64> = [0]
    for (range, _) in ranges {
      cuts.insert(range.lowerBound)
      if range.upperBound < .max { cuts.insert(range.upperBound + 1) }
    }
    starts = cuts.sorted()
    let opening = ranges.sorted { $0.0.lowerBound < $1.0.lowerBound }
    var next = 0
    var open: [(last: UInt64, predicate: Int32)] = []
    for start in starts {
      open.removeAll { $0.last < start }
      while next < opening.count, opening[next].0.lowerBound <= start {
        open.append((opening[next].0.upperBound, opening[next].1))
        next += 1
      }
      intervalLists.append(addList(open.map(\.predicate)))
      guard members.count <= Self.membersMax else { return false }
    }
    return Double(members.count) <= Self.shareMax * Double(starts.count * ranges.count)
  }

  /// The list of an elementary interval.
  @inline(__always)
  private func interval(of key: UInt64) -> Int {
    var low = 0
    var size = starts.count
    while size > 1 {
      let half = size >> 1
      low = starts[low &+ half] <= key ? low &+ half : low
      size &-= half
    }
    return Int(intervalLists[low])
  }

  /// A number's place in the order of the type.
  @inline(__always)
  static func key(integer word: UInt64) -> UInt64 {
    word ^ (1 << 63)
  }

  /// The same, with one zero and NaN last.
  @inline(__always)
  static func key(double value: Double) -> UInt64 {
    let bits = ListValues.key(value)
    return bits >> 63 == 1 ? ~bits : bits | (1 << 63)
  }

  /// Writes the bitmaps of all predicates for the rows of a set.
  func evaluate<Rows: RowSet>(
    _ words: Span<UInt64>, from start: Int, _ bytes: Span<UInt8>, _ rows: Rows, _ count: Int,
    into bits: inout MutableSpan<UInt64>
  ) {
    let wordCount = (count &+ 63) >> 6
    for bitmap in firstBitmap..<(firstBitmap + bitmapCount) {
      for word in 0..<wordCount { bits[bitmap &* RuleEvaluator.bitmapWords &+ word] = 0 }
    }
    for word in 0..<wordCount {
      var left = rows[word]
      while left != 0 {
        let bit = left & (0 &- left)
        let row = word &* 64 &+ left.trailingZeroBitCount
        left &= left &- 1
        let value = words[start &+ row]
        switch key {
        case .texts:
          let slice = TextSlice(word: value)
          mark(textList(bytes, slice), bit, word, &bits)
        case .integers:
          if mask != 0 { mark(keyList(value), bit, word, &bits) }
          if !starts.isEmpty { mark(interval(of: Self.key(integer: value)), bit, word, &bits) }
        case .doubles:
          let double = Double(bitPattern: value)
          if mask != 0 { mark(keyList(ListValues.key(double)), bit, word, &bits) }
          if !starts.isEmpty { mark(interval(of: Self.key(double: double)), bit, word, &bits) }
        }
      }
    }
  }

  @inline(__always)
  private func mark(_ list: Int, _ bit: UInt64, _ word: Int, _ bits: inout MutableSpan<UInt64>) {
    guard list >= 0 else { return }
    for member in Int(listStarts[list])..<Int(listStarts[list &+ 1]) {
      bits[(firstBitmap &+ Int(members[member])) &* RuleEvaluator.bitmapWords &+ word] |= bit
    }
  }

  @inline(__always)
  private func keyList(_ key: UInt64) -> Int {
    var slot = IntegerSet.hash(key) & mask
    while table[slot] != 0 {
      if tableKeys[slot] == key { return Int(table[slot]) &- 1 }
      slot = (slot &+ 1) & mask
    }
    return -1
  }

  @inline(__always)
  private func textList(_ bytes: Span<UInt8>, _ slice: TextSlice) -> Int {
    let prefix = bytes.word(at: slice.offset) & prefixMask(slice.count)
    var slot = TextSet.hash(bytes, slice.offset, slice.count, prefix) & mask
    while table[slot] != 0 {
      if tableKeys[slot] == prefix, isText(slot, bytes, slice) { return Int(table[slot]) &- 1 }
      slot = (slot &+ 1) & mask
    }
    return -1
  }

  private func isText(_ slot: Int, _ bytes: Span<UInt8>, _ slice: TextSlice) -> Bool {
    guard texts[slot].count == slice.count else { return false }
    for index in 0..<slice.count where texts[slot][index] != bytes[slice.offset &+ index] { return false }
    return true
  }
}

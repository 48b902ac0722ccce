/// Integers tested with IN: a sorted array for few, open addressing for many.
struct IntegerSet: Sendable {
  /// Up to this many are compared one after the other, which beats hashing.
  private static let linearMax = 8

  private var few: [Int64] = []
  private var table: [Int64] = []
  private var used: [Bool] = []
  private var mask = 0

  init(_ values: some Sequence<Int64>) {
    let distinct = Set(values).sorted()
    guard distinct.count > Self.linearMax else {
      few = distinct
      return
    }
    // Mostly what is looked for is not there. In a table that is nearly empty one look says so, as the processor expects;
    // in one that is half full, every other look is a branch that it guesses wrong.
    var capacity = 16
    while capacity < distinct.count * (distinct.count <= 256 ? 16 : 4) { capacity *= 2 }
    mask = capacity - 1
    table = [Int64](repeating: 0, count: capacity)
    used = [Bool](repeating: false, count: capacity)
    for value in distinct {
      var slot = Self.hash(UInt64(bitPattern: value)) & mask
      while used[slot] { slot = (slot + 1) & mask }
      table[slot] = value
      used[slot] = true
    }
  }

  @inline(__always)
  static func hash(_ word: UInt64) -> Int {
    let mixed = (word ^ word >> 32) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed >> 33)
  }

  @inline(__always)
  func contains(_ value: Int64) -> Bool {
    if mask == 0 {
      for index in few.indices where few[index] == value { return true }
      return false
    }
    var slot = Self.hash(UInt64(bitPattern: value)) & mask
    while used[slot] {
      if table[slot] == value { return true }
      slot = (slot &+ 1) & mask
    }
    return false
  }
}

/// Texts tested with IN, found by byte count and first eight bytes.
struct TextSet: Sendable {
  private static let linearMax = 4

  // Of each text: its first eight bytes, its byte count, and where it lies in `bytes`.
  private var prefixes: [UInt64] = []
  private var counts: [Int] = []
  private var starts: [Int] = []
  private var bytes: [UInt8] = []
  /// Indices of texts plus one, 0 for a free slot.
  private var table: [Int32] = []
  private var mask = 0

  init(_ texts: some Sequence<[UInt8]>) {
    let distinct = Set(texts).sorted { $0.lexicographicallyPrecedes($1) }
    for text in distinct {
      prefixes.append(text.span.wordOrZero(at: 0))
      counts.append(text.count)
      starts.append(bytes.count)
      bytes += text
    }
    guard distinct.count > Self.linearMax else { return }
    var capacity = 16
    while capacity < distinct.count * 2 { capacity *= 2 }
    mask = capacity - 1
    table = [Int32](repeating: 0, count: capacity)
    for (index, text) in distinct.enumerated() {
      var slot = Self.hash(text.span, 0, text.count, prefixes[index]) & mask
      while table[slot] != 0 { slot = (slot + 1) & mask }
      table[slot] = Int32(index + 1)
    }
  }

  @inline(__always)
  static func hash(_ bytes: Span<UInt8>, _ offset: Int, _ count: Int, _ prefix: UInt64) -> Int {
    var mixed = (prefix ^ UInt64(truncatingIfNeeded: count)) &* 0x9E37_79B9_7F4A_7C15
    if count > 8 {
      // The last eight bytes tell apart what begins alike.
      mixed = (mixed ^ mixed >> 29 ^ bytes.word(at: offset &+ count &- 8)) &* 0xBF58_476D_1CE4_E5B9
    }
    return Int(truncatingIfNeeded: mixed >> 34)
  }

  /// Whether a slice of bytes is in the set. `prefix` is its first eight bytes, zeros behind its end.
  @inline(__always)
  func contains(_ text: Span<UInt8>, _ offset: Int, _ count: Int, _ prefix: UInt64) -> Bool {
    if mask == 0 {
      for index in prefixes.indices where isText(index, text, offset, count, prefix) { return true }
      return false
    }
    var slot = Self.hash(text, offset, count, prefix) & mask
    while table[slot] != 0 {
      if isText(Int(table[slot]) &- 1, text, offset, count, prefix) { return true }
      slot = (slot &+ 1) & mask
    }
    return false
  }

  @inline(__always)
  private func isText(_ index: Int, _ text: Span<UInt8>, _ offset: Int, _ count: Int, _ prefix: UInt64) -> Bool {
    guard prefixes[index] == prefix, counts[index] == count else { return false }
    guard count > 8 else { return true }
    for position in 8..<count where bytes[starts[index] &+ position] != text[offset &+ position] { return false }
    return true
  }
}

/// The values of a declared list, which rules test with `x IN LIST(name)`.
///
/// Given at evaluation, so that a list may change without its rules being compiled again.
public struct ListValues: Sendable {
  enum Values: Sendable {
    /// Integers, timestamps and booleans.
    case integers(IntegerSet)
    /// Bits of doubles: one zero, one NaN.
    case doubles(IntegerSet)
    case texts(TextSet)
  }

  let values: Values

  /// A list of texts.
  public init(texts: some Sequence<String>) {
    values = .texts(TextSet(texts.map { Array($0.utf8) }))
  }

  /// A list of integers, or of timestamps in microseconds since 1970.
  public init(integers: some Sequence<Int64>) {
    values = .integers(IntegerSet(integers))
  }

  /// A list of floats.
  public init(floats: some Sequence<Double>) {
    values = .doubles(IntegerSet(floats.map { Int64(bitPattern: Self.key($0)) }))
  }

  /// The same word for doubles that SQL calls equal.
  static func key(_ value: Double) -> UInt64 {
    value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern
  }
}

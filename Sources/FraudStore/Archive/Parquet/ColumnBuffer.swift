internal import FraudCore

/// The values of one column of the row group being gathered.
///
/// Values lie dense, NULLs left out; ``validity`` says which rows have one. Texts are numbered by a dictionary until it
/// proves useless. Nothing here depends on how the rows were divided into calls.
struct ColumnBuffer {
  /// Texts a dictionary may hold together before it is given up.
  static let dictionaryBytesLimit = 4 << 20
  /// Values between two looks at whether a dictionary is useful.
  private static let dictionaryCheckInterval = 1_024

  let column: ParquetColumn
  private(set) var rowCount = 0
  private(set) var validity = BitArray()
  /// Integers, timestamps, bit patterns of doubles; 0 and 1 of booleans; numbers of texts in ``dictionary``.
  private(set) var words: [UInt64] = []
  private(set) var indices: [UInt32] = []
  /// Of texts, until it is given up.
  private(set) var dictionary: TextDictionary?
  /// Texts without a dictionary, and where each ends.
  private(set) var text: [UInt8] = []
  private(set) var textEnds: [Int] = []
  /// Bytes of all texts, as often as they occur.
  private(set) var textByteCount = 0

  init(column: ParquetColumn) {
    self.column = column
    if column.type == .string { dictionary = TextDictionary() }
  }

  /// Values that are not NULL.
  var valueCount: Int {
    column.type == .string ? (dictionary == nil ? textEnds.count : indices.count) : words.count
  }

  mutating func removeAll() {
    rowCount = 0
    validity.removeAll()
    words.removeAll(keepingCapacity: true)
    indices.removeAll(keepingCapacity: true)
    dictionary = column.type == .string ? TextDictionary() : nil
    text.removeAll(keepingCapacity: true)
    textEnds.removeAll(keepingCapacity: true)
    textByteCount = 0
  }

  /// Appends rows of a batch's column as `EventBatch` lays it out: words, a bitmap of validity, and the texts' bytes.
  mutating func append(
    words source: Span<UInt64>, validity bitmap: Span<UInt64>, bytes: RawSpan, rows: Range<Int>
  ) throws(StoreError) {
    let isComplete = try note(bitmap, rows)
    if column.type == .string {
      for row in rows where isComplete || bitmap[row >> 6] >> UInt64(row & 63) & 1 == 1 {
        append(bytes.extracting(TextSlice(word: source[row]).range))
      }
    } else if isComplete {
      for row in rows { words.append(source[row]) }
    } else {
      for row in rows where bitmap[row >> 6] >> UInt64(row & 63) & 1 == 1 { words.append(source[row]) }
    }
  }

  /// Appends rows of a boolean column, one bit a row.
  mutating func append(
    bits source: Span<UInt64>, validity bitmap: Span<UInt64>, rows: Range<Int>
  ) throws(StoreError) {
    let isComplete = try note(bitmap, rows)
    for row in rows where isComplete || bitmap[row >> 6] >> UInt64(row & 63) & 1 == 1 {
      words.append(source[row >> 6] >> UInt64(row & 63) & 1)
    }
  }

  /// Appends the same text for `count` rows.
  mutating func append(repeating value: RawSpan, count: Int) {
    noteValid(count)
    for _ in 0..<count { append(value) }
  }

  /// Appends one text or NULL.
  mutating func append(text value: RawSpan) {
    noteValid(1)
    append(value)
  }

  /// Appends a word, or NULL.
  mutating func append(word: UInt64?) throws(StoreError) {
    if let word {
      noteValid(1)
      words.append(word)
    } else {
      guard column.nullable else { throw missingValue }
      rowCount += 1
      validity.append(0, bitCount: 1)
    }
  }

  private mutating func noteValid(_ count: Int) {
    rowCount += count
    guard column.nullable else { return }
    var rest = count
    while rest > 0 {
      validity.append(.max, bitCount: min(64, rest))
      rest -= 64
    }
  }

  /// Takes note of which rows have a value, and says whether all have.
  private mutating func note(_ bitmap: Span<UInt64>, _ rows: Range<Int>) throws(StoreError) -> Bool {
    var isComplete = true
    var position = rows.lowerBound
    while position < rows.upperBound {
      let bitCount = min(64, rows.upperBound - position)
      let bits = bitmapBits(bitmap, at: position)
      let all: UInt64 = bitCount == 64 ? .max : 1 << UInt64(bitCount) - 1
      if bits & all != all { isComplete = false }
      if column.nullable { validity.append(bits, bitCount: bitCount) }
      position += bitCount
    }
    guard isComplete || column.nullable else { throw missingValue }
    rowCount += rows.count
    return isComplete
  }

  private var missingValue: StoreError {
    StoreError(code: .file, message: "column '\(column.name)' is not nullable and has no value in a row")
  }

  @inline(__always)
  private mutating func append(_ value: RawSpan) {
    textByteCount += value.byteCount
    guard dictionary != nil else {
      unsafe value.withUnsafeBytes { unsafe text.append(contentsOf: $0) }
      textEnds.append(text.count)
      return
    }
    // The nil case is settled above; the optional chain keeps the dictionary in place.
    indices.append(dictionary?.index(of: value) ?? 0)
    if indices.count % Self.dictionaryCheckInterval == 0 { giveUpUselessDictionary() }
  }

  /// A dictionary whose texts are nearly all different, or too long together, only costs.
  private mutating func giveUpUselessDictionary() {
    guard let dictionary else { return }
    let isUseless =
      dictionary.count * 4 > indices.count * 3 && indices.count >= 2 * Self.dictionaryCheckInterval
      || dictionary.bytes.count > Self.dictionaryBytesLimit
    if isUseless { spellOut(dictionary) }
  }

  /// Puts the texts in place of their numbers.
  private mutating func spellOut(_ dictionary: TextDictionary) {
    self.dictionary = nil
    text.reserveCapacity(textByteCount)
    textEnds.reserveCapacity(indices.count)
    for index in indices {
      text.append(contentsOf: dictionary.bytes[dictionary.range(of: Int(index))])
      textEnds.append(text.count)
    }
    indices.removeAll(keepingCapacity: true)
  }

  /// Settles, once the row group is complete, whether its dictionary saves bytes.
  mutating func settleDictionary() {
    guard let dictionary else { return }
    let width = 64 - UInt64(max(dictionary.count, 2) - 1).leadingZeroBitCount
    if dictionary.bytes.count + 4 * dictionary.count + indices.count * width / 8 > textByteCount + indices.count {
      spellOut(dictionary)
    }
  }
}

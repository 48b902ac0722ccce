// Comparisons and searches on columns of text. Slices lie in bytes that have padding behind their end, so the first bytes of
// any of them can be loaded at once. Only rows of a set are looked at, because a row without a value may hold no slice.

/// Rows whose text equals a constant: byte count and first eight bytes in one comparison, then the rest.
func textsEqual<Rows: RowSet>(
  _ words: Span<UInt64>, from start: Int, _ bytes: Span<UInt8>, _ constant: Span<UInt8>, _ rows: Rows,
  _ count: Int
) -> Rows {
  let size = constant.count
  let mask = prefixMask(size)
  let first = constant.wordOrZero(at: 0)
  if size <= 8 {
    return testRows(in: rows, count) { row in
      let slice = TextSlice(word: words[start &+ row])
      return slice.count == size && bytes.word(at: slice.offset) & mask == first
    }
  }
  return testRows(in: rows, count) { row in
    let slice = TextSlice(word: words[start &+ row])
    guard slice.count == size, bytes.word(at: slice.offset) == first else { return false }
    return hasRest(bytes, slice.offset, constant)
  }
}

/// Whether the bytes from the ninth on are a text's.
private func hasRest(_ bytes: Span<UInt8>, _ offset: Int, _ text: Span<UInt8>) -> Bool {
  var index = 8
  while index &+ 8 <= text.count {
    if bytes.word(at: offset &+ index) != text.word(at: index) { return false }
    index &+= 8
  }
  while index < text.count {
    if bytes[offset &+ index] != text[index] { return false }
    index &+= 1
  }
  return true
}

/// Rows whose text compares with another text of the row as asked.
func compareTexts<Rows: RowSet>(
  _ comparison: Comparison, _ a: Span<UInt64>, from aStart: Int, _ aBytes: Span<UInt8>, _ b: Span<UInt64>,
  from bStart: Int, _ bBytes: Span<UInt8>, _ rows: Rows, _ count: Int
) -> Rows {
  testRows(in: rows, count) { row in
    let left = TextSlice(word: a[aStart &+ row])
    let right = TextSlice(word: b[bStart &+ row])
    return comparison.holds(compareSlices(aBytes, left, bBytes, right))
  }
}

/// Rows whose text compares with a constant as asked.
func compareTexts<Rows: RowSet>(
  _ comparison: Comparison, _ words: Span<UInt64>, from start: Int, _ bytes: Span<UInt8>, _ constant: TextSlice,
  _ constantBytes: Span<UInt8>, _ rows: Rows, _ count: Int
) -> Rows {
  testRows(in: rows, count) { row in
    comparison.holds(compareSlices(bytes, TextSlice(word: words[start &+ row]), constantBytes, constant))
  }
}

/// −1, 0 or 1 by the bytes, eight at a time.
@inline(__always)
func compareSlices(_ a: Span<UInt8>, _ left: TextSlice, _ b: Span<UInt8>, _ right: TextSlice) -> Int {
  let common = min(left.count, right.count)
  var index = 0
  while index < common {
    let mask = prefixMask(common &- index)
    let x = a.word(at: left.offset &+ index) & mask
    let y = b.word(at: right.offset &+ index) & mask
    // The first byte is the lowest, but decides.
    if x != y { return x.byteSwapped < y.byteSwapped ? -1 : 1 }
    index &+= 8
  }
  return left.count == right.count ? 0 : left.count < right.count ? -1 : 1
}

/// The rows of a set whose text is in a set of constants.
func textsIn<Rows: RowSet>(
  _ set: borrowing TextSet, _ words: Span<UInt64>, from start: Int, _ bytes: Span<UInt8>, _ rows: Rows,
  _ count: Int
) -> Rows {
  testRows(in: rows, count) { row in
    let slice = TextSlice(word: words[start &+ row])
    let prefix = bytes.word(at: slice.offset) & prefixMask(slice.count)
    return set.contains(bytes, slice.offset, slice.count, prefix)
  }
}

/// The rows of a set whose text matches a search.
func searchTexts<Rows: RowSet>(
  _ search: borrowing TextSearch, _ words: Span<UInt64>, from start: Int, _ bytes: Span<UInt8>,
  _ rows: Rows, _ count: Int
) -> Rows {
  let text = search.text.span
  let size = text.count
  let first = search.word
  let mask = search.wordMask
  switch search.kind {
  case .exact: return textsEqual(words, from: start, bytes, text, rows, count)
  case .prefix:
    return testRows(in: rows, count) { row in
      let slice = TextSlice(word: words[start &+ row])
      guard slice.count >= size, bytes.word(at: slice.offset) & mask == first else { return false }
      return size <= 8 || hasRest(bytes, slice.offset, text)
    }
  case .suffix:
    return testRows(in: rows, count) { row in
      let slice = TextSlice(word: words[start &+ row])
      let offset = slice.offset &+ slice.count &- size
      guard slice.count >= size, bytes.word(at: offset) & mask == first else { return false }
      return size <= 8 || hasRest(bytes, offset, text)
    }
  case .contains:
    if size == 0 { return testRows(in: rows, count) { _ in true } }
    let finder = TextFinder(text)
    return testRows(in: rows, count) { row in
      let slice = TextSlice(word: words[start &+ row])
      return finder.isFound(text, in: bytes, slice.offset, slice.count)
    }
  case .general(let pattern):
    return testRows(in: rows, count) { row in
      pattern.matches(bytes.extracting(TextSlice(word: words[start &+ row]).range))
    }
  }
}

/// Finds a text of at least one byte: sixteen places at a time by its first and its last byte, then all of it.
///
/// - Source: Wojciech Muła, "SIMD-friendly algorithms for substring searching" (generic SIMD).
struct TextFinder {
  private let first: SIMD16<UInt8>
  private let last: SIMD16<UInt8>
  private let size: Int

  init(_ text: Span<UInt8>) {
    size = text.count
    first = SIMD16(repeating: text[0])
    last = SIMD16(repeating: text[size - 1])
  }

  /// Whether `text` occurs in a slice of bytes behind which at least ``EventBatch/padding`` more can be read.
  @inline(__always)
  func isFound(_ text: Span<UInt8>, in bytes: Span<UInt8>, _ offset: Int, _ count: Int) -> Bool {
    var place = 0
    // Places at which the text can begin.
    let places = count &- size &+ 1
    while place < places {
      let start = offset &+ place
      let matches = (bytes.vector(at: start) .== first) .& (bytes.vector(at: start &+ size &- 1) .== last)
      // Sound: both have 16 bytes, and any bits are a value of either.
      let found = unsafe unsafeBitCast(matches, to: SIMD2<UInt64>.self)
      if found[0] | found[1] != 0 {
        for lane in 0..<min(16, places &- place) where matches[lane] {
          if isEqual(text, bytes, start &+ lane) { return true }
        }
      }
      place &+= 16
    }
    return false
  }

  private func isEqual(_ text: Span<UInt8>, _ bytes: Span<UInt8>, _ offset: Int) -> Bool {
    for index in 0..<size where bytes[offset &+ index] != text[index] { return false }
    return true
  }
}

/// Writes the bytes of a state: words of eight bytes, least significant first, and counts of seven bits a byte.
struct StateWriter {
  /// Written up to ``count``; zeros behind it wait to be written over.
  private var storage: [UInt8] = []
  private(set) var count = 0
  private var touched: UInt64 = 0

  /// What was written.
  consuming func finish() -> [UInt8] {
    storage.removeLast(storage.count - count)
    return storage
  }

  /// Makes room for about this many bytes more, so that a large state is not copied while it is written.
  mutating func expect(_ more: Int) {
    guard storage.count - count < more else { return }
    storage.reserveCapacity(count + more)
    storage.append(contentsOf: repeatElement(0, count: count + more - storage.count))
  }

  private mutating func reserve(_ more: Int) {
    if storage.count - count < more {
      storage.append(contentsOf: repeatElement(0, count: max(more, storage.count, 1 << 12)))
    }
  }

  mutating func write(byte: UInt8) {
    reserve(1)
    storage[count] = byte
    count += 1
  }

  mutating func write(word: UInt64) {
    reserve(8)
    let place = count
    count += 8
    var span = storage.mutableSpan
    span.store(word, at: place)
  }

  /// Writes words one after the other.
  mutating func write(words: Span<UInt64>) { write(words: words, from: 0, count: words.count) }

  /// Writes some of these words one after the other.
  @inline(__always)
  mutating func write(words: Span<UInt64>, from first: Int, count wordCount: Int) {
    reserve(wordCount &* 8)
    var place = count
    var span = storage.mutableSpan
    for index in first..<first &+ wordCount {
      span.store(words[index], at: place)
      place &+= 8
    }
    count = place
  }

  mutating func write(count value: Int) {
    var rest = UInt64(bitPattern: Int64(value))
    while rest >= 0x80 {
      write(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    write(byte: UInt8(truncatingIfNeeded: rest))
  }

  mutating func write(text: some Collection<UInt8>) {
    write(count: text.count)
    for byte in text { write(byte: byte) }
  }

  /// Keeps what loading memory ahead gave, so that the loads are made.
  mutating func keep(touched word: UInt64) { touched ^= word }

  /// Begins a table, which has its count of bytes in front; gives what ``endTable(_:)`` needs.
  mutating func beginTable() -> Int {
    write(word: 0)
    return count
  }

  mutating func endTable(_ start: Int) {
    let size = UInt64(count - start)
    var span = storage.mutableSpan
    span.store(size, at: start - 8)
  }

  /// Begins a part of a record, which has its count of bytes in front; gives what ``endPart(_:)`` needs.
  mutating func beginPart() -> Int {
    reserve(4)
    count += 4
    return count
  }

  mutating func endPart(_ start: Int) {
    let size = count - start
    for index in 0..<4 { storage[start - 4 + index] = UInt8(truncatingIfNeeded: size >> (8 * index)) }
  }
}

/// Bytes that are no state of this format.
public struct StateFormatError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong and where.
  public let description: String
}

/// Reads what ``StateWriter`` wrote; nothing in the bytes is trusted.
struct StateReader {
  private let bytes: [UInt8]
  private(set) var at: Int
  private let end: Int

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    (at, end) = (0, bytes.count)
  }

  private init(_ bytes: [UInt8], _ range: Range<Int>) {
    self.bytes = bytes
    (at, end) = (range.lowerBound, range.upperBound)
  }

  var isAtEnd: Bool { at == end }

  /// Bytes that were not read yet.
  var left: Int { end - at }

  func fail(_ message: String) -> StateFormatError {
    StateFormatError(description: "state of features: \(message) at byte \(at)")
  }

  mutating func byte() throws(StateFormatError) -> UInt8 {
    guard at < end else { throw fail("the end comes too early") }
    at += 1
    return bytes[at - 1]
  }

  mutating func word() throws(StateFormatError) -> UInt64 {
    guard end - at >= 8 else { throw fail("the end comes too early") }
    at += 8
    return bytes.span.word(at: at - 8)
  }

  /// The next words.
  mutating func words(_ count: Int) throws(StateFormatError) -> [UInt64] {
    guard count <= left / 8 else { throw fail("the end comes too early") }
    var words: [UInt64] = []
    words.reserveCapacity(count)
    for index in 0..<count { words.append(bytes.span.word(at: at &+ 8 &* index)) }
    at += 8 * count
    return words
  }

  mutating func skip(words count: Int) throws(StateFormatError) {
    guard count <= left / 8 else { throw fail("the end comes too early") }
    at += 8 * count
  }

  /// Reads words into an array.
  @inline(__always)
  mutating func read(words count: Int, into words: inout [UInt64], at place: Int) throws(StateFormatError) {
    guard count <= left / 8 else { throw fail("the end comes too early") }
    let start = at
    at &+= 8 &* count
    let span = bytes.span
    for index in 0..<count { words[place &+ index] = span.word(at: start &+ 8 &* index) }
  }

  /// Reads the words of a record that are there for every key to where they belong.
  ///
  /// - Parameter width: the words of all runs.
  @inline(__always)
  mutating func readFixed(
    _ runs: [RecordRun], width: Int, into words: inout [UInt64], at base: Int
  ) throws(StateFormatError) {
    guard width <= left / 8 else { throw fail("the end comes too early") }
    var start = at
    at &+= 8 &* width
    let span = bytes.span
    for run in runs {
      if run.offset >= 0 {
        let place = base &+ run.offset
        for index in 0..<run.width { words[place &+ index] = span.word(at: start &+ 8 &* index) }
      }
      start &+= 8 &* run.width
    }
  }

  /// A count of at most `limit`.
  mutating func count(atMost limit: Int = .max) throws(StateFormatError) -> Int {
    var (value, shift): (UInt64, UInt64) = (0, 0)
    while true {
      let byte = try byte()
      guard shift < 63 else { throw fail("a count is too large") }
      value |= UInt64(byte & 0x7F) << shift
      shift += 7
      if byte & 0x80 == 0 { break }
    }
    guard value <= UInt64(limit) else { throw fail("a count is too large") }
    return Int(value)
  }

  mutating func text() throws(StateFormatError) -> ArraySlice<UInt8> {
    let count = try count()
    guard count <= end - at else { throw fail("the end comes too early") }
    at += count
    return bytes[at - count..<at]
  }

  /// Where the part ends that ``StateWriter/beginPart()`` began.
  @inline(__always)
  mutating func endOfPart() throws(StateFormatError) -> Int {
    guard left >= 4 else { throw fail("the end comes too early") }
    var count = 0
    for index in 0..<4 { count |= Int(bytes[at + index]) << (8 * index) }
    at += 4
    guard count <= left else { throw fail("the end comes too early") }
    return at + count
  }

  mutating func skip(to end: Int) { at = end }

  /// A reader of a table's bytes, which ``StateWriter/beginTable()`` began.
  mutating func table() throws(StateFormatError) -> StateReader {
    let count = try word()
    guard count <= UInt64(left) else { throw fail("the end comes too early") }
    at += Int(count)
    return StateReader(bytes, at - Int(count)..<at)
  }
}

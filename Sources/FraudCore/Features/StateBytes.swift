/// Writes the bytes of a state: words of eight bytes, least significant first, and counts of seven bits a byte.
struct StateWriter {
  var bytes: [UInt8] = []

  mutating func write(byte: UInt8) { bytes.append(byte) }

  mutating func write(word: UInt64) {
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
  }

  mutating func write(count: Int) {
    var rest = UInt64(bitPattern: Int64(count))
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  mutating func write(text: some Collection<UInt8>) {
    write(count: text.count)
    bytes.append(contentsOf: text)
  }

  /// Writes what `body` writes, with its count of bytes in front.
  mutating func writeSized(_ body: (inout StateWriter) -> Void) {
    let start = bytes.count
    for _ in 0..<4 { bytes.append(0) }
    body(&self)
    let count = bytes.count - start - 4
    for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: count >> (8 * index)) }
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
    var word: UInt64 = 0
    for index in 0..<8 { word |= UInt64(bytes[at + index]) << UInt64(8 * index) }
    at += 8
    return word
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

  /// A reader of the bytes that ``StateWriter/writeSized(_:)`` wrote.
  mutating func sized() throws(StateFormatError) -> StateReader {
    guard end - at >= 4 else { throw fail("the end comes too early") }
    var count = 0
    for index in 0..<4 { count |= Int(bytes[at + index]) << (8 * index) }
    at += 4
    guard count <= end - at else { throw fail("the end comes too early") }
    at += count
    return StateReader(bytes, at - count..<at)
  }
}

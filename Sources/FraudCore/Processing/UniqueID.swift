/// Sixteen bytes that name one thing: an alert, an owner, a commit. Shown and stored as a UUID.
public struct UniqueID: Sendable, Hashable, CustomStringConvertible {
  /// The bytes 0 to 7, the first one highest.
  public var high: UInt64
  /// The bytes 8 to 15, the first one highest.
  public var low: UInt64

  /// Makes an id of its two halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Makes an id of its bytes.
  ///
  /// Precondition: there are at least 16 bytes; those after the 16th are not used, so a digest may be given whole.
  public init(bytes: [UInt8]) {
    precondition(bytes.count >= 16, "an id has 16 bytes, not \(bytes.count)")
    high = bytes[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads the text form: 32 hexadecimal digits, hyphens anywhere.
  public init?(_ text: String) {
    var digits = 0
    var halves: (high: UInt64, low: UInt64) = (0, 0)
    for character in text where character != "-" {
      guard let digit = character.hexDigitValue, digits < 32 else { return nil }
      if digits < 16 {
        halves.high = halves.high << 4 | UInt64(digit)
      } else {
        halves.low = halves.low << 4 | UInt64(digit)
      }
      digits += 1
    }
    guard digits == 32 else { return nil }
    self.init(high: halves.high, low: halves.low)
  }

  /// The UUID's text, lower case with hyphens.
  public var description: String {
    var text: [UInt8] = []
    append(to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// Appends the text's 36 characters.
  package func append(to text: inout [UInt8]) {
    for index in 0..<16 {
      if index == 4 || index == 6 || index == 8 || index == 10 { text.append(UInt8(ascii: "-")) }
      let byte = (index < 8 ? high : low) >> UInt64(56 - 8 * (index & 7))
      text.append(Self.digit(byte >> 4 & 15))
      text.append(Self.digit(byte & 15))
    }
  }

  private static func digit(_ nibble: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: nibble < 10 ? 0x30 + nibble : 0x57 + nibble)
  }
}

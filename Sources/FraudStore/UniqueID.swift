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

  /// A new id that nobody else has, from the system's random source.
  public static func random() -> UniqueID {
    UniqueID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
  }

  /// The UUID's text, lower case with hyphens.
  public var description: String {
    let digits = Self.hexadecimal(high) + Self.hexadecimal(low)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index == 8 || index == 12 || index == 16 || index == 20 { text.append("-") }
      text.append(digit)
    }
    return text
  }

  private static func hexadecimal(_ half: UInt64) -> String {
    let digits = String(half, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// Where and why a text is not JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What a caller can branch on.
  public enum Code: Sendable, Hashable {
    /// Some byte is not part of well-formed UTF-8.
    case notUTF8
    /// The text does not follow the grammar.
    case syntax
  }

  /// What a caller can branch on.
  public var code: Code
  /// The first byte that does not fit, from 0; the text's length where it ends too early.
  public var offset: Int
  /// For people: what stands there.
  public var message: String

  /// Makes an error.
  public init(code: Code, offset: Int, message: String) {
    self.code = code
    self.offset = offset
    self.message = message
  }

  /// The message.
  public var description: String { message }
}

/// JSON as RFC 8259 defines it.
public enum JSON {
  /// Checks that the bytes are one JSON text, exactly as RFC 8259 has it: UTF-8, one value of any kind, nothing behind it
  /// but space.
  ///
  /// What the RFC leaves to the implementation is decided so: nesting is not bounded here, numbers may have any size,
  /// escaped surrogates need not be paired, a key may stand twice, and a byte order mark is refused.
  ///
  /// - Throws: ``JSONError`` with the first byte that does not fit.
  /// - Complexity: O(bytes) time; no recursion, and no memory up to 64 levels of nesting, one bit a level beyond.
  /// - Source: RFC 8259; `Docs/decoding.md` lists the free cases of JSONTestSuite.
  public static func validate(_ bytes: [UInt8]) throws(JSONError) {
    if let failure = firstFailure(bytes.span) { throw failure }
  }

  /// Checks a span of bytes: as the same function of an array does.
  public static func validate(_ bytes: Span<UInt8>) throws(JSONError) {
    if let failure = firstFailure(bytes) { throw failure }
  }

  private static func firstFailure(_ bytes: Span<UInt8>) -> JSONError? {
    let end = bytes.count
    let invalid = firstInvalidUTF8(bytes, 0..<end)
    if invalid < end {
      return JSONError(code: .notUTF8, offset: invalid, message: "byte \(invalid) is not part of UTF-8 text")
    }
    var deepest = 0
    var position = JSONScanner.skipSpace(bytes, 0, end)
    position = JSONScanner.skipValue(bytes, position, end, deepest: &deepest)
    if position >= 0 {
      position = JSONScanner.skipSpace(bytes, position, end)
      if position == end { return nil }
    } else {
      position = ~position
    }
    return JSONError(code: .syntax, offset: position, message: surprise(bytes, at: position, 0..<end))
  }

  /// Describes the byte that does not fit; its place is counted from the range's start.
  static func surprise(_ bytes: Span<UInt8>, at position: Int, _ range: Range<Int>) -> String {
    guard position < range.upperBound else { return "the text ends too early, after byte \(range.count)" }
    let byte = bytes[position]
    let place = position - range.lowerBound
    if byte > 0x20 && byte < 0x7F {
      return "unexpected '\(Character(UnicodeScalar(byte)))' at byte \(place)"
    }
    let digits = String(byte, radix: 16, uppercase: true)
    return "unexpected byte 0x\(digits.count == 1 ? "0" : "")\(digits) at byte \(place)"
  }
}

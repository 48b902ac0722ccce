extension JSON {
  /// Where the value of a top-level member stands in the text of an object, or `nil` where the text is no object or has
  /// no such member. The first of several counts.
  ///
  /// For looking at one field of an event that is passed on as it is; decoding is ``EventDecoder``'s affair. A key that
  /// is written with escapes is not found.
  package static func member(_ key: [UInt8], of bytes: Span<UInt8>) -> Range<Int>? {
    let end = bytes.count
    var position = JSONScanner.skipSpace(bytes, 0, end)
    guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: "{") else { return nil }
    repeat {
      position = JSONScanner.skipSpace(bytes, position + 1, end)
      let keyStart = position + 1
      let value = JSONScanner.skipKey(bytes, position, end)
      guard value >= 0 else { return nil }
      var depth = 0
      position = JSONScanner.skipValue(bytes, value, end, deepest: &depth)
      guard position >= 0 else { return nil }
      if isKey(key, bytes, keyStart) { return value..<position }
      position = JSONScanner.skipSpace(bytes, position, end)
    } while JSONScanner.byte(bytes, position, end) == UInt8(ascii: ",")
    return nil
  }

  /// Whether a key stands at `start`, up to its closing quote.
  private static func isKey(_ key: [UInt8], _ bytes: Span<UInt8>, _ start: Int) -> Bool {
    guard start + key.count < bytes.count, bytes[start + key.count] == UInt8(ascii: "\"") else { return false }
    for index in key.indices where bytes[start + index] != key[index] { return false }
    return true
  }

  /// The instant that a value stands for, in microseconds since 1970: a number in this unit, or text as the decoder reads
  /// timestamps; `nil` for anything else.
  package static func timestamp(of value: Range<Int>, in bytes: Span<UInt8>, unit: TimestampUnit) -> Int64? {
    guard let text = text(of: value, in: bytes) else { return nil }
    guard bytes[value.lowerBound] != UInt8(ascii: "\"") else {
      var day = TimestampText.Day()
      return TimestampText.parse(text.span, 0..<text.count, day: &day)
    }
    guard let number = Int64(String(decoding: text, as: UTF8.self)) else { return nil }
    let factor: Int64 =
      switch unit {
      case .seconds: 1_000_000
      case .milliseconds: 1_000
      case .microseconds: 1
      }
    let (microseconds, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : microseconds
  }

  /// The text that a value of no structure stands for: a string without its quotes and escapes, a number or boolean as
  /// it is written; `nil` for `null`, an object or an array.
  package static func text(of value: Range<Int>, in bytes: Span<UInt8>) -> [UInt8]? {
    let first = JSONScanner.byte(bytes, value.lowerBound, value.upperBound)
    var literal: [UInt8] = []
    JSONText.append(bytes, value, to: &literal)
    switch first {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "n"), 0: return nil
    case UInt8(ascii: "\""):
      guard literal.contains(UInt8(ascii: "\\")) else { return Array(literal[1..<(literal.count - 1)]) }
      guard let parsed = try? DefinitionValue(json: literal), case .string(let text) = parsed.content else {
        return nil
      }
      return Array(text.utf8)
    default: return literal
    }
  }
}

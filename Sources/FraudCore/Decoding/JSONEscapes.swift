/// Escapes of JSON strings, read.
enum JSONEscapes {
  /// Appends the text that stands between two quotes, with its escapes replaced.
  ///
  /// The range must hold a string that ``JSONScanner`` accepted. Half of a surrogate pair alone, which UTF-8 cannot hold,
  /// becomes U+FFFD: refusing it would be a way to evade rules.
  static func append(unescaping bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
    var position = range.lowerBound
    while position < range.upperBound {
      let stop = JSONScanner.plainTextEnd(bytes, position, range.upperBound)
      JSONText.append(bytes, position..<stop, to: &text)
      position = stop
      guard position + 1 < range.upperBound else { return }
      let escape = bytes[position + 1]
      position += 2
      switch escape {
      case UInt8(ascii: "b"): text.append(0x08)
      case UInt8(ascii: "f"): text.append(0x0C)
      case UInt8(ascii: "n"): text.append(0x0A)
      case UInt8(ascii: "r"): text.append(0x0D)
      case UInt8(ascii: "t"): text.append(0x09)
      case UInt8(ascii: "u"):
        var scalar = codeUnit(bytes, position, range.upperBound)
        position += 4
        if scalar & 0xFC00 == 0xD800, position + 6 <= range.upperBound, bytes[position] == UInt8(ascii: "\\"),
          bytes[position + 1] == UInt8(ascii: "u")
        {
          let low = codeUnit(bytes, position + 2, range.upperBound)
          if low & 0xFC00 == 0xDC00 {
            scalar = 0x1_0000 + (scalar & 0x3FF) << 10 + low & 0x3FF
            position += 6
          }
        }
        append(scalar, to: &text)
      default: text.append(escape)
      }
    }
  }

  private static func codeUnit(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in start..<min(start + 4, end) { value = value << 4 | (JSONScanner.hexadecimalValue(bytes[index]) ?? 0) }
    return value
  }

  private static func append(_ code: UInt32, to text: inout [UInt8]) {
    let scalar = UnicodeScalar(code) ?? "\u{FFFD}"
    for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { text.append(unit) }
  }
}

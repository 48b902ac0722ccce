/// Text of events as PostgreSQL can hold it. It has no U+0000, and its JSONB neither lone surrogates nor numbers beyond
/// its NUMERIC. An event with such a thing is valid and was scored; refusing it here would be a way past the rules, so
/// it is stored with a stand-in and the row says that it was sanitized.
enum DatabaseText {
  /// Text with U+FFFD in the place of U+0000.
  static func sanitized(_ text: String, _ wasChanged: inout Bool) -> String {
    guard text.utf8.contains(0) else { return text }
    wasChanged = true
    return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
  }

  /// Text or nothing, with U+FFFD in the place of U+0000.
  static func sanitized(_ text: String?, _ wasChanged: inout Bool) -> String? {
    text.map { sanitized($0, &wasChanged) }
  }

  /// Characters of a number beyond which it is stored as a string, and its exponent's size likewise. NUMERIC holds
  /// 131,072 digits before the point and 16,383 after it.
  private static let numberLimit = 4_000

  /// A valid JSON text with `\ufffd` in the place of escapes of U+0000 and of lone surrogates, and with numbers that are
  /// too large as strings. Nothing else is changed.
  ///
  /// - Complexity: one pass; no copy where nothing is to be changed.
  static func sanitized(json bytes: [UInt8], _ wasChanged: inout Bool) -> [UInt8] {
    var result: [UInt8] = []
    /// Up to where `bytes` has been copied to `result`.
    var copied = 0
    var index = 0
    var inString = false

    func replace(_ range: Range<Int>, _ replacement: [UInt8]) {
      result.append(contentsOf: bytes[copied..<range.lowerBound])
      result.append(contentsOf: replacement)
      copied = range.upperBound
    }

    while index < bytes.count {
      let byte = bytes[index]
      if inString {
        guard byte == UInt8(ascii: "\\") else {
          inString = byte != UInt8(ascii: "\"")
          index += 1
          continue
        }
        guard let unit = escapedUnit(bytes, index) else {
          index += 2
          continue
        }
        if unit & 0xFC00 == 0xD800, let low = escapedUnit(bytes, index + 6), low & 0xFC00 == 0xDC00 {
          index += 12
          continue
        }
        if unit == 0 || unit & 0xF800 == 0xD800 { replace(index..<index + 6, Array("\\ufffd".utf8)) }
        index += 6
      } else if byte == UInt8(ascii: "-") || isDigit(byte) {
        let end = bytes[index...].firstIndex { !isNumberByte($0) } ?? bytes.count
        if isTooLarge(bytes[index..<end]) {
          replace(index..<end, [UInt8(ascii: "\"")] + bytes[index..<end] + [UInt8(ascii: "\"")])
        }
        index = end
      } else {
        inString = byte == UInt8(ascii: "\"")
        index += 1
      }
    }
    if copied == 0 { return bytes }
    wasChanged = true
    return result + bytes[copied...]
  }

  /// The UTF-16 unit of a `\uXXXX` at `index`, nil where none stands there.
  private static func escapedUnit(_ bytes: [UInt8], _ index: Int) -> UInt16? {
    guard index + 6 <= bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
      return nil
    }
    var unit: UInt16 = 0
    for byte in bytes[index + 2..<index + 6] {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return unit
  }

  private static func isTooLarge(_ number: ArraySlice<UInt8>) -> Bool {
    if number.count > numberLimit { return true }
    guard let exponent = number.firstIndex(where: { $0 | 0x20 == UInt8(ascii: "e") }) else { return false }
    var value = 0
    for byte in number[(exponent + 1)...] where isDigit(byte) {
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
      if value > numberLimit { return true }
    }
    return false
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  private static func isNumberByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
      || byte | 0x20 == UInt8(ascii: "e")
  }
}

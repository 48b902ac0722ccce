/// Text → tokens, as Spark's lexer splits it: the longest match wins, white space and comments fall away.
struct Lexer {
  private let bytes: [UInt8]
  private var offset = 0
  private var tokens: [Token] = []
  private var diagnostics: [ExpressionDiagnostic] = []

  private init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// Splits a text; the last token is `end`.
  static func tokens(of bytes: [UInt8]) throws(ExpressionError) -> [Token] {
    var lexer = Lexer(bytes)
    lexer.run()
    guard lexer.diagnostics.isEmpty else { throw ExpressionError(diagnostics: lexer.diagnostics) }
    return lexer.tokens
  }

  private func byte(_ position: Int) -> UInt8 {
    position < bytes.count ? bytes[position] : 0
  }

  private mutating func add(_ kind: Token.Kind, to end: Int) {
    tokens.append(Token(kind: kind, range: offset..<end))
    offset = end
  }

  private mutating func report(_ message: String, to end: Int) {
    diagnostics.append(ExpressionDiagnostic(message: message, range: offset..<end))
    offset = end
  }

  private mutating func run() {
    while offset < bytes.count, diagnostics.count < Limits.expressionDiagnostics {
      let first = bytes[offset]
      let second = byte(offset + 1)
      switch first {
      case 0x09...0x0D, 0x20: offset += 1
      case UInt8(ascii: "-") where second == UInt8(ascii: "-"): skipLineComment()
      case UInt8(ascii: "/") where second == UInt8(ascii: "*") && byte(offset + 2) != UInt8(ascii: "+"):
        skipBracketedComment()
      case UInt8(ascii: "'"), UInt8(ascii: "\""): string(quote: first)
      case UInt8(ascii: "r"), UInt8(ascii: "R"):
        if second == UInt8(ascii: "'") || second == UInt8(ascii: "\"") { rawString(quote: second) } else { word() }
      case UInt8(ascii: "`"): quotedName()
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number()
      case UInt8(ascii: ".") where isDigit(second): number()
      case let letter where isWordByte(letter): word()
      case 0x80...: nonASCII()
      default: mark()
      }
    }
    tokens.append(Token(kind: .end, range: bytes.count..<bytes.count))
  }

  private mutating func mark() {
    for mark in Mark.allCases where bytes[offset...].starts(with: mark.rawValue.utf8) {
      return add(.mark(mark), to: offset + mark.rawValue.utf8.count)
    }
    report("'\(String(decoding: [bytes[offset]], as: UTF8.self))' has no meaning here", to: offset + 1)
  }

  private mutating func word() {
    var end = offset
    while isWordByte(byte(end)) { end += 1 }
    add(.word(String(decoding: bytes[offset..<end], as: UTF8.self)), to: end)
  }

  private mutating func quotedName() {
    var name: [UInt8] = []
    var end = offset + 1
    while end < bytes.count {
      if bytes[end] == UInt8(ascii: "`") {
        guard byte(end + 1) == UInt8(ascii: "`") else {
          return add(.quotedName(String(decoding: name, as: UTF8.self)), to: end + 1)
        }
        end += 1
      }
      name.append(bytes[end])
      end += 1
    }
    report("a name in back-quotes does not end: ` is missing", to: end)
  }

  /// A code point that is not ASCII: white space, a letter that needs back-quotes, or nothing we know.
  private mutating func nonASCII() {
    let text = String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self)
    guard let scalar = text.unicodeScalars.first else { return }
    let end = offset + scalar.utf8.count
    switch scalar.value {
    case 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x202F, 0x205F, 0x3000: offset = end
    case 0x2018, 0x2019, 0x201C, 0x201D:
      report("'\(scalar)' is a typographic quote; strings stand in ' or \"", to: end)
    case 0xFF01...0xFF5E:
      let plain = Unicode.Scalar(UInt8(truncatingIfNeeded: scalar.value - 0xFEE0))
      report("'\(scalar)' is a full-width character; write '\(plain)'", to: end)
    case 0x2264: report("'≤' is written '<='", to: end)
    case 0x2265: report("'≥' is written '>='", to: end)
    case 0x2260: report("'≠' is written '<>'", to: end)
    default:
      if scalar.properties.isAlphabetic {
        var last = end
        while last < bytes.count, bytes[last] >= 0x80 || isWordByte(bytes[last]) { last += 1 }
        let word = String(decoding: bytes[offset..<last], as: UTF8.self)
        report("a name with other letters than A to Z stands in back-quotes: `\(word)`", to: last)
      } else {
        let code = String(scalar.value, radix: 16, uppercase: true)
        report(
          "the character U+\(String(repeating: "0", count: max(0, 4 - code.count)))\(code) has no meaning here", to: end
        )
      }
    }
  }
}

// MARK: - Comments

extension Lexer {
  /// To the end of the line; a backslash just before the newline carries on.
  private mutating func skipLineComment() {
    while offset < bytes.count {
      let byte = bytes[offset]
      offset += 1
      if byte == UInt8(ascii: "\\"), self.byte(offset) == UInt8(ascii: "\n") {
        offset += 1
      } else if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
        return
      }
    }
  }

  /// `/* … */`, nested.
  private mutating func skipBracketedComment() {
    var depth = 0
    var end = offset
    repeat {
      if byte(end) == UInt8(ascii: "/"), byte(end + 1) == UInt8(ascii: "*"), byte(end + 2) != UInt8(ascii: "+") {
        depth += 1
        end += 2
      } else if byte(end) == UInt8(ascii: "*"), byte(end + 1) == UInt8(ascii: "/") {
        depth -= 1
        end += 2
      } else {
        end += 1
      }
    } while depth > 0 && end < bytes.count
    if depth > 0 {
      report("a comment does not end: */ is missing", to: bytes.count)
    } else {
      offset = end
    }
  }
}

// MARK: - Numbers

extension Lexer {
  private mutating func number() {
    let digitsEnd = skipDigits(from: offset)
    var wordEnd = digitsEnd
    if digitsEnd > offset { while isWordByte(byte(wordEnd)) { wordEnd += 1 } }

    // Candidates without a point, which the same text as a word beats when it is longer: `1e3L` is a name.
    var end = digitsEnd
    var form = NumberToken.Form.digits
    var textEnd = digitsEnd
    if digitsEnd > offset {
      let exponentEnd = skipExponent(from: digitsEnd)
      if exponentEnd > digitsEnd { (end, textEnd, form) = (exponentEnd, exponentEnd, .exponent) }
      if let (suffix, suffixEnd) = suffix(at: textEnd, integer: textEnd == digitsEnd) {
        (end, form) = (suffixEnd, suffix)
      }
    }

    // With a point: the longest that no letter, digit or underscore follows.
    if byte(digitsEnd) == UInt8(ascii: ".") {
      let fractionEnd = skipDigits(from: digitsEnd + 1)
      if fractionEnd - offset > 1 {
        let exponentEnd = skipExponent(from: fractionEnd)
        var candidates: [(end: Int, textEnd: Int, form: NumberToken.Form)] = [(fractionEnd, fractionEnd, .decimal)]
        if exponentEnd > fractionEnd { candidates.append((exponentEnd, exponentEnd, .exponent)) }
        if let (suffix, suffixEnd) = suffix(at: exponentEnd, integer: false) {
          candidates.append((suffixEnd, exponentEnd, suffix))
        }
        if let best = candidates.last(where: { !isWordByte(byte($0.end)) }), best.end > end {
          (end, textEnd, form) = best
        } else if digitsEnd == offset {
          let last = candidates.last?.end ?? fractionEnd
          return report(
            "'\(String(decoding: bytes[offset..<last], as: UTF8.self))' is followed by a letter or digit; put a space between",
            to: last)
        }
      }
    }

    if wordEnd > end { return word() }
    let text = String(decoding: bytes[offset..<textEnd], as: UTF8.self)
    add(.number(NumberToken(form: form, text: text)), to: end)
  }

  private func skipDigits(from start: Int) -> Int {
    var end = start
    while isDigit(byte(end)) { end += 1 }
    return end
  }

  private func skipExponent(from start: Int) -> Int {
    guard byte(start) | 0x20 == UInt8(ascii: "e") else { return start }
    var digits = start + 1
    if byte(digits) == UInt8(ascii: "+") || byte(digits) == UInt8(ascii: "-") { digits += 1 }
    let end = skipDigits(from: digits)
    return end > digits ? end : start
  }

  private func suffix(at position: Int, integer: Bool) -> (NumberToken.Form, Int)? {
    switch byte(position) | 0x20 {
    case UInt8(ascii: "l") where integer: (.bigint, position + 1)
    case UInt8(ascii: "s") where integer: (.smallint, position + 1)
    case UInt8(ascii: "y") where integer: (.tinyint, position + 1)
    case UInt8(ascii: "f"): (.float, position + 1)
    case UInt8(ascii: "d"): (.double, position + 1)
    case UInt8(ascii: "b") where byte(position + 1) | 0x20 == UInt8(ascii: "d"): (.bigDecimal, position + 2)
    default: nil
    }
  }
}

// MARK: - Strings

extension Lexer {
  private mutating func rawString(quote: UInt8) {
    let start = offset + 2
    guard let end = bytes[start...].firstIndex(of: quote) else {
      return report("a raw string does not end: \(quoteName(quote)) is missing", to: bytes.count)
    }
    add(.string(Array(bytes[start..<end])), to: end + 1)
  }

  private mutating func string(quote: UInt8) {
    var value: [UInt8] = []
    var position = offset + 1
    while position < bytes.count {
      let byte = bytes[position]
      if byte == quote {
        guard self.byte(position + 1) == quote else { return add(.string(value), to: position + 1) }
        value.append(quote)
        position += 2
      } else if byte == UInt8(ascii: "\\"), position + 1 < bytes.count {
        position = unescape(at: position, into: &value)
      } else {
        value.append(byte)
        position += 1
      }
    }
    report("a string does not end: \(quoteName(quote)) is missing", to: bytes.count)
  }

  private func quoteName(_ quote: UInt8) -> String {
    quote == UInt8(ascii: "'") ? "'" : "\""
  }

  /// Reads a backslash and what it stands for; returns the position behind it.
  private func unescape(at position: Int, into value: inout [UInt8]) -> Int {
    let next = byte(position + 1)
    switch next {
    case UInt8(ascii: "n"): value.append(0x0A)
    case UInt8(ascii: "r"): value.append(0x0D)
    case UInt8(ascii: "t"): value.append(0x09)
    case UInt8(ascii: "b"): value.append(0x08)
    case UInt8(ascii: "Z"): value.append(0x1A)
    case UInt8(ascii: "%"), UInt8(ascii: "_"): value += [UInt8(ascii: "\\"), next]
    case UInt8(ascii: "u"):
      guard let unit = hexadecimal(at: position + 2, digits: 4) else { break }
      if (0xD800..<0xDC00).contains(unit), byte(position + 6) == UInt8(ascii: "\\"),
        byte(position + 7) == UInt8(ascii: "u"), let low = hexadecimal(at: position + 8, digits: 4),
        (0xDC00..<0xE000).contains(low)
      {
        append(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00), to: &value)
        return position + 12
      }
      append(unit, to: &value)
      return position + 6
    case UInt8(ascii: "U"):
      guard let code = hexadecimal(at: position + 2, digits: 8) else { break }
      append(code, to: &value)
      return position + 10
    case UInt8(ascii: "0"), UInt8(ascii: "1"):
      let second = byte(position + 2)
      let third = byte(position + 3)
      if isOctal(second), isOctal(third) {
        append(UInt32(next - 48) << 6 | UInt32(second - 48) << 3 | UInt32(third - 48), to: &value)
        return position + 4
      }
      value.append(next == UInt8(ascii: "0") ? 0 : next)
    default:
      value.append(next)
    }
    // `\u41`, too short for an escape, is just `u41`.
    if next | 0x20 == UInt8(ascii: "u") { value.append(next) }
    return position + 2
  }

  private func hexadecimal(at start: Int, digits: Int) -> UInt32? {
    guard start + digits <= bytes.count else { return nil }
    var value: UInt32 = 0
    for byte in bytes[start..<(start + digits)] {
      guard let digit = hexadecimalDigit(byte) else { return nil }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  /// A lone surrogate or a number beyond Unicode becomes `?`, as Java encodes it.
  private func append(_ code: UInt32, to value: inout [UInt8]) {
    value += Array(String(Unicode.Scalar(code) ?? "?").utf8)
  }
}

private func isDigit(_ byte: UInt8) -> Bool {
  byte &- 48 < 10
}

private func isOctal(_ byte: UInt8) -> Bool {
  byte &- 48 < 8
}

private func isWordByte(_ byte: UInt8) -> Bool {
  isDigit(byte) || (byte | 0x20) &- 97 < 26 || byte == UInt8(ascii: "_")
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
  if isDigit(byte) { return byte - 48 }
  let letter = byte | 0x20
  return letter &- 97 < 6 ? letter - 87 : nil
}

/// Numbers and booleans as text, in Java's syntax, which is Spark's.
package enum NumberConversion {
  /// The part of a text without the white space and control characters of ASCII around it.
  package static func trimmed(_ text: Span<UInt8>) -> Range<Int> {
    var start = 0
    var end = text.count
    while start < end, isBlank(text[start]) { start += 1 }
    while end > start, isBlank(text[end - 1]) { end -= 1 }
    return start..<end
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte <= 0x20 || byte == 0x7F
  }

  // MARK: Integers

  /// Digits with an optional sign: no fraction, no exponent.
  package static func integer(of text: Span<UInt8>, in range: ClosedRange<Int64>) throws(EvaluationError) -> Int64 {
    let trimmed = trimmed(text)
    var index = trimmed.lowerBound
    let end = trimmed.upperBound
    var negative = false
    if index < end, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
      negative = text[index] == UInt8(ascii: "-")
      index += 1
    }
    guard index < end else { throw .castInvalidInput }
    // Accumulated below zero, where the range is one greater.
    var value: Int64 = 0
    while index < end {
      let digit = text[index] &- 48
      guard digit <= 9 else { throw .castInvalidInput }
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, underflow) = scaled.subtractingReportingOverflow(Int64(digit))
      guard !overflow, !underflow else { throw .castInvalidInput }
      value = next
      index += 1
    }
    if !negative {
      guard value != .min else { throw .castInvalidInput }
      value = -value
    }
    guard range.contains(value) else { throw .castInvalidInput }
    return value
  }

  /// The decimal text of an integer.
  package static func text(_ value: Int64) -> [UInt8] {
    var magnitude = value.magnitude
    if magnitude == 0 { return [48] }
    var digits: [UInt8] = []
    digits.reserveCapacity(20)
    while magnitude > 0 {
      digits.append(UInt8(truncatingIfNeeded: magnitude % 10) + 48)
      magnitude /= 10
    }
    if value < 0 { digits.append(UInt8(ascii: "-")) }
    digits.reverse()
    return digits
  }

  // MARK: Booleans

  /// `t true y yes 1` and `f false n no 0`, in any case.
  package static func boolean(of text: Span<UInt8>) throws(EvaluationError) -> Bool {
    let range = trimmed(text)
    guard (1...5).contains(range.count) else { throw .castInvalidInput }
    var word: UInt64 = 0
    for index in range {
      let byte = text[index]
      word = word << 8 | UInt64(byte >= 65 && byte <= 90 ? byte | 0x20 : byte)
    }
    switch word {
    case 0x74, 0x7472_7565, 0x79, 0x79_6573, 0x31: return true
    case 0x66, 0x66_616C_7365, 0x6E, 0x6E6F, 0x30: return false
    default: throw .castInvalidInput
    }
  }

  // MARK: Doubles from text

  /// A double in the syntax of `Double.parseDouble`, correctly rounded; also `NaN`, `inf` and `infinity` in any case.
  package static func double(of text: Span<UInt8>) throws(EvaluationError) -> Double {
    switch try scan(text) {
    case .special(let value): return value
    case .exact(let digits, let exponent, let negative):
      let scale = DecimalArithmetic.exactPowersOfTen[abs(exponent)]
      let magnitude = exponent < 0 ? Double(digits) / scale : Double(digits) * scale
      return negative ? -magnitude : magnitude
    case .text(let string):
      guard let value = Double(string) else { throw .castInvalidInput }
      return value
    }
  }

  /// A 32-bit float in the same syntax, rounded once.
  package static func float(of text: Span<UInt8>) throws(EvaluationError) -> Double {
    switch try scan(text) {
    case .special(let value): return value
    case .exact, .text:
      guard case .text(let string) = try scan(text, exact: false), let value = Float(string) else {
        throw .castInvalidInput
      }
      return Double(value)
    }
  }

  private enum Scanned {
    case special(Double)
    /// digits × 10^exponent with digits below 2^53 and an exponent of at most 22, which one operation rounds correctly.
    case exact(digits: UInt64, exponent: Int, negative: Bool)
    case text(String)
  }

  private static func scan(_ text: Span<UInt8>, exact: Bool = true) throws(EvaluationError) -> Scanned {
    let range = trimmed(text)
    var index = range.lowerBound
    var end = range.upperBound
    guard index < end else { throw .castInvalidInput }
    var negative = false
    if text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
      negative = text[index] == UInt8(ascii: "-")
      index += 1
    }
    if let word = special(text, index..<end) {
      return .special(word == "nan" ? .nan : negative ? -.infinity : .infinity)
    }
    if end - index > 1 {
      let last = text[end - 1] | 0x20
      let hexadecimal = text[index] == 48 && end - index > 2 && text[index + 1] | 0x20 == UInt8(ascii: "x")
      if last == UInt8(ascii: "d") || last == UInt8(ascii: "f") { end -= 1 }
      if hexadecimal {
        return .text(try hexadecimalText(text, index..<end, negative: negative))
      }
    }
    var digits: UInt64 = 0
    var significant = 0
    var exponent = 0
    var count = 0
    var position = index
    var sawPoint = false
    while position < end {
      let byte = text[position]
      if byte >= 48 && byte <= 57 {
        count += 1
        if significant > 0 || byte != 48 {
          significant += 1
          if significant <= 18 { digits = digits * 10 + UInt64(byte - 48) }
        }
        if sawPoint { exponent -= 1 }
      } else if byte == UInt8(ascii: "."), !sawPoint {
        sawPoint = true
      } else {
        break
      }
      position += 1
    }
    guard count > 0 else { throw .castInvalidInput }
    if position < end {
      guard text[position] | 0x20 == UInt8(ascii: "e") else { throw .castInvalidInput }
      position += 1
      var negativeExponent = false
      if position < end, text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
        negativeExponent = text[position] == UInt8(ascii: "-")
        position += 1
      }
      guard position < end else { throw .castInvalidInput }
      var written = 0
      while position < end {
        guard text[position] >= 48 && text[position] <= 57 else { throw .castInvalidInput }
        written = min(written * 10 + Int(text[position] - 48), 1_000_000_000)
        position += 1
      }
      exponent += negativeExponent ? -written : written
    }
    if significant == 0 { return .special(negative ? -0.0 : 0.0) }
    if exact, significant <= 18, digits < 1 << 53, abs(exponent) <= 22 {
      return .exact(digits: digits, exponent: exponent, negative: negative)
    }
    // Beyond these the value is zero or infinite whatever its digits, so the conversion need not read such exponents.
    if exponent + significant > 400 { return .special(negative ? -.infinity : .infinity) }
    if exponent + significant < -400 { return .special(negative ? -0.0 : 0.0) }
    var string = negative ? "-" : ""
    for position in index..<end where text[position] != UInt8(ascii: "+") || position > index {
      string.unicodeScalars.append(Unicode.Scalar(text[position]))
    }
    if string.hasSuffix(".") { string.append("0") }
    return .text(string)
  }

  private static func special(_ text: Span<UInt8>, _ range: Range<Int>) -> String? {
    guard range.count == 3 || range.count == 8 else { return nil }
    var word: [UInt8] = []
    for index in range { word.append(text[index] | 0x20) }
    if word == Array("nan".utf8) { return "nan" }
    return word == Array("inf".utf8) || word == Array("infinity".utf8) ? "infinity" : nil
  }

  /// `0x` digits with a point, then a mandatory `p` exponent.
  private static func hexadecimalText(
    _ text: Span<UInt8>, _ range: Range<Int>, negative: Bool
  ) throws(EvaluationError) -> String {
    var string = negative ? "-0x" : "0x"
    var position = range.lowerBound + 2
    var digits = 0
    var sawPoint = false
    var fraction = 0
    while position < range.upperBound, text[position] | 0x20 != UInt8(ascii: "p") {
      let byte = text[position]
      if byte == UInt8(ascii: "."), !sawPoint {
        sawPoint = true
        if digits == 0 { string.append("0") }
      } else if byte >= 48 && byte <= 57 || (byte | 0x20) >= 97 && (byte | 0x20) <= 102 {
        digits += 1
        if sawPoint { fraction += 1 }
      } else {
        throw .castInvalidInput
      }
      string.unicodeScalars.append(Unicode.Scalar(byte))
      position += 1
    }
    if sawPoint, fraction == 0 { string.append("0") }
    guard digits > 0, position + 1 < range.upperBound else { throw .castInvalidInput }
    string.append("p")
    position += 1
    if text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
      string.unicodeScalars.append(Unicode.Scalar(text[position]))
      position += 1
    }
    guard position < range.upperBound, range.upperBound - position <= 9 else { throw .castInvalidInput }
    while position < range.upperBound {
      guard text[position] >= 48 && text[position] <= 57 else { throw .castInvalidInput }
      string.unicodeScalars.append(Unicode.Scalar(text[position]))
      position += 1
    }
    return string
  }

  // MARK: Doubles to text

  /// The shortest digits that read back as a finite double, and the power of ten of the last one.
  static func shortestDigits(_ value: Double) -> (digits: UInt64, exponent: Int) {
    decimalDigits(of: value.magnitude.description.utf8)
  }

  private static func decimalDigits(of description: String.UTF8View) -> (digits: UInt64, exponent: Int) {
    var digits: UInt64 = 0
    var exponent = 0
    var sawPoint = false
    var sawExponent = false
    var negative = false
    var written = 0
    for byte in description {
      switch byte {
      case UInt8(ascii: "."): sawPoint = true
      case UInt8(ascii: "e"): sawExponent = true
      case UInt8(ascii: "-"): negative = true
      case 48...57:
        if sawExponent {
          written = written * 10 + Int(byte - 48)
        } else {
          digits = digits &* 10 &+ UInt64(byte - 48)
          if sawPoint { exponent -= 1 }
        }
      default: break
      }
    }
    exponent += negative ? -written : written
    while digits != 0, digits % 10 == 0 {
      digits /= 10
      exponent += 1
    }
    return (digits, exponent)
  }

  /// A double as `Double.toString` of Java writes it: `100.0`, `0.001`, `1.0E-4`, `1.0E7`, `-0.0`, `NaN`, `Infinity`.
  package static func text(_ value: Double) -> [UInt8] {
    if let special = specialText(value) { return special }
    // Of the two smallest doubles Java writes two digits, which lie nearer than the shortest one.
    if value.magnitude.bitPattern == 1 { return Array((value < 0 ? "-4.9E-324" : "4.9E-324").utf8) }
    if value.magnitude.bitPattern == 2 { return Array((value < 0 ? "-9.9E-324" : "9.9E-324").utf8) }
    let digits = wholeDigits(value.magnitude, significantBits: 53) ?? shortestDigits(value)
    return javaText(digits: digits, magnitude: value.magnitude, negative: value < 0)
  }

  /// The digits that Java before 19 gives to whole numbers that fit 63 bits: the exact ones less those that the precision
  /// cannot tell, rounded, which may be one more than the shortest.
  ///
  /// `nil` where they are the shortest ones.
  private static func wholeDigits(_ magnitude: Double, significantBits: Int) -> (digits: UInt64, exponent: Int)? {
    let surplus = Int(magnitude.exponent) - significantBits - 1
    guard surplus > 1, magnitude < 0x1p63 else { return nil }
    // Digits below 2^surplus: ⌊surplus × log₁₀ 2⌋.
    let dropped = surplus * 30_103 / 100_000
    let unit = UInt64(DecimalArithmetic.powersOfTen[dropped])
    let (quotient, rest) = UInt64(magnitude).quotientAndRemainder(dividingBy: unit)
    var digits = quotient + (dropped > 0 && rest >= unit / 2 ? 1 : 0)
    var exponent = dropped
    while digits % 10 == 0 {
      digits /= 10
      exponent += 1
    }
    return (digits, exponent)
  }

  /// A 32-bit float as `Float.toString` of Java writes it.
  package static func text(float value: Double) -> [UInt8] {
    if let special = specialText(value) { return special }
    let magnitude = Float(value.magnitude)
    if magnitude.bitPattern == 1 { return Array((value < 0 ? "-1.4E-45" : "1.4E-45").utf8) }
    let digits = wholeDigits(value.magnitude, significantBits: 24) ?? decimalDigits(of: magnitude.description.utf8)
    return javaText(digits: digits, magnitude: value.magnitude, negative: value < 0)
  }

  private static func specialText(_ value: Double) -> [UInt8]? {
    if value.isNaN { return Array("NaN".utf8) }
    if value.isInfinite { return Array((value < 0 ? "-Infinity" : "Infinity").utf8) }
    if value == 0 { return Array((value.sign == .minus ? "-0.0" : "0.0").utf8) }
    return nil
  }

  private static func javaText(
    digits: (digits: UInt64, exponent: Int), magnitude: Double, negative: Bool
  ) -> [UInt8] {
    var digitText = text(Int64(digits.digits))
    // The value is 0.d1d2d3… × 10^point.
    let point = digitText.count + digits.exponent
    var result: [UInt8] = negative ? [UInt8(ascii: "-")] : []
    if magnitude >= 1e-3 && magnitude < 1e7 {
      if point <= 0 {
        result += [48, UInt8(ascii: ".")]
        result += [UInt8](repeating: 48, count: -point)
        result += digitText
      } else {
        while digitText.count <= point { digitText.append(48) }
        result += digitText[..<point]
        result.append(UInt8(ascii: "."))
        result += digitText[point...]
      }
      return result
    }
    if digitText.count == 1 { digitText.append(48) }
    result.append(digitText[0])
    result.append(UInt8(ascii: "."))
    result += digitText[1...]
    result.append(UInt8(ascii: "E"))
    result += text(Int64(point - 1))
    return result
  }
}

/// A number's text → its type and value, or why it has none.
struct NumberLiteral {
  var type: DataType
  var value: Value

  init(_ number: NumberToken, negative: Bool) throws(LiteralError) {
    let sign = negative ? "-" : ""
    switch number.form {
    case .digits:
      if let value = Int32(sign + number.text) {
        self.init(type: .int, value: .integer(Int64(value)))
      } else if let value = Int64(sign + number.text) {
        self.init(type: .bigint, value: .integer(value))
      } else {
        self = try Self.decimal(number.text, negative: negative)
      }
    case .decimal, .bigDecimal:
      self = try Self.decimal(number.text, negative: negative)
    case .tinyint:
      guard let value = Int8(sign + number.text) else {
        throw Self.outOfRange(sign + number.text, "TINYINT, −128 to 127")
      }
      self.init(type: .tinyint, value: .integer(Int64(value)))
    case .smallint:
      guard let value = Int16(sign + number.text) else {
        throw Self.outOfRange(sign + number.text, "SMALLINT, −32768 to 32767")
      }
      self.init(type: .smallint, value: .integer(Int64(value)))
    case .bigint:
      guard let value = Int64(sign + number.text) else {
        throw Self.outOfRange(sign + number.text, "BIGINT, −9223372036854775808 to 9223372036854775807")
      }
      self.init(type: .bigint, value: .integer(value))
    case .exponent, .double:
      guard let value = Double(Self.complete(number.text)), value.isFinite else {
        throw Self.outOfRange(sign + number.text, "DOUBLE, up to 1.7976931348623157E308")
      }
      self.init(type: .double, value: .double(negative ? -value : value))
    case .float:
      guard let value = Float(Self.complete(number.text)), value.isFinite else {
        throw Self.outOfRange(sign + number.text, "FLOAT, up to 3.4028235E38")
      }
      self.init(type: .float, value: .double(Double(negative ? -value : value)))
    }
  }

  private init(type: DataType, value: Value) {
    self.type = type
    self.value = value
  }

  private static func outOfRange(_ text: String, _ type: String) -> LiteralError {
    LiteralError("\(text) is out of the range of \(type)")
  }

  /// `5.` and `.5` with the digit that stands for nothing.
  private static func complete(_ text: String) -> String {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return text }
    let fraction = parts[1].first.map { "0123456789".contains($0) } == true ? String(parts[1]) : "0" + parts[1]
    return (parts[0].isEmpty ? "0" : String(parts[0])) + "." + fraction
  }

  /// An exact decimal: as many digits as are written without leading zeros, and at least as many as behind the point.
  private static func decimal(_ text: String, negative: Bool) throws(LiteralError) -> Self {
    var exponent = 0
    var mantissa = text[...]
    if let mark = text.firstIndex(where: { $0 == "e" || $0 == "E" }) {
      mantissa = text[..<mark]
      let digits = text[text.index(after: mark)...]
      exponent = Int(digits.first == "+" ? digits.dropFirst() : digits) ?? (digits.first == "-" ? -100 : 100)
    }
    var unscaled: Int128 = 0
    var digitCount = 0
    var scale = 0
    var isFraction = false
    for character in mantissa.utf8 {
      if character == UInt8(ascii: ".") {
        isFraction = true
        continue
      }
      if isFraction { scale += 1 }
      if digitCount > 0 || character != UInt8(ascii: "0") { digitCount += 1 }
      guard digitCount <= 38, scale <= 38 + 38 else { throw tooLong }
      unscaled = unscaled * 10 + Int128(character - 48)
    }
    scale -= max(-1_000, min(1_000, exponent))
    // A negative scale is written out as zeros.
    while scale < 0 {
      scale += 1
      if unscaled != 0 {
        digitCount += 1
        guard digitCount <= 38 else { throw tooLong }
        unscaled *= 10
      }
    }
    let precision = max(digitCount, scale, 1)
    guard precision <= 38 else { throw tooLong }
    return Self(type: .decimal(precision: precision, scale: scale), value: .decimal(negative ? -unscaled : unscaled))
  }

  private static let tooLong = LiteralError("a decimal has at most 38 digits; write an exponent for a DOUBLE")
}

/// Why the text of a literal has no value.
struct LiteralError: Error {
  var message: String

  init(_ message: String) {
    self.message = message
  }
}

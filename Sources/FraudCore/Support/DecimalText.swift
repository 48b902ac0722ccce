/// Numbers as JSON writes them, taken apart and turned into integers and doubles, correctly rounded.
struct DecimalText {
  /// The digits without point and leading zeros, as far as 19 of them go.
  var mantissa: UInt64 = 0
  /// The power of ten that the mantissa is to be multiplied with.
  var exponent = 0
  var isNegative = false
  /// Whether digits other than zero were left out of the mantissa.
  var isTruncated = false
  /// Whether there is neither point nor exponent.
  var isInteger = true
  /// Where the number ends.
  var end = 0

  /// Reads the number that starts at `start`, or nothing where RFC 8259 knows none there.
  init?(_ bytes: Span<UInt8>, _ start: Int, _ limit: Int) {
    let end = JSONScanner.skipNumber(bytes, start, limit)
    guard end >= 0 else { return nil }
    self.end = end
    var index = start
    if bytes[index] == UInt8(ascii: "-") {
      isNegative = true
      index += 1
    }
    var significant = 0
    var fraction = false
    digits: while index < end {
      let byte = bytes[index]
      switch byte {
      case UInt8(ascii: "."):
        fraction = true
        isInteger = false
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        if significant < 19 {
          mantissa = mantissa &* 10 &+ UInt64(byte &- 0x30)
          if mantissa != 0 { significant += 1 }
          if fraction { exponent -= 1 }
        } else {
          if byte != 0x30 { isTruncated = true }
          if !fraction { exponent += 1 }
        }
      default:
        isInteger = false
        break digits
      }
      index += 1
    }
    guard index < end else { return }
    // The exponent; beyond ±100,000 more digits change nothing that a mantissa of a mebibyte could turn.
    index += 1
    let negative = bytes[index] == UInt8(ascii: "-")
    if bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") { index += 1 }
    var written = 0
    while index < end {
      if written < 100_000_000 { written = written * 10 + Int(bytes[index] &- 0x30) }
      index += 1
    }
    exponent += negative ? -written : written
  }

  /// The number as a 64-bit integer; nothing where it does not fit. Call only for integers.
  var integer: Int64? {
    guard !isTruncated, exponent == 0 else { return nil }
    if isNegative {
      guard mantissa <= UInt64(Int64.max) + 1 else { return nil }
      return Int64(truncatingIfNeeded: 0 &- mantissa)
    }
    return Int64(exactly: mantissa)
  }

  /// The nearest double, ties to even; infinite where the number is too large.
  func double(_ bytes: Span<UInt8>, _ start: Int) -> Double {
    let magnitude: Double
    if !isTruncated {
      magnitude = Self.nearest(mantissa, exponent)
    } else {
      let low = Self.nearest(mantissa, exponent)
      // With more than 19 digits the number lies between two mantissas; mostly both round to the same double.
      magnitude = low == Self.nearest(mantissa + 1, exponent) ? low : parsed(bytes, start).magnitude
    }
    return isNegative ? -magnitude : magnitude
  }

  /// The standard library's answer, for the rare number with more than 19 digits that lies next to a tie.
  private func parsed(_ bytes: Span<UInt8>, _ start: Int) -> Double {
    var text = ""
    for index in start..<end { text.unicodeScalars.append(UnicodeScalar(bytes[index])) }
    return Double(text) ?? .infinity
  }

  /// The double nearest to `mantissa` times a power of ten.
  ///
  /// - Source: W. Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990, https://doi.org/10.1145/93542.93557,
  ///   for what one operation on exact doubles decides; D. Lemire as in ``PowersOfFive`` for the rest; that no case is left
  ///   over: N. Mushtak, D. Lemire, "Fast Number Parsing Without Fallback", https://doi.org/10.1002/spe.3198.
  static func nearest(_ mantissa: UInt64, _ exponent: Int) -> Double {
    if mantissa == 0 || exponent < -342 { return 0 }
    if exponent > 308 { return .infinity }
    if mantissa <= 1 << 53 && (-22...22).contains(exponent) {
      let value = Double(mantissa)
      return exponent < 0 ? value / powersOfTen[-exponent] : value * powersOfTen[exponent]
    }
    let powers = PowersOfFive.shared
    let shift = mantissa.leadingZeroBitCount
    let normalized = mantissa << UInt64(shift)
    var (high, low) = normalized.multipliedFullWidth(by: powers.high(exponent))
    if high & 0x1FF == 0x1FF {
      let second = normalized.multipliedFullWidth(by: powers.low(exponent)).high
      low &+= second
      if second > low { high &+= 1 }
    }
    let upper = Int(high >> 63)
    var bits = high >> UInt64(upper + 9)
    // 217,706 / 65,536 approximates the binary logarithm of ten, whose floor is exact in this range.
    var binary = ((217_706 * exponent) >> 16) + 63 + upper - shift + 1_023
    if binary <= 0 {
      // A subnormal: round the shifted bits.
      if 1 - binary >= 64 { return 0 }
      bits >>= UInt64(1 - binary)
      bits += bits & 1
      bits >>= 1
      return Double(bitPattern: bits)
    }
    // Exactly between two doubles: to even, where the product is exact.
    if low <= 1 && (-4...23).contains(exponent) && bits & 3 == 1 && bits << UInt64(upper + 9) == high { bits &= ~1 }
    bits += bits & 1
    bits >>= 1
    if bits >= 1 << 53 {
      bits = 1 << 52
      binary += 1
    }
    if binary >= 0x7FF { return .infinity }
    return Double(bitPattern: UInt64(binary) << 52 | bits & ~(1 << 52))
  }

  /// 10^0 to 10^22, all exact.
  static let powersOfTen: [23 of Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21,
    1e22,
  ]
}

extension DecimalText {
  /// The number as microseconds, of a count of seconds, milliseconds or microseconds with or without a fraction; what is
  /// smaller than a microsecond is dropped. Nothing where it does not fit.
  func microseconds(in unit: TimestampUnit) -> Int64? {
    let power = exponent + (unit == .seconds ? 6 : unit == .milliseconds ? 3 : 0)
    guard !isTruncated || power < 0 else { return nil }
    if mantissa == 0 || power < -19 { return 0 }
    var value = mantissa
    if power > 0 {
      for _ in 0..<min(power, 20) {
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        if overflow { return nil }
        value = product
      }
    } else {
      for _ in 0..<(-power) { value /= 10 }
    }
    guard let magnitude = Int64(exactly: value) else { return nil }
    return isNegative ? -magnitude : magnitude
  }
}

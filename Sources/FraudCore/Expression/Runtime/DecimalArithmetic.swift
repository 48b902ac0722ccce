/// Exact arithmetic on DECIMAL values: an unscaled `Int128` of at most 38 digits, whose scale is in the type.
///
/// Every operation computes the exact result, rounds it HALF_UP (away from zero) to the scale of the result type and throws
/// where that takes more digits than the type's precision, as `java.math.BigDecimal` under Spark's ANSI mode does.
/// Intermediate results take up to 256 bits.
package enum DecimalArithmetic {
  /// 10 to the power 0 ... 38, all that fit into 128 bits.
  static let powersOfTen: [UInt128] = {
    var powers: [UInt128] = [1]
    while powers.count <= 38 { powers.append(powers[powers.count - 1] * 10) }
    return powers
  }()

  /// Changes the scale of a value, and checks that it fits.
  package static func rescale(
    _ value: Int128, from scale: Int, to newScale: Int, precision: Int
  ) throws(EvaluationError) -> Int128 {
    if scale == newScale { return try checked(value.magnitude, negative: value < 0, precision: precision) }
    if newScale > scale {
      let scaled = scaledUp(value.magnitude, by: newScale - scale)
      return try checked(scaled, negative: value < 0, precision: precision)
    }
    let rounded = roundedDown(UInt256(value.magnitude), by: scale - newScale)
    return try checked(rounded, negative: value < 0, precision: precision)
  }

  package static func add(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    if aScale == bScale, aScale == resultScale {
      // Two values of 38 digits cannot leave 127 bits by addition: 2 × 10^38 is more than 2^127, so check.
      let (sum, overflow) = a.addingReportingOverflow(b)
      if overflow { throw .decimalOverflow }
      return try checked(sum.magnitude, negative: sum < 0, precision: resultPrecision)
    }
    let scale = max(aScale, bScale)
    let left = scaledUp(a.magnitude, by: scale - aScale)
    let right = scaledUp(b.magnitude, by: scale - bScale)
    let sum: UInt256
    let negative: Bool
    if (a < 0) == (b < 0) {
      sum = left + right
      negative = a < 0
    } else if left < right {
      sum = right - left
      negative = b < 0
    } else {
      sum = left - right
      negative = a < 0
    }
    return try checked(
      rescaled(sum, from: scale, to: resultScale), negative: negative, precision: resultPrecision)
  }

  package static func subtract(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    try add(
      a, scale: aScale, 0 &- b, scale: bScale, resultPrecision: resultPrecision, resultScale: resultScale)
  }

  package static func multiply(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    let product = UInt256(product: a.magnitude, b.magnitude)
    return try checked(
      rescaled(product, from: aScale + bScale, to: resultScale), negative: (a < 0) != (b < 0),
      precision: resultPrecision)
  }

  package static func divide(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    if b == 0 { throw .divideByZero }
    let negative = (a < 0) != (b < 0)
    let quotient = try roundedQuotient(
      a.magnitude, b.magnitude, shift: resultScale + bScale - aScale)
    return try checked(UInt256(quotient), negative: negative, precision: resultPrecision)
  }

  /// The remainder with the sign of the dividend, and the quotient's sign does not matter.
  package static func remainder(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    if b == 0 { throw .remainderByZero }
    let scale = max(aScale, bScale)
    let rest = remainderMagnitude(a.magnitude, aScale, b.magnitude, bScale)
    return try checked(
      rescaled(UInt256(rest), from: scale, to: resultScale), negative: a < 0, precision: resultPrecision)
  }

  /// `pmod`: the remainder, made non-negative for a positive divisor by adding the divisor once.
  package static func positiveRemainder(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    if b == 0 { throw .remainderByZero }
    let scale = max(aScale, bScale)
    let rest = remainderMagnitude(a.magnitude, aScale, b.magnitude, bScale)
    if a < 0, rest != 0, b > 0 {
      let positive = scaledUp(b.magnitude, by: scale - bScale) - UInt256(rest)
      return try checked(
        rescaled(positive, from: scale, to: resultScale), negative: false, precision: resultPrecision)
    }
    // With a negative divisor b and remainder r, Spark's (r + b) % b is r again.
    return try checked(
      rescaled(UInt256(rest), from: scale, to: resultScale), negative: a < 0, precision: resultPrecision)
  }

  /// `DIV`: the quotient truncated toward zero, as a BIGINT: its low 64 bits, as Spark has it, where it does not fit. More
  /// than 38 digits raise.
  package static func integralQuotient(
    _ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int
  ) throws(EvaluationError) -> Int64 {
    if b == 0 { throw .divideByZero }
    let scale = max(aScale, bScale)
    let dividend = scaledUp(a.magnitude, by: scale - aScale)
    let divisor = scaledUp(b.magnitude, by: scale - bScale)
    // A divisor beyond 128 bits is greater than any dividend, which then is unscaled.
    let quotient = divisor.high != 0 ? UInt256(0) : dividend.divided(by: divisor.low).quotient
    let negative = (a < 0) != (b < 0)
    guard quotient.high == 0, quotient.low < 100_000_000_000_000_000_000_000_000_000_000_000_000 else {
      throw .decimalOverflow
    }
    let magnitude = UInt64(truncatingIfNeeded: quotient.low)
    return negative ? Int64(bitPattern: 0 &- magnitude) : Int64(bitPattern: magnitude)
  }

  /// −1, 0 or 1, exactly, whatever the scales.
  package static func compare(_ a: Int128, scale aScale: Int, _ b: Int128, scale bScale: Int) -> Int {
    if aScale == bScale { return a < b ? -1 : a == b ? 0 : 1 }
    if (a < 0) != (b < 0) || a == 0 || b == 0 { return a < b ? -1 : a == b ? 0 : 1 }
    let scale = max(aScale, bScale)
    let left = scaledUp(a.magnitude, by: scale - aScale)
    let right = scaledUp(b.magnitude, by: scale - bScale)
    if left == right { return 0 }
    return (left < right) == (a >= 0) ? -1 : 1
  }

  /// `round`, `bround`: HALF_UP or HALF_EVEN at a digit that may lie left of the point.
  package static func round(
    _ value: Int128, scale: Int, to digits: Int, halfEven: Bool = false, resultPrecision: Int, resultScale: Int
  ) throws(EvaluationError) -> Int128 {
    if digits >= scale {
      return try rescale(value, from: scale, to: resultScale, precision: resultPrecision)
    }
    let drop = scale - digits
    guard drop <= 38 else { return 0 }
    let unit = powersOfTen[drop]
    let (quotient, rest) = value.magnitude.quotientAndRemainder(dividingBy: unit)
    // 2 × rest < 2 × 10^38, within 128 unsigned bits.
    let up = rest &* 2 > unit || (rest &* 2 == unit && (!halfEven || quotient & 1 == 1))
    let rounded = quotient + (up ? 1 : 0)
    let scaled = scaledUp(rounded, by: max(0, resultScale - digits))
    return try checked(scaled, negative: value < 0, precision: resultPrecision)
  }

  /// The greatest whole number not above a value, as an unscaled value of scale 0.
  package static func floor(_ value: Int128, scale: Int) -> Int128 {
    let unit = Int128(powersOfTen[scale])
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: unit)
    return rest < 0 ? quotient - 1 : quotient
  }

  /// The least whole number not below a value, as an unscaled value of scale 0.
  package static func ceiling(_ value: Int128, scale: Int) -> Int128 {
    let unit = Int128(powersOfTen[scale])
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: unit)
    return rest > 0 ? quotient + 1 : quotient
  }

  /// The whole part, truncated toward zero, if it is in a range.
  package static func integer(
    _ value: Int128, scale: Int, in range: ClosedRange<Int64>
  ) throws(EvaluationError) -> Int64 {
    let whole = value / Int128(powersOfTen[scale])
    guard let integer = Int64(exactly: whole), range.contains(integer) else { throw .castOverflow }
    return integer
  }

  /// The nearest double, ties to even.
  package static func double(_ value: Int128, scale: Int) -> Double {
    if value.magnitude < 1 << 53, scale <= 22 {
      // Both exact, so the one division rounds correctly (Clinger).
      return Double(Int64(truncatingIfNeeded: value)) / exactPowersOfTen[scale]
    }
    return Double(String(value) + "e-" + String(scale)) ?? 0
  }

  /// A double as a DECIMAL, by way of its shortest decimal text.
  package static func decimal(
    of value: Double, precision: Int, scale: Int
  ) throws(EvaluationError) -> Int128 {
    guard value.isFinite else { throw .decimalOverflow }
    let digits = NumberConversion.shortestDigits(value)
    return try decimal(
      of: digits.digits, exponent: digits.exponent, negative: value < 0, precision: precision, scale: scale)
  }

  /// Digits × 10^exponent as a DECIMAL.
  static func decimal(
    of digits: UInt64, exponent: Int, negative: Bool, precision: Int, scale: Int
  ) throws(EvaluationError) -> Int128 {
    if digits == 0 { return 0 }
    let shift = scale + exponent
    if shift >= 0 {
      guard shift <= 38 else { throw .decimalOverflow }
      return try checked(scaledUp(UInt128(digits), by: shift), negative: negative, precision: precision)
    }
    guard shift >= -20 else { return 0 }
    return try checked(
      roundedDown(UInt256(UInt128(digits)), by: -shift), negative: negative, precision: precision)
  }

  /// Text in the syntax of `java.math.BigDecimal`: sign, digits with a point, exponent; control characters and spaces
  /// around it are ignored.
  package static func decimal(
    of text: Span<UInt8>, precision: Int, scale: Int
  ) throws(EvaluationError) -> Int128 {
    let range = NumberConversion.trimmed(text)
    var index = range.lowerBound
    let end = range.upperBound
    var negative = false
    if index < end, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
      negative = text[index] == UInt8(ascii: "-")
      index += 1
    }
    // Significant digits: 38 are kept; the first dropped one can still round, the rest only count.
    var value: UInt128 = 0
    var kept = 0
    var exponent = 0
    var sawDigit = false
    var sawPoint = false
    var roundDigit: UInt8?
    while index < end {
      let byte = text[index]
      if byte >= 48 && byte <= 57 {
        sawDigit = true
        if kept == 0 && byte == 48 {
          if sawPoint { exponent -= 1 }
        } else if kept < 38 {
          value = value * 10 + UInt128(byte - 48)
          kept += 1
          if sawPoint { exponent -= 1 }
        } else {
          if roundDigit == nil { roundDigit = byte - 48 }
          if !sawPoint { exponent += 1 }
        }
      } else if byte == UInt8(ascii: "."), !sawPoint {
        sawPoint = true
      } else {
        break
      }
      index += 1
    }
    guard sawDigit else { throw .castInvalidInput }
    if index < end {
      guard text[index] | 0x20 == UInt8(ascii: "e") else { throw .castInvalidInput }
      index += 1
      var negativeExponent = false
      if index < end, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
        negativeExponent = text[index] == UInt8(ascii: "-")
        index += 1
      }
      guard index < end else { throw .castInvalidInput }
      var written = 0
      while index < end {
        guard text[index] >= 48 && text[index] <= 57 else { throw .castInvalidInput }
        written = min(written * 10 + Int(text[index] - 48), 1_000_000_000)
        index += 1
      }
      // BigDecimal's exponents are 32-bit.
      guard written < 1_000_000_000 else { throw .castInvalidInput }
      exponent += negativeExponent ? -written : written
    }
    if value == 0 { return 0 }
    let shift = scale + exponent
    if shift >= 0 {
      guard shift <= 38 else { throw .decimalOverflow }
      // With a digit dropped the value has 38 digits and more: it fits only unshifted, rounded by that digit.
      let rounded = shift == 0 && (roundDigit ?? 0) >= 5 ? value + 1 : value
      guard shift == 0 || roundDigit == nil else { throw .decimalOverflow }
      return try checked(scaledUp(rounded, by: shift), negative: negative, precision: precision)
    }
    guard shift >= -39 else { return 0 }
    return try checked(roundedDown(UInt256(value), by: -shift), negative: negative, precision: precision)
  }

  /// The text with all digits of the scale and never an exponent: `1.50`, `0.0000001`.
  package static func text(_ value: Int128, scale: Int) -> [UInt8] {
    var digits = Array(String(value.magnitude).utf8)
    if scale > 0 {
      if digits.count <= scale {
        digits.insert(contentsOf: [UInt8](repeating: 48, count: scale + 1 - digits.count), at: 0)
      }
      digits.insert(UInt8(ascii: "."), at: digits.count - scale)
    }
    if value < 0 { digits.insert(UInt8(ascii: "-"), at: 0) }
    return digits
  }

  static let exactPowersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22,
  ]

  private static func checked(
    _ magnitude: UInt128, negative: Bool, precision: Int
  ) throws(EvaluationError) -> Int128 {
    guard magnitude < powersOfTen[precision] else { throw .decimalOverflow }
    return negative ? 0 - Int128(magnitude) : Int128(magnitude)
  }

  private static func checked(
    _ magnitude: UInt256, negative: Bool, precision: Int
  ) throws(EvaluationError) -> Int128 {
    guard magnitude.high == 0 else { throw .decimalOverflow }
    return try checked(magnitude.low, negative: negative, precision: precision)
  }

  private static func scaledUp(_ magnitude: UInt128, by digits: Int) -> UInt256 {
    UInt256(product: magnitude, powersOfTen[digits])
  }

  private static func rescaled(_ magnitude: UInt256, from scale: Int, to newScale: Int) throws(EvaluationError)
    -> UInt256
  {
    if newScale == scale { return magnitude }
    if newScale < scale { return roundedDown(magnitude, by: scale - newScale) }
    guard magnitude.high == 0 else { throw .decimalOverflow }
    return scaledUp(magnitude.low, by: newScale - scale)
  }

  /// Divides by 10^digits and rounds half up. Dividing in two steps is exact: the second remainder alone says whether the
  /// fraction reaches one half.
  private static func roundedDown(_ magnitude: UInt256, by digits: Int) -> UInt256 {
    var value = magnitude
    var digits = digits
    while digits > 38 {
      value = value.divided(by: powersOfTen[38]).quotient
      digits -= 38
    }
    if digits == 0 { return value }
    let unit = powersOfTen[digits]
    let (quotient, rest) = value.divided(by: unit)
    return rest >= unit / 2 ? quotient + UInt256(1) : quotient
  }

  /// a × 10^shift / b, rounded half up; throws where it has more than 38 digits.
  private static func roundedQuotient(
    _ a: UInt128, _ b: UInt128, shift: Int
  ) throws(EvaluationError) -> UInt128 {
    if shift >= 0, shift <= 38 {
      let scaled = scaledUp(a, by: shift)
      let (quotient, rest) = scaled.divided(by: b)
      guard quotient.high == 0 else { throw .decimalOverflow }
      return quotient.low &+ (rest >= b - rest ? 1 : 0)
    }
    if shift < 0 {
      let divisor = scaledUp(b, by: min(38, -shift))
      guard divisor.high == 0 else { return 0 }
      let (quotient, rest) = a.quotientAndRemainder(dividingBy: divisor.low)
      return quotient + (rest >= divisor.low - rest ? 1 : 0)
    }
    var (quotient, rest) = scaledUp(a, by: 38).divided(by: b)
    for _ in 38..<shift {
      // quotient < 10^38 keeps every product here within 256 bits.
      guard quotient.high == 0, quotient.low < powersOfTen[38] else { throw .decimalOverflow }
      let next = UInt256(product: rest, 10).divided(by: b)
      quotient = UInt256(product: quotient.low, 10) + next.quotient
      rest = next.remainder
    }
    guard quotient.high == 0, quotient.low < powersOfTen[38] else { throw .decimalOverflow }
    return quotient.low + (rest >= b - rest ? 1 : 0)
  }

  private static func remainderMagnitude(_ a: UInt128, _ aScale: Int, _ b: UInt128, _ bScale: Int) -> UInt128 {
    if aScale >= bScale {
      let divisor = scaledUp(b, by: aScale - bScale)
      return divisor.high != 0 ? a : a % divisor.low
    }
    let scaled = scaledUp(a, by: bScale - aScale)
    return scaled.divided(by: b).remainder
  }
}

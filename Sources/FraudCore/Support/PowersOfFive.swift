/// The leading 128 bits of the powers of five from 5^-342 to 5^308: all that a double can need.
///
/// Positive powers are rounded down and negative ones up, as the algorithm that uses them wants it. They are worked out once,
/// in some tens of microseconds, rather than kept as 651 lines of digits.
///
/// - Source: D. Lemire, "Number Parsing at a Gigabyte per Second", Software: Practice and Experience 51 (2021),
///   https://doi.org/10.1002/spe.2984, section 5 and appendix B.
struct PowersOfFive: Sendable {
  static let exponents = -342...308
  static let shared = PowersOfFive()

  /// The high and the low word of each power, from the smallest exponent on.
  private let words: [UInt64]

  func high(_ exponent: Int) -> UInt64 { words[2 * (exponent - Self.exponents.lowerBound)] }
  func low(_ exponent: Int) -> UInt64 { words[2 * (exponent - Self.exponents.lowerBound) + 1] }

  private init() {
    var negative: [(high: UInt64, low: UInt64)] = []
    // 2^1952 divided by five again and again: rounding down twice is rounding down once. The smallest quotient still has
    // 1952 - 795 bits.
    var limbs = [UInt32](repeating: 0, count: 61) + [1]
    for power in 1...(-Self.exponents.lowerBound) {
      var remainder: UInt64 = 0
      for index in limbs.indices.reversed() {
        let dividend = remainder << 32 | UInt64(limbs[index])
        limbs[index] = UInt32(truncatingIfNeeded: dividend / 5)
        remainder = dividend % 5
      }
      var top = Self.leadingBits(limbs)
      // Up to 5^27 the bits beyond are known to be needed; for higher powers they never carry.
      if power <= 27 {
        top.low &+= 1
        if top.low == 0 { top.high &+= 1 }
      }
      negative.append(top)
    }
    var words: [UInt64] = []
    for top in negative.reversed() { words += [top.high, top.low] }
    limbs = [1] + [UInt32](repeating: 0, count: 26)
    for power in 0...Self.exponents.upperBound {
      if power > 0 {
        var carry: UInt64 = 0
        for index in limbs.indices {
          let product = UInt64(limbs[index]) * 5 + carry
          limbs[index] = UInt32(truncatingIfNeeded: product)
          carry = product >> 32
        }
      }
      let top = Self.leadingBits(limbs)
      words += [top.high, top.low]
    }
    self.words = words
  }

  /// The 128 bits from the highest one on, of a number in 32-bit limbs, lowest first.
  private static func leadingBits(_ limbs: [UInt32]) -> (high: UInt64, low: UInt64) {
    guard let last = limbs.lastIndex(where: { $0 != 0 }) else { return (0, 0) }
    func limb(_ index: Int) -> UInt64 { index >= 0 ? UInt64(limbs[index]) : 0 }
    let shift = UInt64(limbs[last].leadingZeroBitCount)
    // Five limbs hold 128 bits wherever the first one starts.
    let high = limb(last) << 32 | limb(last - 1)
    let middle = limb(last - 2) << 32 | limb(last - 3)
    let low = limb(last - 4) << 32
    if shift == 0 { return (high, middle) }
    return (high << shift | middle >> (64 - shift), middle << shift | low >> (64 - shift))
  }
}

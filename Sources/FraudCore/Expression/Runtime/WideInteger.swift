/// An unsigned 256-bit integer, for what the product, sum or quotient of two 38-digit decimals needs in between.
struct UInt256: Equatable, Comparable {
  var high: UInt128
  var low: UInt128

  init(_ value: UInt128) {
    high = 0
    low = value
  }

  init(product a: UInt128, _ b: UInt128) {
    if a <= UInt128(UInt64.max), b <= UInt128(UInt64.max) {
      high = 0
      low = a &* b
    } else {
      let full = a.multipliedFullWidth(by: b)
      high = full.high
      low = full.low
    }
  }

  /// Adds; the sum of two products of 38-digit numbers cannot leave 256 bits.
  static func + (a: UInt256, b: UInt256) -> UInt256 {
    var sum = a
    let (low, carry) = a.low.addingReportingOverflow(b.low)
    sum.low = low
    sum.high = a.high &+ b.high &+ (carry ? 1 : 0)
    return sum
  }

  /// Subtracts a number that is not greater.
  static func - (a: UInt256, b: UInt256) -> UInt256 {
    var difference = a
    let (low, borrow) = a.low.subtractingReportingOverflow(b.low)
    difference.low = low
    difference.high = a.high &- b.high &- (borrow ? 1 : 0)
    return difference
  }

  static func < (a: UInt256, b: UInt256) -> Bool {
    (a.high, a.low) < (b.high, b.low)
  }

  /// The quotient and remainder of a division by a number greater than zero.
  func divided(by divisor: UInt128) -> (quotient: UInt256, remainder: UInt128) {
    if high == 0 {
      let (quotient, remainder) = low.quotientAndRemainder(dividingBy: divisor)
      return (UInt256(quotient), remainder)
    }
    let (upper, rest) = high.quotientAndRemainder(dividingBy: divisor)
    let (lower, remainder) = divisor.dividingFullWidth((rest, low))
    var quotient = UInt256(lower)
    quotient.high = upper
    return (quotient, remainder)
  }
}

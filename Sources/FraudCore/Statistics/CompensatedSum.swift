/// A sum held as two doubles, about 106 bits: adding a value and taking it away again leaves what was there before.
///
/// - Source: Knuth's TwoSum; Dekker 1971, "A floating-point technique for extending the available precision".
struct CompensatedSum: Sendable, Hashable {
  var high: Double
  var low: Double

  init() { (high, low) = (0, 0) }
  init(high: Double, low: Double) { (self.high, self.low) = (high, low) }

  var value: Double { high + low }

  @inline(__always)
  mutating func add(_ x: Double) {
    let sum = high + x
    let part = sum - high
    let error = (high - (sum - part)) + (x - part)
    let rest = low + error
    high = sum + rest
    low = rest - (high - sum)
    // An infinity stays one; the error terms of it would be NaN.
    if !high.isFinite { (high, low) = (sum, 0) }
  }

  /// Adds a square exactly.
  mutating func add(squareOf x: Double, sign: Double) {
    let square = x * x
    let error = (-square).addingProduct(x, x)
    add(sign * square)
    if error.isFinite { add(sign * error) }
  }
}

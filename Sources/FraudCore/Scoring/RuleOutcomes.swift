/// What every rule answered for every row of a batch, as bitmaps.
///
/// Bit `row % 64` of word `rule * stride + row / 64`. A row is in at most one of the three; in none, the rule said false.
package struct RuleOutcomes: Sendable {
  package let ruleCount: Int
  /// Words a rule has in each bitmap.
  package let stride: Int
  package var triggered: [UInt64]
  package var null: [UInt64]
  package var error: [UInt64]
  /// For each rule whether any of its bits may be set in each bitmap. Of a thousand rules few answer anything but false in
  /// a batch; the bits of the others need be neither cleared nor looked at.
  var mayBeTriggered: [Bool]
  var mayBeNull: [Bool]
  var mayBeError: [Bool]

  /// All false.
  package init(ruleCount: Int, stride: Int) {
    self.ruleCount = ruleCount
    self.stride = stride
    triggered = [UInt64](repeating: 0, count: ruleCount * stride)
    null = triggered
    error = triggered
    // Whoever sets bits by hand need not care.
    mayBeTriggered = [Bool](repeating: true, count: ruleCount)
    mayBeNull = mayBeTriggered
    mayBeError = mayBeTriggered
  }

  /// Makes some rows false for every rule.
  package mutating func clear(rows: [UInt64]) {
    for rule in 0..<ruleCount {
      for word in 0..<min(stride, rows.count) where rows[word] != 0 {
        triggered[rule * stride + word] &= ~rows[word]
        null[rule * stride + word] &= ~rows[word]
        error[rule * stride + word] &= ~rows[word]
      }
    }
  }

  package func isTriggered(rule: Int, row: Int) -> Bool {
    triggered[rule * stride + row >> 6] >> UInt64(row & 63) & 1 == 1
  }

  /// Whether the rule answered true or false.
  package func isEvaluable(rule: Int, row: Int) -> Bool {
    let word = rule * stride + row >> 6
    return (null[word] | error[word]) >> UInt64(row & 63) & 1 == 0
  }
}

/// How often each hour of day was seen, as 24 counts of 16 bits in six words.
///
/// When a count is full all are halved, so that old habits fade in a long life.
struct HourHistogram: Sendable, Hashable {
  var words = SIMD8<UInt64>(repeating: 0)

  /// Counts an hour.
  mutating func add(_ hour: Int) {
    if count(hour) == 0xFFFF {
      for word in 0..<6 { words[word] = (words[word] >> 1) & 0x7FFF_7FFF_7FFF_7FFF }
    }
    words[hour >> 2] += 1 << UInt64(16 * (hour & 3))
  }

  /// How often an hour was seen.
  func count(_ hour: Int) -> Int {
    Int(truncatingIfNeeded: words[hour >> 2] >> UInt64(16 * (hour & 3)) & 0xFFFF)
  }

  /// −log₂ of the hour's probability, 4.585 where nothing is known: the counts are smoothed over the neighbouring hours on
  /// the circle (1/16, 4/16, 6/16, 4/16, 1/16) and one event spread evenly over the day is added, so that an hour never
  /// seen is surprising by a finite amount that grows with the history.
  func surprise(of hour: Int) -> Double {
    var total = 0
    for hour in 0..<24 { total += count(hour) }
    let near = count((hour + 1) % 24) + count((hour + 23) % 24)
    let far = count((hour + 2) % 24) + count((hour + 22) % 24)
    let smoothed = Double(6 * count(hour) + 4 * near + far) / 16
    return -Mathematics.log2((smoothed + 1.0 / 24) / Double(total + 1))
  }
}

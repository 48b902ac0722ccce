/// The least time of several runs of a body, in nanoseconds.
func leastNanoseconds(runs: Int = 400, _ body: () -> Void) -> Double {
  let clock = ContinuousClock()
  var least = Duration.seconds(1_000)
  for _ in 0..<runs { least = min(least, clock.measure(body)) }
  return Double(least.components.seconds) * 1e9 + Double(least.components.attoseconds) / 1e9
}

/// A number with some digits behind the point.
func text(_ value: Double, digits: Int = 2) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let rounded = Int64((value * scale).rounded())
  guard digits > 0 else { return String(rounded) }
  let fraction = String(rounded.magnitude % UInt64(scale))
  let zeros = String(repeating: "0", count: digits - fraction.count)
  return "\(rounded < 0 ? "-" : "")\(rounded.magnitude / UInt64(scale)).\(zeros)\(fraction)"
}

func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

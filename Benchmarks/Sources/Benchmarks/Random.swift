/// Random numbers that a seed repeats.
///
/// - Source: Sebastiano Vigna's SplitMix64; the normal distribution by Box and Muller.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// Uniform in 0 to 1.
  mutating func unit() -> Double {
    Double(next() >> 11) * 0x1p-53
  }

  /// One of some choices with the weights given.
  mutating func choose<Element>(_ choices: [Element], _ weights: [Double]) -> Element {
    var left = unit() * weights.reduce(0, +)
    for (choice, weight) in zip(choices, weights) {
      left -= weight
      if left < 0 { return choice }
    }
    return choices[choices.count - 1]
  }

  mutating func pick<Element>(_ choices: [Element]) -> Element {
    choices[Int.random(in: 0..<choices.count, using: &self)]
  }
}

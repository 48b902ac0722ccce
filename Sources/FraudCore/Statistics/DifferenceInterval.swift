/// How far two shares lie apart, seen in two samples that have nothing to do with each other.
///
/// - Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
///   methods", Statistics in Medicine 17 (1998), 873–890, method 10: from Wilson's intervals without correction.
public struct DifferenceInterval: Sendable, Hashable {
  /// The first share less the second, from -1 to 1.
  public var difference: Double
  /// The ends of the interval that holds the true difference in 95 of 100 cases.
  public var lower: Double
  /// See ``lower``.
  public var upper: Double

  /// - Parameters:
  ///   - first: successes and trials of the sample whose share counts as positive.
  ///   - second: those of the other one.
  ///   - z: the normal quantile; the default leaves 2.5 % on either side.
  /// - Returns: nil where either has no trials.
  public init?(
    _ first: (successes: Int, trials: Int), _ second: (successes: Int, trials: Int), z: Double = 1.959_963_984_540_054
  ) {
    guard let one = WilsonInterval(successes: first.successes, of: first.trials, z: z),
      let two = WilsonInterval(successes: second.successes, of: second.trials, z: z)
    else { return nil }
    let (p, q) = (
      Double(first.successes) / Double(first.trials), Double(second.successes) / Double(second.trials)
    )
    difference = p - q
    lower = difference - ((p - one.lower) * (p - one.lower) + (two.upper - q) * (two.upper - q)).squareRoot()
    upper = difference + ((one.upper - p) * (one.upper - p) + (q - two.lower) * (q - two.lower)).squareRoot()
  }
}

/// Where a share lies, seen in a sample: the score interval of Wilson, which is sound for few observations and for shares
/// near 0 and 1, where the usual ± is not.
///
/// - Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209–212,
///   doi:10.1080/01621459.1927.10502953.
public struct WilsonInterval: Sendable, Hashable {
  /// The ends, from 0 to 1.
  public var lower: Double
  /// See ``lower``.
  public var upper: Double

  /// The interval that holds the true share in 95 of 100 cases.
  ///
  /// - Parameters:
  ///   - successes: 0 to `trials`.
  ///   - z: the normal quantile; the default leaves 2.5 % on either side.
  /// - Returns: nil where there are no trials.
  public init?(successes: Int, of trials: Int, z: Double = 1.959_963_984_540_054) {
    guard trials > 0, (0...trials).contains(successes) else { return nil }
    let (n, share) = (Double(trials), Double(successes) / Double(trials))
    let denominator = 1 + z * z / n
    let centre = (share + z * z / (2 * n)) / denominator
    let half = z / denominator * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
    // The ends are exact where nothing or everything was a success; rounding is not to say otherwise.
    lower = successes == 0 ? 0 : max(0, centre - half)
    upper = successes == trials ? 1 : min(1, centre + half)
  }
}

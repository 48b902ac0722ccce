/// Names for ranges of scores, the highest first, as S5's CRITICAL to MINIMAL.
public struct RiskBands: Sendable, Hashable {
  /// One name and the lowest score that has it, in basis points or points as the policy counts.
  public struct Band: Sendable, Hashable {
    /// As it is shown.
    public var name: String
    /// The lowest score of the band.
    public var from: Int

    /// Names the scores from `from` up to the next higher band.
    public init(name: String, from: Int) {
      self.name = name
      self.from = from
    }
  }

  /// From the highest to the one that starts at 0.
  public let bands: [Band]

  /// Takes bands in any order; the lowest reaches down to 0 whatever it says.
  public init(_ bands: [Band]) {
    var sorted = bands.sorted { ($0.from, $1.name) > ($1.from, $0.name) }
    if let last = sorted.indices.last { sorted[last].from = 0 }
    self.bands = sorted
  }

  /// S5's five: 75, 50, 25 and 10 points, or hundredths of the scale 0 to 1.
  public static func standard(points: Bool) -> RiskBands {
    let scale = points ? 1 : 100
    return RiskBands([
      Band(name: "CRITICAL", from: 75 * scale), Band(name: "HIGH", from: 50 * scale),
      Band(name: "MEDIUM", from: 25 * scale), Band(name: "LOW", from: 10 * scale), Band(name: "MINIMAL", from: 0),
    ])
  }

  /// The name of a score's band.
  public func name(of score: Score) -> String {
    index(of: score).map { bands[$0].name } ?? Self.unnamed
  }

  /// What a score is called where there are no bands.
  static let unnamed = "MINIMAL"

  /// The score's band; the last one where the score is below all, `nil` where there are none.
  func index(of score: Score) -> Int? {
    switch score {
    case .basisPoints(let count), .points(let count):
      for index in bands.indices where count >= bands[index].from { return index }
    case .probability(let value):
      for index in bands.indices where value >= Double(bands[index].from) / 10_000 { return index }
    }
    return bands.indices.last
  }
}

/// An event's score: exact where rules are added up, a probability where a model decides.
///
/// Sums of weights are whole basis points (1/10,000), so that 0.30 + 0.25 + 0.15 is 0.70 in whatever order it is added
/// and an inclusive threshold means what it says.
public enum Score: Sendable, Hashable, CustomStringConvertible {
  /// 0 to 10,000 of 1/10,000.
  case basisPoints(Int)
  /// The sum of a scorecard.
  case points(Int)
  /// What a model says, 0 to 1.
  case probability(Double)

  /// The score as a number: 0 to 1, or the points.
  public var value: Double {
    switch self {
    case .basisPoints(let count): Double(count) / 10_000
    case .points(let count): Double(count)
    case .probability(let value): value
    }
  }

  /// The shortest decimal that says it exactly: `0.7`, `65`, `0.8317`.
  public var description: String {
    switch self {
    case .basisPoints(let count): decimalText(basisPoints: count)
    case .points(let count): "\(count)"
    case .probability(let value): "\(value)"
    }
  }
}

extension Score {
  /// Appends ``description``.
  func append(to text: inout [UInt8]) {
    guard case .basisPoints(let count) = self, (0...99_999).contains(count) else {
      text.append(contentsOf: description.utf8)
      return
    }
    text.append(UInt8(ascii: "0") + UInt8(count / 10_000))
    var fraction = count % 10_000
    guard fraction > 0 else { return }
    text.append(UInt8(ascii: "."))
    var place = 1_000
    while fraction > 0 {
      text.append(UInt8(ascii: "0") + UInt8(fraction / place))
      fraction %= place
      place /= 10
    }
  }
}

/// `7000` as `0.7`, `10000` as `1`, `12345` as `1.2345`.
package func decimalText(basisPoints count: Int) -> String {
  let magnitude = count.magnitude
  var text = (count < 0 ? "-" : "") + "\(magnitude / 10_000)"
  var fraction = magnitude % 10_000
  guard fraction > 0 else { return text }
  text += "."
  var place: UInt = 1_000
  while fraction > 0 {
    text += "\(fraction / place)"
    fraction %= place
    place /= 10
  }
  return text
}

extension DefinitionReader {
  /// A decimal of at most four places that is not negative, in basis points: `0.25` is 2,500.
  package mutating func basisPoints(_ node: DefinitionNode, atMost limit: Int = 1_000_000_000) -> Int? {
    guard case .number(let text) = node.value.content, let count = parseBasisPoints(text) else {
      report("expected a decimal of at most four places such as 0.25, not negative", at: node)
      return nil
    }
    guard count <= limit else {
      report("\(text) is more than \(decimalText(basisPoints: limit))", at: node)
      return nil
    }
    return count
  }
}

/// The text of a decimal as basis points, or `nil` where it has more than four places, a sign or an exponent.
package func parseBasisPoints(_ text: String) -> Int? {
  let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
  let places = parts.count == 2 ? String(parts[1]) : "0"
  let isDigits = { (digits: Substring) in !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) } }
  guard isDigits(parts[0]), isDigits(Substring(places)), parts[0].count <= 9 else { return nil }
  var significant = places
  while significant.count > 1, significant.last == "0" { significant.removeLast() }
  guard significant.count <= 4, let whole = Int(parts[0]) else { return nil }
  return Int(significant + String(repeating: "0", count: 4 - significant.count)).map { whole * 10_000 + $0 }
}

/// An alert's identity: the same event and rule have the same one however often they are processed.
///
/// - Source: `CONTRACTS.md`, names and identity.
public struct AlertID: Sendable, Hashable, CustomStringConvertible {
  /// Bytes 0 to 7 and 8 to 15, most significant first.
  public let high: UInt64
  /// See ``high``.
  public let low: UInt64

  /// Takes an identity apart into its halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The first 16 bytes of SHA-256 over the texts pipeline, topic, topic generation, partition, offset and rule id, each
  /// preceded by its byte count as eight bytes, most significant first.
  ///
  /// - Parameter rule: the rule's id; empty for one alert a decision.
  public init(pipeline: String, source: EventSource, offset: Int64, rule: String) {
    var hash = SHA256()
    for text in [pipeline, source.topic, source.generation, "\(source.partition)", "\(offset)", rule] {
      let bytes = text.utf8
      let count = UInt64(bytes.count)
      hash.update((0..<8).map { UInt8(truncatingIfNeeded: count >> UInt64(56 - 8 * $0)) })
      hash.update(bytes)
    }
    let digest = hash.finalize()
    high = digest[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = digest[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The 16 bytes.
  public var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - 8 * ($0 & 7))) }
  }

  /// The bytes written as a UUID: `1b4e28ba-2fa1-11d2-883f-0016d3cca427`.
  public var description: String {
    let digits = hexadecimal(bytes)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }
}

/// What identifies an alert: the same event and rule have the same id however often they are processed.
///
/// The part that all events of one source share is hashed once.
///
/// - Source: `CONTRACTS.md`, names and identity.
package struct AlertIdentity: Sendable {
  private let prefix: SHA256

  package init(pipeline: String, source: EventSource) {
    var hash = SHA256()
    for text in [pipeline, source.topic, source.generation, "\(source.partition)"] {
      hash.updateWithCount(text.utf8)
    }
    prefix = hash
  }

  /// The first 16 bytes of SHA-256 over the texts pipeline, topic, topic generation, partition, offset and rule id, each
  /// preceded by its byte count as eight bytes, most significant first.
  ///
  /// - Parameter rule: the rule's id; empty for one alert a decision.
  package func id(offset: Int64, rule: String) -> UniqueID {
    var hash = prefix
    hash.updateWithCount("\(offset)".utf8)
    hash.updateWithCount(rule.utf8)
    let head = hash.finalizedHead()
    return UniqueID(high: head.0, low: head.1)
  }
}

extension SHA256 {
  fileprivate mutating func updateWithCount(_ bytes: String.UTF8View) {
    let count = UInt64(bytes.count)
    for shift in stride(from: UInt64(56), through: 0, by: -8) { append(UInt8(truncatingIfNeeded: count >> shift)) }
    for byte in bytes { append(byte) }
  }
}

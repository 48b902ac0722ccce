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
    // An offset's text has less than 256 bytes: of its count only the last byte differs. Where a block of the hash ends in
    // between, it is hashed once instead of for every alert.
    for _ in 0..<7 { hash.append(0) }
    prefix = hash
  }

  /// The first 16 bytes of SHA-256 over the texts pipeline, topic, topic generation, partition, offset and rule id, each
  /// preceded by its byte count as eight bytes, most significant first.
  ///
  /// - Parameter rule: the rule's id; empty for one alert a decision.
  package func id(offset: Int64, rule: String) -> UniqueID {
    let head = message(offset: offset, rule: rule).finalizedHead()
    return UniqueID(high: head.0, low: head.1)
  }

  /// The ids of many alerts, four at a time.
  ///
  /// - Parameter alert: the offset and the rule's id of an alert.
  func ids(count: Int, of alert: (Int) -> (offset: Int64, rule: String)) -> [UniqueID] {
    var ids: [UniqueID] = []
    ids.reserveCapacity(count + 3)
    for start in stride(from: 0, to: count, by: 4) {
      let four = SHA256.finalizedHeads(
        InlineArray { lane in
          // The last four may be fewer; what is computed twice is dropped.
          let (offset, rule) = alert(min(start + lane, count - 1))
          return message(offset: offset, rule: rule)
        })
      for lane in 0..<min(4, count - start) { ids.append(four[lane]) }
    }
    return ids
  }

  private func message(offset: Int64, rule: String) -> SHA256 {
    var hash = prefix
    let digits = "\(offset)".utf8
    hash.append(UInt8(digits.count))
    for byte in digits { hash.append(byte) }
    hash.updateWithCount(rule.utf8)
    return hash
  }
}

extension SHA256 {
  fileprivate mutating func updateWithCount(_ bytes: String.UTF8View) {
    let count = UInt64(bytes.count)
    for shift in stride(from: UInt64(56), through: 0, by: -8) { append(UInt8(truncatingIfNeeded: count >> shift)) }
    for byte in bytes { append(byte) }
  }
}

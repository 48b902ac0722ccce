extension FeatureProgram {
  /// Tells features that remember the same from others, whatever order they are declared in.
  ///
  /// Names and defaults of features and what is computed from them without memory are no part of it.
  public var identity: UniqueID {
    let all =
      tables + aggregations.plans.map(\.table) + (deduplication.map { [$0.table] } ?? [])
      + streams.compactMap(\.deduplication?.table)
    var texts = all.map { table in
      ([table.identity] + table.operations.map(\.identity).sorted()).joined(separator: "\n")
    }
    texts.sort()
    var digest = SHA256()
    for text in texts {
      let bytes = Array(text.utf8)
      digest.update((0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) })
      digest.update(bytes)
    }
    return UniqueID(bytes: digest.finalize())
  }
}

// A state as bytes. One form serves all: a snapshot of everything, of one of 64 buckets, and a delta of what changed since
// the last one. Applied in the order in which they were made, they give the state back word for word.
//
//     "FDS1", latest time, counters,
//     for each table: its identity, keys dropped, identities of its operations,
//       for each key in order: key, 0 (gone) or 1, latest time, for each operation: byte count and its words
//
// Tables and operations are found by what they are, not by where they stand: after a change of the pipeline, what is
// unchanged keeps its state, what is new starts empty, and what is gone is stepped over.

extension FeatureState {
  /// Buckets that keys are divided into by their hash, for rewriting part of a snapshot.
  public static let bucketCount = 64
  private static let magic: UInt64 = 0x3153_4446

  /// Remembers from now on what changes, for ``takeDelta()`` and ``takeChangedBuckets()``.
  package mutating func trackChanges() {
    for index in tables.indices { tables[index].trackChanges() }
  }

  /// The whole state.
  ///
  /// - Complexity: O(k log k) in the count of keys, which are written in order.
  package func snapshot() -> [UInt8] {
    encode { table in table.allRecords() }
  }

  /// What changed since the last delta: the new values of every key touched, and the keys that went.
  package mutating func takeDelta() -> [UInt8] {
    let bytes = encode { table in table.changedRecords() }
    for index in tables.indices { tables[index].forgetChanges() }
    return bytes
  }

  /// Snapshots of the buckets that changed since this was last asked, bucket 0 always among them.
  package mutating func takeChangedBuckets() -> [(bucket: Int, bytes: [UInt8])] {
    var changed: UInt64 = 1
    for index in tables.indices { changed |= tables[index].takeChangedBuckets() }
    return (0..<Self.bucketCount).filter { changed >> UInt64($0) & 1 == 1 }.map { bucket in
      (bucket, encode { table in table.allRecords(inBucket: bucket) })
    }
  }

  /// Takes in a snapshot, a bucket or a delta; later ones replace what earlier ones said of a key.
  ///
  /// - Throws: ``StateFormatError`` where the bytes are no state or one of a later format. The state is then of no use.
  package mutating func apply(_ bytes: [UInt8]) throws(StateFormatError) {
    var reader = StateReader(bytes)
    guard try reader.word() == Self.magic else { throw reader.fail("these bytes are of another format") }
    let latest = Int64(bitPattern: try reader.word())
    let counters = (
      try reader.count(), try reader.count(), try reader.count(), try reader.count(), try reader.count()
    )
    let tableCount = try reader.count(atMost: Limits.features)
    for _ in 0..<tableCount {
      let identity = String(decoding: try reader.text(), as: UTF8.self)
      var body = try reader.sized()
      if let index = tables.firstIndex(where: { $0.layout.identity == identity }) {
        try tables[index].apply(&body)
      }
    }
    guard reader.isAtEnd else { throw reader.fail("there is more than a state") }
    restore(latestTime: latest == .min ? nil : latest, counters: counters)
  }

  private func encode(_ records: (borrowing FeatureTable) -> [FeatureTable.Entry]) -> [UInt8] {
    var writer = StateWriter()
    writer.write(word: Self.magic)
    writer.write(word: UInt64(bitPattern: latestTime ?? .min))
    for counter in [lateCount, futureCount, truncatedCount, errorCount, repeatedCount] { writer.write(count: counter) }
    writer.write(count: tables.count)
    for table in tables {
      writer.write(text: table.layout.identity.utf8)
      let part = writer.beginPart()
      table.encode(records(table), to: &writer)
      writer.endPart(part)
    }
    return writer.finish()
  }
}

// A state as bytes. One form serves all: a snapshot of everything, of one of 64 buckets, and a delta of what changed since
// the last one. Applied in the order in which they were made, they give the state back word for word.
//
//     "FDS2", latest time, counters,
//     for each table: its identity, keys dropped, for each operation: its identity and how many words it has for every key,
//       keys that went, keys that are there, both in their order,
//       for each key that is there: latest time, those words, for each other operation: byte count and its words
//     where there are streams: their count, for each its name, latest time and counters
//
// Tables and operations are found by what they are, not by where they stand: after a change of the pipeline, what is
// unchanged keeps its state, what is new starts empty, and what is gone is stepped over.

extension FeatureState {
  /// Buckets that keys are divided into by their hash, for rewriting part of a snapshot.
  public static let bucketCount = 64
  private static let magic: UInt64 = 0x3253_4446

  /// Remembers from now on what changes, for ``takeDelta()`` and ``takeChangedBucketSet()``.
  package mutating func trackChanges() {
    for index in tables.indices { tables[index].trackChanges() }
  }

  /// The whole state.
  ///
  /// - Complexity: O(k log k) in the count of keys, which are written in order.
  public func snapshot() -> [UInt8] {
    encode { tables[$0].allRecords() }
  }

  /// What changed since the last delta: the new values of every key touched, and the keys that went.
  package mutating func takeDelta() -> [UInt8] {
    let bytes = encode { tables[$0].changedRecords() }
    for index in tables.indices { tables[index].forgetChanges() }
    return bytes
  }

  /// The buckets that changed since this was last asked, a bit each; bucket 0 always among them, so that the newest bucket
  /// says what holds for the whole partition.
  package mutating func takeChangedBucketSet() -> UInt64 {
    tables.indices.reduce(1) { $0 | tables[$1].takeChangedBuckets() }
  }

  /// Snapshots of some buckets, given as a bit each.
  ///
  /// - Complexity: O(k) in the count of all keys, and O(m log m) in that of the buckets' keys.
  package func snapshots(ofBuckets set: UInt64) -> [StateBucket] {
    let entries = tables.map { $0.records(inBuckets: set) }
    return (0..<Self.bucketCount).filter { set >> UInt64($0) & 1 == 1 }.map { bucket in
      StateBucket(number: bucket, bytes: encode { entries[$0][bucket] })
    }
  }

  /// Takes in a snapshot, a bucket or a delta; later ones replace what earlier ones said of a key.
  ///
  /// - Throws: ``StateFormatError`` where the bytes are no state or one of a later format. The state is then of no use.
  public mutating func apply(_ bytes: [UInt8]) throws(StateFormatError) {
    var reader = StateReader(bytes)
    guard try reader.word() == Self.magic else { throw reader.fail("these bytes are of another format") }
    let latest = Int64(bitPattern: try reader.word())
    let counters = (
      try reader.count(), try reader.count(), try reader.count(), try reader.count(), try reader.count()
    )
    let tableCount = try reader.count(atMost: Limits.features)
    for _ in 0..<tableCount {
      let identity = String(decoding: try reader.text(), as: UTF8.self)
      var body = try reader.table()
      if let index = tables.firstIndex(where: { $0.layout.identity == identity }) {
        try tables[index].apply(&body)
      }
    }
    var clocks: [StreamClock] = []
    if !reader.isAtEnd {
      for _ in 0..<(try reader.count(atMost: Limits.streams)) {
        var clock = StreamClock(name: String(decoding: try reader.text(), as: UTF8.self))
        let latest = Int64(bitPattern: try reader.word())
        clock.latestTime = latest == .min ? nil : latest
        (clock.lateCount, clock.repeatedCount) = (try reader.count(), try reader.count())
        clocks.append(clock)
      }
    }
    guard reader.isAtEnd else { throw reader.fail("there is more than a state") }
    restore(latestTime: latest == .min ? nil : latest, counters: counters)
    restore(streams: clocks)
  }

  /// - Parameter records: what to write of a table, given its index.
  private func encode(_ records: (Int) -> TableEntries) -> [UInt8] {
    var writer = StateWriter()
    writer.write(word: Self.magic)
    writer.write(word: UInt64(bitPattern: latestTime ?? .min))
    for counter in [lateCount, futureCount, truncatedCount, errorCount, repeatedCount] { writer.write(count: counter) }
    writer.write(count: tables.count)
    for (index, table) in tables.enumerated() {
      writer.write(text: table.layout.identity.utf8)
      let start = writer.beginTable()
      table.encode(records(index), to: &writer)
      writer.endTable(start)
    }
    guard !streams.isEmpty else { return writer.finish() }
    writer.write(count: streams.count)
    for clock in streams {
      writer.write(text: clock.name.utf8)
      writer.write(word: UInt64(bitPattern: clock.latestTime ?? .min))
      writer.write(count: clock.lateCount)
      writer.write(count: clock.repeatedCount)
    }
    return writer.finish()
  }
}

extension FeatureTable {
  /// A key to be written, and its record or 0 where it is gone.
  struct Entry {
    /// The key itself where it is a word, else its first eight bytes: what nearly every comparison needs.
    var order: UInt64
    /// The key's bytes where it is no word.
    var text: [UInt8]
    var record: Int

    static func precedes(_ a: Entry, _ b: Entry) -> Bool {
      a.order != b.order ? a.order < b.order : a.text.lexicographicallyPrecedes(b.text)
    }

    func hasSameKey(as other: Entry) -> Bool { order == other.order && text == other.text }
  }

  // MARK: What to write

  /// A record's key as bytes whose order is the order of keys.
  func keyBytes(ofRecord record: Int) -> [UInt8] {
    let word = keys.records[record * layout.width]
    guard layout.hasWordKey else { return heap.text(HeapBlock(word: word)) }
    return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
  }

  /// Which of 64 parts a key belongs to, the same everywhere.
  static func bucket(of key: [UInt8]) -> Int { Int(truncatingIfNeeded: StableHash.hash(key.span) >> 58) }

  func allRecords() -> [Entry] {
    var entries: [Entry] = []
    entries.reserveCapacity(keys.count)
    guard layout.hasWordKey else {
      keys.forEachRecord { record, _ in entries.append(entry(ofRecord: record)) }
      entries.sort(by: Entry.precedes)
      return entries
    }
    // Pairs of words are sorted in a fifth of the time, since moving them counts no references.
    var order: [(word: UInt64, record: Int)] = []
    order.reserveCapacity(keys.count)
    keys.forEachRecord { record, _ in order.append((keys.records[record * layout.width], record)) }
    order.sort { $0.word < $1.word }
    for (word, record) in order { entries.append(Entry(order: word, text: [], record: record)) }
    return entries
  }

  /// The records of some buckets, given as a bit each, by bucket.
  func records(inBuckets set: UInt64) -> [[Entry]] {
    var entries = [[Entry]](repeating: [], count: FeatureState.bucketCount)
    keys.forEachRecord { record, _ in
      let bucket = bucket(ofRecord: record)
      if set >> UInt64(bucket) & 1 == 1 { entries[bucket].append(entry(ofRecord: record)) }
    }
    for bucket in entries.indices { entries[bucket].sort(by: Entry.precedes) }
    return entries
  }

  private func bucket(ofRecord record: Int) -> Int {
    let word = keys.records[record * layout.width]
    guard layout.hasWordKey else { return Self.bucket(of: heap.text(HeapBlock(word: word))) }
    var key: [8 of UInt8] = .init(repeating: 0)
    for index in key.indices { key[index] = UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * index)) }
    return Int(truncatingIfNeeded: StableHash.hash(key.span) >> 58)
  }

  func changedRecords() -> [Entry] {
    var entries = keys.changedRecords().map { entry(ofRecord: $0) }
    for key in goneKeys where record(ofKey: key) == 0 { entries.append(entry(ofKey: key)) }
    entries.sort(by: Entry.precedes)
    var last: Entry?
    // A key that went twice is written once.
    return entries.filter { entry in
      defer { last = entry }
      return last.map { !$0.hasSameKey(as: entry) } ?? true
    }
  }

  private func entry(ofRecord record: Int) -> Entry {
    let word = keys.records[record * layout.width]
    if layout.hasWordKey { return Entry(order: word, text: [], record: record) }
    return entry(ofText: heap.text(HeapBlock(word: word)), record: record)
  }

  private func entry(ofKey key: [UInt8]) -> Entry {
    layout.hasWordKey ? Entry(order: Self.word(ofKey: key), text: [], record: 0) : entry(ofText: key, record: 0)
  }

  private func entry(ofText text: [UInt8], record: Int) -> Entry {
    var order: UInt64 = 0
    for index in 0..<8 { order = order << 8 | (index < text.count ? UInt64(text[index]) : 0) }
    return Entry(order: order, text: text, record: record)
  }

  // MARK: Writing

  func encode(_ entries: [Entry], to writer: inout StateWriter) {
    writer.write(count: evictedCount)
    writer.write(count: sweepCount)
    writer.write(count: layout.operations.count)
    for operation in layout.operations { writer.write(text: operation.identity.utf8) }
    writer.write(count: entries.count)
    let blockBytes = 8 * heap.usedCount / max(1, keys.count)
    writer.expect(entries.count * (layout.width * 8 + blockBytes + 8 * layout.operations.count + 32))
    let parts = layout.operations.map { RecordPart($0) }
    let records = keys.records.span
    for entry in entries {
      if layout.hasWordKey {
        writer.write(count: 8)
        writer.write(word: entry.order.byteSwapped)
      } else {
        writer.write(text: entry.text)
      }
      writer.write(byte: entry.record == 0 ? 0 : 1)
      guard entry.record != 0 else { continue }
      let base = entry.record * layout.width
      writer.write(word: records[base + 1])
      for index in parts.indices {
        let part = parts[index]
        let start = writer.beginPart()
        let first = base + part.offset
        switch part.kind {
        case .words: writer.write(words: records.extracting(first..<first + part.width))
        case .list: encode(list: part, base: first, to: &writer)
        case .text, .block:
          for word in 0..<part.width where word != part.blockWord { writer.write(word: records[first + word]) }
          let block = HeapBlock(word: records[first + part.blockWord])
          if part.kind == .text { encode(text: block, to: &writer) } else { encode(words: block, to: &writer) }
        }
        writer.endPart(start)
      }
    }
  }

  private func encode(list: RecordPart, base: Int, to writer: inout StateWriter) {
    let block = HeapBlock(word: keys.records[base])
    writer.write(words: keys.records.span.extracting(base + 2..<base + list.width))
    // The block's size decides when old entries are dropped, so it is part of the state.
    writer.write(count: block.isNone ? 0 : block.count)
    guard !block.isNone else { return }
    let ring = EventRing(
      blockWord: block.word, placeWord: keys.records[base + 1], entryWidth: list.entryWidth,
      capacity: (block.count - 1) / list.entryWidth)
    writer.write(word: heap.words[block.offset])
    writer.write(count: ring.count)
    for entry in 0..<ring.count {
      let place = ring.place(entry)
      guard list.textWords != 0 else {
        writer.write(words: heap.words.span.extracting(place..<place + list.entryWidth))
        continue
      }
      for word in 0..<list.entryWidth {
        if list.textWords >> UInt64(word) & 1 == 1 {
          encode(text: HeapBlock(word: heap.words[place + word]), to: &writer)
        } else {
          writer.write(word: heap.words[place + word])
        }
      }
    }
  }

  private func encode(text block: HeapBlock, to writer: inout StateWriter) {
    writer.write(byte: block.isNone ? 0 : 1)
    if !block.isNone { writer.write(text: heap.text(block)) }
  }

  private func encode(words block: HeapBlock, to writer: inout StateWriter) {
    writer.write(count: block.isNone ? 0 : block.count)
    guard !block.isNone else { return }
    writer.write(words: heap.words.span.extracting(block.offset..<block.offset + block.count))
  }

  // MARK: Reading

  mutating func apply(_ reader: inout StateReader) throws(StateFormatError) {
    let counters = (try reader.count(), try reader.count())
    var places: [Int?] = []
    for _ in 0..<(try reader.count(atMost: Limits.features * 4)) {
      let identity = String(decoding: try reader.text(), as: UTF8.self)
      places.append(layout.operations.firstIndex { $0.identity == identity })
    }
    let operations = layout.operations.map { RecordPart($0) }
    let plain = operations.map { $0.kind == .words }
    let count = try reader.count()
    keys.expect(min(count, reader.left / 16))
    for _ in 0..<count {
      var record: Int
      var key: [UInt8] = []
      var word: UInt64 = 0
      if layout.hasWordKey {
        let size = try reader.count()
        guard size == 8 else { throw reader.fail("a key has \(size) bytes") }
        word = try reader.word().byteSwapped
        record = self.record(ofWord: word)
      } else {
        key = Array(try reader.text())
        guard key.count <= layout.keyBytesMax else { throw reader.fail("a key has \(key.count) bytes") }
        record = self.record(ofKey: key)
      }
      guard try reader.byte() != 0 else {
        if record != 0 { drop(record) }
        continue
      }
      if record != 0 {
        clear(record)
      } else {
        record = layout.hasWordKey ? insert(word: word) : insert(key: key)
      }
      let base = record * layout.width
      keys.records[base + 1] = try reader.word()
      for place in places {
        if let place, plain[place] {
          let operation = operations[place]
          if try reader.words(operation.width, into: &keys.records, at: base + operation.offset) { continue }
        }
        var body = try reader.sized()
        guard let place else { continue }
        let operation = layout.operations[place]
        try decode(operation, base: base + operation.offset, &body)
        guard body.isAtEnd else { throw body.fail("an operation has more than its words") }
      }
    }
    guard reader.isAtEnd else { throw reader.fail("a table has more than its keys") }
    restore(evictedCount: counters.0, sweepCount: counters.1)
  }

  private mutating func decode(
    _ operation: FeatureOperation, base: Int, _ reader: inout StateReader
  ) throws(StateFormatError) {
    if case .list(let list) = operation.kind { return try decode(list, base: base, &reader) }
    let blockWords = operation.blockWords
    for word in 0..<operation.width where !blockWords.contains(word) {
      keys.records[base + word] = try reader.word()
    }
    for word in blockWords {
      keys.records[base + word] =
        operation.keepsText ? try decodeText(&reader) : try decodeWords(operation.kind, &reader)
    }
  }

  private mutating func decode(
    _ list: EventListLayout, base: Int, _ reader: inout StateReader
  ) throws(StateFormatError) {
    for word in 2..<list.width { keys.records[base + word] = try reader.word() }
    let size = try reader.count(atMost: 2 + 4 * (list.maxEvents + 1) * list.entryWidth)
    guard size > 0 else { return }
    var ring = list.ring(heap.allocate(size).word, 0)
    keys.records[base] = ring.block.word
    heap.words[ring.block.offset] = try reader.word()
    let count = try reader.count(atMost: ring.capacity)
    for entry in 0..<count {
      let place = ring.place(entry)
      for word in 0..<list.entryWidth {
        let isText = word > 0 && word <= list.payloads.count && list.payloads[word - 1] == .text
        heap.words[place + word] = isText ? try decodeText(&reader) : try reader.word()
      }
    }
    ring.count = count
    keys.records[base + 1] = ring.placeWord
    for window in list.windows {
      let word = keys.records[base + window.offset]
      guard word & 0xFFFF_FFFF <= word >> 32, word >> 32 <= UInt64(count) else {
        throw reader.fail("a window reaches beyond its list")
      }
    }
    for entry in 1..<max(1, count) where ring.time(entry - 1, heap) > ring.time(entry, heap) {
      throw reader.fail("a list is not in the order of its times")
    }
  }

  private mutating func decodeText(_ reader: inout StateReader) throws(StateFormatError) -> UInt64 {
    guard try reader.byte() != 0 else { return 0 }
    let text = Array(try reader.text())
    return heap.allocate(text: text.span).word
  }

  private mutating func decodeWords(
    _ kind: FeatureOperation.Kind, _ reader: inout StateReader
  ) throws(StateFormatError) -> UInt64 {
    let size = try reader.count(atMost: 4 * Limits.windowPanes * 8)
    guard size > 0 else { return 0 }
    let block = heap.allocate(size)
    guard block.count == size else { throw reader.fail("a block has no such size") }
    for word in block.offset..<block.offset + size { heap.words[word] = try reader.word() }
    let isSound: Bool
    switch kind {
    case .panes(let layout): isSound = size >= layout.blockWords
    case .distinct: isSound = heap.isSet(block)
    case .neighbours: isSound = heap.isNeighbours(block)
    default: isSound = heap.isSketch(block)
    }
    guard isSound else { throw reader.fail("a block holds more than its size") }
    return block.word
  }
}

/// How an operation's part of a record is written: a flat description, so that a million records are written without
/// touching a reference count.
private struct RecordPart {
  enum Kind {
    case words
    case list
    case text
    case block
  }

  let kind: Kind
  let offset: Int
  let width: Int
  /// Which of its words names a block, or −1.
  var blockWord = -1
  var entryWidth = 0
  /// The words of an entry that name texts, a bit each.
  var textWords: UInt64 = 0

  init(_ operation: FeatureOperation) {
    offset = operation.offset
    width = operation.width
    if case .list(let list) = operation.kind {
      kind = .list
      entryWidth = list.entryWidth
      for (index, payload) in list.payloads.enumerated() where payload == .text { textWords |= 2 << UInt64(index) }
    } else if let word = operation.blockWords.first {
      kind = operation.keepsText ? .text : .block
      blockWord = word
    } else {
      kind = .words
    }
  }
}

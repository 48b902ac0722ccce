// A table's part of a state (see `FeatureState+Bytes.swift`), written and read. Both sides walk a million records from one
// end to the other, so they work from flat descriptions of the operations that hold no reference, and ask for the memory of
// many records before they need the first.

extension FeatureTable {
  /// Records whose memory is asked for at once.
  private static let ahead = 64

  // MARK: Writing

  func encode(_ entries: TableEntries, to writer: inout StateWriter) {
    let parts = layout.operations.map { RecordPart($0) }
    writer.write(count: evictedCount)
    writer.write(count: sweepCount)
    writer.write(count: parts.count)
    for (operation, part) in zip(layout.operations, parts) {
      writer.write(text: operation.identity.utf8)
      writer.write(count: part.fixedWidth)
    }
    writer.write(count: entries.gone.count)
    for key in entries.gone { writer.write(text: key) }
    writer.write(count: entries.records.count)
    let blockBytes = 8 * heap.usedCount / max(1, keys.count)
    writer.expect(entries.records.count * (layout.width * 8 + blockBytes + 16 * parts.count + 32))
    writer.write(words: entries.words.span)
    for text in entries.texts { writer.write(text: text) }
    var fixed = [RecordRun(offset: 1, width: 1)]
    for part in parts { fixed.append(fixedPart: part) }
    let variable = parts.filter { $0.kind != .words }
    var touched: UInt64 = 0
    for index in entries.records.indices {
      if index % Self.ahead == 0 {
        let block = entries.records.span.extracting(index..<min(index + Self.ahead, entries.records.count))
        touched ^= keys.touchRecords(block)
        for part in variable {
          touched ^= keys.touchBlocks(block, word: part.offset + part.blockWord, heap: heap.words.span)
        }
      }
      let base = Int(entries.records[index]) * layout.width
      for run in fixed { writer.write(words: keys.records.span, from: base + run.offset, count: run.width) }
      for part in variable {
        let start = writer.beginPart()
        encode(part, base: base + part.offset, to: &writer)
        writer.endPart(start)
      }
    }
    writer.keep(touched: touched)
  }

  @inline(__always)
  private func encode(_ part: RecordPart, base: Int, to writer: inout StateWriter) {
    let block = HeapBlock(word: keys.records[base + part.blockWord])
    if part.kind == .list { return encode(list: part, block, base: base, to: &writer) }
    for word in 0..<part.width where word != part.blockWord { writer.write(word: keys.records[base + word]) }
    if part.kind == .text {
      writer.write(byte: block.isNone ? 0 : 1)
      if !block.isNone { writer.write(text: heap.text(block)) }
      return
    }
    writer.write(count: block.isNone ? 0 : block.count)
    if !block.isNone { writer.write(words: heap.words.span, from: block.offset, count: block.count) }
  }

  private func encode(list: RecordPart, _ block: HeapBlock, base: Int, to writer: inout StateWriter) {
    writer.write(words: keys.records.span, from: base + 2, count: list.width - 2)
    // The block's size decides when old entries are dropped, so it is part of the state.
    writer.write(count: block.isNone ? 0 : block.count)
    guard !block.isNone else { return }
    let ring = EventRing(
      blockWord: block.word, placeWord: keys.records[base + 1], entryWidth: list.entryWidth,
      capacity: (block.count - 1) / list.entryWidth)
    writer.write(word: heap.words[block.offset])
    writer.write(count: ring.count)
    guard list.textWords != 0 else {
      let first = min(ring.count, ring.capacity - ring.head)
      writer.write(words: heap.words.span, from: ring.place(0), count: first * list.entryWidth)
      writer.write(words: heap.words.span, from: block.offset + 1, count: (ring.count - first) * list.entryWidth)
      return
    }
    for entry in 0..<ring.count {
      let place = ring.place(entry)
      for word in 0..<list.entryWidth {
        let value = heap.words[place + word]
        guard list.textWords >> UInt64(word) & 1 == 1 else {
          writer.write(word: value)
          continue
        }
        writer.write(byte: value == 0 ? 0 : 1)
        if value != 0 { writer.write(text: heap.text(HeapBlock(word: value))) }
      }
    }
  }

  // MARK: Reading

  mutating func apply(_ reader: inout StateReader) throws(StateFormatError) {
    let counters = (try reader.count(), try reader.count())
    let form = try readForm(&reader)
    for _ in 0..<(try reader.count(atMost: reader.left)) {
      let record = record(ofKey: try readKey(&reader))
      if record != 0 { drop(record) }
    }
    // A record is its latest time at least.
    let count = try reader.count(atMost: reader.left / 8)
    keys.expect(count)
    var keyReader = reader
    if layout.hasWordKey {
      try reader.skip(words: count)
    } else {
      for _ in 0..<count { _ = try reader.text() }
    }
    heap.expect((reader.left - min(reader.left, count * form.width * 8)) / 8)
    var touched: UInt64 = 0
    var words: [UInt64] = []
    var hashes: [UInt64] = []
    var found = [Int32](repeating: 0, count: Self.ahead)
    for index in 0..<count {
      var record: Int
      if layout.hasWordKey {
        let place = index % Self.ahead
        if place == 0 {
          let last = words.last
          words = try keyReader.words(min(Self.ahead, count - index))
          for (place, word) in words.enumerated() {
            let before = place > 0 ? words[place - 1] : last
            if let before, before >= word { throw keyReader.fail("keys are not in their order") }
          }
          hashes = words.map { hash(ofWord: $0) }
          touched ^= keys.touchSlots(of: hashes.span)
          var places = found.mutableSpan
          keys.find(words.span, hashes: hashes.span, into: &places)
          touched ^= keys.touchRecords(found.span)
        }
        record = Int(found[place])
        if record == 0 { record = keys.insert(words[place], hash: hashes[place]) } else { clear(record) }
      } else {
        let key = try readKey(&keyReader)
        record = self.record(ofKey: key)
        if record == 0 { record = insert(key: key) } else { clear(record) }
      }
      let base = record * layout.width
      try reader.readFixed(form.runs, width: form.width, into: &keys.records, at: base)
      for part in form.variable {
        let end = try reader.endOfPart()
        guard let part else {
          reader.skip(to: end)
          continue
        }
        try decode(part, form, base: base + part.offset, &reader)
        guard reader.at == end else { throw reader.fail("an operation has more or less than its words") }
      }
    }
    guard reader.isAtEnd else { throw reader.fail("a table has more than its keys") }
    restore(evictedCount: counters.0, sweepCount: counters.1, touched: touched)
  }

  /// What a table's bytes say of its operations: where the words of its records belong.
  private struct Form {
    /// Words of a record that are there for every key.
    var width = 1
    /// Where they go, in the order of the words; those of operations that are gone go nowhere.
    var runs = [RecordRun(offset: 1, width: 1)]
    /// The operations whose words differ in number from key to key, `nil` for those that are gone.
    var variable: [RecordPart?] = []
    /// The words, from a list's first, that hold a window's bounds; see ``RecordPart/windows``.
    var windows: [Int] = []
    var operations: [FeatureOperation] = []
  }

  private func readForm(_ reader: inout StateReader) throws(StateFormatError) -> Form {
    var form = Form()
    for _ in 0..<(try reader.count(atMost: Limits.features * 4)) {
      let identity = String(decoding: try reader.text(), as: UTF8.self)
      let width = try reader.count(atMost: Limits.features * 64)
      let operation = layout.operations.first { $0.identity == identity }
      var part = operation.map { RecordPart($0) }
      guard part == nil || part?.fixedWidth == width else { throw reader.fail("an operation has \(width) words") }
      if width > 0 {
        form.width += width
        if let part { form.runs.append(fixedPart: part) } else { form.runs.append(RecordRun(offset: -1, width: width)) }
      } else {
        if let operation, case .list(let list) = operation.kind {
          part?.windows = form.windows.count..<form.windows.count + list.windows.count
          form.windows += list.windows.map(\.offset)
        }
        part?.operation = form.operations.count
        if let operation { form.operations.append(operation) }
        form.variable.append(part)
      }
    }
    return form
  }

  private func readKey(_ reader: inout StateReader) throws(StateFormatError) -> [UInt8] {
    let key = Array(try reader.text())
    guard layout.hasWordKey ? key.count == 8 : key.count <= layout.keyBytesMax else {
      throw reader.fail("a key has \(key.count) bytes")
    }
    return key
  }

  @inline(__always)
  private mutating func decode(
    _ part: RecordPart, _ form: borrowing Form, base: Int, _ reader: inout StateReader
  ) throws(StateFormatError) {
    switch part.kind {
    case .words: break
    case .list: try decode(list: part, form, base: base, &reader)
    case .text, .block:
      for word in 0..<part.width where word != part.blockWord { keys.records[base + word] = try reader.word() }
      keys.records[base + part.blockWord] =
        part.kind == .text ? try decodeText(&reader) : try decodeWords(form.operations[part.operation].kind, &reader)
    }
  }

  private mutating func decode(
    list: RecordPart, _ form: borrowing Form, base: Int, _ reader: inout StateReader
  ) throws(StateFormatError) {
    try reader.read(words: list.width - 2, into: &keys.records, at: base + 2)
    let size = try reader.count(atMost: list.blockWordsMax)
    if size > 0 {
      let block = heap.allocate(size)
      let ring = EventRing(
        blockWord: block.word, placeWord: 0, entryWidth: list.entryWidth, capacity: (block.count - 1) / list.entryWidth)
      keys.records[base] = block.word
      heap.words[block.offset] = try reader.word()
      let count = try reader.count(atMost: ring.capacity)
      if list.textWords == 0 {
        try reader.read(words: count * list.entryWidth, into: &heap.words, at: block.offset + 1)
      } else {
        for entry in 0..<count {
          let place = ring.place(entry)
          for word in 0..<list.entryWidth {
            let isText = list.textWords >> UInt64(word) & 1 == 1
            heap.words[place + word] = isText ? try decodeText(&reader) : try reader.word()
          }
        }
      }
      keys.records[base + 1] = UInt64(truncatingIfNeeded: count)
      for window in list.windows {
        let word = keys.records[base + form.windows[window]]
        guard word & 0xFFFF_FFFF <= word >> 32, word >> 32 <= UInt64(count) else {
          throw reader.fail("a window reaches beyond its list")
        }
      }
      for entry in 1..<max(1, count) where ring.time(entry - 1, heap) > ring.time(entry, heap) {
        throw reader.fail("a list is not in the order of its times")
      }
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
    try reader.read(words: size, into: &heap.words, at: block.offset)
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

/// Words of a record that lie one after the other; at −1 they belong nowhere.
struct RecordRun: Sendable {
  var offset: Int
  var width: Int
}

extension [RecordRun] {
  /// Adds an operation's words, to the run before where they follow it.
  fileprivate mutating func append(fixedPart part: RecordPart) {
    guard part.fixedWidth > 0 else { return }
    if let last, last.offset >= 0, last.offset + last.width == part.offset {
      self[count - 1].width += part.fixedWidth
    } else {
      append(RecordRun(offset: part.offset, width: part.fixedWidth))
    }
  }
}

/// How an operation's part of a record is written: a flat description, so that a million records are written and read
/// without touching a reference count.
private struct RecordPart {
  enum Kind {
    /// Its words, as many for every key.
    case words
    case list
    case text
    case block
  }

  let kind: Kind
  let offset: Int
  let width: Int
  /// Which of its words names a block.
  var blockWord = 0
  var entryWidth = 0
  /// The words of an entry that name texts, a bit each.
  var textWords: UInt64 = 0
  /// The largest block of a list.
  var blockWordsMax = 0
  /// Where a reader keeps what does not fit in here.
  var windows = 0..<0
  var operation = 0

  var fixedWidth: Int { kind == .words ? width : 0 }

  init(_ operation: FeatureOperation) {
    offset = operation.offset
    width = operation.width
    if case .list(let list) = operation.kind {
      kind = .list
      entryWidth = list.entryWidth
      blockWordsMax = 2 + 4 * (list.maxEvents + 1) * list.entryWidth
      for (index, payload) in list.payloads.enumerated() where payload == .text { textWords |= 2 << UInt64(index) }
    } else if let word = operation.blockWords.first {
      kind = operation.keepsText ? .text : .block
      blockWord = word
    } else {
      kind = .words
    }
  }
}

/// What one grouping of features remembers and computes; part of a ``FeatureProgram``.
struct FeatureTableLayout: Sendable {
  /// The columns whose values together are the key.
  var keyInputs: [FeatureInput]
  /// The conditions that select what is folded in, as indexes of the program's conditions; −1 selects everything.
  var foldSets: [Int]
  var operations: [FeatureOperation]
  /// Words of a record.
  var width: Int
  /// What it is without regard to the order of features, so that its state survives a new version of the pipeline.
  var identity: String
  /// The longest key.
  var keyBytesMax = Limits.keyBytes
  /// The topics whose rows it looks at, 0 for the scored one; empty where there is no other.
  var sources: [Int] = []

  /// Every column that it writes.
  var outputs: [FeatureOutput] {
    operations.flatMap { operation in
      if case .list(let list) = operation.kind {
        list.outputs.map(\.output)
      } else {
        operation.outputs
      }
    }
  }

  /// Whether the key is one word, kept in the record itself.
  var hasWordKey: Bool { keyInputs.count == 1 && keyInputs[0].type != .string }
}

/// The state of one grouping of features in one partition.
struct FeatureTable: Sendable {
  let layout: FeatureTableLayout
  let limits: StateLimits
  var keys: RecordTable
  var heap = WordHeap()
  /// Rows of the batch at hand whose value misses events that were dropped, by column.
  var truncated: [Int: [Int]] = [:]
  /// Keys dropped because of a limit or their age.
  private(set) var evictedCount = 0
  /// At how many keys those that are too old are next looked for.
  private(set) var sweepCount = 1_024
  private let seed: UInt64
  /// Keys that went since the last delta, and the buckets that changed since they were last written.
  private(set) var goneKeys: [[UInt8]] = []
  private var changedBuckets: UInt64 = 0
  /// The most bytes that one row can add.
  let rowGrowth: Int
  /// The words of a record that name blocks of the heap, and the lists whose entries name texts.
  private let blockOffsets: [Int]
  private let textLists: [(offset: Int, list: EventListLayout)]

  // Scratch, kept from batch to batch.
  private var touched: UInt64 = 0
  private var keyWords = [UInt64](repeating: 0, count: Limits.batchRows)
  private var hashes = [UInt64](repeating: 0, count: Limits.batchRows)
  private var found = [Int32](repeating: 0, count: Limits.batchRows)
  private var keyed = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  private var folds = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  private var keyText: [UInt8] = []
  private var keyRanges = [Range<Int>](repeating: 0..<0, count: Limits.batchRows)

  init(layout: FeatureTableLayout, limits: StateLimits, seed: UInt64) {
    self.layout = layout
    self.limits = limits
    self.seed = seed
    keys = RecordTable(width: layout.width)
    blockOffsets = layout.operations.flatMap { operation in operation.blockWords.map { operation.offset + $0 } }
    textLists = layout.operations.compactMap { operation in
      guard case .list(let list) = operation.kind, list.payloads.contains(.text) else { return nil }
      return (operation.offset, list)
    }
    rowGrowth = layout.operations.reduce(layout.width * 8 + 512) { total, operation in
      switch operation.kind {
      case .list(let list): total + list.maxEvents * list.entryWidth * 24
      case .distinct, .quantile: total + 32_768
      case .panes(let panes): total + panes.blockWords * 12
      default: total
      }
    }
  }

  /// Bytes in use: a function of what is remembered, not of how it came to be.
  var byteCount: Int { keys.count * (layout.width * 8 + 16) + heap.usedCount * 8 }

  /// Goes on with what another table of the same grouping and operations remembers.
  ///
  /// - Returns: whether the other is such a table; else nothing has changed.
  mutating func take(over other: FeatureTable) -> Bool {
    guard layout.identity == other.layout.identity, layout.width == other.layout.width, seed == other.seed,
      layout.operations.map(\.identity) == other.layout.operations.map(\.identity)
    else { return false }
    (keys, heap, evictedCount, sweepCount) = (other.keys, other.heap, other.evictedCount, other.sweepCount)
    (goneKeys, changedBuckets) = (other.goneKeys, other.changedBuckets)
    return true
  }

  /// Computes the features of all rows and folds the events in, row by row as it appears from outside.
  ///
  /// - Parameter conditions: for each of the program's conditions the rows where it holds.
  mutating func apply(to batch: inout EventBatch, context: inout RowContext, conditions: [[UInt64]]) {
    if !truncated.isEmpty { truncated.removeAll() }
    let rowCount = batch.rowCount
    findKeys(batch)
    if !layout.sources.isEmpty { leaveRows(of: context.sources) }
    collectFolds(rowCount: rowCount, onTime: context.onTime, conditions: conditions)
    let isCareful = byteCount + rowCount * rowGrowth > limits.bytes
    var start = 0
    while start < rowCount {
      let end = resolve(from: start, to: isCareful ? start + 1 : rowCount, context: &context)
      for operation in layout.operations {
        select(operation, batch: batch, rowCount: rowCount, context: &context, conditions: conditions)
        run(operation, rows: start..<end, context: context, batch: &batch)
      }
      start = end
      if isCareful, byteCount > limits.bytes { evict(max(1, keys.count / 32)) }
    }
    clearRowsWithoutKey(&batch)
  }

  /// Passes over the rows of topics that it does not look at.
  private mutating func leaveRows(of sources: [[UInt64]]) {
    for word in keyed.indices { keyed[word] &= layout.sources.reduce(0) { $0 | sources[$1][word] } }
  }

  /// Makes every feature NULL where the key is.
  private func clearRowsWithoutKey(_ batch: inout EventBatch) {
    for word in 0..<(batch.rowCount + 63) / 64 {
      let rest = batch.rowCount - word * 64
      let missing = ~keyed[word] & (rest >= 64 ? ~0 : (1 << UInt64(rest)) - 1)
      guard missing != 0 else { continue }
      for output in layout.outputs {
        batch.validity[output.column * batch.bitmapStride + word] &= ~missing
        if output.type == .boolean {
          batch.words[output.column * batch.stride + word] &= ~missing
          continue
        }
        var bits = missing
        while bits != 0 {
          batch.words[output.column * batch.stride + word * 64 + bits.trailingZeroBitCount] = 0
          bits &= bits - 1
        }
      }
    }
  }

  mutating func run(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    switch operation.kind {
    case .count: runCount(operation, rows: rows, context: context, batch: &batch)
    case .sum: runSum(operation, rows: rows, context: context, batch: &batch)
    case .moments, .hourMoments: runMoments(operation, rows: rows, context: context, batch: &batch)
    case .least, .greatest:
      if operation.keepsText {
        runText(operation, rows: rows, context: context, batch: &batch)
      } else {
        runExtreme(operation, rows: rows, context: context, batch: &batch)
      }
    case .first, .last:
      if operation.keepsText {
        runText(operation, rows: rows, context: context, batch: &batch)
      } else {
        runBoundary(operation, rows: rows, context: context, batch: &batch)
      }
    case .distinct: runDistinct(operation, rows: rows, context: context, batch: &batch)
    case .quantile: runQuantile(operation, rows: rows, context: context, batch: &batch)
    case .ewmaByEvent, .ewmaByTime: runEWMA(operation, rows: rows, context: context, batch: &batch)
    case .lastTime: runLastTime(operation, rows: rows, context: context, batch: &batch)
    case .place: runPlace(operation, rows: rows, context: context, batch: &batch)
    case .neighbours: preconditionFailure("a graph runs row by row")
    case .hours: runHours(operation, rows: rows, context: context, batch: &batch)
    case .panes(let panes): runPanes(operation, layout: panes, rows: rows, context: context, batch: &batch)
    case .list(let list): runList(operation, layout: list, rows: rows, context: context, batch: &batch)
    }
  }

  // MARK: Rows

  /// Which rows an operation can read, counts in and keeps.
  private func select(
    _ operation: FeatureOperation, batch: borrowing EventBatch, rowCount: Int, context: inout RowContext,
    conditions: [[UInt64]]
  ) {
    var isList = false
    if case .list = operation.kind { isList = true }
    let condition = layout.foldSets[operation.foldSet]
    for word in 0..<(rowCount + 63) / 64 {
      var present = keyed[word]
      if !isList {
        for input in operation.inputs { present &= batch.validity[input.column * batch.bitmapStride + word] }
      }
      context.present[word] = present
      if condition >= 0 { present &= conditions[condition][word] }
      context.selected[word] = present
      context.stored[word] = present & context.onTime[word]
    }
  }

  private mutating func collectFolds(rowCount: Int, onTime: [UInt64], conditions: [[UInt64]]) {
    for word in 0..<(rowCount + 63) / 64 {
      var any: UInt64 = 0
      for condition in layout.foldSets { any |= condition < 0 ? ~0 : conditions[condition][word] }
      folds[word] = any & keyed[word] & onTime[word]
    }
  }

  // MARK: Keys

  /// Hashes every row's key and looks it up; the rows are independent, so the memory accesses overlap.
  private mutating func findKeys(_ batch: borrowing EventBatch) {
    let words = (batch.rowCount + 63) / 64
    for word in 0..<words {
      var valid = UInt64.max
      for input in layout.keyInputs { valid &= batch.validity[input.column * batch.bitmapStride + word] }
      keyed[word] = valid
    }
    if layout.hasWordKey {
      let input = layout.keyInputs[0]
      let rows = 0..<batch.rowCount
      hashKeys(input, batch)
      var places: [Int32] = []
      swap(&places, &found)
      do {
        var guesses = places.mutableSpan
        keys.guess(hashes.span.extracting(rows), into: &guesses)
      }
      touched ^= keys.touchRecords(places.span.extracting(rows))
      do {
        var records = places.mutableSpan
        keys.find(keyWords.span.extracting(rows), hashes: hashes.span.extracting(rows), into: &records)
      }
      // Those that stood elsewhere; the others are near by now.
      touched ^= keys.touchRecords(places.span.extracting(rows))
      swap(&places, &found)
      for operation in layout.operations {
        if case .list(let list) = operation.kind, list.onlyCount != nil {
          touched ^= touchRings(list, at: operation.offset, rowCount: batch.rowCount)
          continue
        }
        for word in operation.blockWords {
          touched ^= keys.touchBlocks(found.span.extracting(rows), word: operation.offset + word, heap: heap.words.span)
        }
      }
      return
    }
    keyText.removeAll(keepingCapacity: true)
    for row in 0..<batch.rowCount where keyed[row >> 6] >> UInt64(row & 63) & 1 == 1 {
      let start = keyText.count
      batch.appendKey(layout.keyInputs, row: row, to: &keyText)
      keyRanges[row] = start..<keyText.count
      hashes[row] = StableHash.hash(keyText.span.extracting(start..<keyText.count), seed: seed)
    }
    for row in 0..<batch.rowCount where keyed[row >> 6] >> UInt64(row & 63) & 1 == 1 { found[row] = find(row) }
  }

  /// Loads the rings' first words, where their windows start, and where the next entries go.
  private func touchRings(_ layout: EventListLayout, at offset: Int, rowCount: Int) -> UInt64 {
    let (records, entries) = (keys.records.span, heap.words.span)
    let window = layout.windows[0].offset
    let last = entries.count &- 1
    var touched: UInt64 = 0
    for row in 0..<rowCount {
      let base = Int(found[row]) &* keys.width &+ offset
      let ring = layout.ring(records[base], records[base &+ 1])
      let start = Int(truncatingIfNeeded: records[base &+ window] & 0xFFFF_FFFF)
      touched ^= entries[ring.block.offset] ^ entries[min(ring.place(start), last)]
      touched ^= entries[min(ring.place(ring.count), last)]
    }
    return touched
  }

  private mutating func hashKeys(_ input: FeatureInput, _ batch: borrowing EventBatch) {
    let isWord = input.type == .integer || input.type == .timestamp
    let start = input.column * batch.stride
    for row in 0..<batch.rowCount {
      let key = isWord ? batch.words[start &+ row] : batch.canonicalWord(input, row: row)
      keyWords[row] = key
      hashes[row] = Self.hash(key, seed: seed)
    }
  }

  private static func hash(_ key: UInt64, seed: UInt64) -> UInt64 {
    let product = (key ^ seed ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
    return (product.high ^ product.low) &* 0x9E37_79B9_7F4A_7C15
  }

  private func find(_ row: Int) -> Int32 {
    let record =
      layout.hasWordKey
      ? keys.find(keyWords[row], hash: hashes[row])
      : keys.find(keyText.span.extracting(keyRanges[row]), hash: hashes[row], heap: heap)
    return Int32(truncatingIfNeeded: record)
  }

  /// Gives each row of a segment its record, adding what is missing, and moves the key's latest time.
  ///
  /// - Returns: where the segment ends: before a row for which a key has to go that earlier rows of it may need.
  private mutating func resolve(from start: Int, to limit: Int, context: inout RowContext) -> Int {
    var isStale = start > 0
    for row in start..<limit {
      let bit = UInt64(row & 63)
      guard keyed[row >> 6] >> bit & 1 == 1 else {
        context.bases[row] = 0
        context.inOrder[row >> 6] &= ~(1 << bit)
        continue
      }
      var record = Int(found[row])
      if isStale || record == 0 { record = Int(find(row)) }
      if let timeToLive = limits.timeToLive, record != 0,
        Int64(bitPattern: keys.records[record * layout.width + 1]) < context.horizons[row] &- timeToLive
      {
        if row > start { return row }
        remove(record, hash: hashes[row])
        isStale = true
        record = 0
      }
      let t = context.times[row]
      if record == 0 {
        guard folds[row >> 6] >> bit & 1 == 1 else {
          context.bases[row] = 0
          context.inOrder[row >> 6] &= ~(1 << bit)
          continue
        }
        if isFull {
          if row > start { return row }
          makeRoom(horizon: context.horizons[row])
          isStale = true
        }
        record = insert(row)
        keys.records[record * layout.width + 1] = UInt64(bitPattern: t)
      }
      let base = record * layout.width
      let frontier = Int64(bitPattern: keys.records[base + 1])
      context.bases[row] = base
      context.frontiers[row] = frontier
      if keys.tracksChanges { keys.markChanged(record) }
      if t >= frontier {
        keys.records[base + 1] = UInt64(bitPattern: t)
        context.inOrder[row >> 6] |= 1 << bit
      } else {
        context.inOrder[row >> 6] &= ~(1 << bit)
      }
    }
    return limit
  }

  private mutating func insert(_ row: Int) -> Int {
    guard !layout.hasWordKey else { return keys.insert(keyWords[row], hash: hashes[row]) }
    let text = keyText
    return keys.insert(heap.allocate(text: text.span.extracting(keyRanges[row])).word, hash: hashes[row])
  }

  // MARK: Forgetting

  /// Whether keys have to go, or may, before another comes.
  var isFull: Bool { keys.count >= limits.keys || keys.count >= sweepCount && limits.timeToLive != nil }

  /// Drops the keys that are too old, looking at all of them each time that their count has doubled; where that leaves
  /// no room, those that were seen longest ago.
  mutating func makeRoom(horizon: Int64) {
    if let timeToLive = limits.timeToLive {
      var old: [Int] = []
      keys.forEachRecord { record, _ in
        if Int64(bitPattern: keys.records[record * layout.width + 1]) < horizon &- timeToLive { old.append(record) }
      }
      for record in old { remove(record, hash: hash(ofRecord: record)) }
      sweepCount = max(1_024, keys.count * 2)
    }
    if keys.count >= limits.keys { evict(max(1, limits.keys / 32)) }
  }

  /// Drops the keys that were seen longest ago.
  mutating func evict(_ count: Int) {
    var oldest: [(time: Int64, record: Int)] = []
    oldest.reserveCapacity(keys.count)
    keys.forEachRecord { record, _ in
      oldest.append((Int64(bitPattern: keys.records[record * layout.width + 1]), record))
    }
    oldest.sort { a, b in a.time != b.time ? a.time < b.time : keyPrecedes(a.record, b.record) }
    for (_, record) in oldest.prefix(count) { remove(record, hash: hash(ofRecord: record)) }
  }

  mutating func remove(_ record: Int, hash: UInt64) {
    if keys.tracksChanges { goneKeys.append(keyBytes(ofRecord: record)) }
    releaseBlocks(ofRecord: record)
    if !layout.hasWordKey {
      let key = HeapBlock(word: keys.records[record * layout.width])
      heap.release(key)
    }
    keys.remove(record, hash: hash)
    evictedCount += 1
  }

  private mutating func releaseBlocks(ofRecord record: Int) {
    let base = record * layout.width
    for (offset, list) in textLists {
      let ring = list.ring(keys.records[base + offset], keys.records[base + offset + 1])
      releaseTexts(of: 0..<ring.count, ring: ring, layout: list)
    }
    for offset in blockOffsets { heap.release(HeapBlock(word: keys.records[base + offset])) }
  }

  /// The hash by which a key that is text finds its place.
  func hash(ofKey key: Span<UInt8>) -> UInt64 { StableHash.hash(key, seed: seed) }

  /// The record of a key that is a word, or 0.
  func record(ofWord word: UInt64) -> Int { keys.find(word, hash: Self.hash(word, seed: seed)) }

  /// Adds a key that is a word and not there.
  mutating func insert(word: UInt64) -> Int { keys.insert(word, hash: Self.hash(word, seed: seed)) }

  /// The hash by which a key that is a word finds its place.
  func hash(ofWord word: UInt64) -> UInt64 { Self.hash(word, seed: seed) }

  /// Takes back that keys went because of a limit.
  mutating func forgetEvictions(_ count: Int) { evictedCount -= count }

  func hash(ofRecord record: Int) -> UInt64 {
    let key = keys.records[record * layout.width]
    if layout.hasWordKey { return Self.hash(key, seed: seed) }
    return StableHash.hash(heap.text(HeapBlock(word: key)).span, seed: seed)
  }

  /// The order of keys: numbers by value, texts by their bytes.
  private func keyPrecedes(_ a: Int, _ b: Int) -> Bool {
    let (x, y) = (keys.records[a * layout.width], keys.records[b * layout.width])
    if layout.hasWordKey { return x < y }
    return heap.text(HeapBlock(word: x), precedes: heap.text(HeapBlock(word: y)).span)
  }
}

// Changes, and keys from bytes.
extension FeatureTable {
  mutating func trackChanges() { keys.trackChanges() }

  mutating func forgetChanges() {
    noteChangedBuckets()
    keys.forgetChanges()
    goneKeys.removeAll()
  }

  /// The buckets that changed since this was last asked, a bit each.
  mutating func takeChangedBuckets() -> UInt64 {
    noteChangedBuckets()
    defer { changedBuckets = 0 }
    return changedBuckets
  }

  private mutating func noteChangedBuckets() {
    for record in keys.changedRecords() {
      changedBuckets |= 1 << UInt64(Self.bucket(of: keyBytes(ofRecord: record)))
    }
    for key in goneKeys { changedBuckets |= 1 << UInt64(Self.bucket(of: key)) }
  }

  /// The record of a key as ``keyBytes(ofRecord:)`` gives it, or 0.
  func record(ofKey key: [UInt8]) -> Int {
    guard layout.hasWordKey else {
      return keys.find(key.span, hash: StableHash.hash(key.span, seed: seed), heap: heap)
    }
    let word = Self.word(ofKey: key)
    return keys.find(word, hash: Self.hash(word, seed: seed))
  }

  /// Adds a key that is not there.
  mutating func insert(key: [UInt8]) -> Int {
    guard layout.hasWordKey else {
      return keys.insert(heap.allocate(text: key.span).word, hash: StableHash.hash(key.span, seed: seed))
    }
    let word = Self.word(ofKey: key)
    return keys.insert(word, hash: Self.hash(word, seed: seed))
  }

  static func word(ofKey key: [UInt8]) -> UInt64 { key.reduce(0) { $0 << 8 | UInt64($1) } }

  /// Takes a key out as a delta says; it was counted when it went.
  mutating func drop(_ record: Int) {
    remove(record, hash: hash(ofRecord: record))
    evictedCount -= 1
  }

  /// Empties a record, all but its key.
  mutating func clear(_ record: Int) {
    releaseBlocks(ofRecord: record)
    for word in record * layout.width + 1..<(record + 1) * layout.width { keys.records[word] = 0 }
  }

  /// - Parameter touched: what loading memory ahead gave; kept, so that the loads are.
  mutating func restore(evictedCount: Int, sweepCount: Int, touched: UInt64) {
    (self.evictedCount, self.sweepCount, self.touched) = (evictedCount, sweepCount, touched)
  }
}

// Events that come twice.
extension FeatureTable {
  /// Marks the rows whose key was seen within a span of event time, and remembers the others.
  ///
  /// A table for this has no operations; a record is its key and the latest time it was seen.
  mutating func markRepeated(
    _ batch: borrowing EventBatch, context: borrowing RowContext, within span: Int64, in repeated: inout [UInt64]
  ) {
    findKeys(batch)
    if !layout.sources.isEmpty { leaveRows(of: context.sources) }
    for row in 0..<batch.rowCount where keyed[row >> 6] >> UInt64(row & 63) & 1 == 1 {
      let t = context.times[row]
      var record = Int(find(row))
      if record != 0 {
        let seen = Int64(bitPattern: keys.records[record * layout.width + 1])
        if t &- seen <= span, seen &- t <= span {
          repeated[row >> 6] |= 1 << UInt64(row & 63)
          continue
        }
        if seen > t { continue }
      } else {
        if isFull { makeRoom(horizon: context.horizons[row]) }
        record = insert(row)
      }
      keys.records[record * layout.width + 1] = UInt64(bitPattern: t)
      if keys.tracksChanges { keys.markChanged(record) }
    }
  }
}

extension EventBatch {
  /// Writes a row's key: one text as it is; several values each with its length or eight bytes. What is longer than a key
  /// may be is its SHA-256 and a byte that no text holds.
  func appendKey(_ inputs: [FeatureInput], row: Int, to key: inout [UInt8]) {
    let start = key.count
    for input in inputs {
      if input.type == .string {
        let slice = TextSlice(word: word(column: input.column, row: row))
        if inputs.count > 1 {
          for shift in 0..<4 { key.append(UInt8(truncatingIfNeeded: slice.count >> (8 * shift))) }
        }
        key.append(contentsOf: bytes[slice.range])
      } else {
        let word = canonicalWord(input, row: row)
        for shift in 0..<8 { key.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
      }
    }
    guard key.count - start > Limits.keyBytes else { return }
    var digest = SHA256()
    digest.update(key.span.extracting(start..<key.count))
    key.removeSubrange(start...)
    key.append(contentsOf: digest.finalize())
    key.append(0xFF)
  }
}

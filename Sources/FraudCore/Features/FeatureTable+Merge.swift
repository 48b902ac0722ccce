// One table from two of the same grouping. Each operation says how its words come together; see FeatureOperation for what
// they are.

extension FeatureTable {
  /// Whether a key is in both tables although an operation cannot be merged.
  func sharesKeyThatCannotMerge(_ other: FeatureTable) -> Bool {
    guard !layout.operations.allSatisfy(\.canMerge) else { return false }
    var isShared = false
    other.keys.forEachRecord { record, _ in
      if !isShared { isShared = self.record(ofKey: other.keyBytes(ofRecord: record)) != 0 }
    }
    return isShared
  }

  /// Takes in the records of another table.
  ///
  /// - Parameter horizon: before it no event is folded in any more.
  mutating func merge(_ other: FeatureTable, horizon: Int64) {
    let evicted = evictedCount + other.evictedCount
    let sweep = max(sweepCount, other.sweepCount)
    let entries = other.allRecords()
    var new = TableEntries()
    for (index, otherRecord) in entries.records.enumerated() {
      let record = self.record(ofKey: other.keyBytes(ofRecord: Int(otherRecord)))
      if record != 0 {
        merge(record, with: Int(otherRecord), of: other, horizon: horizon)
        continue
      }
      new.records.append(otherRecord)
      if layout.hasWordKey { new.words.append(entries.words[index]) } else { new.texts.append(entries.texts[index]) }
    }
    var writer = StateWriter()
    other.encode(new, to: &writer)
    do throws(StateFormatError) {
      var reader = StateReader(writer.finish())
      try apply(&reader)
    } catch {
      preconditionFailure("a table cannot read what a table wrote: \(error)")
    }
    if keys.tracksChanges {
      for record in new.records { keys.markChanged(self.record(ofKey: other.keyBytes(ofRecord: Int(record)))) }
    }
    restore(evictedCount: evicted, sweepCount: sweep, touched: 0)
    if keys.count > limits.keys { evict(keys.count - limits.keys) }
    while byteCount > limits.bytes, keys.count > 0 { evict(max(1, keys.count / 32)) }
  }

  private mutating func merge(_ record: Int, with otherRecord: Int, of other: FeatureTable, horizon: Int64) {
    let (base, otherBase) = (record * layout.width, otherRecord * layout.width)
    let frontier = max(
      Int64(bitPattern: keys.records[base + 1]), Int64(bitPattern: other.keys.records[otherBase + 1]))
    keys.records[base + 1] = UInt64(bitPattern: frontier)
    if keys.tracksChanges { keys.markChanged(record) }
    for operation in layout.operations {
      let (first, otherFirst) = (base + operation.offset, otherBase + operation.offset)
      switch operation.kind {
      case .list(let list):
        merge(list: list, at: first, with: otherFirst, of: other, frontier: frontier, horizon: horizon)
      case .panes(let panes):
        merge(panes: panes, type: operation.inputs.first?.type, at: first, with: otherFirst, of: other)
      default:
        merge(operation, at: first, with: otherFirst, of: other)
      }
    }
  }

  /// Operations over the key's life, all of which begin with `n`.
  private mutating func merge(
    _ operation: FeatureOperation, at base: Int, with otherBase: Int, of other: FeatureTable
  ) {
    let (n, more) = (keys.records[base], other.keys.records[otherBase])
    guard more > 0 else { return }
    func word(_ index: Int) -> UInt64 { other.keys.records[otherBase + index] }
    func time(_ word: UInt64) -> Int64 { Int64(bitPattern: word) }
    keys.records[base] = n &+ more
    let type = operation.inputs.first?.type ?? .float
    switch operation.kind {
    case .count, .list, .panes: break
    case .sum:
      var sum = CompensatedSum(
        high: Double(bitPattern: keys.records[base + 1]), low: Double(bitPattern: keys.records[base + 2]))
      sum.add(Double(bitPattern: word(1)))
      sum.add(Double(bitPattern: word(2)))
      (keys.records[base + 1], keys.records[base + 2]) = (sum.high.bitPattern, sum.low.bitPattern)
    case .moments, .hourMoments: mergeMoments(at: base, n, more, mean: word(1), squares: word(2))
    case .least, .greatest:
      let isGreatest = operation.kind == .greatest
      if operation.keepsText {
        let known = HeapBlock(word: keys.records[base + 1])
        let text = other.heap.text(HeapBlock(word: word(1)))
        let isOther = n == 0 || !heap.text(known, equals: text.span)
        if isOther, n == 0 || heap.text(known, precedes: text.span) == isGreatest {
          replaceText(at: base + 1, by: text)
        }
      } else if n == 0
        || (isGreatest
          ? precedes(keys.records[base + 1], word(1), type: type)
          : precedes(word(1), keys.records[base + 1], type: type))
      {
        keys.records[base + 1] = word(1)
      }
    case .first, .last:
      let (known, found) = (time(keys.records[base + 1]), time(word(1)))
      guard n == 0 || (operation.kind == .first ? found < known : found >= known) else { return }
      keys.records[base + 1] = word(1)
      if operation.keepsText {
        replaceText(at: base + 2, by: other.heap.text(HeapBlock(word: word(2))))
      } else {
        keys.records[base + 2] = word(2)
      }
    case .distinct:
      var block = HeapBlock(word: keys.records[base + 1])
      heap.merge(set: HeapBlock(word: word(1)), of: other.heap, into: &block)
      keys.records[base + 1] = block.word
    case .quantile:
      var block = HeapBlock(word: keys.records[base + 1])
      heap.merge(sketch: HeapBlock(word: word(1)), of: other.heap, into: &block)
      keys.records[base + 1] = block.word
    case .ewmaByTime(let halfLife):
      mergeAverage(
        at: base, isFirst: n == 0, halfLife: halfLife,
        with: Average(mean: Double(bitPattern: word(1)), weight: Double(bitPattern: word(2)), time: time(word(3))))
    case .lastTime:
      if n == 0 || time(word(1)) > time(keys.records[base + 1]) { keys.records[base + 1] = word(1) }
    case .place:
      if n == 0 || time(word(1)) >= time(keys.records[base + 1]) {
        for index in 1..<operation.width { keys.records[base + index] = word(index) }
      }
    case .hours:
      var (histogram, added) = (HourHistogram(), HourHistogram())
      for index in 0..<6 {
        histogram.words[index] = keys.records[base + 1 + index]
        added.words[index] = word(1 + index)
      }
      histogram.merge(added)
      for index in 0..<6 { keys.records[base + 1 + index] = histogram.words[index] }
    case .ewmaByEvent, .neighbours: preconditionFailure("refused before")
    }
  }

  private mutating func replaceText(at word: Int, by text: [UInt8]) {
    heap.release(HeapBlock(word: keys.records[word]))
    keys.records[word] = heap.allocate(text: text.span).word
  }

  /// - Source: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
  private mutating func mergeMoments(at base: Int, _ n: UInt64, _ more: UInt64, mean: UInt64, squares: UInt64) {
    let (own, other) = (Double(bitPattern: keys.records[base + 1]), Double(bitPattern: mean))
    let (a, b) = (Double(n), Double(more))
    let distance = other - own
    let merged = n == 0 ? other : own + distance * (b / (a + b))
    let spread = Double(bitPattern: keys.records[base + 2]) + Double(bitPattern: squares)
    keys.records[base + 1] = merged.bitPattern
    keys.records[base + 2] = (spread + distance * distance * (a * b / (a + b))).bitPattern
  }

  /// Means weighted as of the later time.
  private mutating func mergeAverage(at base: Int, isFirst: Bool, halfLife: Double, with other: Average) {
    var merged = other
    if !isFirst {
      let own = Average(
        mean: Double(bitPattern: keys.records[base + 1]), weight: Double(bitPattern: keys.records[base + 2]),
        time: Int64(bitPattern: keys.records[base + 3]))
      merged.time = max(own.time, other.time)
      func weight(_ average: Average) -> Double {
        average.weight * Mathematics.pow(2, Double(average.time &- merged.time) / halfLife)
      }
      let (a, b) = (weight(own), weight(other))
      merged.weight = a + b
      merged.mean = own.mean + (other.mean - own.mean) * (b / (a + b))
    }
    keys.records[base + 1] = merged.mean.bitPattern
    keys.records[base + 2] = merged.weight.bitPattern
    keys.records[base + 3] = UInt64(bitPattern: merged.time)
  }

  // MARK: Windows

  private mutating func merge(
    panes layout: PaneLayout, type: FieldType?, at base: Int, with otherBase: Int, of other: FeatureTable
  ) {
    let added = HeapBlock(word: other.keys.records[otherBase])
    guard !added.isNone else { return }
    if keys.records[base] == 0 { keys.records[base] = heap.allocate(layout.blockWords).word }
    let block = HeapBlock(word: keys.records[base])
    for slot in 0..<layout.slots {
      let (pane, from) = (block.offset + slot * layout.paneWords, added.offset + slot * layout.paneWords)
      let (mark, otherMark) = (heap.words[pane], other.heap.words[from])
      if otherMark == 0 || mark != 0 && Int64(bitPattern: mark) > Int64(bitPattern: otherMark) { continue }
      if mark == otherMark {
        merge(pane: pane, with: from, of: other, layout, type: type)
      } else {
        for word in 0..<layout.paneWords { heap.words[pane + word] = other.heap.words[from + word] }
      }
    }
  }

  /// A list from the entries of both, in the order of their times.
  private mutating func merge(
    list layout: EventListLayout, at base: Int, with otherBase: Int, of other: FeatureTable, frontier: Int64,
    horizon: Int64
  ) {
    let own = layout.ring(keys.records[base], keys.records[base + 1])
    let added = layout.ring(other.keys.records[otherBase], other.keys.records[otherBase + 1])
    var entries: [(isOwn: Bool, index: Int, time: Int64)] = []
    entries.reserveCapacity(own.count + added.count)
    var next = 0
    for index in 0..<own.count {
      let time = own.time(index, heap)
      while next < added.count, added.time(next, other.heap) < time {
        entries.append((false, next, added.time(next, other.heap)))
        next += 1
      }
      entries.append((true, index, time))
    }
    while next < added.count {
      entries.append((false, next, added.time(next, other.heap)))
      next += 1
    }
    var dropped = Int64.min
    if !own.block.isNone { dropped = max(dropped, Int64(bitPattern: heap.words[own.block.offset])) }
    if !added.block.isNone { dropped = max(dropped, Int64(bitPattern: other.heap.words[added.block.offset])) }
    var start = 0
    // A full ring has the entries that its block has room for.
    let size = HeapBlock.size(ofClass: HeapBlock.sizeClass(holding: 1 + layout.maxEvents * layout.entryWidth))
    let limit = (size - 1) / layout.entryWidth
    if entries.count > limit {
      // What no event can see any more goes first, and is not missed.
      if let reach = layout.reach {
        while start < entries.count, entries[start].time <= horizon &- reach { start += 1 }
      }
      let excess = entries.count - start - limit
      if excess > 0 {
        start += excess
        dropped = max(dropped, entries[start - 1].time)
      }
    }
    let kept = entries[start...]
    guard !kept.isEmpty || dropped != .min else { return }
    let wanted = max(kept.count, min(max(own.capacity, added.capacity), layout.maxEvents), 1)
    var ring = layout.ring(heap.allocate(1 + wanted * layout.entryWidth).word, 0)
    heap.words[ring.block.offset] = UInt64(bitPattern: dropped)
    for entry in entries[..<start] where entry.isOwn {
      releaseTexts(of: entry.index..<entry.index + 1, ring: own, layout: layout)
    }
    for (place, entry) in kept.enumerated() {
      let to = ring.place(place)
      if entry.isOwn {
        let from = own.place(entry.index)
        for word in 0..<ring.entryWidth { heap.words[to + word] = heap.words[from + word] }
      } else {
        let from = added.place(entry.index)
        for word in 0..<ring.entryWidth { heap.words[to + word] = other.heap.words[from + word] }
        for (payload, kind) in layout.payloads.enumerated() where kind == .text && heap.words[to + 1 + payload] != 0 {
          let text = other.heap.text(HeapBlock(word: other.heap.words[from + 1 + payload]))
          heap.words[to + 1 + payload] = heap.allocate(text: text.span).word
        }
      }
    }
    ring.count = kept.count
    heap.release(own.block)
    keys.records[base] = ring.block.word
    keys.records[base + 1] = ring.placeWord
    settleWindows(base: base, ring: ring, layout: layout, at: frontier)
  }
}

extension FeatureOperation {
  /// Whether what two states remember of a key can be made one.
  var canMerge: Bool {
    switch kind {
    case .ewmaByEvent, .neighbours: false
    default: true
    }
  }
}

extension HourHistogram {
  /// Adds the counts of another, both halved as often as it takes for each to fit.
  mutating func merge(_ other: HourHistogram) {
    var counts = (0..<24).map { count($0) + other.count($0) }
    while counts.contains(where: { $0 > 0xFFFF }) { counts = counts.map { $0 >> 1 } }
    words = SIMD8(repeating: 0)
    for (hour, count) in counts.enumerated() { words[hour >> 2] |= UInt64(count) << UInt64(16 * (hour & 3)) }
  }
}

// Windowed features: a list of the key's events in the order of their times, and for each window the part of the list
// that it covers, with sums over that part kept up to date.
//
// While a key's events come in order the windows only move forward: entries enter at the end and leave at the start, each
// once. An event that is older than the latest one of its key (it came late, but not too late) leaves the windows where
// they are: its values are computed by scanning the entries that its own windows cover, and it is then put in its place.

extension FeatureTable {
  mutating func runList(
    _ operation: FeatureOperation, layout: EventListLayout, rows: Range<Int>, context: borrowing RowContext,
    batch: inout EventBatch
  ) {
    if let output = layout.onlyCount {
      runOnlyCount(operation, output: output, layout: layout, rows: rows, context: context, batch: &batch)
      return
    }
    for row in rows { runRow(row, operation, layout: layout, context: context, batch: &batch) }
  }

  /// The commonest list, one count over one sliding window: the same as ``runRow(_:_:layout:context:batch:)``, which does
  /// the rows that are not of the usual kind.
  private mutating func runOnlyCount(
    _ operation: FeatureOperation, output: FeatureOutput, layout: EventListLayout, rows: Range<Int>,
    context: borrowing RowContext, batch: inout EventBatch
  ) {
    var row = rows.lowerBound
    while true {
      row = countUsualRows(
        row..<rows.upperBound, operation, output: output, layout: layout, context: context, batch: &batch)
      if row == rows.upperBound { break }
      runRow(row, operation, layout: layout, context: context, batch: &batch)
      row &+= 1
    }
  }

  /// Runs over rows that come in order, whose keys have a ring from which nothing was dropped and in which there is room,
  /// or will be when what no window can need any more is gone.
  ///
  /// - Returns: the first row that is not such a one, with nothing changed for it.
  private mutating func countUsualRows(
    _ rows: Range<Int>, _ operation: FeatureOperation, output: FeatureOutput, layout: EventListLayout,
    context: borrowing RowContext, batch: inout EventBatch
  ) -> Int {
    let window = layout.windows[0]
    guard case .sliding(let length) = window.span, let reach = layout.reach else { return rows.lowerBound }
    let column = OutputColumn(output, stride: batch.stride, bitmapStride: batch.bitmapStride)
    var heapWords: [UInt64] = []
    swap(&heapWords, &heap.words)
    defer { swap(&heapWords, &heap.words) }
    var records = keys.records.mutableSpan
    var entries = heapWords.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      var ring = layout.ring(records[base], records[base &+ 1])
      guard context.isInOrder(row), !ring.block.isNone, entries[ring.block.offset] == EventRing.noneDropped else {
        return row
      }
      let t = context.times[row]
      let isStored = context.isStored(row)
      var start = Int(truncatingIfNeeded: records[base &+ window.offset] & 0xFFFF_FFFF)
      while start < ring.count, Int64(bitPattern: entries[ring.place(start)]) <= t &- length { start &+= 1 }
      // Without a delay and in order, the window ends with the list.
      let count = ring.count &- start &+ (output.includeCurrent && context.isSelected(row) ? 1 : 0)
      if isStored {
        if ring.count == ring.capacity {
          let bound = context.horizons[row] &- reach
          var expired = 0
          while expired < start, Int64(bitPattern: entries[ring.place(expired)]) <= bound { expired &+= 1 }
          guard expired > 0, (ring.count &- expired) &* 4 <= ring.capacity &* 3 || ring.capacity >= layout.maxEvents
          else { return row }
          ring.drop(expired)
          start &-= expired
        }
        entries[ring.place(ring.count)] = UInt64(bitPattern: t)
        ring.count &+= 1
        records[base &+ 1] = ring.placeWord
      }
      if count >= output.minEvents { column.write(UInt64(count), row: row, to: &words, &validity) }
      records[base &+ window.offset] =
        UInt64(truncatingIfNeeded: start) | UInt64(truncatingIfNeeded: ring.count) << 32
    }
    return rows.upperBound
  }

  private mutating func runRow(
    _ row: Int, _ operation: FeatureOperation, layout: EventListLayout, context: borrowing RowContext,
    batch: inout EventBatch
  ) {
    let base = context.bases[row] &+ operation.offset
    var ring = layout.ring(keys.records[base], keys.records[base &+ 1])
    let t = context.times[row]
    let isInOrder = context.isInOrder(row)
    let hasDropped = !ring.block.isNone && heap.words[ring.block.offset] != EventRing.noneDropped
    for index in layout.windows.indices {
      let window = layout.windows[index]
      let range =
        isInOrder
        ? advance(window, base: base, ring: ring, layout: layout, to: t) : covered(by: window, ring: ring, at: t)
      for index in window.outputs {
        let output = layout.outputs[index]
        if hasDropped { noteTruncation(output.output, window, ring: ring, range: range, at: t, row: row) }
        if output.payload < 0, output.output.function == .count {
          let count = range.count &+ (output.output.includeCurrent && context.isSelected(row) ? 1 : 0)
          if count >= output.output.minEvents { batch.write(UInt64(count), output.output, row: row) }
        } else {
          write(
            output, of: window, operation: operation, layout: layout, base: base, ring: ring, range: range, row: row,
            context: context, hasAccumulators: isInOrder, batch: &batch)
        }
      }
    }
    if context.isStored(row) {
      fold(
        row: row, time: t, isInOrder: isInOrder, base: base, ring: &ring, operation: operation, layout: layout,
        context: context, batch: batch)
    }
  }

  // MARK: Moving windows

  /// Moves a window's end and start forward to where they are at `t`, and gives the entries it covers.
  @inline(__always)
  private mutating func advance(
    _ window: EventListLayout.Window, base: Int, ring: EventRing, layout: EventListLayout, to t: Int64
  ) -> Range<Int> {
    let word = keys.records[base &+ window.offset]
    var start = Int(truncatingIfNeeded: word & 0xFFFF_FFFF)
    var end = Int(truncatingIfNeeded: word >> 32)
    let u = t &- window.delay
    if window.delay > 0 {
      while end < ring.count, ring.time(end, heap) <= u {
        enter(end, window, base: base, ring: ring, layout: layout, among: start..<end)
        end &+= 1
      }
    }
    if case .session(let gap) = window.span {
      if start < end, u &- ring.time(end &- 1, heap) > gap {
        clear(window, base: base, layout: layout)
        start = end
      }
    } else {
      let bound = window.span.lowerBound(endingAt: u)
      while start < end, ring.time(start, heap) <= bound {
        leave(start, window, base: base, ring: ring, layout: layout, among: start &+ 1..<end)
        start &+= 1
      }
    }
    setRange(start..<end, of: window, base: base)
    return start..<end
  }

  private mutating func setRange(_ range: Range<Int>, of window: EventListLayout.Window, base: Int) {
    keys.records[base &+ window.offset] =
      UInt64(truncatingIfNeeded: range.lowerBound) | UInt64(truncatingIfNeeded: range.upperBound) << 32
  }

  /// The entries that a window covers at any time, found in the list itself.
  private func covered(by window: EventListLayout.Window, ring: EventRing, at t: Int64) -> Range<Int> {
    let u = t &- window.delay
    let end = ring.count(through: u, heap)
    guard case .session(let gap) = window.span else {
      let bound = window.span.lowerBound(endingAt: u)
      return min(ring.count(through: bound, heap), end)..<end
    }
    var (start, next) = (end, u)
    while start > 0 {
      let time = ring.time(start &- 1, heap)
      if next &- time > gap { break }
      start &-= 1
      next = time
    }
    return start..<end
  }

  /// Puts every window where it is at a time, whatever was done to the list.
  mutating func settleWindows(base: Int, ring: EventRing, layout: EventListLayout, at time: Int64) {
    for window in layout.windows {
      let range = covered(by: window, ring: ring, at: time)
      clear(window, base: base, layout: layout)
      for entry in range {
        enter(entry, window, base: base, ring: ring, layout: layout, among: range.lowerBound..<entry)
      }
      setRange(range, of: window, base: base)
    }
  }

  // MARK: Accumulators

  private mutating func clear(_ window: EventListLayout.Window, base: Int, layout: EventListLayout) {
    for index in window.accumulators {
      let word = base &+ layout.accumulators[index].offset
      for word in word..<word &+ layout.accumulators[index].kind.width { keys.records[word] = 0 }
    }
  }

  /// Counts an entry in that is not among the entries counted so far.
  private mutating func enter(
    _ entry: Int, _ window: EventListLayout.Window, base: Int, ring: EventRing, layout: EventListLayout,
    among others: Range<Int>
  ) {
    for index in window.accumulators {
      let word = base &+ layout.accumulators[index].offset
      switch layout.accumulators[index].kind {
      case .sum(let payload):
        guard let x = number(payload, of: entry, ring, layout) else { continue }
        addToSum(x, at: word)
        keys.records[word &+ 2] &+= 1
      case .squares(let payload):
        guard let x = number(payload, of: entry, ring, layout) else { continue }
        addToSum(x, at: word)
        addToSquares(x, sign: 1, at: word &+ 2)
        keys.records[word &+ 4] &+= 1
      case .distinct(let payload):
        guard let value = self.word(payload, of: entry, ring, layout) else { continue }
        if !contains(value, payload: payload, among: others, ring, layout) { keys.records[word] &+= 1 }
      case .extreme(let payload, let greatest):
        guard let value = self.word(payload, of: entry, ring, layout) else { continue }
        let known = keys.records[word]
        switch keys.records[word &+ 1] {
        case 0:
          keys.records[word] = value
          keys.records[word &+ 1] = 1
        case 1:
          let type = layout.types[payload]
          if greatest ? precedes(known, value, type: type) : precedes(value, known, type: type) {
            keys.records[word] = value
          }
        default: break
        }
      }
    }
  }

  /// Counts an entry out; `others` are those that stay.
  private mutating func leave(
    _ entry: Int, _ window: EventListLayout.Window, base: Int, ring: EventRing, layout: EventListLayout,
    among others: Range<Int>
  ) {
    for index in window.accumulators {
      let word = base &+ layout.accumulators[index].offset
      switch layout.accumulators[index].kind {
      case .sum(let payload):
        guard let x = number(payload, of: entry, ring, layout) else { continue }
        keys.records[word &+ 2] &-= 1
        if keys.records[word &+ 2] == 0 {
          (keys.records[word], keys.records[word &+ 1]) = (0, 0)
        } else {
          addToSum(-x, at: word)
        }
      case .squares(let payload):
        guard let x = number(payload, of: entry, ring, layout) else { continue }
        keys.records[word &+ 4] &-= 1
        if keys.records[word &+ 4] == 0 {
          for word in word..<word &+ 4 { keys.records[word] = 0 }
        } else {
          addToSum(-x, at: word)
          addToSquares(x, sign: -1, at: word &+ 2)
        }
      case .distinct(let payload):
        guard let value = self.word(payload, of: entry, ring, layout) else { continue }
        if !contains(value, payload: payload, among: others, ring, layout) { keys.records[word] &-= 1 }
      case .extreme(let payload, _):
        guard let value = self.word(payload, of: entry, ring, layout) else { continue }
        if others.isEmpty {
          (keys.records[word], keys.records[word &+ 1]) = (0, 0)
        } else if keys.records[word] == value {
          keys.records[word &+ 1] = 2
        }
      }
    }
  }

  private mutating func addToSum(_ x: Double, at word: Int) {
    var sum = CompensatedSum(
      high: Double(bitPattern: keys.records[word]), low: Double(bitPattern: keys.records[word &+ 1]))
    sum.add(x)
    keys.records[word] = sum.high.bitPattern
    keys.records[word &+ 1] = sum.low.bitPattern
  }

  private mutating func addToSquares(_ x: Double, sign: Double, at word: Int) {
    var sum = CompensatedSum(
      high: Double(bitPattern: keys.records[word]), low: Double(bitPattern: keys.records[word &+ 1]))
    sum.add(squareOf: x, sign: sign)
    keys.records[word] = sum.high.bitPattern
    keys.records[word &+ 1] = sum.low.bitPattern
  }

  private func contains(
    _ value: UInt64, payload: Int, among entries: Range<Int>, _ ring: EventRing, _ layout: EventListLayout
  ) -> Bool {
    for entry in entries where word(payload, of: entry, ring, layout) == value { return true }
    return false
  }

  // MARK: Entries

  /// An entry's payload, or `nil` where it is NULL.
  @inline(__always)
  func word(_ payload: Int, of entry: Int, _ ring: EventRing, _ layout: EventListLayout) -> UInt64? {
    let place = ring.place(entry)
    if layout.hasValidity, heap.words[place &+ layout.entryWidth &- 1] >> UInt64(payload) & 1 == 0 { return nil }
    return heap.words[place &+ 1 &+ payload]
  }

  @inline(__always)
  func number(_ payload: Int, of entry: Int, _ ring: EventRing, _ layout: EventListLayout) -> Double? {
    guard let word = word(payload, of: entry, ring, layout) else { return nil }
    return layout.types[payload] == .float ? Double(bitPattern: word) : Double(Int64(bitPattern: word))
  }

  // MARK: Folding in

  private mutating func fold(
    row: Int, time: Int64, isInOrder: Bool, base: Int, ring: inout EventRing, operation: FeatureOperation,
    layout: EventListLayout, context: borrowing RowContext, batch: borrowing EventBatch
  ) {
    if ring.count == ring.capacity {
      makeRoom(base: base, ring: &ring, layout: layout, horizon: context.horizons[row])
    }
    let place = isInOrder ? ring.count : ring.count(through: time, heap)
    ring.count &+= 1
    var entry = ring.count &- 1
    while entry > place {
      let (to, from) = (ring.place(entry), ring.place(entry &- 1))
      for word in 0..<ring.entryWidth { heap.words[to &+ word] = heap.words[from &+ word] }
      entry &-= 1
    }
    writeEntry(place, row: row, time: time, ring: ring, operation: operation, layout: layout, batch: batch)
    keys.records[base] = ring.block.word
    keys.records[base &+ 1] = ring.placeWord
    for index in layout.windows.indices {
      let window = layout.windows[index]
      let word = keys.records[base &+ window.offset]
      let start = Int(truncatingIfNeeded: word & 0xFFFF_FFFF)
      let end = Int(truncatingIfNeeded: word >> 32)
      if isInOrder {
        guard window.delay == 0 else { continue }
        enter(place, window, base: base, ring: ring, layout: layout, among: start..<end)
        setRange(start..<end &+ 1, of: window, base: base)
      } else {
        insertLate(
          place, frontier: context.frontiers[row], start: start, end: end, window: window, base: base, ring: ring,
          layout: layout)
      }
    }
  }

  /// Makes a window right after an entry was put in the middle of the list.
  private mutating func insertLate(
    _ place: Int, frontier: Int64, start: Int, end: Int, window: EventListLayout.Window, base: Int, ring: EventRing,
    layout: EventListLayout
  ) {
    let range = covered(by: window, ring: ring, at: frontier)
    if case .session = window.span {
      // The entry may join what were two sessions.
      clear(window, base: base, layout: layout)
      for entry in range {
        enter(entry, window, base: base, ring: ring, layout: layout, among: range.lowerBound..<entry)
      }
    } else if range.contains(place), range.count == end - start + 1 {
      enterLate(place, window, base: base, ring: ring, layout: layout, range: range)
    }
    setRange(range, of: window, base: base)
  }

  /// Counts in an entry that stands among those that are counted already.
  private mutating func enterLate(
    _ place: Int, _ window: EventListLayout.Window, base: Int, ring: EventRing, layout: EventListLayout,
    range: Range<Int>
  ) {
    for index in window.accumulators {
      if case .distinct(let payload) = layout.accumulators[index].kind,
        let value = word(payload, of: place, ring, layout),
        contains(value, payload: payload, among: range.lowerBound..<place, ring, layout)
          || contains(value, payload: payload, among: place &+ 1..<range.upperBound, ring, layout)
      {
        keys.records[base &+ layout.accumulators[index].offset] &-= 1
      }
    }
    enter(place, window, base: base, ring: ring, layout: layout, among: 0..<0)
  }

  private mutating func writeEntry(
    _ entry: Int, row: Int, time: Int64, ring: EventRing, operation: FeatureOperation, layout: EventListLayout,
    batch: borrowing EventBatch
  ) {
    let place = ring.place(entry)
    heap.words[place] = UInt64(bitPattern: time)
    var valid: UInt64 = 0
    for (index, payload) in layout.payloads.enumerated() {
      let input = operation.inputs[index]
      guard batch.isValid(column: input.column, row: row) else {
        heap.words[place &+ 1 &+ index] = 0
        continue
      }
      valid |= 1 << UInt64(index)
      switch payload {
      case .word: heap.words[place &+ 1 &+ index] = batch.keptWord(input, row: row)
      case .hash: heap.words[place &+ 1 &+ index] = batch.hash(input, row: row)
      case .text:
        let range = batch.rememberedRange(TextSlice(word: batch.word(column: input.column, row: row)))
        let block = heap.allocate(text: batch.bytes.span.extracting(range))
        heap.words[place &+ 1 &+ index] = block.word
      }
    }
    if layout.hasValidity { heap.words[place &+ layout.entryWidth &- 1] = valid }
  }

  /// Drops what no window can need any more; where that does not help, grows the ring up to what a key may hold, and then
  /// drops the oldest.
  private mutating func makeRoom(base: Int, ring: inout EventRing, layout: EventListLayout, horizon: Int64) {
    if ring.count > 0 {
      var expired = expiredCount(base: base, ring: ring, layout: layout, horizon: horizon)
      if expired == 0, ring.count >= layout.maxEvents {
        let time = ring.time(0, heap)
        heap.words[ring.block.offset] = UInt64(bitPattern: time)
        for window in layout.windows {
          let word = keys.records[base &+ window.offset]
          let (start, end) = (Int(truncatingIfNeeded: word & 0xFFFF_FFFF), Int(truncatingIfNeeded: word >> 32))
          if start == 0, end > 0 { leave(0, window, base: base, ring: ring, layout: layout, among: 1..<end) }
        }
        expired = 1
      }
      dropOldest(expired, base: base, ring: &ring, layout: layout)
      if ring.count < ring.capacity, ring.count * 4 <= ring.capacity * 3 || ring.capacity >= layout.maxEvents { return }
    }
    let wanted = min(max(ring.capacity * 2, 3), max(layout.maxEvents, ring.count + 1))
    let old = ring
    ring.block = heap.allocate(1 + wanted * layout.entryWidth)
    ring.head = 0
    ring.capacity = layout.capacity(of: ring.block)
    heap.words[ring.block.offset] = old.block.isNone ? EventRing.noneDropped : heap.words[old.block.offset]
    for entry in 0..<old.count {
      let (to, from) = (ring.place(entry), old.place(entry))
      for word in 0..<ring.entryWidth { heap.words[to &+ word] = heap.words[from &+ word] }
    }
    heap.release(old.block)
  }

  /// How many of the oldest entries no event that may still be folded in can see.
  private func expiredCount(base: Int, ring: EventRing, layout: EventListLayout, horizon: Int64) -> Int {
    var limit = ring.count
    if let reach = layout.reach { limit = ring.count(through: horizon &- reach, heap) }
    for window in layout.windows {
      let start = Int(truncatingIfNeeded: keys.records[base &+ window.offset] & 0xFFFF_FFFF)
      limit = min(limit, start)
      guard case .session(let gap) = window.span else { continue }
      // Whole sessions go, and only those that nothing can be added to.
      while limit > 0 {
        let time = ring.time(limit &- 1, heap)
        let isJoined = limit < ring.count && ring.time(limit, heap) &- time <= gap
        guard isJoined || time >= horizon &- gap else { break }
        limit &-= 1
      }
    }
    return limit
  }

  private mutating func dropOldest(_ count: Int, base: Int, ring: inout EventRing, layout: EventListLayout) {
    guard count > 0 else { return }
    releaseTexts(of: 0..<count, ring: ring, layout: layout)
    ring.drop(count)
    for index in layout.windows.indices {
      let window = layout.windows[index]
      let word = keys.records[base &+ window.offset]
      let (start, end) = (Int(truncatingIfNeeded: word & 0xFFFF_FFFF), Int(truncatingIfNeeded: word >> 32))
      setRange(max(0, start &- count)..<max(0, end &- count), of: window, base: base)
    }
  }

  /// Gives back the texts that entries own.
  mutating func releaseTexts(of entries: Range<Int>, ring: EventRing, layout: EventListLayout) {
    for (index, payload) in layout.payloads.enumerated() where payload == .text {
      for entry in entries {
        if let word = word(index, of: entry, ring, layout) { heap.release(HeapBlock(word: word)) }
      }
    }
  }
}

extension EventBatch {
  /// A value's word as lists and records keep it; a boolean as 0 or 1.
  func keptWord(_ input: FeatureInput, row: Int) -> UInt64 {
    input.type == .boolean
      ? words[input.column &* stride &+ row >> 6] >> UInt64(row & 63) & 1 : words[input.column &* stride &+ row]
  }

  /// The part of a text that is remembered, cut before a character that does not fit whole.
  func rememberedRange(_ slice: TextSlice) -> Range<Int> {
    guard slice.count > Limits.rememberedTextBytes else { return slice.range }
    var end = slice.offset + Limits.rememberedTextBytes
    while end > slice.offset, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return slice.offset..<end
  }

  /// The hash by which values are told apart.
  func hash(_ input: FeatureInput, row: Int) -> UInt64 {
    guard input.type == .string else { return StableHash.hash(canonicalWord(input, row: row)) }
    let slice = TextSlice(word: word(column: input.column, row: row))
    return StableHash.hash(bytes.span.extracting(slice.range))
  }

  /// A value's word with one form for each value: −0.0 is 0.0, every NaN the same.
  func canonicalWord(_ input: FeatureInput, row: Int) -> UInt64 {
    let word = keptWord(input, row: row)
    guard input.type == .float else { return word }
    let value = Double(bitPattern: word)
    return value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : word
  }
}

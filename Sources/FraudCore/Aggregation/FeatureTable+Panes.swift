// A table whose keys are panes. Word 1 of a record holds the pane's first instant, whose lowest bit (a pane starts at a whole
// second) says that an event came after a window with this pane had been closed.

extension FeatureTable {
  /// What an aggregation does with the rows of a batch, a bit each.
  struct PaneSelection {
    /// Events that count.
    var rows: [UInt64]
    /// For each condition, where it holds.
    var conditions: [[UInt64]]
  }

  /// Folds rows into their panes.
  ///
  /// - Parameter closed: windows that end here or earlier were closed.
  mutating func fold(
    _ rows: Range<Int>, plan: AggregationPlan, selection: borrowing PaneSelection, closed: Int64?,
    context: inout RowContext, batch: inout EventBatch
  ) {
    let isCareful = byteCount + rows.count * rowGrowth > limits.bytes
    var start = rows.lowerBound
    while start < rows.upperBound {
      let limit = isCareful ? start + 1 : rows.upperBound
      let end = placePanes(
        start..<limit, plan: plan, selection: selection, closed: closed, context: &context, batch: batch)
      for (operation, condition) in zip(layout.operations, plan.operationConditions) {
        for word in start >> 6...(end - 1) >> 6 {
          var selected = selection.rows[word]
          for input in operation.inputs { selected &= batch.validity[input.column * batch.bitmapStride + word] }
          if condition >= 0 { selected &= selection.conditions[condition][word] }
          (context.present[word], context.selected[word], context.stored[word]) = (selected, selected, selected)
        }
        run(operation, rows: start..<end, context: context, batch: &batch)
      }
      start = end
      if isCareful, byteCount > limits.bytes { evict(max(1, keys.count / 32)) }
    }
  }

  /// Gives each row the record of its pane, adding what is missing.
  ///
  /// - Returns: where the segment ends: before a row for which a pane has to go that earlier rows may need.
  private mutating func placePanes(
    _ rows: Range<Int>, plan: AggregationPlan, selection: borrowing PaneSelection, closed: Int64?,
    context: inout RowContext, batch: borrowing EventBatch
  ) -> Int {
    var key: [UInt8] = []
    for row in rows {
      guard selection.rows[row >> 6] >> UInt64(row & 63) & 1 == 1 else {
        context.bases[row] = 0
        continue
      }
      let pane = plan.pane(of: context.times[row])
      key.removeAll(keepingCapacity: true)
      plan.appendKey(pane: pane, row: row, batch: batch, to: &key)
      let hash = hash(ofKey: key.span)
      var record = keys.find(key.span, hash: hash, heap: heap)
      if record == 0 {
        if keys.count >= limits.keys {
          if row > rows.lowerBound { return row }
          evict(max(1, limits.keys / 32))
        }
        record = keys.insert(heap.allocate(text: key.span).word, hash: hash)
        keys.records[record * layout.width + 1] = UInt64(bitPattern: pane)
      }
      if let closed, pane &+ plan.step <= closed { keys.records[record * layout.width + 1] |= 1 }
      if keys.tracksChanges { keys.markChanged(record) }
      context.bases[row] = record * layout.width
    }
    return rows.upperBound
  }

  /// One window that is due: its end, the key behind the pane, the pane and its record.
  private struct Due {
    var end: Int64
    var key: ArraySlice<UInt8>
    var pane: Int64
    var record: Int
  }

  /// The rows of the windows that the watermark has passed since it was at `closed`, and of those before it to which events
  /// were added since; then lets go of panes that no window needs.
  ///
  /// - Parameters:
  ///   - reached: the last end that the watermark has passed; `nil` passes all windows there are.
  ///   - horizon: no event before it is folded in any more.
  mutating func close(_ plan: AggregationPlan, after closed: Int64?, upTo reached: Int64?, horizon: Int64)
    -> [AggregateRow]
  {
    let before = closed ?? .min
    var due: [Due] = []
    var changed: Set<[UInt8]> = []
    var (panes, spent): ([Int], [Int]) = ([], [])
    keys.forEachRecord { record, _ in panes.append(record) }
    for record in panes where keys.records[record * layout.width + 1] & 1 == 1 {
      let pane = keys.records[record * layout.width + 1] & ~1
      let key = key(ofRecord: record)
      for end in plan.ends(ofPane: Int64(bitPattern: pane)) where end <= before {
        changed.insert(Self.windowKey(end: end, key: key))
      }
      keys.records[record * layout.width + 1] = pane
      if keys.tracksChanges { keys.markChanged(record) }
    }
    for record in panes {
      let pane = Int64(bitPattern: keys.records[record * layout.width + 1])
      if pane &+ plan.length <= horizon { spent.append(record) }
      for end in plan.ends(ofPane: pane) where end <= reached ?? .max {
        guard end > before || !changed.isEmpty else { continue }
        let key = key(ofRecord: record)
        guard end > before || changed.contains(Self.windowKey(end: end, key: key)) else { continue }
        due.append(Due(end: end, key: key, pane: pane, record: record))
      }
    }
    due.sort { a, b in
      if a.end != b.end { return a.end < b.end }
      if a.key != b.key { return a.key.lexicographicallyPrecedes(b.key) }
      return a.pane < b.pane
    }
    var rows: [AggregateRow] = []
    var last: Due?
    for due in due {
      if let last, last.end == due.end, last.key == due.key {
        add(plan, record: due.record, to: &rows[rows.count - 1])
      } else {
        // A correction is numbered by the step of the watermark that it comes with.
        let steps = due.end > before ? 0 : ((reached ?? (closed ?? 0) &+ plan.step) &- due.end) / plan.step
        rows.append(row(plan, end: due.end, key: due.key, revision: steps))
        add(plan, record: due.record, to: &rows[rows.count - 1])
      }
      last = due
    }
    for record in spent { remove(record, hash: hash(ofRecord: record)) }
    forgetEvictions(spent.count)
    return rows
  }

  /// What follows the pane in a record's key.
  private func key(ofRecord record: Int) -> ArraySlice<UInt8> {
    heap.text(HeapBlock(word: keys.records[record * layout.width]))[8...]
  }

  private static func windowKey(end: Int64, key: ArraySlice<UInt8>) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: end >> Int64(8 * $0)) } + key
  }

  /// A row of nothing yet.
  private func row(_ plan: AggregationPlan, end: Int64, key: ArraySlice<UInt8>, revision: Int64) -> AggregateRow {
    AggregateRow(
      aggregation: plan.definition.name, start: end &- plan.length, end: end, key: plan.parts(ofKey: key) ?? [],
      revision: revision, events: 0, measures: [])
  }

  /// Adds a pane to a window's row.
  private func add(_ plan: AggregationPlan, record: Int, to row: inout AggregateRow) {
    let base = record * layout.width
    let isFirst = row.measures.isEmpty
    row.events += Int(truncatingIfNeeded: keys.records[base + layout.operations[0].offset])
    for (index, measure) in plan.measures.enumerated() {
      let part = gathered(layout.operations[measure.operation], base: base)
      let whole = measure.definition.function == .share ? gathered(layout.operations[measure.whole], base: base) : nil
      if isFirst {
        row.measures.append(
          AggregateRow.Value(
            name: measure.definition.name, function: measure.definition.function, part: part, whole: whole,
            parameter: measure.parameter(length: plan.length)))
      } else {
        row.measures[index].part.merge(part)
        if let whole { row.measures[index].whole?.merge(whole) }
      }
    }
  }

  private func gathered(_ operation: FeatureOperation, base: Int) -> Measure {
    let first = base + operation.offset
    let count = Int(truncatingIfNeeded: keys.records[first])
    switch operation.kind {
    case .count: return .count(count)
    case .sum:
      return .sum(
        high: Double(bitPattern: keys.records[first + 1]), low: Double(bitPattern: keys.records[first + 2]),
        count: count)
    case .least:
      return .least(count == 0 ? nil : FieldValue(word: keys.records[first + 1], type: operation.inputs[0].type))
    case .greatest:
      return .greatest(count == 0 ? nil : FieldValue(word: keys.records[first + 1], type: operation.inputs[0].type))
    case .distinct: return heap.measure(ofSet: HeapBlock(word: keys.records[first + 1]))
    default: return heap.measure(ofSketch: HeapBlock(word: keys.records[first + 1]))
    }
  }
}

extension AggregationPlan.Measure {
  /// `quantile`'s quantile, `rate`'s factor an event.
  fileprivate func parameter(length: Int64) -> Double {
    definition.function == .rate ? Double(definition.per) / Double(length) : definition.quantile
  }
}

extension FieldValue {
  /// A value from a kept word; the type is no text.
  fileprivate init(word: UInt64, type: FieldType) {
    switch type {
    case .float: self = .float(Double(bitPattern: word))
    case .boolean: self = .boolean(word != 0)
    case .timestamp: self = .timestamp(Int64(bitPattern: word))
    default: self = .integer(Int64(bitPattern: word))
    }
  }
}

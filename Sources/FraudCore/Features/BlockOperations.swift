// The operations over a key's life whose state lies in a block of the heap: texts, sets and sketches.

extension FeatureTable {
  /// `n`, set: how many different values.
  mutating func runDistinct(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let input = operation.inputs[0]
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = keys.records[base]
      var block = HeapBlock(word: keys.records[base &+ 1])
      let isSelected = context.isSelected(row)
      let hash = isSelected ? batch.hash(input, row: row) : 0
      for output in operation.outputs {
        let includes = isSelected && output.includeCurrent
        guard n &+ (includes ? 1 : 0) >= UInt64(output.minEvents) else { continue }
        let count = includes ? heap.distinctCount(block, with: hash) : heap.distinctCount(block)
        batch.write(UInt64(count), output, row: row)
      }
      if context.isStored(row) {
        heap.insert(hash, intoSet: &block)
        keys.records[base] = n &+ 1
        keys.records[base &+ 1] = block.word
      }
    }
  }

  /// `n`, sketch: a quantile.
  mutating func runQuantile(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let input = operation.inputs[0]
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = keys.records[base]
      var block = HeapBlock(word: keys.records[base &+ 1])
      let isSelected = context.isSelected(row)
      let x = isSelected ? batch.number(input, row: row) : nil
      for output in operation.outputs {
        let includes = isSelected && output.includeCurrent
        guard n &+ (includes ? 1 : 0) >= UInt64(output.minEvents),
          let value = heap.quantile(output.parameter, ofSketch: block, with: includes ? x : nil)
        else { continue }
        batch.write(value.bitPattern, output, row: row)
      }
      if context.isStored(row), let x {
        heap.insert(x, intoSketch: &block)
        keys.records[base] = n &+ 1
        keys.records[base &+ 1] = block.word
      }
    }
  }

  /// Least, greatest, first and last of texts: the words of ``runExtreme`` and ``runBoundary``, the value a block.
  mutating func runText(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let input = operation.inputs[0]
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let place = base &+ operation.blockWords[0]
      let n = keys.records[base]
      let before = HeapBlock(word: keys.records[place])
      let isSelected = context.isSelected(row)
      let t = context.times[row]
      let slice = isSelected ? TextSlice(word: batch.word(column: input.column, row: row)) : TextSlice(word: 0)
      let replaces =
        isSelected && (n == 0 || self.replaces(operation.kind, base: base, at: t, with: slice, batch: batch))
      for output in operation.outputs {
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count > 0, count >= UInt64(output.minEvents) else { continue }
        if includes && replaces {
          batch.write(slice.word, output, row: row)
        } else {
          write(before.word, output, row: row, to: &batch)
        }
      }
      guard context.isStored(row) else { continue }
      keys.records[base] = n &+ 1
      if replaces {
        heap.release(before)
        keys.records[place] = heap.allocate(text: batch.bytes.span.extracting(batch.rememberedRange(slice))).word
        if place == base &+ 2 { keys.records[base &+ 1] = UInt64(bitPattern: t) }
      }
    }
  }

  private func replaces(
    _ kind: FeatureOperation.Kind, base: Int, at t: Int64, with slice: TextSlice, batch: borrowing EventBatch
  ) -> Bool {
    switch kind {
    case .first: return t < Int64(bitPattern: keys.records[base &+ 1])
    case .last: return t >= Int64(bitPattern: keys.records[base &+ 1])
    default:
      let known = HeapBlock(word: keys.records[base &+ 1])
      if heap.text(known, equals: batch.bytes.span.extracting(slice.range)) { return false }
      return heap.text(known, precedes: batch.bytes.span.extracting(slice.range)) == (kind == .greatest)
    }
  }
}

/// A window kept as panes of equal length instead of events: bounded memory, whatever a key does.
///
/// The window that ends at `t` covers the pane that `t` lies in and the panes before it, `count` in all; its length is
/// therefore between `length − length / count` and `length`. What a pane holds is exact, and so is their sum.
///
/// The block is a ring of panes by their number, with as many more as a delay reaches back. A pane is
///
///     number + 1 (0 is none), count, then: sum (two doubles); or sum and sum of squares (four); or an extreme (one word)
struct PaneLayout: Sendable, Hashable {
  /// What panes can tell.
  static let functions: [FeatureFunction] = [.count, .rate, .sum, .mean, .ratio, .variance, .stddev, .min, .max]

  enum Content: Sendable, Hashable {
    case count
    case sum
    case squares
    case least
    case greatest
  }

  let content: Content
  /// Microseconds of one pane.
  let length: Int64
  let delay: Int64
  /// Panes of the window, and of the ring.
  let count: Int
  let slots: Int

  init(_ function: FeatureFunction, length: Int64, delay: Int64, count: Int) {
    content =
      switch function {
      case .sum, .mean, .ratio: .sum
      case .variance, .stddev: .squares
      case .min: .least
      case .max: .greatest
      default: .count
      }
    self.length = Swift.max(1, length / Int64(count))
    self.delay = delay
    self.count = count
    slots = count + Int(Swift.min((delay + self.length - 1) / self.length, Int64(Limits.windowPanes)))
  }

  var paneWords: Int {
    switch content {
    case .count: 2
    case .least, .greatest: 3
    case .sum: 4
    case .squares: 6
    }
  }

  var blockWords: Int { slots * paneWords }

  func number(of time: Int64) -> Int64 { Calendar.floorDivide(time, length) }

  func slot(_ number: Int64) -> Int {
    let rest = Int(number % Int64(slots))
    return (rest < 0 ? rest + slots : rest) * paneWords
  }
}

/// What a window's panes amount to.
private struct PaneTotal {
  var count = 0
  var sum = CompensatedSum()
  var squares = CompensatedSum()
  var extreme: UInt64 = 0
}

extension FeatureTable {
  mutating func runPanes(
    _ operation: FeatureOperation, layout: PaneLayout, rows: Range<Int>, context: borrowing RowContext,
    batch: inout EventBatch
  ) {
    let input = operation.inputs.first
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let t = context.times[row]
      let before = total(HeapBlock(word: keys.records[base]), layout, type: input?.type, at: t &- layout.delay)
      let isSelected = context.isSelected(row)
      let x = context.isPresent(row) ? input.flatMap { $0.type == .string ? nil : batch.number($0, row: row) } : nil
      let word = context.isPresent(row) ? input.map { batch.keptWord($0, row: row) } ?? 0 : 0
      for output in operation.outputs {
        var total = before
        if isSelected, output.includeCurrent { add(x ?? 0, word, layout, type: input?.type, to: &total) }
        guard total.count >= output.minEvents, let value = value(of: output, total, current: x) else { continue }
        batch.write(value, output, row: row)
      }
      if context.isStored(row) { foldIntoPane(x ?? 0, word, at: t, base: base, layout, type: input?.type) }
    }
  }

  private func total(_ block: HeapBlock, _ layout: PaneLayout, type: FieldType?, at time: Int64) -> PaneTotal {
    var total = PaneTotal()
    guard !block.isNone else { return total }
    let last = layout.number(of: time)
    for number in (last &- Int64(layout.count) &+ 1)...last {
      let pane = block.offset &+ layout.slot(number)
      guard heap.words[pane] == UInt64(bitPattern: number &+ 1) else { continue }
      let count = Int(truncatingIfNeeded: heap.words[pane &+ 1])
      switch layout.content {
      case .count: break
      case .sum, .squares:
        total.sum.add(Double(bitPattern: heap.words[pane &+ 2]))
        total.sum.add(Double(bitPattern: heap.words[pane &+ 3]))
        if layout.content == .squares {
          total.squares.add(Double(bitPattern: heap.words[pane &+ 4]))
          total.squares.add(Double(bitPattern: heap.words[pane &+ 5]))
        }
      case .least, .greatest:
        let word = heap.words[pane &+ 2]
        if total.count == 0 || isBetter(word, than: total.extreme, layout, type: type) { total.extreme = word }
      }
      total.count &+= count
    }
    return total
  }

  private func isBetter(_ word: UInt64, than other: UInt64, _ layout: PaneLayout, type: FieldType?) -> Bool {
    layout.content == .greatest
      ? precedes(other, word, type: type ?? .integer) : precedes(word, other, type: type ?? .integer)
  }

  private func add(_ x: Double, _ word: UInt64, _ layout: PaneLayout, type: FieldType?, to total: inout PaneTotal) {
    total.sum.add(x)
    if layout.content == .squares { total.squares.add(squareOf: x, sign: 1) }
    if total.count == 0 || isBetter(word, than: total.extreme, layout, type: type) { total.extreme = word }
    total.count &+= 1
  }

  private func value(of output: FeatureOutput, _ total: PaneTotal, current: Double?) -> UInt64? {
    let n = Double(total.count)
    switch output.function {
    case .count: return UInt64(total.count)
    case .rate: return (n * output.parameter).bitPattern
    case .min, .max: return total.count > 0 ? total.extreme : nil
    case .sum: return total.count > 0 ? total.sum.value.bitPattern : nil
    case .mean: return total.count > 0 ? (total.sum.value / n).bitPattern : nil
    case .ratio:
      let mean = total.sum.value / n
      guard let current, total.count > 0, mean != 0 else { return nil }
      return (current / mean).bitPattern
    default:
      guard total.count > 1 else { return nil }
      let variance = sampleVariance(sum: total.sum, squares: total.squares, count: total.count)
      return (output.function == .variance ? variance : variance.squareRoot()).bitPattern
    }
  }

  private mutating func foldIntoPane(
    _ x: Double, _ word: UInt64, at time: Int64, base: Int, _ layout: PaneLayout, type: FieldType?
  ) {
    if keys.records[base] == 0 { keys.records[base] = heap.allocate(layout.blockWords).word }
    let number = layout.number(of: time)
    let pane = HeapBlock(word: keys.records[base]).offset &+ layout.slot(number)
    let mark = heap.words[pane]
    if mark != UInt64(bitPattern: number &+ 1) {
      // What is older than the ring reaches back is not remembered.
      if mark != 0, Int64(bitPattern: mark) > number &+ 1 { return }
      for word in pane..<pane &+ layout.paneWords { heap.words[word] = 0 }
      heap.words[pane] = UInt64(bitPattern: number &+ 1)
    }
    let count = heap.words[pane &+ 1]
    heap.words[pane &+ 1] = count &+ 1
    switch layout.content {
    case .count: break
    case .sum, .squares:
      store(x, squared: false, at: pane &+ 2)
      if layout.content == .squares { store(x, squared: true, at: pane &+ 4) }
    case .least, .greatest:
      if count == 0 || isBetter(word, than: heap.words[pane &+ 2], layout, type: type) { heap.words[pane &+ 2] = word }
    }
  }

  /// Adds what a pane of another table holds, of the same number.
  mutating func merge(pane: Int, with other: Int, of table: FeatureTable, _ layout: PaneLayout, type: FieldType?) {
    let count = heap.words[pane &+ 1]
    heap.words[pane &+ 1] = count &+ table.heap.words[other &+ 1]
    switch layout.content {
    case .count: break
    case .sum, .squares:
      for word in stride(from: 2, to: layout.paneWords, by: 2) {
        store(Double(bitPattern: table.heap.words[other &+ word]), squared: false, at: pane &+ word)
        store(Double(bitPattern: table.heap.words[other &+ word &+ 1]), squared: false, at: pane &+ word)
      }
    case .least, .greatest:
      let found = table.heap.words[other &+ 2]
      if isBetter(found, than: heap.words[pane &+ 2], layout, type: type) { heap.words[pane &+ 2] = found }
    }
  }

  private mutating func store(_ x: Double, squared: Bool, at word: Int) {
    var sum = CompensatedSum(
      high: Double(bitPattern: heap.words[word]), low: Double(bitPattern: heap.words[word &+ 1]))
    if squared { sum.add(squareOf: x, sign: 1) } else { sum.add(x) }
    (heap.words[word], heap.words[word &+ 1]) = (sum.high.bitPattern, sum.low.bitPattern)
  }
}

/// The sample variance from exact sums: the squares less n times the square of the mean, all in two doubles.
func sampleVariance(sum: CompensatedSum, squares: CompensatedSum, count: Int) -> Double {
  var squares = squares
  let mean = sum.value / Double(max(count, 1))
  squares.add(squareOf: mean, sign: Double(count))
  let cross = -2 * mean
  squares.add(cross * sum.high)
  squares.add((-(cross * sum.high)).addingProduct(cross, sum.high))
  squares.add(cross * sum.low)
  return max(0, squares.value) / Double(max(count &- 1, 1))
}

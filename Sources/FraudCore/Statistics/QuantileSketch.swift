// A DDSketch in one block of a heap: the count of bins, then the bins in ascending order, each a word with its key in the
// high and its count in the low 32 bits.
//
// A value's bin is the logarithm of its magnitude to the base γ = (1 + α) / (1 − α), so that the middle of a bin is within
// the relative error α of every value in it. Keys ascend with the value through negative ones, zero and positive ones.

/// How the quantile function estimates.
///
/// - Source: Masson, Rim, Lee 2019, "DDSketch", DOI 10.14778/3352063.3352135.
package enum QuantileSketch {
  /// The relative error of an estimate.
  package static let relativeError = 0.01
  /// Beyond this many bins the lowest two become one, so that high quantiles keep their error.
  package static let bins = 2_048

  static let gamma = (1 + relativeError) / (1 - relativeError)
  static let logGamma = Mathematics.ln(gamma)
  /// Keys of positive values start above this; no finite double's logarithm reaches it.
  static let bias = 40_000

  static func key(of value: Double) -> Int {
    let magnitude = value.magnitude
    guard magnitude > 1e-300 else { return 0 }
    let index = Int((Mathematics.ln(Swift.min(magnitude, .greatestFiniteMagnitude)) / logGamma).rounded(.up)) + bias
    return value < 0 ? -index : index
  }

  static func value(of key: Int) -> Double {
    guard key != 0 else { return 0 }
    let middle = Mathematics.exp(Double(Int(key.magnitude) - bias) * logGamma) * 2 / (1 + gamma)
    return key < 0 ? -middle : middle
  }
}

extension WordHeap {
  /// Adds a value to the sketch in a block, which moves when it grows; NaN is not counted.
  mutating func insert(_ value: Double, intoSketch block: inout HeapBlock) {
    guard !value.isNaN else { return }
    insert(key: QuantileSketch.key(of: value), count: 1, intoSketch: &block)
  }

  /// The value at a quantile of the sketch and, where given, one more value; `nil` over nothing.
  func quantile(_ q: Double, ofSketch block: HeapBlock, with extra: Double? = nil) -> Double? {
    let count = block.isNone ? 0 : Int(truncatingIfNeeded: words[block.offset])
    let extraKey = extra.flatMap { $0.isNaN ? nil : QuantileSketch.key(of: $0) }
    var total = extraKey == nil ? 0 : 1
    for index in 0..<count { total += binCount(index, block) }
    guard total > 0 else { return nil }
    var rank = Int(q * Double(total - 1))
    var pending = extraKey
    for index in 0..<count {
      let key = binKey(index, block)
      if let extraKey = pending, extraKey <= key {
        if rank == 0 { return QuantileSketch.value(of: extraKey) }
        rank -= 1
        pending = nil
      }
      let inBin = binCount(index, block)
      if rank < inBin { return QuantileSketch.value(of: key) }
      rank -= inBin
    }
    return pending.map { QuantileSketch.value(of: $0) }
  }

  /// Adds what another sketch holds.
  mutating func merge(sketch other: HeapBlock, of heap: borrowing WordHeap, into block: inout HeapBlock) {
    guard !other.isNone else { return }
    for index in 0..<Int(truncatingIfNeeded: heap.words[other.offset]) {
      insert(key: heap.binKey(index, other), count: heap.binCount(index, other), intoSketch: &block)
    }
  }

  /// The bins of a sketch.
  func bins(ofSketch block: HeapBlock) -> [Measure.QuantileBin] {
    guard !block.isNone else { return [] }
    return (0..<Int(truncatingIfNeeded: words[block.offset])).map {
      Measure.QuantileBin(key: binKey($0, block), count: binCount($0, block))
    }
  }

  /// Adds a bin to a sketch.
  mutating func insert(_ bin: Measure.QuantileBin, intoSketch block: inout HeapBlock) {
    insert(key: bin.key, count: bin.count, intoSketch: &block)
  }

  /// Whether a block that comes from outside can be a sketch.
  func isSketch(_ block: HeapBlock) -> Bool {
    let head = words[block.offset]
    guard head < UInt64(block.count), head <= UInt64(QuantileSketch.bins) else { return false }
    return (1..<max(1, Int(head))).allSatisfy { binKey($0 - 1, block) < binKey($0, block) }
  }

  private mutating func insert(key: Int, count added: Int, intoSketch block: inout HeapBlock) {
    if block.isNone { block = allocate(4) }
    var count = Int(truncatingIfNeeded: words[block.offset])
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if binKey(middle, block) < key { low = middle + 1 } else { high = middle }
    }
    if low < count, binKey(low, block) == key {
      setBin(low, block, key: key, count: binCount(low, block) + added)
      return
    }
    if count == QuantileSketch.bins {
      let merged = binCount(0, block) + binCount(1, block)
      setBin(0, block, key: binKey(1, block), count: merged)
      for index in 1..<count - 1 { words[block.offset + 1 + index] = words[block.offset + 2 + index] }
      count -= 1
      words[block.offset] = UInt64(count)
      low = Swift.max(0, low - 1)
      if binKey(low, block) == key {
        setBin(low, block, key: key, count: binCount(low, block) + added)
        return
      }
    }
    if count + 1 == block.count {
      let old = block
      block = allocate(count + 2)
      for index in 0...count { words[block.offset + index] = words[old.offset + index] }
      release(old)
    }
    var index = count
    while index > low {
      words[block.offset + 1 + index] = words[block.offset + index]
      index -= 1
    }
    setBin(low, block, key: key, count: added)
    words[block.offset] = UInt64(count + 1)
  }

  private func binKey(_ index: Int, _ block: HeapBlock) -> Int {
    Int(Int32(truncatingIfNeeded: words[block.offset + 1 + index] >> 32))
  }

  private func binCount(_ index: Int, _ block: HeapBlock) -> Int {
    Int(truncatingIfNeeded: words[block.offset + 1 + index] & 0xFFFF_FFFF)
  }

  private mutating func setBin(_ index: Int, _ block: HeapBlock, key: Int, count: Int) {
    words[block.offset + 1 + index] =
      UInt64(UInt32(bitPattern: Int32(truncatingIfNeeded: key))) << 32 | UInt64(Swift.min(count, 0xFFFF_FFFF))
  }
}

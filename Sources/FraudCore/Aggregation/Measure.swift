/// What a measure has gathered: enough to give its value, and to be added to that of another partition or pane.
public enum Measure: Sendable, Hashable {
  /// Events.
  case count(Int)
  /// A sum as two doubles, and how many values it is of.
  case sum(high: Double, low: Double, count: Int)
  /// The least value; `nil` over nothing.
  case least(FieldValue?)
  /// The greatest value; `nil` over nothing.
  case greatest(FieldValue?)
  /// The hashes of different values in ascending order, while there are at most 256.
  case distinct([UInt64])
  /// The registers of a HyperLogLog sketch of different values.
  case distinctSketch([UInt8])
  /// The bins of a DDSketch: keys in ascending order and how many values each holds.
  case quantile([QuantileBin])

  /// A bin of a DDSketch.
  public struct QuantileBin: Sendable, Hashable {
    /// The logarithm of the values' magnitude, with their sign; see `QuantileSketch`.
    public var key: Int
    /// How many values.
    public var count: Int

    /// Makes a bin.
    public init(key: Int, count: Int) {
      self.key = key
      self.count = count
    }
  }

  /// Adds what the same measure gathered elsewhere. Both must be of one kind.
  public mutating func merge(_ other: Measure) {
    switch (self, other) {
    case (.count(let a), .count(let b)): self = .count(a &+ b)
    case (.sum(let high, let low, let count), .sum(let otherHigh, let otherLow, let otherCount)):
      var sum = CompensatedSum(high: high, low: low)
      sum.add(otherHigh)
      sum.add(otherLow)
      self = .sum(high: sum.high, low: sum.low, count: count &+ otherCount)
    case (.least(let a), .least(let b)): self = .least(Self.better(a, b, greatest: false))
    case (.greatest(let a), .greatest(let b)): self = .greatest(Self.better(a, b, greatest: true))
    case (.distinct, .distinct), (.distinct, .distinctSketch), (.distinctSketch, .distinct),
      (.distinctSketch, .distinctSketch):
      var heap = WordHeap()
      var block = heap.block(ofSet: self)
      let added = heap.block(ofSet: other)
      let source = heap
      heap.merge(set: added, of: source, into: &block)
      self = heap.measure(ofSet: block)
    case (.quantile(let a), .quantile(let b)):
      var heap = WordHeap()
      var block = HeapBlock(word: 0)
      for bin in a + b { heap.insert(bin, intoSketch: &block) }
      self = heap.measure(ofSketch: block)
    default: preconditionFailure("measures of two kinds: \(self) and \(other)")
    }
  }

  private static func better(_ a: FieldValue?, _ b: FieldValue?, greatest: Bool) -> FieldValue? {
    guard let a, let b else { return a ?? b }
    let isLess =
      switch (a, b) {
      case (.float(let x), .float(let y)): x < y || (y.isNaN && !x.isNaN)
      case (.integer(let x), .integer(let y)), (.timestamp(let x), .timestamp(let y)): x < y
      case (.boolean(let x), .boolean(let y)): !x && y
      default: false
      }
    return isLess == greatest ? b : a
  }

  /// How many events or values it covers, the sum, the extreme, the count of different values or the quantile.
  ///
  /// - Parameter quantile: which quantile.
  /// - Returns: `nil` over nothing, but 0 for counts.
  func value(quantile: Double = 0.5) -> FieldValue? {
    switch self {
    case .count(let count): return .integer(Int64(count))
    case .sum(let high, let low, let count): return count == 0 ? nil : .float(high + low)
    case .least(let value), .greatest(let value): return value
    case .distinct(let hashes): return .integer(Int64(hashes.count))
    case .distinctSketch:
      var heap = WordHeap()
      let block = heap.block(ofSet: self)
      return .integer(Int64(heap.distinctCount(block)))
    case .quantile(let bins):
      var heap = WordHeap()
      var block = HeapBlock(word: 0)
      for bin in bins { heap.insert(bin, intoSketch: &block) }
      return heap.quantile(quantile, ofSketch: block).map { .float($0) }
    }
  }

  /// A count or a sum as a number.
  var number: Double {
    switch self {
    case .count(let count): Double(count)
    case .sum(let high, let low, _): high + low
    default: 0
    }
  }

  /// The relative error of its value: a sketch's, or 0.
  public var relativeError: Double {
    switch self {
    case .distinctSketch: DistinctSet.relativeError
    case .quantile: QuantileSketch.relativeError
    default: 0
    }
  }
}

extension WordHeap {
  func measure(ofSet block: HeapBlock) -> Measure {
    guard !block.isNone else { return .distinct([]) }
    if let registers = registers(ofSet: block) { return .distinctSketch(registers) }
    return .distinct((0..<distinctCount(block)).map { words[block.offset + 1 + $0] })
  }

  func measure(ofSketch block: HeapBlock) -> Measure { .quantile(bins(ofSketch: block)) }

  mutating func block(ofSet measure: Measure) -> HeapBlock {
    var block = HeapBlock(word: 0)
    switch measure {
    case .distinct(let hashes): for hash in hashes { insert(hash, intoSet: &block) }
    case .distinctSketch(let registers): block = allocate(sketchOf: registers)
    default: break
    }
    return block
  }
}

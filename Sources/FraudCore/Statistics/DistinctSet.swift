// A set of hashes that becomes a HyperLogLog sketch when it is large, in one block of a heap.
//
// While it is a set, the block is: count, then the hashes in ascending order. As a sketch: ``sketchFlag``, the sum of 2^−r
// over the registers r as a double, how many registers are 0, then the registers a byte each. Sum and zeros are kept up to
// date, so that reading an estimate costs nothing.

/// How the distinct function counts.
package enum DistinctSet {
  /// Up to this many values the count is exact but for collisions of 64-bit hashes (one in 10¹⁴).
  package static let exactCount = 256
  /// 2^12 registers.
  package static let precision = 12
  /// The standard error of an estimate, 1.04 / √4096.
  package static let relativeError = 0.01625

  fileprivate static let registers = 1 << precision
  fileprivate static let sketchFlag: UInt64 = 1 << 63
}

extension WordHeap {
  /// Adds a hash to the set in a block, which moves when it grows; no block is the empty set.
  mutating func insert(_ hash: UInt64, intoSet block: inout HeapBlock) {
    if block.isNone { block = allocate(4) }
    guard words[block.offset] & DistinctSet.sketchFlag == 0 else {
      addToSketch(hash, block)
      return
    }
    let count = Int(truncatingIfNeeded: words[block.offset])
    let (place, isThere) = search(hash, block, count: count)
    guard !isThere else { return }
    if count == DistinctSet.exactCount {
      let old = block
      block = allocate(3 + DistinctSet.registers / 8)
      words[block.offset] = DistinctSet.sketchFlag
      words[block.offset + 1] = Double(DistinctSet.registers).bitPattern
      words[block.offset + 2] = UInt64(DistinctSet.registers)
      for index in 0..<count { addToSketch(words[old.offset + 1 + index], block) }
      release(old)
      addToSketch(hash, block)
      return
    }
    if count + 1 == block.count {
      let old = block
      block = allocate(count + 2)
      for index in 0...count { words[block.offset + index] = words[old.offset + index] }
      release(old)
    }
    let start = block.offset + 1
    var index = count
    while index > place {
      words[start + index] = words[start + index - 1]
      index -= 1
    }
    words[start + place] = hash
    words[block.offset] = UInt64(count + 1)
  }

  /// How many different hashes a set holds, exactly or by estimate.
  func distinctCount(_ block: HeapBlock) -> Int {
    guard !block.isNone else { return 0 }
    let head = words[block.offset]
    guard head & DistinctSet.sketchFlag != 0 else { return Int(truncatingIfNeeded: head) }
    return estimate(sum: Double(bitPattern: words[block.offset + 1]), zeros: Int(words[block.offset + 2]))
  }

  /// How many it would hold with one more hash.
  func distinctCount(_ block: HeapBlock, with hash: UInt64) -> Int {
    guard !block.isNone else { return 1 }
    let head = words[block.offset]
    guard head & DistinctSet.sketchFlag != 0 else {
      let count = Int(truncatingIfNeeded: head)
      return count + (search(hash, block, count: count).isThere ? 0 : 1)
    }
    let (register, rank) = place(of: hash)
    let old = sketchRegister(register, block)
    var sum = Double(bitPattern: words[block.offset + 1])
    var zeros = Int(words[block.offset + 2])
    if rank > old {
      sum += power(-rank) - power(-old)
      if old == 0 { zeros -= 1 }
    }
    return estimate(sum: sum, zeros: zeros)
  }

  /// Adds what another set holds, of another heap or this one.
  mutating func merge(set other: HeapBlock, of heap: borrowing WordHeap, into block: inout HeapBlock) {
    guard !other.isNone else { return }
    let head = heap.words[other.offset]
    if head & DistinctSet.sketchFlag == 0 {
      for index in 0..<Int(truncatingIfNeeded: head) { insert(heap.words[other.offset + 1 + index], intoSet: &block) }
      return
    }
    let old = block
    let isSketch = !old.isNone && words[old.offset] & DistinctSet.sketchFlag != 0
    if !isSketch {
      block = allocate(3 + DistinctSet.registers / 8)
      words[block.offset] = DistinctSet.sketchFlag
      words[block.offset + 1] = Double(DistinctSet.registers).bitPattern
      words[block.offset + 2] = UInt64(DistinctSet.registers)
      if !old.isNone {
        for index in 0..<Int(words[old.offset]) { addToSketch(words[old.offset + 1 + index], block) }
        release(old)
      }
    }
    for register in 0..<DistinctSet.registers { raise(register, to: heap.sketchRegister(register, other), block) }
  }

  /// The registers of a set that became a sketch.
  func registers(ofSet block: HeapBlock) -> [UInt8]? {
    guard !block.isNone, words[block.offset] & DistinctSet.sketchFlag != 0 else { return nil }
    return (0..<DistinctSet.registers).map { UInt8(truncatingIfNeeded: sketchRegister($0, block)) }
  }

  /// A sketch with these registers; what is missing is 0.
  mutating func allocate(sketchOf registers: [UInt8]) -> HeapBlock {
    let block = allocate(3 + DistinctSet.registers / 8)
    words[block.offset] = DistinctSet.sketchFlag
    words[block.offset + 1] = Double(DistinctSet.registers).bitPattern
    words[block.offset + 2] = UInt64(DistinctSet.registers)
    for (register, rank) in registers.prefix(DistinctSet.registers).enumerated() {
      raise(register, to: Int(rank), block)
    }
    return block
  }

  /// Whether a block that comes from outside can be a set.
  func isSet(_ block: HeapBlock) -> Bool {
    let head = words[block.offset]
    if head & DistinctSet.sketchFlag != 0 {
      return block.count >= 3 + DistinctSet.registers / 8 && words[block.offset + 2] <= UInt64(DistinctSet.registers)
    }
    guard head < UInt64(block.count), head <= UInt64(DistinctSet.exactCount) else { return false }
    return (1..<max(1, Int(head))).allSatisfy { words[block.offset + $0] < words[block.offset + $0 + 1] }
  }

  private func search(_ hash: UInt64, _ block: HeapBlock, count: Int) -> (place: Int, isThere: Bool) {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if words[block.offset + 1 + middle] < hash { low = middle + 1 } else { high = middle }
    }
    return (low, low < count && words[block.offset + 1 + low] == hash)
  }

  private func place(of hash: UInt64) -> (register: Int, rank: Int) {
    let register = Int(truncatingIfNeeded: hash >> UInt64(64 - DistinctSet.precision))
    let rest = hash << UInt64(DistinctSet.precision) | 1 << UInt64(DistinctSet.precision - 1)
    return (register, rest.leadingZeroBitCount + 1)
  }

  private func sketchRegister(_ register: Int, _ block: HeapBlock) -> Int {
    Int(truncatingIfNeeded: words[block.offset + 3 + register >> 3] >> UInt64(8 * (register & 7)) & 0xFF)
  }

  private mutating func addToSketch(_ hash: UInt64, _ block: HeapBlock) {
    let (register, rank) = place(of: hash)
    raise(register, to: rank, block)
  }

  private mutating func raise(_ register: Int, to rank: Int, _ block: HeapBlock) {
    let old = sketchRegister(register, block)
    guard rank > old else { return }
    let shift = UInt64(8 * (register & 7))
    words[block.offset + 3 + register >> 3] ^= UInt64(old ^ rank) << shift
    let sum = Double(bitPattern: words[block.offset + 1]) + (power(-rank) - power(-old))
    words[block.offset + 1] = sum.bitPattern
    if old == 0 { words[block.offset + 2] -= 1 }
  }

  private func power(_ exponent: Int) -> Double { Double(sign: .plus, exponent: exponent, significand: 1) }

  /// - Source: Flajolet et al. 2007, "HyperLogLog", with linear counting below 2.5 registers' worth.
  private func estimate(sum: Double, zeros: Int) -> Int {
    let m = Double(DistinctSet.registers)
    let raw = 0.7213 / (1 + 1.079 / m) * m * m / sum
    if raw <= 2.5 * m, zeros > 0 { return Int((m * Mathematics.ln(m / Double(zeros))).rounded()) }
    return Int(raw.rounded())
  }
}

/// Writes Parquet's RLE and bit-packing hybrid, which holds dictionary indices and definition levels.
///
/// Runs of eight or more equal values become `(count << 1, value)`, all else groups of eight bit-packed values behind
/// `(groups << 1 | 1)`.
///
/// Source: Encodings.md of apache/parquet-format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".
enum RunLengthEncoder {
  /// Appends `values`, each below `2^bitWidth`, with `bitWidth` at most 32.
  static func append(_ values: Span<UInt32>, bitWidth: Int, to output: inout [UInt8]) {
    var literalStart = 0
    var position = 0
    while position < values.count {
      let value = values[position]
      var end = position + 1
      while end < values.count && values[end] == value { end += 1 }
      if end - position >= 8 {
        appendLiterals(values.extracting(literalStart..<position), bitWidth: bitWidth, to: &output)
        appendVarint(UInt64(end - position) << 1, to: &output)
        for byte in 0..<(bitWidth + 7) / 8 { output.append(UInt8(truncatingIfNeeded: value >> UInt32(byte * 8))) }
        position = end
        literalStart = end
      } else {
        position = min(position + 8, values.count)
      }
    }
    appendLiterals(values.extracting(literalStart..<values.count), bitWidth: bitWidth, to: &output)
  }

  /// Appends definition levels of a flat nullable column: one bit a row.
  static func appendLevels(_ validity: BitArray, in range: Range<Int>, to output: inout [UInt8]) {
    var literals: [UInt8] = []
    func flushLiterals(to output: inout [UInt8]) {
      guard !literals.isEmpty else { return }
      appendVarint(UInt64(literals.count) << 1 | 1, to: &output)
      output.append(contentsOf: literals)
      literals.removeAll(keepingCapacity: true)
    }
    var row = range.lowerBound
    while row < range.upperBound {
      let run = validity.runLength(at: row, limit: range.upperBound - row)
      if run >= 8 {
        flushLiterals(to: &output)
        appendVarint(UInt64(run) << 1, to: &output)
        output.append(validity[row] ? 1 : 0)
        row += run
      } else {
        let count = min(8, range.upperBound - row)
        literals.append(UInt8(truncatingIfNeeded: validity.bits(at: row, count: count)))
        row += count
      }
    }
    flushLiterals(to: &output)
  }

  private static func appendLiterals(_ values: Span<UInt32>, bitWidth: Int, to output: inout [UInt8]) {
    guard !values.isEmpty else { return }
    let groups = (values.count + 7) / 8
    appendVarint(UInt64(groups) << 1 | 1, to: &output)
    var bits = BitWriter()
    for index in values.indices { bits.append(UInt64(values[index]), width: bitWidth, to: &output) }
    for _ in values.count..<groups * 8 { bits.append(0, width: bitWidth, to: &output) }
    bits.flush(to: &output)
  }
}

/// Packs values of few bits, the lowest bit first.
struct BitWriter {
  private var pending: UInt64 = 0
  private var pendingBits = 0

  /// Appends the low `width` (0 to 64) bits of `value`, above which there must be none.
  @inline(__always)
  mutating func append(_ value: UInt64, width: Int, to output: inout [UInt8]) {
    pending |= value << UInt64(pendingBits)
    pendingBits += width
    guard pendingBits >= 64 else { return }
    appendWord(pending, to: &output)
    pendingBits -= 64
    pending = pendingBits == 0 ? 0 : value >> UInt64(width - pendingBits)
  }

  /// Writes the last bits, filled up to a byte.
  mutating func flush(to output: inout [UInt8]) {
    while pendingBits > 0 {
      output.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      pendingBits -= 8
    }
    self = BitWriter()
  }
}

/// Appends a number in seven-bit groups, the lowest first.
func appendVarint(_ value: UInt64, to output: inout [UInt8]) {
  var rest = value
  while rest >= 0x80 {
    output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
    rest >>= 7
  }
  output.append(UInt8(rest))
}

/// Appends eight bytes, the lowest first.
@inline(__always)
func appendWord(_ value: UInt64, to output: inout [UInt8]) {
  // One copy of eight bytes; appending them one by one measured several times slower.
  unsafe withUnsafeBytes(of: value.littleEndian) { unsafe output.append(contentsOf: $0) }
}

/// Appends four bytes, the lowest first.
@inline(__always)
func appendHalfWord(_ value: UInt32, to output: inout [UInt8]) {
  unsafe withUnsafeBytes(of: value.littleEndian) { unsafe output.append(contentsOf: $0) }
}

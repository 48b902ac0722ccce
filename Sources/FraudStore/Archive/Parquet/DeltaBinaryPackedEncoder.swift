/// Writes DELTA_BINARY_PACKED: differences of neighbours in blocks of 128, bit-packed in four miniblocks over the
/// block's least difference.
///
/// Source: Encodings.md of apache/parquet-format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".
enum DeltaBinaryPackedEncoder {
  static let blockValues = 128
  static let miniblocks = 4
  private static let miniblockValues = blockValues / miniblocks

  static func append(_ values: Span<UInt64>, to output: inout [UInt8]) {
    appendVarint(UInt64(blockValues), to: &output)
    appendVarint(UInt64(miniblocks), to: &output)
    appendVarint(UInt64(values.count), to: &output)
    appendZigZag(values.isEmpty ? 0 : Int64(bitPattern: values[0]), to: &output)
    var position = 1
    var deltas = [UInt64](repeating: 0, count: blockValues)
    while position < values.count {
      let count = min(blockValues, values.count - position)
      let least = block(values, at: position, count: count, into: &deltas)
      appendZigZag(least, to: &output)
      for miniblock in 0..<miniblocks {
        output.append(UInt8(width(of: deltas.span, miniblock: miniblock, count: count)))
      }
      for miniblock in 0..<miniblocks where miniblock * miniblockValues < count {
        let width = width(of: deltas.span, miniblock: miniblock, count: count)
        var bits = BitWriter()
        for index in miniblock * miniblockValues..<(miniblock + 1) * miniblockValues {
          bits.append(index < count ? deltas[index] : 0, width: width, to: &output)
        }
        bits.flush(to: &output)
      }
      position += count
    }
  }

  /// About the bytes that ``append(_:to:)`` would write, without writing them.
  static func byteCount(_ values: Span<UInt64>) -> Int {
    var bytes = 16
    var position = 1
    var deltas = [UInt64](repeating: 0, count: blockValues)
    while position < values.count {
      let count = min(blockValues, values.count - position)
      _ = block(values, at: position, count: count, into: &deltas)
      bytes += 8
      for miniblock in 0..<miniblocks where miniblock * miniblockValues < count {
        bytes += width(of: deltas.span, miniblock: miniblock, count: count) * miniblockValues / 8
      }
      position += count
    }
    return bytes
  }

  /// Fills in a block's differences less the least of them, which it returns. All arithmetic wraps, as the format asks.
  private static func block(
    _ values: Span<UInt64>, at position: Int, count: Int, into deltas: inout [UInt64]
  ) -> Int64 {
    var least = Int64.max
    for index in 0..<count {
      let delta = values[position + index] &- values[position + index - 1]
      deltas[index] = delta
      least = min(least, Int64(bitPattern: delta))
    }
    for index in 0..<count { deltas[index] &-= UInt64(bitPattern: least) }
    return least
  }

  private static func width(of deltas: Span<UInt64>, miniblock: Int, count: Int) -> Int {
    var union: UInt64 = 0
    let start = miniblock * miniblockValues
    guard start < count else { return 0 }
    for index in start..<min(start + miniblockValues, count) { union |= deltas[index] }
    return 64 - union.leadingZeroBitCount
  }

  private static func appendZigZag(_ value: Int64, to output: inout [UInt8]) {
    appendVarint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63), to: &output)
  }
}

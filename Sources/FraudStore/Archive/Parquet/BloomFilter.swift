/// Parquet's split block bloom filter: blocks of 256 bits, of which a value sets one in each of eight words.
///
/// Source: BloomFilter.md of apache/parquet-format.
struct BloomFilter {
  private static let salt: [8 of UInt32] = [
    0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31,
  ]
  /// The format's bounds for a filter's bytes.
  static let byteCountRange = 32...(128 << 20)

  /// The blocks, eight words each.
  private(set) var words: [UInt32]

  /// An empty filter for so many distinct values, at about one false positive in a hundred.
  init(distinctCount: Int) {
    // At 1 % a value needs 9.68 bits in eight-bit blocks (the format's formula); sizes are powers of two.
    let bits = Double(max(distinctCount, 1)) * 9.68
    var bytes = Self.byteCountRange.lowerBound
    while bytes < Int(bits / 8) && bytes < Self.byteCountRange.upperBound { bytes *= 2 }
    words = [UInt32](repeating: 0, count: bytes / 4)
  }

  /// A filter as it lies in a file.
  init(bytes: RawSpan) throws(StoreError) {
    guard Self.byteCountRange.contains(bytes.byteCount), bytes.byteCount % 32 == 0 else {
      throw .corrupt("a bloom filter of \(bytes.byteCount) bytes")
    }
    words = []
    words.reserveCapacity(bytes.byteCount / 4)
    for index in 0..<bytes.byteCount / 4 {
      words.append(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: UInt32.self).littleEndian)
    }
  }

  mutating func insert(hash: UInt64) {
    let block = block(of: hash)
    for lane in 0..<8 { words[block + lane] |= Self.bit(of: hash, lane: lane) }
  }

  /// False where the value is certainly not in the column chunk.
  func mayContain(hash: UInt64) -> Bool {
    let block = block(of: hash)
    for lane in 0..<8 where words[block + lane] & Self.bit(of: hash, lane: lane) == 0 { return false }
    return true
  }

  private func block(of hash: UInt64) -> Int {
    let blockCount = UInt64(words.count / 8)
    return Int(((hash >> 32) &* blockCount) >> 32) * 8
  }

  private static func bit(of hash: UInt64, lane: Int) -> UInt32 {
    1 << ((UInt32(truncatingIfNeeded: hash) &* salt[lane]) >> 27)
  }

  /// The filter as a file holds it: header, then blocks.
  func encoded() -> [UInt8] {
    var header = ThriftWriter()
    header.structure { header in
      header.int32(1, Int32(words.count * 4))
      for id in [Int32(2), 3, 4] {
        // Unions of one empty structure each: split blocks, xxHash, no compression.
        header.structure(id) { $0.structure(1) { _ in } }
      }
    }
    var bytes = header.bytes
    bytes.reserveCapacity(bytes.count + words.count * 4)
    for word in words {
      for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return bytes
  }
}

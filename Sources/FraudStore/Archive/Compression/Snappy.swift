/// Decompresses snappy's raw format from bytes that nobody vouches for.
///
/// A stream is its decompressed length, then literals and copies of what came before. Every copy is checked against what
/// has been written and against the length, so nothing outside of the target is ever touched.
///
/// Source: format_description.txt of google/snappy.
enum Snappy {
  /// Fills `range` of `target` with what `source` holds, which must be exactly so many bytes.
  static func decompress(_ source: Span<UInt8>, into target: inout [UInt8], _ range: Range<Int>) throws(StoreError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= target.count)
    var input = 0
    let length = try varint(source, &input)
    guard length == UInt64(range.count) else {
      throw .corrupt("a snappy page holds \(length) bytes where its header says \(range.count)")
    }
    var target = target.mutableSpan
    var output = range.lowerBound
    while input < source.count {
      let tag = source[input]
      input += 1
      switch tag & 3 {
      case 0:
        let count = try literalLength(tag, source, &input)
        guard count <= source.count - input, count <= range.upperBound - output else { throw damaged }
        for offset in 0..<count { target[output + offset] = source[input + offset] }
        input += count
        output += count
      case let form:
        let extra = form == 3 ? 4 : Int(form)
        guard extra <= source.count - input else { throw damaged }
        var distance = 0
        for byte in 0..<extra { distance |= Int(source[input + byte]) << (byte * 8) }
        input += extra
        var count = Int(tag >> 2) + 1
        if form == 1 {
          count = Int(tag >> 2 & 7) + 4
          distance |= Int(tag >> 5) << 8
        }
        guard distance > 0, distance <= output - range.lowerBound, count <= range.upperBound - output else {
          throw damaged
        }
        // A copy may overlap what it writes, so it goes byte by byte.
        for offset in 0..<count { target[output + offset] = target[output + offset - distance] }
        output += count
      }
    }
    guard output == range.upperBound else { throw damaged }
  }

  private static var damaged: StoreError { .corrupt("a snappy page is damaged") }

  private static func literalLength(
    _ tag: UInt8, _ source: Span<UInt8>, _ input: inout Int
  ) throws(StoreError) -> Int {
    let code = Int(tag >> 2)
    guard code >= 60 else { return code + 1 }
    let bytes = code - 59
    guard bytes <= source.count - input else { throw damaged }
    var length = 0
    for byte in 0..<bytes { length |= Int(source[input + byte]) << (byte * 8) }
    input += bytes
    return length + 1
  }

  private static func varint(_ source: Span<UInt8>, _ input: inout Int) throws(StoreError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 28, by: 7) {
      guard input < source.count else { throw damaged }
      let byte = source[input]
      input += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw damaged
  }
}

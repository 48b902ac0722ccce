/// CRC-32 of IEEE 802.3 (reflected, polynomial 0xEDB88320), as pages carry it, and CRC-32C (0x82F63B78) beside it.
///
/// A long piece goes in as four strands, words 0, 4, 8 …, words 1, 5, 9 … and so on, since the lookups of one strand need
/// not wait for those of another; they are joined at its end.
///
/// - Source: K. Kapur and M. Adler, the "braided" CRC of zlib 1.2.12 (`crc32.c`), after E. Kadatch and B. Jenkins (2010).
struct Checksum {
  private static let ieee = makeTables(0xEDB8_8320)
  private static let castagnoli = makeTables(0x82F6_3B78)

  private static func makeTables(_ polynomial: UInt32) -> [UInt32] {
    var first = [UInt32](repeating: 0, count: 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
      first[byte] = value
    }
    // What a byte comes to with so many zeros behind it.
    var table = first
    var tables: [UInt32] = []
    for zeros in 0..<strandBytes {
      if zeros < 8 || zeros >= strandBytes - 8 { tables += table }
      for byte in 0..<256 { table[byte] = table[byte] >> 8 ^ first[Int(table[byte] & 0xFF)] }
    }
    return tables
  }

  /// From a word of a strand to its next one.
  private static let strandBytes = 32

  /// Eight tables for a byte with 0 to 7 zeros behind it, and eight for 24 to 31.
  private let tables: [UInt32]
  private var state: UInt32 = 0xFFFF_FFFF

  /// The checksum of all bytes given so far.
  var value: UInt32 { ~state }

  init() { tables = Self.ieee }

  private init(tables: [UInt32]) { self.tables = tables }

  mutating func update(_ bytes: RawSpan) {
    let held = tables
    let tables = held.span
    precondition(tables.count == 16 * 256)
    var crc = state
    var position = 0
    if bytes.byteCount >= 2 * Self.strandBytes {
      var (a, b, c, d) = (crc, UInt32(0), UInt32(0), UInt32(0))
      while bytes.byteCount - position >= 2 * Self.strandBytes {
        a = Self.lookUp(Self.word(bytes, position) ^ UInt64(a), in: tables, from: 0x800)
        b = Self.lookUp(Self.word(bytes, position + 8) ^ UInt64(b), in: tables, from: 0x800)
        c = Self.lookUp(Self.word(bytes, position + 16) ^ UInt64(c), in: tables, from: 0x800)
        d = Self.lookUp(Self.word(bytes, position + 24) ^ UInt64(d), in: tables, from: 0x800)
        position += Self.strandBytes
      }
      crc = Self.lookUp(Self.word(bytes, position) ^ UInt64(a), in: tables, from: 0)
      crc = Self.lookUp(Self.word(bytes, position + 8) ^ UInt64(b ^ crc), in: tables, from: 0)
      crc = Self.lookUp(Self.word(bytes, position + 16) ^ UInt64(c ^ crc), in: tables, from: 0)
      crc = Self.lookUp(Self.word(bytes, position + 24) ^ UInt64(d ^ crc), in: tables, from: 0)
      position += Self.strandBytes
    }
    while bytes.byteCount - position >= 8 {
      crc = Self.lookUp(Self.word(bytes, position) ^ UInt64(crc), in: tables, from: 0)
      position += 8
    }
    while position < bytes.byteCount {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
      crc = crc >> 8 ^ tables[Int((crc ^ UInt32(byte)) & 0xFF)]
      position += 1
    }
    state = crc
  }

  /// Eight bytes from a place, whose bounds are checked; any bits are a word.
  @inline(__always)
  private static func word(_ bytes: RawSpan, _ position: Int) -> UInt64 {
    unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self).littleEndian
  }

  /// What the eight bytes of a word come to together, the last of which has fewest zeros behind it.
  @inline(__always)
  private static func lookUp(_ word: UInt64, in tables: Span<UInt32>, from start: Int) -> UInt32 {
    let low =
      tables[start | 0x700 | Int(word & 0xFF)] ^ tables[start | 0x600 | Int(word >> 8 & 0xFF)]
      ^ tables[start | 0x500 | Int(word >> 16 & 0xFF)] ^ tables[start | 0x400 | Int(word >> 24 & 0xFF)]
    let high =
      tables[start | 0x300 | Int(word >> 32 & 0xFF)] ^ tables[start | 0x200 | Int(word >> 40 & 0xFF)]
      ^ tables[start | 0x100 | Int(word >> 48 & 0xFF)] ^ tables[start | Int(word >> 56)]
    return low ^ high
  }

  static func of(_ bytes: RawSpan) -> UInt32 {
    var checksum = Checksum()
    checksum.update(bytes)
    return checksum.value
  }

  /// The CRC-32C of bytes.
  static func crc32c(of bytes: RawSpan) -> UInt32 {
    var checksum = Checksum(tables: castagnoli)
    checksum.update(bytes)
    return checksum.value
  }
}

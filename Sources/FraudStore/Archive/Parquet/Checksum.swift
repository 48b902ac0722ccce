/// CRC-32 of IEEE 802.3 (reflected, polynomial 0xEDB88320), as pages carry it, and CRC-32C (0x82F63B78) beside it.
///
/// Sixteen tables let sixteen bytes go in per step: a lookup does not wait for the one before.
struct Checksum {
  private static let ieee = makeTables(0xEDB8_8320)
  private static let castagnoli = makeTables(0x82F6_3B78)

  private static func makeTables(_ polynomial: UInt32) -> [UInt32] {
    var tables = [UInt32](repeating: 0, count: 16 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
      tables[byte] = value
    }
    for slice in 1..<16 {
      for byte in 0..<256 {
        let previous = tables[(slice - 1) * 256 + byte]
        tables[slice * 256 + byte] = previous >> 8 ^ tables[Int(previous & 0xFF)]
      }
    }
    return tables
  }

  private let tables: [UInt32]
  private var state: UInt32 = 0xFFFF_FFFF

  /// The checksum of all bytes given so far.
  var value: UInt32 { ~state }

  init() { tables = Self.ieee }

  private init(tables: [UInt32]) { self.tables = tables }

  mutating func update(_ bytes: RawSpan) {
    let held = tables
    let tables = held.span
    var crc = state
    var position = 0
    while bytes.byteCount - position >= 16 {
      let low = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self).littleEndian ^ UInt64(crc)
      let high = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position + 8, as: UInt64.self).littleEndian
      crc =
        tables[0xF00 | Int(low & 0xFF)] ^ tables[0xE00 | Int(low >> 8 & 0xFF)]
        ^ tables[0xD00 | Int(low >> 16 & 0xFF)] ^ tables[0xC00 | Int(low >> 24 & 0xFF)]
        ^ tables[0xB00 | Int(low >> 32 & 0xFF)] ^ tables[0xA00 | Int(low >> 40 & 0xFF)]
        ^ tables[0x900 | Int(low >> 48 & 0xFF)] ^ tables[0x800 | Int(low >> 56)]
      crc ^=
        tables[0x700 | Int(high & 0xFF)] ^ tables[0x600 | Int(high >> 8 & 0xFF)]
        ^ tables[0x500 | Int(high >> 16 & 0xFF)] ^ tables[0x400 | Int(high >> 24 & 0xFF)]
        ^ tables[0x300 | Int(high >> 32 & 0xFF)] ^ tables[0x200 | Int(high >> 40 & 0xFF)]
        ^ tables[0x100 | Int(high >> 48 & 0xFF)] ^ tables[Int(high >> 56)]
      position += 16
    }
    while position < bytes.byteCount {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
      crc = crc >> 8 ^ tables[Int((crc ^ UInt32(byte)) & 0xFF)]
      position += 1
    }
    state = crc
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

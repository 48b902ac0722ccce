import Testing

@testable import FraudStore

@Suite struct ChecksumTests {
  /// The check values of the CRC catalogue, CRC-32/ISO-HDLC and CRC-32/ISCSI.
  @Test func checksumsMatchTheirPublishedCheckValues() {
    let bytes = Array("123456789".utf8)
    #expect(unsafe Checksum.of(bytes.span.bytes) == 0xCBF4_3926)
    #expect(unsafe Checksum.crc32c(of: bytes.span.bytes) == 0xE306_9283)
    let empty: [UInt8] = []
    #expect(unsafe Checksum.of(empty.span.bytes) == 0)
  }

  @Test func crcGoesOnFromPieceToPiece() {
    let bytes = (0..<100).map { UInt8($0 * 7 & 0xFF) }
    for cut in bytes.indices {
      var checksum = Checksum()
      unsafe checksum.update(bytes.span.extracting(0..<cut).bytes)
      unsafe checksum.update(bytes.span.extracting(cut..<100).bytes)
      #expect(unsafe checksum.value == Checksum.of(bytes.span.bytes))
    }
  }

  /// Vectors of the reference implementation, seed 0.
  @Test(
    arguments: [
      ("", 0xEF46_DB37_51D8_E999), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
      ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
    ] as [(String, UInt64)])
  func xxHashMatchesPublishedVectors(text: String, expected: UInt64) {
    let bytes = Array(text.utf8)
    #expect(unsafe XXHash64.hash(bytes.span.bytes) == expected)
  }

  @Test func xxHashOfAWordIsThatOfItsBytes() {
    for shift in 0..<64 {
      let word = UInt64(0x0123_4567_89AB_CDEF) << UInt64(shift)
      let bytes = (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
      #expect(unsafe XXHash64.hash(word) == XXHash64.hash(bytes.span.bytes))
    }
  }

  @Test func bloomFilterKnowsWhatItHolds() throws {
    var filter = BloomFilter(distinctCount: 1_000)
    for value in 0..<1_000 as Range<UInt64> { filter.insert(hash: XXHash64.hash(value)) }
    var wrong = 0
    for value in 0..<10_000 as Range<UInt64> {
      let may = filter.mayContain(hash: XXHash64.hash(value))
      if value < 1_000 { #expect(may) } else if may { wrong += 1 }
    }
    #expect(wrong < 180, "\(wrong) of 9,000 false positives")
  }
}

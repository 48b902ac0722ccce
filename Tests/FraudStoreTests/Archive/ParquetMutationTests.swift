import TestRandom
import Testing

@testable import FraudCore
@testable import FraudStore

/// Damaged files are errors or other values, never a trap. `Fuzz/` searches further.
@Suite struct ParquetMutationTests {
  @Test(arguments: 0..<8 as Range<UInt64>)
  func damagedFilesNeverTrap(seed: UInt64) throws {
    let events = RandomEvents(seed: seed, rowCount: 200)
    let original = try ParquetRoundTripTests.write(events.batches(), events.schema)
    var random = SeededGenerator(seed: seed)
    var refused = 0
    for _ in 0..<150 {
      if !Self.reads(Self.damaged(original, &random), events.schema) { refused += 1 }
    }
    #expect(refused > 50, "seed \(seed): only \(refused) of 150 damaged files were refused")
  }

  /// Flipped bits in pages are seen, and it is their checksums that see them: a reader that ignores those takes other values.
  @Test(arguments: [true, false])
  func damagedPagesAreSeen(looksAtChecksums: Bool) throws {
    let events = RandomEvents(seed: 5, rowCount: 2_000)
    let original = try ParquetRoundTripTests.write(events.batches(), events.schema)
    // Chunks of one large page, behind its header: headers have no checksum but the file's.
    let chunks = try ParquetFile(ByteSource(original)).metadata.rowGroups[0].columns.enumerated()
      .filter { $1.dictionaryPageOffset == nil && $1.compressedByteCount > 3_000 }
    try #require(!chunks.isEmpty)
    let values = try chunks.map { try Self.values(original, $0.offset, looksAtChecksums: true) }
    var random = SeededGenerator(seed: 47)
    var (wrong, refused) = (0, 0)
    for round in 0..<60 {
      var bytes = original
      let (column, chunk) = chunks[round % chunks.count]
      let place = Int.random(
        in: Int(chunk.dataPageOffset) + 300..<Int(chunk.dataPageOffset + chunk.compressedByteCount), using: &random)
      bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      do throws(StoreError) {
        let found = try Self.values(bytes, column, looksAtChecksums: looksAtChecksums)
        if found != values[round % chunks.count] { wrong += 1 }
      } catch {
        refused += 1
      }
    }
    #expect(looksAtChecksums ? wrong == 0 && refused == 60 : wrong > 10, "\(wrong) wrong, \(refused) refused")
  }

  private static func values(
    _ bytes: [UInt8], _ column: Int, looksAtChecksums: Bool
  ) throws(StoreError) -> [[ParquetValue]] {
    var reader = try ParquetRowReader(
      ParquetFile(ByteSource(bytes)), columns: [column], verifiesChecksums: looksAtChecksums)
    var values: [[ParquetValue]] = []
    while let row = try reader.next() { values.append(row) }
    return values
  }

  /// One to four changes, most of them in the footer, where they do most.
  static func damaged(_ original: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let inFooter = Int.random(in: 0..<4, using: &random) > 0
      let first = inFooter ? max(0, bytes.count - 1_500) : 0
      guard first < bytes.count else { break }
      let place = Int.random(in: first..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8(Int.random(in: 0..<8, using: &random))
      case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
      case 2: bytes.remove(at: place)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      default:
        let count = min(Int.random(in: 1...12, using: &random), bytes.count - place)
        let from = Int.random(in: 0...bytes.count - count, using: &random)
        bytes.replaceSubrange(place..<place + count, with: Array(bytes[from..<from + count]))
      }
    }
    return bytes
  }

  /// Reads a file in every way there is; whether all of it could be read.
  static func reads(_ bytes: [UInt8], _ schema: Schema) -> Bool {
    do throws(StoreError) {
      let file = try ParquetFile(ByteSource(bytes))
      // A damaged count may promise rows without end that take no bytes; a file that is read in earnest streams.
      guard file.metadata.rowGroups.allSatisfy({ $0.rowCount < 100_000 }) else { return false }
      var batches = try ParquetBatchReader(
        file, schema: schema, layout: ColumnLayout(schema: schema), positions: .archived, verifiesChecksums: false)
      while try batches.next() {}
      var rows = try ParquetRowReader(file, verifiesChecksums: false)
      while try rows.next() != nil {}
      return true
    } catch {
      return false
    }
  }
}

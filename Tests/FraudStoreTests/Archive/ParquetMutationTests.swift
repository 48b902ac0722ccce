import Testing

@testable import FraudCore
@testable import FraudStore

/// Damaged files are errors or other values, never a trap. `Fuzz/` searches further.
@Suite struct ParquetMutationTests {
  @Test(arguments: 0..<8 as Range<UInt64>)
  func damagedFilesNeverTrap(seed: UInt64) throws {
    let events = RandomEvents(seed: seed, rowCount: 200)
    let original = try ParquetRoundTripTests.write(events.batches(), events.schema)
    var random = SplitMix(seed: seed)
    var refused = 0
    for _ in 0..<150 {
      if !Self.reads(Self.damaged(original, &random), events.schema) { refused += 1 }
    }
    #expect(refused > 50, "seed \(seed): only \(refused) of 150 damaged files were refused")
  }

  /// One to four changes, most of them in the footer, where they do most.
  static func damaged(_ original: [UInt8], _ random: inout SplitMix) -> [UInt8] {
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

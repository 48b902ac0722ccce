import Foundation
import TestRandom
import Testing

@testable import FraudCore
@testable import FraudStore

/// Copies of state and rows of state with bits flipped, cut short, or of other rows: none is taken for what it is not. With the
/// checksums ignored the same damage does go unseen, so these tests see a checksum that is not looked at.
///
/// `FRAUD_STATE_DAMAGES=10000` damages each kind that many times.
@Suite struct StateDamageTests {
  static let rounds = Int(ProcessInfo.processInfo.environment["FRAUD_STATE_DAMAGES"] ?? "") ?? 400
  let source = EventSource(topic: "payments", generation: "dev", partition: 0)

  /// What a bucket's bytes are like: some of them repeat, some do not.
  private static func content(_ random: inout SeededGenerator, count: Int) -> [UInt8] {
    (0..<count).map { $0 % 16 < 8 ? UInt8($0 / 64 & 0xFF) : .random(in: 0...255, using: &random) }
  }

  private static func damaged(_ original: [UInt8], round: Int, _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    switch round % 8 {
    case 6: bytes.removeLast(bytes.count - min(bytes.count - 1, round / 8 * 1_024 % bytes.count))
    case 7:
      let first = Int.random(in: bytes.indices, using: &random)
      for place in first..<min(bytes.count, first + 512) { bytes[place] = 0 }
    default:
      for _ in 0...round % 3 {
        bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
    }
    return bytes
  }

  @Test(arguments: [true, false])
  func copiesAreNotTakenForWhatTheyAreNot(looksAtChecksums: Bool) throws {
    let seed: UInt64 = 26
    var random = SeededGenerator(seed: seed)
    let folder = NSTemporaryDirectory() + "/fraud-damage-\(UniqueID.random())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var cache = StateCache(root: folder, owner: .random(), warn: { _ in })
    let id = UniqueID.random()
    let rows = [(StateRow.Kind.bucket, 9, 12), (.bucket, 10, 14), (.delta, 14, 14)].map { kind, number, sequence in
      StateRow(kind: kind, number: Int64(number), sequence: Int64(sequence), batchID: id, byteCount: 4_000)
    }
    let contents = rows.map { _ in Self.content(&random, count: 4_000) }
    for (row, bytes) in zip(rows, contents) { cache.keep(bytes, of: row, 1, source) }
    let place = folder + "/1/payments+dev+0/"
    let files = try rows.map { [UInt8](try Data(contentsOf: URL(filePath: place + $0.fileName))) }
    for (row, bytes) in zip(rows, contents) { #expect(cache.bytes(of: row, 1, source) == bytes) }
    var (wrong, refused) = (0, 0)
    for round in 0..<Self.rounds {
      let chosen = round % rows.count
      // Now and then another row's whole file.
      var file =
        round % 50 == 49 ? files[(chosen + 1) % rows.count] : Self.damaged(files[chosen], round: round, &random)
      if !looksAtChecksums, file.count > 64 {
        // As if nobody compared them: the header's is that of the damaged bytes.
        let hash = StableHash.hash(Array(file[64...]).span)
        for index in 0..<8 { file[56 + index] = UInt8(truncatingIfNeeded: hash >> UInt64(8 * index)) }
      }
      try Data(file).write(to: URL(filePath: place + rows[chosen].fileName))
      switch cache.bytes(of: rows[chosen], 1, source) {
      case nil: refused += 1
      case contents[chosen]: break
      default: wrong += 1
      }
      try Data(files[chosen]).write(to: URL(filePath: place + rows[chosen].fileName))
    }
    if looksAtChecksums {
      #expect(wrong == 0 && refused > Self.rounds * 8 / 10, "\(wrong) wrong, \(refused) refused, seed \(seed)")
    } else {
      #expect(wrong > Self.rounds / 4, "\(wrong)")
    }
  }

  @Test(arguments: [true, false])
  func rowsAreNotTakenForWhatTheyAreNot(looksAtChecksums: Bool) throws {
    let seed: UInt64 = 27
    var random = SeededGenerator(seed: seed)
    let content = Self.content(&random, count: 6_000)
    let blob = try StateRows.compressed(content)
    let checksum = StateRows.checksum(blob)
    #expect(try StateRows.unpacked(blob, byteCount: 6_000, checksum: checksum, "row") == content)
    var (wrong, refused) = (0, 0)
    for round in 0..<Self.rounds {
      let damaged = Self.damaged(blob, round: round, &random)
      do throws(StoreError) {
        let bytes = try StateRows.unpacked(
          damaged, byteCount: 6_000, checksum: looksAtChecksums ? checksum : StateRows.checksum(damaged), "row")
        if bytes != content { wrong += 1 }
      } catch {
        #expect(error.code == .corrupt)
        refused += 1
      }
    }
    if looksAtChecksums {
      #expect(wrong == 0 && refused > Self.rounds * 8 / 10, "\(wrong) wrong, \(refused) refused, seed \(seed)")
    } else {
      #expect(wrong > Self.rounds / 4, "\(wrong)")
    }
  }
}

import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// The files of apache/parquet-testing, read as pyarrow reads them.
///
/// The material lies beside the checkout, in `../shared/conformance` or where FRAUD_SHARED says; without it these tests
/// say so and check nothing.
@Suite struct ParquetConformanceTests {
  struct Expectation: Decodable {
    var file: String
    var read: String
    var rows: Int64?
    var columns: Int?
    var rowGroups: Int?

    enum CodingKeys: String, CodingKey {
      case file, read, rows, columns
      case rowGroups = "row_groups"
    }
  }

  func expectations(_ material: SharedMaterial.ParquetTesting) throws -> [Expectation] {
    let text = try String(contentsOf: material.expectations, encoding: .utf8)
    return try text.split(separator: "\n").map {
      try JSONDecoder().decode(Expectation.self, from: Data($0.utf8))
    }
  }

  @Test func everyPlainFileReadsAsExpected() throws {
    guard let material = SharedMaterial.parquetTesting() else {
      print("skipped: no ../shared/conformance/parquet-testing.tar.xz")
      return
    }
    defer { try? FileManager.default.removeItem(at: material.folder) }
    var (read, nested, otherCodec, refused) = (0, 0, 0, 0)
    for expected in try expectations(material) where expected.read == "ok" || expected.file.hasPrefix("bad_data") {
      let path = material.folder.appending(path: expected.file).path
      do throws(StoreError) {
        let file = try ParquetFile(path: path)
        if expected.read == "ok" {
          #expect(file.metadata.rowCount == expected.rows, "\(expected.file)")
          #expect(file.columns.count == expected.columns, "\(expected.file)")
          #expect(file.metadata.rowGroups.count == expected.rowGroups, "\(expected.file)")
        }
        // pyarrow does not look at checksums unless it is told to.
        var rows = try ParquetRowReader(file, verifiesChecksums: false)
        var count: Int64 = 0
        var hash = SHA256()
        while let values = try rows.next() {
          count += 1
          hash.update(Array((values.map(conformanceText).joined(separator: "\u{1F}") + "\n").utf8))
        }
        #expect(expected.read == "ok", "\(expected.file) should be refused")
        #expect(count == expected.rows, "\(expected.file)")
        #expect(hexadecimal(hash.finalize()) == conformanceDigests[expected.file], "\(expected.file)")
        read += 1
      } catch {
        if error.message.contains("nested") {
          nested += 1
        } else if error.message.contains("compressed with") {
          otherCodec += 1
        } else {
          refused += 1
          #expect(expected.read != "ok", "\(expected.file): \(error)")
        }
      }
    }
    print("parquet-testing: \(read) read, \(nested) nested, \(otherCodec) of other codecs, \(refused) bad ones refused")
  }
}

/// A value in a form that two languages write alike.
private func conformanceText(_ value: ParquetValue) -> String {
  switch value {
  case .null: return "NULL"
  case .boolean(let value): return value ? "true" : "false"
  case .integer(let value), .timestamp(let value), .date(let value), .time(let value): return "\(value)"
  case .unsigned(let value): return "\(value)"
  case .float(let value):
    if value.isNaN { return "nan" }
    return hexadecimal((0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(56 - $0 * 8)) })
  case .decimal(let unscaled, let scale):
    var digits = "\(unscaled.magnitude)"
    if digits.count <= scale { digits = String(repeating: "0", count: scale + 1 - digits.count) + digits }
    let sign = unscaled < 0 ? "-" : ""
    return scale == 0 ? sign + digits : "\(sign)\(digits.dropLast(scale)).\(digits.suffix(scale))"
  case .text(let value): return value
  case .bytes(let value): return hexadecimal(value)
  }
}

/// What `../shared` holds, unpacked where needed.
enum SharedMaterial {
  struct ParquetTesting {
    var folder: URL
    var expectations: URL
  }

  static func folder(_ name: String) -> URL? {
    var candidates: [URL] = []
    if let path = ProcessInfo.processInfo.environment["FRAUD_SHARED"] { candidates.append(URL(filePath: path)) }
    // Tests/FraudStoreTests/Archive/<this file> of a checkout beside which `shared` lies, or a clone one level deeper.
    var root = URL(filePath: #filePath)
    for _ in 0..<5 { root.deleteLastPathComponent() }
    candidates += [root.appending(path: "shared"), root.deletingLastPathComponent().appending(path: "shared")]
    return candidates.map { $0.appending(path: name) }.first {
      FileManager.default.fileExists(atPath: $0.path)
    }
  }

  /// Unpacks the files to a temporary folder.
  static func parquetTesting() -> ParquetTesting? {
    guard let folder = folder("conformance") else { return nil }
    let target = FileManager.default.temporaryDirectory.appending(path: "fraud-parquet-testing-\(getpid())")
    do {
      try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
      let tar = Process()
      tar.executableURL = URL(filePath: "/usr/bin/env")
      tar.arguments = [
        "tar", "-xJf", folder.appending(path: "parquet-testing.tar.xz").path, "-C", target.path,
      ]
      try tar.run()
      tar.waitUntilExit()
      guard tar.terminationStatus == 0 else { return nil }
    } catch {
      return nil
    }
    return ParquetTesting(
      folder: target, expectations: folder.appending(path: "parquet-testing-read-by-pyarrow-26.jsonl"))
  }
}

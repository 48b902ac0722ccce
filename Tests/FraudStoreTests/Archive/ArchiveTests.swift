import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

@Suite struct ArchiveTests {
  static let schema = Schema(fields: [
    Field(name: "id", type: .string, nullable: false), Field(name: "customer", type: .integer, nullable: false),
    Field(name: "amount", type: .float),
  ])

  /// Events with offsets from `first`, one in five minutes by record timestamp, from 2025-03-01T22:00Z.
  static func batch(_ offsets: Range<Int64>, topic: String = "tx", step: Int64 = 300) -> EventBatch {
    var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: topic, partition: 1))
    batch.bytes = []
    for (row, offset) in offsets.enumerated() {
      let id = Array("id-\(offset)".utf8)
      batch.words[row] = TextSlice(offset: batch.bytes.count, count: id.count).word
      batch.bytes += id
      batch.words[batch.stride + row] = UInt64(bitPattern: offset * 7 % 13)
      batch.words[2 * batch.stride + row] = Double(offset).bitPattern
      for column in 0..<3 where column < 2 || offset % 3 > 0 {
        batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
      }
      if offset % 3 == 0 { batch.words[2 * batch.stride + row] = 0 }
      batch.positions.append(
        EventPosition(
          offset: offset, timestamp: 1_740_866_400_000_000 + offset * step * 1_000_000, start: 0, count: id.count))
    }
    batch.bytes += [UInt8](repeating: 0, count: EventBatch.padding)
    batch.rowCount = offsets.count
    return batch
  }

  static func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "fraud-archive-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  static func settings(_ root: String) -> ArchiveWriter.Settings {
    ArchiveWriter.Settings(root: root, pipeline: "p", version: 3, schema: schema)
  }

  static func write(_ root: String, _ batches: [EventBatch], cut: Bool = true) throws -> [ArchiveFile] {
    var writer = ArchiveWriter(settings(root), source: batches[0].source)
    var files: [ArchiveFile] = []
    for batch in batches { files += try writer.append(batch) }
    if cut, let file = try writer.cut() { files.append(file) }
    return files
  }

  static func rows(_ directory: ArchiveDirectory) throws -> [[ParquetValue]] {
    var result: [[ParquetValue]] = []
    for file in try directory.files() {
      var rows = try ParquetRowReader(directory.open(file))
      while let row = try rows.next() { result.append(row) }
    }
    return result
  }

  @Test func definitionsSayWhatIsKept() throws {
    func definition(_ archive: String) throws -> PipelineDefinition {
      let text =
        #"{"name": "p", "schema": [{"name": "id", "type": "string"}, {"name": "ok", "type": "boolean"}],"#
        + #""rules": [{"rule_expression": "ok", "severity": "info", "description": "d"}], "archive": ARCHIVE}"#
      return try PipelineDefinition(DefinitionValue(json: Array(text.replacing("ARCHIVE", with: archive).utf8)))
    }
    let archive = try definition(#"{"raw": true, "bloom_filters": ["id"]}"#).archive
    #expect(archive.raw && archive.bloomFilters == ["id"])
    #expect(try definition("{}").archive == ArchiveDefinition())
    for mistake in [#"{"raws": true}"#, #"{"bloom_filters": ["ib"]}"#, #"{"bloom_filters": ["ok"]}"#] {
      #expect(throws: DefinitionError.self, "\(mistake)") { try definition(mistake) }
    }
  }

  @Test func namesSayWhatFilesHold() throws {
    let file = ArchiveFile(pipeline: "card-payments", day: 20_148, topic: "a b/ü", partition: 12, offsets: 5...1_000)
    #expect(
      file.path
        == "raw_transactions/pipeline=card-payments/date=2025-03-01/"
        + "a%20b%2F%C3%BC+12+00000000000000000005-00000000000000001000.parquet")
    #expect(ArchiveFile(path: file.path) == file)
    for other in [
      "raw_transactions/pipeline=p/date=2025-02-31/t+0+00000000000000000000-00000000000000000001.parquet",
      "raw_transactions/pipeline=p/date=2025-02-01/t+0+0-1.parquet", "x.parquet",
      "raw_transactions/pipeline=p/date=2025-02-01/.t+0+00000000000000000000-00000000000000000001.parquet.tmp.1.2",
    ] { #expect(ArchiveFile(path: other) == nil, "\(other)") }
  }

  @Test func filesEndWhereTheHourDoes() throws {
    try Self.withFolder { root in
      let files = try Self.write(root, [Self.batch(0..<30)])
      #expect(files.map(\.offsets) == [0...11, 12...23, 24...29])
      #expect(files.map(\.date) == ["2025-03-01", "2025-03-01", "2025-03-02"])
      let directory = ArchiveDirectory(root: root)
      #expect(try directory.files() == files)
      let verification = try directory.verify()
      #expect(verification.problems.isEmpty && verification.rowCount == 30)
    }
  }

  /// Killed anywhere and begun again, however events are batched, the same files come out, byte for byte.
  @Test func whatIsWrittenAgainIsTheSame() throws {
    try Self.withFolder { root in
      let files = try Self.write(root, [Self.batch(0..<30)])
      let directory = ArchiveDirectory(root: root)
      let first = try files.map { try Data(contentsOf: URL(filePath: directory.path(of: $0))) }
      // A crash before anything was recorded, and another division into batches.
      #expect(try Self.write(root, (0..<10).map { Self.batch($0 * 3..<$0 * 3 + 3) }) == files)
      // A crash after the first file was recorded.
      #expect(try Self.write(root, [Self.batch(12..<30)]) == Array(files[1...]))
      // An owner that is gone leaves nothing visible.
      _ = try Self.write(root, [Self.batch(30..<35)], cut: false)
      #expect(try directory.files() == files)
      for (file, bytes) in zip(files, first) {
        #expect(try Data(contentsOf: URL(filePath: directory.path(of: file))) == bytes)
      }
      let leftovers = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
      #expect(leftovers.filter { $0.contains(".tmp.") } == [])
    }
  }

  @Test func otherEventsUnderTheSameNameAreRefused() throws {
    try Self.withFolder { root in
      _ = try Self.write(root, [Self.batch(0..<5)])
      var other = Self.batch(0..<5)
      other.words[other.stride] = 999
      #expect(throws: StoreError.self) { try Self.write(root, [other]) }
      #expect(try ArchiveDirectory(root: root).verify().problems.isEmpty)
    }
  }

  @Test func compactionKeepsEachEventOnce() throws {
    try Self.withFolder { root in
      _ = try Self.write(root, [Self.batch(0..<24)])
      _ = try Self.write(root, [Self.batch(24..<100)])
      let directory = ArchiveDirectory(root: root)
      let before = try Self.rows(directory)
      var dry = ArchiveDirectory.Compaction()
      dry.isDryRun = true
      #expect(try directory.compact(dry).count == 2)
      #expect(try directory.files().count == 9)

      let merges = try directory.compact()
      #expect(merges.map(\.result.offsets) == [0...23, 24...99])
      #expect(try directory.files().map(\.offsets) == [0...23, 24...99])
      #expect(try Self.rows(directory) == before)
      #expect(try directory.verify().problems.isEmpty)
      #expect(try directory.compact().isEmpty, "nothing is left to merge")
      #expect(try InputFiles.expand([root]).count == 2, "`score` over the folder passes over what was replaced")

      // As if the compaction had been killed before it moved the old files away.
      let old = merges[0].replaced[0]
      try FileManager.default.copyItem(
        atPath: "\(root)/_replaced/\(old.path)", toPath: "\(root)/\(old.path)")
      #expect(try Self.rows(directory) == before)
      #expect(try directory.verify().problems.count == 1)
      _ = try directory.compact()
      #expect(try directory.verify().problems.isEmpty)

      var sorting = ArchiveDirectory.Compaction()
      sorting.sortBy = ["customer"]
      #expect(try directory.compact(sorting).count == 2)
      let sorted = try Self.rows(directory)
      #expect(sorted != before && Set(sorted) == Set(before))
      #expect(try directory.verify().problems.isEmpty)
      #expect(try directory.compact(sorting).isEmpty)
    }
  }

  @Test func pruningRemovesWhatIsOld() throws {
    try Self.withFolder { root in
      let files = try Self.write(root, [Self.batch(0..<30)])
      let directory = ArchiveDirectory(root: root)
      _ = try directory.compact()
      let now = Int(Date().timeIntervalSince1970)
      let dry = try directory.prune(keepingFrom: files[2].day, now: now, dryRun: true)
      #expect(dry.expired.map(\.offsets) == [0...23] && dry.leftovers.isEmpty)
      #expect(try directory.files().count == 2)
      let later = try directory.prune(
        keepingFrom: files[2].day, now: now + ArchiveDirectory.leftoverSeconds + 10, dryRun: false)
      #expect(later.expired == dry.expired && later.leftovers.count == 2)
      #expect(try directory.files() == [files[2]])
    }
  }

  @Test func damageIsFound() throws {
    try Self.withFolder { root in
      let file = try Self.write(root, [Self.batch(0..<12)])[0]
      let directory = ArchiveDirectory(root: root)
      let path = URL(filePath: directory.path(of: file))
      var bytes = try Data(contentsOf: path)
      bytes[100] ^= 1
      try bytes.write(to: path)
      #expect(try directory.verify().problems.map(\.path) == [file.path])
    }
  }
}

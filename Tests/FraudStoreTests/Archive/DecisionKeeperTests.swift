import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// The decisions of all archived events are kept once, whatever dies, and are the engine's.
@Suite struct DecisionKeeperTests {
  static func definition() throws -> Pipeline {
    let text = BacktestTests.definition(900)
    let aggregations = #"""
      , "aggregations": [{"name": "users", "by": "user", "window": "6h",
        "measures": [{"name": "events", "function": "count"}, {"name": "sum", "function": "sum", "of": "amount"}]}]}
      """#
    let end = try #require(text.lastIndex(of: "}"))
    return try BacktestTests.pipeline(String(text[..<end]) + aggregations)
  }

  static func rows(_ root: String, _ set: String) throws -> [[ParquetValue]] {
    var rows: [[ParquetValue]] = []
    for file in try ArchiveDirectory(root: root).files(inSet: set, pipeline: "cards") {
      var reader = try ParquetRowReader(
        ParquetFile(path: "\(root)/\(set)" + file.path.dropFirst(ArchiveFile.set.count)))
      while let row = try reader.next() { rows.append(row) }
    }
    return rows
  }

  static func content(_ root: String) throws -> [String: Data] {
    var content: [String: Data] = [:]
    for set in [DecisionKeeper.decisionsSet, DecisionKeeper.aggregatesSet] {
      let folder = "\(root)/\(set)"
      for path in FileManager.default.enumerator(atPath: folder)?.compactMap({ $0 as? String }) ?? []
      where path.hasSuffix(".parquet") {
        content["\(set)/\(path)"] = try Data(contentsOf: URL(filePath: "\(folder)/\(path)"))
      }
    }
    return content
  }

  @Test func decisionsAreTheEnginesOwn() throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root)
      let pipeline = try Self.definition()
      let directory = ArchiveDirectory(root: root)
      var keeper = DecisionKeeper(directory, pipeline: pipeline, version: 3)
      try keeper.step()
      #expect(try keeper.fileCount == directory.files().count)
      var decisions: [[ParquetValue]] = []
      var aggregates: [String] = []
      for partition in 0..<2 as Range<Int64> {
        var engine = Engine(pipeline)
        for (index, line) in BacktestTests.lines(partition: Int(partition)).enumerated() {
          let offset = Int64(index) * 2 + 10
          let scored = try engine.score(Array(line.utf8), offset: offset)
          let rules = scored.reasons.map { "\"\($0.ruleID)\"" }.joined(separator: ",")
          var reasons: [UInt8] = []
          Reason.append(scored.reasons, to: &reasons)
          decisions.append([
            .text("p\(partition)-\(index)"),
            .timestamp(1_740_787_200_000_000 + (Int64(index) * 240 + partition) * 1_000_000),
            .text(scored.decision.verdict.rawValue), .float(scored.decision.score.value),
            .text(scored.decision.riskLevel), .text("[\(rules)]"), .text(String(decoding: reasons, as: UTF8.self)),
            .integer(3), .text("tx"), .integer(partition), .integer(offset),
            .timestamp(1_740_787_200_000_000 + Int64(index) * 240_000_000),
          ])
          aggregates += engine.features.aggregates.map {
            "\($0.start) \($0.key[0].value?.plainText ?? "-") \($0.events)"
          }
        }
      }
      #expect(try Self.rows(root, DecisionKeeper.decisionsSet) == decisions)
      let kept = try Self.rows(root, DecisionKeeper.aggregatesSet)
      #expect(kept.count == aggregates.count && kept.count > 100)
      let texts = kept.map { row in
        guard case .timestamp(let start) = row[1], case .text(let key) = row[3], case .integer(let events) = row[5]
        else {
          return "?"
        }
        return "\(start) \(key.dropFirst(8).dropLast()) \(events)"
      }
      #expect(texts.sorted() == aggregates.sorted())
    }
  }

  /// Done again after some files were lost, or after a compaction, everything is there once.
  @Test func whatIsDecidedStays() throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root)
      let pipeline = try Self.definition()
      let directory = ArchiveDirectory(root: root)
      var keeper = DecisionKeeper(directory, pipeline: pipeline, version: 3)
      var budget = 40
      try keeper.step {
        budget -= 1
        return budget < 0
      }
      #expect(keeper.fileCount == 40)
      try keeper.step()
      let whole = try Self.content(root)
      // A process that died after aggregations were written and before decisions were.
      let lost = try directory.files(inSet: DecisionKeeper.decisionsSet, pipeline: "cards")
        .filter { $0.partition == 1 }.suffix(5)
      for file in lost {
        try FileManager.default.removeItem(
          atPath: "\(root)/\(DecisionKeeper.decisionsSet)" + file.path.dropFirst(ArchiveFile.set.count))
      }
      var again = DecisionKeeper(directory, pipeline: pipeline, version: 3)
      try again.step()
      #expect(again.fileCount == 5)
      #expect(try Self.content(root) == whole)
      #expect(try !directory.compact().isEmpty)
      var later = DecisionKeeper(directory, pipeline: pipeline, version: 4)
      try later.step()
      #expect(later.fileCount == 0)
      #expect(try Self.content(root) == whole)
      // They go with their day.
      let day = try #require(directory.files().map(\.day).max())
      let pruned = try directory.prune(keepingFrom: day + 1, now: 2_000_000_000, dryRun: false)
      #expect(pruned.besides.count == whole.count)
      #expect(try Self.content(root).isEmpty)
    }
  }

  /// A compaction may put what is decided and what is not into one file: each row is kept once all the same.
  @Test(arguments: [1, 17, 40])
  func whatFilesInOneHoldIsKeptOnce(decided: Int) throws {
    func rows(_ root: String) throws -> (decisions: [[ParquetValue]], aggregates: [String]) {
      // Rows of aggregations have the place of the last event of the batch in which they became due.
      (
        try Self.rows(root, DecisionKeeper.decisionsSet),
        try Self.rows(root, DecisionKeeper.aggregatesSet).map { "\($0.prefix(7)) \($0[8])" }.sorted()
      )
    }
    try ArchiveTests.withFolder { root in
      let pipeline = try Self.definition()
      let whole = root + "/whole"
      try BacktestTests.archive(whole)
      var undisturbed = DecisionKeeper(ArchiveDirectory(root: whole), pipeline: pipeline, version: 3)
      try undisturbed.step()
      let merged = root + "/merged"
      try BacktestTests.archive(merged)
      let directory = ArchiveDirectory(root: merged)
      var keeper = DecisionKeeper(directory, pipeline: pipeline, version: 3)
      var budget = decided
      try keeper.step {
        budget -= 1
        return budget < 0
      }
      #expect(keeper.fileCount == decided)
      #expect(try !directory.compact().isEmpty)
      var later = DecisionKeeper(directory, pipeline: pipeline, version: 3)
      try later.step()
      let (expected, found) = (try rows(whole), try rows(merged))
      #expect(found.decisions == expected.decisions)
      #expect(found.aggregates == expected.aggregates)
    }
  }

  /// Each event is decided by the version that decided it when it was committed, and not before; features go on from one
  /// version to the next.
  @Test(arguments: [false, true])
  func eachVersionDecidesWhatItDecidedThen(isShared: Bool) throws {
    try ArchiveTests.withFolder { root in
      try BacktestTests.archive(root)
      let directory = ArchiveDirectory(root: root)
      func source(_ threshold: Int, _ more: String = "") throws -> DefinitionValue {
        let text = BacktestTests.definition(threshold).replacing(#""key": "user","#, with: #""key": "user",\#(more)"#)
        return try DefinitionValue(json: Array(text.utf8))
      }
      let versions = [
        PipelineVersion(try Pipeline(source(900)), number: 1),
        isShared
          ? try PipelineVersion(source(300, #""share": 0.5,"#), number: 2, beside: (source(900), 1))
          : PipelineVersion(try Pipeline(source(300)), number: 2),
      ]
      let count = BacktestTests.lines(partition: 0).count
      // In the middle of a file, most likely; the other partition has only seen the first.
      let switched = Int64(count / 2) * 2 + 10
      var committed = Int64(count / 3) * 2 + 10
      func history(of partition: TopicPartition) -> (versions: [DecidingVersion], committedOffset: Int64)? {
        let first = DecidingVersion(fromOffset: 10, version: versions[0])
        let second = DecidingVersion(fromOffset: switched, version: versions[1])
        return partition.partition == 0 ? ([first, second], committed) : nil
      }
      func keep() throws -> Bool {
        var keeper = DecisionKeeper(
          directory, version: versions[0],
          history: { partition throws(StoreError) in history(of: partition) })
        try keeper.step()
        return keeper.isWaiting
      }
      func offset(_ row: [ParquetValue]) -> Int64 { if case .integer(let offset) = row[10] { offset } else { -1 } }
      #expect(try keep())
      let part = try Self.rows(root, DecisionKeeper.decisionsSet)
      #expect(!part.isEmpty && part.allSatisfy { offset($0) < committed && $0[9] == .integer(0) })
      committed = Int64(count) * 2 + 10
      #expect(try keep())

      var engine = Engine(versions[0].pipeline, version: 1)
      var expected: [[ParquetValue]] = []
      for (index, line) in BacktestTests.lines(partition: 0).enumerated() {
        let offset = Int64(index) * 2 + 10
        if offset == switched { engine.adopt(versions[1]) }
        let scored = try engine.score(Array(line.utf8), offset: offset)
        let user = "\(index * index % 11 * 2)"
        let isNew =
          offset >= switched && (!isShared || Experiment.isTreated(pipeline: "cards", key: user, share: 5_000))
        expected.append([.text(scored.decision.verdict.rawValue), .integer(isNew ? 2 : 1), .integer(offset)])
      }
      let rows = try Self.rows(root, DecisionKeeper.decisionsSet)
      #expect(rows.map { [$0[2], $0[7], $0[10]] } == expected)
      #expect(Set(expected.map { $0[0] }).count > 1)
    }
  }
}

import Foundation
import TestRandom
import Testing

@testable import FraudCore
@testable import FraudStore

/// Killed anywhere, taken over, or with a disk that fails, the archive ends up as if nothing had happened.
@Suite struct ArchiverTests {
  static let pipelineText = #"""
    {"name": "cards", "schema": [{"name": "id", "type": "integer", "nullable": false}, {"name": "note", "type": "string"}],
     "rules": [{"rule_expression": "id > 0", "severity": "info", "description": "All"}]}
    """#
  static let partitions = [TopicPartition(topic: "tx", partition: 0), TopicPartition(topic: "tx", partition: 1)]

  /// Records of two partitions, one in 17 seconds, with bad ones, tombstones and gaps between.
  static func log() -> [TopicPartition: [ScriptedSource.Record]] {
    var log: [TopicPartition: [ScriptedSource.Record]] = [:]
    for partition in partitions {
      var offset: Int64 = 100
      for index in 0..<900 {
        offset += index % 29 == 0 ? 3 : 1
        let value: String?
        switch index % 53 {
        case 7: value = "{\"id\":"
        case 8: value = nil
        default: value = "{\"id\":\(index),\"note\":\"é \(index % 7)\"}"
        }
        log[partition, default: []].append(
          ScriptedSource.Record(
            offset: offset, timestamp: 1_740_866_400_000 + Int64(index) * 17_000 - Int64(index % 5) * 40_000,
            value: value.map { Array($0.utf8) }))
      }
    }
    return log
  }

  static func archiver(
    _ root: String, _ random: SeededGenerator, generation: String = "g", lease: Int = .max
  ) throws -> Archiver<ScriptedSource> {
    let pipeline = try Pipeline(DefinitionValue(json: Array(pipelineText.utf8)))
    let settings = ArchiveWriter.Settings(
      root: root, pipeline: "cards", version: 1, schema: pipeline.definition.schema)
    return Archiver(
      pipeline, settings: settings, generation: generation,
      source: ScriptedSource(log: log(), random: random, lease: lease),
      retryDelay: .milliseconds(20))
  }

  static func run(_ root: String, _ random: SeededGenerator) throws {
    var archiver = try archiver(root, random)
    var now = Duration.zero
    while !archiver.isAtEnd {
      try archiver.step(now: now)
      now += .milliseconds(10)
    }
    try archiver.finish(endingFiles: true)
  }

  /// Every visible file with its bytes.
  static func content(_ root: String) throws -> [String: Data] {
    var content: [String: Data] = [:]
    for file in try ArchiveDirectory(root: root).files() {
      content[file.path] = try Data(contentsOf: URL(filePath: "\(root)/\(file.path)"))
    }
    return content
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func crashesLeaveNoTrace(seed: UInt64) throws {
    try ArchiveTests.withFolder { clean in
      try Self.run(clean, SeededGenerator(seed: 0))
      let expected = try Self.content(clean)
      #expect(expected.count == 10)
      let verification = try ArchiveDirectory(root: clean).verify()
      #expect(verification.problems.isEmpty && verification.rowCount == 2 * (900 - 34))
      try ArchiveTests.withFolder { root in
        var random = SeededGenerator(seed: seed)
        for _ in 0..<8 {
          // A process that dies after some steps, or whose partitions are taken away in the middle.
          var archiver = try Self.archiver(
            root, SeededGenerator(seed: random.next()), lease: Int.random(in: 1...30, using: &random))
          var now = Duration.zero
          for _ in 0..<Int.random(in: 1...40, using: &random) {
            try archiver.step(now: now)
            now += .milliseconds(10)
          }
        }
        try Self.run(root, random)
        #expect(try Self.content(root) == expected, "seed \(seed)")
      }
    }
  }

  @Test func aFullDiskIsWaitedFor() throws {
    try ArchiveTests.withFolder { clean in
      try Self.run(clean, SeededGenerator(seed: 0))
      try ArchiveTests.withFolder { root in
        // A file where the folder should be: nothing can be created.
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let block = "\(root)/raw_transactions"
        try Data().write(to: URL(filePath: block))
        var archiver = try Self.archiver(root, SeededGenerator(seed: 1))
        var now = Duration.zero
        for _ in 0..<20 {
          try archiver.step(now: now)
          now += .milliseconds(10)
        }
        guard case .holding(let reason) = archiver.phase else {
          Issue.record("it does not hold")
          return
        }
        #expect(reason.contains("raw_transactions"))
        try FileManager.default.removeItem(atPath: block)
        while !archiver.isAtEnd {
          try archiver.step(now: now)
          now += .milliseconds(10)
        }
        try archiver.finish(endingFiles: true)
        #expect(try Self.content(root) == Self.content(clean))
      }
    }
  }

  @Test func anEarlierTopicOfTheNameIsNotContinued() throws {
    try ArchiveTests.withFolder { root in
      try Self.run(root, SeededGenerator(seed: 0))
      var archiver = try Self.archiver(root, SeededGenerator(seed: 0), generation: "another")
      #expect(throws: StoreError.self) { for _ in 0..<5 { try archiver.step(now: .zero) } }
    }
  }
}

/// Partitions whose records are all there from the start, handed out in pieces of random size.
struct ScriptedSource: RecordSource {
  struct Record {
    var offset: Int64
    var timestamp: Int64
    var value: [UInt8]?
  }

  let log: [TopicPartition: [Record]]
  var random: SeededGenerator
  /// Polls after which the partitions are taken away, and given back at the next one.
  var lease: Int
  private var polls = 0
  private var isGiven = false
  private var next: [TopicPartition: Int64] = [:]
  private var paused: Set<TopicPartition> = []

  init(log: [TopicPartition: [Record]], random: SeededGenerator, lease: Int) {
    self.log = log
    self.random = random
    self.lease = lease
  }

  mutating func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    polls += 1
    if !isGiven {
      isGiven = true
      return .assigned(log.keys.sorted())
    }
    if polls % lease == 0 {
      isGiven = false
      return Bool.random(using: &random) ? .revoked(log.keys.sorted()) : .lost(log.keys.sorted())
    }
    guard let partition = next.keys.sorted().randomElement(using: &random), !paused.contains(partition),
      let start = next[partition]
    else { return nil }
    let rest = (log[partition] ?? []).filter { $0.offset >= start }
    guard !rest.isEmpty else { return .reachedEnd(partition, offset: start) }
    batch.beginRun(partition)
    for record in rest.prefix(Int.random(in: 1...200, using: &random)) {
      if let value = record.value {
        unsafe value.withUnsafeBytes {
          unsafe batch.append(offset: record.offset, timestampMilliseconds: record.timestamp, key: nil, value: $0)
        }
      } else {
        unsafe batch.append(offset: record.offset, timestampMilliseconds: record.timestamp, key: nil, value: nil)
      }
      next[partition] = record.offset + 1
    }
    return nil
  }

  func earliestOffset(of partition: TopicPartition) throws -> Int64 { log[partition]?.first?.offset ?? 0 }

  mutating func assign(_ starts: [TopicPartition: StartOffset]) throws {
    next = starts.mapValues { if case .at(let offset) = $0 { offset } else { 0 } }
  }

  mutating func unassign() throws { next = [:] }

  mutating func pause(_ partitions: [TopicPartition]) throws { paused.formUnion(partitions) }

  mutating func resume(_ partitions: [TopicPartition]) throws { paused.subtract(partitions) }

  mutating func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

import Foundation
import FraudCore
import FraudKafka
import FraudStore
import Testing

/// Each single call on a file may fail: an error, a full disk once or for a while, half a write, an interruption. Alerts go on,
/// nothing that is visible is part of a file, and in the end all is as if nothing had happened.
///
/// `make test` takes some calls of a seed, which it prints; `Scripts/file-faults` takes each of them.
@Suite(.enabled(if: FaultyDisk.isAvailable, FaultyDisk.absence), .timeLimit(.minutes(60)))
struct FileFaultTests {
  static let width = ProcessInfo.processInfo.environment["FRAUD_FILE_FAULTS"] == "all" ? 12 : 8

  @Test func anArchiveWhoseFilesFail() async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      let faults = FaultyDisk.chosen(try FaultyDisk.faults(site.folder + "/archive-calls"), 8)
      let found = problems(of: faults, width: Self.width) { fault in
        let root = try site.makeFolder() + "/archive"
        let database = TestDatabase(url: try TestSite.makeDatabase(copyOf: site.empty))
        let run = try site.process(
          database.url, archive: root, environment: FaultyDisk.environment(root, fault: fault)
        ).wait()
        // What fails at the very end is a failure, and the next run's to make good.
        guard run.code == 0 || run.code == 1 && run.errors.contains("cannot ") else { return "\(run)" }
        guard try database.results() == site.results else { return "other alerts" }
        if let problem = try site.problem(of: root) { return "after the fault: \(problem)" }
        let next = try site.process(database.url, archive: root).wait()
        guard next.code == 0 else { return "\(next)" }
        return try site.problem(ofComplete: root)
      }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  /// A disk that is full and stays so: alerts go on, SIGTERM is heard, and the archive goes on when there is room.
  @Test func anArchiveOnAFullDisk() async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      let root = try site.makeFolder() + "/archive"
      let database = TestDatabase(url: try TestSite.makeDatabase(copyOf: site.empty))
      let full = FaultyDisk.Fault(number: 40, kind: "enospc+1000000", call: "")
      let run = try site.process(
        database.url, archive: root, untilEnd: false, environment: FaultyDisk.environment(root, fault: full))
      #expect(until(120) { (try? database.results()) == site.results }, "\(run.errors)")
      #expect(until(60) { run.errors.contains("No space left on device") }, "\(run.errors)")
      run.send(SIGTERM)
      let ended = run.wait(60)
      #expect(ended.code == 0, "\(ended)")
      #expect(try site.problem(of: root) == nil)
      #expect(try FileSite.files(root, "raw_transactions").count < 4)
      let next = try site.process(database.url, archive: root).wait()
      #expect(next.code == 0, "\(next)")
      #expect(try site.problem(ofComplete: root) == nil)
    }
  }

  @Test func aCompactionWhoseFilesFail() async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      let clean = site.folder + "/clean/archive"
      @Sendable func compact(_ root: String, sorted: Bool, _ environment: [String: String] = [:]) throws
        -> Program.Outcome
      {
        try Program(
          ["archive", "compact", "--archive", root] + (sorted ? ["--sort-by", "user"] : []), environment: environment
        ).wait()
      }
      for sorted in [false, true] {
        let listed = try site.makeFolder() + "/archive"
        try FileManager.default.copyItem(atPath: clean, toPath: listed)
        let calls = site.folder + "/compaction-calls-\(sorted)"
        let undisturbed = try compact(listed, sorted: sorted, FaultyDisk.environment(listed, calls: calls))
        try #require(undisturbed.code == 0, "\(undisturbed)")
        let expected = try FileSite.files(listed, "raw_transactions")
        try #require(expected.count == 2)
        let faults = FaultyDisk.chosen(try FaultyDisk.faults(calls), 30)
        let found = problems(of: faults, width: Self.width) { fault in
          let root = try site.makeFolder() + "/archive"
          try FileManager.default.copyItem(atPath: clean, toPath: root)
          let run = try compact(root, sorted: sorted, FaultyDisk.environment(root, fault: fault))
          guard run.code == 0 || run.code == 1 && run.errors.contains("cannot ") else { return "\(run)" }
          guard try ArchiveKillTests.offsets(root)[0] == site.accepted else { return "other events after the fault" }
          let verified = try ArchiveDirectory(root: root).verify()
          let problems = verified.problems.filter { !$0.message.contains("are in a larger file, too") }
          guard problems.isEmpty else { return "after the fault: \(problems)" }
          let again = try compact(root, sorted: sorted)
          guard again.code == 0 else { return "\(again)" }
          let files = try FileSite.files(root, "raw_transactions")
          guard files.map(\.name) == expected.map(\.name), files.map(\.bytes) == expected.map(\.bytes) else {
            return "\(files.map(\.name))"
          }
          return nil
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
      }
    }
  }

  /// Copies of state are never needed: what a disk does to them costs time at most.
  @Test func copiesOfStateWhoseFilesFail() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let definition = folder + "/cards.yaml"
      try ArchiveKillTests.definition.write(toFile: definition, atomically: true, encoding: .utf8)
      let empty = try TestSite.makeDatabase()
      _ = try Program.run(["database", "migrate", "--database", empty])
      let broker = try DevBroker()
      let brokers = broker.bootstrapServers
      try broker.createTopic(named: "tx", partitions: 1)
      func send(_ numbers: Range<Int>) throws {
        let lines = numbers.map { number in
          Array(
            #"{"id":\#(number),"user":\#(number % 17),"at":"2025-03-01T16:00:00Z","amount":\#(number * 37 % 1_000)}"#
              .utf8)
        }
        try TestSite.send(lines, to: "tx", partitions: 1, of: broker)
      }
      @Sendable func process(_ database: String, _ copies: String?, _ environment: [String: String] = [:]) throws
        -> Program.Outcome
      {
        try Program(
          [
            "process", "--pipeline", definition, "--brokers", brokers, "--database", database, "--group",
            UUID().uuidString, "--until-end",
          ] + (copies.map { ["--state-cache", $0] } ?? []), environment: environment
        ).wait()
      }
      /// Runs with a copy of a database and of a folder that begin with these.
      struct Case: Sendable, CustomStringConvertible {
        let database: String
        let copies: String
        let fault: FaultyDisk.Fault
        var description: String { "\(fault)" }
      }
      func makeFolder(_ original: String? = nil) throws -> String {
        let path = folder + "/" + UUID().uuidString
        if let original {
          try FileManager.default.copyItem(atPath: original, toPath: path)
        } else {
          try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        return path
      }
      try send(0..<100)
      // An undisturbed run, from which others go on, and some that write their copies on the faulty disk.
      let (half, copies) = (try TestSite.makeDatabase(copyOf: empty), try makeFolder())
      let first = try process(half, copies, FaultyDisk.environment(copies, calls: folder + "/writing"))
      try #require(first.code == 0, "\(first)")
      let writing = try FaultyDisk.chosen(try FaultyDisk.faults(folder + "/writing"), 4).map { fault in
        Case(database: try TestSite.makeDatabase(copyOf: empty), copies: try makeFolder(), fault: fault)
      }
      var found = problems(of: writing, width: Self.width) { item in
        let run = try process(item.database, item.copies, FaultyDisk.environment(item.copies, fault: item.fault))
        return run.code == 0 ? nil : "\(run)"
      }
      // A power cut takes copies, too, which are not synchronised.
      let (cut, journal) = (try makeFolder(), try makeFolder())
      let unsynchronised = try process(
        try TestSite.makeDatabase(copyOf: empty), cut, FaultyDisk.environment(cut, journal: journal))
      try #require(unsynchronised.code == 0, "\(unsynchronised)")
      let seeds = UInt64.random(in: 0...UInt64(UInt32.max))
      print("power cuts from seed \(seeds)")
      let cuts = try (seeds..<seeds + 3).map { seed in
        let left = folder + "/cut-\(seed)"
        try PowerCut(root: cut, journal: journal).strike(seed: seed, into: left)
        return Case(
          database: try TestSite.makeDatabase(copyOf: half), copies: left,
          fault: FaultyDisk.Fault(number: 0, kind: "cut \(seed)", call: ""))
      }
      // Then more comes, and all begin with what is in their copies.
      try send(100..<200)
      let database = TestDatabase(url: try TestSite.makeDatabase(copyOf: half))
      let listed = try makeFolder(copies)
      let second = try process(database.url, listed, FaultyDisk.environment(listed, calls: folder + "/reading"))
      let results = try TestDatabase(url: database.url).results()
      let whole = TestDatabase(url: try TestSite.makeDatabase(copyOf: empty))
      let undisturbed = try process(whole.url, nil)
      try #require(second.code == 0 && undisturbed.code == 0, "\(second) \(undisturbed)")
      #expect(try whole.results() == results)
      let reading = try FaultyDisk.chosen(try FaultyDisk.faults(folder + "/reading"), 4).map { fault in
        Case(database: try TestSite.makeDatabase(copyOf: half), copies: try makeFolder(copies), fault: fault)
      }
      found += problems(of: writing + cuts, width: Self.width) { item in
        let run = try process(item.database, item.copies)
        guard run.code == 0 else { return "\(run)" }
        return try TestDatabase(url: item.database).results() == results ? nil : "other results"
      }
      found += problems(of: reading, width: Self.width) { item in
        let run = try process(item.database, item.copies, FaultyDisk.environment(item.copies, fault: item.fault))
        guard run.code == 0 else { return "\(run)" }
        return try TestDatabase(url: item.database).results() == results ? nil : "other results"
      }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  /// What `score` writes to files is there whole or not at all, and what was there before stays until then.
  @Test func resultsWhoseFilesFail() async throws {
    try await onThread {
      let folder = try TestSite.makeFolder()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let input = folder + "/events.ndjson"
      let lines = (0..<400).map { number in
        #"{"id":\#(number % 50 == 7 ? "-" : "\(number)"),"user":\#(number % 9),"at":\#(number * 60),"amount":\#(number * 37 % 1_000)}"#
      }
      try (lines.joined(separator: "\n") + "\n").write(toFile: input, atomically: true, encoding: .utf8)
      let definition = folder + "/cards.yaml"
      try ArchiveKillTests.definition.replacing(
        "{name: at, type: timestamp,", with: "{name: at, type: timestamp, unit: s,"
      )
      .write(toFile: definition, atomically: true, encoding: .utf8)
      @Sendable func score(_ results: String, _ environment: [String: String] = [:]) throws -> Program.Outcome {
        try Program(
          [
            "score", "--pipeline", definition, "--input", input, "--output", results + "/alerts", "--rejected",
            results + "/rejected", "--errors", results + "/errors", "--aggregations", results + "/aggregates",
            "--summary", results + "/summary",
          ], environment: environment
        ).wait()
      }
      @Sendable func content(_ results: String) throws -> [String: String] {
        var content: [String: String] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: results) {
          let text = try String(contentsOfFile: results + "/" + name, encoding: .utf8)
          // Times differ.
          content[name] = name == "summary" ? text.replacing(/"seconds.*(?=})/, with: "") : text
        }
        return content
      }
      let clean = folder + "/clean"
      try FileManager.default.createDirectory(atPath: clean, withIntermediateDirectories: true)
      let undisturbed = try score(clean, FaultyDisk.environment(clean, calls: folder + "/calls"))
      try #require(undisturbed.code == 0, "\(undisturbed)")
      let expected = try content(clean)
      try #require(expected.keys.sorted() == ["aggregates", "alerts", "errors", "rejected", "summary"])
      try #require(expected["alerts"]?.isEmpty == false && expected["rejected"]?.isEmpty == false)
      let faults = try FaultyDisk.faults(folder + "/calls").filter { $0.kind != "enospc+6" }
      let found = problems(of: FaultyDisk.chosen(faults, 40), width: Self.width) { fault in
        let results = folder + "/" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: results, withIntermediateDirectories: true)
        for name in ["alerts", "summary"] {
          try "before".write(toFile: results + "/" + name, atomically: true, encoding: .utf8)
        }
        let run = try score(results, FaultyDisk.environment(results, fault: fault))
        guard run.code == 0 || run.code == 1 && run.errors.contains("cannot ") else { return "\(run)" }
        var found = try content(results)
        if run.code == 1 { found = found.filter { $0.value != "before" } }
        for (name, text) in found where text != expected[name] { return "\(name) has \(text.count) characters" }
        return run.code == 1 || found.count == expected.count ? nil : "\(found.keys.sorted())"
      }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }
}

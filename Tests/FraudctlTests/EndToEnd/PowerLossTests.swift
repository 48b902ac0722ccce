import Foundation
import FraudCore
import FraudStore
import Testing

/// A power cut: the process is killed at a step of its files, and its folder is put back to what had become durable, and by
/// chance some of what had not. PostgreSQL has what it has committed. Then it goes on, and ends up as if nothing had happened.
///
/// And the same with a program that never synchronises folders, or files: then the test must see a loss.
@Suite(.enabled(if: FaultyDisk.isAvailable, FaultyDisk.absence), .timeLimit(.minutes(60)))
struct PowerLossTests {
  static let cuts: UInt64 = 40

  /// A process that is killed at each of these steps, one after the other, before the power fails.
  struct Scenario: Sendable, CustomStringConvertible {
    var steps: [String]
    var drop: String?
    var description: String { steps.joined(separator: ", ") + (drop.map { ", without synchronised \($0)" } ?? "") }
  }

  /// Runs a scenario, and looks at what some cuts leave.
  ///
  /// - Returns: for each cut with something wrong what it is, and the folders of sound ones.
  static func run(_ scenario: Scenario, _ site: FileSite, first: UInt64) throws -> (
    wrong: [String], sound: [String], database: String
  ) {
    let folder = try site.makeFolder()
    let (root, journal) = (folder + "/archive", folder + "/journal")
    try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: true)
    let database = try TestSite.makeDatabase(copyOf: site.empty)
    for step in scenario.steps {
      let killed = try site.process(
        database, archive: root,
        environment: FaultyDisk.environment(root, journal: journal, drop: scenario.drop)
          .merging(["FRAUD_FAILPOINT": "archive-\(step)"]) { $1 }
      ).wait()
      try #require(killed.code == -SIGKILL, "\(scenario): \(killed)")
    }
    // Events in files that were said to be durable, all but those of the last step's file, must be there.
    let last = scenario.steps.last ?? ""
    let published = try FileSite.files(root, "raw_transactions").count
    let isDecided = try !FileSite.files(root, "fraud_detection").isEmpty
    let floor = max(0, published - (last.hasPrefix("visible") && !isDecided ? 1 : 0))
    let cut = try PowerCut(root: root, journal: journal)
    var (wrong, sound) = ([String](), [String]())
    for seed in first..<first + cuts {
      let left = "\(folder)/after-\(seed)"
      try cut.strike(seed: seed, into: left)
      let count = try FileSite.files(left, "raw_transactions").count
      if let problem = try site.problem(of: left) {
        wrong.append("cut \(seed): \(problem)")
      } else if count < floor {
        wrong.append("cut \(seed): \(count) of \(floor) files of events that were durable")
      } else {
        sound.append(left)
      }
    }
    return (wrong, sound, database)
  }

  @Test func afterAPowerCutItHoldsEachEventOnce() async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      let first = UInt64.random(in: 0...UInt64(UInt32.max))
      print("power cuts from seed \(first)")
      let scenarios = [
        ["begun:2"], ["written:3"], ["synced:2"], ["visible:1"], ["visible:3"], ["visible:6"], ["durable:2"],
        ["durable:7"],
        // Killed before a name was durable; the next process goes on behind it.
        ["visible:2", "durable:1"], ["visible:1", "visible:1", "begun:2"], ["visible:5", "durable:2"],
      ].map { Scenario(steps: $0) }
      let found = problems(of: scenarios, width: 6) { scenario in
        let (wrong, sound, database) = try Self.run(scenario, site, first: first)
        guard wrong.isEmpty else { return wrong.joined(separator: "\n") }
        // One of them goes on to the end.
        for root in sound.prefix(1) {
          let copy = TestDatabase(url: try TestSite.makeDatabase(copyOf: database))
          let run = try site.process(copy.url, archive: root).wait()
          guard run.code == 0 else { return "\(run)" }
          guard try copy.results() == site.results else { return "other alerts" }
          if let problem = try site.problem(ofComplete: root) { return "\(root): \(problem)" }
        }
        return nil
      }
      #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
  }

  /// Planted bugs: the program behaves as if it did not synchronise folders, or files.
  @Test(arguments: ["names", "data"])
  func aProgramThatDoesNotSynchroniseIsSeen(drop: String) async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      for step in ["durable:3", "durable:7"] {
        let (wrong, _, _) = try Self.run(Scenario(steps: [step], drop: drop), site, first: 1)
        #expect(wrong.count > 5, "\(step), \(drop): \(wrong)")
      }
    }
  }

  /// A compaction that the power ends, too: each event stays in exactly one file, and the next one completes it.
  @Test(arguments: [nil, "names", "data"])
  func afterAPowerCutACompactionLosesNothing(drop: String?) async throws {
    try await onThread {
      let site = try FileSite.shared.get()
      var losses = 0
      for step in ["written:1", "synced:1", "visible:1", "durable:1", "moved:1", "moved:2", "moved:3", "visible:2"] {
        let folder = try site.makeFolder()
        let (root, journal) = (folder + "/archive", folder + "/journal")
        try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: site.folder + "/clean/archive", toPath: root)
        // Where two compactions follow each other, the second settles what the first left.
        for step in step == "visible:1" ? [step, "moved:1"] : [step] {
          let killed = try Program(
            ["archive", "compact", "--archive", root],
            environment: FaultyDisk.environment(root, journal: journal, drop: drop)
              .merging(["FRAUD_FAILPOINT": "archive-\(step)"]) { $1 }
          ).wait()
          try #require(killed.code == -SIGKILL, "\(step): \(killed)")
        }
        let cut = try PowerCut(root: root, journal: journal)
        for seed in 0..<Self.cuts {
          let left = "\(folder)/after-\(seed)"
          try cut.strike(seed: seed, into: left)
          var problem: String?
          do {
            let offsets = try ArchiveKillTests.offsets(left)[0]
            if offsets != site.accepted { problem = "\(offsets)" }
          } catch {
            problem = "\(error)"
          }
          if drop != nil {
            if problem != nil { losses += 1 }
            continue
          }
          #expect(problem == nil, "\(step), cut \(seed): \(problem ?? "")")
          guard seed == 0 else { continue }
          let again = try Program.run(["archive", "compact", "--archive", left])
          #expect(again.code == 0, "\(again)")
          let verified = try ArchiveDirectory(root: left).verify()
          #expect(
            verified.problems.isEmpty && verified.rowCount == site.accepted.count, "\(step): \(verified.problems)")
        }
      }
      #expect(drop == nil || losses > 3, "\(losses)")
    }
  }
}

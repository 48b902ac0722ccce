import FraudCore

/// One numbered step of the database's schema. It is applied once, in a transaction of its own, and never edited after
/// it has been released: a change is a new migration.
struct Migration: Sendable {
  let number: Int
  let name: String
  let sql: String

  /// What the step's text was when it was applied, to notice that it has been edited since.
  var checksum: String { SHA256.hexadecimalDigest(sql.utf8) }

  /// All steps in the order of their numbers. A number may be missing: parts that are built side by side take numbers of
  /// their own, and a step with a lower one is applied even after one with a higher.
  ///
  /// They are Swift text and not files, so that a program copied alone to another machine finds them.
  static let all = [
    pipelines, results, state, activations, crashes, stateCommits, trials, redrives, lists, outputs, processes,
    processMemory, relayTopics, aggregates, streams, sharedVersions, notedRecords,
    rangeTimes,
  ]
}

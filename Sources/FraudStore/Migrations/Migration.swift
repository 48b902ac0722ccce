import FraudCore

/// One numbered step of the database's schema. It is applied once, in a transaction of its own, and never edited after
/// it has been released: a change is a new migration.
struct Migration: Sendable {
  let number: Int
  let name: String
  let sql: String

  /// What the step's text was when it was applied, to notice that it has been edited since.
  var checksum: String { SHA256.hexadecimalDigest(sql.utf8) }

  /// All steps in order, numbered from 1 without gaps.
  ///
  /// They are Swift text and not files, so that a program copied alone to another machine finds them.
  static let all = [pipelines, results]
}

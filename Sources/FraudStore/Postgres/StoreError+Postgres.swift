public import FraudCore

extension StoreError: CommitFailure {
  /// Whether another process has taken a partition.
  public var isFenced: Bool { code == .fenced }

  /// Whether the database has forgotten commits of a partition that this process still owns.
  public var isUndone: Bool { code == .undone }

  /// Whether the same work may succeed when it is done again, after a pause and on a new connection.
  ///
  /// True for lost and refused connections and for what PostgreSQL documents as passing: serialisation failures and
  /// deadlocks, locks and statements that took too long, servers that start, stop or run out of resources. False where
  /// the data or the statement is at fault.
  ///
  /// - Source: PostgreSQL 15 documentation, appendix A, classes 08, 40, 53, 55 and 57.
  public var isRetryable: Bool {
    if code == .unavailable { return true }
    guard let sqlState else { return false }
    switch sqlState {
    case "40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03": return true
    default: return sqlState.hasPrefix("08") || sqlState.hasPrefix("53")
    }
  }

  /// An answer that is not what the statement asks for.
  static func unexpectedAnswer(_ message: String) -> StoreError {
    StoreError(code: .corrupt, message: "PostgreSQL's answer cannot be read: \(message)")
  }
}

/// What went wrong with the database or a file.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  /// What a caller can branch on.
  public struct Code: Sendable, Hashable {
    private enum Value { case unavailable, query, fenced, undone, file, corrupt, cluster, refused, thread }
    private let value: Value
    /// The database does not answer, or the connection was lost.
    public static let unavailable = Code(value: .unavailable)
    /// The database refused a statement; ``StoreError/sqlState`` says why.
    public static let query = Code(value: .query)
    /// Another process owns the partition.
    public static let fenced = Code(value: .fenced)
    /// The database has forgotten commits: it fell over while they were not on its disk, or an older copy took its place.
    public static let undone = Code(value: .undone)
    /// A file cannot be read or written.
    public static let file = Code(value: .file)
    /// A file's content is not what it should be.
    public static let corrupt = Code(value: .corrupt)
    /// The private PostgreSQL cluster cannot be made or started.
    public static let cluster = Code(value: .cluster)
    /// What was asked for breaks a rule that can be set aside on purpose.
    public static let refused = Code(value: .refused)
    /// The system has no thread, or no memory for one.
    public static let thread = Code(value: .thread)
  }

  /// What a caller can branch on.
  public var code: Code
  /// For people: what failed, where, and what to do.
  public var message: String
  /// PostgreSQL's five-character code, where it gave one.
  public var sqlState: String?

  /// Makes an error.
  public init(code: Code, message: String, sqlState: String? = nil) {
    self.code = code
    self.message = message
    self.sqlState = sqlState
  }

  /// The message.
  public var description: String { message }
}

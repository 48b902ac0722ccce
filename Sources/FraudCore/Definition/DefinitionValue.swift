/// A node of a pipeline definition as it was read from YAML or JSON, with its place in the text.
///
/// Both formats become this one tree, so that everything after reading is the same for them and every mistake can be
/// reported with path, line and column.
public struct DefinitionValue: Sendable, Hashable {
  /// What a node holds.
  public enum Content: Sendable, Hashable {
    case null
    case boolean(Bool)
    /// A number as it was written, so that no digit is lost before its meaning is known.
    case number(String)
    case string(String)
    case array([DefinitionValue])
    /// Members in the order of the text. A key that stands twice is kept twice, for the checker to report.
    case object([Member])
  }

  /// One key of an object and what it holds.
  public struct Member: Sendable, Hashable {
    /// The key as it was written.
    public var key: String
    /// What stands behind it.
    public var value: DefinitionValue
    /// Where the key stands.
    public var line: Int
    /// See ``line``.
    public var column: Int

    /// Makes a member.
    public init(key: String, value: DefinitionValue, line: Int = 0, column: Int = 0) {
      self.key = key
      self.value = value
      self.line = line
      self.column = column
    }
  }

  /// What the node holds.
  public var content: Content
  /// The line from 1, or 0 where the text is not known.
  public var line: Int
  /// The column in characters from 1, or 0 where the text is not known.
  public var column: Int

  /// Makes a node.
  public init(_ content: Content, line: Int = 0, column: Int = 0) {
    self.content = content
    self.line = line
    self.column = column
  }
}

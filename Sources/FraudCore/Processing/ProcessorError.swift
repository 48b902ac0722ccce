/// Why a processor cannot go on.
public struct ProcessorError: Error, Sendable, CustomStringConvertible {
  /// What a caller can branch on.
  public struct Code: Sendable, Hashable {
    private enum Value { case fenced, source, state }
    private let value: Value
    /// Another process keeps the partitions.
    public static let fenced = Code(value: .fenced)
    /// A partition cannot be read on.
    public static let source = Code(value: .source)
    /// What is stored of the features cannot be used.
    public static let state = Code(value: .state)
  }

  /// See ``Code-swift.struct``.
  public var code: Code
  /// For people.
  public var message: String

  /// The message.
  public var description: String { message }
}

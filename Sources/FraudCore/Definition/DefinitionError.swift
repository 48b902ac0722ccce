/// One mistake in a definition.
public struct DefinitionProblem: Sendable, Hashable, CustomStringConvertible {
  /// Where it is, as in `rules[2].rule_expression`; empty for the whole document.
  public var path: String
  /// What is wrong, and what to write instead where that can be told.
  public var message: String
  /// The line from 1, or 0 where it is not known.
  public var line: Int
  /// The column from 1, or 0 where it is not known.
  public var column: Int

  /// Describes a mistake.
  public init(path: String, message: String, line: Int = 0, column: Int = 0) {
    self.path = path
    self.message = message
    self.line = line
    self.column = column
  }

  /// The path and the message.
  public var description: String {
    path.isEmpty ? message : "\(path): \(message)"
  }
}

/// Everything that is wrong with a definition, in the order of the text. Never empty.
public struct DefinitionError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The mistakes, at least one.
  public var problems: [DefinitionProblem]

  /// Collects problems.
  public init(problems: [DefinitionProblem]) {
    self.problems = problems
  }

  /// One mistake a line.
  public var description: String {
    problems.map(\.description).joined(separator: "\n")
  }
}

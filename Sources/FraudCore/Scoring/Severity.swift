/// How bad it is when a rule triggers.
public enum Severity: String, Sendable, Hashable, CaseIterable {
  case critical
  case warning
  case info
}

/// One mistake in an expression.
public struct ExpressionDiagnostic: Sendable, Hashable {
  /// What is wrong and, where that can be told, what to write instead: `unknown column 'amout', did you mean 'amount'?`
  public var message: String
  /// The UTF-8 offsets of the text that the message is about. Empty at the end of the text.
  public var range: Range<Int>

  /// Describes a mistake.
  public init(message: String, range: Range<Int>) {
    self.message = message
    self.range = range
  }
}

/// Everything that is wrong with an expression, in the order of the text. Never empty.
public struct ExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The mistakes, at least one.
  public var diagnostics: [ExpressionDiagnostic]

  /// Collects mistakes.
  public init(diagnostics: [ExpressionDiagnostic]) {
    self.diagnostics = diagnostics
  }

  /// The messages, one a line.
  public var description: String {
    diagnostics.map(\.message).joined(separator: "\n")
  }

  /// The messages, each with its line and column and the line of the text with carets under the place.
  ///
  ///     1:8: error: unknown column 'amout', did you mean 'amount'?
  ///       qty > amout AND currency = 'USD'
  ///             ^~~~~
  ///
  /// - Parameter text: the expression that was compiled.
  public func rendered(in text: String) -> String {
    let bytes = Array(text.utf8)
    return diagnostics.map { diagnostic in
      let place = SourcePlace(of: diagnostic.range.lowerBound, in: bytes)
      return "\(place.line):\(place.column): error: \(diagnostic.message)\n"
        + place.excerpt(of: diagnostic.range, in: bytes)
    }.joined()
  }
}

/// Where a UTF-8 offset lies, for people.
package struct SourcePlace: Sendable {
  /// The line from 1.
  package let line: Int
  /// The column in code points from 1.
  package let column: Int
  private let lineStart: Int

  package init(of offset: Int, in bytes: [UInt8]) {
    let offset = min(offset, bytes.count)
    let before = bytes[..<offset]
    lineStart = (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
    line = 1 + before.count { $0 == UInt8(ascii: "\n") }
    column = 1 + before[lineStart...].count { $0 & 0xC0 != 0x80 }
  }

  /// At most this many code points of a line are shown around a mistake.
  private static let shown = 100

  /// The line of text and carets under the range, both ending with a newline.
  func excerpt(of range: Range<Int>, in bytes: [UInt8]) -> String {
    let lineEnd = bytes[lineStart...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
    let scalars = Array(String(decoding: bytes[lineStart..<lineEnd], as: UTF8.self).unicodeScalars)
    let start = min(column - 1, scalars.count)
    let marked = bytes[min(range.lowerBound, lineEnd)..<min(max(range.lowerBound, range.upperBound), lineEnd)]
      .count { $0 & 0xC0 != 0x80 }
    let first = start > Self.shown * 3 / 4 ? start - Self.shown / 2 : 0
    let last = min(scalars.count, first + Self.shown)
    var text = "  " + (first > 0 ? "…" : "")
    var carets = "  " + (first > 0 ? " " : "")
    for (index, scalar) in zip(first..<last, scalars[first..<last]) {
      // A control character or a tab would move what follows away from its caret.
      text.unicodeScalars.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
      if index < start { carets += " " }
    }
    if last < scalars.count { text += "…" }
    let width = max(1, min(marked, last - start))
    return text + "\n" + carets + "^" + String(repeating: "~", count: width - 1) + "\n"
  }
}

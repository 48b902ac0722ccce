/// A declared list that a rule tests with `x IN LIST(name)`.
public struct DeclaredList: Sendable, Hashable {
  /// Matched in any case.
  public var name: String
  /// The type of its values.
  public var type: FieldType

  /// Declares a list.
  public init(name: String, type: FieldType) {
    self.name = name
    self.type = type
  }
}

/// Turns the text of a rule into a ``CheckedExpression``, or says everything that is wrong with it.
///
/// The language is the condition of a WHERE clause of Spark SQL in ANSI mode, over the columns of one event; what it leaves out
/// (subqueries, aggregates, window functions, the clock) is refused by name.
///
///     let compiler = ExpressionCompiler(layout: ColumnLayout(schema: schema))
///     let rule = try compiler.rule("amount > 5000 AND currency <> 'USD'")
public struct ExpressionCompiler: Sendable {
  /// The columns that rules may name.
  public let layout: ColumnLayout
  /// Lists by the index that a checked expression refers to.
  public let lists: [DeclaredList]

  /// What zone names in constant texts mean.
  public let zones: TimeZones

  /// Names what rules may refer to.
  public init(layout: ColumnLayout, lists: [DeclaredList] = [], zones: TimeZones = .offsetsOnly) {
    self.layout = layout
    self.lists = lists
    self.zones = zones
  }

  /// Compiles a rule, which must be BOOLEAN.
  ///
  /// - Throws: ``ExpressionError`` with every mistake that could be found: the first that makes the text unreadable, or all
  ///   wrong names and types.
  /// - Complexity: O(n) in the text's length for all but patterns; the text, nesting and node count are bounded by ``Limits``.
  public func rule(_ text: String) throws(ExpressionError) -> CheckedExpression {
    try compile(text, isRule: true)
  }

  /// Compiles an expression of any type.
  ///
  /// - Throws: as ``rule(_:)``.
  public func expression(_ text: String) throws(ExpressionError) -> CheckedExpression {
    try compile(text, isRule: false)
  }

  private func compile(_ text: String, isRule: Bool) throws(ExpressionError) -> CheckedExpression {
    let source = Array(text.utf8)
    guard source.count <= Limits.expressionBytes else {
      throw ExpressionError(diagnostics: [
        ExpressionDiagnostic(
          message: "the expression has \(source.count) bytes; at most \(Limits.expressionBytes) are allowed",
          range: 0..<0)
      ])
    }
    let tokens = try Lexer.tokens(of: source)
    let tree = try Parser.parse(tokens) { layout.index(of: $0) != nil }
    var checker = Checker(compiler: self, source: source, tree: tree)
    return try checker.check(isRule: isRule)
  }
}

/// Tokens → syntax tree, by the grammar of Spark's WHERE clause.
///
/// Recursive descent for what nests (parentheses, calls, CASE), which ``Limits/expressionDepth`` bounds; loops for chains of
/// AND, OR, NOT and of signs; an operator stack for the levels of binary operators. No word is reserved: `order`, `timestamp` or
/// `left` is a column wherever the grammar leaves no other reading. The first thing that does not fit ends parsing, because
/// what follows it can only be guessed.
struct Parser {
  let tokens: [Token]
  /// Whether there is a column of this name, which settles what a bare keyword may mean.
  let isColumn: (String) -> Bool
  var position = 0
  var depth = 0
  var tree = SyntaxTree()

  /// Parses a whole expression.
  ///
  /// - Throws: ``ExpressionError`` with one diagnostic.
  static func parse(_ tokens: [Token], isColumn: @escaping (String) -> Bool) throws(ExpressionError) -> SyntaxTree {
    var parser = Parser(tokens: tokens, isColumn: isColumn)
    if case .end = parser.token.kind { throw parser.failure("the rule is empty: expected a condition") }
    _ = try parser.expression()
    guard case .end = parser.token.kind else { throw parser.unexpectedRest() }
    return parser.tree
  }

  // MARK: Tokens

  var token: Token { tokens[position] }

  func peek(_ count: Int = 1) -> Token {
    tokens[min(position + count, tokens.count - 1)]
  }

  mutating func advance() {
    if position < tokens.count - 1 { position += 1 }
  }

  func at(_ mark: Mark) -> Bool {
    token.kind == .mark(mark)
  }

  func at(word: String) -> Bool {
    token.isWord(word)
  }

  mutating func accept(_ mark: Mark) -> Bool {
    guard at(mark) else { return false }
    advance()
    return true
  }

  mutating func accept(word: String) -> Bool {
    guard at(word: word) else { return false }
    advance()
    return true
  }

  mutating func expect(_ mark: Mark, _ purpose: String) throws(ExpressionError) {
    guard accept(mark) else { throw expected("'\(mark.rawValue)' \(purpose)") }
  }

  mutating func expect(word: String, _ purpose: String) throws(ExpressionError) {
    guard accept(word: word) else { throw expected("\(word.uppercased()) \(purpose)") }
  }

  // MARK: Nodes

  mutating func add(_ kind: SyntaxNode.Kind, _ children: [Int] = [], from start: Int, focus: Range<Int>) -> Int {
    let end = position > 0 ? tokens[position - 1].range.upperBound : start
    tree.nodes.append(SyntaxNode(kind: kind, children: children, range: start..<max(start, end), focus: focus))
    return tree.nodes.count - 1
  }

  func start(of node: Int) -> Int {
    tree.nodes[node].range.lowerBound
  }

  // MARK: Errors

  func failure(_ message: String, at range: Range<Int>? = nil) -> ExpressionError {
    ExpressionError(diagnostics: [ExpressionDiagnostic(message: message, range: range ?? token.range)])
  }

  func expected(_ what: String) -> ExpressionError {
    failure("expected \(what), found \(token.name)")
  }

  /// What to say where an expression is complete but the text goes on.
  private func unexpectedRest() -> ExpressionError {
    let next = peek()
    switch token.kind {
    case .mark(.ampersand): return failure("'&&' does not exist; write AND")
    case .mark(.semicolon): return failure("a rule is one expression: ';' has no place in it")
    case .mark(.close): return failure("')' closes no '('")
    case .mark(.dot), .mark(.openBracket), .mark(.colon):
      return failure("parts of a value cannot be named: columns are flat")
    case .mark(.asterisk) where next.kind == .mark(.close):
      return failure("a comment that ends here never began")
    case .word(let word):
      switch word.lowercased() {
      case "isnull", "notnull": return failure("'\(word)' after a value does not exist; write IS [NOT] NULL")
      case "xor": return failure("XOR does not exist; write <> between conditions in parentheses")
      case "in", "is", "like", "ilike", "rlike", "regexp", "between", "not":
        return failure(
          "\(word.uppercased()) cannot follow a condition that already has a test: put that condition in parentheses")
      case "and", "or": return expected("an operator")
      case "as": return failure("a rule has no name of its own: AS is not allowed")
      case "collate": return failure("COLLATE is not supported: strings compare by code point")
      case "order", "group", "limit", "having", "union":
        return failure("a rule is only the condition of a WHERE clause: \(word.uppercased()) has no place in it")
      default: break
      }
    default: break
    }
    return expected("AND, OR, an operator or the end")
  }

  // MARK: Nesting

  /// Runs a nested part of the grammar one level deeper.
  mutating func nested(_ body: (inout Parser) throws(ExpressionError) -> Int) throws(ExpressionError) -> Int {
    guard depth < Limits.expressionDepth else {
      throw failure("the expression nests deeper than \(Limits.expressionDepth) levels")
    }
    depth += 1
    let node = try body(&self)
    depth -= 1
    return node
  }
}

extension Token {
  func isWord(_ word: String) -> Bool {
    guard case .word(let text) = kind, text.utf8.count == word.utf8.count else { return false }
    return text.lowercased() == word
  }

  /// The lower-case word, if it is one.
  var word: String? {
    guard case .word(let text) = kind else { return nil }
    return text.lowercased()
  }
}

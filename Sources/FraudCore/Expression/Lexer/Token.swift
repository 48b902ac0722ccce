/// A word, literal or mark of an expression's text.
struct Token: Sendable, Hashable {
  enum Kind: Sendable, Hashable {
    /// An unquoted word, as it was written: a keyword, a name or both.
    case word(String)
    /// A name in back-quotes, without them.
    case quotedName(String)
    /// A string literal's value.
    case string([UInt8])
    /// Digits, with a suffix or not.
    case number(NumberToken)
    case mark(Mark)
    /// After the last token.
    case end
  }

  var kind: Kind
  /// UTF-8 offsets in the text.
  var range: Range<Int>
}

/// A number as it was written.
struct NumberToken: Sendable, Hashable {
  /// How the text says what type it is.
  enum Form: Sendable, Hashable {
    /// Digits only: the smallest of INT, BIGINT and DECIMAL.
    case digits
    /// With a point.
    case decimal
    /// With an exponent.
    case exponent
    case tinyint, smallint, bigint, float, double, bigDecimal
  }

  var form: Form
  /// The digits, point and exponent without suffix: `12`, `.5`, `1.`, `1e-3`.
  var text: String
}

/// Operators and punctuation.
enum Mark: String, Sendable, Hashable, CaseIterable {
  // Longest first, the order in which they are tried.
  case shiftRightUnsigned = ">>>"
  case nullSafeEqual = "<=>"
  case doubleEqual = "=="
  case notEqual = "<>"
  case bangEqual = "!="
  case lessOrEqual = "<="
  case greaterOrEqual = ">="
  case notGreater = "!>"
  case notLess = "!<"
  case concat = "||"
  case doubleColon = "::"
  case shiftLeft = "<<"
  case shiftRight = ">>"
  case arrow = "->"
  case fatArrow = "=>"
  case pipeOperator = "|>"
  case hint = "/*+"
  case equal = "="
  case less = "<"
  case greater = ">"
  case bang = "!"
  case plus = "+"
  case minus = "-"
  case asterisk = "*"
  case slash = "/"
  case percent = "%"
  case tilde = "~"
  case ampersand = "&"
  case bar = "|"
  case hat = "^"
  case open = "("
  case close = ")"
  case openBracket = "["
  case closeBracket = "]"
  case comma = ","
  case dot = "."
  case colon = ":"
  case semicolon = ";"
  case question = "?"
}

extension Token {
  /// How the token is called in a message.
  var name: String {
    switch kind {
    case .word(let word): "'\(word)'"
    case .quotedName(let name): "`\(name)`"
    case .string: "a string"
    case .number(let number): "'\(number.text)'"
    case .mark(let mark): "'\(mark.rawValue)'"
    case .end: "the end"
    }
  }
}

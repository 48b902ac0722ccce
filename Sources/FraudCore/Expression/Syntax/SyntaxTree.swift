/// What an expression's text says, before names and types are known: nodes in post-order, the last is the whole text.
struct SyntaxTree: Sendable, Hashable {
  var nodes: [SyntaxNode] = []
}

/// One node of a ``SyntaxTree``.
struct SyntaxNode: Sendable, Hashable {
  var kind: Kind
  /// Indexes of the operands, all less than the node's own.
  var children: [Int]
  /// UTF-8 offsets in the text, the operands included.
  var range: Range<Int>
  /// The operator, function name or other word that a message about the node points at.
  var focus: Range<Int>

  enum Kind: Sendable, Hashable {
    case null
    case boolean(Bool)
    /// A number; a minus that belongs to the literal is told apart from one that is an operator.
    case number(NumberToken, negative: Bool)
    case string([UInt8])
    /// `TIMESTAMP '…'` or `DATE '…'`.
    case typedString(DataType, [UInt8])
    case interval(IntervalText)
    case column(String)
    case unary(UnaryOperator)
    case binary(BinaryOperator)
    /// Two or more operands.
    case and
    case or
    /// Value, low, high.
    case between(negated: Bool)
    /// Value and one or more elements.
    case inValues(negated: Bool)
    /// Value.
    case inList(name: String, negated: Bool)
    /// Value and pattern.
    case like(LikeKind, escape: [UInt8]?, negated: Bool)
    /// Value and one or more patterns: `LIKE ALL (…)`, `LIKE ANY (…)`.
    case likeQuantified(LikeKind, all: Bool, negated: Bool)
    case isTest(IsTest, negated: Bool)
    case isDistinctFrom(negated: Bool)
    /// The operand if there is one, conditions and values in turn, the value after ELSE if there is one.
    case caseWhen(hasOperand: Bool, hasElse: Bool)
    case cast(DataType, tries: Bool)
    /// A function by its lower-case name. Forms with words between the arguments have become plain calls.
    case call(String)
  }

  enum UnaryOperator: String, Sendable, Hashable {
    case plus = "+"
    case minus = "-"
    case bitNot = "~"
    case not = "NOT"
  }

  enum BinaryOperator: String, Sendable, Hashable {
    case equal = "="
    case notEqual = "<>"
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case nullSafeEqual = "<=>"
    case bitOr = "|"
    case bitXor = "^"
    case bitAnd = "&"
    case shiftLeft = "<<"
    case shiftRight = ">>"
    case shiftRightUnsigned = ">>>"
    case add = "+"
    case subtract = "-"
    case concat = "||"
    case multiply = "*"
    case divide = "/"
    case remainder = "%"
    case integralDivide = "DIV"

    /// How tightly it binds; the greatest binds first.
    var precedence: Int {
      switch self {
      case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .nullSafeEqual: 1
      case .bitOr: 2
      case .bitXor: 3
      case .bitAnd: 4
      case .shiftLeft, .shiftRight, .shiftRightUnsigned: 5
      case .add, .subtract, .concat: 6
      case .multiply, .divide, .remainder, .integralDivide: 7
      }
    }
  }

  enum LikeKind: String, Sendable, Hashable {
    case like = "LIKE"
    case ilike = "ILIKE"
    case rlike = "RLIKE"
  }

  enum IsTest: String, Sendable, Hashable {
    case null = "NULL"
    case `true` = "TRUE"
    case `false` = "FALSE"
    case unknown = "UNKNOWN"
  }
}

/// An interval literal as it was written.
enum IntervalText: Sendable, Hashable {
  /// `INTERVAL 1 DAY '2' HOUR`: values and units in turn.
  case parts([Part])
  /// `INTERVAL '1:30' HOUR TO MINUTE`.
  case range(value: [UInt8], negative: Bool, from: IntervalUnit, to: IntervalUnit)
  /// `INTERVAL '1 day 1 hour'`.
  case text([UInt8])

  struct Part: Sendable, Hashable {
    var value: [UInt8]
    var negative: Bool
    var unit: IntervalUnit
  }
}

/// The units an interval literal is written with, from the largest.
enum IntervalUnit: String, Sendable, Hashable, CaseIterable {
  case year, month, week, day, hour, minute, second, millisecond, microsecond

  /// A unit's name in the singular or plural, in any case.
  init?(word: String) {
    let word = word.lowercased()
    guard let unit = Self(rawValue: word) ?? (word.last == "s" ? Self(rawValue: String(word.dropLast())) : nil) else {
      return nil
    }
    self = unit
  }
}

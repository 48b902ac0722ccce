/// One step of a ``RuleProgram``: reads columns, constants and what earlier steps wrote, and writes one node's outcome.
///
/// A step that may be told to do less has a `guard`: the rows whose outcome can matter. It may leave any outcome in other
/// rows but never one that is unsafe to read (a text outside the arena).
enum Step: Sendable {
  /// valid := rows where all operands are valid; error := rows where one raised before one was NULL.
  case combine([Operand], valid: Int, error: Int?)
  /// truth := (a op b) & valid
  case compareIntegers(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareDoubles(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareTexts(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareBits(Comparison, BitSource, BitSource, valid: BitSource, truth: Int)
  /// truth := (a is in the set) & valid
  case integersIn(WordSource, IntegerSet, valid: BitSource, guard: BitSource, truth: Int)
  case textsIn(WordSource, TextSet, valid: BitSource, guard: BitSource, truth: Int)
  case inList(Operand, list: Int, guard: BitSource, truth: Int)
  /// truth := (text matches) & valid
  case like(WordSource, TextSearch, valid: BitSource, guard: BitSource, truth: Int)
  case matches(WordSource, expression: Int, valid: BitSource, guard: BitSource, truth: Int)
  /// truth := ¬a & valid
  case not(BitSource, valid: BitSource, truth: Int)
  /// truth := rows that are neither valid nor raised
  case isNull(valid: BitSource, error: BitSource, truth: Int)
  /// truth := a & ¬b
  case subtract(BitSource, BitSource, truth: Int)
  /// truth := rows where both are valid and equal, or both NULL
  case nullSafeEqual(equal: BitSource, Operand, Operand, truth: Int)
  /// Kleene AND and OR from left to right; `valid` and `error` are absent where no operand can lack a value.
  case and([Operand], truth: Int, valid: Int?, error: Int?)
  case or([Operand], truth: Int, valid: Int?, error: Int?)
  /// into := rows of `within` where an operand leaves something to decide
  case narrow(within: BitSource, Operand, Keep, into: Int)
  /// integers; an overflow moves the row from valid to error
  case integerArithmetic(
    Arithmetic, WordSource, WordSource, range: ClosedRange<Int64>, valid: BitSource, error: BitSource, into: Int,
    validInto: Int, errorInto: Int)
  /// doubles; only a zero divisor can raise
  case doubleArithmetic(Arithmetic, WordSource, WordSource, into: Int)
  case zeroDivisor(WordSource, valid: BitSource, error: BitSource, validInto: Int, errorInto: Int)
  /// into := double(a)
  case integersToDoubles(WordSource, into: Int)
  /// CASE and `coalesce`: each branch's outcome for the rows where its condition holds first
  case select(Selection)
  /// Any strict operation, row by row through ``evaluate(_:_:types:result:zones:)``
  case scalar(ScalarStep)
}

/// Which rows are left to decide after an operand of a lazy operation. Rows that raised never are.
enum Keep: Sendable {
  /// AND goes on.
  case notFalse
  /// OR, and CASE after a condition, go on.
  case notTrue
  /// The value of a CASE's condition is wanted.
  case isTrue
  /// `coalesce` goes on.
  case isNull
}

/// The branches of a CASE or `coalesce`.
struct Selection: Sendable {
  struct Branch: Sendable {
    /// The condition of a CASE; `nil` for `coalesce`, which takes a value that is not NULL.
    var condition: Operand?
    var value: Operand
  }
  var branches: [Branch]
  /// The rows that may matter.
  var within: BitSource
  var result: DataType
  /// Register or bitmap of the values.
  var into: Int
  var validInto: Int
  var errorInto: Int?
}

/// A step without a kernel.
struct ScalarStep: Sendable {
  var operation: Operation
  var operands: [Operand]
  var result: DataType
  /// Looks at NULL operands, too.
  var seesNulls: Bool
  /// All operands valid, or for `seesNulls` none raised.
  var valid: BitSource
  var error: BitSource
  var guardSource: BitSource
  var into: Int
  var validInto: Int
  var errorInto: Int?
  /// Where the rows' reasons go.
  var reasons: Int?
  /// A compiled regular expression standing for the second operand.
  var expression: Int?
}

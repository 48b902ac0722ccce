/// One step of a ``RuleProgram``: reads columns, constants and what earlier steps wrote, and writes one node's outcome.
///
/// Steps are plain numbers: lists and constants lie in tables of the ``Plan``, so that running a step copies nothing that is
/// counted. A step that may be told to do less has a `guard`: the rows whose outcome can matter. It may leave any outcome in
/// other rows.
enum Step: Sendable {
  /// valid := rows where all operands are valid; error := rows where one raised before one was NULL.
  case combine(TableRange, valid: Int, error: Int?)
  /// truth := (a op b) & valid
  case compareIntegers(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareDoubles(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareTexts(Comparison, WordSource, WordSource, valid: BitSource, guard: BitSource, truth: Int)
  case compareBits(Comparison, BitSource, BitSource, valid: BitSource, truth: Int)
  /// truth := (a lies in a range of keys) & valid
  case integersBetween(WordSource, Int64, Int64, valid: BitSource, guard: BitSource, truth: Int)
  case doublesBetween(WordSource, Double, Double, valid: BitSource, guard: BitSource, truth: Int)
  /// truth := (a is in the set) & valid
  case integersIn(WordSource, set: Int, valid: BitSource, guard: BitSource, truth: Int)
  case textsIn(WordSource, set: Int, valid: BitSource, guard: BitSource, truth: Int)
  case inList(operand: Int, list: Int, guard: BitSource, truth: Int)
  /// truth := (text matches) & valid
  case like(WordSource, search: Int, valid: BitSource, guard: BitSource, truth: Int)
  case matches(WordSource, expression: Int, valid: BitSource, guard: BitSource, truth: Int)
  /// truth := ¬a & valid
  case not(BitSource, valid: BitSource, truth: Int)
  /// truth := rows that are neither valid nor raised
  case isNull(valid: BitSource, error: BitSource, truth: Int)
  /// truth := a & ¬b
  case subtract(BitSource, BitSource, truth: Int)
  /// truth := rows where both are valid and equal, or both NULL
  case nullSafeEqual(equal: BitSource, TableRange, truth: Int)
  /// Kleene AND and OR from left to right; `valid` and `error` are absent where no operand can lack a value.
  case and(TableRange, truth: Int, valid: Int?, error: Int?)
  case or(TableRange, truth: Int, valid: Int?, error: Int?)
  /// into := rows of `within` where an operand leaves something to decide
  case narrow(within: BitSource, LogicOperand, Keep, into: Int)
  /// Goes on at another step where a bitmap has no row: those between are for its rows only. `clear` is the result of an AND
  /// that is passed over and then FALSE everywhere.
  case skip(ifEmpty: Int, to: Int, clear: Int?)
  /// integers; an overflow moves the row from valid to error
  case integerArithmetic(
    Arithmetic, WordSource, WordSource, range: ClosedRange<Int64>, valid: BitSource, error: BitSource, into: Int,
    validInto: Int, errorInto: Int)
  /// doubles; only a zero divisor can raise
  case doubleArithmetic(Arithmetic, WordSource, WordSource, into: Int)
  case zeroDivisor(WordSource, valid: BitSource, error: BitSource, validInto: Int, errorInto: Int)
  /// into := double(a)
  case integersToDoubles(WordSource, into: Int)
  /// CASE and `coalesce`, by index into the plan's selections
  case select(Int)
  /// Any strict operation, row by row through ``evaluate(_:_:types:result:zones:)``, by index into the plan's scalars
  case scalar(Int)
  /// Many predicates on one column, by index into the plan's indexes
  case index(Int)
}

/// A part of a table of the plan.
struct TableRange: Sendable {
  var start: Int
  var count: Int
  var indices: Range<Int> { start..<(start + count) }
}

/// What logic needs to know of an operand.
struct LogicOperand: Sendable {
  /// TRUE rows of a boolean; no rows for other types.
  var truth: BitSource
  var valid: BitSource
  var error: BitSource

  init(_ operand: Operand) {
    if case .bits(let source) = operand.value { truth = source } else { truth = .none }
    valid = operand.valid
    error = operand.error
  }
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
  var types: [DataType]
  var result: DataType
  /// All operands valid, or, where NULL operands are looked at, none raised.
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

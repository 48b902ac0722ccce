/// Why an expression has no value for a row.
///
/// A value, not a stopped pipeline: the rule's outcome for that event is *error*, it is counted and kept with the event's
/// position. The cases are Spark's error classes, so that a message can be looked up in its documentation.
public enum EvaluationError: UInt8, Error, Sendable, Hashable, CaseIterable {
  /// A text is not a number, boolean, date or timestamp.
  case castInvalidInput
  /// A number does not fit the type it is cast to.
  case castOverflow
  /// An integer or interval calculation left its type's range.
  case arithmeticOverflow
  /// A decimal needs more digits than its type has.
  case decimalOverflow
  /// A timestamp or date left the years that can be held.
  case datetimeOverflow
  case divideByZero
  case remainderByZero
  /// In a LIKE pattern the escape character precedes something else than `%`, `_` or itself.
  case likeEscapeInTheMiddle
  /// A LIKE pattern ends with its escape character.
  case likeEscapeAtTheEnd
  /// A text is not a regular expression.
  case regexSyntax
  /// A regular expression that comes from a column needs backtracking, or is larger than `Limits` allow.
  case regexNotSupported
  /// The group asked for does not exist in the regular expression.
  case regexGroupIndex
  /// `split_part` and the like count from 1 or −1.
  case indexOfZero
  /// `elt` has no such argument.
  case indexOutOfRange
  /// A format of `to_timestamp` is not one.
  case datetimePattern
  /// A result would exceed the text length that `Limits` allow.
  case textTooLong

  /// Spark's name for the error, as in `DIVIDE_BY_ZERO`.
  public var name: String {
    switch self {
    case .castInvalidInput: "CAST_INVALID_INPUT"
    case .castOverflow: "CAST_OVERFLOW"
    case .arithmeticOverflow: "ARITHMETIC_OVERFLOW"
    case .decimalOverflow: "NUMERIC_VALUE_OUT_OF_RANGE"
    case .datetimeOverflow: "DATETIME_OVERFLOW"
    case .divideByZero: "DIVIDE_BY_ZERO"
    case .remainderByZero: "REMAINDER_BY_ZERO"
    case .likeEscapeInTheMiddle: "INVALID_FORMAT.ESC_IN_THE_MIDDLE"
    case .likeEscapeAtTheEnd: "INVALID_FORMAT.ESC_AT_THE_END"
    case .regexSyntax: "INVALID_PARAMETER_VALUE.PATTERN"
    case .regexNotSupported: "REGEX_NOT_SUPPORTED"
    case .regexGroupIndex: "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX"
    case .indexOfZero: "INVALID_INDEX_OF_ZERO"
    case .indexOutOfRange: "INVALID_ARRAY_INDEX"
    case .datetimePattern: "INVALID_DATETIME_PATTERN"
    case .textTooLong: "TEXT_TOO_LONG"
    }
  }

  /// The error in words.
  public var message: String {
    switch self {
    case .castInvalidInput: "a text is not a value of the type it is cast to"
    case .castOverflow: "a number does not fit the type it is cast to"
    case .arithmeticOverflow: "a calculation left the range of its type"
    case .decimalOverflow: "a decimal needs more digits than its type has"
    case .datetimeOverflow: "a date or timestamp left the years that can be held"
    case .divideByZero: "division by zero"
    case .remainderByZero: "remainder of a division by zero"
    case .likeEscapeInTheMiddle: "in a LIKE pattern the escape character precedes something else than %, _ or itself"
    case .likeEscapeAtTheEnd: "a LIKE pattern ends with its escape character"
    case .regexSyntax: "a text is not a regular expression"
    case .regexNotSupported: "a regular expression from a column needs backtracking or is too large"
    case .regexGroupIndex: "the regular expression has no such group"
    case .indexOfZero: "the index counts from 1 or -1, not 0"
    case .indexOutOfRange: "there is no argument of this index"
    case .datetimePattern: "a text is not a format of dates and times"
    case .textTooLong: "a result is longer than a text may be"
    }
  }
}

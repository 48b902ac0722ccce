/// What a node of a ``CheckedExpression`` does.
///
/// A strict operation takes its operands from left to right (``Arithmetic/divide``, `integralDivide`, `remainder` and `pmod`:
/// from right to left, as Spark does): the first that raises is the node's error, the first that is NULL makes the node
/// NULL and the rest are not looked at, so an error behind a NULL does not count. Operations that say how they treat NULL
/// look at all their operands.
///
/// Lazy operations (`and`, `or`, `caseWhen`, `coalesce`, `inValues`) look at their children from left to right and stop
/// when the answer is known; errors behind that do not count.
package enum Operation: Sendable, Hashable {
  // Leaves.

  /// A constant of the node's type.
  case literal(Value)
  /// A column by its index in ``ColumnLayout``.
  case column(Int)

  // Strict.

  /// Converts the child to the node's type, or raises.
  case cast
  /// Converts the child to the node's type; NULL where `cast` raises.
  case tryCast
  /// Compares two children of the same type. `nullSafeEqual` is never NULL.
  case comparison(Comparison)
  case not
  /// Never NULL.
  case isNull
  /// Never NULL.
  case isNotNull
  /// The boolean child is TRUE; never NULL.
  case isTrue
  /// The boolean child is FALSE; never NULL.
  case isFalse
  /// The child is in the declared list of this index (``ExpressionCompiler/lists``); child and list have one type.
  case inList(Int)
  /// Text and pattern. Without an escape character a backslash is ordinary too.
  case like(escape: Unicode.Scalar?)
  /// Text and pattern, both lower-cased first.
  case ilike(escape: Unicode.Scalar?)
  /// Text and regular expression, found anywhere.
  case rlike
  /// Types as ``Arithmetic`` says.
  case arithmetic(Arithmetic)
  /// As `arithmetic`, but NULL where that raises. Errors of the children are still errors.
  case tryArithmetic(Arithmetic)
  case call(Function)

  // Lazy.

  /// Two or more booleans. FALSE at the first FALSE; else NULL if one was NULL; else TRUE.
  case and
  /// Two or more booleans. TRUE at the first TRUE; else NULL if one was NULL; else FALSE.
  case or
  /// The first child, then one or more elements of the same type. NULL without looking at the elements if the first is
  /// NULL; TRUE at the first equal element; else NULL if an element was NULL; else FALSE.
  case inValues
  /// Condition, value, condition, value, …, value otherwise: an odd count of three or more. A NULL condition does not hold.
  case caseWhen
  /// One or more children of the node's type; the first that is not NULL.
  case coalesce
}

extension Operation {
  /// Of a strict operation: whether the first NULL operand makes it NULL and ends it.
  package var endsAtNull: Bool {
    switch self {
    case .isNull, .isNotNull, .isTrue, .isFalse, .comparison(.nullSafeEqual): false
    case .call(let function): function.isStrict
    default: true
    }
  }

  /// Of a strict operation: whether operands are taken from right to left.
  package var takesRightFirst: Bool {
    switch self {
    case .arithmetic(let arithmetic), .tryArithmetic(let arithmetic):
      [.divide, .integralDivide, .remainder, .pmod].contains(arithmetic)
    default: false
    }
  }
}

/// How two values of one type are compared: numbers by value (−0.0 equals 0.0; NaN equals NaN and is greater than every
/// other), strings by their UTF-8 bytes, FALSE before TRUE.
package enum Comparison: UInt8, Sendable, Hashable, CaseIterable {
  case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, nullSafeEqual
}

/// Calculations of one or two operands; the result has the node's type.
///
/// Numbers other than decimals are of one type (children and node), except that `divide` of DOUBLE only, and
/// `integralDivide` of BIGINT or DECIMAL gives BIGINT. Decimals keep their own precision and scale in each child, and the node's
/// type says to what the exact result is rounded (HALF_UP). Also:
///
///     add        timestamp + dayTimeInterval → timestamp      timestamp + yearMonthInterval → timestamp
///                date + int (days) → date                     date + yearMonthInterval → date
///                interval + interval of one kind              (the interval is always the second operand)
///     subtract   the same with −; timestamp − timestamp → dayTimeInterval; date − date → dayTimeInterval
///     multiply   interval × any number                        (the interval is always the first operand)
///     divide     interval / any number
///     negate     numbers and intervals
package enum Arithmetic: UInt8, Sendable, Hashable, CaseIterable {
  case add, subtract, multiply, divide, integralDivide, remainder, pmod, negate
  /// Integers of one type; the second operand of a shift is INT, the first INT or BIGINT.
  case bitAnd, bitOr, bitXor, bitNot, shiftLeft, shiftRight, shiftRightUnsigned
}

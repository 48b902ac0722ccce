extension Parser {
  /// Whether the word INTERVAL here begins a literal: a value and a unit, or a string, follow.
  func startsInterval() -> Bool {
    var next = 1
    if peek(next).kind == .mark(.minus) || peek(next).kind == .mark(.plus) { next += 1 }
    switch peek(next).kind {
    case .string: return true
    case .number: return next == 1 || peek(next + 1).word.flatMap(IntervalUnit.init(word:)) != nil
    case .word: return next == 1 && peek().isWord("null")
    default: return false
    }
  }

  mutating func interval() throws(ExpressionError) -> Int {
    let focus = token.range
    advance()
    var parts: [IntervalText.Part] = []
    repeat {
      let first = position
      var negative = false
      if accept(.minus) { negative = true } else { _ = accept(.plus) }
      let value: [UInt8]
      switch token.kind {
      case .number(let number) where number.form == .digits || number.form == .decimal:
        value = Array(number.text.utf8)
      case .string(let text):
        value = text
      default: throw expected("a number or string after INTERVAL; its value cannot be computed")
      }
      let isString = if case .string = token.kind { true } else { false }
      advance()
      guard let word = token.word, let unit = IntervalUnit(word: word) else {
        if isString, parts.isEmpty, first == position - 1 {
          return add(.interval(.text(value)), from: focus.lowerBound, focus: focus)
        }
        throw expected("a unit from MICROSECOND to YEAR")
      }
      advance()
      if parts.isEmpty, isString, accept(word: "to") {
        guard let word = token.word, let last = IntervalUnit(word: word) else { throw expected("a unit after TO") }
        advance()
        return add(
          .interval(.range(value: value, negative: negative, from: unit, to: last)), from: focus.lowerBound,
          focus: focus)
      }
      parts.append(IntervalText.Part(value: value, negative: negative, unit: unit))
    } while continuesInterval()
    return add(.interval(.parts(parts)), from: focus.lowerBound, focus: focus)
  }

  /// Whether another value and unit follow, rather than an operator and something else.
  private func continuesInterval() -> Bool {
    var next = 0
    if at(.minus) || at(.plus) { next += 1 }
    switch peek(next).kind {
    case .string, .number: return peek(next + 1).word.flatMap(IntervalUnit.init(word:)) != nil
    default: return false
    }
  }
}

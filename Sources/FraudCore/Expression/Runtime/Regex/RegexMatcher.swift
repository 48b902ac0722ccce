/// Answers whether a regular expression is found anywhere in a text, with a deterministic automaton built as it is needed.
///
/// A state is the set of instructions at which threads wait, together with what assertions must know of the code point
/// before: its kind and whether it is part of a word. On the next code point's class the threads go on through splits and
/// jumps, assertions being decided by what lies on both sides, and those that accept the class move on. Each
/// (state, class) is computed once and kept in a table of bounded size.
///
/// One matcher belongs to one task.
package struct RegexMatcher {
  private static let statesMax = 1_024
  private static let unknown: Int32 = -1
  private static let accepted: Int32 = -2

  package let expression: RegularExpression
  /// Whether the last code point was: nothing, `\r`, another line terminator, anything else; plus 4 if a word's.
  private struct State: Hashable {
    var threads: [Int32]
    var before: UInt8
  }
  private var states: [State] = []
  private var numbers: [State: Int32] = [:]
  /// `states.count × columns` transitions.
  private var transitions: [Int32] = []
  private let columns: Int
  // Scratch of the closure.
  private var stack: [Int32] = []
  private var seen: [Bool]

  package init(_ expression: RegularExpression) {
    self.expression = expression
    // A code point beyond ASCII may or may not belong to a word, whatever its class.
    columns = expression.classes.count * (expression.hasWordBoundaries ? 2 : 1)
    seen = [Bool](repeating: false, count: expression.instructions.count)
    _ = number(of: State(threads: [], before: 0))
  }

  /// Whether some part of the text matches.
  package mutating func isMatch(_ text: Span<UInt8>) -> Bool {
    let end = text.count
    let final = RegexContext.finalTerminator(text)
    var state: Int32 = 0
    var offset = 0
    var word = false
    if expression.hasWordBoundaries {
      while offset < final {
        let (scalar, length) = decodeScalar(text, at: offset)
        word = RegexContext.isWord(scalar, after: word)
        let column = expression.classes.id(of: scalar) * 2 + (word ? 1 : 0)
        state = step(state, column: column, scalar: scalar, isWord: word)
        if state == Self.accepted { return true }
        offset += length
      }
    } else {
      while offset < final {
        let byte = text[offset]
        let column: Int
        var scalar = UInt32(byte)
        var length = 1
        if byte < 0x80 {
          column = Int(expression.classes.ascii[Int(byte)])
        } else {
          (scalar, length) = decodeScalar(text, at: offset)
          column = expression.classes.id(of: scalar)
        }
        let next = transitions[Int(state) * columns + column]
        state = next != Self.unknown ? next : step(state, column: column, scalar: scalar, isWord: false)
        if state == Self.accepted { return true }
        offset += length
      }
    }
    // The last few positions know that the end is near: not in the table.
    var current = states[Int(state)]
    while true {
      let after: UInt32?
      var length = 0
      var isWord = false
      if offset < end {
        let decoded = decodeScalar(text, at: offset)
        after = decoded.scalar
        length = decoded.length
        isWord = expression.hasWordBoundaries && RegexContext.isWord(decoded.scalar, after: word)
      } else {
        after = nil
      }
      guard let next = advance(current, scalar: after, isWord: isWord, atFinalTerminator: offset == final) else {
        return true
      }
      if after == nil { return false }
      current = next
      word = isWord
      offset += length
    }
  }

  private mutating func step(_ state: Int32, column: Int, scalar: UInt32, isWord: Bool) -> Int32 {
    let known = transitions[Int(state) * columns + column]
    if known != Self.unknown { return known }
    let next = advance(states[Int(state)], scalar: scalar, isWord: isWord, atFinalTerminator: false)
    let full = states.count >= Self.statesMax
    if full {
      // Starting over keeps memory bounded; the work remains linear.
      states.removeAll(keepingCapacity: true)
      numbers.removeAll(keepingCapacity: true)
      transitions.removeAll(keepingCapacity: true)
      _ = number(of: State(threads: [], before: 0))
    }
    let number = next.map { self.number(of: $0) } ?? Self.accepted
    if !full { transitions[Int(state) * columns + column] = number }
    return number
  }

  private mutating func number(of state: State) -> Int32 {
    if let known = numbers[state] { return known }
    let number = Int32(states.count)
    states.append(state)
    numbers[state] = number
    transitions.append(contentsOf: repeatElement(Self.unknown, count: columns))
    return number
  }

  /// The state after a code point (`nil`: the end), or `nil` where a match ends before it.
  private mutating func advance(
    _ state: State, scalar: UInt32?, isWord: Bool, atFinalTerminator: Bool
  ) -> State? {
    var context = RegexContext(before: nil, after: scalar)
    switch state.before & 3 {
    case 0: context.before = nil
    case 1: context.before = 0x0D
    case 2: context.before = 0x0A
    default: context.before = 0x20
    }
    context.beforeIsWord = state.before & 4 != 0
    context.afterIsWord = isWord
    context.atFinalTerminator = atFinalTerminator
    let id = scalar.map { expression.classes.id(of: $0) }
    var next: [Int32] = []
    for index in seen.indices { seen[index] = false }
    for start in state.threads.reversed() { stack.append(start) }
    // A match may begin at any position.
    stack.insert(0, at: 0)
    while let thread = stack.popLast() {
      let position = Int(thread)
      if seen[position] { continue }
      seen[position] = true
      switch expression.instructions[position] {
      case .match:
        stack.removeAll(keepingCapacity: true)
        return nil
      case .set(let set):
        if let id, expression.classes.contains(set: set, class: id) { next.append(thread + 1) }
      case .split(let first, let second):
        stack.append(Int32(second))
        stack.append(Int32(first))
      case .jump(let target): stack.append(Int32(target))
      case .save: stack.append(thread + 1)
      case .assert(let assertion):
        if context.holds(assertion) { stack.append(thread + 1) }
      }
    }
    next.sort()
    var before: UInt8 = isWord ? 4 : 0
    switch scalar {
    case 0x0D: before |= 1
    case 0x0A, 0x85, 0x2028, 0x2029: before |= 2
    default: before |= 3
    }
    return State(threads: next, before: before)
  }
}

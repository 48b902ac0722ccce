/// Finds where a regular expression matches and what its groups hold: the leftmost match, alternatives and quantifiers
/// preferred in their order, as Java and Perl do.
///
/// All threads run side by side in order of priority, each with its own positions of groups (Pike's algorithm), so the time is
/// the text's length times the program's.
package struct RegexCaptures {
  private let expression: RegularExpression
  private let slotCount: Int
  private var seen: [Int]
  private var generation = 0

  package init(_ expression: RegularExpression) {
    self.expression = expression
    slotCount = (expression.groupCount + 1) * 2
    seen = [Int](repeating: 0, count: expression.instructions.count)
  }

  private struct Thread {
    var position: Int
    var slots: [Int]
  }

  private enum Task {
    case follow(Int)
    case restore(slot: Int, value: Int)
  }

  /// The first match that begins at an offset or later: start and end of the whole match, then of each group, −1 where a
  /// group took no part.
  package mutating func firstMatch(in text: Span<UInt8>, from start: Int) -> [Int]? {
    let final = RegexContext.finalTerminator(text)
    var threads: [Thread] = []
    var next: [Thread] = []
    var best: [Int]?
    var offset = start
    var context = RegexContext()
    if start > 0 {
      var previous = start - 1
      while previous > 0, text[previous] & 0xC0 == 0x80 { previous -= 1 }
      context.before = decodeScalar(text, at: previous).scalar
      if expression.hasWordBoundaries {
        var scan = 0
        var word = false
        while scan < start {
          let (scalar, length) = decodeScalar(text, at: scan)
          word = RegexContext.isWord(scalar, after: word)
          scan += length
        }
        context.beforeIsWord = word
      }
    }
    while true {
      var length = 0
      context.after = nil
      context.afterIsWord = false
      if offset < text.count {
        let decoded = decodeScalar(text, at: offset)
        length = decoded.length
        context.after = decoded.scalar
        context.afterIsWord =
          expression.hasWordBoundaries && RegexContext.isWord(decoded.scalar, after: context.beforeIsWord)
      }
      context.atFinalTerminator = offset == final
      // Threads that arrived here go on in order of priority; a new one starts last, unless a match was found earlier.
      let id = context.after.map { expression.classes.id(of: $0) }
      generation += 1
      next.removeAll(keepingCapacity: true)
      var matched = false
      for thread in threads {
        follow(thread.position, thread.slots, offset, context, id, into: &next, best: &best, matched: &matched)
        if matched { break }
      }
      if !matched, best == nil {
        follow(
          0, [Int](repeating: -1, count: slotCount), offset, context, id, into: &next, best: &best, matched: &matched)
      }
      if context.after == nil || (next.isEmpty && best != nil) { return best }
      swap(&threads, &next)
      context.before = context.after
      context.beforeIsWord = context.afterIsWord
      offset += length
    }
  }

  /// Goes on from an instruction without consuming, and adds a thread behind each set that accepts the next code point.
  private mutating func follow(
    _ start: Int, _ initial: [Int], _ offset: Int, _ context: RegexContext, _ id: Int?, into next: inout [Thread],
    best: inout [Int]?, matched: inout Bool
  ) {
    var slots = initial
    var tasks: [Task] = [.follow(start)]
    while let task = tasks.popLast() {
      guard case .follow(let position) = task else {
        if case .restore(let slot, let value) = task { slots[slot] = value }
        continue
      }
      if seen[position] == generation { continue }
      seen[position] = generation
      switch expression.instructions[position] {
      case .match:
        best = slots
        matched = true
        return
      case .set(let set):
        if let id, expression.classes.contains(set: set, class: id) {
          next.append(Thread(position: position + 1, slots: slots))
        }
      case .split(let first, let second):
        tasks.append(.follow(second))
        tasks.append(.follow(first))
      case .jump(let target): tasks.append(.follow(target))
      case .save(let slot):
        tasks.append(.restore(slot: slot, value: slots[slot]))
        slots[slot] = offset
        tasks.append(.follow(position + 1))
      case .assert(let assertion):
        if context.holds(assertion) { tasks.append(.follow(position + 1)) }
      }
    }
  }

  /// All matches from left to right without overlap; after an empty one the search goes on one code point further.
  mutating func matches(in text: Span<UInt8>, from start: Int = 0) -> [[Int]] {
    var result: [[Int]] = []
    var offset = start
    while offset <= text.count, let match = firstMatch(in: text, from: offset) {
      result.append(match)
      if match[1] > match[0] {
        offset = match[1]
      } else {
        guard match[1] < text.count else { break }
        offset = match[1] + decodeScalar(text, at: match[1]).length
      }
    }
    return result
  }
}

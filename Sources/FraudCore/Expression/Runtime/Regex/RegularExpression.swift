/// A compiled regular expression: a nondeterministic automaton over classes of code points.
///
/// Matching takes time proportional to the text's length times the program's at worst, whatever the pattern: nothing
/// backtracks. ``RegexMatcher`` answers whether there is a match, ``RegexCaptures`` where.
///
/// - Source: Russ Cox, "Regular Expression Matching: the Virtual Machine Approach" and "… in the Wild" (swtch.com/~rsc/regexp);
///   Ken Thompson, doi:10.1145/363347.363387.
package struct RegularExpression: Sendable {
  enum Instruction: Sendable, Hashable {
    /// Consumes a code point of a set, then the next instruction.
    case set(Int)
    /// Both; the first has priority.
    case split(Int, Int)
    case jump(Int)
    /// Notes the position.
    case save(Int)
    case assert(RegexAssertion)
    case match
  }

  /// Instructions a program has at most. It bounds the work for each code point.
  static let programLimit = 10_000

  let instructions: [Instruction]
  let classes: ScalarClasses
  /// Capture groups, not counting the whole match.
  package let groupCount: Int
  let groupNames: [(name: String, index: Int)]
  /// The text to find, where the expression is nothing but one.
  package let literalText: [UInt8]?
  let hasWordBoundaries: Bool

  /// Compiles a pattern in the syntax of `java.util.regex`.
  ///
  /// - Throws: `.regexSyntax` where Java refuses it, `.regexNotSupported` where matching it would need backtracking or the
  ///   program would be too large.
  package init(_ pattern: [UInt8]) throws(EvaluationError) {
    var parser = RegexParser(pattern)
    let tree = try parser.parse()
    var compiler = Compiler()
    try compiler.add(.save(0))
    try compiler.compile(tree)
    try compiler.add(.save(1))
    try compiler.add(.match)
    instructions = compiler.instructions
    groupCount = parser.groupCount
    groupNames = parser.names
    classes = ScalarClasses(sets: compiler.sets)
    literalText = Self.literal(tree)
    hasWordBoundaries = instructions.contains { $0 == .assert(.wordBoundary) || $0 == .assert(.notWordBoundary) }
  }

  private static func literal(_ tree: RegexNode) -> [UInt8]? {
    let items: [RegexNode]
    switch tree {
    case .sequence(let sequence): items = sequence
    case .set: items = [tree]
    default: return nil
    }
    var text = ""
    for item in items {
      guard case .set(let set) = item, set.ranges.count == 1, set.ranges[0].count == 1,
        let scalar = Unicode.Scalar(set.ranges[0].lowerBound)
      else { return nil }
      text.unicodeScalars.append(scalar)
    }
    return Array(text.utf8)
  }

  private struct Compiler {
    var instructions: [Instruction] = []
    var sets: [ScalarSet] = []
    private var setIndices: [ScalarSet: Int] = [:]

    mutating func add(_ instruction: Instruction) throws(EvaluationError) {
      guard instructions.count < RegularExpression.programLimit else { throw .regexNotSupported }
      instructions.append(instruction)
    }

    /// Recursion is as deep as the tree, which the parser bounds.
    mutating func compile(_ node: RegexNode) throws(EvaluationError) {
      switch node {
      case .empty: break
      case .set(let set):
        let index: Int
        if let known = setIndices[set] {
          index = known
        } else {
          index = sets.count
          sets.append(set)
          setIndices[set] = index
        }
        try add(.set(index))
      case .sequence(let items):
        for item in items { try compile(item) }
      case .alternatives(let branches):
        var jumps: [Int] = []
        for branch in branches.dropLast() {
          let split = instructions.count
          try add(.split(split + 1, 0))
          try compile(branch)
          jumps.append(instructions.count)
          try add(.jump(0))
          instructions[split] = .split(split + 1, instructions.count)
        }
        try compile(branches[branches.count - 1])
        for jump in jumps { instructions[jump] = .jump(instructions.count) }
      case .repetition(let content, let minimum, let maximum, let greedy):
        for _ in 0..<minimum { try compile(content) }
        guard let maximum else {
          let split = instructions.count
          try add(.split(0, 0))
          try compile(content)
          try add(.jump(split))
          instructions[split] = choice(split + 1, instructions.count, greedy)
          return
        }
        var splits: [Int] = []
        for _ in minimum..<maximum {
          splits.append(instructions.count)
          try add(.split(0, 0))
          try compile(content)
        }
        for split in splits { instructions[split] = choice(split + 1, instructions.count, greedy) }
      case .group(let content, let index):
        try add(.save(index * 2))
        try compile(content)
        try add(.save(index * 2 + 1))
      case .assertion(let assertion):
        try add(.assert(assertion))
      }
    }

    private func choice(_ enter: Int, _ leave: Int, _ greedy: Bool) -> Instruction {
      greedy ? .split(enter, leave) : .split(leave, enter)
    }
  }
}

/// Code points divided into classes that no set of a program tells apart.
struct ScalarClasses: Sendable {
  /// Class of each ASCII code point.
  let ascii: [UInt16]
  /// Where ranges of one class start, ascending from 0, with their classes.
  private let starts: [UInt32]
  private let ids: [UInt16]
  let count: Int
  /// For each class, whether each set contains it: bit `set` of the class's words.
  private let membership: [UInt64]
  private let wordsPerClass: Int

  init(sets: [ScalarSet]) {
    var boundaries: Set<UInt32> = [0]
    // Line terminators matter to anchors.
    for set in sets + [ScalarSet(0x0A...0x0A), ScalarSet(0x0D...0x0D), .lineTerminators] {
      for range in set.ranges {
        boundaries.insert(range.lowerBound)
        if range.upperBound < 0x10_FFFF { boundaries.insert(range.upperBound + 1) }
      }
    }
    starts = boundaries.sorted()
    wordsPerClass = (sets.count + 63) / 64
    var classes: [[UInt64]: UInt16] = [:]
    var membership: [UInt64] = []
    var ids: [UInt16] = []
    for start in starts {
      var words = [UInt64](repeating: 0, count: wordsPerClass)
      for (index, set) in sets.enumerated() where set.contains(start) {
        words[index / 64] |= 1 << UInt64(index % 64)
      }
      let kind: UInt64 =
        start == 0x0A ? 1 : start == 0x0D ? 2 : ScalarSet.lineTerminators.contains(start) ? 3 : 0
      if let id = classes[words + [kind]] {
        ids.append(id)
      } else {
        // At most as many as there are ranges in at most 10,000 sets of a pattern; beyond 16 bits they share the last,
        // which cannot happen within the pattern length that Limits allow.
        let id = UInt16(truncatingIfNeeded: min(classes.count, Int(UInt16.max)))
        classes[words + [kind]] = id
        membership += words
        ids.append(id)
      }
    }
    self.ids = ids
    self.membership = membership
    count = classes.count
    var ascii: [UInt16] = []
    var range = 0
    for scalar in UInt32(0)..<128 {
      while range + 1 < starts.count, starts[range + 1] <= scalar { range += 1 }
      ascii.append(ids[range])
    }
    self.ascii = ascii
  }

  func id(of scalar: UInt32) -> Int {
    if scalar < 128 { return Int(ascii[Int(scalar)]) }
    var low = 0
    var high = starts.count
    while low + 1 < high {
      let middle = (low + high) / 2
      if starts[middle] <= scalar { low = middle } else { high = middle }
    }
    return Int(ids[low])
  }

  func contains(set: Int, class id: Int) -> Bool {
    membership[id * wordsPerClass + set / 64] >> UInt64(set % 64) & 1 == 1
  }
}

/// What an assertion can see at a position.
struct RegexContext {
  /// The code points before and after; `nil` at the ends.
  var before: UInt32?
  var after: UInt32?
  var beforeIsWord = false
  var afterIsWord = false
  /// The text ends here, or here begins the line terminator that ends it.
  var atFinalTerminator = false

  func holds(_ assertion: RegexAssertion) -> Bool {
    switch assertion {
    case .textStart: before == nil
    case .textEnd: after == nil
    case .beforeFinalTerminator: after == nil || atFinalTerminator
    case .lineStart:
      after != nil && (before == nil || (Self.isTerminator(before) && !(before == 0x0D && after == 0x0A)))
    case .lineEnd: after == nil || (Self.isTerminator(after) && !(before == 0x0D && after == 0x0A))
    case .wordBoundary: beforeIsWord != afterIsWord
    case .notWordBoundary: beforeIsWord == afterIsWord
    }
  }

  private static func isTerminator(_ scalar: UInt32?) -> Bool {
    switch scalar {
    case 0x0A, 0x0D, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  /// Whether `\b` counts a code point to a word: letters and digits of all scripts, `_`, and marks on one.
  static func isWord(_ scalar: UInt32, after previousIsWord: Bool) -> Bool {
    if scalar < 128 {
      return (scalar | 0x20 >= 0x61 && scalar | 0x20 <= 0x7A) || (scalar >= 0x30 && scalar <= 0x39) || scalar == 0x5F
    }
    switch Unicode.Scalar(scalar)?.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber:
      return true
    case .nonspacingMark: return previousIsWord
    default: return false
    }
  }

  /// Where the line terminator that ends a text begins; the text's end where there is none.
  static func finalTerminator(_ text: Span<UInt8>) -> Int {
    let count = text.count
    guard count > 0 else { return 0 }
    switch text[count - 1] {
    case 0x0A: return count >= 2 && text[count - 2] == 0x0D ? count - 2 : count - 1
    case 0x0D: return count - 1
    case 0x85 where count >= 2 && text[count - 2] == 0xC2: return count - 2
    case 0xA8, 0xA9: return count >= 3 && text[count - 2] == 0x80 && text[count - 3] == 0xE2 ? count - 3 : count
    default: return count
    }
  }
}

/// The code point at an offset of UTF-8 text, and its length in bytes.
@inline(__always)
func decodeScalar(_ text: Span<UInt8>, at offset: Int) -> (scalar: UInt32, length: Int) {
  let first = UInt32(text[offset])
  if first < 0x80 { return (first, 1) }
  func next(_ distance: Int) -> UInt32 {
    offset + distance < text.count ? UInt32(text[offset + distance]) & 0x3F : 0
  }
  // The text was validated; cut short, it still ends.
  let left = text.count - offset
  if first < 0xE0 { return ((first & 0x1F) << 6 | next(1), min(2, left)) }
  if first < 0xF0 { return ((first & 0x0F) << 12 | next(1) << 6 | next(2), min(3, left)) }
  return ((first & 0x07) << 18 | next(1) << 12 | next(2) << 6 | next(3), min(4, left))
}

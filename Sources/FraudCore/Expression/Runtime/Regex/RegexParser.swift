/// A regular expression's syntax tree.
indirect enum RegexNode: Sendable {
  case empty
  case set(ScalarSet)
  case sequence([RegexNode])
  case alternatives([RegexNode])
  /// `maximum` is `nil` for no bound.
  case repetition(RegexNode, minimum: Int, maximum: Int?, greedy: Bool)
  case group(RegexNode, index: Int)
  case assertion(RegexAssertion)
}

/// A condition on a position between two code points.
enum RegexAssertion: UInt8, Sendable, Hashable {
  /// At the start of the text: `^`, `\A`, `\G`.
  case textStart
  /// At the end of the text: `\z`.
  case textEnd
  /// At the end, or before a line terminator that ends the text: `$`, `\Z`.
  case beforeFinalTerminator
  /// `^` under `(?m)`.
  case lineStart
  /// `$` under `(?m)`.
  case lineEnd
  /// `\b` and `\B`.
  case wordBoundary, notWordBoundary
}

/// Reads the syntax of `java.util.regex.Pattern`.
///
/// What needs backtracking (look-around, back-references, atomic groups, possessive quantifiers) and the flags `d u x U` throw
/// `.regexNotSupported`; what Java refuses throws `.regexSyntax`. Recursion is bounded by ``depthLimit``.
///
/// - Source: the class documentation of `java.util.regex.Pattern`, Java SE 17.
struct RegexParser {
  private static let depthLimit = 200
  private static let repetitionLimit = 1_000

  private let pattern: [UInt32]
  private var index = 0
  private var depth = 0
  private(set) var groupCount = 0
  /// Names of groups with their numbers.
  private(set) var names: [(name: String, index: Int)] = []
  private var ignoresCase = false
  private var multiline = false
  private var dotMatchesAll = false

  init(_ pattern: [UInt8]) {
    self.pattern = String(decoding: pattern, as: UTF8.self).unicodeScalars.map(\.value)
  }

  mutating func parse() throws(EvaluationError) -> RegexNode {
    let node = try alternatives()
    // Only an unmatched parenthesis ends the outermost level before the text does.
    guard index == pattern.count else { throw .regexSyntax }
    return node
  }

  private var current: UInt32? { index < pattern.count ? pattern[index] : nil }

  private func at(_ text: String) -> Bool {
    let scalars = text.unicodeScalars
    return pattern.count - index >= scalars.count && zip(pattern[index...], scalars).allSatisfy { $0 == $1.value }
  }

  private mutating func take(_ text: String) -> Bool {
    guard at(text) else { return false }
    index += text.unicodeScalars.count
    return true
  }

  private mutating func alternatives() throws(EvaluationError) -> RegexNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw .regexNotSupported }
    var branches = [try sequence()]
    while take("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func sequence() throws(EvaluationError) -> RegexNode {
    var items: [RegexNode] = []
    while let scalar = current, scalar != 0x7C, scalar != 0x29 {
      switch scalar {
      case "*", "+", "?": throw .regexSyntax
      case "(":
        guard let node = try group() else { continue }
        items.append(try quantified(node))
      case "[":
        items.append(try quantified(.set(try characterClass())))
      case "^":
        index += 1
        items.append(try quantified(.assertion(multiline ? .lineStart : .textStart)))
      case "$":
        index += 1
        items.append(try quantified(.assertion(multiline ? .lineEnd : .beforeFinalTerminator)))
      case ".":
        index += 1
        items.append(try quantified(.set(dotMatchesAll ? .all : ScalarSet.lineTerminators.inverted)))
      case "{":
        // A repetition of nothing, as after another quantifier.
        items.append(try quantified(.empty))
      case "\\":
        if take("\\Q") {
          while index < pattern.count, !at("\\E") {
            let set = literal(pattern[index])
            index += 1
            // A quantifier after the closing \E applies to the last character.
            let last = index == pattern.count || at("\\E")
            if last { _ = take("\\E") }
            items.append(last ? try quantified(.set(set)) : .set(set))
            if last { break }
          }
          _ = take("\\E")
        } else {
          items.append(try quantified(try escape()))
        }
      default:
        index += 1
        items.append(try quantified(.set(literal(scalar))))
      }
    }
    return items.count == 1 ? items[0] : items.isEmpty ? .empty : .sequence(items)
  }

  private func literal(_ scalar: UInt32) -> ScalarSet {
    let set = ScalarSet(scalar...scalar)
    return ignoresCase ? set.ignoringASCIICase : set
  }

  // MARK: Quantifiers

  private mutating func quantified(_ node: RegexNode) throws(EvaluationError) -> RegexNode {
    var minimum = 0
    var maximum: Int?
    switch current {
    case "?":
      maximum = 1
      index += 1
    case "*":
      index += 1
    case "+":
      minimum = 1
      index += 1
    case "{":
      index += 1
      guard let least = try number() else { throw .regexSyntax }
      minimum = least
      maximum = least
      if take(",") { maximum = try number() }
      guard take("}") else { throw .regexSyntax }
      if let maximum, maximum < minimum { throw .regexSyntax }
    default:
      return node
    }
    guard max(minimum, maximum ?? 0) <= Self.repetitionLimit else { throw .regexNotSupported }
    if current == "+" { throw .regexNotSupported }
    let greedy = !take("?")
    return .repetition(node, minimum: minimum, maximum: maximum, greedy: greedy)
  }

  private mutating func number() throws(EvaluationError) -> Int? {
    let start = index
    var value = 0
    while let scalar = current, scalar >= 0x30, scalar <= 0x39 {
      value = value * 10 + Int(scalar - 0x30)
      // Java counts in 32 bits.
      guard value <= Int(Int32.max) else { throw .regexSyntax }
      index += 1
    }
    return index > start ? value : nil
  }

  // MARK: Groups

  /// A group, or `nil` for `(?i)`, which only changes flags.
  private mutating func group() throws(EvaluationError) -> RegexNode? {
    index += 1
    let flags = (ignoresCase, multiline, dotMatchesAll)
    var number: Int?
    if take("?") {
      if take(":") {
      } else if at("=") || at("!") || at("<=") || at("<!") || at(">") {
        throw .regexNotSupported
      } else if take("<") {
        let name = try groupName()
        groupCount += 1
        number = groupCount
        names.append((name, groupCount))
      } else {
        try readFlags()
        if take(")") { return nil }
        guard take(":") else { throw .regexSyntax }
      }
    } else {
      groupCount += 1
      number = groupCount
    }
    let content = try alternatives()
    guard take(")") else { throw .regexSyntax }
    (ignoresCase, multiline, dotMatchesAll) = flags
    guard let number else { return content }
    return .group(content, index: number)
  }

  private mutating func groupName() throws(EvaluationError) -> String {
    var name = ""
    while let scalar = current, let character = Unicode.Scalar(scalar), character != ">" {
      let letter = character.isASCII && character.properties.isAlphabetic
      guard letter || (!name.isEmpty && character.isASCII && character.properties.numericType == .decimal) else {
        throw .regexSyntax
      }
      name.unicodeScalars.append(character)
      index += 1
    }
    guard !name.isEmpty, take(">"), !names.contains(where: { $0.name == name }) else { throw .regexSyntax }
    return name
  }

  private mutating func readFlags() throws(EvaluationError) {
    var value = true
    while let scalar = current {
      switch scalar {
      case "i": ignoresCase = value
      case "m": multiline = value
      case "s": dotMatchesAll = value
      case "d", "u", "x", "U", "c":
        // Turning off what is never on changes nothing.
        if value { throw .regexNotSupported }
      case "-" where value: value = false
      default: return
      }
      index += 1
    }
  }

  // MARK: Escapes

  private mutating func escape() throws(EvaluationError) -> RegexNode {
    let start = index
    index += 1
    guard let scalar = current else { throw .regexSyntax }
    index += 1
    switch scalar {
    case "b":
      if at("{") { throw .regexNotSupported }
      return .assertion(.wordBoundary)
    case "B": return .assertion(.notWordBoundary)
    case "A", "G": return .assertion(.textStart)
    case "Z": return .assertion(.beforeFinalTerminator)
    case "z": return .assertion(.textEnd)
    case "R":
      return .alternatives([
        .sequence([.set(ScalarSet(0x0D...0x0D)), .set(ScalarSet(0x0A...0x0A))]), .set(.verticalSpace),
      ])
    case "X", "k", "1", "2", "3", "4", "5", "6", "7", "8", "9": throw .regexNotSupported
    default:
      index = start
      if let set = try setEscape() { return .set(set) }
      return .set(literal(try characterEscape()))
    }
  }

  /// `\d` and the like, `\p{…}`; `nil` and nothing read where the escape is a single character.
  private mutating func setEscape() throws(EvaluationError) -> ScalarSet? {
    guard index + 1 < pattern.count else { throw .regexSyntax }
    let set: ScalarSet
    switch pattern[index + 1] {
    case "d": set = .digits
    case "D": set = ScalarSet.digits.inverted
    case "w": set = .wordCharacters
    case "W": set = ScalarSet.wordCharacters.inverted
    case "s": set = .whiteSpace
    case "S": set = ScalarSet.whiteSpace.inverted
    case "h": set = .horizontalSpace
    case "H": set = ScalarSet.horizontalSpace.inverted
    case "v": set = .verticalSpace
    case "V": set = ScalarSet.verticalSpace.inverted
    case "p", "P":
      let negated = pattern[index + 1] == "P"
      index += 2
      let property = try self.property()
      return negated ? property.inverted : property
    default: return nil
    }
    index += 2
    return set
  }

  private mutating func property() throws(EvaluationError) -> ScalarSet {
    var name = ""
    guard let first = current, let scalar = Unicode.Scalar(first) else { throw .regexSyntax }
    index += 1
    if scalar == "{" {
      while let next = current, let scalar = Unicode.Scalar(next), scalar != "}" {
        name.unicodeScalars.append(scalar)
        index += 1
      }
      guard take("}"), !name.isEmpty else { throw .regexSyntax }
    } else {
      name.unicodeScalars.append(scalar)
    }
    guard let set = ScalarSet(property: name) else {
      let known = name.hasPrefix("Is") || name.hasPrefix("In") || name.hasPrefix("java") || name.contains("=")
      throw known ? .regexNotSupported : .regexSyntax
    }
    guard ignoresCase,
      ["Lower", "Upper", "javaLowerCase", "javaUpperCase", "Lu", "Ll", "Lt", "IsUppercase", "IsLowercase"].contains(
        name)
    else { return set }
    return ["Lower", "Upper"].contains(name)
      ? set.ignoringASCIICase : ScalarSet(property: "LC") ?? set
  }

  /// An escaped single character, from its backslash.
  private mutating func characterEscape() throws(EvaluationError) -> UInt32 {
    index += 1
    guard let scalar = current else { throw .regexSyntax }
    index += 1
    switch scalar {
    case "t": return 0x09
    case "n": return 0x0A
    case "r": return 0x0D
    case "f": return 0x0C
    case "a": return 0x07
    case "e": return 0x1B
    case "c":
      guard let control = current else { throw .regexSyntax }
      index += 1
      return control ^ 64
    case "0": return try octal()
    case "x":
      if take("{") {
        var value: UInt32 = 0
        var digits = 0
        while let digit = hexadecimalDigit() {
          value = value << 4 | digit
          digits += 1
          guard value <= 0x10_FFFF else { throw .regexSyntax }
        }
        guard digits > 0, take("}") else { throw .regexSyntax }
        return value
      }
      return try hexadecimal(2)
    case "u":
      let unit = try hexadecimal(4)
      if unit & 0xFC00 == 0xD800, at("\\u") {
        let start = index
        index += 2
        let low = try hexadecimal(4)
        if low & 0xFC00 == 0xDC00 { return 0x1_0000 + (unit & 0x3FF) << 10 + (low & 0x3FF) }
        index = start
      }
      return unit
    case "N": throw .regexNotSupported
    default:
      let letter = (scalar >= 0x41 && scalar <= 0x5A) || (scalar >= 0x61 && scalar <= 0x7A)
      // Digits are back-references outside a class, errors inside.
      guard !letter, !(scalar >= 0x31 && scalar <= 0x39) else { throw .regexSyntax }
      return scalar
    }
  }

  private mutating func hexadecimalDigit() -> UInt32? {
    guard let scalar = current else { return nil }
    let digit: UInt32
    switch scalar {
    case 0x30...0x39: digit = scalar - 0x30
    case 0x41...0x46: digit = scalar - 0x41 + 10
    case 0x61...0x66: digit = scalar - 0x61 + 10
    default: return nil
    }
    index += 1
    return digit
  }

  private mutating func hexadecimal(_ count: Int) throws(EvaluationError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = hexadecimalDigit() else { throw .regexSyntax }
      value = value << 4 | digit
    }
    return value
  }

  /// `\0n`, `\0nn` or `\0mnn` with m at most 3.
  private mutating func octal() throws(EvaluationError) -> UInt32 {
    var value: UInt32 = 0
    var digits = 0
    while digits < 3, let scalar = current, scalar >= 0x30, scalar <= 0x37 {
      if digits == 2, value > 0o37 { break }
      value = value * 8 + scalar - 0x30
      digits += 1
      index += 1
    }
    guard digits > 0 else { throw .regexSyntax }
    return value
  }

  // MARK: Character classes

  /// `[…]` with ranges, negation, nested classes (union) and `&&` (intersection).
  private mutating func characterClass() throws(EvaluationError) -> ScalarSet {
    index += 1
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw .regexNotSupported }
    let negated = take("^")
    let set = try classContent(closes: true)
    return negated ? set.inverted : set
  }

  /// What stands between brackets. The right side of `&&` is content too, up to the next `&&` or the bracket, which it
  /// leaves to its caller (`closes` false).
  private mutating func classContent(closes: Bool) throws(EvaluationError) -> ScalarSet {
    var set: ScalarSet?
    while true {
      guard let scalar = current else { throw .regexSyntax }
      switch scalar {
      case "[":
        let nested = try characterClass()
        set = set?.union(nested) ?? nested
        continue
      case "&" where at("&&"):
        if !closes { return set ?? ScalarSet() }
        index += 2
        // Java skips further ampersands and takes a missing right side as the left one.
        while take("&") {}
        if at("]") {
          guard set != nil else { throw .regexSyntax }
          continue
        }
        let right = try classContent(closes: false)
        set = set?.intersection(right) ?? right
        continue
      case "]":
        // First in a class it is itself.
        if let set {
          if closes { index += 1 }
          return set
        }
      case "\\" where at("\\Q"):
        index += 2
        while index < pattern.count, !at("\\E") {
          set = (set ?? ScalarSet()).union(literal(pattern[index]))
          index += 1
        }
        _ = take("\\E")
        continue
      default: break
      }
      let item = try classItem()
      set = set?.union(item) ?? item
    }
  }

  private mutating func classItem() throws(EvaluationError) -> ScalarSet {
    if current == "\\", let set = try setEscape() { return set }
    let first = try classCharacter()
    guard at("-"), index + 1 < pattern.count, pattern[index + 1] != "[", pattern[index + 1] != "]" else {
      return literal(first)
    }
    index += 1
    let last = try classCharacter()
    guard last >= first else { throw .regexSyntax }
    let range = ScalarSet(first...last)
    return ignoresCase ? range.ignoringASCIICase : range
  }

  private mutating func classCharacter() throws(EvaluationError) -> UInt32 {
    guard let scalar = current else { throw .regexSyntax }
    if scalar == "\\" { return try characterEscape() }
    index += 1
    return scalar
  }
}

extension UInt32 {
  fileprivate init(_ scalar: Unicode.Scalar) {
    self = scalar.value
  }
}

private func ~= (pattern: Unicode.Scalar, value: UInt32) -> Bool { pattern.value == value }
private func ~= (pattern: Unicode.Scalar, value: UInt32?) -> Bool { pattern.value == value }
private func == (value: UInt32?, scalar: Unicode.Scalar) -> Bool { value == Optional(scalar.value) }
private func != (value: UInt32, scalar: Unicode.Scalar) -> Bool { value != scalar.value }
private func == (value: UInt32, scalar: Unicode.Scalar) -> Bool { value == scalar.value }

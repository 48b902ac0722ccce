/// A node of a definition together with its path, as in `rules[2].severity`.
package struct DefinitionNode: Sendable {
  package var value: DefinitionValue
  package var path: String

  package init(value: DefinitionValue, path: String) {
    self.value = value
    self.path = path
  }

  /// Whether the node says `null`, which everywhere means the same as leaving it out.
  package var isNull: Bool { value.content == .null }
}

/// Walks a definition's tree and collects every mistake with its place.
///
/// Each accessor answers `nil` where the node is not what was asked for, after writing the problem down: reading goes on,
/// so that one run tells all. Whoever reads throws ``DefinitionError`` at the end if there are ``problems``.
package struct DefinitionReader {
  package var problems: [DefinitionProblem] = []

  package init() {}

  /// Writes a problem down.
  package mutating func report(_ message: String, at node: DefinitionNode) {
    problems.append(
      DefinitionProblem(path: node.path, message: message, line: node.value.line, column: node.value.column))
  }

  /// The members of an object by key, less those that are `null`.
  ///
  /// An unknown key is a problem with a suggestion, so is one that stands twice.
  package mutating func members(of node: DefinitionNode, known: [String]) -> [String: DefinitionNode]? {
    guard case .object(let members) = node.value.content else {
      report("expected an object with \(list(known)), found \(describe(node.value))", at: node)
      return nil
    }
    var found: [String: DefinitionNode] = [:]
    var seen: Set<String> = []
    for member in members {
      let path = node.path.isEmpty ? member.key : "\(node.path).\(member.key)"
      let child = DefinitionNode(value: member.value, path: path)
      var place = child
      (place.value.line, place.value.column) = (member.line, member.column)
      if !known.contains(member.key) {
        let hint =
          nearest(to: member.key, among: known).map { ", did you mean '\($0)'?" } ?? "; known here: \(list(known))"
        report("unknown key '\(member.key)'\(hint)", at: place)
      } else if !seen.insert(member.key).inserted {
        report("'\(member.key)' stands twice", at: place)
      } else if !child.isNull {
        found[member.key] = child
      }
    }
    return found
  }

  /// A member that must be there.
  package mutating func required(
    _ key: String, of members: [String: DefinitionNode], in node: DefinitionNode
  ) -> DefinitionNode? {
    if let member = members[key] { return member }
    report("'\(key)' is missing", at: node)
    return nil
  }

  /// The elements of an array.
  package mutating func elements(of node: DefinitionNode) -> [DefinitionNode]? {
    guard case .array(let elements) = node.value.content else {
      report("expected a list, found \(describe(node.value))", at: node)
      return nil
    }
    return elements.enumerated().map { DefinitionNode(value: $1, path: "\(node.path)[\($0)]") }
  }

  /// The elements of an array, or a single value that stands for an array of one.
  package mutating func elementsOrOne(of node: DefinitionNode) -> [DefinitionNode] {
    if case .array = node.value.content { return elements(of: node) ?? [] }
    return [node]
  }

  /// Text. A bare number or boolean is taken as it was written, as YAML's authors expect of `id: 42`.
  package mutating func string(_ node: DefinitionNode) -> String? {
    switch node.value.content {
    case .string(let text), .number(let text): return text
    case .boolean(let flag): return flag ? "true" : "false"
    default:
      report("expected text, found \(describe(node.value))", at: node)
      return nil
    }
  }

  /// True or false.
  package mutating func boolean(_ node: DefinitionNode) -> Bool? {
    if case .boolean(let flag) = node.value.content { return flag }
    report("expected true or false, found \(describe(node.value))", at: node)
    return nil
  }

  /// A whole number in a range.
  package mutating func integer(_ node: DefinitionNode, in range: ClosedRange<Int64> = .min ... .max) -> Int64? {
    guard case .number(let text) = node.value.content, let number = Int64(text) else {
      report("expected a whole number, found \(describe(node.value))", at: node)
      return nil
    }
    guard range.contains(number) else {
      report("\(number) is outside \(range.lowerBound) to \(range.upperBound)", at: node)
      return nil
    }
    return number
  }

  /// A finite number.
  package mutating func number(_ node: DefinitionNode) -> Double? {
    guard case .number(let text) = node.value.content, let number = Double(text), number.isFinite else {
      report("expected a number, found \(describe(node.value))", at: node)
      return nil
    }
    return number
  }

  /// One of a type's raw values.
  package mutating func choice<Choice>(_ node: DefinitionNode, of type: Choice.Type = Choice.self) -> Choice?
  where Choice: RawRepresentable<String> & CaseIterable {
    let known = Choice.allCases.map(\.rawValue)
    guard let text = string(node) else { return nil }
    if let choice = Choice(rawValue: text) { return choice }
    let hint = nearest(to: text, among: known).map { ", did you mean '\($0)'?" } ?? "; known here: \(list(known))"
    report("unknown value '\(text)'\(hint)", at: node)
    return nil
  }

  /// A span of time such as `30s`, `10m`, `1h` or `7d`, in microseconds; never negative.
  package mutating func duration(_ node: DefinitionNode) -> Int64? {
    if case .string(let text) = node.value.content, let duration = parseDuration(text) { return duration }
    if case .number("0") = node.value.content { return 0 }
    report("expected a duration such as 30s, 10m, 1h or 7d, found \(describe(node.value))", at: node)
    return nil
  }

  private func list(_ names: [String]) -> String { names.joined(separator: ", ") }

  private func describe(_ value: DefinitionValue) -> String {
    switch value.content {
    case .null: "nothing"
    case .boolean(let flag): "\(flag)"
    case .number(let text): text
    case .string(let text): "'\(text.prefix(40))'"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// Reads a span of time such as `250ms`, `30s`, `10m`, `1h`, `7d` or `1h 30m`.
///
/// - Returns: microseconds, or `nil` where the text is no duration or exceeds 100,000 days.
package func parseDuration(_ text: String) -> Int64? {
  let units: [(String, Int64)] = [
    ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ("w", 604_800_000_000),
  ]
  var rest = Substring(text)
  var total: Int64 = 0
  var parts = 0
  while true {
    rest = rest.drop { $0 == " " }
    if rest.isEmpty { return parts > 0 ? total : nil }
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    rest = rest[digits.endIndex...]
    let name = rest.prefix { $0.isASCII && $0.isLetter }
    rest = rest[name.endIndex...]
    guard digits.count <= 12, let count = Int64(digits), let unit = units.first(where: { $0.0 == name })?.1 else {
      return nil
    }
    let (part, overflow) = count.multipliedReportingOverflow(by: unit)
    guard !overflow, part <= 8_640_000_000_000_000 - total else { return nil }
    total += part
    parts += 1
  }
}

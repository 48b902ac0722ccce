/// What differs between two definitions of a pipeline: fields, features, lists and rules by name, everything else by key.
public struct PipelineDifference: Sendable, Hashable {
  /// What became of an element.
  public enum Kind: String, Sendable, Hashable {
    case added, removed, changed
  }

  /// One element that differs.
  public struct Change: Sendable, Hashable {
    /// What became of it.
    public var kind: Kind
    /// The part of the definition: `schema`, `features`, `lists`, `rules`, or another key.
    public var part: String
    /// The name within the part, a rule's id; `nil` where the part differs as a whole, as in the order of its elements.
    public var name: String?
    /// How it was declared before.
    public var before: DefinitionValue?
    /// How it is declared now.
    public var after: DefinitionValue?

    /// The keys of a changed element that differ, in order, each with its canonical JSON before and after.
    public var details: [(key: String, before: String?, after: String?)] {
      guard case .object(let old)? = before?.content, case .object(let new)? = after?.content else { return [] }
      var keys = old.map(\.key)
      for member in new where !keys.contains(member.key) { keys.append(member.key) }
      return keys.compactMap { key in
        let before = old.first { $0.key == key }?.value.canonicalJSON
        let after = new.first { $0.key == key }?.value.canonicalJSON
        return before == after ? nil : (key, before, after)
      }
    }
  }

  /// The elements that differ: the schema, features, lists and rules, then other keys in order of their names. In a part
  /// what was removed comes first.
  public private(set) var changes: [Change] = []

  /// Compares two definitions.
  public init(from earlier: PipelineDefinition, to later: PipelineDefinition) {
    let old = Self.members(of: earlier.source)
    let new = Self.members(of: later.source)
    let lists = ["schema", "features", "lists", "rules"]
    let others = Set((old + new).map(\.key)).subtracting(lists)
    for part in lists + others.sorted() {
      let before = old.first { $0.key == part }?.value
      let after = new.first { $0.key == part }?.value
      guard before?.canonicalJSON != after?.canonicalJSON else { continue }
      if lists.contains(part) {
        compare(part, Self.elements(of: before), Self.elements(of: after))
      } else {
        let kind: Kind = before == nil ? .added : after == nil ? .removed : .changed
        changes.append(Change(kind: kind, part: part, name: nil, before: before, after: after))
      }
    }
  }

  private mutating func compare(_ part: String, _ old: [DefinitionValue], _ new: [DefinitionValue]) {
    let before = old.map { (name: Self.name(of: $0), value: $0) }
    let after = new.map { (name: Self.name(of: $0), value: $0) }
    let count = changes.count
    for element in before where !after.contains(where: { $0.name == element.name }) {
      changes.append(Change(kind: .removed, part: part, name: element.name, before: element.value, after: nil))
    }
    for element in after {
      let earlier = before.first { $0.name == element.name }
      if earlier?.value.canonicalJSON == element.value.canonicalJSON { continue }
      changes.append(
        Change(
          kind: earlier == nil ? .added : .changed, part: part, name: element.name, before: earlier?.value,
          after: element.value))
    }
    if changes.count == count { changes.append(Change(kind: .changed, part: part, name: nil, before: nil, after: nil)) }
  }

  private static func members(of value: DefinitionValue) -> [DefinitionValue.Member] {
    if case .object(let members) = value.content { members.filter { $0.value.content != .null } } else { [] }
  }

  private static func elements(of value: DefinitionValue?) -> [DefinitionValue] {
    if case .array(let elements)? = value?.content { elements } else { [] }
  }

  /// The element's `id` or `name`, or the id that a rule without one has.
  private static func name(of element: DefinitionValue) -> String {
    var reader = DefinitionReader()
    let members = members(of: element)
    for key in ["id", "name", "rule_expression"] {
      guard let member = members.first(where: { $0.key == key }),
        let text = reader.string(DefinitionNode(value: member.value, path: ""))
      else { continue }
      return key == "rule_expression" ? RuleDefinition.derivedID(of: text) : text
    }
    return ""
  }
}

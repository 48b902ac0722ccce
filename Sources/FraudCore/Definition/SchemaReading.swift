extension DefinitionReader {
  /// Reads a list of fields: `[{name, type, nullable, …}]`, as it stands in a pipeline or in a file of its own.
  package mutating func schema(_ node: DefinitionNode) -> Schema {
    var fields: [Field] = []
    let elements = elements(of: node) ?? []
    if elements.isEmpty { report("a schema declares at least one field", at: node) }
    if elements.count > Limits.schemaFields {
      report("a schema declares at most \(Limits.schemaFields) fields", at: node)
      return Schema(fields: [])
    }
    var seen: Set<String> = []
    for element in elements {
      guard let field = field(element) else { continue }
      if !seen.insert(field.name.lowercased()).inserted {
        report("another field is called '\(field.name)'; names must differ by more than case", at: element)
      } else {
        fields.append(field)
      }
    }
    return Schema(fields: fields)
  }

  private mutating func field(_ node: DefinitionNode) -> Field? {
    let known = [
      "name", "type", "nullable", "unit", "parse_text", "min", "max", "one_of", "default", "sensitive",
    ]
    guard let members = members(of: node, known: known) else { return nil }
    let name = required("name", of: members, in: node).flatMap { string($0) }
    let type: FieldType? = required("type", of: members, in: node).flatMap { choice($0) }
    guard let name, let type else { return nil }
    if name.isEmpty || name.utf8.count > 256 { report("a field's name has 1 to 256 bytes", at: node) }
    var field = Field(name: name, type: type)
    if let member = members["nullable"] { field.nullable = boolean(member) ?? true }
    if let member = members["parse_text"] { field.parseText = boolean(member) ?? false }
    if let member = members["sensitive"] { field.sensitive = choice(member) }
    if let member = members["unit"] {
      field.unit = choice(member)
      if type != .timestamp { report("only a timestamp has a unit, '\(name)' is \(type.rawValue)", at: member) }
    }
    let ordered = type == .integer || type == .float || type == .timestamp
    for (key, path) in [("min", \Field.minimum), ("max", \Field.maximum)] {
      guard let member = members[key] else { continue }
      if ordered {
        field[keyPath: path] = fieldValue(member, type: type)
      } else {
        report("only integer, float and timestamp have '\(key)', '\(name)' is \(type.rawValue)", at: member)
      }
    }
    if let member = members["one_of"] {
      if type == .string || type == .integer {
        field.oneOf = (elements(of: member) ?? []).compactMap { fieldValue($0, type: type) }
      } else {
        report("only string and integer have 'one_of', '\(name)' is \(type.rawValue)", at: member)
      }
    }
    if let member = members["default"] { field.defaultValue = fieldValue(member, type: type) }
    return field
  }

  /// A value of a field's type.
  package mutating func fieldValue(_ node: DefinitionNode, type: FieldType) -> FieldValue? {
    switch type {
    case .string: return string(node).map { .string($0) }
    case .integer: return integer(node).map { .integer($0) }
    case .float: return number(node).map { .float($0) }
    case .boolean: return boolean(node).map { .boolean($0) }
    case .timestamp:
      guard let text = string(node) else { return nil }
      if let time = TimestampText.parse(text) { return .timestamp(time) }
      report("expected a timestamp such as 2026-01-31T12:00:00Z, found '\(text.prefix(40))'", at: node)
      return nil
    }
  }
}

extension Schema {
  /// Reads a schema from a file of its own: the list of fields, or an object whose `schema` is that list.
  ///
  /// - Throws: ``DefinitionError`` with every mistake.
  public init(_ source: DefinitionValue) throws(DefinitionError) {
    var reader = DefinitionReader()
    var node = DefinitionNode(value: source, path: "schema")
    if case .object(let members) = source.content, let member = members.first(where: { $0.key == "schema" }) {
      node.value = member.value
    }
    self = reader.schema(node)
    guard reader.problems.isEmpty else { throw DefinitionError(problems: reader.problems) }
  }
}

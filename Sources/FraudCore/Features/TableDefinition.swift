/// A key–value table that features look values up in, as in the risk of a country.
///
///     tables:
///       - {name: country_risk, file: country-risk.csv}
///       - {name: tiers, values: {low: 0, medium: 1, high: 2}}
public struct TableDefinition: Sendable, Hashable {
  /// The name that features use.
  public var name: String
  /// The values by key; `nil` where a file holds them.
  public var values: [DefinitionValue.Member]?
  /// The file that holds `key,value` a line, relative to the definition's file. Whoever reads a definition from a file puts its
  /// content into ``values``.
  public var file: String?
  /// Where the definition stands, for messages.
  public var path: String
}

extension DefinitionReader {
  /// Reads `tables` of a definition.
  mutating func tables(_ node: DefinitionNode, taken: [String]) -> [TableDefinition] {
    var tables: [TableDefinition] = []
    for element in elements(of: node) ?? [] {
      guard let members = members(of: element, known: ["name", "values", "file"]),
        let name = required("name", of: members, in: element).flatMap({ string($0) })
      else { continue }
      if (taken + tables.map(\.name)).contains(where: { $0.lowercased() == name.lowercased() }) {
        report("'\(name)' is already the name of a field, list or table", at: members["name"] ?? element)
      }
      var values: [DefinitionValue.Member]?
      if let member = members["values"] {
        if case .object(let entries) = member.value.content, !entries.isEmpty {
          values = entries
        } else {
          report("expected values by key, as in {US: 0.02, NG: 0.18}", at: member)
        }
      }
      let file = members["file"].flatMap { string($0) }
      if (members["values"] == nil) == (members["file"] == nil) {
        report("a table has either 'values' or 'file'", at: element)
      }
      tables.append(TableDefinition(name: name, values: values, file: file, path: element.path))
    }
    return tables
  }
}

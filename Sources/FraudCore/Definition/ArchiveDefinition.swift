/// What the archive keeps of a pipeline's events beside their fields, and how it prepares for those who look things up.
public struct ArchiveDefinition: Sendable, Hashable {
  /// Whether the events' own bytes are kept.
  public var raw = false
  /// Whether the decisions of all events, and the rows of aggregations, are kept beside the events.
  public var decisions = false
  /// The fields that get bloom filters: what is looked up by single values.
  public var bloomFilters: [String] = []

  /// Fields only.
  public init() {}

  /// Reads `{raw: true, decisions: true, bloom_filters: [customer_id]}`.
  init(_ node: DefinitionNode, fields: [Field], reader: inout DefinitionReader) {
    guard let members = reader.members(of: node, known: ["raw", "decisions", "bloom_filters"]) else { return }
    raw = members["raw"].flatMap { reader.boolean($0) } ?? false
    decisions = members["decisions"].flatMap { reader.boolean($0) } ?? false
    for element in members["bloom_filters"].flatMap({ reader.elements(of: $0) }) ?? [] {
      guard let field = reader.fieldName(element, among: fields) else { continue }
      if field.type == .boolean {
        reader.report("a bloom filter of a boolean says nothing", at: element)
      } else {
        bloomFilters.append(field.name)
      }
    }
  }
}

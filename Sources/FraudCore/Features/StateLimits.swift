/// How much state may be kept. Past a limit the keys that were seen longest ago are dropped, in the order of their latest
/// event time and then of the key itself, so that every run drops the same.
public struct StateLimits: Sendable, Hashable {
  /// How long after a key's latest event it is forgotten, in microseconds; `nil` keeps it.
  public var timeToLive: Int64?
  /// Keys of one grouping in one partition.
  public var keys: Int
  /// Bytes of one grouping in one partition.
  public var bytes: Int

  /// Takes limits; the defaults are ten million keys and 4 GiB.
  public init(timeToLive: Int64? = nil, keys: Int = 10_000_000, bytes: Int = 4 << 30) {
    self.timeToLive = timeToLive
    self.keys = keys
    self.bytes = bytes
  }
}

extension StateLimits {
  /// Reads `state` of a definition: `{ttl: 90d, max_keys: 1000000, max_bytes: 2147483648}`.
  package init(_ node: DefinitionNode, reader: inout DefinitionReader) {
    self.init()
    guard let members = reader.members(of: node, known: ["ttl", "max_keys", "max_bytes"]) else { return }
    timeToLive = members["ttl"].flatMap { reader.duration($0) }
    if let member = members["ttl"], timeToLive == 0 {
      reader.report("a time to live of nothing keeps nothing", at: member)
    }
    if let count = members["max_keys"].flatMap({ reader.integer($0, in: 1...1_000_000_000) }) { keys = Int(count) }
    if let count = members["max_bytes"].flatMap({ reader.integer($0, in: 1_048_576...1 << 35) }) { bytes = Int(count) }
  }
}

extension PipelineDefinition {
  /// Which field tells events apart and for how long, where a pipeline says so.
  var deduplication: (field: String, within: Int64)? {
    if let eventID, let deduplicate { (eventID, deduplicate) } else { nil }
  }
}

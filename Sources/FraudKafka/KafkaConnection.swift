/// How to reach a cluster: its brokers, and any further librdkafka properties.
///
/// Everything librdkafka can do about transport and authentication is reached through `properties`, by its own names
/// (`security.protocol`, `ssl.ca.location`, `sasl.mechanisms`, `sasl.username`, `sasl.password` ...). The values of
/// properties that hold secrets are never printed, whichever way the connection is shown.
public struct KafkaConnection: Sendable {
  /// Addresses to start from, `host:port`, separated by commas.
  public var brokers: String
  /// librdkafka's properties, which override this library's defaults. The properties that exactness rests on
  /// (``reservedProperties``) cannot be set.
  public var properties: [String: String]
  /// How the client names itself to brokers.
  public var clientID: String
  /// How long a request that wants an answer now (metadata, watermarks) waits before the brokers count as
  /// unreachable.
  public var requestTimeout: Duration

  /// Names a cluster.
  public init(
    brokers: String, properties: [String: String] = [:], clientID: String = "fraud",
    requestTimeout: Duration = .seconds(10)
  ) {
    self.brokers = brokers
    self.properties = properties
    self.clientID = clientID
    self.requestTimeout = requestTimeout
  }

  /// Properties that this library sets itself, since offsets, starts and identities are its own affair.
  public static let reservedProperties: Set<String> = [
    "bootstrap.servers", "metadata.broker.list", "group.id", "transactional.id", "enable.idempotence",
    "enable.auto.commit", "auto.commit.enable", "enable.auto.offset.store", "auto.offset.reset",
    "enable.partition.eof", "allow.auto.create.topics", "partition.assignment.strategy", "partitioner",
    "test.mock.num.brokers", "statistics.interval.ms",
  ]

  /// Checks every property against librdkafka, without connecting.
  ///
  /// - Throws: ``KafkaError`` with `.configuration`, its message naming every property that is refused and why.
  public func validate() throws(KafkaError) {
    _ = try ClientConfiguration(connection: self, defaults: [], reserved: [])
  }

  /// Whether a property's value must not be shown.
  static func isSecret(_ property: String) -> Bool {
    let name = property.lowercased()
    return ["password", "secret", "key.pem", "oauthbearer.config", "token", "jaas"].contains { name.contains($0) }
  }
}

extension KafkaConnection: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Brokers and properties, secrets hidden.
  public var description: String {
    let shown = properties.sorted { $0.key < $1.key }
      .map { "\($0.key)=\(Self.isSecret($0.key) ? "***" : $0.value)" }
    return ([brokers] + shown).joined(separator: " ")
  }

  /// As ``description``.
  public var debugDescription: String { description }

  /// Keeps `dump` and interpolation of an enclosing value from showing secrets.
  public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

import CRdkafka

/// Owns an `rd_kafka_conf_t` until a client takes it.
@safe struct ClientConfiguration: ~Copyable {
  let raw: OpaquePointer

  /// Applies this library's defaults, then the user's properties, then what must not be overridden.
  ///
  /// - Parameter connection: `nil` for a client that connects nowhere.
  /// - Throws: `.configuration`, naming every property that is refused.
  init(
    connection: KafkaConnection?, defaults: [(String, String)], reserved: [(String, String)]
  ) throws(KafkaError) {
    // Held in a local until nothing can throw any more: a throw after the last stored property is set would run
    // deinit as well.
    guard let configuration = unsafe rd_kafka_conf_new() else {
      throw KafkaError(code: .other, message: "out of memory")
    }
    var problems: [String] = []
    func set(_ property: String, _ value: String) {
      if let problem = unsafe Self.set(configuration, property, value) { problems.append(problem) }
    }
    for (property, value) in defaults { set(property, value) }
    if let connection {
      if connection.brokers.allSatisfy({ $0.isWhitespace || $0 == "," }) { problems.append("no brokers are named") }
      set("client.id", connection.clientID)
      for (property, value) in connection.properties.sorted(by: { $0.key < $1.key }) {
        if KafkaConnection.reservedProperties.contains(property) {
          problems.append("property '\(property)' is set by this program and cannot be given")
        } else {
          set(property, value)
        }
      }
      set("bootstrap.servers", connection.brokers)
    }
    for (property, value) in reserved { set(property, value) }
    guard problems.isEmpty else {
      unsafe rd_kafka_conf_destroy(configuration)
      throw KafkaError(code: .configuration, message: "Kafka configuration: " + problems.joined(separator: "; "))
    }
    unsafe raw = configuration
  }

  /// Sets one property; returns what is wrong with it, without the value of a secret.
  private static func set(_ configuration: OpaquePointer, _ property: String, _ value: String) -> String? {
    let (result, text) = unsafe withErrorText { unsafe rd_kafka_conf_set(configuration, property, value, $0, $1) }
    guard result != RD_KAFKA_CONF_OK else { return nil }
    return KafkaConnection.isSecret(property) ? "property '\(property)' is refused" : text
  }

  /// Hands the configuration over to whoever frees it.
  consuming func release() -> OpaquePointer {
    let released = unsafe raw
    discard self
    return unsafe released
  }

  deinit { unsafe rd_kafka_conf_destroy(raw) }
}

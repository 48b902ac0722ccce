import ArgumentParser
import Foundation
import FraudKafka

/// Which brokers to use, and how: the flags, then `KAFKA_BOOTSTRAP_SERVERS`, then the dev broker that runs for the data
/// directory.
struct BrokerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Kafka brokers (default: $KAFKA_BOOTSTRAP_SERVERS, else the dev broker of --data).", valueName: "host:port,…"))
  var brokers: String?

  @Option(
    name: .customLong("kafka-property"),
    help: ArgumentHelp(
      "A librdkafka property, for TLS, SASL and the like; may be repeated. '@FILE' as the value reads it from a file.",
      valueName: "name=value"))
  var properties: [String] = []

  /// The cluster to use.
  ///
  /// - Parameter data: the data directory, where a dev broker says that it runs.
  /// - Throws: ``Failure``: 69 where no broker is named and none runs here.
  func connection(data: String) throws -> KafkaConnection {
    var values: [String: String] = [:]
    for property in properties {
      let (name, value) = try split(property)
      values[name] = value
    }
    let connection = KafkaConnection(brokers: try address(data: data), properties: values)
    do {
      try connection.validate()
    } catch {
      throw Failure(code: .usage, message: error.message)
    }
    return connection
  }

  private func address(data: String) throws -> String {
    if let brokers { return brokers }
    let variable = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"] ?? ""
    if !variable.isEmpty { return variable }
    if let running = BrokerFile.running(in: data) { return running.brokers }
    throw Failure.unavailable("no broker: start one with `fraudctl broker`")
  }

  /// A property's name and value. Secrets are better read from a file than seen in the list of processes.
  private func split(_ property: String) throws -> (name: String, value: String) {
    guard let equals = property.firstIndex(of: "="), equals != property.startIndex else {
      // The text may hold a secret, so it is not repeated.
      throw Failure(code: .usage, message: "--kafka-property needs name=value")
    }
    let name = String(property[..<equals])
    let value = String(property[property.index(after: equals)...])
    guard value.hasPrefix("@") else { return (name, value) }
    let path = String(value.dropFirst())
    do {
      let text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
      return (name, String(text.trimmingSuffix { $0.isNewline }))
    } catch {
      throw Failure.invalid("cannot read \(path) for property \(name): \(explain(error))")
    }
  }
}

extension StringProtocol {
  fileprivate func trimmingSuffix(while isTrimmed: (Character) -> Bool) -> SubSequence {
    guard let last = lastIndex(where: { !isTrimmed($0) }) else { return self[startIndex..<startIndex] }
    return self[...last]
  }
}

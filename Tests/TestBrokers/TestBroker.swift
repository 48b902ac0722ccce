import Foundation
package import FraudKafka

/// Something that clients connect to in a test.
package protocol TestAddress {
  var bootstrapServers: String { get }
  var isReal: Bool { get }
  /// A consumer group of this test.
  func group(_ name: String) -> String
}

extension DevBroker: TestAddress {
  package var isReal: Bool { false }
  package func group(_ name: String) -> String { name }
}

/// The Kafka of a test: a dev broker of its own, or the cluster that `KAFKA_BOOTSTRAP_SERVERS` names.
///
/// Topics have the names that pipelines of examples give them, so on a cluster a test begins by deleting what a topic of
/// that name holds, and tests run one after the other: `swift test --no-parallel`.
package final class TestBroker: TestAddress {
  private let dev: DevBroker?
  package let bootstrapServers: String
  /// Tells the groups of this test from those of others on the same cluster, some of whose members were killed.
  private let suffix: String
  private var topics: [String] = []

  package var isReal: Bool { dev == nil }

  private static let cluster = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"] ?? ""
  /// Whether tests run against a cluster.
  package static let isCluster = !cluster.isEmpty

  package init() throws {
    dev = Self.isCluster ? nil : try DevBroker()
    bootstrapServers = dev?.bootstrapServers ?? Self.cluster
    suffix = dev == nil ? "-\(UUID().uuidString)" : ""
  }

  deinit {
    guard isReal, let admin = try? KafkaAdmin(KafkaConnection(brokers: bootstrapServers)) else { return }
    for topic in topics { try? admin.deleteTopic(named: topic) }
  }

  /// Creates an empty topic.
  package func createTopic(named name: String, partitions: Int) throws {
    if let dev { return try dev.createTopic(named: name, partitions: partitions) }
    topics.append(name)
    let admin = try KafkaAdmin(KafkaConnection(brokers: bootstrapServers))
    try? admin.deleteTopic(named: name)
    // A cluster deletes in its own time.
    let end = ContinuousClock.now + .seconds(30)
    while true {
      do { return try admin.createTopic(named: name, partitions: partitions) } catch {
        guard ContinuousClock.now < end else { throw error }
        Thread.sleep(forTimeInterval: 0.1)
      }
    }
  }

  package func group(_ name: String) -> String { name + suffix }
}

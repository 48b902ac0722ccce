import Foundation
import FraudCore
import FraudKafka

extension KafkaAdmin {
  /// A topic that must be there.
  func existingTopic(named name: String) throws -> TopicDescription {
    do throws(KafkaError) {
      return try topic(named: name)
    } catch {
      guard error.code == .unknownTopic, DevBroker.isDevBroker(clusterID: clusterID()) else { throw error }
      throw Failure.failed(
        "\(error.message); the dev broker creates topics when it starts: `fraudctl broker --topic \(name):8`")
    }
  }

  /// Creates a topic that is not there, and waits until the brokers that answer know it.
  func ensureTopic(named name: String, partitions: Int) throws {
    do throws(KafkaError) {
      _ = try topic(named: name)
      return
    } catch {
      guard error.code == .unknownTopic else { throw error }
      if DevBroker.isDevBroker(clusterID: clusterID()) { return }
    }
    try createTopic(named: name, partitions: partitions, replicationFactor: -1)
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      do throws(KafkaError) {
        _ = try topic(named: name)
        return
      } catch {
        guard error.code == .unknownTopic, ContinuousClock.now < deadline else { throw error }
        Thread.sleep(forTimeInterval: 0.1)
      }
    }
  }
}

import ArgumentParser
import Foundation
import FraudKafka
import Testing

@testable import fraudctl

@Suite struct BrokerTests {
  private func temporaryDirectory() -> String {
    FileManager.default.temporaryDirectory.appending(path: "broker-\(UUID().uuidString)").path
  }

  @Test func aFileWithoutItsBrokerCountsForNothing() throws {
    let data = temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: data) }
    #expect(BrokerFile.running(in: data) == nil)
    if let lock = try BrokerLock(in: data) {
      try BrokerFile(brokers: "127.0.0.1:1234", pid: getpid()).write(in: data)
      #expect(BrokerFile.running(in: data)?.brokers == "127.0.0.1:1234")
      if let second = try BrokerLock(in: data) {
        Issue.record("two brokers for one directory")
        _ = consume second
      }
      _ = consume lock
    } else {
      Issue.record("no lock")
    }
    #expect(BrokerFile.running(in: data) == nil)
  }

  @Test func namedBrokersWinAndNoneIsUnavailable() throws {
    let data = temporaryDirectory()
    var options = try BrokerOptions.parse(["--brokers", "a:1", "--kafka-property", "sasl.password=x=y"])
    let connection = try options.connection(data: data)
    #expect(connection.brokers == "a:1")
    #expect(connection.properties == ["sasl.password": "x=y"])
    options = try BrokerOptions.parse(["--brokers", "a:1", "--kafka-property", "no.such.property=1"])
    let usage = try #require(throws: Failure.self) { try options.connection(data: data) }
    #expect(usage.code == .usage)
    guard (ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP_SERVERS"] ?? "").isEmpty else { return }
    options = try BrokerOptions.parse([])
    let unavailable = try #require(throws: Failure.self) { try options.connection(data: data) }
    #expect(unavailable.code == .unavailable)
    #expect(unavailable.message == "no broker: start one with `fraudctl broker`")
  }
}

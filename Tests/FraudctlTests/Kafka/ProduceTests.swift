import Foundation
import FraudCore
import FraudKafka
import TestBrokers
import Testing

/// The built program, which lies beside the tests.
private let fraudctl = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
  .appending(path: "fraudctl")

/// `broker` and `produce` as a user runs them.
@Suite(
  .enabled(if: FileManager.default.isExecutableFile(atPath: fraudctl.path), "fraudctl is not built beside the tests"))
struct ProduceTests {
  private struct Outcome {
    var code: Int32
    var output: String
    var errors: String
  }

  private static func start(_ arguments: [String], input: String = "") throws -> (Process, Pipe, Pipe) {
    let process = Process()
    process.executableURL = fraudctl
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin"]
    let (inputPipe, outputPipe, errorPipe) = (Pipe(), Pipe(), Pipe())
    process.standardInput = inputPipe
    process.standardOutput = outputPipe
    process.standardError = errorPipe
    try process.run()
    try inputPipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try inputPipe.fileHandleForWriting.close()
    return (process, outputPipe, errorPipe)
  }

  private static func run(_ arguments: [String], input: String = "") throws -> Outcome {
    let (process, output, errors) = try start(arguments, input: input)
    let outputText = try output.fileHandleForReading.readToEnd() ?? Data()
    let errorText = try errors.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Outcome(
      code: process.terminationStatus, output: String(decoding: outputText, as: UTF8.self),
      errors: String(decoding: errorText, as: UTF8.self))
  }

  @Test(.enabled(if: TestBroker.isCluster, "KAFKA_BOOTSTRAP_SERVERS names no cluster"))
  func aTopicIsMadeWhereThereIsNone() throws {
    let (broker, topic) = (try TestBroker(), "produced-\(UUID().uuidString)")
    let admin = try KafkaAdmin(KafkaConnection(brokers: broker.bootstrapServers))
    defer { try? admin.deleteTopic(named: topic) }
    // The second finds it, and leaves it as it is.
    for partitions in ["3", "5"] {
      let produced = try Self.run(
        ["produce", "--topic", topic, "--partitions", partitions, "--brokers", broker.bootstrapServers], input: "{}\n")
      #expect(produced.code == 0, "\(produced)")
    }
    let made = try admin.topic(named: topic)
    #expect(made.partitions.count == 3)
    let watermarks = try admin.watermarks(of: (0..<3).map { TopicPartition(topic: topic, partition: $0) })
    #expect(watermarks.values.reduce(0) { $0 + $1.high } == 2)
  }

  @Test func aBrokerIsFoundFedAndEnded() async throws {
    let data = FileManager.default.temporaryDirectory.appending(path: "produce-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: data) }
    let none = try Self.run(["produce", "--topic", "t", "--data", data])
    #expect(none.code == 69)
    #expect(none.errors.contains("no broker: start one with `fraudctl broker`"))

    let (broker, address, _) = try Self.start(["broker", "--topic", "t:2", "--data", data])
    defer { if broker.isRunning { broker.terminate() } }
    let brokers = String(decoding: address.fileHandleForReading.availableData, as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    let second = try Self.run(["broker", "--data", data])
    #expect(second.code == 1)
    #expect(second.errors.contains("running already at \(brokers)"), "\(second.errors)")
    for more in [[], ["--partitions", "4"]] {
      let unknown = try Self.run(["produce", "--topic", "tt", "--data", data] + more)
      #expect(unknown.code == 1)
      #expect(unknown.errors.contains("did you mean 't'"), "\(unknown.errors)")
      #expect(unknown.errors.contains("the dev broker creates topics when it starts"), "\(unknown.errors)")
    }

    let lines = (0..<100).map { #"{"id":\#($0),"customer":"c\#($0 % 7)","at":"2024-01-01T00:00:\#($0 % 50 + 10)Z"}"# }
    let produced = try Self.run(
      ["produce", "--topic", "t", "--data", data, "--key", "customer", "--timestamp", "at", "--json"],
      input: lines.joined(separator: "\n\n"))
    #expect(produced.code == 0)
    #expect(produced.output.contains(#""delivered":100,"failed":0,"#), "\(produced.output)")

    let consumer = try KafkaConsumer(
      ConsumerConfiguration(connection: KafkaConnection(brokers: brokers), group: "g"))
    try consumer.assign(
      [TopicPartition(topic: "t", partition: 0): .beginning, TopicPartition(topic: "t", partition: 1): .beginning])
    var batch = MessageBatch()
    var received: Set<String> = []
    var partitions: [String: Int32] = [:]
    let end = ContinuousClock.now + .seconds(60)
    while received.count < 100, ContinuousClock.now < end {
      _ = try consumer.poll(into: &batch, timeout: .milliseconds(100))
      for run in batch.runs {
        for message in batch.messages[run.messages] {
          received.insert(message.value.map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? "")
          let key = message.key.map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? ""
          #expect(
            partitions.updateValue(run.partition.partition, forKey: key) ?? run.partition.partition
              == run.partition.partition)
          #expect((1_704_067_210_000...1_704_067_260_000).contains(message.timestampMilliseconds ?? 0))
        }
      }
    }
    #expect(received == Set(lines))
    #expect(partitions.count == 7)
    consumer.close()

    broker.terminate()
    broker.waitUntilExit()
    #expect(broker.terminationStatus == 0)
    #expect(!FileManager.default.fileExists(atPath: data + "/broker.json"))
  }
}

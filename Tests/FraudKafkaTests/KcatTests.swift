import Foundation
import FraudCore
import FraudKafka
import TestBrokers
import Testing

private let kcat = ["/usr/bin/kcat", "/usr/local/bin/kcat", "/opt/homebrew/bin/kcat", "/usr/bin/kafkacat"]
  .first { FileManager.default.isExecutableFile(atPath: $0) }

@Suite(.enabled(if: kcat != nil, "kcat is not installed")) struct KcatTests {
  private static func run(_ arguments: [String], input: String = "") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(kcat))
    process.arguments = arguments
    let (inputPipe, outputPipe) = (Pipe(), Pipe())
    process.standardInput = inputPipe
    process.standardOutput = outputPipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    inputPipe.fileHandleForWriting.write(Data(input.utf8))
    try inputPipe.fileHandleForWriting.close()
    let output = try outputPipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: output, as: UTF8.self)
  }

  @Test func kcatReadsWhatWeWriteAndWritesWhatWeRead() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 1)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      try producer.send(to: "t", #"{"a":1}"#, key: "k", timestamp: 1_600_000_000_000)
      try producer.send(to: "t", "ünïcode")
      try producer.finish(2)
      let shown = try Self.run(
        ["-b", broker.bootstrapServers, "-C", "-t", "t", "-o", "beginning", "-e", "-q", "-f", "%o %T %k %s\n"])
      let lines = shown.split(separator: "\n")
      #expect(lines.first == #"0 1600000000000 k {"a":1}"#)
      #expect(lines.last?.hasSuffix(" ünïcode") == true)
      _ = try Self.run(["-b", broker.bootstrapServers, "-P", "-t", "t", "-K", ":"], input: "key:from kcat\n")
      let consumer = try consumer(broker)
      try consumer.assign([TopicPartition(topic: "t", partition: 0): .at(2)])
      let received = try consumer.read(1)
      #expect(received.map(\.value) == ["from kcat"])
      #expect(received.map(\.key) == ["key"])
    }
  }
}

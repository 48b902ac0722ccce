import ArgumentParser
import Foundation
import FraudKafka

/// `fraudctl broker`: a Kafka broker for development, in the foreground.
struct BrokerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker",
    abstract: "Run a Kafka broker for development, in memory, until Ctrl-C.",
    discussion: """
      Other commands with the same --data find it by themselves; kcat and any other Kafka client use the address that it
      prints. It keeps the newest 5 MiB of each partition and forgets everything when it ends. For anything else use a
      real Kafka with --brokers.

      EXAMPLES
        fraudctl broker --topic transactions:8
        fraudctl broker --topic transactions:8 --topic payments:4 &
      """)

  @Option(
    name: .customLong("topic"),
    help: ArgumentHelp(
      "A topic to create; without a number it has one partition. May be repeated.", valueName: "name[:partitions]"))
  var topics: [String] = []

  @OptionGroup var place: DataOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try reporting {
      let topics = try topics.map(parse)
      Interruption.watch()
      guard let lock = try BrokerLock(in: place.data) else {
        let running = BrokerFile.running(in: place.data)
        throw Failure.failed(
          "a broker for \(place.data) is running already"
            + (running.map { " at \($0.brokers), process \($0.pid)" } ?? ""))
      }
      try serve(topics, lock)
      if Interruption.signal == SIGINT { throw ExitCode.interrupted }
    }
  }

  private func serve(_ topics: [(name: String, partitions: Int)], _ lock: consuming BrokerLock) throws {
    let broker = try DevBroker()
    for topic in topics { try broker.createTopic(named: topic.name, partitions: topic.partitions) }
    let file = BrokerFile(brokers: broker.bootstrapServers, pid: getpid())
    try file.write(in: place.data)
    defer { BrokerFile.remove(in: place.data) }
    if output.json {
      Terminal.standardOutput.line(#"{"brokers":"\#(file.brokers)","pid":\#(file.pid)}"#)
    } else {
      Terminal.standardOutput.line(file.brokers)
      let created = topics.map { "\($0.name) (\($0.partitions))" }.joined(separator: ", ")
      Terminal.standardError.message(
        "the dev broker listens\(topics.isEmpty ? "" : ", topics: \(created)"); Ctrl-C ends it and forgets everything")
    }
    while !Interruption.isRequested { usleep(100_000) }
  }

  /// `name:partitions`, or a name alone.
  private func parse(_ topic: String) throws -> (name: String, partitions: Int) {
    let parts = topic.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let name = parts.first, isTopicName(name),
      let partitions = parts.count == 1 ? 1 : Int(parts[1]), (1...1_000).contains(partitions)
    else {
      throw Failure(
        code: .usage, message: "--topic \(printable(topic)): name:partitions is needed, with 1 to 1000 partitions")
    }
    return (String(name), partitions)
  }

  /// Kafka's rule for topic names.
  private func isTopicName(_ name: Substring) -> Bool {
    (1...249).contains(name.utf8.count) && name != "." && name != ".."
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}

import ArgumentParser
import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// `fraudctl demo`: the whole path on real events, with nothing to set up.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Run the main job on sample data: Kafka in, alerts in PostgreSQL out.",
    discussion: """
      Starts a private PostgreSQL and a dev broker, sends 50,000 card transactions to a topic, processes them and shows what
      was found. A second run adds nothing twice.

      EXAMPLES
        fraudctl demo
        fraudctl demo --reset
      """)

  @Flag(help: "Forget what earlier runs left and start over.")
  var reset = false

  @Option(help: ArgumentHelp("The folder of the sample data and pipelines.", valueName: "dir"))
  var examples: String?

  @OptionGroup var database: DatabaseOptions

  /// The dev broker keeps 5 MiB a partition: eight hold the 20 MB of the sample with room to spare.
  private static let partitions = 8
  private static let terminal = Terminal.standardError

  func run() throws {
    try reporting {
      Interruption.watch()
      let folder = try examplesFolder()
      let loaded = try LoadedPipeline(file: folder + "/Pipelines/card-payments.yaml")
      let definition = loaded.pipeline.definition
      guard let topic = definition.kafkaTopic, let key = definition.key else {
        throw Failure.invalid("the demo's pipeline names no topic and key")
      }
      step("starting PostgreSQL")
      try withDatabase(database) { connection, address in
        if reset, let id = try PipelineStore.identify(definition.name, on: &connection) {
          step("forgetting pipeline \(definition.name)")
          try PipelineStore.delete(id, author: currentUser(), note: "demo --reset", on: &connection)
        }
        let applied = try PipelineStore.apply(definition, author: currentUser(), note: "demo", on: &connection)
        let before = try DemoReport.counts(of: applied.id, on: &connection)
        let data = folder + "/Data/sparkov.csv.zst"
        let count = try DemoReport.recordCount(of: data, schema: definition.schema)
        var pace: String?
        if before.events >= count {
          Self.terminal.message(
            "all \(grouped(count)) events were processed by an earlier run; `fraudctl demo --reset` starts over")
        } else {
          step("starting the dev broker")
          let broker = try DevBroker()
          try broker.createTopic(named: topic, partitions: Self.partitions)
          let kafka = KafkaConnection(brokers: broker.bootstrapServers)
          let start = ContinuousClock.now
          try process(loaded, applied, data: data, topic: topic, key: key, kafka: kafka, address: address, count: count)
          let processed = try DemoReport.counts(of: applied.id, on: &connection).events - before.events
          let seconds = start.duration(to: .now) / .seconds(1)
          pace = String(format: "%.1f s, ", seconds) + grouped(Int(Double(processed) / seconds)) + " events/s"
        }
        if Interruption.isRequested { throw ExitCode.interrupted }
        try DemoReport.show(applied, loaded.pipeline, pace: pace, address: address, database: database, on: &connection)
      }
    }
  }

  /// Sends the sample to the topic and processes it at the same time.
  ///
  /// An interrupted run left its progress in the database, and the dev broker forgot its topic: the same events are sent
  /// again in the same order, so every partition holds the same records at the same offsets, and processing goes on where it
  /// stopped.
  private func process(
    _ loaded: LoadedPipeline, _ applied: AppliedPipeline, data: String, topic: String, key: String,
    kafka: KafkaConnection, address: PostgresAddress, count: Int
  ) throws {
    var options = PipelineRun.Options(connection: kafka, group: "fraud-\(applied.name)", address: address)
    options.untilEnd = false
    let run = PipelineRun(
      PipelineVersion(loaded.pipeline, number: applied.version, lists: loaded.lists), id: applied.id, options: options)
    run.start()
    defer { run.stop() }
    var progress = DemoProgress(terminal: Self.terminal, count: count)
    let input = try MessageInput(path: data, schema: loaded.pipeline.definition.schema)
    let producer = try KafkaProducer(ProducerConfiguration(connection: kafka))
    step("sending \(grouped(count)) events to topic \(topic) and processing them")
    var feed = Feed(topic: topic)
    feed.key = key
    try feed.send(input, through: producer) { progress.show(sent: $0.sent, run.status) }
    try feed.finish(producer) { progress.show(sent: $0.sent, run.status) }
    // The sum must hold: every event sent is accepted or rejected.
    while !Interruption.isRequested {
      let status = run.status
      progress.show(sent: feed.counts.sent, status)
      if let failure = status.failure { throw failure }
      let processed = status.progress.reduce(0) { $0 + Int($1.nextOffset) }
      if processed >= feed.counts.sent || status.isFinished { break }
      Thread.sleep(forTimeInterval: 0.02)
    }
    run.stop()
    while !run.status.isFinished { Thread.sleep(forTimeInterval: 0.01) }
    progress.clear()
    if let failure = run.status.failure { throw failure }
  }

  private func step(_ text: String) {
    Self.terminal.line(Self.terminal.styled("▸ ", .accent) + text)
  }

  /// The folder beside the working directory, or beside the package that this program was built in.
  private func examplesFolder() throws -> String {
    if let examples { return examples }
    var candidates = ["Examples"]
    let program = URL(fileURLWithPath: CommandLine.arguments.first ?? "").resolvingSymlinksInPath()
    var folder = program.deletingLastPathComponent()
    for _ in 0..<5 {
      candidates.append(folder.appendingPathComponent("Examples").path)
      folder.deleteLastPathComponent()
    }
    let found = candidates.first {
      FileManager.default.fileExists(atPath: $0 + "/Data/sparkov.csv.zst")
    }
    guard let found else {
      throw Failure.invalid(
        "cannot find Examples/Data/sparkov.csv.zst; run from the checkout or name its folder with --examples")
    }
    return found
  }
}

/// A line on the terminal that says how far the demo is.
private struct DemoProgress {
  let terminal: Terminal
  let count: Int
  private let start = ContinuousClock.now
  private var last: ContinuousClock.Instant?
  private var isShown = false

  init(terminal: Terminal, count: Int) {
    self.terminal = terminal
    self.count = count
  }

  mutating func show(sent: Int, _ status: PipelineRun.Status) {
    guard terminal.isInteractive, last.map({ $0.duration(to: .now) > .milliseconds(100) }) ?? true else { return }
    last = .now
    isShown = true
    let done = status.summary.events
    let share = count == 0 ? 1 : min(1, Double(done) / Double(count))
    let bar = String(repeating: "█", count: Int(share * 24)) + String(repeating: "░", count: 24 - Int(share * 24))
    let waiting = status.isHolding.map { ", waiting: \($0)" } ?? ""
    terminal.write(
      "\r\u{1B}[K  \(bar) \(grouped(done)) of \(grouped(count)) processed, \(grouped(status.summary.alerts)) alerts\(waiting)"
    )
  }

  func clear() {
    if isShown { terminal.write("\r\u{1B}[K") }
  }
}

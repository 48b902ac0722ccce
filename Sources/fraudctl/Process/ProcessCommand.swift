import ArgumentParser
import Foundation
import FraudCore
import FraudKafka
import FraudStore

/// `fraudctl process`: pipelines from Kafka into PostgreSQL, exactly once.
struct ProcessCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "process",
    abstract: "Process pipelines from Kafka into PostgreSQL, exactly once.",
    discussion: """
      Reads each pipeline's topic as a member of a consumer group, and commits alerts, rejected events and offsets in one
      transaction. More processes of one group share the partitions. Stopped and started again, it goes on where the last
      commit ended. SIGTERM and Ctrl-C finish the batch and leave.

      EXAMPLES
        fraudctl process --pipeline card-payments.yaml
        fraudctl process --pipeline 1 --pipeline 2 --brokers kafka:9092 --database postgresql:///fraud
        fraudctl process --pipeline card-payments --until-end --json
        fraudctl process --pipeline card-payments --archive .fraud/archive
      """)

  @Option(
    help: ArgumentHelp(
      "A pipeline's name, number or file; a file is applied first. May be repeated.", valueName: "name|file"))
  var pipeline: [String]

  @Option(
    help: ArgumentHelp("A file that wins over the definition files key by key. May be repeated.", valueName: "file"))
  var overlay: [String] = []

  @Option(help: ArgumentHelp("The consumer group (default: fraud-PIPELINE).", valueName: "id"))
  var group: String?

  @Flag(help: "Stop when everything that the topics held has been processed.")
  var untilEnd = false

  @Option(help: ArgumentHelp("Events after which to commit.", valueName: "n"))
  var commitEvents = 5_000

  @Option(help: ArgumentHelp("How long the first event of a commit waits for others.", valueName: "duration"))
  var commitInterval = "20ms"

  @Option(
    help: ArgumentHelp(
      "Whether a commit waits for the database's disk. With off, a crash of PostgreSQL takes back the last moments, "
        + "offsets and results alike, and they are processed again; alerts go to topics only once they are durable.",
      valueName: "on|off"))
  var durability = Durability.on

  @Option(
    help: ArgumentHelp(
      "How long events wait for another topic of their pipeline that is behind and from which nothing comes.",
      valueName: "duration"))
  var streamWait = "1s"

  @Option(
    help: ArgumentHelp(
      "With streams: how long what each commit took of each topic stays on record, at least.", valueName: "duration"))
  var keepRanges = "30d"

  @Option(help: ArgumentHelp("Archive every accepted event as Parquet in this folder.", valueName: "dir"))
  var archive: String?

  @Option(
    help: ArgumentHelp(
      "Fill new features from this archive, and from the topic behind it, as if they had been there all along.",
      valueName: "dir"))
  var warmFrom: String?

  @Option(
    help: ArgumentHelp(
      "Keep copies of what features remember in this folder, from which a restart on this machine goes on sooner.",
      valueName: "dir"))
  var stateCache: String?

  @Option(
    help: ArgumentHelp(
      "End with 1 when more than this share of the last 1,000 events or more was rejected.", valueName: "share"))
  var maxRejectedShare: Double?

  @Flag(help: "Measure the time from each event's timestamp to its commit, and show it at the end.")
  var stats = false

  @Option(help: ArgumentHelp("Where metrics go every second, as Prometheus text.", valueName: "file"))
  var metricsFile: String?

  enum Durability: String, CaseIterable, ExpressibleByArgument { case on, off }

  @OptionGroup var brokers: BrokerOptions
  @OptionGroup var database: DatabaseOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if commitEvents < 1 { throw ValidationError("--commit-events must be 1 or more") }
    if parseDuration(commitInterval) == nil { throw ValidationError("--commit-interval needs a duration such as 20ms") }
    if parseDuration(keepRanges) == nil { throw ValidationError("--keep-ranges needs a duration such as 30d") }
    if parseDuration(streamWait) == nil { throw ValidationError("--stream-wait needs a duration such as 1s") }
    if let maxRejectedShare, !(0...1).contains(maxRejectedShare) {
      throw ValidationError("--max-rejected-share is from 0 to 1")
    }
    if pipeline.isEmpty { throw ValidationError("--pipeline is missing") }
    if !overlay.isEmpty, let name = pipeline.first(where: { !FileManager.default.fileExists(atPath: $0) }) {
      throw ValidationError("--overlay goes with files of pipelines, and '\(name)' is none")
    }
  }

  func run() throws {
    try reporting {
      Interruption.watch()
      let connection = try brokers.connection(data: database.place.data)
      let start = ContinuousClock.now
      let runs = try withDatabase(database) { database, address in
        let runs = try pipeline.map { name in
          let (version, id) = try load(name, on: &database)
          var options = PipelineRun.Options(
            connection: connection, group: group ?? "fraud-\(version.pipeline.definition.name)", address: address)
          options.untilEnd = untilEnd
          options.maxRejectedShare = maxRejectedShare
          options.stateCache = stateCache
          options.measuresLatency = true
          options.durability = durability == .on ? .on : .off
          options.configuration.commitEvents = commitEvents
          options.history = warmFrom.map { ArchiveHistory(root: $0, connection: connection) }
          options.configuration.commitInterval = .microseconds(parseDuration(commitInterval) ?? 20_000)
          options.configuration.streamPatience = .microseconds(parseDuration(streamWait) ?? 1_000_000)
          return PipelineRun(version, id: id, options: options)
        }
        announce(runs)
        let archives = runs.compactMap { run in archive.map { ArchiveRun(run, root: $0) } }
        // What may find no thread comes first, while nothing is processed yet.
        let relays = runs.map { AlertRelayRun($0) }
        for relay in relays { try relay.start() }
        let housekeeping = Housekeeping(
          address, for: runs, rangeSeconds: (parseDuration(keepRanges) ?? 2_592_000_000_000) / 1_000_000)
        try housekeeping.start()
        defer { housekeeping.stop() }
        for run in runs { run.start() }
        for archive in archives { archive.start() }
        try wait(for: runs, archives)
        finish(relays)
        try finish(archives)
        return runs
      }
      for run in runs {
        if output.json {
          let json = run.status.summary.json(seconds: start.duration(to: .now) / .seconds(1))
          Terminal.standardOutput.line(String(decoding: json, as: UTF8.self))
        } else {
          Terminal.standardError.message(line(run, since: start))
        }
        if stats { Terminal.standardError.message(statistics(run)) }
      }
      if let failure = runs.lazy.compactMap({ $0.status.failure }).first { throw failure }
      if Interruption.signal == SIGINT { throw ExitCode.interrupted }
    }
  }

  /// A pipeline by name or number, or a file, which is applied first.
  private func load(
    _ name: String, on database: inout PostgresConnection
  ) throws -> (PipelineVersion, id: Int) {
    var name = name
    if FileManager.default.fileExists(atPath: name) {
      let loaded = try LoadedPipeline(file: name, overlays: overlay)
      let applied = try PipelineStore.apply(
        loaded.stored(), author: currentUser(), note: nil, zones: systemTimeZones, on: &database)
      // What was stored may hold other lists: `fraudctl list` changes them.
      name = applied.name
    }
    guard let stored = try PipelineStore.find(name, on: &database) else {
      let names = try PipelineStore.list(on: &database).map(\.name)
      let hint =
        nearest(to: name, among: names).map { ", did you mean '\($0)'?" } ?? "; `fraudctl pipeline list` names them"
      throw Failure.invalid("there is no pipeline or file '\(name)'\(hint)")
    }
    return (try PipelineVersion(stored), stored.id)
  }

  private func announce(_ runs: [PipelineRun]) {
    let terminal = Terminal.standardError
    for run in runs {
      let definition = run.pipeline.definition
      terminal.message(
        "pipeline \(definition.name) (\(run.id)), version \(run.version)\(beside(run.first)),"
          + " topic \(definition.kafkaTopic ?? "-")")
      terminal.line(
        "  schema: " + definition.schema.fields.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", "))
      terminal.line("  Loaded \(run.pipeline.rules.count) rules")
    }
  }

  /// Which part of the keys a version decides, where it is not all.
  private func beside(_ version: PipelineVersion) -> String {
    guard let control = version.control, let share = version.pipeline.definition.share else { return "" }
    return " for \(shareText(share)) of the keys and \(control.number) for the others"
  }

  /// How long a Kafka client may take to come up: librdkafka waits for ever for its own threads where the system had no memory
  /// for one of them.
  private static let clientPatience = Duration.seconds(60)

  /// Shows progress until all runs have ended or one has failed.
  private func wait(for runs: [PipelineRun], _ archives: [ArchiveRun]) throws {
    let start = ContinuousClock.now
    var announced: Set<Int> = []
    var shown: [Int: String] = [:]
    var holding: [Int: String] = [:]
    var versions: [Int: Int] = [:]
    var refused: [Int: String] = [:]
    let metrics = metricsFile.map { MetricsFile(path: $0) }
    var nextMetrics = start
    var metricsFailure: String?
    while true {
      let statuses = runs.map(\.status)
      if let metrics, nextMetrics <= .now || statuses.allSatisfy(\.isFinished) {
        nextMetrics = .now + .seconds(1)
        do {
          try metrics.write(statuses)
          metricsFailure = nil
        } catch let failure as Failure {
          // Processing is worth more than its metrics.
          if metricsFailure != failure.message {
            Terminal.standardError.message(failure.message, style: .warning)
            metricsFailure = failure.message
          }
        }
      }
      for (index, status) in statuses.enumerated() {
        if !status.starts.isEmpty, announced.insert(index).inserted {
          let starts = status.starts.map { "\($0.source.partition) from \($0.nextOffset)" }.joined(separator: ", ")
          Terminal.standardError.message(
            "\(runs[index].pipeline.definition.name): partitions \(starts)")
        }
        if holding[index] != status.isHolding, let reason = status.isHolding {
          Terminal.standardError.message("waiting: \(reason)", style: .warning)
        }
        holding[index] = status.isHolding
        let version = status.inForce.number
        if versions[index] != version {
          if versions.updateValue(version, forKey: index) != nil {
            Terminal.standardError.message(
              "\(status.summary.pipeline): version \(version) in force\(beside(status.inForce))")
          }
        }
        if refused[index] != status.refusedVersion, let reason = status.refusedVersion {
          Terminal.standardError.message(reason, style: .warning)
        }
        refused[index] = status.refusedVersion
      }
      show(archives, &shown)
      let lacksClient =
        statuses.contains { !$0.hasClient && !$0.isFinished }
        || archives.map(\.status).contains { !$0.hasClient && !$0.isFinished }
      if lacksClient, start.duration(to: .now) > Self.clientPatience {
        throw Failure.failed(
          "a Kafka client has not come up in \(Self.clientPatience.components.seconds) s; memory or threads may be short"
        )
      }
      if statuses.allSatisfy(\.isFinished) { return }
      if Interruption.isRequested || statuses.contains(where: { $0.failure != nil }) {
        for run in runs { run.stop() }
      }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }

  /// Lets the archives come to their end, and says what became of them.
  private func finish(_ archives: [ArchiveRun]) throws {
    var shown: [Int: String] = [:]
    while !archives.allSatisfy({ $0.status.isFinished }) {
      if !untilEnd || Interruption.isRequested { for archive in archives { archive.stop() } }
      show(archives, &shown)
      Thread.sleep(forTimeInterval: 0.02)
    }
    for archive in archives where archive.status.fileCount > 0 {
      Terminal.standardError.message(
        "\(archive.pipeline.definition.name): \(grouped(archive.status.fileCount)) files archived")
    }
    if let failure = archives.lazy.compactMap({ $0.status.failure }).first { throw failure }
  }

  /// Lets alerts that were committed reach their topics; where that cannot be, the next process publishes them.
  private func finish(_ relays: [AlertRelayRun]) {
    for relay in relays { relay.stop() }
    let deadline = ContinuousClock.now + .seconds(Interruption.isRequested ? 3 : 60)
    while !relays.allSatisfy({ $0.status.isFinished }), ContinuousClock.now < deadline {
      Thread.sleep(forTimeInterval: 0.02)
    }
    for relay in relays {
      let status = relay.status
      if let reason = status.isHolding {
        Terminal.standardError.message(
          "\(relay.pipeline): messages wait for \(status.target): \(reason)", style: .warning)
      } else if status.published > 0 {
        Terminal.standardError.message(
          "\(relay.pipeline): \(grouped(status.published)) messages published to \(status.target)")
      }
    }
  }

  /// Says once what an archive waits for, or that it failed; alerts go on without it.
  private func show(_ archives: [ArchiveRun], _ shown: inout [Int: String]) {
    for (index, archive) in archives.enumerated() {
      let status = archive.status
      let message =
        status.failure.map { "the archive failed: \($0)" } ?? status.isHolding.map { "the archive waits: \($0)" }
      if let message, shown[index] != message { Terminal.standardError.message(message, style: .warning) }
      shown[index] = message
    }
  }

  /// Rates and latencies of a run that has ended; the time before the first record does not count.
  private func statistics(_ run: PipelineRun) -> String {
    let status = run.status
    let seconds = max(status.reading.busySeconds, 0.001)
    func milliseconds(_ seconds: Double?) -> String { seconds.map { String(format: "%.1f ms", $0 * 1_000) } ?? "–" }
    return
      "\(status.summary.pipeline): \(grouped(Int(Double(status.summary.events) / seconds))) events/s, event to commit"
      + " p50 \(milliseconds(status.reading.latency50)), p99 \(milliseconds(status.reading.latency99)),"
      + " \(grouped(status.commits)) commits, each p50 \(milliseconds(status.reading.commit50)),"
      + " p99 \(milliseconds(status.reading.commit99))\(recovery(status.reading.recovery)); held at most"
      + " \(byteCount(Int64(status.memory.bufferedBytesPeak))) of records, limit"
      + " \(byteCount(Int64(status.memory.bufferedBytesMax))); \(grouped(status.memory.stateKeys)) keys in"
      + " \(byteCount(Int64(status.memory.stateBytes)))"
  }

  private func recovery(_ recovery: Recovery?) -> String {
    guard let recovery else { return "" }
    var text = String(format: "; taken over in %.2f s (%.2f s of CPU)", recovery.restored, recovery.restoredCPU)
    if let committed = recovery.committed { text += String(format: ", first commit after %.2f s", committed) }
    return text
  }

  private func line(_ run: PipelineRun, since start: ContinuousClock.Instant) -> String {
    let summary = run.status.summary
    let seconds = start.duration(to: .now) / .seconds(1)
    return "\(summary.pipeline): \(grouped(summary.events)) events = \(grouped(summary.accepted)) accepted + "
      + "\(grouped(summary.rejectedCount)) rejected, \(grouped(summary.alerts)) alerts, "
      + String(format: "%.1f s", seconds)
  }
}

import ArgumentParser
import Dispatch
import Foundation
import FraudCore
import FraudStore
import Synchronization

/// `fraudctl score`: files through a pipeline, with no server at all.
struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Score files of events with a pipeline, without any server.",
    discussion: """
      Reads NDJSON, CSV and Parquet, also packed with zstd, and folders of them; stdin is NDJSON. Writes the alerts as NDJSON in
      the order of the events. The format goes by the file's name unless --input-format says it. Rejected events do not change
      the exit code.

      EXAMPLES
        fraudctl score --pipeline pipeline.yaml --input events.ndjson --output alerts.ndjson --summary -
        fraudctl score --pipeline pipeline.yaml --emit decisions < events.ndjson
        fraudctl score --pipeline scorecard.yaml --input events.ndjson --emit none --aggregations kpis.ndjson
        fraudctl score --pipeline orders.yaml --input orders.ndjson --stream payments=payments.ndjson
        fraudctl score --pipeline pipeline.yaml --input archive/ --emit none --summary summary.json --rejected bad.ndjson
      """)

  @OptionGroup var definition: DefinitionOptions

  @Option(
    help: ArgumentHelp("Events: a file, a folder, or - for stdin. May be repeated.", valueName: "file|dir|-"),
    completion: .file())
  var input: [String] = ["-"]

  @Option(
    help: ArgumentHelp(
      "Events of a stream that the pipeline declares: a file or a folder. Once for each, or more.",
      valueName: "name=file|dir"))
  var stream: [String] = []

  @Option(help: "The inputs' format: \(InputFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
  var inputFormat: InputFormat?

  @Option(
    help: ArgumentHelp(
      "Where alerts or decisions go. A file is there when it is complete, this one and the others.", valueName: "file|-"
    ))
  var output = "-"

  @Option(help: "What is written: \(ScoreEmission.allCases.map(\.rawValue).joined(separator: ", ")).")
  var emit = ScoreEmission.alerts

  @Option(help: ArgumentHelp("Where rejected events go.", valueName: "file"))
  var rejected: String?

  @Option(help: ArgumentHelp("Where errors of rules go.", valueName: "file"))
  var errors: String?

  @Option(help: ArgumentHelp("Where the rows of the pipeline's aggregations go, as NDJSON.", valueName: "file|-"))
  var aggregations: String?

  @Option(help: ArgumentHelp("Threads (default: one a core).", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Where the summary goes, as one JSON object.", valueName: "file|-"))
  var summary: String?

  func validate() throws {
    if let threads, !(1...256).contains(threads) { throw ValidationError("--threads must be 1 to 256") }
  }

  func run() throws {
    try reporting {
      Interruption.watch()
      let loaded = try definition.load()
      loaded.sayThatItIsForEveryKey()
      let inputs: [String]
      do throws(StoreError) {
        inputs = try InputFiles.expand(input)
      } catch {
        throw Failure.invalid(error.message)
      }
      let streams = try streamFiles(of: loaded.pipeline.definition)
      let files = ScoreFiles(
        results: emit == .none ? nil : output, errors: errors, rejected: rejected,
        aggregations: aggregations)
      let start = ContinuousClock.now
      let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
      let result = try blocking { () async throws(StoreError) in
        guard streams.isEmpty else {
          return try StreamScoring(loaded.pipeline, lists: loaded.lists, emission: emit).run(
            inputs: inputs, streams: streams, format: inputFormat, files: files,
            isStopped: { Interruption.isRequested })
        }
        return try await FileScoring(loaded.pipeline, lists: loaded.lists, emission: emit).run(
          inputs: inputs, format: inputFormat, files: files, threads: count, isStopped: { Interruption.isRequested })
      }
      let seconds = start.duration(to: .now) / .seconds(1)
      if let summary {
        try write(result.json(seconds: seconds), to: summary)
      } else {
        ScoreReport(summary: result, seconds: seconds).write(to: Terminal.standardError)
      }
      if Interruption.isRequested { throw ExitCode.interrupted }
    }
  }

  /// The files of each stream that the pipeline declares, in its order.
  private func streamFiles(of definition: PipelineDefinition) throws -> [[String]] {
    let names = definition.streams.map(\.name)
    var files: [String: [String]] = [:]
    for option in stream {
      let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw ValidationError("--stream takes NAME=FILE, not '\(option)'") }
      guard names.contains(parts[0]) else {
        let hint = nearest(to: parts[0], among: names).map { ", did you mean '\($0)'?" } ?? ""
        throw ValidationError("pipeline \(definition.name) has no stream '\(parts[0])'\(hint)")
      }
      files[parts[0], default: []].append(parts[1])
    }
    return try names.map { name in
      guard let paths = files[name] else {
        throw ValidationError(
          "pipeline \(definition.name) reads the stream '\(name)': name its events with --stream \(name)=FILE,"
            + " or --stream \(name)=/dev/null for none")
      }
      do throws(StoreError) {
        return try InputFiles.expand(paths)
      } catch {
        throw Failure.invalid(error.message)
      }
    }
  }

  private func write(_ json: [UInt8], to path: String) throws {
    let text = String(decoding: json, as: UTF8.self) + "\n"
    if path == "-" {
      Terminal.standardOutput.write(text)
      return
    }
    try writeWhole(text, to: path)
  }
}

extension InputFormat: ExpressibleByArgument {}
extension ScoreEmission: ExpressibleByArgument {}

/// Waits on this thread, which is not of the cooperative pool, for what runs on others.
private func blocking<Result: Sendable>(
  _ body: @escaping @Sendable () async throws(StoreError) -> Result
) throws -> Result {
  let done = DispatchSemaphore(value: 0)
  let outcome = Mutex<Swift.Result<Result, StoreError>?>(nil)
  Task {
    do throws(StoreError) {
      let result = try await body()
      outcome.withLock { $0 = .success(result) }
    } catch {
      outcome.withLock { $0 = .failure(error) }
    }
    done.signal()
  }
  done.wait()
  guard let result = outcome.withLock({ $0 }) else { preconditionFailure("the task has set its outcome") }
  return try result.get()
}

/// A run's summary for people.
struct ScoreReport {
  var summary: RunSummary
  var seconds: Double

  func write(to terminal: Terminal) {
    let rate = seconds > 0 ? Int(Double(summary.events) / seconds) : 0
    terminal.line(
      terminal.styled(summary.pipeline, .bold)
        + "   \(grouped(summary.events)) events = \(grouped(summary.accepted)) accepted + "
        + "\(grouped(summary.rejectedCount)) rejected, \(grouped(summary.alerts)) alerts in "
        + String(format: "%.2f s", seconds) + " (\(grouped(rate)) events/s)")
    let reasons = RejectionReason.allCases.compactMap { reason in
      summary.rejected[reason].map { "\(grouped($0)) \(reason.rawValue)" }
    }
    if !reasons.isEmpty { terminal.line("rejected " + reasons.joined(separator: "   ")) }
    guard !summary.rules.isEmpty else { return }
    var table = Table(columns: [
      .init(title: "RULE", flexible: true), .init(title: "MODE"), .init(title: "MATCHES", alignment: .right),
    ])
    let hasErrors = summary.rules.contains { $0.errors > 0 }
    if hasErrors { table.columns.append(.init(title: "ERRORS", alignment: .right)) }
    if summary.positives != nil {
      table.columns += [.init(title: "PRECISION", alignment: .right), .init(title: "RECALL", alignment: .right)]
    }
    func ratios(_ hits: RunSummary.Hits) -> [String] {
      guard let positives = summary.positives else { return [] }
      return [hits.precision, hits.recall(of: positives)].map { ratio in
        ratio.map { String(format: "%.1f %%", $0 * 100) } ?? "-"
      }
    }
    for rule in summary.rules {
      table.rows.append(
        [rule.id, rule.mode.rawValue, grouped(rule.matches)] + (hasErrors ? [grouped(rule.errors)] : [])
          + ratios(rule.hits))
    }
    table.rows.append(
      ["decision", "", grouped(summary.decisions)] + (hasErrors ? [""] : []) + ratios(summary.decisionHits))
    table.write(to: terminal)
  }
}

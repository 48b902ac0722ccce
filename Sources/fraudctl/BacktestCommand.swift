import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl backtest`: what a pipeline would have found in archived events.
struct BacktestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backtest",
    abstract: "Run a pipeline over archived events, and compare it with another version.",
    discussion: """
      The identical engine, features and windows included, reads each partition's events in the order of their offsets. Events
      before --from fill the windows and are not counted: all that the archive has, or as far back as --warm-up says. --from and
      --to are about the event time; --to is the first instant that is left out.

      Precision, recall and money need labels: the pipeline's 'label' field, or a CSV file 'event_id,label' (true, false, 1, 0),
      which wins over the field event by event. Money is counted in the field 'amount' unless --amount-field names another.

      With --against, every event that the two versions decide otherwise is counted as gained, lost or changed (another score or
      verdict); the first \(BacktestReport.changesKept) of each kind are in the reports, all of them in --changes.

      EXAMPLES
        fraudctl backtest --pipeline new.yaml --archive .fraud/archive
        fraudctl backtest --pipeline new.yaml --against old.yaml --from 2025-03-01 --to 2025-04-01 --html report.html
        fraudctl backtest --pipeline new.yaml --labels chargebacks.csv --output alerts.ndjson --json
      """)

  @OptionGroup var definition: DefinitionOptions

  @Option(help: ArgumentHelp("The definition to compare with.", valueName: "file"), completion: .file())
  var against: String?

  @Option(help: ArgumentHelp("The archive's folder.", valueName: "dir"))
  var archive = ".fraud/archive"

  @Option(
    help: ArgumentHelp("The pipeline whose archived events are read (default: of the same name).", valueName: "name"))
  var eventsOf: String?

  @OptionGroup var time: TimeOptions

  @Option(
    help: ArgumentHelp(
      "How far before --from windows are filled, such as 30d (default: all of it).", valueName: "duration"))
  var warmUp: String?

  @Option(help: ArgumentHelp("Labels: a CSV file with event_id and label.", valueName: "file"), completion: .file())
  var labels: String?

  @Option(help: ArgumentHelp("The field that says what an event is worth.", valueName: "field"))
  var amountField: String?

  @Option(help: ArgumentHelp("Where the alerts go, as NDJSON.", valueName: "file|-"))
  var output: String?

  @Option(help: ArgumentHelp("Where all differences go, as NDJSON.", valueName: "file"))
  var changes: String?

  @Option(help: ArgumentHelp("Where a report with plots goes, one HTML file.", valueName: "file"))
  var html: String?

  @OptionGroup var format: OutputOptions

  func validate() throws {
    if let warmUp, parseDuration(warmUp) == nil { throw ValidationError("--warm-up needs a duration such as 30d") }
    if warmUp != nil, time.from == nil { throw ValidationError("--warm-up is about the time before --from") }
    if changes != nil, against == nil { throw ValidationError("--changes needs --against") }
    _ = try time.range()
  }

  func run() throws {
    try reporting {
      Interruption.watch()
      let tried = try version(definition.load(), of: definition.pipeline)
      let other = try against.map { try version(LoadedPipeline(file: $0), of: $0) }
      var settings = Backtest.Settings(archivedPipeline: try archivedPipeline(tried, other))
      settings.times = try time.range()
      settings.warmUp = warmUp.flatMap { parseDuration($0) }
      settings.amountField = try amount(tried)
      if let labels {
        guard tried.pipeline.definition.eventID != nil else {
          throw Failure.invalid("\(definition.pipeline): --labels needs 'event_id', by which labels find their events")
        }
        settings.labels = try LabelFile.read(labels)
      }
      let backtest = Backtest(ArchiveDirectory(root: archive), tried: tried, against: other, settings: settings)
      let start = ContinuousClock.now
      var progress = BacktestProgress()
      let report = try backtest.run(Backtest.Outputs(alerts: output, changes: changes)) { count in
        progress.show(count)
        return !Interruption.isRequested
      }
      progress.clear()
      let seconds = start.duration(to: .now) / .seconds(1)
      if let html {
        try writeWhole(BacktestPage(report: report).text, to: html)
      }
      if format.json {
        Terminal.standardOutput.line(String(decoding: report.json(seconds: seconds), as: UTF8.self))
      } else {
        BacktestText(report: report, seconds: seconds).write(
          to: output == "-" ? Terminal.standardError : Terminal.standardOutput)
      }
      if Interruption.isRequested { throw ExitCode.interrupted }
    }
  }

  private func version(_ loaded: LoadedPipeline, of file: String) throws -> Backtest.Version {
    if let stream = loaded.pipeline.definition.streams.first {
      throw Failure.invalid(
        "\(file) reads the stream '\(stream.name)', and the archive keeps the scored events alone: use"
          + " `fraudctl score --stream` with the streams' files")
    }
    loaded.sayThatItIsForEveryKey()
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return Backtest.Version(name: name, pipeline: loaded.pipeline, lists: loaded.lists)
  }

  private func archivedPipeline(_ tried: Backtest.Version, _ other: Backtest.Version?) throws -> String {
    guard FileManager.default.fileExists(atPath: archive) else {
      throw Failure.invalid("there is no archive at \(archive); name one with --archive")
    }
    let known = try ArchiveDirectory(root: archive).pipelines()
    let wanted = eventsOf.map { [$0] } ?? [tried, other].compactMap { $0?.pipeline.definition.name }
    if let name = wanted.first(where: { known.contains($0) }) { return name }
    throw Failure.invalid(
      "the archive \(archive) has no events of a pipeline '\(wanted[0])'; --events-of names one of "
        + (known.isEmpty ? "those it will have" : known.joined(separator: ", ")))
  }

  private func amount(_ version: Backtest.Version) throws -> String? {
    let layout = version.pipeline.layout
    guard let amountField else {
      let guess = layout.index(of: "amount").map { layout.columns[$0] }
      return guess.flatMap { $0.type == .float || $0.type == .integer ? $0.name : nil }
    }
    guard let column = layout.index(of: amountField) else {
      let hint = nearest(to: amountField, among: layout.columns.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
      throw Failure.invalid("--amount-field: unknown field '\(amountField)'\(hint)")
    }
    guard layout.columns[column].type == .float || layout.columns[column].type == .integer else {
      throw Failure.invalid("--amount-field: '\(amountField)' is no number")
    }
    return amountField
  }
}

/// A CSV file `event_id,label`.
enum LabelFile {
  /// Labels by event id.
  ///
  /// - Throws: ``Failure`` naming the line of what is no label.
  static func read(_ path: String) throws -> [String: Bool] {
    guard let data = FileManager.default.contents(atPath: path) else { throw Failure.invalid("cannot read \(path)") }
    let bytes = [UInt8](data)
    var labels: [String: Bool] = [:]
    var record = CSVRecord()
    var position = 0
    var line = 0
    var columns: (id: Int, label: Int)?
    while position < bytes.count, let next = record.read(bytes.span, from: position, isLast: true) {
      line += 1
      position = next
      if record.isBlank { continue }
      guard let found = columns else {
        let names = record.cells.indices.map { record.text($0) }
        guard let id = names.firstIndex(of: "event_id"), let label = names.firstIndex(of: "label") else {
          throw Failure.invalid(
            "\(path): the header names 'event_id' and 'label', not '\(names.joined(separator: ","))'")
        }
        columns = (id, label)
        continue
      }
      guard !record.isMalformed, max(found.id, found.label) < record.cells.count else {
        throw Failure.invalid("\(path), record \(line): not as many cells as the header has")
      }
      switch record.text(found.label).lowercased() {
      case "true", "1": labels[record.text(found.id)] = true
      case "false", "0": labels[record.text(found.id)] = false
      case "": continue
      case let text: throw Failure.invalid("\(path), record \(line): a label is true, false, 1 or 0, not '\(text)'")
      }
    }
    return labels
  }
}

/// A line on the terminal that says how far it is, five times a second.
private struct BacktestProgress {
  private let terminal = Terminal.standardError
  private var last: ContinuousClock.Instant?

  init() {}

  mutating func show(_ count: Int) {
    guard terminal.isInteractive, last.map({ $0.duration(to: .now) > .milliseconds(200) }) ?? true else { return }
    last = .now
    terminal.write("\r\u{1B}[K\(grouped(count)) events")
  }

  func clear() {
    if last != nil { terminal.write("\r\u{1B}[K") }
  }
}

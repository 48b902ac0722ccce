import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl archive`: the Parquet files that hold every accepted event.
struct ArchiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive",
    abstract: "List, check, show, export, compact and prune the archive of events.",
    discussion: """
      The archive is a folder of Parquet files that DuckDB, Spark, pyarrow and Athena read as one set:

        duckdb -c "SELECT pipeline, date, count(*) FROM '.fraud/archive/raw_transactions/**/*.parquet' GROUP BY ALL"
      """,
    subcommands: [
      ArchiveList.self, ArchiveVerify.self, ArchiveCat.self, ArchiveExport.self, ArchiveCompact.self,
      ArchiveDecide.self, ArchivePrune.self,
    ])
}

/// Which archive, and what of it.
struct ArchiveOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The archive's folder.", valueName: "dir"))
  var archive = ".fraud/archive"

  @Option(help: ArgumentHelp("Only this pipeline's files.", valueName: "name"))
  var pipeline: String?

  var directory: ArchiveDirectory {
    var directory = ArchiveDirectory(root: archive)
    directory.failpoint = Failpoints.archive
    return directory
  }

  var filter: ArchiveDirectory.Filter { ArchiveDirectory.Filter(pipeline: pipeline) }

  func requireFolder() throws {
    guard FileManager.default.fileExists(atPath: archive) else {
      throw Failure.invalid("there is no archive at \(archive); name one with --archive")
    }
  }
}

/// The days that files belong to.
struct DayOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The first day of the files.", valueName: "yyyy-mm-dd"))
  var from: String?

  @Option(help: ArgumentHelp("The last day of the files.", valueName: "yyyy-mm-dd"))
  var to: String?

  func days() throws -> ClosedRange<Int>? {
    guard from != nil || to != nil else { return nil }
    let first = try from.map(day) ?? Int.min
    let last = try to.map(day) ?? Int.max
    guard first <= last else { throw ValidationError("--from lies after --to") }
    return first...last
  }

  private func day(_ text: String) throws -> Int {
    guard let time = TimestampText.parse(text) else { throw ValidationError("'\(text)' is no date like 2025-03-01") }
    let quotient = time / TimestampText.microsecondsPerDay
    return Int(time % TimestampText.microsecondsPerDay < 0 ? quotient - 1 : quotient)
  }
}

/// Which times events are of.
struct TimeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The earliest time, such as 2025-03-01 or 2025-03-01T12:00:00Z.", valueName: "time"))
  var from: String?

  @Option(help: ArgumentHelp("The time before which events lie.", valueName: "time"))
  var to: String?

  /// In microseconds since 1970, both ends inclusive; `nil` for all.
  func range() throws -> ClosedRange<Int64>? {
    guard from != nil || to != nil else { return nil }
    func time(_ text: String) throws -> Int64 {
      guard let time = TimestampText.parse(text) else {
        throw ValidationError("'\(text)' is no time like 2025-03-01 or 2025-03-01T12:00:00Z")
      }
      return time
    }
    let first = try from.map(time) ?? Int64.min
    let end = try to.map(time) ?? Int64.max
    guard first < end else { throw ValidationError("--from does not lie before --to") }
    return first...(to == nil ? end : end - 1)
  }
}

struct ArchiveList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List the archive's files.",
    discussion: """
      EXAMPLES
        fraudctl archive ls --pipeline card-payments --from 2025-03-01
        fraudctl archive ls --json
      """)

  @OptionGroup var place: ArchiveOptions
  @OptionGroup var time: DayOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try reporting {
      try place.requireFolder()
      var filter = place.filter
      filter.days = try time.days()
      let directory = place.directory
      let files = try directory.files(filter)
      if output.json {
        for file in files { Terminal.standardOutput.line(json(file, directory)) }
        return
      }
      var table = Table(columns: [
        .init(title: "pipeline"), .init(title: "date"), .init(title: "topic", flexible: true),
        .init(title: "partition", alignment: .right), .init(title: "first offset", alignment: .right),
        .init(title: "last offset", alignment: .right), .init(title: "bytes", alignment: .right),
      ])
      for file in files {
        table.rows.append([
          file.pipeline, file.date, file.topic, String(file.partition), String(file.offsets.lowerBound),
          String(file.offsets.upperBound), grouped(directory.byteCount(of: file)),
        ])
      }
      table.write(to: .standardOutput)
      let bytes = files.reduce(0) { $0 + directory.byteCount(of: $1) }
      Terminal.standardError.line("\n  \(grouped(files.count)) files, \(grouped(bytes)) bytes")
    }
  }

  private func json(_ file: ArchiveFile, _ directory: ArchiveDirectory) -> String {
    var text = Array("{\"path\":".utf8)
    JSONText.append(string: file.path, to: &text)
    text += Array(",\"pipeline\":".utf8)
    JSONText.append(string: file.pipeline, to: &text)
    text += Array(",\"date\":\"\(file.date)\",\"topic\":".utf8)
    JSONText.append(string: file.topic, to: &text)
    text += Array(
      ",\"partition\":\(file.partition),\"first_offset\":\(file.offsets.lowerBound),".utf8)
    text += Array("\"last_offset\":\(file.offsets.upperBound),\"bytes\":\(directory.byteCount(of: file))}".utf8)
    return String(decoding: text, as: UTF8.self)
  }
}

struct ArchiveVerify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every file whole and check it.",
    discussion: """
      Checks digests, page checksums, every value, that each file holds the events its name says, and that no event is in
      two files. Exit code 65 where something is wrong.

      EXAMPLES
        fraudctl archive verify --pipeline card-payments
      """)

  @OptionGroup var place: ArchiveOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try reporting {
      try place.requireFolder()
      let result = try place.directory.verify(place.filter)
      if output.json {
        var text = Array("{\"files\":\(result.fileCount),\"events\":\(result.rowCount),\"problems\":[".utf8)
        for (index, problem) in result.problems.enumerated() {
          text += Array(((index > 0 ? "," : "") + "{\"path\":").utf8)
          JSONText.append(string: problem.path, to: &text)
          text += Array(",\"message\":".utf8)
          JSONText.append(string: problem.message, to: &text)
          text.append(UInt8(ascii: "}"))
        }
        Terminal.standardOutput.line(String(decoding: text, as: UTF8.self) + "]}")
      } else {
        for problem in result.problems {
          Terminal.standardOutput.line("\(problem.path): \(printable(problem.message))")
        }
        Terminal.standardError.message(
          "\(grouped(result.fileCount)) files, \(grouped(Int(result.rowCount))) events, "
            + (result.problems.isEmpty ? "no problem" : "\(grouped(result.problems.count)) problems"),
          style: result.problems.isEmpty ? .success : .failure)
      }
      if !result.problems.isEmpty { throw ExitCode.invalidInput }
    }
  }
}

struct ArchiveCat: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cat", abstract: "Show the rows of any Parquet files as NDJSON.",
    discussion: """
      Reads flat columns of any encoding, uncompressed or with snappy or zstd. Page checksums are not verified, so that
      what is left of a damaged file can be looked at; `archive verify` does that.

      EXAMPLES
        fraudctl archive cat .fraud/archive --limit 10
        fraudctl archive cat events.parquet --columns customer_id,amount
      """)

  @Argument(help: ArgumentHelp("Files, or folders with them.", valueName: "path"))
  var paths: [String]

  @Option(help: ArgumentHelp("Rows to show at most.", valueName: "n"))
  var limit: Int?

  @Option(help: ArgumentHelp("The columns to show, separated by commas (default: all).", valueName: "names"))
  var columns: String?

  func run() throws {
    try reporting {
      var left = limit ?? Int.max
      for path in try InputFiles.expand(paths) where left > 0 {
        try show(try ParquetFile(path: path), path, &left)
      }
    }
  }

  private func show(_ file: ParquetFile, _ path: String, _ left: inout Int) throws {
    let wanted = try columns.map { names in
      try names.split(separator: ",").map { name in
        guard let column = file.column(named: String(name)) else {
          throw Failure.invalid("\(path) has no flat column '\(name)'")
        }
        return column
      }
    }
    let names = (wanted ?? Array(file.columns.indices)).map { column in
      var text: [UInt8] = []
      JSONText.append(string: file.columns[column].name, to: &text)
      return text + [UInt8(ascii: ":")]
    }
    var reader = try ParquetRowReader(file, columns: wanted, verifiesChecksums: false)
    var text: [UInt8] = []
    while left > 0, let values = try reader.next() {
      text.append(UInt8(ascii: "{"))
      for (index, value) in values.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        text += names[index]
        value.appendJSON(to: &text)
      }
      text += [UInt8(ascii: "}"), UInt8(ascii: "\n")]
      left -= 1
      if text.count > 1 << 16 {
        Terminal.standardOutput.write(String(decoding: text, as: UTF8.self))
        text.removeAll(keepingCapacity: true)
      }
    }
    Terminal.standardOutput.write(String(decoding: text, as: UTF8.self))
  }
}

struct ArchiveCompact: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact", abstract: "Merge small files of one partition and day.",
    discussion: """
      Replaced files move to the archive's `_replaced` folder, where readers with an older listing find them for 168
      hours; `archive prune` removes them then.

      EXAMPLES
        fraudctl archive compact --dry-run
        fraudctl archive compact --sort-by customer_id
      """)

  @OptionGroup var place: ArchiveOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Fields to sort each merged file by, separated by commas.", valueName: "fields"))
  var sortBy: String?

  @Flag(help: "Say what would be merged, and change nothing.")
  var dryRun = false

  func run() throws {
    try reporting {
      try place.requireFolder()
      var compaction = ArchiveDirectory.Compaction()
      compaction.sortBy = sortBy?.split(separator: ",").map(String.init) ?? []
      compaction.isDryRun = dryRun
      let merges = try place.directory.compact(compaction, place.filter)
      for merge in merges {
        if output.json {
          var text = Array("{\"result\":".utf8)
          JSONText.append(string: merge.result.path, to: &text)
          text += Array(",\"replaced\":\(merge.replaced.count),\"events\":\(merge.rowCount)}".utf8)
          Terminal.standardOutput.line(String(decoding: text, as: UTF8.self))
        } else {
          Terminal.standardOutput.line(
            "\(merge.result.path)  \(grouped(merge.replaced.count)) files, \(grouped(Int(merge.rowCount))) events")
        }
      }
      let files = merges.reduce(0) { $0 + $1.replaced.count }
      Terminal.standardError.message(
        "\(grouped(files)) files \(dryRun ? "would become" : "became") \(grouped(merges.count))")
    }
  }
}

struct ArchiveDecide: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decide", abstract: "Keep the decisions of all archived events as Parquet files.",
    discussion: """
      Decides every archived event that has no decision yet, in the order of each partition, and writes what was decided to
      the archive's folder fraud_detection, and rows of aggregations to aggregations. `process --archive` does the same where
      the pipeline says archive: {decisions: true}; this is for events that were archived before. What is decided stays.

      EXAMPLES
        fraudctl archive decide --pipeline pipeline.yaml
        duckdb -c "SELECT decision, count(*) FROM '.fraud/archive/fraud_detection/**/*.parquet' GROUP BY ALL"
      """)

  @Option(help: ArgumentHelp("The archive's folder.", valueName: "dir"))
  var archive = ".fraud/archive"

  @Option(help: ArgumentHelp("The definition that decides, YAML or JSON.", valueName: "file"), completion: .file())
  var pipeline: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    try reporting {
      Interruption.watch()
      guard FileManager.default.fileExists(atPath: archive) else {
        throw Failure.invalid("there is no archive at \(archive); name one with --archive")
      }
      let loaded = try LoadedPipeline(file: pipeline)
      loaded.sayThatItIsForEveryKey()
      var keeper = DecisionKeeper(
        ArchiveDirectory(root: archive), pipeline: loaded.pipeline, version: nil, lists: loaded.lists)
      try keeper.step { Interruption.isRequested }
      if output.json {
        Terminal.standardOutput.line("{\"files\":\(keeper.fileCount),\"complete\":\(!Interruption.isRequested)}")
      } else {
        Terminal.standardError.message("\(grouped(keeper.fileCount)) files of decisions written", style: .success)
      }
      if Interruption.isRequested { throw ExitCode.interrupted }
    }
  }
}

struct ArchivePrune: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Remove files of days long past, and leftovers.",
    discussion: """
      Says what would be removed; with --yes it is removed. Without --older-than only leftovers are: files that a
      compaction replaced and unfinished files of crashed processes, both after 168 hours.

      EXAMPLES
        fraudctl archive prune --older-than 90d
        fraudctl archive prune --older-than 90d --yes
      """)

  @OptionGroup var place: ArchiveOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Remove files of days that ended longer ago.", valueName: "days"))
  var olderThan: String?

  @Flag(help: "Remove them, and not only say so.")
  var yes = false

  func run() throws {
    try reporting {
      try place.requireFolder()
      let now = Int(Date().timeIntervalSince1970)
      let firstDay = try olderThan.map { now / 86_400 - (try days($0)) }
      let pruning = try place.directory.prune(keepingFrom: firstDay, now: now, dryRun: !yes, place.filter)
      let paths = pruning.expired.map(\.path) + pruning.besides + pruning.leftovers
      if output.json {
        for path in paths {
          var text = Array("{\"path\":".utf8)
          JSONText.append(string: path, to: &text)
          Terminal.standardOutput.line(String(decoding: text, as: UTF8.self) + ",\"removed\":\(yes)}")
        }
      } else {
        for path in paths { Terminal.standardOutput.line(path) }
      }
      Terminal.standardError.message(
        "\(grouped(paths.count)) files, \(grouped(pruning.byteCount)) bytes "
          + (yes ? "removed" : "would be removed; --yes removes them"))
    }
  }

  private func days(_ text: String) throws -> Int {
    guard text.hasSuffix("d"), let days = Int(text.dropLast()), (0...1_000_000).contains(days) else {
      throw ValidationError("--older-than takes days like 90d, not '\(text)'")
    }
    return days
  }
}

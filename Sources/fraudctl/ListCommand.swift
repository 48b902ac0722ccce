import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl list …`: lists of pipelines, changed while they run.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show and change the lists of a pipeline while it runs.",
    discussion: """
      A change makes a new version of the pipeline, which every processor takes up at a batch boundary within about a
      second. Who changed what and why is in the audit log. Applying the definition's file again keeps the changes.

      EXAMPLES
        fraudctl list add blocked_customers 4711 --pipeline card-payments --expires 7d --reason 'case 812'
        fraudctl list remove blocked_customers 4711 --pipeline card-payments
        fraudctl list import blocked_customers blocked.txt --pipeline card-payments --replace
        fraudctl list show --pipeline card-payments
        fraudctl list show blocked_customers --pipeline card-payments --json
      """,
    subcommands: [Show.self, Add.self, Remove.self, Import.self])

  /// Which list, and why it is changed.
  struct Target: ParsableArguments {
    @Argument(help: "The list's name.") var list: String
    @Option(help: ArgumentHelp("The pipeline's name or number.", valueName: "pipeline")) var pipeline: String
    @Option(help: "Why, kept with each value and in the audit log.") var reason: String?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func change(_ change: ListChange) throws {
      let changed = try withDatabase(database) { connection, _ in
        try ListStore.change(
          pipeline, list: list, change, author: currentUser(), reason: reason, on: &connection)
      }
      if output.json {
        var object = JSONObjectText()
        object.append("pipeline", changed.pipeline)
        object.append("version", Int64(changed.version))
        object.append("list", changed.list)
        object.append("added", Int64(changed.added))
        object.append("removed", Int64(changed.removed))
        object.append("count", Int64(changed.count))
        Terminal.standardOutput.line(object.finished)
      } else {
        Terminal.standardOutput.line(
          "list \(changed.list) of \(changed.pipeline): \(grouped(changed.added)) added, \(grouped(changed.removed))"
            + " removed, \(grouped(changed.count)) values; version \(changed.version) is in force")
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show what lists hold: how many values each, or the values of one.",
      discussion: """
        EXAMPLES
          fraudctl list show --pipeline card-payments
          fraudctl list show blocked_customers --pipeline card-payments --json
        """)

    @Argument(help: "The list's name; without it all, with their counts.") var list: String?
    @Option(help: ArgumentHelp("The pipeline's name or number.", valueName: "pipeline")) var pipeline: String
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let lists = try withDatabase(database) { connection, _ in
          try ListStore.expire(on: &connection)
          return try ListStore.show(pipeline, list: list, on: &connection)
        }
        guard let lists else { throw Failure.failed("there is no pipeline \(printable(pipeline))") }
        if let list {
          guard let found = lists.first else {
            throw Failure.failed("pipeline \(printable(pipeline)) has no list \(printable(list))")
          }
          show(found.entries)
        } else if output.json {
          for list in lists {
            var object = JSONObjectText()
            object.append("list", list.name)
            object.append("type", list.type.rawValue)
            object.append("count", Int64(list.entries.count))
            Terminal.standardOutput.line(object.finished)
          }
        } else if lists.isEmpty {
          Terminal.standardError.message("pipeline \(printable(pipeline)) has no lists")
        } else {
          var table = Table(columns: [
            .init(title: "LIST"), .init(title: "TYPE"), .init(title: "VALUES", alignment: .right),
          ])
          table.rows = lists.map { [$0.name, $0.type.rawValue, grouped($0.entries.count)] }
          table.write(to: .standardOutput)
        }
      }
    }

    private func show(_ entries: [ListEntry]) {
      if output.json {
        for entry in entries {
          var object = JSONObjectText()
          object.append("value", entry.value)
          object.append("expires_at", timestamp: entry.expiresAt)
          object.append("reason", entry.reason)
          object.append("who", entry.who)
          object.append("changed_at", timestamp: entry.changedAt)
          Terminal.standardOutput.line(object.finished)
        }
        return
      }
      var table = Table(columns: [
        .init(title: "VALUE", flexible: true), .init(title: "EXPIRES (UTC)"), .init(title: "CHANGED (UTC)"),
        .init(title: "BY"), .init(title: "REASON", flexible: true),
      ])
      table.rows = entries.map { entry in
        [
          entry.value, shortTime(entry.expiresAt), shortTime(entry.changedAt), entry.who ?? "definition",
          entry.reason ?? "",
        ]
      }
      table.write(to: .standardOutput)
    }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "add", abstract: "Add values to a list.",
      discussion: """
        A value that is there already gets the new expiry and reason. `fraudctl process` takes values out when their time
        is over.

        EXAMPLES
          fraudctl list add blocked_customers 4711 4712 --pipeline card-payments --expires 7d --reason 'case 812'
          fraudctl list add vpn_ranges 10.1.0.0/16 --pipeline card-payments --expires 2026-12-31
        """)

    @OptionGroup var target: Target
    @Argument(help: "The values.") var values: [String]
    @Option(help: ArgumentHelp("When they go: a duration from now, or an instant (UTC).", valueName: "7d|instant"))
    var expires: Since?

    func run() throws {
      try reporting { try target.change(.add(values, expiresAt: expires?.ahead)) }
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove", abstract: "Take values out of a list.",
      discussion: "They stay out when the definition's file, which may still have them, is applied again.")

    @OptionGroup var target: Target
    @Argument(help: "The values.") var values: [String]

    func run() throws {
      try reporting { try target.change(.remove(values)) }
    }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "import", abstract: "Add the values of a file to a list, one a line; or make it hold just these.",
      discussion: """
        EXAMPLES
          fraudctl list import blocked_customers blocked.txt --pipeline card-payments
          zcat blocked.gz | fraudctl list import blocked_customers - --pipeline card-payments --replace
        """)

    @OptionGroup var target: Target
    @Argument(help: "The file; - is stdin.", completion: .file()) var file: String
    @Flag(help: "Take everything else out.") var replace = false
    @Option(help: ArgumentHelp("When they go: a duration from now, or an instant (UTC).", valueName: "7d|instant"))
    var expires: Since?

    func run() throws {
      try reporting {
        let values = try read()
        let expiry = expires?.ahead
        try target.change(replace ? .replace(values, expiresAt: expiry) : .add(values, expiresAt: expiry))
      }
    }

    private func read() throws -> [String] {
      let data =
        file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: file)
      guard let data else { throw Failure.invalid("cannot read \(file)") }
      guard let text = String(validating: data, as: UTF8.self) else { throw Failure.invalid("\(file) is not UTF-8") }
      return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        .filter { !$0.isEmpty }
    }
  }
}

extension Since {
  /// The instant that a span from now, or the instant itself, is at; in microseconds since 1970.
  fileprivate var ahead: Int64 {
    switch self {
    case .ago(let duration): Int64(Date().timeIntervalSince1970 * 1_000_000) + duration
    case .instant(let instant): instant
    }
  }
}

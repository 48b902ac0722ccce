import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl alerts …`: what has alerted.
struct AlertsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "alerts",
    abstract: "List, show, follow and count alerts.",
    discussion: """
      EXAMPLES
        fraudctl alerts list --severity critical --since 1h
        fraudctl alerts list --pipeline card-payments --where customer_id=42 --json
        fraudctl alerts show 17
        fraudctl alerts tail
        fraudctl alerts summary --key customer_id
      """,
    subcommands: [List.self, Show.self, Tail.self, Summary.self])

  /// Which alerts are asked for.
  struct FilterOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp("Only this severity. May be repeated.", valueName: "critical|warning|info"),
      transform: { text in
        guard let severity = Severity(rawValue: text) else { throw ValidationError("it is critical, warning or info") }
        return severity
      })
    var severity: [Severity] = []
    @Option(help: ArgumentHelp("Only this rule, by id or number. May be repeated.", valueName: "rule"))
    var rule: [String] = []
    @Option(help: ArgumentHelp("Only this pipeline, by name or number. May be repeated.", valueName: "pipeline"))
    var pipeline: [String] = []
    @Option(
      name: .customLong("where"),
      help: ArgumentHelp("Only events whose field has this text. May be repeated.", valueName: "field=value"))
    var conditions: [FieldCondition] = []
    @Option(
      help: ArgumentHelp(
        "Only alerts written since then: a duration before now, or an instant (UTC).", valueName: "1h|instant"))
    var since: Since?
    @Flag(help: "Alerts of rules in shadow mode in place of those in force.")
    var shadow = false

    var filter: AlertFilter {
      var filter = AlertFilter()
      filter.severities = severity.map(\.rawValue)
      filter.rules = rule
      filter.pipelines = pipeline
      filter.fields = conditions.map { ($0.field, $0.value) }
      filter.age = since?.ago
      filter.since = since?.instant
      filter.shadow = shadow
      return filter
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List alerts, the newest first.",
      discussion: """
        EXAMPLES
          fraudctl alerts list --severity critical --limit 10
          fraudctl alerts list --rule FR-002 --since 2026-01-31T12:00:00Z
          fraudctl alerts list --where customer_id=42 --json
        """)

    @OptionGroup var filters: FilterOptions
    @Option(help: "How many at most.") var limit = 20
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard limit > 0 else { throw ValidationError("--limit must be at least 1") }
    }

    func run() throws {
      try reporting {
        let alerts = try withDatabase(database) { connection, _ in
          try AlertStore.list(filters.filter, limit: limit, on: &connection)
        }
        if output.json {
          for alert in alerts { Terminal.standardOutput.line(alert.json) }
        } else if alerts.isEmpty {
          Terminal.standardError.message("no alerts")
        } else {
          alertTable(alerts).write(to: .standardOutput)
        }
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show everything about one alert.",
      discussion: """
        EXAMPLES
          fraudctl alerts show 17
          fraudctl alerts show 1b4e28ba-2fa1-11d2-883f-0016d3cca427 --json
        """)

    @Argument(help: "The alert's number or its alert_id.") var alert: String
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let found = try withDatabase(database) { connection, _ in
          try AlertStore.find(alert, on: &connection)
        }
        guard let found else { throw Failure.failed("there is no alert \(printable(alert))") }
        if output.json {
          Terminal.standardOutput.line(found.json)
        } else {
          showMembers(of: found.json, severity: found.severity)
        }
      }
    }
  }

  struct Tail: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "tail", abstract: "Show the newest alerts and those that follow, until Ctrl-C.",
      discussion: """
        EXAMPLES
          fraudctl alerts tail --severity critical
          fraudctl alerts tail --json | jq .transaction_data
        """)

    @OptionGroup var filters: FilterOptions
    @Option(name: [.short, .customLong("lines")], help: "How many of the newest to begin with.") var lines = 10
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard lines >= 0 else { throw ValidationError("--lines must not be negative") }
    }

    func run() throws {
      try reporting {
        try withDatabase(database) { connection, _ in
          var follower = try AlertFollower(filters.filter, on: &connection)
          var shown = lines == 0 ? [] : try AlertStore.list(filters.filter, limit: lines, on: &connection).reversed()
          while true {
            for alert in shown { Terminal.standardOutput.line(output.json ? alert.json : alertLine(alert)) }
            if Interruption.isRequested { return }
            usleep(500_000)
            shown = try follower.next(on: &connection)
          }
        }
      }
    }
  }

  struct Summary: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "summary", abstract: "Count alerts by severity and rule, and rank the keys with the most.",
      discussion: """
        EXAMPLES
          fraudctl alerts summary
          fraudctl alerts summary --pipeline card-payments --key merchant --since 24h
        """)

    @OptionGroup var filters: FilterOptions
    @Option(help: ArgumentHelp("The event field to rank (default: the pipeline's key).", valueName: "field"))
    var key: String?
    @Option(help: "How many keys to rank.") var top = 10
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
      guard top > 0 else { throw ValidationError("--top must be at least 1") }
    }

    func run() throws {
      try reporting {
        try withDatabase(database) { connection, _ in
          let filter = filters.filter
          let severities = try AlertStore.countBySeverity(filter, on: &connection)
          let rules = try AlertStore.countByRule(filter, on: &connection)
          let field = try key ?? declaredKey(&connection)
          let keys = try field.map { try AlertStore.rank(field: $0, filter, limit: top, on: &connection) } ?? []
          if output.json {
            showJSON(severities, rules, field, keys)
          } else {
            showTables(severities, rules, field, keys)
          }
        }
      }
    }

    /// The key that the pipelines asked for declare, where it is the same one.
    private func declaredKey(_ connection: inout PostgresConnection) throws -> String? {
      var keys: Set<String> = []
      for pipeline in try PipelineStore.list(on: &connection) {
        let isAskedFor =
          filters.pipeline.isEmpty || filters.pipeline.contains(pipeline.name)
          || filters.pipeline.contains(String(pipeline.id))
        guard isAskedFor, let definition = try? DefinitionValue(json: Array(pipeline.definition.utf8)),
          case .object(let members) = definition.content
        else { continue }
        if case .string(let key) = members.first(where: { $0.key == "key" })?.value.content { keys.insert(key) }
      }
      return keys.count == 1 ? keys.first : nil
    }

    private func showJSON(
      _ severities: [AlertCount], _ rules: [AlertCount], _ field: String?, _ keys: [AlertCount]
    ) {
      func array(_ counts: [AlertCount], _ name: String) -> String {
        jsonArray(
          counts.map { count in
            var object = JSONObjectText()
            object.append(name, count.name)
            if name == "rule" { object.append("description", count.detail) }
            object.append("alerts", count.alerts)
            object.append("events", count.events)
            object.append("last", timestamp: count.last)
            return object.finished
          })
      }
      var object = JSONObjectText()
      object.append("alerts", severities.reduce(0) { $0 + $1.alerts })
      object.append("by_severity", json: array(severities, "severity"))
      object.append("by_rule", json: array(rules, "rule"))
      object.append("key", field)
      object.append("by_key", json: array(keys, "value"))
      Terminal.standardOutput.line(object.finished)
    }

    private func showTables(
      _ severities: [AlertCount], _ rules: [AlertCount], _ field: String?, _ keys: [AlertCount]
    ) {
      let terminal = Terminal.standardOutput
      terminal.line("\(grouped(Int(severities.reduce(0) { $0 + $1.alerts }))) alerts")
      func write(_ title: String, _ counts: [AlertCount], details: Bool, style: @escaping (Int, Int) -> Terminal.Style)
      {
        if counts.isEmpty { return }
        terminal.line()
        var table = Table(columns: [
          .init(title: title, flexible: true), .init(title: "ALERTS", alignment: .right),
          .init(title: "EVENTS", alignment: .right), .init(title: "LAST (UTC)"),
        ])
        if details { table.columns.append(.init(title: "DESCRIPTION", flexible: true)) }
        table.style = style
        table.rows = counts.map { count in
          [count.name, grouped(Int(count.alerts)), grouped(Int(count.events)), shortTime(count.last)]
            + (details ? [count.detail ?? ""] : [])
        }
        table.write(to: terminal)
      }
      write("SEVERITY", severities, details: false) { row, column in
        column == 0 ? style(ofSeverity: severities[row].name) : .plain
      }
      write("RULE", rules, details: true) { _, _ in .plain }
      if let field { write(field.uppercased(), keys, details: false) { _, _ in .plain } }
    }
  }
}

/// Alerts as a table that fits the terminal.
func alertTable(_ alerts: [StoredAlert]) -> Table {
  var table = Table(columns: [
    .init(title: "ID", alignment: .right), .init(title: "WRITTEN (UTC)"), .init(title: "SEVERITY"),
    .init(title: "PIPELINE", flexible: true), .init(title: "EVENT", flexible: true),
    .init(title: "RULE", flexible: true), .init(title: "DESCRIPTION", flexible: true),
  ])
  table.rows = alerts.map { alert in
    [
      String(alert.id), shortTime(alert.createdAt), alert.severity, alert.pipeline, alert.eventID ?? "",
      alert.ruleID ?? "", alert.ruleDescription ?? "",
    ]
  }
  table.style = { row, column in column == 2 ? style(ofSeverity: alerts[row].severity) : .plain }
  return table
}

/// An alert on one line, for a list that grows.
private func alertLine(_ alert: StoredAlert) -> String {
  let severity = alert.severity.padding(toLength: 8, withPad: " ", startingAt: 0)
  return Terminal.standardOutput.styled(shortTime(alert.createdAt), .dim) + "  "
    + Terminal.standardOutput.styled(severity, style(ofSeverity: alert.severity)) + "  "
    + printable(
      [alert.pipeline, alert.eventID, alert.ruleID, alert.ruleDescription].compactMap(\.self).joined(separator: "  "))
}

/// The members of a JSON object below each other; objects within are indented.
func showMembers(of json: String, severity: String = "") {
  guard let value = try? DefinitionValue(json: Array(json.utf8)), case .object(let members) = value.content else {
    Terminal.standardOutput.line(json)
    return
  }
  let width = members.map(\.key.count).max() ?? 0
  for member in members {
    let name = member.key.padding(toLength: width, withPad: " ", startingAt: 0)
    var lines: [String] = []
    describe(member.value, depth: 0, to: &lines)
    let first = lines.first ?? ""
    let shown = member.key == "severity" ? style(ofSeverity: severity) : .plain
    Terminal.standardOutput.line(
      "  " + Terminal.standardOutput.styled(name, .bold) + "  " + Terminal.standardOutput.styled(first, shown))
    for line in lines.dropFirst() { Terminal.standardOutput.line(String(repeating: " ", count: width + 4) + line) }
  }
}

/// A value over as many lines as its members need. Reading has bounded its depth.
private func describe(_ value: DefinitionValue, depth: Int, to lines: inout [String]) {
  let indent = String(repeating: "  ", count: depth)
  func add(_ members: [(name: String, value: DefinitionValue)]) {
    for member in members {
      switch member.value.content {
      case .object(let inner) where !inner.isEmpty:
        lines.append(indent + printable(member.name) + ":")
        describe(member.value, depth: depth + 1, to: &lines)
      case .array(let inner) where !inner.isEmpty:
        lines.append(indent + printable(member.name) + ":")
        describe(member.value, depth: depth + 1, to: &lines)
      default: lines.append(indent + printable(member.name) + ": " + scalarText(member.value))
      }
    }
  }
  switch value.content {
  case .object(let members): add(members.map { ($0.key, $0.value) })
  case .array(let elements): add(elements.enumerated().map { ("\($0.offset + 1)", $0.element) })
  default: lines.append(indent + scalarText(value))
  }
}

private func scalarText(_ value: DefinitionValue) -> String {
  switch value.content {
  case .null: "–"
  case .string(let text): printable(text)
  default: value.canonicalJSON
  }
}

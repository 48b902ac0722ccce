import Foundation
import FraudCore
import FraudStore

/// What the demo shows at its end, read from the database: so it is the same after every run.
enum DemoReport {
  struct Counts {
    var accepted = 0
    var rejected = 0
    var events: Int { accepted + rejected }
  }

  /// Events of a pipeline that were processed, all runs together.
  static func counts(of pipeline: Int, on connection: inout PostgresConnection) throws -> Counts {
    let rows = try connection.query(
      "SELECT coalesce(sum(accepted), 0)::bigint, coalesce(sum(rejected), 0)::bigint FROM fraud.partitions WHERE pipeline_id = $1",
      [.integer(Int64(pipeline))])
    return Counts(
      accepted: Int(try rows.required(rows.integer(0, 0))), rejected: Int(try rows.required(rows.integer(0, 1))))
  }

  /// Messages that a file gives.
  static func recordCount(of path: String, schema: Schema) throws -> Int {
    let input = try MessageInput(path: path, schema: schema)
    var message: [UInt8] = []
    var problem: String?
    var count = 0
    while try input.next(into: &message, problem: &problem) {
      if problem == nil { count += 1 }
    }
    return count
  }

  /// - Parameter pace: how long this run took and how fast it was; `nil` when an earlier run had done it all.
  static func show(
    _ applied: AppliedPipeline, _ pipeline: Pipeline, pace: String?, address: PostgresAddress,
    database: DatabaseOptions, on connection: inout PostgresConnection
  ) throws {
    let terminal = Terminal.standardOutput
    let counts = try counts(of: applied.id, on: &connection)
    terminal.line()
    terminal.line(
      terminal.styled("\(applied.name), version \(applied.version)", .bold)
        + "   \(grouped(counts.events)) events = \(grouped(counts.accepted)) accepted + \(grouped(counts.rejected)) rejected"
        + (pace.map { terminal.styled("   " + $0, .dim) } ?? ""))
    var filter = AlertFilter()
    filter.pipelines = [applied.name]
    let bySeverity = try AlertStore.countBySeverity(filter, on: &connection)
    terminal.line(
      "alerts   "
        + bySeverity.map { terminal.styled("\(grouped(Int($0.alerts))) \($0.name)", style(ofSeverity: $0.name)) }
        .joined(separator: "   "))
    try showRejected(applied.id, terminal, on: &connection)
    try showRules(applied.id, pipeline, terminal, on: &connection)
    try showLatest(filter, terminal, on: &connection)
    terminal.line()
    let data = database.place.data == ".fraud" ? "" : " --data \(database.place.data)"
    terminal.line(terminal.styled("Where it is", .bold) + "   PostgreSQL, schema fraud: \(address)")
    terminal.line(terminal.styled("Try next", .bold))
    terminal.line("  fraudctl alerts list --severity critical --limit 5\(data)")
    terminal.line("  fraudctl alerts summary\(data)")
    terminal.line(
      "  fraudctl score --pipeline Examples/Pipelines/card-payments.yaml --input Examples/Data/sparkov.csv.zst --output alerts.ndjson --summary -"
    )
  }

  private static func showRejected(
    _ pipeline: Int, _ terminal: Terminal, on connection: inout PostgresConnection
  ) throws {
    let rows = try connection.query(
      "SELECT reason, count(*) FROM fraud.rejected_events WHERE pipeline_id = $1 GROUP BY reason ORDER BY count(*) DESC",
      [.integer(Int64(pipeline))])
    guard rows.rowCount > 0 else { return }
    var parts: [String] = []
    for row in 0..<rows.rowCount {
      parts.append("\(grouped(Int(try rows.required(rows.integer(row, 1))))) \(try rows.text(row, 0) ?? "")")
    }
    terminal.line("rejected " + parts.joined(separator: "   "))
  }

  /// Each rule's alerts against the label in the events.
  private static func showRules(
    _ id: Int, _ pipeline: Pipeline, _ terminal: Terminal, on connection: inout PostgresConnection
  ) throws {
    guard let label = pipeline.definition.label else { return }
    let rows = try connection.query(
      """
      SELECT coalesce(rule_id, ''), count(*),
        count(*) FILTER (WHERE transaction_data->>$2 IN ('1', 'true'))
      FROM fraud.alerts WHERE pipeline_id = $1 GROUP BY 1
      UNION ALL
      SELECT '', count(DISTINCT (topic, partition, "offset")),
        count(DISTINCT (topic, partition, "offset")) FILTER (WHERE transaction_data->>$2 IN ('1', 'true'))
      FROM fraud.alerts WHERE pipeline_id = $1
      """, [.integer(Int64(id)), .text(label)])
    let positives = try connection.query(
      "SELECT coalesce(sum(positives), 0)::bigint FROM fraud.partitions WHERE pipeline_id = $1", [.integer(Int64(id))])
    let fraud = try positives.required(positives.integer(0, 0))
    var found: [String: (alerts: Int64, hits: Int64)] = [:]
    for row in 0..<rows.rowCount {
      found[try rows.text(row, 0) ?? ""] = (
        try rows.required(rows.integer(row, 1)), try rows.required(rows.integer(row, 2))
      )
    }
    terminal.line()
    var table = Table(columns: [
      .init(title: "RULE"), .init(title: "SEVERITY"), .init(title: "ALERTS", alignment: .right),
      .init(title: "FRAUD", alignment: .right), .init(title: "PRECISION", alignment: .right),
      .init(title: "RECALL", alignment: .right), .init(title: "WHAT IT MEANS", flexible: true),
    ])
    func row(_ name: String, _ severity: String, _ what: String, _ count: (alerts: Int64, hits: Int64)) -> [String] {
      [
        name, severity, grouped(Int(count.alerts)), grouped(Int(count.hits)),
        count.alerts == 0 ? "-" : String(format: "%.1f %%", 100 * Double(count.hits) / Double(count.alerts)),
        fraud == 0 ? "-" : String(format: "%.1f %%", 100 * Double(count.hits) / Double(fraud)), what,
      ]
    }
    let rules = pipeline.rules.filter { $0.mode == .live }
    table.rows = rules.map { row($0.id, $0.severity.rawValue, $0.description, found[$0.id] ?? (0, 0)) }
    table.rows.append(
      row("all together", "", "events with an alert, of \(grouped(Int(fraud))) labelled as fraud", found[""] ?? (0, 0)))
    table.style = { row, column in
      column == 1 && row < rules.count ? style(ofSeverity: rules[row].severity.rawValue) : .plain
    }
    table.write(to: terminal)
  }

  private static func showLatest(
    _ filter: AlertFilter, _ terminal: Terminal, on connection: inout PostgresConnection
  ) throws {
    let latest = try AlertStore.list(filter, limit: 5, on: &connection)
    guard !latest.isEmpty else { return }
    terminal.line()
    terminal.line(terminal.styled("Latest alerts", .bold))
    var table = Table(columns: [
      .init(title: "EVENT TIME (UTC)"), .init(title: "SEVERITY"), .init(title: "RULE"), .init(title: "EVENT"),
      .init(title: "WHAT IT MEANS", flexible: true),
    ])
    table.rows = latest.map {
      [shortTime($0.eventTime), $0.severity, $0.ruleID ?? "-", $0.eventID ?? "-", $0.ruleDescription ?? ""]
    }
    table.style = { row, column in column == 1 ? style(ofSeverity: latest[row].severity) : .plain }
    table.write(to: terminal)
  }
}

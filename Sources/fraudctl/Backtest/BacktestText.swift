import Foundation
import FraudCore

/// A backtest's report for a terminal.
struct BacktestText {
  let report: BacktestReport
  let seconds: Double

  /// Days and changes that are listed; the JSON and HTML reports have all that are kept.
  private static let daysShown = 31
  private static let changesShown = 20

  func write(to terminal: Terminal) {
    let summary = report.tried.summary
    var head = "\(grouped(summary.accepted)) events of \(report.archivedPipeline)"
    if let span = BacktestFigures.span(report.tried) { head += ", \(span)" }
    head += ", \(grouped(report.partitionCount)) partitions"
    if report.tried.warmUpEvents > 0 { head += ", \(grouped(report.tried.warmUpEvents)) before them to fill windows" }
    terminal.line(terminal.styled(report.triedName, .bold) + "   " + head + String(format: ", %.1f s", seconds))
    if report.isCutShort { terminal.line(terminal.styled("stopped before the last event", .warning)) }
    terminal.line()
    writeFigures(to: terminal)
    writeRules(to: terminal)
    writeDays(to: terminal)
    writeChanges(to: terminal)
  }

  private func writeFigures(to terminal: Terminal) {
    var table = Table(columns: [.init(title: ""), .init(title: report.triedName, alignment: .right)])
    if let name = report.againstName {
      table.columns += [.init(title: name, alignment: .right), .init(title: "DIFFERENCE", alignment: .right)]
    }
    for figure in BacktestFigures.all(report) {
      table.rows.append(
        [figure.title, figure.tried] + (report.against == nil ? [] : [figure.against, figure.difference]))
    }
    table.write(to: terminal)
    terminal.line()
  }

  private func writeRules(to terminal: Terminal) {
    let rules = BacktestFigures.rules(report)
    guard !rules.isEmpty else { return }
    var table = Table(columns: [
      .init(title: "RULE", flexible: true), .init(title: "MODE"), .init(title: "MATCHES", alignment: .right),
    ])
    if report.against != nil { table.columns.append(.init(title: "BEFORE", alignment: .right)) }
    let hasLabels = report.tried.summary.positives != nil
    if hasLabels {
      table.columns += [.init(title: "PRECISION", alignment: .right), .init(title: "RECALL", alignment: .right)]
    }
    for rule in rules {
      table.rows.append(
        [rule.id, rule.mode, rule.matches.map { grouped($0) } ?? "-"]
          + (report.against == nil ? [] : [rule.before.map { grouped($0) } ?? "-"])
          + (hasLabels ? [BacktestFigures.share(rule.precision), BacktestFigures.share(rule.recall)] : []))
    }
    table.write(to: terminal)
    terminal.line()
  }

  private func writeDays(to terminal: Terminal) {
    let days = report.tried.sortedDays
    guard !days.isEmpty else { return }
    var table = Table(columns: [
      .init(title: "DAY"), .init(title: "EVENTS", alignment: .right), .init(title: "ALERTING", alignment: .right),
    ])
    if report.against != nil { table.columns.append(.init(title: "BEFORE", alignment: .right)) }
    let hasLabels = report.tried.summary.positives != nil
    if hasLabels {
      table.columns += [.init(title: "FRAUDS", alignment: .right), .init(title: "CAUGHT", alignment: .right)]
    }
    for (day, counts) in days.suffix(Self.daysShown) {
      table.rows.append(
        [TimestampText.dateText(days: Int(day)), grouped(counts.events), grouped(counts.alerted)]
          + (report.against.map { [grouped($0.days[day]?.alerted ?? 0)] } ?? [])
          + (hasLabels ? [grouped(counts.frauds), grouped(counts.caught)] : []))
    }
    table.write(to: terminal)
    if days.count > Self.daysShown { terminal.line("  the last \(Self.daysShown) of \(grouped(days.count)) days") }
    terminal.line()
  }

  private func writeChanges(to terminal: Terminal) {
    guard report.against != nil else { return }
    let counts = BacktestChange.Kind.allCases.map { "\(grouped(report.changeCounts[$0] ?? 0)) \($0.rawValue)" }
    terminal.line("  events decided otherwise: " + counts.joined(separator: ", "))
    guard !report.changes.isEmpty else { return }
    var table = Table(columns: [
      .init(title: "CHANGE"), .init(title: "EVENT", flexible: true), .init(title: "TIME"),
      .init(title: "BEFORE", alignment: .right), .init(title: "AFTER", alignment: .right),
      .init(title: "RULES", flexible: true), .init(title: "LABEL"),
    ])
    for change in report.changes.prefix(Self.changesShown) {
      table.rows.append([
        change.kind.rawValue, change.eventID ?? "\(change.source.topic):\(change.source.partition):\(change.offset)",
        change.eventTime.map { String(JSONText.rfc3339($0).prefix(19)) } ?? "-",
        change.before.decision.score.description,
        change.after.decision.score.description, BacktestFigures.ruleDifference(change),
        change.isFraud.map { $0 ? "fraud" : "genuine" } ?? "",
      ])
    }
    table.write(to: terminal)
    let total = report.changeCounts.values.reduce(0, +)
    if total > Self.changesShown {
      terminal.line("  the first \(Self.changesShown) of \(grouped(total)); --changes writes all of them")
    }
  }
}

/// The numbers that a backtest's reports show, as text.
enum BacktestFigures {
  struct Figure {
    var title: String
    var tried: String
    var against = ""
    var difference = ""
    /// Whether the difference is for the better; `nil` where nobody can say.
    var isBetter: Bool?
  }

  struct RuleRow {
    var id: String
    var description: String
    var mode: String
    var matches: Int?
    var before: Int?
    var precision: Double?
    var recall: Double?
  }

  static func all(_ report: BacktestReport) -> [Figure] {
    var figures = [
      count("alerting events", report) { $0.summary.decisions }, count("alerts", report) { $0.summary.alerts },
    ]
    figures.append(
      ratio("alert rate", report, better: nil) {
        $0.summary.accepted == 0 ? nil : Double($0.summary.decisions) / Double($0.summary.accepted)
      })
    guard report.tried.summary.positives != nil else { return figures }
    figures.append(count("frauds known", report) { $0.summary.positives ?? 0 })
    figures.append(count("frauds caught", report, better: 1) { $0.summary.decisionHits.truePositives })
    figures.append(count("false alarms", report, better: -1) { $0.summary.decisionHits.falsePositives })
    figures.append(ratio("precision", report, better: 1) { $0.summary.decisionHits.precision })
    figures.append(ratio("recall", report, better: 1) { $0.summary.decisionHits.recall(of: $0.summary.positives ?? 0) })
    guard report.tried.money != nil else { return figures }
    figures.append(money("money caught", report, better: 1) { $0.money?.caught })
    figures.append(money("money missed", report, better: -1) { $0.money?.missed })
    figures.append(money("genuine money stopped", report, better: -1) { $0.money?.falseAlarms })
    return figures
  }

  private static func count(
    _ title: String, _ report: BacktestReport, better: Double? = nil, _ value: (BacktestTally) -> Int
  ) -> Figure {
    figure(title, report, better: better, { Double(value($0)) }, { grouped(Int($0)) }, { grouped(Int($0)) })
  }

  private static func ratio(
    _ title: String, _ report: BacktestReport, better: Double?, _ value: (BacktestTally) -> Double?
  ) -> Figure {
    figure(title, report, better: better, value, { share($0) }, { String(format: "%.2f pp", $0 * 100) })
  }

  private static func money(
    _ title: String, _ report: BacktestReport, better: Double?, _ value: (BacktestTally) -> Double?
  ) -> Figure {
    figure(title, report, better: better, value, { amount($0) }, { amount($0) })
  }

  private static func figure(
    _ title: String, _ report: BacktestReport, better: Double?, _ value: (BacktestTally) -> Double?,
    _ text: (Double) -> String, _ differenceText: (Double) -> String
  ) -> Figure {
    let tried = value(report.tried)
    var figure = Figure(title: title, tried: tried.map(text) ?? "-")
    guard let against = report.against else { return figure }
    let other = value(against)
    figure.against = other.map(text) ?? "-"
    guard let tried, let other else { return figure }
    let difference = tried - other
    figure.difference = difference == 0 ? "0" : (difference > 0 ? "+" : "−") + differenceText(abs(difference))
    if let better, difference != 0 { figure.isBetter = difference * better > 0 }
    return figure
  }

  /// The rules of both versions, by id.
  static func rules(_ report: BacktestReport) -> [RuleRow] {
    let positives = report.tried.summary.positives
    var rows = report.tried.summary.rules.map { rule in
      RuleRow(
        id: rule.id, description: "", mode: rule.mode.rawValue, matches: rule.matches,
        before: report.against?.summary.rules.first { $0.id == rule.id }?.matches, precision: rule.hits.precision,
        recall: positives.flatMap { rule.hits.recall(of: $0) })
    }
    for rule in report.against?.summary.rules ?? [] where !rows.contains(where: { $0.id == rule.id }) {
      rows.append(RuleRow(id: rule.id, description: "", mode: "gone", matches: nil, before: rule.matches))
    }
    return rows
  }

  /// `2025-01-01 to 2025-01-31`: the days that have events.
  static func span(_ tally: BacktestTally) -> String? {
    let days = tally.sortedDays
    guard let first = days.first, let last = days.last else { return nil }
    let text = TimestampText.dateText(days: Int(first.day))
    return first.day == last.day ? text : "\(text) to \(TimestampText.dateText(days: Int(last.day)))"
  }

  /// The rules that triggered: in both versions, newly with `+`, no longer with `−`.
  static func ruleDifference(_ change: BacktestChange) -> String {
    let kept = change.after.rules.filter { change.before.rules.contains($0) }
    let added = change.after.rules.filter { !change.before.rules.contains($0) }.map { "+" + $0 }
    let gone = change.before.rules.filter { !change.after.rules.contains($0) }.map { "−" + $0 }
    return (added + gone + kept).joined(separator: " ")
  }

  static func share(_ ratio: Double?) -> String {
    ratio.map { String(format: $0 < 0.1 ? "%.2f %%" : "%.1f %%", $0 * 100) } ?? "-"
  }

  /// An amount with its thousands apart: `12,345.60`.
  static func amount(_ value: Double) -> String {
    let cents = (abs(value) * 100).rounded()
    guard cents < 1e17 else { return String(format: "%.3g", value) }
    let whole = Int(cents / 100)
    return (value < 0 ? "-" : "") + grouped(whole) + String(format: ".%02d", Int(cents) - whole * 100)
  }
}

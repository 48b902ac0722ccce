import Foundation
import FraudCore

/// A backtest's report as one HTML file that needs nothing beside it: no script, no font, no picture.
struct BacktestPage {
  let report: BacktestReport

  private var hasLabels: Bool { report.tried.summary.positives != nil }

  var text: String {
    let title = "Backtest of \(report.triedName)"
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped(title))</title><style>\(Self.style)</style></head><body><main>
      <header><h1>\(escaped(title))</h1><p>\(subtitle)</p></header>
      \(cards)
      \(perDay)
      \(caughtPerDay)
      \(scores)
      \(figures)
      \(rules)
      \(changes)
      </main></body></html>

      """
  }

  private var subtitle: String {
    var parts: [String] = []
    if let name = report.againstName { parts.append("against <b>\(escaped(name))</b>") }
    parts.append(
      "\(grouped(report.tried.summary.accepted)) events of <b>\(escaped(report.archivedPipeline))</b>"
        + (BacktestFigures.span(report.tried).map { ", \($0)" } ?? ""))
    parts.append("\(grouped(report.partitionCount)) partition\(report.partitionCount == 1 ? "" : "s")")
    if report.tried.warmUpEvents > 0 {
      parts.append("\(grouped(report.tried.warmUpEvents)) earlier events filled the windows")
    }
    if report.isCutShort { parts.append("<b class='bad'>stopped before the last event</b>") }
    return parts.joined(separator: " · ")
  }

  // MARK: Sections

  private var cards: String {
    let wanted =
      hasLabels
      ? ["alerting events", "precision", "recall", report.tried.money == nil ? "false alarms" : "money caught"]
      : ["alerting events", "alerts", "alert rate"]
    let all = BacktestFigures.all(report)
    var html = "<section class='cards'>"
    for name in wanted {
      guard let figure = all.first(where: { $0.title == name }) else { continue }
      html += "<div class='card'><span>\(figure.title)</span><strong>\(escaped(figure.tried))</strong>"
      if report.against != nil {
        html +=
          "<em class='\(mood(figure))'>\(escaped(figure.difference))</em><small>was \(escaped(figure.against))</small>"
      }
      html += "</div>"
    }
    if report.against != nil {
      let counts = BacktestChange.Kind.allCases.map { "\(grouped(report.changeCounts[$0] ?? 0)) \($0.rawValue)" }
      let total = report.changeCounts.values.reduce(0, +)
      html += "<div class='card'><span>decided otherwise</span><strong>\(grouped(total))</strong>"
      html += "<small>\(counts.joined(separator: ", "))</small></div>"
    }
    return html + "</section>"
  }

  private var perDay: String {
    let days = report.tried.sortedDays.map(\.day)
    guard !days.isEmpty else { return "" }
    var series = [
      BacktestPlots.Series(
        name: report.triedName, style: "s1", values: days.map { Double(report.tried.days[$0]?.alerted ?? 0) })
    ]
    if let against = report.against, let name = report.againstName {
      series.append(
        BacktestPlots.Series(name: name, style: "s2", values: days.map { Double(against.days[$0]?.alerted ?? 0) }))
    }
    return section(
      "Alerting events a day", legend: series.map { ($0.style, $0.name) },
      BacktestPlots.lines(days: days, series: series))
  }

  private var caughtPerDay: String {
    let days = report.tried.sortedDays
    guard hasLabels, days.contains(where: { $0.counts.frauds > 0 }) else { return "" }
    let series = [
      BacktestPlots.Series(name: "caught", style: "s3", values: days.map { Double($0.counts.caught) }),
      BacktestPlots.Series(
        name: "missed", style: "s4", values: days.map { Double($0.counts.frauds - $0.counts.caught) }),
    ]
    return section(
      "Frauds a day", legend: series.map { ($0.style, $0.name) },
      BacktestPlots.bars(days: days.map(\.day), series: series))
  }

  private var scores: String {
    let bins = report.tried.scores
    guard bins.filter({ $0.genuine + $0.fraud > 0 }).count > 1 else { return "" }
    return section(
      "Scores of events that triggered a rule",
      legend: hasLabels ? [("s2", "share of genuine events"), ("s4", "share of frauds")] : [("s1", "share of events")],
      BacktestPlots.scores(bins, scoreMax: report.tried.scoreMax, hasLabels: hasLabels))
  }

  private var figures: String {
    var html = "<table><thead><tr><th></th><th class='n'>\(escaped(report.triedName))</th>"
    if let name = report.againstName { html += "<th class='n'>\(escaped(name))</th><th class='n'>difference</th>" }
    html += "</tr></thead><tbody>"
    for figure in BacktestFigures.all(report) {
      html += "<tr><td>\(figure.title)</td><td class='n'>\(escaped(figure.tried))</td>"
      if report.against != nil {
        html += "<td class='n'>\(escaped(figure.against))</td>"
        html += "<td class='n \(mood(figure))'>\(escaped(figure.difference))</td>"
      }
      html += "</tr>"
    }
    return section("Figures", legend: [], html + "</tbody></table>")
  }

  private var rules: String {
    let rows = BacktestFigures.rules(report)
    guard !rows.isEmpty else { return "" }
    // Shadow rules are often many times as loud as those that count.
    let most = Double(max(1, rows.filter { $0.mode == "live" }.map { $0.matches ?? 0 }.max() ?? 1))
    var html = "<table><thead><tr><th>rule</th><th class='wide'>matches</th><th class='n'></th>"
    if report.against != nil { html += "<th class='n'>before</th>" }
    if hasLabels { html += "<th class='n'>precision</th><th class='n'>recall</th>" }
    html += "</tr></thead><tbody>"
    for row in rows {
      let share = min(100, 100 * Double(row.matches ?? 0) / most)
      html += "<tr><td>\(escaped(row.id))\(row.mode == "live" ? "" : " <small class='tag'>\(row.mode)</small>")</td>"
      html +=
        "<td class='wide'><i class='meter \(row.mode)' style='width:\(String(format: "%.1f", max(0.4, share)))%'></i></td>"
      html += "<td class='n'>\(row.matches.map { grouped($0) } ?? "–")</td>"
      if report.against != nil { html += "<td class='n'>\(row.before.map { grouped($0) } ?? "–")</td>" }
      if hasLabels {
        html +=
          "<td class='n'>\(BacktestFigures.share(row.precision))</td><td class='n'>\(BacktestFigures.share(row.recall))</td>"
      }
      html += "</tr>"
    }
    return section("Rules", legend: [], html + "</tbody></table>")
  }

  private var changes: String {
    guard report.against != nil else { return "" }
    var html = ""
    for kind in BacktestChange.Kind.allCases {
      let kept = report.changes.filter { $0.kind == kind }
      let total = report.changeCounts[kind] ?? 0
      html += "<details\(kind == .gained || total <= 20 ? " open" : "")><summary><b class='kind \(kind.rawValue)'>"
      html += "\(kind.rawValue)</b> \(grouped(total)) event\(total == 1 ? "" : "s")"
      html += kept.count < total ? ", the first \(grouped(kept.count))</summary>" : "</summary>"
      if kept.isEmpty {
        html += "</details>"
        continue
      }
      html += "<table class='events'><thead><tr><th>event</th><th>time</th>"
      html += "<th class='n'>before</th><th class='n'>after</th><th>rules</th>"
      if kept.contains(where: { $0.amount != nil }) { html += "<th class='n'>amount</th>" }
      if hasLabels { html += "<th>label</th>" }
      html += "</tr></thead><tbody>"
      let hasAmounts = kept.contains { $0.amount != nil }
      for change in kept { html += row(change, hasAmounts: hasAmounts) }
      html += "</tbody></table></details>"
    }
    return section("Events decided otherwise", legend: [], html)
  }

  private func row(_ change: BacktestChange, hasAmounts: Bool) -> String {
    let place = "\(change.source.topic):\(change.source.partition):\(change.offset)"
    var html = "<tr><td><code title='\(escaped(place))'>\(escaped(change.eventID ?? place))</code></td>"
    let time = change.eventTime.map { JSONText.rfc3339($0).prefix(19).replacing("T", with: " ") } ?? "–"
    html += "<td class='t'>\(time)</td><td class='n'>\(change.before.decision.score)</td>"
    html += "<td class='n'>\(change.after.decision.score)</td><td>"
    for rule in change.after.rules {
      html += "<small class='tag\(change.before.rules.contains(rule) ? "" : " added")'>\(escaped(rule))</small> "
    }
    for rule in change.before.rules where !change.after.rules.contains(rule) {
      html += "<small class='tag gone'>\(escaped(rule))</small> "
    }
    html += "</td>"
    if hasAmounts { html += "<td class='n'>\(change.amount.map { BacktestFigures.amount($0) } ?? "")</td>" }
    if hasLabels {
      let label = change.isFraud.map { $0 ? "<b class='bad'>fraud</b>" : "genuine" } ?? ""
      html += "<td>\(label)</td>"
    }
    return html + "</tr>"
  }

  private func section(_ title: String, legend: [(style: String, name: String)], _ body: String) -> String {
    var head = "<h2>\(escaped(title))</h2>"
    if legend.count > 1 {
      head += "<p class='legend'>"
      for entry in legend { head += "<span><i class='\(entry.style)'></i>\(escaped(entry.name))</span>" }
      head += "</p>"
    }
    return "<section class='panel'><div class='head'>\(head)</div>\(body)</section>"
  }

  private func mood(_ figure: BacktestFigures.Figure) -> String {
    figure.isBetter.map { $0 ? "good" : "bad" } ?? ""
  }

  private static let style = """
    :root{color-scheme:light dark;--page:#f5f6f8;--panel:#fff;--ink:#17202e;--soft:#5d6b80;--line:#e4e8ee;--c1:#2f6fec;\
    --c2:#98a4b8;--c3:#1f9d76;--c4:#e0653a;--good:#14805e;--bad:#c2431a;--tag:#eef1f6}
    @media(prefers-color-scheme:dark){:root{--page:#10141b;--panel:#181e28;--ink:#e6eaf1;--soft:#94a1b5;--line:#2a3342;\
    --c1:#6b9bff;--c2:#66738a;--c3:#3dc79b;--c4:#f28a5f;--good:#48d3a6;--bad:#ff9169;--tag:#242c3a}}
    *{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);\
    font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
    main{max-width:1120px;margin:0 auto;padding:40px 20px 64px}header{margin-bottom:24px}
    h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.02em}header p{margin:0;color:var(--soft)}
    h2{font-size:16px;margin:0;letter-spacing:-.01em}.panel,.card{background:var(--panel);border:1px solid var(--line);\
    border-radius:12px}
    .panel{padding:20px;margin-top:16px;overflow-x:auto}.head{display:flex;justify-content:space-between;align-items:baseline;\
    gap:16px;flex-wrap:wrap;margin-bottom:12px}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:16px}.card{padding:16px 18px}
    .card span{display:block;color:var(--soft);font-size:13px}.card strong{display:block;font-size:26px;line-height:1.3;\
    letter-spacing:-.02em;font-variant-numeric:tabular-nums}
    .card em{font-style:normal;font-weight:600;font-variant-numeric:tabular-nums}small{color:var(--soft);font-size:12.5px}
    .card small{display:block}.good{color:var(--good)}.bad{color:var(--bad)}.legend{margin:0;display:flex;gap:18px;color:var(--soft);font-size:13px;\
    flex-wrap:wrap}
    .legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px;vertical-align:-1px;\
    background:currentColor}.legend .s1{color:var(--c1)}.legend .s2{color:var(--c2)}.legend .s3{color:var(--c3)}\
    .legend .s4{color:var(--c4)}
    svg{display:block;width:100%;height:auto;min-width:560px}svg text{fill:var(--soft);font-size:12px;\
    font-variant-numeric:tabular-nums}.grid{stroke:var(--line);stroke-width:1}.line{fill:none;stroke-width:2.2;\
    stroke-linejoin:round;stroke-linecap:round}
    .s1.line{stroke:var(--c1)}.s2.line{stroke:var(--c2)}.s1.area{fill:var(--c1);opacity:.1}.s1.dot,.s1.bar{fill:var(--c1)}\
    .s2.dot,.s2.bar{fill:var(--c2)}.s3.bar{fill:var(--c3)}.s4.bar{fill:var(--c4)}
    .hit{fill:transparent}.hit:hover{fill:var(--ink);opacity:.06}g:hover .bar{opacity:.75}
    table{border-collapse:collapse;width:100%}th{font-weight:500;color:var(--soft);font-size:13px;text-align:left}
    th,td{padding:7px 10px;border-bottom:1px solid var(--line)}tbody tr:last-child td{border-bottom:0}
    th:first-child,td:first-child{padding-left:0}th:last-child,td:last-child{padding-right:0}
    .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.t{white-space:nowrap;color:var(--soft);\
    font-variant-numeric:tabular-nums}.wide{width:36%}
    .meter{display:block;height:10px;border-radius:3px;background:var(--c1)}.meter.shadow{background:var(--c2);opacity:.55}code{font:12.5px ui-monospace,SFMono-Regular,\
    Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
    .tag{background:var(--tag);border-radius:5px;padding:2px 7px;white-space:nowrap}.tag.added{color:var(--good)}\
    .tag.added::before{content:"+ "}.tag.gone{color:var(--bad);text-decoration:line-through}
    details+details{margin-top:14px;border-top:1px solid var(--line);padding-top:14px}summary{cursor:pointer;\
    margin-bottom:6px;color:var(--soft)}.kind{color:var(--ink);margin-right:6px}.events{font-size:14px}
    @media print{body{background:#fff}.panel,.card{break-inside:avoid}}
    """
}

import ArgumentParser
import Foundation
import FraudCore
import FraudStore

extension PipelineCommand {
  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "compare", abstract: "Compare the arms of rules that are in force for a share of the keys.",
      discussion: """
        A rule with `share: 0.1` is in force for a tenth of the keys. Both arms are counted by the events of their keys: how
        many alert, whatever rule triggered, and how many of the alerts were fraud by the pipeline's label. Intervals
        are Wilson's, at 95 %. Events of one key are not independent, so the true intervals are somewhat wider.

        EXAMPLES
          fraudctl pipeline compare card-payments
          fraudctl pipeline compare card-payments --version 7 --json
        """)

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Option(help: ArgumentHelp("A version (default: the newest that counted).", valueName: "version"))
    var version: Int?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let all = try withDatabase(database) { connection, _ in
          guard let id = try PipelineStore.identify(pipeline, on: &connection) else {
            throw Failure.failed("there is no pipeline \(printable(pipeline))")
          }
          return try OutputStore.experiments(of: id, version: version, on: &connection)
        }
        let experiments = all.filter { $0.version == all.first?.version }
        if output.json {
          for experiment in experiments { Terminal.standardOutput.line(json(of: experiment)) }
        } else if experiments.isEmpty {
          Terminal.standardError.message("nothing was counted: no rule with `share` has seen an event")
        } else {
          show(experiments)
        }
      }
    }

    private func show(_ experiments: [StoredExperiment]) {
      Terminal.standardOutput.line("version \(experiments.first?.version ?? 0), 95 % intervals")
      var table = Table(columns: [
        .init(title: "RULE", flexible: true), .init(title: "ARM"), .init(title: "KEYS", alignment: .right),
        .init(title: "EVENTS", alignment: .right), .init(title: "ALERTS", alignment: .right),
        .init(title: "ALERT RATE", alignment: .right), .init(title: "LABELLED", alignment: .right),
        .init(title: "PRECISION", alignment: .right),
      ])
      for experiment in experiments {
        let arms = [
          ("in force", experiment.share, experiment.treated), ("not", 10_000 - experiment.share, experiment.control),
        ]
        for (name, share, arm) in arms {
          let labelled = arm.hits.truePositives + arm.hits.falsePositives
          table.rows.append([
            experiment.ruleID, name, percent(Double(share) / 10_000, places: 1), grouped(arm.events),
            grouped(arm.alerts), rate(arm.alerts, arm.events), grouped(labelled),
            rate(arm.hits.truePositives, labelled),
          ])
        }
      }
      table.write(to: .standardOutput)
      for experiment in experiments {
        Terminal.standardOutput.line("  \(printable(experiment.ruleID)): \(verdict(experiment))")
      }
    }

    /// What the alert rates say together.
    private func verdict(_ experiment: StoredExperiment) -> String {
      guard let treated = WilsonInterval(successes: experiment.treated.alerts, of: experiment.treated.events),
        let control = WilsonInterval(successes: experiment.control.alerts, of: experiment.control.events)
      else { return "one arm has no events yet" }
      if treated.lower > control.upper { return "alerts more often where it is in force" }
      if treated.upper < control.lower { return "alerts less often where it is in force" }
      return "the intervals of the alert rates overlap: no difference is shown yet"
    }

    private func rate(_ successes: Int, _ trials: Int) -> String {
      guard let interval = WilsonInterval(successes: successes, of: trials) else { return "–" }
      return percent(Double(successes) / Double(trials), places: 2)
        + " (\(percent(interval.lower, places: 2))–\(percent(interval.upper, places: 2)))"
    }

    private func percent(_ share: Double, places: Int) -> String {
      String(format: "%.\(places)f %%", share * 100)
    }

    private func json(of experiment: StoredExperiment) -> String {
      var object = JSONObjectText()
      object.append("pipeline", pipeline)
      object.append("version", Int64(experiment.version))
      object.append("rule", experiment.ruleID)
      object.append("share", json: "\(Double(experiment.share) / 10_000)")
      for (name, arm) in [("treated", experiment.treated), ("control", experiment.control)] {
        var counts = JSONObjectText()
        counts.append("events", Int64(arm.events))
        counts.append("alerts", Int64(arm.alerts))
        append("alert_rate", arm.alerts, arm.events, to: &counts)
        counts.append("positives", Int64(arm.positives))
        counts.append("tp", Int64(arm.hits.truePositives))
        counts.append("fp", Int64(arm.hits.falsePositives))
        append("precision", arm.hits.truePositives, arm.hits.truePositives + arm.hits.falsePositives, to: &counts)
        object.append(name, json: counts.finished)
      }
      return object.finished
    }

    private func append(_ name: String, _ successes: Int, _ trials: Int, to object: inout JSONObjectText) {
      guard let interval = WilsonInterval(successes: successes, of: trials) else {
        object.append(name, json: "null")
        object.append(name + "_interval", json: "null")
        return
      }
      object.append(name, json: "\(Double(successes) / Double(trials))")
      object.append(name + "_interval", json: "[\(interval.lower),\(interval.upper)]")
    }
  }
}

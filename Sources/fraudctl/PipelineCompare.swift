import ArgumentParser
import Foundation
import FraudCore
import FraudStore

extension PipelineCommand {
  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "compare",
      abstract: "Compare the arms of rules, and of a version, in force for a share of the keys.",
      discussion: """
        A rule, or a whole version, with `share: 0.1` is in force for a tenth of the keys. Both arms are counted by the events
        of their keys: how many alert, whatever rule triggered, and how many of the alerts were fraud by the pipeline's
        label. Intervals are Wilson's, those of differences Newcombe's, at 95 %. Events of one key are not independent, so
        the true intervals are somewhat wider. Versions that differ only in what their lists hold count together.

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
          Terminal.standardError.message("nothing was counted: no rule or version with `share` has seen an event")
        } else {
          show(experiments)
        }
      }
    }

    private func show(_ experiments: [StoredExperiment]) {
      let version = "version \(experiments.first?.version ?? 0)"
      Terminal.standardOutput.line("\(version), 95 % intervals")
      var table = Table(columns: [
        .init(title: "RULE", flexible: true), .init(title: "ARM"), .init(title: "KEYS", alignment: .right),
        .init(title: "EVENTS", alignment: .right), .init(title: "ALERTS", alignment: .right),
        .init(title: "ALERT RATE", alignment: .right), .init(title: "LABELLED", alignment: .right),
        .init(title: "PRECISION", alignment: .right),
      ])
      for experiment in experiments {
        let control = experiment.controlVersion.map { "version \($0)" }
        let arms = [
          (control == nil ? "in force" : version, experiment.share, experiment.treated),
          (control ?? "not", 10_000 - experiment.share, experiment.control),
        ]
        for (name, share, arm) in arms {
          let labelled = arm.hits.truePositives + arm.hits.falsePositives
          table.rows.append([
            control == nil ? experiment.ruleID : "all", name, percent(Double(share) / 10_000, places: 1),
            grouped(arm.events),
            grouped(arm.alerts), rate(arm.alerts, arm.events), grouped(labelled),
            rate(arm.hits.truePositives, labelled),
          ])
        }
      }
      table.write(to: .standardOutput)
      for experiment in experiments {
        let name = experiment.controlVersion == nil ? printable(experiment.ruleID) : version
        Terminal.standardOutput.line("  \(name): \(verdict(experiment))")
        for (title, difference) in [("alert rate", alertRates(experiment)), ("precision", precisions(experiment))] {
          guard let difference else { continue }
          Terminal.standardOutput.line(
            "    \(title) \(points(difference.difference)) points"
              + " (\(points(difference.lower)) to \(points(difference.upper)))")
        }
      }
    }

    /// What the alert rates say together.
    private func verdict(_ experiment: StoredExperiment) -> String {
      guard let difference = alertRates(experiment) else { return "one arm has no events yet" }
      if difference.lower > 0 { return "alerts more often where it is in force" }
      if difference.upper < 0 { return "alerts less often where it is in force" }
      return "the interval of the difference of the alert rates holds 0: no difference is shown yet"
    }

    private func alertRates(_ experiment: StoredExperiment) -> DifferenceInterval? {
      DifferenceInterval(
        (experiment.treated.alerts, experiment.treated.events), (experiment.control.alerts, experiment.control.events))
    }

    private func precisions(_ experiment: StoredExperiment) -> DifferenceInterval? {
      let (treated, control) = (experiment.treated.hits, experiment.control.hits)
      return DifferenceInterval(
        (treated.truePositives, treated.truePositives + treated.falsePositives),
        (control.truePositives, control.truePositives + control.falsePositives))
    }

    private func points(_ difference: Double) -> String { String(format: "%+.2f", difference * 100) }

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
      object.append("rule", experiment.controlVersion == nil ? experiment.ruleID : nil)
      object.append("control_version", experiment.controlVersion.map(Int64.init))
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
      append("alert_rate", alertRates(experiment), to: &object)
      append("precision", precisions(experiment), to: &object)
      return object.finished
    }

    private func append(_ name: String, _ difference: DifferenceInterval?, to object: inout JSONObjectText) {
      object.append(name + "_difference", json: difference.map { "\($0.difference)" } ?? "null")
      object.append(
        name + "_difference_interval", json: difference.map { "[\($0.lower),\($0.upper)]" } ?? "null")
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

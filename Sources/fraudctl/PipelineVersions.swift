import ArgumentParser
import Foundation
import FraudCore
import FraudStore

extension PipelineCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check",
      abstract: "Compile a definition and say what is in it, or everything that is wrong with it.",
      discussion: """
        Needs no server. The exit code is 65 where the definition is invalid; warnings do not change it.

        EXAMPLES
          fraudctl pipeline check card-payments.yaml
          fraudctl pipeline check card-payments.yaml --overlay production.yaml --json
        """)

    @Argument(help: "The definition, YAML or JSON.", completion: .file(extensions: ["yaml", "yml", "json"]))
    var file: String
    @Option(help: ArgumentHelp("A file that wins over the definition key by key. May be repeated.", valueName: "file"))
    var overlay: [String] = []
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let loaded: LoadedPipeline
        do {
          loaded = try LoadedPipeline(file: file, overlays: overlay)
        } catch let error as DefinitionError where output.json {
          Terminal.standardOutput.line(json(of: error))
          throw ExitCode.invalidInput
        }
        let definition = try loaded.stored()
        if output.json {
          Terminal.standardOutput.line(json(of: loaded.pipeline, definition))
        } else {
          show(loaded.pipeline, definition)
        }
      }
    }

    private func show(_ pipeline: Pipeline, _ definition: PipelineDefinition) {
      let terminal = Terminal.standardOutput
      terminal.line(
        terminal.styled("\(definition.name) is valid", .success) + "  sha256 \(definition.sha256.prefix(12))")
      func line(_ title: String, _ text: String) {
        if !text.isEmpty {
          terminal.line(
            "  " + terminal.styled(title.padding(toLength: 9, withPad: " ", startingAt: 0), .bold) + " " + text)
        }
      }
      if let share = definition.share { line("share", "\(shareText(share)) of the keys") }
      line("topic", definition.kafkaTopic ?? "none: for files only")
      line("fields", definition.schema.fields.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", "))
      line("streams", definition.streams.map { "\($0.name) (topic \($0.kafkaTopic ?? "-"))" }.joined(separator: ", "))
      line("features", definition.features.map(\.name).joined(separator: ", "))
      line("lists", definition.lists.map { "\($0.name) (\(grouped($0.values.count)))" }.joined(separator: ", "))
      line("rules", ruleCounts(definition).map { "\($0.count) \($0.name)" }.joined(separator: ", "))
      let scoring = definition.scoring
      line(
        "scoring",
        scoring.policy.rawValue + (scoring.threshold.map { ", threshold \(threshold($0, scoring.policy))" } ?? "")
          + ", " + scoring.alerts.rawValue)
      for finding in PipelineAnalysis(pipeline, zones: systemTimeZones).findings {
        terminal.line(
          "  " + terminal.styled(finding.kind.rawValue, finding.kind == .warning ? .warning : .dim) + "  \(finding)")
      }
    }

    private func threshold(_ threshold: Int, _ policy: ScoringDefinition.Policy) -> String {
      policy == .points ? "\(threshold)" : "\(Double(threshold) / 10_000)"
    }

    private func ruleCounts(_ definition: PipelineDefinition) -> [(name: String, count: Int)] {
      let live = definition.rules.filter { $0.mode == .live }
      var counts = Severity.allCases.map { severity in
        (name: severity.rawValue, count: live.count { $0.severity == severity })
      }
      for mode in [RuleMode.shadow, .off] {
        counts.append((mode == .off ? "off" : "in shadow mode", definition.rules.count { $0.mode == mode }))
      }
      return counts.filter { $0.count > 0 }
    }

    private func json(of pipeline: Pipeline, _ definition: PipelineDefinition) -> String {
      var object = JSONObjectText()
      object.append("valid", true)
      object.append("name", definition.name)
      object.append("sha256", definition.sha256)
      object.append("kafka_topic", definition.kafkaTopic)
      object.append("share", json: definition.share.map { "\(Double($0) / 10_000)" } ?? "null")
      object.append("fields", json: jsonArray(definition.schema.fields.map { quoted($0.name) }))
      object.append("features", json: jsonArray(definition.features.map { quoted($0.name) }))
      object.append("lists", json: jsonArray(definition.lists.map { quoted($0.name) }))
      object.append(
        "rules",
        json: jsonArray(
          definition.rules.map { rule in
            var entry = JSONObjectText()
            entry.append("id", rule.id)
            entry.append("severity", rule.severity.rawValue)
            entry.append("mode", rule.mode.rawValue)
            return entry.finished
          }))
      object.append("policy", definition.scoring.policy.rawValue)
      object.append(
        "findings",
        json: jsonArray(
          PipelineAnalysis(pipeline, zones: systemTimeZones).findings.map { finding in
            var entry = JSONObjectText()
            entry.append("kind", finding.kind.rawValue)
            entry.append("rule_id", finding.ruleID)
            entry.append("message", finding.message)
            return entry.finished
          }))
      return object.finished
    }

    private func json(of error: DefinitionError) -> String {
      var object = JSONObjectText()
      object.append("valid", false)
      object.append(
        "problems",
        json: jsonArray(
          error.problems.map { problem in
            var entry = JSONObjectText()
            entry.append("path", problem.path)
            entry.append("message", problem.message)
            entry.append("line", Int64(problem.line))
            entry.append("column", Int64(problem.column))
            return entry.finished
          }))
      return object.finished
    }
  }

  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "diff", abstract: "Show what differs between two versions.",
      discussion: """
        Fields, features, lists and rules are compared by name, whatever else by key.

        EXAMPLES
          fraudctl pipeline diff card-payments
          fraudctl pipeline diff card-payments --from 1 --to 4 --json
        """)

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Option(
      help: ArgumentHelp(
        "The earlier version (default: the later one's control, or the one before it).", valueName: "version"))
    var from: Int?
    @Option(help: ArgumentHelp("The later version (default: the one in force).", valueName: "version")) var to: Int?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let (before, after) = try withDatabase(database) { connection, _ in
          let versions = try PipelineStore.history(pipeline, on: &connection)
          if versions.isEmpty { throw Failure.failed("there is no pipeline \(printable(pipeline))") }
          func version(_ number: Int) throws -> StoredPipeline {
            guard let found = versions.first(where: { $0.version == number }) else {
              throw Failure.failed("there is no version \(number) of pipeline \(printable(pipeline))")
            }
            return found
          }
          guard let after = try to.map(version) ?? versions.first(where: \.isActive) ?? versions.first else {
            throw Failure.failed("no version of \(printable(pipeline)) is in force")
          }
          guard
            let before = try (from ?? after.control?.version).map(version)
              ?? versions.first(where: { $0.version < after.version })
          else {
            throw Failure.failed("version \(after.version) of \(after.name) is the first; say --from and --to")
          }
          return (before, after)
        }
        let difference = PipelineDifference(from: try definition(of: before), to: try definition(of: after))
        if output.json {
          Terminal.standardOutput.line(json(of: difference, before, after))
        } else {
          show(difference, before, after)
        }
      }
    }

    private func definition(of stored: StoredPipeline) throws -> PipelineDefinition {
      try PipelineDefinition(DefinitionValue(json: Array(stored.definition.utf8)))
    }

    private func show(_ difference: PipelineDifference, _ before: StoredPipeline, _ after: StoredPipeline) {
      let terminal = Terminal.standardOutput
      terminal.line(terminal.styled("\(after.name): version \(before.version) → \(after.version)", .bold))
      for change in difference.changes {
        let (sign, style): (String, Terminal.Style) =
          switch change.kind {
          case .added: ("+", .success)
          case .removed: ("-", .failure)
          case .changed: ("~", .warning)
          }
        let title = printable([change.part, change.name].compactMap(\.self).joined(separator: " "))
        let details = change.details
        var text = "\(sign) \(title)"
        if change.name == nil, change.before == nil, change.after == nil { text += ": in another order" }
        if details.isEmpty {
          let values = [change.before, change.after].compactMap { $0.map { printable($0.canonicalJSON) } }
          if !values.isEmpty { text += "  " + values.joined(separator: " → ") }
        }
        terminal.line("  " + terminal.styled(text, style))
        for detail in details where change.kind == .changed {
          terminal.line(
            "      \(printable(detail.key)): \(printable(detail.before ?? "–")) → \(printable(detail.after ?? "–"))")
        }
      }
    }

    private func json(of difference: PipelineDifference, _ before: StoredPipeline, _ after: StoredPipeline) -> String {
      var object = JSONObjectText()
      object.append("pipeline", after.name)
      object.append("from", Int64(before.version))
      object.append("to", Int64(after.version))
      object.append(
        "changes",
        json: jsonArray(
          difference.changes.map { change in
            var entry = JSONObjectText()
            entry.append("part", change.part)
            entry.append("name", change.name)
            entry.append("change", change.kind.rawValue)
            entry.append("before", json: change.before?.canonicalJSON ?? "null")
            entry.append("after", json: change.after?.canonicalJSON ?? "null")
            return entry.finished
          }))
      return object.finished
    }
  }

  struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rollback", abstract: "Put an earlier version in force again.",
      discussion: """
        Progress and alerts stay as they are; only what comes is decided by that version. A version that is in force for a
        share of the keys goes back to its control.

        EXAMPLES
          fraudctl pipeline rollback card-payments --note 'too many alerts'
          fraudctl pipeline rollback card-payments --to 3
        """)

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Option(
      help: ArgumentHelp("The version (default: the control, or the one before that in force).", valueName: "version"))
    var to: Int?
    @Option(help: "Why, for the audit log.") var note: String?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let outcome = try withDatabase(database) { connection, _ in
          try PipelineStore.rollBack(pipeline, to: to, author: currentUser(), note: note, on: &connection)
        }
        guard let outcome else {
          throw Failure.failed(
            to.map { "there is no version \($0) of pipeline \(printable(pipeline))" }
              ?? "there is no pipeline \(printable(pipeline)) with an earlier version")
        }
        if output.json {
          var object = JSONObjectText()
          object.append("name", outcome.name)
          object.append("from", Int64(outcome.from))
          object.append("version", Int64(outcome.to))
          Terminal.standardOutput.line(object.finished)
        } else {
          Terminal.standardOutput.line(
            "pipeline \(outcome.name): version \(outcome.to) is in force"
              + (outcome.from == outcome.to ? ", as before" : " instead of \(outcome.from)"))
        }
      }
    }
  }
}

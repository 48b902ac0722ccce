import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl pipeline …`: definitions and their versions.
struct PipelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pipeline",
    abstract: "Check, apply, compare, roll back and delete pipelines.",
    discussion: """
      A pipeline is known by its name or by its number. Its versions never change; applying other content makes a new one.

      EXAMPLES
        fraudctl pipeline check card-payments.yaml
        fraudctl pipeline apply card-payments.yaml --note 'lower threshold'
        fraudctl pipeline list
        fraudctl pipeline show card-payments --json
        fraudctl pipeline history 1
      """,
    subcommands: [
      Check.self, Apply.self, List.self, Show.self, History.self, Diff.self, Compare.self, Rollback.self, Delete.self,
      Reset.self,
    ])

  struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "apply", abstract: "Put a definition in force.",
      discussion: """
        The definition is compiled first, so that no version is kept that cannot run. Content that was applied before is
        the same version. A schema that cannot read the events of the version in force is refused, unless --force.

        With `share: 0.1` at its top, a definition is in force for a tenth of the keys; for the others the version that was
        in force before goes on, as the control. Another one with `share` takes the place of the first, one without ends
        the experiment. `pipeline compare` shows how both do, `pipeline rollback` goes back to the control.

        EXAMPLES
          fraudctl pipeline apply card-payments.yaml
          fraudctl pipeline apply card-payments.yaml --overlay production.yaml --note 'production topic'
        """)

    @Argument(help: "The definition, YAML or JSON.", completion: .file(extensions: ["yaml", "yml", "json"]))
    var file: String
    @Option(help: ArgumentHelp("A file that wins over the definition key by key. May be repeated.", valueName: "file"))
    var overlay: [String] = []
    @Option(help: "Why, for the history.") var note: String?
    @Flag(help: "Accept a schema that cannot read the events of the version in force.") var force = false
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let definition = try LoadedPipeline(file: file, overlays: overlay).stored()
        let applied = try withDatabase(database) { connection, _ in
          try PipelineStore.apply(
            definition, author: currentUser(), note: note, force: force, zones: systemTimeZones, on: &connection)
        }
        if output.json {
          var object = JSONObjectText()
          object.append("id", Int64(applied.id))
          object.append("name", applied.name)
          object.append("version", Int64(applied.version))
          object.append("is_new", applied.isNew)
          object.append("share", json: definition.share.map { "\(Double($0) / 10_000)" } ?? "null")
          object.append("control_version", applied.control.map(Int64.init))
          Terminal.standardOutput.line(object.finished)
        } else {
          Terminal.standardOutput.line(
            "pipeline \(applied.name) (\(applied.id)), version \(applied.version)"
              + (applied.control.map {
                " for \(shareText(definition.share ?? 0)) of the keys, version \($0) for the others"
              } ?? "")
              + (applied.isNew ? "" : ", which has this content already"))
        }
      }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List pipelines.")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let pipelines = try withDatabase(database) { connection, _ in try PipelineStore.list(on: &connection) }
        if output.json {
          for pipeline in pipelines { Terminal.standardOutput.line(json(of: pipeline, withDefinition: false)) }
        } else if pipelines.isEmpty {
          Terminal.standardError.message("no pipelines; `fraudctl pipeline apply FILE` adds one")
        } else {
          var table = Table(columns: [
            .init(title: "ID", alignment: .right), .init(title: "NAME"), .init(title: "VERSION", alignment: .right),
            .init(title: "RULES", alignment: .right), .init(title: "TOPIC", flexible: true),
            .init(title: "APPLIED (UTC)"), .init(title: "BY"),
          ])
          table.rows = pipelines.map { pipeline in
            let (topic, rules) = outline(pipeline)
            return [
              String(pipeline.id), pipeline.name, version(pipeline), String(rules), topic,
              shortTime(pipeline.createdAt), pipeline.author,
            ]
          }
          table.write(to: .standardOutput)
        }
      }
    }

    private func version(_ pipeline: StoredPipeline) -> String {
      guard let share = pipeline.share, let control = pipeline.control else { return "\(pipeline.version)" }
      return "\(pipeline.version) (\(shareText(share))), \(control.version)"
    }

    private func outline(_ pipeline: StoredPipeline) -> (topic: String, rules: Int) {
      guard let definition = try? DefinitionValue(json: Array(pipeline.definition.utf8)),
        case .object(let members) = definition.content
      else { return ("", 0) }
      var topic = ""
      var rules = 0
      for member in members {
        if member.key == "kafka_topic", case .string(let name) = member.value.content { topic = name }
        if member.key == "rules", case .array(let elements) = member.value.content { rules = elements.count }
      }
      return (topic, rules)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a pipeline's definition.")

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Option(help: ArgumentHelp("A version (default: the one in force).", valueName: "number")) var version: Int?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let found = try withDatabase(database) { connection, _ in
          try PipelineStore.find(pipeline, version: version, on: &connection)
        }
        guard let found else {
          throw Failure.failed(
            "there is no pipeline \(printable(pipeline))" + (version.map { " of version \($0)" } ?? ""))
        }
        let text = json(of: found, withDefinition: true)
        if output.json { Terminal.standardOutput.line(text) } else { showMembers(of: text) }
      }
    }
  }

  struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "history", abstract: "List a pipeline's versions, the newest first.")

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let versions = try withDatabase(database) { connection, _ in
          try PipelineStore.history(pipeline, on: &connection)
        }
        if versions.isEmpty { throw Failure.failed("there is no pipeline \(printable(pipeline))") }
        if output.json {
          for version in versions { Terminal.standardOutput.line(json(of: version, withDefinition: false)) }
        } else {
          var table = Table(columns: [
            .init(title: "VERSION", alignment: .right), .init(title: ""), .init(title: "APPLIED (UTC)"),
            .init(title: "BY"), .init(title: "SHA-256"), .init(title: "NOTE", flexible: true),
          ])
          table.rows = versions.map { version in
            [
              String(version.version), state(version, versions.first(where: \.isActive)), shortTime(version.createdAt),
              version.author, String(version.sha256.prefix(12)), version.note ?? "",
            ]
          }
          table.write(to: .standardOutput)
        }
      }
    }

    private func state(_ version: StoredPipeline, _ active: StoredPipeline?) -> String {
      if version.version == active?.control?.version { return "in force for the others" }
      guard let share = version.share, let control = version.control else { return version.isActive ? "in force" : "" }
      return version.isActive
        ? "in force for \(shareText(share)) of the keys" : "for \(shareText(share)) beside \(control.version)"
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Delete a pipeline with its versions, progress, alerts and rejected events.",
      discussion: "The audit log keeps a line of it. A process that runs the pipeline stops at its next commit.")

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Flag(help: "Do not ask.") var yes = false
    @Option(help: "Why, for the audit log.") var note: String?
    @OptionGroup var database: DatabaseOptions

    func run() throws {
      try reporting {
        try withDatabase(database) { connection, _ in
          guard let found = try PipelineStore.find(pipeline, on: &connection) else {
            throw Failure.failed("there is no pipeline \(printable(pipeline))")
          }
          let contents = try PipelineStore.contents(found.id, on: &connection)
          let what = contents.map { "\(grouped(Int($0.rows))) rows of \($0.table)" }
          guard
            yes
              || PipelineCommand.confirm(
                "Delete \(found.name)\(what.isEmpty ? "" : " with " + what.joined(separator: ", "))?")
          else {
            throw Failure.failed("nothing was deleted")
          }
          try PipelineStore.delete(found.id, author: currentUser(), note: note, on: &connection)
          Terminal.standardError.message("deleted \(found.name)")
        }
      }
    }
  }
}

private func json(of pipeline: StoredPipeline, withDefinition: Bool) -> String {
  var object = JSONObjectText()
  object.append("id", Int64(pipeline.id))
  object.append("name", pipeline.name)
  object.append("version", Int64(pipeline.version))
  object.append("is_active", pipeline.isActive)
  object.append("share", json: pipeline.share.map { "\(Double($0) / 10_000)" } ?? "null")
  object.append("control_version", pipeline.control.map { Int64($0.version) })
  object.append("versions", Int64(pipeline.versions))
  object.append("sha256", pipeline.sha256)
  object.append("author", pipeline.author)
  object.append("note", pipeline.note)
  object.append("created_at", timestamp: pipeline.createdAt)
  if withDefinition {
    object.append(
      "rule_ids",
      json: jsonArray(
        pipeline.rules.map { rule in
          var entry = JSONObjectText()
          entry.append("id", Int64(rule.id))
          entry.append("rule", rule.name)
          return entry.finished
        }))
    object.append("definition", json: pipeline.definition)
  }
  return object.finished
}

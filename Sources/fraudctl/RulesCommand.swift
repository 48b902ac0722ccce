import ArgumentParser
import Foundation
import FraudCore

/// `fraudctl rules …`: rules without a pipeline running.
struct RulesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rules",
    abstract: "Check, try and explain rules.",
    discussion: """
      A rule is the condition of a WHERE clause in Spark SQL's ANSI dialect over the fields of one event.

      EXAMPLES
        fraudctl rules check --schema schema.json --expression "amount > 10 AND currency = 'USD'"
        fraudctl rules check --pipeline card-payments.yaml
        fraudctl rules test --schema schema.json --events rows.ndjson --expression "amount > 5000"
        fraudctl rules explain --schema schema.json --expression "qty * 0.1 = 0.3"
      """,
    subcommands: [Check.self, Test.self, Explain.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Say whether rules compile, and everything that is wrong with those that do not.",
      discussion: """
        Without --expression, the rules of the pipeline are checked. Exits with 65 if one is wrong.

        EXAMPLES
          fraudctl rules check --schema schema.json --expression "amount > 10 AND curency = 'USD'"
          fraudctl rules check --pipeline card-payments.yaml
        """)

    @OptionGroup var vocabulary: VocabularyOptions
    @Option(help: ArgumentHelp("A rule. May be repeated.", valueName: "text"))
    var expression: [String] = []
    @OptionGroup var output: OutputOptions

    func validate() throws {
      try vocabulary.validate()
      if expression.isEmpty, vocabulary.pipeline == nil { throw ValidationError("Missing --expression '<text>'.") }
    }

    func run() throws {
      try reporting {
        let vocabulary = try vocabulary.read()
        if expression.isEmpty {
          // Reading a pipeline compiles its rules.
          let count = vocabulary.loaded?.pipeline.definition.rules.count ?? 0
          if output.json {
            Terminal.standardOutput.line("{\"result\":\"ok\",\"rules\":\(count)}")
          } else {
            Terminal.standardOutput.line("\(count) rule\(count == 1 ? "" : "s"), all right")
          }
          return
        }
        var isWrong = false
        for text in expression {
          do throws(ExpressionError) {
            let rule = try vocabulary.compiler.rule(text)
            if output.json {
              var object = JSONObjectText()
              object.append("result", "ok")
              object.append("canonical", vocabulary.canonicalText(rule))
              Terminal.standardOutput.line(object.finished)
            } else {
              Terminal.standardOutput.line("ok  " + printable(vocabulary.canonicalText(rule)))
            }
          } catch {
            isWrong = true
            report(error, in: text, isJSON: output.json)
          }
        }
        if isWrong { throw ExitCode.invalidInput }
      }
    }
  }

  struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "explain",
      abstract: "Show what a rule means: its canonical text, its columns and every step with its type.",
      discussion: """
        EXAMPLES
          fraudctl rules explain --schema schema.json --expression "amount BETWEEN 10 AND 20"
          fraudctl rules explain --pipeline card-payments.yaml --expression "tx_count_10m > 5" --json
        """)

    @OptionGroup var vocabulary: VocabularyOptions
    @Option(help: ArgumentHelp("The rule.", valueName: "text"))
    var expression: String
    @OptionGroup var output: OutputOptions

    func validate() throws { try vocabulary.validate() }

    func run() throws {
      try reporting {
        let vocabulary = try vocabulary.read()
        do throws(ExpressionError) {
          let explanation = try RuleExplanation(vocabulary.compiler.rule(expression), vocabulary)
          if output.json {
            Terminal.standardOutput.line(explanation.json)
          } else {
            explanation.write(to: .standardOutput)
          }
        } catch {
          report(error, in: expression, isJSON: output.json)
          throw ExitCode.invalidInput
        }
      }
    }
  }
}

/// What rules may name: a schema, or a pipeline with its features and lists.
struct VocabularyOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The schema, YAML or JSON: a list of fields.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml", "json"]))
  var schema: String?
  @Option(
    help: ArgumentHelp("A pipeline definition, in place of a schema.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml", "json"]))
  var pipeline: String?

  func validate() throws {
    if (schema == nil) == (pipeline == nil) { throw ValidationError("Name either --schema or --pipeline.") }
  }

  func read() throws -> RuleVocabulary {
    if let pipeline { return RuleVocabulary(try LoadedPipeline(file: pipeline)) }
    return RuleVocabulary(try Schema(readDefinition(schema ?? "")))
  }
}

/// The compiler for a schema or a pipeline, and what its rules run with.
struct RuleVocabulary {
  let compiler: ExpressionCompiler
  let schema: Schema
  let loaded: LoadedPipeline?

  init(_ schema: Schema) {
    self.schema = schema
    loaded = nil
    compiler = ExpressionCompiler(layout: ColumnLayout(schema: schema), zones: systemTimeZones)
  }

  init(_ loaded: LoadedPipeline) {
    self.loaded = loaded
    schema = loaded.pipeline.definition.schema
    compiler = ExpressionCompiler(
      layout: loaded.pipeline.layout,
      lists: loaded.pipeline.definition.lists.map {
        DeclaredList(name: $0.name, type: $0.type == .integer ? .integer : .string)
      }, zones: systemTimeZones)
  }

  /// What the declared lists hold, by index.
  var lists: [ListValues] {
    (loaded?.pipeline.definition.lists ?? []).map { list in
      loaded?.lists[list.name] ?? list.contents(list.values)
    }
  }

  func canonicalText(_ rule: CheckedExpression) -> String {
    rule.canonicalText(layout: compiler.layout, lists: compiler.lists)
  }
}

/// Prints what is wrong with a rule: for people with carets on stderr, for scripts as one line on stdout.
func report(_ error: ExpressionError, in text: String, isJSON: Bool) {
  guard isJSON else {
    let terminal = Terminal.standardError
    for line in error.rendered(in: text).split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      let isCaret = line.drop { $0 == " " }.first == "^"
      let isMessage = !line.hasPrefix("  ")
      terminal.line(terminal.styled(printable(String(line)), isCaret ? .accent : isMessage ? .failure : .plain))
    }
    return
  }
  let bytes = Array(text.utf8)
  let diagnostics = error.diagnostics.map { diagnostic in
    let place = SourcePlace(of: diagnostic.range.lowerBound, in: bytes)
    var object = JSONObjectText()
    object.append("message", diagnostic.message)
    object.append("line", Int64(place.line))
    object.append("column", Int64(place.column))
    object.append("start", Int64(diagnostic.range.lowerBound))
    object.append("end", Int64(diagnostic.range.upperBound))
    return object.finished
  }
  Terminal.standardOutput.line(
    "{\"result\":\"compile_error\",\"diagnostics\":[" + diagnostics.joined(separator: ",") + "]}")
}

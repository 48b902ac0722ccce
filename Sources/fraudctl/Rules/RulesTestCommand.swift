import ArgumentParser
import Foundation
import FraudCore

extension RulesCommand {
  struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "test", abstract: "Try rules on events: which rows match.",
      discussion: """
        Rows are counted from 0. Every event must decode; one that does not ends the command with 65. With --cases, each line of
        the file has "id" and "expr", and each line of the output, in the same order,
        {"id","result","matches","nulls","errors","message"}; the exit code is then 0 whatever they answer.

        EXAMPLES
          fraudctl rules test --schema schema.json --events rows.ndjson --expression "amount > 5000"
          fraudctl rules test --pipeline card-payments.yaml --events events.csv.zst --expression "tx_count_10m > 5" --limit 5
          fraudctl rules test --schema schema.json --events rows.ndjson --cases cases.ndjson --json
        """)

    @OptionGroup var vocabulary: VocabularyOptions
    @Option(
      help: ArgumentHelp("Events, NDJSON or CSV, also packed with zstd; - is stdin.", valueName: "file"),
      completion: .file())
    var events: String
    @Option(help: ArgumentHelp("The rule.", valueName: "text"))
    var expression: String?
    @Option(help: ArgumentHelp("A file of rules, one JSON object a line.", valueName: "file"), completion: .file())
    var cases: String?
    @Option(help: ArgumentHelp("Rows to show at most.", valueName: "count"))
    var limit = 20
    @OptionGroup var output: OutputOptions

    func validate() throws {
      try vocabulary.validate()
      if (expression == nil) == (cases == nil) { throw ValidationError("Name either --expression or --cases.") }
      if limit < 0 { throw ValidationError("--limit is a count.") }
    }

    func run() throws {
      try reporting {
        let vocabulary = try vocabulary.read()
        if let cases {
          let cases = try readCases(cases)
          let events = try RuleEvents(path: events, vocabulary: vocabulary)
          writeAnswers(to: cases, events, vocabulary)
        } else if let expression {
          let rule: CheckedExpression
          do throws(ExpressionError) {
            rule = try vocabulary.compiler.rule(expression)
          } catch {
            report(error, in: expression, isJSON: output.json)
            throw ExitCode.invalidInput
          }
          let events = try RuleEvents(path: events, vocabulary: vocabulary)
          let answers = events.answers(of: [rule], vocabulary)[0]
          if output.json {
            Terminal.standardOutput.line(line(id: nil, .success(answers)))
          } else {
            show(answers, of: rule, events, vocabulary)
          }
        }
      }
    }

    // MARK: For people

    /// A table of the rows that match or raise, with the columns that the rule reads.
    private func show(
      _ answers: RuleAnswers, of rule: CheckedExpression, _ events: RuleEvents, _ vocabulary: RuleVocabulary
    ) {
      let reasons = Dictionary(zip(answers.errors, answers.reasons)) { first, _ in first }
      let rows = (answers.matches + answers.errors).sorted()
      let columns = rule.columns
      let shown = rows.prefix(limit)
      let terminal = Terminal.standardOutput
      if !shown.isEmpty {
        Table(
          columns: [Table.Column(title: "row", alignment: .right), Table.Column(title: "outcome")]
            + columns.map { Table.Column(title: vocabulary.compiler.layout.columns[$0].name, flexible: true) },
          rows: shown.map { row in
            let outcome = reasons[row].map { $0?.name ?? "error" } ?? "true"
            return ["\(row)", outcome] + columns.map { events.text(column: $0, row: row) }
          },
          style: { row, column in column == 1 ? (reasons[shown[row]] == nil ? .success : .failure) : .plain }
        ).write(to: terminal)
        if rows.count > shown.count {
          terminal.line("  … and \(grouped(rows.count - shown.count)) more; --limit shows them")
        }
        terminal.line()
      }
      terminal.line(
        "\(grouped(answers.matches.count)) of \(grouped(events.rowCount)) events match, "
          + "\(grouped(answers.nulls.count)) NULL, \(grouped(answers.errors.count)) with an error")
    }

    // MARK: Cases

    private struct Case {
      var id: String
      var expression: String
    }

    private func readCases(_ path: String) throws -> [Case] {
      guard
        let data = path == "-"
          ? FileHandle.standardInput.readDataToEndOfFile() : FileManager.default.contents(atPath: path)
      else { throw Failure.invalid("cannot read \(path)") }
      var cases: [Case] = []
      for (index, line) in data.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated()
      where !line.isEmpty {
        let value: DefinitionValue
        do throws(DefinitionError) {
          value = try DefinitionValue(json: Array(line))
        } catch {
          throw Failure.invalid("\(path), line \(index + 1): \(error)")
        }
        guard case .object(let members) = value.content else {
          throw Failure.invalid("\(path), line \(index + 1): expected an object with id and expr")
        }
        func text(_ key: String) -> String? {
          guard case .string(let text)? = members.first(where: { $0.key == key })?.value.content else { return nil }
          return text
        }
        guard let id = text("id"), let expression = text("expr") else {
          throw Failure.invalid("\(path), line \(index + 1): id and expr must be there, both as strings")
        }
        cases.append(Case(id: id, expression: expression))
      }
      return cases
    }

    /// Rules that are compiled into one program. Each intermediate column takes 8 KiB, so memory stays small.
    private static let rulesTogether = 64

    private func writeAnswers(to cases: [Case], _ events: RuleEvents, _ vocabulary: RuleVocabulary) {
      for start in stride(from: 0, to: cases.count, by: Self.rulesTogether) {
        let chunk = cases[start..<min(start + Self.rulesTogether, cases.count)]
        let compiled = chunk.map { rule in
          Result { () throws(ExpressionError) in try vocabulary.compiler.rule(rule.expression) }
        }
        var answers = events.answers(of: compiled.compactMap { try? $0.get() }, vocabulary)[...]
        for (rule, result) in zip(chunk, compiled) {
          switch result {
          case .success: write(rule.id, .success(answers.removeFirst()))
          case .failure(let error): write(rule.id, .failure(error))
          }
        }
      }
    }

    private func write(_ id: String, _ result: Result<RuleAnswers, ExpressionError>) {
      if output.json {
        Terminal.standardOutput.line(line(id: id, result))
        return
      }
      switch result {
      case .success(let answers):
        Terminal.standardOutput.line(
          "\(printable(id))  \(answers.matches.count) match, \(answers.nulls.count) NULL, \(answers.errors.count) with an error"
        )
      case .failure(let error):
        Terminal.standardOutput.line("\(printable(id))  does not compile: \(printable(error.description))")
      }
    }

    /// The JSON line of a rule's answers.
    private func line(id: String?, _ result: Result<RuleAnswers, ExpressionError>) -> String {
      var object = JSONObjectText()
      if let id { object.append("id", id) }
      func array(_ rows: [Int]) -> String { "[" + rows.map(String.init).joined(separator: ",") + "]" }
      switch result {
      case .success(let answers):
        object.append("result", "ok")
        object.append("matches", json: array(answers.matches))
        object.append("nulls", json: array(answers.nulls))
        object.append("errors", json: array(answers.errors))
        object.append("message", Set(answers.reasons.compactMap { $0?.name }).sorted().joined(separator: ", "))
      case .failure(let error):
        object.append("result", "compile_error")
        for key in ["matches", "nulls", "errors"] { object.append(key, json: "[]") }
        object.append("message", error.description)
      }
      return object.finished
    }
  }
}

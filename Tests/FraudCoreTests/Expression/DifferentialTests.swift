import Foundation
import Testing

@testable import FraudCore

/// Random well-typed rules over random rows: the fast evaluator against the row-at-a-time twin, outcomes and the reasons of
/// errors.
///
/// 20,000 evaluations, or as many as `FRAUD_EVALUATIONS` says: a million in `Scripts/test`. The seed
/// is printed with a difference, and `FRAUD_SEED` sets it.
@Suite struct DifferentialTests {
  private static func setting(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
  }
  private static let seed = setting("FRAUD_SEED") ?? 20_261_121
  private static let evaluations = Int(setting("FRAUD_EVALUATIONS") ?? 20_000)

  @Test func agreesWithTheTwin() throws {
    var seed = Self.seed
    var done = 0
    while done < Self.evaluations {
      let round = try Round(seed: seed)
      if let difference = round.difference() {
        Issue.record("FRAUD_SEED=\(seed): \(difference)")
        return
      }
      done += round.rules.count * round.rows.count
      seed += 1
    }
    print("\(done) evaluations agree with the twin, FRAUD_SEED=\(Self.seed)")
  }

  /// A program of many rules, and rows that leave the last word of every bitmap partly used.
  private struct Round {
    static let layout = ColumnLayout(schema: ExpressionGenerator.schema)
    static let compiler = ExpressionCompiler(layout: layout, lists: ExpressionGenerator.lists)

    var rules: [(text: String, checked: CheckedExpression)] = []
    var rows: [[Value]] = []

    init(seed: UInt64) throws {
      var generator = ExpressionGenerator(seed: seed)
      for _ in 0..<50 {
        let text = generator.rule()
        do {
          rules.append((text, try Self.compiler.rule(text)))
        } catch {
          // What cannot be right for any row may be refused when it is compiled.
          let isConstant = error.diagnostics.contains { $0.message.contains("TIMESTAMP") }
          #expect(isConstant, "FRAUD_SEED=\(seed): \(text): \(error)")
        }
      }
      let count = seed % 8 == 0 ? 1 : 20 + Int(seed % 100)
      rows = (0..<count).map { _ in generator.row() }
    }

    func difference() -> String? {
      let batch = EventBatch(layout: Self.layout, rows: rows)
      var evaluator = RuleEvaluator(RuleProgram(rules.map(\.checked), layout: Self.layout))
      var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
      let numbers = ExpressionGenerator.listedNumbers
      let texts = ExpressionGenerator.listedTexts
      evaluator.evaluate(batch, lists: [ListValues(integers: numbers), ListValues(texts: texts)], into: &outcomes)
      let lists = [numbers.map { Value.integer($0) }, texts.map { Value.string(Array($0.utf8)) }]
      for (index, rule) in rules.enumerated() {
        let twin = ExpressionTwin(rule.checked, lists: lists)
        for row in rows.indices {
          let expected = twin.outcome(of: rows[row])
          let name: RowOutcome =
            switch expected {
            case .error: .error
            case .value(.null): .null
            case .value(.boolean(true)): .true
            default: .false
            }
          let actual = outcomes.outcome(rule: index, row: row)
          if actual != name { return "\(actual), the twin says \(expected), for \(rows[row]) of \(rule.text)" }
          if case .error(let reason) = expected, let raised = evaluator.error(rule: index, row: row, in: batch),
            raised != reason
          {
            return "\(raised), the twin says \(reason), for \(rows[row]) of \(rule.text)"
          }
        }
      }
      return nil
    }
  }
}

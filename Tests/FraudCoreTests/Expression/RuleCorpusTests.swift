import Foundation
import Testing

@testable import FraudCore

private let corpus = RuleCorpus.shared

/// Rows to try a rule on: a few of each outcome that Spark gave, and a few spread over all. In a debug build the twin needs
/// minutes for all of them; `ALL_ROWS=1` takes them.
private func rows(for rule: RuleCorpus.Case) -> [Int] {
  if isExhaustive { return Array(corpus.rows.indices) }
  var chosen = Set(stride(from: 0, to: corpus.rows.count, by: 50))
  for listed in [rule.matches, rule.nulls, rule.errors] + (rule.also ?? [:]).values.map(Optional.some) {
    chosen.formUnion(listed?.prefix(3) ?? [])
    chosen.formUnion(listed?.suffix(2) ?? [])
  }
  return chosen.sorted()
}

private let isExhaustive = ProcessInfo.processInfo.environment["ALL_ROWS"] != nil

private func outcomes(of expression: CheckedExpression, rows: [Int]) -> [RowOutcome] {
  let twin = ExpressionTwin(expression)
  return rows.map { row in
    switch twin.outcome(of: corpus.rows[row]) {
    case .error: .error
    case .value(.null): .null
    case .value(.boolean(true)): .true
    default: .false
    }
  }
}

@Test func theCorpusIsThere() {
  #expect(corpus.cases.count >= 300)
  #expect(corpus.rows.count == 400)
}

/// The interpreter of checked expressions answers what Spark answered.
@Test(arguments: Set(corpus.cases.map(\.group)).sorted())
func theTwinAgreesWithSpark(group: String) {
  let compiler = ExpressionCompiler(layout: ColumnLayout(schema: corpus.schema))
  for rule in corpus.cases where rule.group == group {
    let rows = rows(for: rule)
    var message = ""
    var compiled: CheckedExpression?
    do throws(ExpressionError) {
      compiled = try compiler.rule(rule.expr)
    } catch {
      message = error.description
    }
    let fault = rule.fault(of: compiled.map { outcomes(of: $0, rows: rows) }, rows: rows, of: corpus.rows.count)
    #expect(fault == nil, "\(rule.id) \(rule.expr.prefix(200)): \(fault ?? "") \(message)")
  }
}

import Foundation
import Testing

@testable import FraudCore

private let layout = ColumnLayout(schema: ExpressionGenerator.schema)
private let compiler = ExpressionCompiler(layout: layout)

/// Constant rules that Spark 4.3 answers with TRUE.
@Test(arguments: [
  "typeof(INTERVAL 1 HOUR) = 'interval hour'", "typeof(INTERVAL '1 day 1 hour') = 'interval day to hour'",
  "typeof(INTERVAL 1 DAY + INTERVAL 1 SECOND) = 'interval day to second'",
  "typeof(coalesce(INTERVAL 1 YEAR, INTERVAL 1 MONTH)) = 'interval year to month'",
  "DATE '2024-01-31' + INTERVAL 1 DAY = DATE '2024-02-01'", "extract(HOUR FROM INTERVAL '1 10' DAY TO HOUR) = 10",
  "12345678901234567890.5 DIV 1 = -6101065172474983726", "regexp_substr('abc', 'x*') IS NULL",
  "to_date(20240301, 'yyyyMMdd') = DATE '2024-03-01'", "to_date(2024) = DATE '2024-01-01'", "cbrt(27.0) = 3",
  "cbrt(-0.001D) = -0.1D",
])
func constantRuleIsTrue(_ rule: String) throws {
  #expect(try compiler.rule(rule).nodes.last?.operation == .literal(.boolean(true)), "\(rule)")
}

/// What Spark 4.3 refuses before it sees a row.
@Test(arguments: [
  "DATE '2024-01-01' + n1 > DATE '2024-01-01'", "date_add(CAST(t1 AS DATE), n1) IS NULL",
  "CAST(t1 AS DATE) - 1.5 IS NULL", "extract(DAY FROM INTERVAL '1:30' HOUR TO MINUTE) = 1",
  "1.5D IS UNKNOWN", "'x' IS UNKNOWN",
  "extract(HOUR FROM INTERVAL 1 DAY) = 1", "extract(DAY FROM INTERVAL 1 MONTH) = 1",
])
func refusesWhatSparkRefuses(_ rule: String) {
  #expect(throws: ExpressionError.self) { try compiler.rule(rule) }
}

/// The midnight before the least timestamp does not fit 64 bits, its time of day does.
@Test func leastTimestampHasATimeOfDay() {
  #expect(Calendar.microsecondOfDay(.min) == 71_945_224_192)
}

/// A calculation with constants that makes much text is left to the rows, and means the same there.
@Test(arguments: [("1000", 2_000), ("1048577", 0)]) func foldedTextsAreBounded(_ length: String, _ appended: Int) throws
{
  let text = "repeat('x', \(length))" + String(repeating: " || 'y'", count: appended)
  let rule = try compiler.rule("length(\(text)) = \(length) + \(appended)")
  let bytes = rule.nodes.reduce(0) { sum, node in
    guard case .literal(.string(let text)) = node.operation else { return sum }
    return sum + text.count
  }
  #expect(bytes <= Limits.constantTextBytes)
  #expect(rule.nodes.last?.operation != .literal(.boolean(true)), "so much text is not folded")

  var generator = ExpressionGenerator(seed: 1)
  let batch = EventBatch(layout: layout, rows: [generator.row()])
  var evaluator = RuleEvaluator(RuleProgram([rule], layout: layout))
  var outcomes = RuleOutcomes(ruleCount: 1, stride: batch.bitmapStride)
  evaluator.evaluate(batch, lists: [], into: &outcomes)
  #expect(outcomes.outcome(rule: 0, row: 0) == .true)
}

/// Texts and patterns that grow eightfold take about eight times as long, whatever they repeat: 64 would be quadratic.
@Suite(.serialized) struct GrowthTests {
  /// CPU time of this thread, which other work on the machine adds to only where a virtual machine's own processors are
  /// taken from it: the least of several runs is without.
  private func seconds(_ body: () -> Void) -> Double {
    func now() -> Double {
      var time = timespec()
      unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let start = now()
    body()
    return now() - start
  }

  private func checkGrowth(_ name: String, _ count: Int, _ body: (Int) -> Void) {
    let small = (0..<3).map { _ in seconds { body(count) } }.min() ?? 0
    var (large, runs) = (Double.infinity, 0)
    // Below a few milliseconds a ratio says nothing.
    var isLinear: Bool { large < 0.02 || large < 20 * small }
    while !isLinear, runs < 5 {
      large = min(large, seconds { body(8 * count) })
      runs += 1
    }
    #expect(isLinear, "\(name): \(small) s, then \(large) s")
  }

  @Test(arguments: [
    ("", "n1 > 1 AND ", "b1"), ("", "n1 = 1 OR ", "b1"), ("n1 = 1", " + 1", ""), ("s1 = ''", " || 'x'", ""),
    ("", "NOT ", "b1"), ("n1 = ", "- ", "1"), ("n1 = ", "~", "1"), ("s1 = ", "'a' ", ""), ("", "/*", ""),
    ("n1 = 1 ", "/* a */", ""), ("b1 ", "-- x\n", ""), ("`", "``", "`"), ("s1 = '", "''", "'"), ("n1 IN (1", ",2", ")"),
    ("n1 = coalesce(1", ", n2", ")"), ("s1 = concat('a'", ", s2", ")"), ("", "(", ""), ("b1", ")", ""), ("", "1 ", ""),
    ("n1 = CASE ", "WHEN b2 THEN 1 ", "END"), ("b1", " = b1", ""), ("", "é", ""), ("n1 = 0", "0", ""),
    ("n1 = n1", "::BIGINT", ""), ("", "CASE ", ""), ("t1 > TIMESTAMP '", "1", "'"), ("", "unknown_column = ", "1"),
  ])
  func expressions(_ before: String, _ repeated: String, _ after: String) {
    checkGrowth("\(before)\(repeated)…\(after)", 800) { count in
      _ = try? compiler.rule(before + String(repeating: repeated, count: count) + after)
    }
  }

  @Test(arguments: ["a?", "(a|b)", "[a-z]", "(", "a{1,3}", "\\d*", ".*", "|", "(a*)*", "%a", "_", "\\w+\\s"])
  func patterns(_ repeated: String) {
    // Shorter than any of the patterns: as many of a long pattern's states are tried as the text has characters.
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 64)
    checkGrowth(repeated, 200) { count in
      let pattern = Array(String(repeating: repeated, count: count).utf8)
      if let expression = try? RegularExpression(pattern) {
        var matcher = RegexMatcher(expression)
        _ = matcher.isMatch(text.span)
      }
      if let like = try? LikePattern(pattern, escape: "\\") { _ = like.matches(text.span) }
    }
  }
}

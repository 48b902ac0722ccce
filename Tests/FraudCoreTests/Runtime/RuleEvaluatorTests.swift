import TestRandom
import Testing

@testable import FraudCore

extension EventBatch {
  /// A batch of rows of values.
  init(layout: ColumnLayout, rows: [[Value]], capacity: Int? = nil) {
    self.init(layout: layout, source: EventSource(topic: "rows"), capacity: capacity ?? max(1, rows.count))
    rowCount = rows.count
    bytes = []
    for (row, values) in rows.enumerated() {
      for (column, value) in values.enumerated() {
        guard value != .null else { continue }
        validity[column * bitmapStride + row / 64] |= 1 << UInt64(row % 64)
        switch value {
        case .integer(let value): words[column * stride + row] = UInt64(bitPattern: value)
        case .double(let value): words[column * stride + row] = value.bitPattern
        case .boolean(let value):
          if value { words[column * stride + row / 64] |= 1 << UInt64(row % 64) }
        case .string(let text):
          words[column * stride + row] = TextSlice(offset: bytes.count, count: text.count).word
          bytes += text
        case .null, .decimal: break
        }
      }
    }
    bytes += [UInt8](repeating: 0, count: Self.padding)
  }
}

extension RuleOutcomes {
  func outcome(rule: Int, row: Int) -> RowOutcome {
    let word = rule * stride + row / 64
    let bit: UInt64 = 1 << UInt64(row % 64)
    if error[word] & bit != 0 { return .error }
    if null[word] & bit != 0 { return .null }
    return triggered[word] & bit != 0 ? .true : .false
  }
}

@Suite struct RuleEvaluatorTests {
  private static let corpus = RuleCorpus.shared
  private let layout = ColumnLayout(schema: corpus.schema)

  /// Every rule of a group on all rows, all rules in one program, as Spark answered.
  @Test(arguments: Set(corpus.cases.map(\.group)).sorted())
  func agreesWithSpark(group: String) {
    let compiler = ExpressionCompiler(layout: layout)
    let compiled = Self.corpus.cases.filter { $0.group == group }.compactMap { rule in
      (try? compiler.rule(rule.expr)).map { (rule, $0) }
    }
    #expect(!compiled.isEmpty || group == "compile_error")
    let rows = Self.corpus.rows
    let batch = EventBatch(layout: layout, rows: rows)
    var evaluator = RuleEvaluator(RuleProgram(compiled.map(\.1), layout: layout))
    var outcomes = RuleOutcomes(ruleCount: compiled.count, stride: batch.bitmapStride)
    evaluator.evaluate(batch, into: &outcomes)
    for (index, (rule, _)) in compiled.enumerated() {
      let answer = rows.indices.map { outcomes.outcome(rule: index, row: $0) }
      let fault = rule.fault(of: answer, rows: Array(rows.indices), of: rows.count)
      #expect(fault == nil, "\(rule.id) \(rule.expr.prefix(200)): \(fault ?? "")")
    }
  }

  private func compile(_ texts: [String]) throws -> [CheckedExpression] {
    let compiler = ExpressionCompiler(layout: layout)
    return try texts.map { try compiler.expression($0) }
  }

  /// Rules joined at random out of Spark's cases, all in one program, against the twin.
  @Test func agreesWithTheTwin() throws {
    var random = SeededGenerator(seed: 23)
    let compiler = ExpressionCompiler(layout: layout)
    let parts = Self.corpus.cases.filter { $0.expr.utf8.count < 120 }.map(\.expr)
    func part(_ depth: Int) -> String {
      let one = parts[Int.random(in: 0..<parts.count, using: &random)]
      guard depth > 0 else { return "(\(one))" }
      switch Int.random(in: 0..<7, using: &random) {
      case 0, 1: return "(\(part(depth - 1)) AND \(part(depth - 1)))"
      case 2, 3: return "(\(part(depth - 1)) OR \(part(depth - 1)))"
      case 4: return "(NOT \(part(depth - 1)))"
      case 5: return "(CASE WHEN \(part(depth - 1)) THEN \(part(depth - 1)) ELSE \(part(depth - 1)) END)"
      default: return "coalesce(\(part(depth - 1)), \(part(depth - 1)))"
      }
    }
    var rules: [(text: String, checked: CheckedExpression)] = []
    while rules.count < 250 {
      // A comment or an unfinished text in a part makes the whole unreadable.
      let text = part(3)
      if let checked = try? compiler.rule(text) { rules.append((text, checked)) }
    }
    let rows = Array(Self.corpus.rows[..<40]) + Self.corpus.rows.suffix(20)
    let batch = EventBatch(layout: layout, rows: rows)
    var evaluator = RuleEvaluator(RuleProgram(rules.map(\.checked), layout: layout))
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
    evaluator.evaluate(batch, into: &outcomes)
    for (index, rule) in rules.enumerated() {
      let twin = ExpressionTwin(rule.checked)
      for row in rows.indices {
        let expected: RowOutcome =
          switch twin.outcome(of: rows[row]) {
          case .error: .error
          case .value(.null): .null
          case .value(.boolean(true)): .true
          default: .false
          }
        #expect(outcomes.outcome(rule: index, row: row) == expected, "row \(row) of \(rule.text)")
      }
    }
  }

  /// A thousand rules in one program, their predicates indexed, answer as each alone.
  @Test func manyRulesAnswerAsEachAlone() throws {
    var random = SeededGenerator(seed: 31)
    let compiler = ExpressionCompiler(layout: layout)
    func number() -> Int { Int.random(in: -5...1_100, using: &random) }
    func rule() -> String {
      let low = number()
      let first =
        switch Int.random(in: 0..<10, using: &random) {
        case 0: "account_no = \(low * 9)"
        case 1: "account_no IN (\(low), \(low * 7), \(number()))"
        case 2: "amount BETWEEN \(low) AND \(low + 50)"
        case 3: "amount > \(low)"
        case 4: "Score <= 0.\(abs(low))"
        case 5: "currency = 'C\(low)'"
        case 6: "currency IN ('USD', 'X\(low)', 'BTC')"
        case 7: "qty >= \(low) AND qty < \(low + 300)"
        case 8: "account_no < \(low)"
        default: "customer_id = 'cust_\(abs(low) % 60)'"
        }
      let rest =
        switch Int.random(in: 0..<7, using: &random) {
        case 0: "description LIKE '%a%'"
        case 1: "100 / `order` > \(low)"
        case 2: "is_vip"
        case 3: "country <> 'US'"
        case 4: "upper(currency) = 'USD'"
        case 5: "amount * 2 > \(low) AND NOT is_first"
        default: "(country IS NULL OR Score > 0.5)"
        }
      let joined = Bool.random(using: &random) ? "\(first) AND \(rest)" : "\(rest) AND \(first)"
      return Int.random(in: 0..<8, using: &random) == 0 ? "\(first) OR \(rest)" : joined
    }
    let rules = try (0..<1_000).map { _ in try compiler.rule(rule()) }
    let rows = Self.corpus.rows
    let batch = EventBatch(layout: layout, rows: rows)
    let program = RuleProgram(rules, layout: layout)
    #expect(program.plan.indexes.count >= 4)
    var evaluator = RuleEvaluator(program)
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
    // Twice: what a run leaves behind must not be seen by the next.
    evaluator.evaluate(EventBatch(layout: layout, rows: Array(rows.reversed())), into: &outcomes)
    evaluator.evaluate(batch, into: &outcomes)
    var alone = RuleOutcomes(ruleCount: 1, stride: batch.bitmapStride)
    for (index, rule) in rules.enumerated() {
      var single = RuleEvaluator(RuleProgram([rule], layout: layout))
      single.evaluate(batch, into: &alone)
      for row in rows.indices where alone.outcome(rule: 0, row: row) != outcomes.outcome(rule: index, row: row) {
        Issue.record("row \(row) of rule \(index)")
        return
      }
    }
  }

  /// Each row alone, in a batch of one, gives what it gives among all.
  @Test func oneRowAtATime() throws {
    let rules = try compile([
      "amount > 100 AND qty < 5", "100 / `order` > 10", "description LIKE '%gift%' OR country IN ('US', 'DE')",
      "upper(currency) = 'USD'", "CASE WHEN is_vip THEN Score ELSE amount END > 50", "description RLIKE '^[a-z ]+$'",
      "qty IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", "coalesce(country, currency) < 'M'", "created_at > last_login",
    ])
    let program = RuleProgram(rules, layout: layout)
    var evaluator = RuleEvaluator(program)
    let rows = Self.corpus.rows
    let batch = EventBatch(layout: layout, rows: rows)
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
    evaluator.evaluate(batch, into: &outcomes)
    var single = RuleOutcomes(ruleCount: rules.count, stride: 1)
    for row in rows.indices {
      let one = EventBatch(layout: layout, rows: [rows[row]])
      evaluator.evaluate(one, into: &single)
      for rule in rules.indices {
        #expect(single.outcome(rule: rule, row: 0) == outcomes.outcome(rule: rule, row: row))
      }
    }
  }

  @Test func reasonsOfErrors() throws {
    let rules = try compile([
      "is_first OR 100 / `order` > 10", "CAST(description AS INT) = 1 AND qty > 0",
      "coalesce(Score, CAST('x' AS DOUBLE)) > 1", "CASE WHEN qty = 1 THEN account_no * 4 ELSE 1 % `order` END > 0",
    ])
    let batch = EventBatch(layout: layout, rows: Self.corpus.rows)
    var evaluator = RuleEvaluator(RuleProgram(rules, layout: layout))
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: batch.bitmapStride)
    evaluator.evaluate(batch, into: &outcomes)
    var seen: [Set<EvaluationError>] = [[], [], [], []]
    for (index, rule) in rules.enumerated() {
      let twin = ExpressionTwin(rule)
      for row in 0..<batch.rowCount {
        let error = evaluator.error(rule: index, row: row, in: batch)
        if case .error(let expected) = twin.outcome(of: Self.corpus.rows[row]) {
          #expect(error == expected, "\(rule) row \(row)")
          seen[index].insert(expected)
        } else {
          #expect(error == nil)
        }
      }
    }
    #expect(seen[0] == [.divideByZero] && seen[1] == [.castInvalidInput] && seen[2] == [.castInvalidInput])
    #expect(seen[3].isSubset(of: [.arithmeticOverflow, .remainderByZero]) && !seen[3].isEmpty)
  }

  @Test func derivedColumns() throws {
    let computed: [ColumnDescription] = [
      ColumnDescription(name: "ratio", type: .float, nullable: true, origin: .derived),
      ColumnDescription(name: "label", type: .string, nullable: true, origin: .derived),
      ColumnDescription(name: "is_big", type: .boolean, nullable: true, origin: .derived),
      ColumnDescription(name: "day", type: .timestamp, nullable: true, origin: .derived),
    ]
    let layout = ColumnLayout(schema: Self.corpus.schema, computed: computed)
    let rows = Self.corpus.rows.map { $0 + [.null, .null, .null, .null] }
    var batch = EventBatch(layout: layout, rows: rows)
    let expressions = try compile([
      "amount / nullif(Score, 0)", "concat(currency, '-', country)", "amount > 100", "date_trunc('day', created_at)",
    ])
    var evaluator = RuleEvaluator(RuleProgram(expressions, layout: layout))
    let first = layout.columns.count - 4
    let raised = evaluator.write(&batch, into: [first, first + 1, first + 2, first + 3])
    #expect(raised == [0, 0, 0, 0])
    for row in rows.indices {
      let values = batch.values(row: row)
      for (index, expression) in expressions.enumerated() {
        guard case .value(let expected) = ExpressionTwin(expression).outcome(of: Self.corpus.rows[row]) else {
          continue
        }
        #expect(values[first + index] == expected, "row \(row)")
      }
    }
  }

  @Test func lists() throws {
    let compiler = ExpressionCompiler(
      layout: layout, lists: [DeclaredList(name: "bad", type: .string), DeclaredList(name: "numbers", type: .integer)])
    let rules = [
      try compiler.rule("currency IN LIST(bad)"), try compiler.rule("NOT `order` IN LIST(numbers)"),
    ]
    var evaluator = RuleEvaluator(RuleProgram(rules, layout: layout))
    let batch = EventBatch(layout: layout, rows: Self.corpus.rows)
    var outcomes = RuleOutcomes(ruleCount: 2, stride: batch.bitmapStride)
    for lists in [
      [ListValues(texts: ["USD", "EUR"]), ListValues(integers: [1, 2, 3])],
      [ListValues(texts: (0..<100).map { "C\($0)" } + ["BTC"]), ListValues(integers: Array(0...40))],
    ] {
      evaluator.evaluate(batch, lists: lists, into: &outcomes)
      let isFirst = lists[0].holds("USD")
      for (row, values) in Self.corpus.rows.enumerated() {
        let currency = values[7]
        let isBad = (isFirst ? ["USD", "EUR"] : ["BTC"]).contains { currency == .string(Array($0.utf8)) }
        #expect(outcomes.outcome(rule: 0, row: row) == (isBad ? .true : .false))
        guard case .integer(let number) = values[6] else {
          #expect(outcomes.outcome(rule: 1, row: row) == .null)
          continue
        }
        let isIn = isFirst ? (1...3).contains(number) : (0...40).contains(number)
        #expect(outcomes.outcome(rule: 1, row: row) == (isIn ? .false : .true))
      }
    }
  }
}

extension ListValues {
  fileprivate func holds(_ text: String) -> Bool {
    guard case .texts(let set) = values else { return false }
    let bytes = Array(text.utf8) + [UInt8](repeating: 0, count: 8)
    return set.contains(bytes.span, 0, text.utf8.count, bytes.span.word(at: 0) & prefixMask(text.utf8.count))
  }
}

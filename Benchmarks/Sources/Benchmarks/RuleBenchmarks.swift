import FraudCore

/// Rules over columns in memory.
enum RuleBenchmarks {
  /// The ten rules of W1, and what each means in plain Swift.
  static let w1: [(sql: String, plain: @Sendable (Payment) -> Bool)] = [
    ("amount > 1200", { $0.amount > 1200 }),
    (
      "country IN ('KP','IR','SY','CU') AND amount > 100",
      { $0.country.map(["KP", "IR", "SY", "CU"].contains) == true && $0.amount > 100 }
    ),
    ("description LIKE '%gift card%' AND amount > 100", { $0.description.has("gift card") && $0.amount > 100 }),
    ("amount BETWEEN 995 AND 1000", { $0.amount >= 995 && $0.amount <= 1000 }),
    ("country IS NULL AND payment_method = 'crypto'", { $0.country == nil && $0.method == "crypto" }),
    ("is_first_purchase = TRUE AND amount > 300", { $0.isFirst && $0.amount > 300 }),
    ("item_count > 20 OR (item_count > 8 AND amount < 5)", { $0.items > 20 || ($0.items > 8 && $0.amount < 5) }),
    (
      "currency = 'BRL' AND payment_method IN ('wallet','crypto') AND amount >= 200",
      { $0.currency == "BRL" && ["wallet", "crypto"].contains($0.method) && $0.amount >= 200 }
    ),
    (
      "merchant_id = 4242 OR merchant_id BETWEEN 9990 AND 9992",
      { $0.merchant == 4242 || (9990...9992).contains($0.merchant) }
    ),
    (
      "description LIKE '%test%' AND (country = 'US' OR currency <> 'USD') AND item_count <= 1 AND NOT is_first_purchase",
      { $0.description.has("test") && ($0.country == "US" || $0.currency != "USD") && $0.items <= 1 && !$0.isFirst }
    ),
  ]

  /// Runs all, or those whose name contains a text.
  static func run(only: String?) {
    // 4.6 MB of messages: more than a core's second-level cache, so texts come from the third.
    let workload = Workload(rows: 16_384, seed: 1)
    print("rules over columns in memory, \(workload.payments.count) rows in batches of \(Limits.batchRows)")
    print(padded("benchmark", 34), padded("ns/row", 10), padded("ns/row/rule", 13), padded("M rules/s", 11), "matches")
    var benchmarks: [(name: String, rules: [(sql: String, plain: @Sendable (Payment) -> Bool)])] = [("W1TenRules", w1)]
    benchmarks += w1.enumerated().map { ("W1Rule\($0.offset + 1)", [$0.element]) }
    benchmarks += kernels.map { ($0.name, [($0.sql, $0.plain)]) }
    benchmarks += [10, 100, 1_000].map { ("ManyRules\($0)", ManyRules.make($0)) }
    for benchmark in benchmarks where only.map(benchmark.name.has) ?? true {
      measure(benchmark.name, benchmark.rules.map(\.sql), workload, expected: benchmark.rules.map(\.plain))
    }
    if only.map("W1SingleEvent".has) ?? true { single() }
  }

  /// One family of kernels each.
  static let kernels: [(name: String, sql: String, plain: @Sendable (Payment) -> Bool)] = [
    ("CompareDoubleConstant", "amount < 20", { $0.amount < 20 }),
    ("CompareIntegerConstant", "merchant_id >= 5000", { $0.merchant >= 5000 }),
    ("CompareColumns", "user_id < merchant_id", { $0.user < $0.merchant }),
    ("CastAndCompareColumns", "amount > item_count", { $0.amount > Double($0.items) }),
    ("TextEquals", "currency = 'EUR'", { $0.currency == "EUR" }),
    ("TextEqualsLong", "description = 'red steel lamp'", { $0.description == "red steel lamp" }),
    ("TextLess", "country < 'DE'", { $0.country.map { $0 < "DE" } == true }),
    ("TextInFew", "country IN ('US','CA','GB')", { $0.country.map(["US", "CA", "GB"].contains) == true }),
    (
      "TextInMany", "description IN (\((0..<200).map { "'text \($0)'" }.joined(separator: ",")), 'red steel lamp')",
      { $0.description == "red steel lamp" }
    ),
    (
      "IntegerInMany", "merchant_id IN (\((0..<500).map { String($0 * 7) }.joined(separator: ",")))",
      { $0.merchant % 7 == 0 && $0.merchant < 3500 }
    ),
    ("LikePrefix", "description LIKE 'red%'", { $0.description.hasPrefix("red") }),
    ("LikeSuffix", "description LIKE '%lamp'", { $0.description.hasSuffix("lamp") }),
    ("LikeContains", "description LIKE '%steel%'", { $0.description.has("steel") }),
    (
      "LikeGeneral", "description LIKE 'r_d%s%l_mp'",
      {
        $0.description.hasPrefix("red") && $0.description.hasSuffix("lamp")
          && $0.description.dropFirst(3).dropLast(4).contains("s")
      }
    ),
    (
      "RegexFind", "description RLIKE '^(red|blue) .*(lamp|bag)$'",
      {
        ($0.description.hasPrefix("red ") || $0.description.hasPrefix("blue "))
          && ($0.description.hasSuffix("lamp") || $0.description.hasSuffix("bag"))
      }
    ),
    ("DoubleArithmetic", "amount * 2 + 1 > 100", { $0.amount * 2 + 1 > 100 }),
    ("IntegerArithmetic", "merchant_id + item_count > 5000", { $0.merchant + $0.items > 5000 }),
    ("Division", "amount / item_count > 50", { $0.amount / Double($0.items) > 50 }),
    ("IsNull", "country IS NULL", { $0.country == nil }),
    ("Case", "CASE WHEN item_count > 2 THEN amount ELSE 0 END > 50", { $0.items > 2 && $0.amount > 50 }),
    ("Coalesce", "coalesce(country, 'none') = 'none'", { $0.country == nil }),
    ("ScalarUpper", "upper(description) = 'RED STEEL LAMP'", { $0.description == "red steel lamp" }),
    ("ScalarHour", "hour(created_at) = 1", { _ in false }),
    ("ScalarDecimal", "item_count * 0.1 = 0.3", { $0.items == 3 }),
  ]

  /// Runs rules over a workload, checks every count against plain Swift, and prints the time.
  static func measure(
    _ name: String, _ rules: [String], _ workload: Workload, expected: [(Payment) -> Bool]
  ) {
    let program = RuleProgram(Workload.compile(rules), layout: Workload.layout)
    var evaluator = RuleEvaluator(program)
    var outcomes = RuleOutcomes(ruleCount: rules.count, stride: Limits.batchRows / 64)
    var counts = [Int](repeating: 0, count: rules.count)
    for batch in workload.batches {
      evaluator.evaluate(batch, into: &outcomes)
      for rule in rules.indices {
        for word in 0..<batch.bitmapStride {
          counts[rule] += outcomes.triggered[rule * outcomes.stride + word].nonzeroBitCount
        }
      }
    }
    for (rule, plain) in expected.enumerated() {
      let right = workload.payments.count(where: plain)
      precondition(counts[rule] == right, "\(rules[rule]): \(counts[rule]) rows, right are \(right)")
    }
    let nanoseconds = leastNanoseconds {
      for batch in workload.batches { evaluator.evaluate(batch, into: &outcomes) }
    }
    let perRow = nanoseconds / Double(workload.payments.count)
    let perRule = perRow / Double(rules.count)
    print(
      padded(name, 34), padded(text(perRow), 10), padded(text(perRule, digits: 3), 13),
      padded(text(1e3 / perRule, digits: 0), 11), counts.reduce(0, +))
  }

  /// W1's rules on one event at a time.
  static func single() {
    let workload = Workload(rows: 1_000, batchRows: 1, seed: 2)
    var evaluator = RuleEvaluator(RuleProgram(Workload.compile(w1.map(\.sql)), layout: Workload.layout))
    var outcomes = RuleOutcomes(ruleCount: w1.count, stride: 1)
    let nanoseconds = leastNanoseconds {
      for batch in workload.batches { evaluator.evaluate(batch, into: &outcomes) }
    }
    print(padded("W1SingleEvent", 34), padded(text(nanoseconds / 1_000), 10), "ns an event")
  }
}

extension String {
  /// Whether a text occurs, byte for byte.
  func has(_ part: String) -> Bool {
    let text = Array(utf8)
    let part = Array(part.utf8)
    guard text.count >= part.count else { return false }
    return (0...(text.count - part.count)).contains { text[$0..<($0 + part.count)].elementsEqual(part) }
  }
}

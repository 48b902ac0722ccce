import Testing

@testable import FraudCore

private let corpus = RuleCorpus.shared
private let layout = ColumnLayout(schema: corpus.schema)
private let compiler = ExpressionCompiler(layout: layout, lists: [DeclaredList(name: "blocked", type: .string)])

/// Printed and compiled again, an expression is the same one.
@Test func canonicalTextCompilesToTheSameTree() throws {
  for rule in corpus.cases {
    guard let expression = try? compiler.rule(rule.expr) else { continue }
    let text = expression.canonicalText(layout: layout, lists: compiler.lists)
    do throws(ExpressionError) {
      let again = try compiler.rule(text)
      let isSame = again == expression
      #expect(isSame, "\(rule.id): \(rule.expr.prefix(200)) → \(text.prefix(400))")
    } catch {
      Issue.record("\(rule.id): \(rule.expr.prefix(200)) → \(text.prefix(400)): \(error)")
    }
  }
}

@Test(arguments: [
  ("amount > 100 and not is_first", "amount > 100.0D AND NOT is_first"),
  ("qty BETWEEN 1 AND 3 OR `order` IS NULL", "qty >= 1L AND qty <= 3L OR `order` IS NULL"),
  ("qty = 1 + 1", "qty = 2L"),
  ("qty - (1 - account_no) > 0", "qty - (1L - account_no) > 0L"),
  ("(is_vip = is_first) = true", "is_vip = is_first = true"),
  ("is_vip = (is_first = true)", "is_vip = (is_first = true)"),
  ("`device id` in list(Blocked)", "`device id` IN LIST(blocked)"),
  ("qty * 0.1 = 0.3", "CAST(qty AS DECIMAL(20,0)) * 0.1 = CAST(0.3 AS DECIMAL(22,1))"),
  ("description like 'a!_b' escape '!'", "description LIKE 'a!_b' ESCAPE '!'"),
  ("created_at > '2024-12-01' ", "created_at > TIMESTAMP '2024-12-01 00:00:00'"),
  ("created_at - last_login > INTERVAL 36 HOURS", "created_at - last_login > INTERVAL '36' HOUR"),
])
func printsCanonicalText(rule: String, expected: String) throws {
  #expect(try compiler.rule(rule).canonicalText(layout: layout, lists: compiler.lists) == expected)
}

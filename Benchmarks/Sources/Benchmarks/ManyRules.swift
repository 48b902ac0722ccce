/// Rule sets as large teams have them: each rule begins with an equality, an IN or a range on one of a few columns and then
/// asks for something else.
enum ManyRules {
  static func make(_ count: Int) -> [(sql: String, plain: @Sendable (Payment) -> Bool)] {
    var random = SeededGenerator(seed: 7)
    return (0..<count).map { _ in rule(using: &random) }
  }

  private static func rule(using random: inout SeededGenerator) -> (sql: String, plain: @Sendable (Payment) -> Bool) {
    let limit = Int64.random(in: 100...2_000, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0:
      let merchant = Int64.random(in: 1...10_000, using: &random)
      return (
        "merchant_id = \(merchant) AND amount > \(limit)", { $0.merchant == merchant && $0.amount > Double(limit) }
      )
    case 1:
      let country = random.pick(["US", "GB", "DE", "FR", "BR", "IN", "JP", "CA", "AU", "ES", "KP", "IR", "SY", "CU"])
      let method = random.pick(["card", "paypal", "wallet", "crypto", "bank"])
      return (
        "country = '\(country)' AND payment_method = '\(method)' AND amount > \(limit)",
        { $0.country == country && $0.method == method && $0.amount > Double(limit) }
      )
    case 2:
      let merchants = (0..<5).map { _ in Int64.random(in: 1...10_000, using: &random) }
      let list = merchants.map(String.init).joined(separator: ", ")
      return (
        "merchant_id IN (\(list)) AND item_count > 2", { merchants.contains($0.merchant) && $0.items > 2 }
      )
    case 3:
      let width = Int64.random(in: 1...20, using: &random)
      return (
        "amount BETWEEN \(limit) AND \(limit + width) AND NOT is_first_purchase",
        { $0.amount >= Double(limit) && $0.amount <= Double(limit + width) && !$0.isFirst }
      )
    case 4:
      let user = Int64.random(in: 1..<499_000, using: &random)
      return (
        "user_id BETWEEN \(user) AND \(user + 500) AND description LIKE '%steel%'",
        { ($0.user >= user && $0.user <= user + 500) && $0.description.has("steel") }
      )
    default:
      let currency = random.pick(["USD", "EUR", "GBP", "BRL", "INR", "JPY"])
      return (
        "amount > \(limit + 1_000) AND currency = '\(currency)'",
        { $0.amount > Double(limit + 1_000) && $0.currency == currency }
      )
    }
  }
}

import FraudCore

/// Card payments shaped like workload W1: eleven fields, about 280 bytes an event, the same shares of rare values.
struct Payment {
  var id: String
  var user: Int64
  var cents: Int64
  var currency: String
  var country: String?
  var merchant: Int64
  var method: String
  var isFirst: Bool
  var items: Int64
  var description: String

  var amount: Double { Double(cents) / 100 }

  init(using random: inout SeededGenerator) {
    func hexadecimal(_ digits: Int) -> String {
      let text = String(random.next(), radix: 16)
      return String(("0000000000000000" + text).suffix(digits))
    }
    id = "\(hexadecimal(8))-\(hexadecimal(4))-\(hexadecimal(4))-\(hexadecimal(4))-\(hexadecimal(12))"
    user = Int64.random(in: 1..<500_000, using: &random)
    // The sum of twelve uniforms less six is close to normal; its exponential is the lognormal of the workload.
    let normal = (0..<12).reduce(-6.0) { sum, _ in sum + random.unit() }
    cents = max(50, Int64(Mathematics.exp(3.8 + 1.25 * normal) * 100))
    currency = random.choose(["USD", "EUR", "GBP", "BRL", "INR", "JPY"], [0.5, 0.2, 0.1, 0.08, 0.07, 0.05])
    country = random.choose(
      ["US", "GB", "DE", "FR", "BR", "IN", "JP", "CA", "AU", "ES", "KP", "IR", "SY", "CU", nil],
      [0.38, 0.1, 0.08, 0.08, 0.06, 0.07, 0.05, 0.05, 0.05, 0.035, 0.003, 0.003, 0.002, 0.002, 0.035])
    merchant = Int64.random(in: 1...10_000, using: &random)
    method = random.choose(["card", "paypal", "wallet", "crypto", "bank"], [0.62, 0.18, 0.12, 0.03, 0.05])
    isFirst = random.unit() < 0.08
    items = 1
    while random.unit() > 0.45, items < 60 { items += 1 }
    if random.unit() < 0.0015 { items = min(60, items + Int64.random(in: 15..<40, using: &random)) }
    let rare = random.unit()
    if rare < 0.006 {
      description = random.pick(["store gift card value", "e-gift card top up"])
    } else if rare > 0.994 {
      description = random.pick(["test order ignore it", "my test purchase one"])
    } else {
      let first = random.pick([
        "blue", "red", "green", "small", "large", "vintage", "digital", "organic", "premium", "classic",
      ])
      let second = random.pick(["cotton", "steel", "leather", "wooden", "ceramic", "plastic", "glass", "paper"])
      let third = random.pick([
        "shirt", "lamp", "wallet", "chair", "bottle", "phone", "watch", "shoes", "bag", "book",
      ])
      description = "\(first) \(second) \(third)"
    }
  }

  var json: String {
    let cents = String(cents % 100)
    let country = country.map { "\"\($0)\"" } ?? "null"
    return """
      {"transaction_id":"\(id)","user_id":\(user),"amount":\(self.cents / 100).\(cents.count == 1 ? "0" + cents : cents),\
      "currency":"\(currency)","country":\(country),"merchant_id":\(merchant),"payment_method":"\(method)",\
      "is_first_purchase":\(isFirst),"item_count":\(items),"description":"\(description)",\
      "created_at":"2025-03-01T00:00:00.000Z"}
      """
  }
}

/// Payments decoded into batches.
struct Workload {
  static let schema = Schema(fields: [
    Field(name: "transaction_id", type: .string, nullable: false),
    Field(name: "user_id", type: .integer, nullable: false),
    Field(name: "amount", type: .float, nullable: false),
    Field(name: "currency", type: .string, nullable: false),
    Field(name: "country", type: .string, nullable: true),
    Field(name: "merchant_id", type: .integer, nullable: false),
    Field(name: "payment_method", type: .string, nullable: false),
    Field(name: "is_first_purchase", type: .boolean, nullable: false),
    Field(name: "item_count", type: .integer, nullable: false),
    Field(name: "description", type: .string, nullable: false),
    Field(name: "created_at", type: .timestamp, nullable: false),
  ])
  static let layout = ColumnLayout(schema: schema)

  let payments: [Payment]
  let batches: [EventBatch]

  init(rows: Int, batchRows: Int = Limits.batchRows, seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    payments = (0..<rows).map { _ in Payment(using: &random) }
    let decoder = EventDecoder(schema: Self.schema)
    var state = DecoderState(decoder)
    var batches: [EventBatch] = []
    for start in stride(from: 0, to: rows, by: batchRows) {
      var batch = EventBatch(layout: Self.layout, source: EventSource(topic: "w1"), capacity: batchRows)
      for row in start..<min(rows, start + batchRows) {
        let message = Array(payments[row].json.utf8)
        batch.append(message: message.span, offset: Int64(row))
      }
      decoder.decode(&batch, &state)
      batches.append(batch)
    }
    self.batches = batches
    precondition(batches.reduce(0) { $0 + $1.rowCount } == rows, "the decoder rejected events")
  }

  static func compile(_ rules: [String]) -> [CheckedExpression] {
    let compiler = ExpressionCompiler(layout: layout)
    return rules.map { text in
      do throws(ExpressionError) {
        return try compiler.rule(text)
      } catch {
        preconditionFailure(error.description)
      }
    }
  }
}

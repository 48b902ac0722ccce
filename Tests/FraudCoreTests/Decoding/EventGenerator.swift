import TestRandom

@testable import FraudCore

/// Random schemas and events for the differential tests: mostly regular, as a producer writes them, and in every way not.
struct EventGenerator {
  var random: SeededGenerator
  var schema = Schema(fields: [])
  private var order: [Int] = []

  init(seed: UInt64) {
    random = SeededGenerator(seed: seed)
    schema = makeSchema()
    order = Array(schema.fields.indices)
  }

  private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
  private mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }
  private mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

  private mutating func makeSchema() -> Schema {
    let names = [
      "transaction_id", "a", "amount", "currency", "is_first_purchase", "created_at",
      "customer_name_as_it_was_written_on_the_form",
      "é", "field 8", "note\\", "lat", "x1",
    ]
    var fields: [Field] = []
    for name in names.prefix(1 + below(names.count)) {
      let type = pick(FieldType.allCases)
      var field = Field(name: name, type: type, nullable: !oneIn(3))
      if oneIn(4) { field.parseText = true }
      if type == .timestamp && oneIn(3) { field.unit = pick(TimestampUnit.allCases) }
      if oneIn(5) {
        switch type {
        case .string: field.oneOf = ["USD", "", "é", "a long text that is rather long"].map { .string($0) }
        case .integer: (field.minimum, field.maximum) = (.integer(-5), .integer(1_000_000))
        case .float: (field.minimum, field.maximum) = (.integer(0), .float(5_000.5))
        case .boolean, .timestamp: break
        }
      }
      if oneIn(5) {
        switch type {
        case .string: field.defaultValue = .string("none given")
        case .integer: field.defaultValue = .integer(-1)
        case .float: field.defaultValue = .float(0.5)
        case .boolean: field.defaultValue = .boolean(true)
        case .timestamp: field.defaultValue = .timestamp(5)
        }
      }
      fields.append(field)
    }
    return Schema(fields: fields)
  }

  /// One event's bytes.
  mutating func event(withNewlines: Bool) -> [UInt8] {
    if oneIn(20) { order.shuffle(using: &random) }
    var members: [String] = []
    let isMessy = oneIn(3)
    for index in order {
      let field = schema.fields[index]
      if isMessy && oneIn(6) { continue }
      if isMessy && oneIn(8) {
        members.append("\(key(pick(["zz", "amoun", "amountt", "", "nested"])))\(anything(depth: 0))")
      }
      members.append(key(field.name, messy: isMessy) + (isMessy && oneIn(6) ? anything(depth: 0) : value(field)))
      if isMessy && oneIn(40) { members.append(key(field.name) + value(field)) }
    }
    if isMessy { members.shuffle(using: &random) }
    let separator = isMessy ? pick([",", ", ", " ,\t", withNewlines ? ",\n  " : ",  "]) : ","
    var text = "{" + members.joined(separator: separator) + "}"
    if isMessy && oneIn(10) { text = " " + text + "\r" }
    if oneIn(60) { text = pick(["", "[]", "1", "null", "\"{}\"", "{", "{}", "}", "tru", "{} x"]) }
    var bytes = Array(text.utf8)
    if oneIn(6) { mutate(&bytes, withNewlines) }
    return bytes
  }

  private mutating func key(_ name: String, messy: Bool = false) -> String {
    var text = ""
    for scalar in name.unicodeScalars {
      if messy && oneIn(60) {
        text += "\\u" + String(String(scalar.value + 0x1_0000, radix: 16, uppercase: oneIn(2)).suffix(4))
      } else {
        text += scalar == "\\" ? "\\\\" : String(scalar)
      }
    }
    return "\"\(text)\"" + (messy ? pick([":", " :", ": ", ":\t"]) : ":")
  }

  private mutating func value(_ field: Field) -> String {
    if oneIn(15) { return "null" }
    let plain: String
    switch field.type {
    case .string: plain = string()
    case .integer: plain = oneIn(6) ? number() : String(Int64(bitPattern: random.next()) >> Int64(below(64)))
    case .float: plain = number()
    case .boolean: plain = oneIn(2) ? "true" : "false"
    case .timestamp: plain = field.unit != nil && oneIn(2) ? number() : instant()
    }
    return field.parseText && !plain.hasPrefix("\"") && oneIn(2) ? "\"\(plain)\"" : plain
  }

  private mutating func number() -> String {
    switch below(8) {
    case 0: return "\(below(100_000)).\(below(100))"
    case 1: return "-\(below(1_000)).\(random.next())"
    case 2: return Double(bitPattern: random.next() & 0xFFEF_FFFF_FFFF_FFFF).description
    case 3: return "\(below(20))e\(below(700) - 350)"
    case 4:
      return pick(["0", "-0", "0.0", "00", "1.", "-", "+1", "1e", "0x1", "1.7e308", "1e999", "9223372036854775808"])
    case 5: return String(random.next()) + String(random.next())
    case 6: return "\(below(100_000_000)).\(below(10))"
    default: return "\(1_700_000_000 + below(100_000_000))\(pick(["", "123", "123456", ".5", ".123456789"]))"
    }
  }

  private mutating func instant() -> String {
    let date = pick([
      "2025-03-01", "2024-02-29", "2023-02-29", "0000-01-01", "9999-12-31", "2025-13-01", "2025-3-1", "1969-12-31",
    ])
    let time = pick([
      "T12:34:56", " 23:59:59", "t00:00:00", "T24:00:00", "T12:60:00", "T12:34:60", "T12:34", "", "T1:2:3", "T12:34:5x",
    ])
    let fraction = pick(["", ".5", ".123", ".123456", ".123456789", ".", ",25", ".12x", ".000001"])
    let zone = pick(["", "Z", "z", "+01:00", "-0530", "+14", "+24:00", "+1", "-00:00", "Zx", "+01:0"])
    return "\"\(oneIn(2) ? "2025-03-01T12:34:56.789Z" : date + time + fraction + zone)\""
  }

  private mutating func string() -> String {
    switch below(8) {
    case 0: return "\"\""
    case 1: return "\"USD\""
    case 2: return "\"é\""
    case 3:
      return "\""
        + pick([
          "a\\\"b", "\\u0041\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\udc00\\ud800x", "\\u0000", "\\/\\b\\f\\n\\r\\t",
          "\\x", "\\u12g4",
        ]) + "\""
    case 4: return "\"" + String(repeating: pick(["x", "é", "😀", "\\n"]), count: below(80)) + "\""
    default: return "\"" + String(String(repeating: "0123456789abcdef", count: 5).prefix(below(80))) + "\""
    }
  }

  private mutating func anything(depth: Int) -> String {
    switch below(depth > 3 ? 5 : 8) {
    case 0: return number()
    case 1: return string()
    case 2: return pick(["true", "false", "null", "True", "nul"])
    case 3: return instant()
    case 4: return pick(["{}", "[]", "[ ]", "{ }"])
    case 5: return "[" + (0..<below(4)).map { _ in anything(depth: depth + 1) }.joined(separator: ", ") + "]"
    case 6:
      return "{" + (0..<below(4)).map { "\"k\($0)\" : " + anything(depth: depth + 1) }.joined(separator: ",") + "}"
    default:
      let depth = 60 + below(8)
      return String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
  }

  private mutating func mutate(_ bytes: inout [UInt8], _ withNewlines: Bool) {
    for _ in 0...below(3) where !bytes.isEmpty {
      let index = below(bytes.count)
      switch below(6) {
      case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes.remove(at: index)
      case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
      case 3: bytes.removeLast(bytes.count - index)
      case 4: bytes.insert(pick(Array("{}[]\",:\\ 0e.-".utf8)), at: index)
      default: bytes.swapAt(index, below(bytes.count))
      }
    }
    if !withNewlines { bytes.removeAll { $0 == 0x0A } }
  }
}

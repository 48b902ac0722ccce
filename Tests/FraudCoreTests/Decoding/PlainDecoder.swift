import FraudCore

/// The decoder's twin: plain recursive descent into a tree, then the schema field by field. It shares nothing with the
/// decoder but the names of the reasons.
struct PlainDecoder {
  enum Outcome: Equatable {
    case accepted([FieldValue?], unknown: Int)
    case rejected(RejectionReason)
  }

  var schema: Schema

  func decode(_ bytes: [UInt8]) -> Outcome {
    if bytes.count > Limits.eventBytes { return .rejected(.tooLarge) }
    guard String(validating: bytes, as: UTF8.self) != nil else { return .rejected(.notUTF8) }
    var parser = PlainParser(bytes: bytes)
    guard let root = parser.document() else { return .rejected(.badJSON) }
    guard case .object(let members) = root else { return .rejected(.notObject) }
    var values = [FieldValue?](repeating: nil, count: schema.fields.count)
    var seen = Set<String>()
    var unknown = 0
    for (key, value) in members {
      guard let index = schema.fields.firstIndex(where: { Array($0.name.utf8) == key }) else {
        unknown += 1
        if depth(value) + 1 > 64 { return .rejected(.tooDeep) }
        continue
      }
      let field = schema.fields[index]
      if !seen.insert(field.name).inserted { return .rejected(.duplicateKey) }
      if depth(value) + 1 > 64 { return .rejected(.tooDeep) }
      if case .null = value {
        guard field.nullable || field.defaultValue != nil else { return .rejected(.missingField) }
        values[index] = field.defaultValue
        continue
      }
      switch read(value, field) {
      case .failure(let reason): return .rejected(reason.reason)
      case .success(let value):
        if !keepsBounds(value, field) { return .rejected(.constraintViolation) }
        values[index] = value
      }
    }
    for (index, field) in schema.fields.enumerated() where !seen.contains(field.name) {
      guard field.nullable || field.defaultValue != nil else { return .rejected(.missingField) }
      values[index] = field.defaultValue
    }
    return .accepted(values, unknown: unknown)
  }

  private struct Fault: Error { var reason: RejectionReason }

  private func depth(_ value: PlainParser.Value) -> Int {
    switch value {
    case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
    case .object(let members): 1 + (members.map { depth($0.1) }.max() ?? 0)
    default: 0
    }
  }

  private func read(_ value: PlainParser.Value, _ field: Field) -> Result<FieldValue, Fault> {
    switch (value, field.type) {
    case (.boolean(let flag), .boolean): return .success(.boolean(flag))
    case (.string(let text), .string): return .success(.string(String(decoding: text, as: UTF8.self)))
    case (.string(let text), .timestamp):
      if let instant = instant(text) { return .success(.timestamp(instant)) }
      if field.parseText, field.unit != nil, let number = number(text) { return read(.number(number), field) }
      return .failure(Fault(reason: .badTimestamp))
    case (.string(let text), .boolean) where field.parseText:
      if text == Array("true".utf8) { return .success(.boolean(true)) }
      if text == Array("false".utf8) { return .success(.boolean(false)) }
    case (.string(let text), .integer) where field.parseText, (.string(let text), .float) where field.parseText:
      if let number = number(text) { return read(.number(number), field) }
    case (.number(let text), .integer) where !text.contains(where: { ".eE".contains($0) }):
      guard let integer = Int64(text) else { return .failure(Fault(reason: .numberRange)) }
      return .success(.integer(integer))
    case (.number(let text), .float):
      guard let double = Double(text), double.isFinite else { return .failure(Fault(reason: .numberRange)) }
      return .success(.float(double))
    case (.number(let text), .timestamp):
      guard let unit = field.unit else { break }
      guard let instant = microseconds(text, unit) else { return .failure(Fault(reason: .badTimestamp)) }
      return .success(.timestamp(instant))
    default: break
    }
    return .failure(Fault(reason: .wrongType))
  }

  private func number(_ text: [UInt8]) -> String? {
    var parser = PlainParser(bytes: text)
    guard let number = parser.number(), parser.position == text.count else { return nil }
    return number
  }

  /// Shifts the decimal point of the text itself.
  private func microseconds(_ text: String, _ unit: TimestampUnit) -> Int64? {
    let isNegative = text.hasPrefix("-")
    let unsigned = isNegative ? String(text.dropFirst()) : text
    let parts = unsigned.split(whereSeparator: { "eE".contains($0) })
    let number = parts[0].split(separator: ".")
    let fraction = number.count > 1 ? String(number[1]) : ""
    // Beyond any length of the digits, the size of an exponent makes no difference.
    let exponent = parts.count > 1 ? Int(parts[1]) ?? (parts[1].hasPrefix("-") ? .min : .max) : 0
    let written = max(-100_000, min(100_000, exponent))
    let shift = written + (unit == .seconds ? 6 : unit == .milliseconds ? 3 : 0) - fraction.count
    var digits = String(number[0]) + fraction
    if shift >= 0 { digits += String(repeating: "0", count: shift) } else { digits = String(digits.dropLast(-shift)) }
    let trimmed = digits.drop(while: { $0 == "0" })
    guard let magnitude = trimmed.isEmpty ? 0 : Int64(trimmed) else { return nil }
    let value = isNegative ? -magnitude : magnitude
    return (-62_167_219_200_000_000...253_402_300_799_999_999).contains(value) ? value : nil
  }

  /// Takes the text apart from the left, and counts days one year and one month at a time.
  private func instant(_ text: [UInt8]) -> Int64? {
    var rest = text[...]
    func number(_ digits: Int) -> Int? {
      let part = rest.prefix(digits)
      guard part.count == digits, part.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      rest = rest.dropFirst(digits)
      return part.reduce(0) { $0 * 10 + Int($1) - 0x30 }
    }
    func take(_ any: String) -> Character? {
      guard let first = rest.first, let found = any.first(where: { $0.asciiValue == first }) else { return nil }
      rest = rest.dropFirst()
      return found
    }
    guard let year = number(4), take("-") != nil, let month = number(2), take("-") != nil, let day = number(2) else {
      return nil
    }
    var (second, fraction, offset) = (0, 0, 0)
    if !rest.isEmpty {
      guard take("Tt ") != nil, let hour = number(2), hour < 24, take(":") != nil, let minute = number(2), minute < 60
      else { return nil }
      second = hour * 3_600 + minute * 60
      if take(":") != nil {
        guard let seconds = number(2), seconds < 60 else { return nil }
        second += seconds
        if take(".,") != nil {
          let digits = rest.prefix { (0x30...0x39).contains($0) }
          if digits.isEmpty { return nil }
          for place in 0..<6 {
            fraction = fraction * 10 + (place < digits.count ? Int(digits[digits.startIndex + place]) - 0x30 : 0)
          }
          rest = rest.dropFirst(digits.count)
        }
      }
      if let sign = take("+-") {
        guard let hours = number(2), hours < 24 else { return nil }
        offset = hours * 3_600
        if !rest.isEmpty {
          _ = take(":")
          guard let minutes = number(2), minutes < 60 else { return nil }
          offset += minutes * 60
        }
        if sign == "-" { offset = -offset }
      } else {
        _ = take("Zz")
      }
    }
    func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard rest.isEmpty, (1...12).contains(month), day >= 1, day <= lengths[month - 1] else { return nil }
    var days = -719_528
    for earlier in 0..<year { days += isLeap(earlier) ? 366 : 365 }
    days += lengths.prefix(month - 1).reduce(0, +) + day - 1
    let value = Int64(days * 86_400 + second - offset) * 1_000_000 + Int64(fraction)
    return (-62_167_219_200_000_000...253_402_300_799_999_999).contains(value) ? value : nil
  }

  private func keepsBounds(_ value: FieldValue, _ field: Field) -> Bool {
    func order(_ value: FieldValue?) -> Double? {
      switch value {
      case .integer(let value), .timestamp(let value): Double(value)
      case .float(let value): value
      default: nil
      }
    }
    if let value = order(value) {
      if let minimum = order(field.minimum), value < minimum { return false }
      if let maximum = order(field.maximum), value > maximum { return false }
    }
    return field.oneOf.isEmpty || field.oneOf.contains(value)
  }
}

/// JSON by recursive descent. Nested deeper than 2,000 levels it gives up, which no test here reaches.
struct PlainParser {
  indirect enum Value {
    case null
    case boolean(Bool)
    case number(String)
    case string([UInt8])
    case array([Value])
    case object([([UInt8], Value)])
  }

  var bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() -> Value? {
    space()
    guard let value = value(depth: 0) else { return nil }
    space()
    return position == bytes.count ? value : nil
  }

  private mutating func take(_ character: UnicodeScalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func space() {
    while take(" ") || take("\t") || take("\n") || take("\r") {}
  }

  private mutating func word(_ word: String, _ value: Value) -> Value? {
    guard bytes[position...].starts(with: word.utf8) else { return nil }
    position += word.utf8.count
    return value
  }

  private mutating func value(depth: Int) -> Value? {
    guard depth < 2_000, position < bytes.count else { return nil }
    switch bytes[position] {
    case UInt8(ascii: "n"): return word("null", .null)
    case UInt8(ascii: "t"): return word("true", .boolean(true))
    case UInt8(ascii: "f"): return word("false", .boolean(false))
    case UInt8(ascii: "\""): return string().map { .string($0) }
    case UInt8(ascii: "["):
      position += 1
      var elements: [Value] = []
      space()
      if take("]") { return .array([]) }
      while true {
        space()
        guard let element = value(depth: depth + 1) else { return nil }
        elements.append(element)
        space()
        if take("]") { return .array(elements) }
        guard take(",") else { return nil }
      }
    case UInt8(ascii: "{"):
      position += 1
      var members: [([UInt8], Value)] = []
      space()
      if take("}") { return .object([]) }
      while true {
        space()
        guard let key = string() else { return nil }
        space()
        guard take(":") else { return nil }
        space()
        guard let member = value(depth: depth + 1) else { return nil }
        members.append((key, member))
        space()
        if take("}") { return .object(members) }
        guard take(",") else { return nil }
      }
    default: return number().map { .number($0) }
    }
  }

  mutating func number() -> String? {
    let start = position
    _ = take("-")
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    func digits() -> Int {
      var count = 0
      while position + count < bytes.count, isDigit(bytes[position + count]) { count += 1 }
      return count
    }
    let whole = digits()
    guard whole == 1 || whole > 1 && bytes[position] != 0x30 else { return nil }
    position += whole
    if take(".") {
      let fraction = digits()
      guard fraction > 0 else { return nil }
      position += fraction
    }
    if take("e") || take("E") {
      if !take("-") { _ = take("+") }
      let exponent = digits()
      guard exponent > 0 else { return nil }
      position += exponent
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func string() -> [UInt8]? {
    guard take("\"") else { return nil }
    var units: [UInt16] = []
    var text: [UInt8] = []
    func flush() {
      if units.isEmpty { return }
      // Unpaired surrogates become U+FFFD here.
      text += Array(String(decoding: units, as: UTF16.self).utf8)
      units = []
    }
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        flush()
        return text
      case 0..<0x20: return nil
      case UInt8(ascii: "\\"):
        guard position < bytes.count else { return nil }
        position += 1
        let escape = bytes[position - 1]
        switch UnicodeScalar(escape) {
        case "\"", "\\", "/": units.append(UInt16(escape))
        case "b": units.append(8)
        case "f": units.append(12)
        case "n": units.append(10)
        case "r": units.append(13)
        case "t": units.append(9)
        case "u":
          let digits = bytes[position..<min(position + 4, bytes.count)]
          guard digits.count == 4, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit && $0 < 0x80 }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
          else { return nil }
          units.append(unit)
          position += 4
        default: return nil
        }
      default:
        flush()
        text.append(byte)
      }
    }
    return nil
  }
}

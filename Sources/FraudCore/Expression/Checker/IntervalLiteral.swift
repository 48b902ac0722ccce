/// An interval's text → months or microseconds, or why it has no value.
struct IntervalLiteral {
  var type: DataType
  /// Months or microseconds, by the type.
  var value: Int64
  /// From the largest to the smallest unit that it was written with.
  var fields: IntervalFields

  init(_ text: IntervalText) throws(LiteralError) {
    var sum = Sum()
    switch text {
    case .parts(let parts):
      for part in parts { try sum.add(part.value, negative: part.negative, unit: part.unit) }
    case .range(let value, let negative, let from, let to):
      try sum.addRange(value, negative: negative, from: from, to: to)
    case .text(let text):
      try sum.addText(text)
    }
    guard !(sum.hasMonths && sum.hasMicroseconds) else {
      throw LiteralError("an interval cannot mix YEAR or MONTH with DAY and smaller units")
    }
    type = sum.hasMonths ? .yearMonthInterval : .dayTimeInterval
    value = sum.hasMonths ? sum.months : sum.microseconds
    fields = sum.fields ?? IntervalFields(.day, .second)
    if sum.hasMonths, Int32(exactly: value) == nil { throw Sum.overflow }
  }
}

/// The units that an interval's type names, as in INTERVAL DAY TO HOUR.
struct IntervalFields: Sendable, Hashable {
  var first: IntervalUnit
  var last: IntervalUnit

  /// Weeks count as days, what is smaller than a second as seconds.
  init(_ first: IntervalUnit, _ last: IntervalUnit) {
    func field(_ unit: IntervalUnit) -> IntervalUnit {
      switch unit {
      case .week: .day
      case .millisecond, .microsecond: .second
      default: unit
      }
    }
    self.first = field(first)
    self.last = field(last)
  }

  /// All units of an interval type.
  init(of type: DataType) {
    self = type == .yearMonthInterval ? Self(.year, .month) : Self(.day, .second)
  }

  static let day = Self(.day, .day)

  func union(_ other: Self) -> Self {
    Self(
      first.rank <= other.first.rank ? first : other.first, last.rank >= other.last.rank ? last : other.last)
  }

  /// Whether a unit is one of them.
  func has(_ unit: IntervalUnit) -> Bool {
    (first.rank...max(first.rank, last.rank)).contains(unit.rank)
  }

  /// The type's name as Spark's `typeof` gives it.
  var typeName: String {
    "interval \(first.rawValue)" + (first == last ? "" : " to \(last.rawValue)")
  }
}

extension IntervalUnit {
  /// From the largest unit.
  fileprivate var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

private struct Sum {
  var months: Int64 = 0
  var microseconds: Int64 = 0
  var hasMonths = false
  var hasMicroseconds = false
  var fields: IntervalFields?

  static let overflow = LiteralError("the interval is too long")

  private mutating func add(months count: Int64, times factor: Int64) throws(LiteralError) {
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    let (sum, overflow2) = months.addingReportingOverflow(product)
    guard !overflow, !overflow2 else { throw Self.overflow }
    months = sum
    hasMonths = true
  }

  private mutating func add(microseconds count: Int64, times factor: Int64) throws(LiteralError) {
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    let (sum, overflow2) = microseconds.addingReportingOverflow(product)
    guard !overflow, !overflow2 else { throw Self.overflow }
    microseconds = sum
    hasMicroseconds = true
  }

  /// One value and its unit; only seconds may have a fraction.
  mutating func add(_ text: [UInt8], negative: Bool, unit: IntervalUnit) throws(LiteralError) {
    var digits = trimmed(text)[...]
    var negative = negative
    if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
      if sign == UInt8(ascii: "-") { negative.toggle() }
      digits = digits.dropFirst()
      digits = digits.drop { $0 == 0x20 }
    }
    var fraction: ArraySlice<UInt8>?
    if let point = digits.firstIndex(of: UInt8(ascii: ".")) {
      fraction = digits[(point + 1)...]
      digits = digits[..<point]
    }
    let shown = String(decoding: text, as: UTF8.self)
    guard digits.allSatisfy(isDigit), fraction?.allSatisfy(isDigit) ?? true,
      !digits.isEmpty || fraction?.isEmpty == false
    else { throw LiteralError("'\(shown)' is not a number of \(unit.rawValue)s") }
    guard fraction == nil || unit == .second else {
      throw LiteralError("only SECOND may have a fraction, not \(unit.rawValue.uppercased())")
    }
    let sign: Int64 = negative ? -1 : 1
    guard let whole = digits.isEmpty ? 0 : Int64((negative ? "-" : "") + String(decoding: digits, as: UTF8.self)) else {
      throw Self.overflow
    }
    switch unit {
    case .year: try add(months: whole, times: 12)
    case .month: try add(months: whole, times: 1)
    case .week: try add(microseconds: whole, times: 7 * 86_400_000_000)
    case .day: try add(microseconds: whole, times: 86_400_000_000)
    case .hour: try add(microseconds: whole, times: 3_600_000_000)
    case .minute: try add(microseconds: whole, times: 60_000_000)
    case .second: try add(microseconds: whole, times: 1_000_000)
    case .millisecond: try add(microseconds: whole, times: 1_000)
    case .microsecond: try add(microseconds: whole, times: 1)
    }
    if let fraction {
      guard fraction.count <= 9 else { throw LiteralError("a second has at most nine digits behind the point") }
      var value: Int64 = 0
      for place in 0..<6 {
        value = value * 10 + (place < fraction.count ? Int64(fraction[fraction.startIndex + place] - 48) : 0)
      }
      try add(microseconds: sign * value, times: 1)
    }
    let field = IntervalFields(unit, unit)
    fields = fields.map { $0.union(field) } ?? field
  }

  /// `1 day 1 hour`, with or without the word interval in front.
  mutating func addText(_ text: [UInt8]) throws(LiteralError) {
    var words = text.split { $0 <= 0x20 }.map { Array($0) }
    if words.first.map({ String(decoding: $0, as: UTF8.self).lowercased() }) == "interval" { words.removeFirst() }
    guard !words.isEmpty else { throw LiteralError("the interval is empty") }
    var index = 0
    while index < words.count {
      var value = words[index]
      index += 1
      if value == [UInt8(ascii: "-")] || value == [UInt8(ascii: "+")], index < words.count {
        value += words[index]
        index += 1
      }
      guard index < words.count, let unit = IntervalUnit(word: String(decoding: words[index], as: UTF8.self)) else {
        throw LiteralError(
          "'\(String(decoding: text, as: UTF8.self))' is not an interval: expected numbers, each with a unit")
      }
      index += 1
      try add(value, negative: false, unit: unit)
    }
  }

  /// `'1-2' YEAR TO MONTH`, `'1 10:20:30.5' DAY TO SECOND` and what lies between.
  mutating func addRange(
    _ text: [UInt8], negative: Bool, from: IntervalUnit, to: IntervalUnit
  ) throws(LiteralError) {
    let shown = String(decoding: text, as: UTF8.self)
    let form = "\(from.rawValue.uppercased()) TO \(to.rawValue.uppercased())"
    var digits = trimmed(text)[...]
    var negative = negative
    if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
      if sign == UInt8(ascii: "-") { negative.toggle() }
      digits = digits.dropFirst()
    }
    let units: [IntervalUnit]
    if from == .year, to == .month {
      units = [.year, .month]
    } else {
      let order: [IntervalUnit] = [.day, .hour, .minute, .second]
      guard let first = order.firstIndex(of: from), let last = order.firstIndex(of: to), first < last else {
        throw LiteralError("an interval \(form) does not exist")
      }
      units = Array(order[first...last])
    }
    var rest = digits
    for (index, unit) in units.enumerated() {
      let isLast = index == units.count - 1
      let separator: UInt8 =
        unit == .day ? UInt8(ascii: " ") : unit == .year ? UInt8(ascii: "-") : UInt8(ascii: ":")
      let end = isLast ? rest.endIndex : rest.firstIndex(of: separator)
      guard let end else { throw LiteralError("'\(shown)' does not have the form of an interval \(form)") }
      let part = rest[..<end]
      guard !part.isEmpty, part.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: ".") }) else {
        throw LiteralError("'\(shown)' does not have the form of an interval \(form)")
      }
      if index > 0, let value = Int64(String(decoding: part.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)) {
        let bound: Int64 = unit == .month ? 11 : unit == .hour ? 23 : 59
        guard value <= bound else {
          throw LiteralError("\(value) is out of the range of \(unit.rawValue.uppercased()) in an interval \(form)")
        }
      }
      try add(Array(part), negative: negative, unit: unit)
      rest = isLast ? rest[end...] : rest[(end + 1)...].drop { unit == .day && $0 == 0x20 }
    }
  }
}

private func isDigit(_ byte: UInt8) -> Bool {
  byte &- 48 < 10
}

private func trimmed(_ text: [UInt8]) -> [UInt8] {
  Array(text.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed())
}

/// Timestamps, dates and intervals as text, as Spark's casts read and write them.
package enum DatetimeText {
  /// Reads `y[-m[-d[ |T h[:m[:s[.f…][zone]]]]]]` as microseconds since 1970; without a zone it is UTC.
  ///
  /// A time without a date, which Spark takes for today, is refused: there is no clock here.
  package static func timestamp(of text: Span<UInt8>, zones: TimeZones) throws(EvaluationError) -> Int64 {
    let range = NumberConversion.trimmed(text)
    var index = range.lowerBound
    let end = range.upperBound
    guard index < end else { throw .castInvalidInput }
    var negative = false
    if text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
      negative = text[index] == UInt8(ascii: "-")
      index += 1
    }
    // year, month, day, hour, minute, second, microsecond
    var fields = InlineArray<7, Int64>(repeating: 0)
    fields[1] = 1
    fields[2] = 1
    var field = 0
    var zone: [UInt8] = []
    scanning: while true {
      let start = index
      var value: Int64 = 0
      while index < end, text[index] >= 48, text[index] <= 57 {
        if index - start < (field == 6 ? 6 : 18) { value = value * 10 + Int64(text[index] - 48) }
        index += 1
      }
      let digits = index - start
      switch field {
      case 0: guard (4...6).contains(digits) else { throw .castInvalidInput }
      case 6: for _ in 0..<max(0, 6 - digits) { value *= 10 }
      default: guard digits == 1 || digits == 2 else { throw .castInvalidInput }
      }
      fields[field] = value
      guard index < end else { break }
      let separator = text[index]
      switch field {
      case 0, 1: guard separator == UInt8(ascii: "-") else { throw .castInvalidInput }
      case 2: guard separator == UInt8(ascii: " ") || separator == UInt8(ascii: "T") else { throw .castInvalidInput }
      case 3, 4: guard separator == UInt8(ascii: ":") else { throw .castInvalidInput }
      default:
        if field == 5, separator == UInt8(ascii: ".") { break }
        for position in index..<end { zone.append(text[position]) }
        break scanning
      }
      index += 1
      field += 1
      // Everything but a fraction needs digits after its separator.
      if index == end, field != 6 { throw .castInvalidInput }
    }
    let day = Calendar.Day(year: negative ? -fields[0] : fields[0], month: fields[1], day: fields[2])
    guard day.exists, fields[3] <= 23, fields[4] <= 59, fields[5] <= 59 else { throw .castInvalidInput }
    var seconds = day.days * 86_400 + fields[3] * 3_600 + fields[4] * 60 + fields[5]
    if !zone.isEmpty {
      let name = zone.span
      let trimmed = NumberConversion.trimmed(name)
      guard let zone = zones.zone(named: Array(zone[trimmed])) else { throw .castInvalidInput }
      seconds -= zone.offset(atLocal: seconds)
    }
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: Calendar.microsecondsPerSecond)
    let (sum, carry) = scaled.addingReportingOverflow(fields[6])
    guard !overflow, !carry else { throw .castInvalidInput }
    return sum
  }

  /// Reads `y[-m[-d]]` as days since 1970; after a day a space or `T` may follow with anything.
  package static func date(of text: Span<UInt8>) throws(EvaluationError) -> Int64 {
    let range = NumberConversion.trimmed(text)
    var index = range.lowerBound
    let end = range.upperBound
    guard index < end else { throw .castInvalidInput }
    var negative = false
    if text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
      negative = text[index] == UInt8(ascii: "-")
      index += 1
    }
    var fields = InlineArray<3, Int64>(repeating: 1)
    var field = 0
    while true {
      let start = index
      var value: Int64 = 0
      while index < end, text[index] >= 48, text[index] <= 57 {
        if index - start < 18 { value = value * 10 + Int64(text[index] - 48) }
        index += 1
      }
      let digits = index - start
      guard field == 0 ? (4...7).contains(digits) : digits == 1 || digits == 2 else { throw .castInvalidInput }
      fields[field] = value
      guard index < end else { break }
      if field == 2 {
        guard text[index] == UInt8(ascii: " ") || text[index] == UInt8(ascii: "T") else { throw .castInvalidInput }
        break
      }
      guard text[index] == UInt8(ascii: "-") else { throw .castInvalidInput }
      index += 1
      field += 1
    }
    let day = Calendar.Day(year: negative ? -fields[0] : fields[0], month: fields[1], day: fields[2])
    guard day.exists else { throw .castInvalidInput }
    return day.days
  }

  /// `yyyy-MM-dd HH:mm:ss[.f…]` in UTC without trailing zeros.
  package static func text(timestamp microseconds: Int64) -> [UInt8] {
    var result = text(date: Calendar.day(ofTimestamp: microseconds))
    let time = Calendar.microsecondOfDay(microseconds)
    let seconds = time / Calendar.microsecondsPerSecond
    result.append(UInt8(ascii: " "))
    append(seconds / 3_600, digits: 2, to: &result)
    result.append(UInt8(ascii: ":"))
    append(seconds / 60 % 60, digits: 2, to: &result)
    result.append(UInt8(ascii: ":"))
    append(seconds % 60, digits: 2, to: &result)
    appendFraction(time % Calendar.microsecondsPerSecond, to: &result)
    return result
  }

  /// `yyyy-MM-dd`; a year beyond 9999 has a sign.
  package static func text(date days: Int64) -> [UInt8] {
    let day = Calendar.Day(days: days)
    var result: [UInt8] = []
    if day.year < 0 { result.append(UInt8(ascii: "-")) }
    if day.year > 9_999 { result.append(UInt8(ascii: "+")) }
    append(abs(day.year), digits: 4, to: &result)
    result.append(UInt8(ascii: "-"))
    append(day.month, digits: 2, to: &result)
    result.append(UInt8(ascii: "-"))
    append(day.day, digits: 2, to: &result)
    return result
  }

  /// `INTERVAL '1 02:03:04.5' DAY TO SECOND`.
  package static func text(dayTimeInterval microseconds: Int64) -> [UInt8] {
    let magnitude = microseconds.magnitude
    var result = Array("INTERVAL '".utf8)
    if microseconds < 0 { result.append(UInt8(ascii: "-")) }
    let seconds = Int64(magnitude / 1_000_000)
    result += NumberConversion.text(seconds / 86_400)
    result.append(UInt8(ascii: " "))
    append(seconds / 3_600 % 24, digits: 2, to: &result)
    result.append(UInt8(ascii: ":"))
    append(seconds / 60 % 60, digits: 2, to: &result)
    result.append(UInt8(ascii: ":"))
    append(seconds % 60, digits: 2, to: &result)
    appendFraction(Int64(magnitude % 1_000_000), to: &result)
    return result + Array("' DAY TO SECOND".utf8)
  }

  /// `INTERVAL '1-2' YEAR TO MONTH`.
  package static func text(yearMonthInterval months: Int64) -> [UInt8] {
    let sign = months < 0 ? "-" : ""
    let magnitude = months.magnitude
    return Array("INTERVAL '\(sign)\(magnitude / 12)-\(magnitude % 12)' YEAR TO MONTH".utf8)
  }

  static func append(_ value: Int64, digits: Int, to text: inout [UInt8]) {
    let written = NumberConversion.text(value)
    for _ in 0..<max(0, digits - written.count) { text.append(48) }
    text += written
  }

  /// A point and up to six digits without trailing zeros; nothing for zero.
  private static func appendFraction(_ microseconds: Int64, to text: inout [UInt8]) {
    guard microseconds != 0 else { return }
    text.append(UInt8(ascii: "."))
    append(microseconds, digits: 6, to: &text)
    while text.last == 48 { text.removeLast() }
  }
}

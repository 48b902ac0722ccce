/// Instants as text: ISO 8601 in, RFC 3339 out. All are microseconds since 1970-01-01T00:00:00Z.
package enum TimestampText {
  package static let microsecondsPerDay: Int64 = 86_400_000_000
  /// 0000-01-01T00:00:00Z and the last microsecond of 9999, between which a year has four digits.
  static let range: ClosedRange<Int64> = -62_167_219_200_000_000...253_402_300_799_999_999

  /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
  ///
  /// - Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
  package static func days(year: Int, month: Int, day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// The date that lies a number of days after 1970-01-01.
  ///
  /// - Source: Howard Hinnant, as above, `civil_from_days`.
  package static func date(days: Int) -> (year: Int, month: Int, day: Int) {
    let z = days + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  /// How many days a month has.
  static func days(inMonth month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// The last date that was read, because neighbouring events mostly share it.
  struct Day {
    /// `YYYY-MM-` and `DD` as they stand in the text.
    fileprivate(set) var yearAndMonth: UInt64 = 0
    fileprivate(set) var dayOfMonth: UInt64 = 0
    /// Its midnight in microseconds.
    fileprivate(set) var start: Int64 = 0
  }

  /// Reads a date and time as ISO 8601 writes them, a date alone as its midnight; `nil` where the text is neither.
  package static func parse(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    var day = Day()
    return parse(bytes.span, 0..<bytes.count, day: &day)
  }

  /// Reads a date and time as ISO 8601 writes them.
  ///
  /// Accepted are `YYYY-MM-DD`, alone or followed by `T`, `t` or a space and `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f` with any
  /// number of fraction digits after a point or a comma (those beyond the sixth are dropped), and then `Z`, `z`, `±HH`,
  /// `±HHMM`, `±HH:MM` or nothing, which means UTC. Years have four digits, a minute 60 seconds and a day 24 hours.
  static func parse(_ bytes: Span<UInt8>, _ range: Range<Int>, day: inout Day) -> Int64? {
    var position = range.lowerBound
    let end = range.upperBound
    guard end - position >= 10, let start = midnight(bytes, position, day: &day) else { return nil }
    position += 10
    if position == end { return start }
    let separator = bytes[position]
    guard separator == UInt8(ascii: "T") || separator == UInt8(ascii: "t") || separator == UInt8(ascii: " ") else {
      return nil
    }
    position += 1
    guard let hour = twoDigits(bytes, position, end), hour < 24,
      JSONScanner.byte(bytes, position + 2, end) == UInt8(ascii: ":"),
      let minute = twoDigits(bytes, position + 3, end), minute < 60
    else { return nil }
    position += 5
    var microseconds = Int64(hour * 60 + minute) * 60_000_000
    if JSONScanner.byte(bytes, position, end) == UInt8(ascii: ":") {
      guard let second = twoDigits(bytes, position + 1, end), second < 60 else { return nil }
      microseconds += Int64(second) * 1_000_000
      position += 3
      let point = JSONScanner.byte(bytes, position, end)
      if point == UInt8(ascii: ".") || point == UInt8(ascii: ",") {
        position += 1
        let first = position
        var unit: Int64 = 100_000
        while position < end, bytes[position] &- 0x30 < 10 {
          microseconds += unit * Int64(bytes[position] &- 0x30)
          unit /= 10
          position += 1
        }
        if position == first { return nil }
      }
    }
    guard let offset = zone(bytes, position, end) else { return nil }
    let result = start + microseconds - offset
    return Self.range.contains(result) ? result : nil
  }

  /// The first microsecond of the date at `position`, where ten bytes must be readable.
  @inline(always)
  static func midnight(_ bytes: Span<UInt8>, _ position: Int, day: inout Day) -> Int64? {
    let yearAndMonth = bytes.wordOrZero(at: position)
    let dayOfMonth = UInt64(bytes[position &+ 8]) | UInt64(bytes[position &+ 9]) &<< 8
    if yearAndMonth == day.yearAndMonth && dayOfMonth == day.dayOfMonth { return day.start }
    return readMidnight(bytes, position, yearAndMonth, dayOfMonth, day: &day)
  }

  private static func readMidnight(
    _ bytes: Span<UInt8>, _ position: Int, _ yearAndMonth: UInt64, _ dayOfMonth: UInt64, day: inout Day
  ) -> Int64? {
    let end = position + 10
    guard let century = twoDigits(bytes, position, end), let year = twoDigits(bytes, position + 2, end),
      let month = twoDigits(bytes, position + 5, end), let date = twoDigits(bytes, position + 8, end),
      bytes[position + 4] == UInt8(ascii: "-"), bytes[position + 7] == UInt8(ascii: "-"), (1...12).contains(month),
      date >= 1,
      date <= days(inMonth: month, year: century * 100 + year)
    else { return nil }
    let start = Int64(days(year: century * 100 + year, month: month, day: date)) * microsecondsPerDay
    day = Day(yearAndMonth: yearAndMonth, dayOfMonth: dayOfMonth, start: start)
    return start
  }

  /// The microseconds that a zone at the end of a text is ahead of UTC.
  private static func zone(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int64? {
    if start == end { return 0 }
    let sign = bytes[start]
    if sign | 0x20 == UInt8(ascii: "z") { return start + 1 == end ? 0 : nil }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), let hours = twoDigits(bytes, start + 1, end),
      hours < 24
    else { return nil }
    var position = start + 3
    var minutes = 0
    if position < end {
      if bytes[position] == UInt8(ascii: ":") { position += 1 }
      guard let written = twoDigits(bytes, position, end), written < 60, position + 2 == end else { return nil }
      minutes = written
    }
    let offset = Int64(hours * 60 + minutes) * 60_000_000
    return sign == UInt8(ascii: "-") ? -offset : offset
  }

  private static func twoDigits(_ bytes: Span<UInt8>, _ position: Int, _ end: Int) -> Int? {
    let tens = JSONScanner.byte(bytes, position, end) &- 0x30
    let ones = JSONScanner.byte(bytes, position &+ 1, end) &- 0x30
    return tens < 10 && ones < 10 ? Int(tens) * 10 + Int(ones) : nil
  }

  /// Appends `2025-03-01T12:34:56.789000Z`: always six fraction digits and `Z`.
  ///
  /// - Returns: false, with nothing appended, where the year has not four digits.
  package static func append(_ microseconds: Int64, to text: inout [UInt8]) -> Bool {
    guard range.contains(microseconds) else { return false }
    // Both divisions round down, so that an instant before 1970 has a time of day as well.
    var day = microseconds / microsecondsPerDay
    var rest = microseconds % microsecondsPerDay
    if rest < 0 {
      rest += microsecondsPerDay
      day -= 1
    }
    let date = date(days: Int(day))
    let second = Int(rest / 1_000_000)
    let fraction = Int(rest % 1_000_000)
    text.append(addingCapacity: 27) { output in
      appendTwoDigits(date.year / 100, to: &output)
      appendTwoDigits(date.year % 100, to: &output)
      output.append(UInt8(ascii: "-"))
      appendTwoDigits(date.month, to: &output)
      output.append(UInt8(ascii: "-"))
      appendTwoDigits(date.day, to: &output)
      output.append(UInt8(ascii: "T"))
      appendTwoDigits(second / 3_600, to: &output)
      output.append(UInt8(ascii: ":"))
      appendTwoDigits(second / 60 % 60, to: &output)
      output.append(UInt8(ascii: ":"))
      appendTwoDigits(second % 60, to: &output)
      output.append(UInt8(ascii: "."))
      appendTwoDigits(fraction / 10_000, to: &output)
      appendTwoDigits(fraction / 100 % 100, to: &output)
      appendTwoDigits(fraction % 100, to: &output)
      output.append(UInt8(ascii: "Z"))
    }
    return true
  }

  @inline(always)
  private static func appendTwoDigits(_ value: Int, to output: inout OutputSpan<UInt8>) {
    output.append(UInt8(truncatingIfNeeded: 0x30 &+ value / 10))
    output.append(UInt8(truncatingIfNeeded: 0x30 &+ value % 10))
  }
}

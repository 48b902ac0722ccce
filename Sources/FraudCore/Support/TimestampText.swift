/// Instants as text: ISO 8601 in, RFC 3339 out. All are microseconds since 1970-01-01T00:00:00Z.
package enum TimestampText {
  static let microsecondsPerDay: Int64 = 86_400_000_000
  /// 0000-01-01T00:00:00Z and the last microsecond of 9999, between which a year has four digits.
  static let range: ClosedRange<Int64> = -62_167_219_200_000_000...253_402_300_799_999_999

  /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
  ///
  /// - Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
  static func days(year: Int, month: Int, day: Int) -> Int {
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
  static func date(days: Int) -> (year: Int, month: Int, day: Int) {
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

/// The proleptic Gregorian calendar in UTC: days since 1970-01-01 as DATE, microseconds since then as TIMESTAMP.
///
/// - Source: Howard Hinnant, "chrono-compatible low-level date algorithms" (eras of 400 years, years from March).
package enum Calendar {
  package static let microsecondsPerSecond: Int64 = 1_000_000
  package static let microsecondsPerDay: Int64 = 86_400_000_000

  /// A date's year, month and day of month.
  package struct Day: Sendable, Hashable {
    package var year: Int64
    package var month: Int64
    package var day: Int64

    package init(year: Int64, month: Int64, day: Int64) {
      self.year = year
      self.month = month
      self.day = day
    }

    /// The date that is some days after 1970-01-01.
    ///
    /// Precondition: days within ±10^12, which any microsecond timestamp and any 32-bit date is.
    package init(days: Int64) {
      let shifted = days + 719_468
      let era = floorDivide(shifted, 146_097)
      let dayOfEra = shifted - era * 146_097
      let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
      let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
      let shiftedMonth = (5 * dayOfYear + 2) / 153
      day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
      month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
      year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days since 1970-01-01.
    package var days: Int64 {
      let shiftedYear = month <= 2 ? year - 1 : year
      let era = floorDivide(shiftedYear, 400)
      let yearOfEra = shiftedYear - era * 400
      let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
      return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Whether there is such a day.
    package var exists: Bool {
      (1...12).contains(month) && day >= 1 && day <= daysInMonth(year: year, month: month)
    }
  }

  package static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let (quotient, rest) = a.quotientAndRemainder(dividingBy: b)
    return rest < 0 ? quotient - 1 : quotient
  }

  package static func isLeap(_ year: Int64) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  package static func daysInMonth(year: Int64, month: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// The day a timestamp falls on.
  package static func day(ofTimestamp microseconds: Int64) -> Int64 {
    floorDivide(microseconds, microsecondsPerDay)
  }

  /// Microseconds since a timestamp's midnight.
  package static func microsecondOfDay(_ microseconds: Int64) -> Int64 {
    // Near the least timestamp the midnight itself does not fit; the difference does.
    microseconds &- day(ofTimestamp: microseconds) &* microsecondsPerDay
  }

  /// Midnight of a day.
  package static func timestamp(ofDay days: Int64) throws(EvaluationError) -> Int64 {
    let (microseconds, overflow) = days.multipliedReportingOverflow(by: microsecondsPerDay)
    if overflow { throw .datetimeOverflow }
    return microseconds
  }

  // MARK: Fields

  package static func dayOfYear(_ days: Int64) -> Int64 {
    days - Day(year: Day(days: days).year, month: 1, day: 1).days + 1
  }

  /// 0 for Monday to 6 for Sunday.
  package static func weekday(_ days: Int64) -> Int64 {
    let shifted = (days + 3) % 7
    return shifted < 0 ? shifted + 7 : shifted
  }

  /// The ISO 8601 week, from 1, and the year it belongs to.
  package static func isoWeek(_ days: Int64) -> (year: Int64, week: Int64) {
    let thursday = days - weekday(days) + 3
    return (Day(days: thursday).year, (dayOfYear(thursday) - 1) / 7 + 1)
  }

  // MARK: Calculating

  /// Adds months to a date; a day beyond the new month's end becomes its last day.
  package static func addMonths(_ months: Int64, toDay days: Int64) throws(EvaluationError) -> Int64 {
    let day = Day(days: days)
    guard months.magnitude <= 1 << 40 else { throw .datetimeOverflow }
    let total = day.year * 12 + day.month - 1 + months
    let year = floorDivide(total, 12)
    let month = total - year * 12 + 1
    let result = Day(year: year, month: month, day: min(day.day, daysInMonth(year: year, month: month))).days
    guard Int32(exactly: result) != nil else { throw .datetimeOverflow }
    return result
  }

  /// Adds months to a timestamp, keeping the time of day.
  package static func addMonths(_ months: Int64, toTimestamp microseconds: Int64) throws(EvaluationError) -> Int64 {
    let days = try addMonths(months, toDay: day(ofTimestamp: microseconds))
    return try add(microsecondOfDay(microseconds), toTimestamp: timestamp(ofDay: days))
  }

  package static func add(_ interval: Int64, toTimestamp microseconds: Int64) throws(EvaluationError) -> Int64 {
    let (sum, overflow) = microseconds.addingReportingOverflow(interval)
    if overflow { throw .datetimeOverflow }
    return sum
  }

  /// Whole months between two timestamps, truncated toward zero.
  ///
  /// As `LocalDateTime.until`: where the time of day has not been reached the end counts as the day before, and months are
  /// compared with their days.
  package static func wholeMonths(from start: Int64, to end: Int64) -> Int64 {
    let firstDay = day(ofTimestamp: start)
    var lastDay = day(ofTimestamp: end)
    if lastDay > firstDay, microsecondOfDay(end) < microsecondOfDay(start) {
      lastDay -= 1
    } else if lastDay < firstDay, microsecondOfDay(end) > microsecondOfDay(start) {
      lastDay += 1
    }
    let first = Day(days: firstDay)
    let last = Day(days: lastDay)
    return ((last.year * 12 + last.month) * 32 + last.day - (first.year * 12 + first.month) * 32 - first.day) / 32
  }

  /// The start of the unit that a timestamp lies in.
  package static func truncate(_ microseconds: Int64, to unit: TruncationUnit) throws(EvaluationError) -> Int64 {
    switch unit {
    case .microsecond: return microseconds
    case .millisecond: return try floor(microseconds, 1_000)
    case .second: return try floor(microseconds, 1_000_000)
    case .minute: return try floor(microseconds, 60_000_000)
    case .hour: return try floor(microseconds, 3_600_000_000)
    case .day: return try floor(microseconds, microsecondsPerDay)
    case .week, .month, .quarter, .year:
      return try timestamp(ofDay: truncateDay(day(ofTimestamp: microseconds), to: unit))
    }
  }

  /// The first day of the week, month, quarter or year that a day lies in; the day itself for smaller units.
  package static func truncateDay(_ days: Int64, to unit: TruncationUnit) -> Int64 {
    let day = Day(days: days)
    return switch unit {
    case .week: days - weekday(days)
    case .month: Day(year: day.year, month: day.month, day: 1).days
    case .quarter: Day(year: day.year, month: (day.month - 1) / 3 * 3 + 1, day: 1).days
    case .year: Day(year: day.year, month: 1, day: 1).days
    default: days
    }
  }

  /// A unit of `date_trunc` and `trunc`.
  package enum TruncationUnit: Sendable, Hashable {
    case microsecond, millisecond, second, minute, hour, day, week, month, quarter, year

    /// The unit of a name in any case.
    package init?(name: [UInt8]) {
      switch String(decoding: name, as: UTF8.self).uppercased() {
      case "MICROSECOND": self = .microsecond
      case "MILLISECOND": self = .millisecond
      case "SECOND": self = .second
      case "MINUTE": self = .minute
      case "HOUR": self = .hour
      case "DAY", "DD": self = .day
      case "WEEK": self = .week
      case "MON", "MONTH", "MM": self = .month
      case "QUARTER": self = .quarter
      case "YEAR", "YYYY", "YY": self = .year
      default: return nil
      }
    }
  }

  private static func floor(_ microseconds: Int64, _ unit: Int64) throws(EvaluationError) -> Int64 {
    let (start, overflow) = floorDivide(microseconds, unit).multipliedReportingOverflow(by: unit)
    if overflow { throw .datetimeOverflow }
    return start
  }
}

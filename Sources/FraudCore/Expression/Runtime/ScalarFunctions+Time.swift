extension ScalarFunctions {
  static func timeField(_ function: Function, _ value: Int64) -> Value {
    let secondOfDay = { Calendar.microsecondOfDay(value) / Calendar.microsecondsPerSecond }
    switch function {
    case .year: return .integer(Calendar.Day(days: value).year)
    case .quarter: return .integer((Calendar.Day(days: value).month - 1) / 3 + 1)
    case .month: return .integer(Calendar.Day(days: value).month)
    case .day: return .integer(Calendar.Day(days: value).day)
    case .dayOfYear: return .integer(Calendar.dayOfYear(value))
    case .dayOfWeek: return .integer((Calendar.weekday(value) + 1) % 7 + 1)
    case .dayOfWeekISO: return .integer(Calendar.weekday(value) + 1)
    case .weekday: return .integer(Calendar.weekday(value))
    case .weekOfYear: return .integer(Calendar.isoWeek(value).week)
    case .yearOfWeek: return .integer(Calendar.isoWeek(value).year)
    case .hour: return .integer(secondOfDay() / 3_600)
    case .minute: return .integer(secondOfDay() / 60 % 60)
    case .second: return .integer(secondOfDay() % 60)
    case .secondWithFraction: return .decimal(Int128(Calendar.microsecondOfDay(value) % 60_000_000))
    case .intervalDays: return .integer(value / Calendar.microsecondsPerDay)
    case .intervalHours: return .integer(value % Calendar.microsecondsPerDay / 3_600_000_000)
    case .intervalMinutes: return .integer(value % 3_600_000_000 / 60_000_000)
    case .intervalSeconds: return .decimal(Int128(value % 60_000_000))
    case .intervalYears: return .integer(value / 12)
    case .intervalMonths: return .integer(value % 12)
    default: preconditionFailure("\(function)")
    }
  }

  static func time(_ function: Function, _ arguments: [Value], _ zones: TimeZones) throws(EvaluationError) -> Value {
    switch function {
    case .dayName:
      return .string(Array(DatetimeFormat.dayNames[Int(Calendar.weekday(arguments[0].integer))].prefix(3).utf8))
    case .monthName:
      return .string(
        Array(DatetimeFormat.monthNames[Int(Calendar.Day(days: arguments[0].integer).month - 1)].prefix(3).utf8))
    case .dateTrunc:
      guard let unit = Calendar.TruncationUnit(name: arguments[0].text) else { return .null }
      return .integer(try Calendar.truncate(arguments[1].integer, to: unit))
    case .truncDate:
      guard let unit = Calendar.TruncationUnit(name: arguments[1].text),
        [.week, .month, .quarter, .year].contains(unit)
      else { return .null }
      return .integer(Calendar.truncateDay(arguments[0].integer, to: unit))
    case .parseTimestamp:
      return .integer(try DatetimeFormat(arguments[1].text).parse(arguments[0].text, zones: zones))
    case .formatTimestamp:
      return .string(try DatetimeFormat(arguments[1].text).format(arguments[0].integer))
    case .unixTimestamp: return .integer(arguments[0].integer / Calendar.microsecondsPerSecond)
    case .unixSeconds: return .integer(Calendar.floorDivide(arguments[0].integer, Calendar.microsecondsPerSecond))
    case .unixMillis: return .integer(Calendar.floorDivide(arguments[0].integer, 1_000))
    case .unixMicros, .unixDate, .dateFromUnixDate, .timestampMicros: return arguments[0]
    case .timestampMillis:
      let (microseconds, overflow) = arguments[0].integer.multipliedReportingOverflow(by: 1_000)
      if overflow { throw .arithmeticOverflow }
      return .integer(microseconds)
    case .dateDiff:
      let days = arguments[0].integer - arguments[1].integer
      // A difference of two 32-bit dates wraps in Spark; no date of years that exist comes near.
      guard let fitted = Int32(exactly: days) else { throw .arithmeticOverflow }
      return .integer(Int64(fitted))
    case .timestampDiff:
      return .integer(try difference(arguments[0].text, from: arguments[1].integer, to: arguments[2].integer))
    case .timestampAdd:
      return .integer(try add(arguments[0].text, arguments[1].integer, to: arguments[2].integer))
    case .addMonths: return .integer(try Calendar.addMonths(arguments[1].integer, toDay: arguments[0].integer))
    case .monthsBetween:
      return .double(
        monthsBetween(arguments[0].integer, arguments[1].integer, roundsOff: arguments[2].boolean))
    case .lastDay:
      let day = Calendar.Day(days: arguments[0].integer)
      return .integer(
        Calendar.Day(
          year: day.year, month: day.month, day: Calendar.daysInMonth(year: day.year, month: day.month)
        ).days)
    case .nextDay:
      let name = String(decoding: arguments[1].text, as: UTF8.self).uppercased()
      let day = DatetimeFormat.dayNames.firstIndex { full in
        let upper = full.uppercased()
        return name == upper || name == upper.prefix(3) || name == upper.prefix(2)
      }
      guard let day else { throw .castInvalidInput }
      let from = arguments[0].integer
      return .integer(from + 1 + (Int64(day) - 1 - Calendar.weekday(from) + 7) % 7)
    case .makeDate:
      let day = Calendar.Day(
        year: arguments[0].integer, month: arguments[1].integer, day: arguments[2].integer)
      guard abs(day.year) <= 5_000_000, day.exists else { throw .datetimeOverflow }
      return .integer(day.days)
    default: preconditionFailure("\(function)")
    }
  }

  /// Complete units between two timestamps, truncated toward zero.
  private static func difference(_ unit: [UInt8], from start: Int64, to end: Int64) throws(EvaluationError) -> Int64 {
    let name = String(decoding: unit, as: UTF8.self)
    switch name {
    case "MONTH": return Calendar.wholeMonths(from: start, to: end)
    case "QUARTER": return Calendar.wholeMonths(from: start, to: end) / 3
    case "YEAR": return Calendar.wholeMonths(from: start, to: end) / 12
    default:
      guard let microseconds = microseconds(of: name) else { throw .datetimePattern }
      // Two timestamps lie at most 2^64 apart.
      return Int64(clamping: (Int128(end) - Int128(start)) / Int128(microseconds))
    }
  }

  private static func add(_ unit: [UInt8], _ count: Int64, to timestamp: Int64) throws(EvaluationError) -> Int64 {
    let name = String(decoding: unit, as: UTF8.self)
    let months: Int64? =
      switch name {
      case "MONTH": 1
      case "QUARTER": 3
      case "YEAR": 12
      default: nil
      }
    if let months {
      let (total, overflow) = count.multipliedReportingOverflow(by: months)
      guard !overflow, Int32(exactly: total) != nil else { throw .datetimeOverflow }
      return try Calendar.addMonths(total, toTimestamp: timestamp)
    }
    guard let microseconds = microseconds(of: name) else { throw .datetimePattern }
    let (interval, overflow) = count.multipliedReportingOverflow(by: microseconds)
    if overflow { throw .datetimeOverflow }
    return try Calendar.add(interval, toTimestamp: timestamp)
  }

  private static func microseconds(of unit: String) -> Int64? {
    switch unit {
    case "MICROSECOND": 1
    case "MILLISECOND": 1_000
    case "SECOND": 1_000_000
    case "MINUTE": 60_000_000
    case "HOUR": 3_600_000_000
    case "DAY", "DAYOFYEAR": Calendar.microsecondsPerDay
    case "WEEK": 7 * Calendar.microsecondsPerDay
    default: nil
    }
  }

  /// Whole months where both are the same day of the month or the last one; else with the rest as a part of 31 days.
  private static func monthsBetween(_ end: Int64, _ start: Int64, roundsOff: Bool) -> Double {
    let last = Calendar.Day(days: Calendar.day(ofTimestamp: end))
    let first = Calendar.Day(days: Calendar.day(ofTimestamp: start))
    let months = Double((last.year - first.year) * 12 + last.month - first.month)
    let lastIsEnd = last.day == Calendar.daysInMonth(year: last.year, month: last.month)
    let firstIsEnd = first.day == Calendar.daysInMonth(year: first.year, month: first.month)
    if last.day == first.day || (lastIsEnd && firstIsEnd) { return months }
    let seconds = Calendar.microsecondOfDay(end) / 1_000_000 - Calendar.microsecondOfDay(start) / 1_000_000
    let rest = Double((last.day - first.day) * 86_400 + seconds)
    let exact = months + rest / (31 * 86_400)
    return roundsOff ? (exact * 1e8).rounded(.toNearestOrAwayFromZero) / 1e8 : exact
  }
}

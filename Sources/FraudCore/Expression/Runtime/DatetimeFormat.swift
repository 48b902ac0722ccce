/// A pattern of `to_timestamp` and `date_format`, in the letters that Spark takes over from `java.time`.
///
/// Literals are quoted or not letters; `[…]` is an optional part when reading. Texts are read in UTC unless they name a zone.
package struct DatetimeFormat {
  static let dayNames = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
  static let monthNames = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]

  private enum Item {
    case letter(UInt8, count: Int)
    case literal(UInt8)
    case openOptional
    case closeOptional
  }

  private var items: [Item] = []

  package init(_ pattern: [UInt8]) throws(EvaluationError) {
    var index = 0
    var depth = 0
    while index < pattern.count {
      let byte = pattern[index]
      switch byte {
      case UInt8(ascii: "'"):
        index += 1
        if index < pattern.count, pattern[index] == byte {
          items.append(.literal(byte))
          index += 1
          continue
        }
        while true {
          guard index < pattern.count else { throw .datetimePattern }
          if pattern[index] == byte {
            index += 1
            guard index < pattern.count, pattern[index] == byte else { break }
          }
          items.append(.literal(pattern[index]))
          index += 1
        }
        continue
      case UInt8(ascii: "["):
        depth += 1
        items.append(.openOptional)
      case UInt8(ascii: "]"):
        guard depth > 0 else { throw .datetimePattern }
        depth -= 1
        items.append(.closeOptional)
      case 65...90, 97...122:
        let start = index
        while index + 1 < pattern.count, pattern[index + 1] == byte { index += 1 }
        let count = index - start + 1
        guard "yMdHhkKmsSaEDQqLVXxzOZ".utf8.contains(byte), count <= 9, byte != UInt8(ascii: "y") || count <= 6 else {
          throw .datetimePattern
        }
        items.append(.letter(byte, count: count))
      case UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "#"): throw .datetimePattern
      default: items.append(.literal(byte))
      }
      index += 1
    }
    guard depth == 0 else { throw .datetimePattern }
  }

  // MARK: Writing

  package func format(_ timestamp: Int64) throws(EvaluationError) -> [UInt8] {
    let days = Calendar.day(ofTimestamp: timestamp)
    let day = Calendar.Day(days: days)
    let time = Calendar.microsecondOfDay(timestamp)
    let second = time / 1_000_000
    var result: [UInt8] = []
    for item in items {
      guard case .letter(let letter, let count) = item else {
        if case .literal(let byte) = item { result.append(byte) }
        continue
      }
      let hour = second / 3_600
      switch letter {
      case UInt8(ascii: "y"):
        if count == 2 {
          DatetimeText.append(((day.year % 100) + 100) % 100, digits: 2, to: &result)
        } else {
          if day.year < 0 { result.append(UInt8(ascii: "-")) }
          if day.year > 9_999, count >= 4 { result.append(UInt8(ascii: "+")) }
          DatetimeText.append(abs(day.year), digits: count, to: &result)
        }
      case UInt8(ascii: "M"), UInt8(ascii: "L"):
        let name = Self.monthNames[Int(day.month - 1)]
        switch count {
        case 1, 2: DatetimeText.append(day.month, digits: count, to: &result)
        case 3: result += Array(name.prefix(3).utf8)
        case 4: result += Array(name.utf8)
        default: throw .datetimePattern
        }
      case UInt8(ascii: "E"):
        let name = Self.dayNames[Int(Calendar.weekday(days))]
        guard count <= 4 else { throw .datetimePattern }
        result += Array(count <= 3 ? name.prefix(3).utf8 : name[...].utf8)
      case UInt8(ascii: "Q"), UInt8(ascii: "q"):
        let quarter = (day.month - 1) / 3 + 1
        switch count {
        case 1, 2: DatetimeText.append(quarter, digits: count, to: &result)
        case 3: result += Array("Q\(quarter)".utf8)
        case 4: result += Array(["1st", "2nd", "3rd", "4th"][Int(quarter - 1)].utf8) + Array(" quarter".utf8)
        default: throw .datetimePattern
        }
      case UInt8(ascii: "a"): result += Array((hour < 12 ? "AM" : "PM").utf8)
      case UInt8(ascii: "S"):
        var fraction: [UInt8] = []
        DatetimeText.append(time % 1_000_000, digits: 6, to: &fraction)
        fraction += [48, 48, 48]
        result += fraction.prefix(count)
      case UInt8(ascii: "D"): DatetimeText.append(Calendar.dayOfYear(days), digits: count, to: &result)
      case UInt8(ascii: "d"): DatetimeText.append(day.day, digits: count, to: &result)
      case UInt8(ascii: "H"): DatetimeText.append(hour, digits: count, to: &result)
      case UInt8(ascii: "k"): DatetimeText.append(hour == 0 ? 24 : hour, digits: count, to: &result)
      case UInt8(ascii: "K"): DatetimeText.append(hour % 12, digits: count, to: &result)
      case UInt8(ascii: "h"): DatetimeText.append(hour % 12 == 0 ? 12 : hour % 12, digits: count, to: &result)
      case UInt8(ascii: "m"): DatetimeText.append(second / 60 % 60, digits: count, to: &result)
      case UInt8(ascii: "s"): DatetimeText.append(second % 60, digits: count, to: &result)
      case UInt8(ascii: "X"): result.append(UInt8(ascii: "Z"))
      case UInt8(ascii: "x"):
        result += Array((count == 1 ? "+00" : count == 2 || count == 4 ? "+0000" : "+00:00").utf8)
      case UInt8(ascii: "Z"): result += Array((count <= 3 ? "+0000" : count == 4 ? "GMT" : "Z").utf8)
      case UInt8(ascii: "O"): result += Array("GMT".utf8)
      case UInt8(ascii: "V"): result += Array("UTC".utf8)
      case UInt8(ascii: "z"): result += Array((count <= 3 ? "UTC" : "Coordinated Universal Time").utf8)
      default: throw .datetimePattern
      }
    }
    return result
  }

  // MARK: Reading

  private struct Fields {
    var year: Int64 = 1970
    var month: Int64 = 1
    var day: Int64 = 1
    var dayOfYear: Int64?
    var hour: Int64 = 0
    var halfDayHour: Int64?
    var afternoon: Bool?
    var minute: Int64 = 0
    var second: Int64 = 0
    var microsecond: Int64 = 0
    var zone: TimeZones.Zone?
  }

  package func parse(_ text: [UInt8], zones: TimeZones) throws(EvaluationError) -> Int64 {
    var index = 0
    var fields = Fields()
    guard try read(items[...], text, &index, &fields, zones), index == text.count else { throw .castInvalidInput }
    if let half = fields.halfDayHour {
      guard let afternoon = fields.afternoon else { throw .castInvalidInput }
      fields.hour = half % 12 + (afternoon ? 12 : 0)
    }
    var date = Calendar.Day(year: fields.year, month: fields.month, day: fields.day)
    if let number = fields.dayOfYear {
      guard number >= 1, number <= (Calendar.isLeap(fields.year) ? 366 : 365) else { throw .castInvalidInput }
      date = Calendar.Day(days: Calendar.Day(year: fields.year, month: 1, day: 1).days + number - 1)
    }
    guard date.exists, fields.hour <= 23, fields.minute <= 59, fields.second <= 59 else { throw .castInvalidInput }
    var seconds = date.days * 86_400 + fields.hour * 3_600 + fields.minute * 60 + fields.second
    if let zone = fields.zone { seconds -= zone.offset(atLocal: seconds) }
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: Calendar.microsecondsPerSecond)
    let (sum, carry) = scaled.addingReportingOverflow(fields.microsecond)
    guard !overflow, !carry else { throw .castInvalidInput }
    return sum
  }

  /// Reads items in order; an optional part that does not fit is left out. Recursion is as deep as the brackets nest, which
  /// the pattern's length bounds to what ``Limits`` allow.
  private func read(
    _ items: ArraySlice<Item>, _ text: [UInt8], _ index: inout Int, _ fields: inout Fields, _ zones: TimeZones
  ) throws(EvaluationError) -> Bool {
    var position = items.startIndex
    while position < items.endIndex {
      switch items[position] {
      case .literal(let byte):
        guard index < text.count, text[index] == byte else { return false }
        index += 1
      case .openOptional:
        var depth = 1
        var end = position + 1
        while depth > 0 {
          if case .openOptional = items[end] { depth += 1 }
          if case .closeOptional = items[end] { depth -= 1 }
          end += 1
        }
        var tried = fields
        var triedIndex = index
        if try read(items[(position + 1)..<(end - 1)], text, &triedIndex, &tried, zones) {
          fields = tried
          index = triedIndex
        }
        position = end
        continue
      case .closeOptional: break
      case .letter(let letter, let count):
        // A number right before another one takes exactly its width.
        var adjacent = false
        if position + 1 < items.endIndex, case .letter(let next, _) = items[position + 1] {
          adjacent = "yMdHhkKmsSDQ".utf8.contains(next)
        }
        guard try read(letter, count, adjacent, text, &index, &fields, zones) else { return false }
      }
      position += 1
    }
    return true
  }

  private func read(
    _ letter: UInt8, _ count: Int, _ adjacent: Bool, _ text: [UInt8], _ index: inout Int, _ fields: inout Fields,
    _ zones: TimeZones
  ) throws(EvaluationError) -> Bool {
    func number(_ least: Int, _ most: Int) -> Int64? {
      let start = index
      var value: Int64 = 0
      while index < text.count, index - start < most, text[index] >= 48, text[index] <= 57 {
        value = value * 10 + Int64(text[index] - 48)
        index += 1
      }
      return index - start >= least ? value : nil
    }
    func name(_ names: [String], _ length: Int?) -> Int64? {
      for (position, name) in names.enumerated() {
        let written = Array(length.map { String(name.prefix($0)) } ?? name).map { String($0) }.joined().utf8
        if text[index...].starts(with: written) {
          index += written.count
          return Int64(position)
        }
      }
      return nil
    }
    switch letter {
    case UInt8(ascii: "y"):
      if count == 2 {
        guard let value = number(2, 2) else { return false }
        fields.year = 2000 + value
      } else {
        var negative = false
        if index < text.count, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
          negative = text[index] == UInt8(ascii: "-")
          index += 1
        }
        guard let value = number(count, adjacent ? count : max(count, 6)),
          count != 4 || value <= 9_999 || adjacent == false
        else { return false }
        fields.year = negative ? -value : value
      }
    case UInt8(ascii: "M"), UInt8(ascii: "L"):
      if count >= 3 {
        guard let value = name(Self.monthNames, count == 3 ? 3 : nil) else { return false }
        fields.month = value + 1
      } else {
        guard let value = number(count, count == 1 && !adjacent ? 2 : count) else { return false }
        fields.month = value
      }
    case UInt8(ascii: "E"):
      guard name(Self.dayNames, count <= 3 ? 3 : nil) != nil else { return false }
    case UInt8(ascii: "a"):
      guard index + 1 < text.count, text[index + 1] == UInt8(ascii: "M") else { return false }
      fields.afternoon = text[index] == UInt8(ascii: "P")
      guard text[index] == UInt8(ascii: "P") || text[index] == UInt8(ascii: "A") else { return false }
      index += 2
    case UInt8(ascii: "S"):
      // A fraction may be shorter than the letters say.
      let start = index
      guard var value = number(1, count) else { return false }
      let digits = index - start
      for _ in 0..<max(0, 6 - digits) { value *= 10 }
      for _ in 0..<max(0, digits - 6) { value /= 10 }
      fields.microsecond = value
    case UInt8(ascii: "X"), UInt8(ascii: "x"), UInt8(ascii: "Z"), UInt8(ascii: "V"), UInt8(ascii: "z"),
      UInt8(ascii: "O"):
      let start = index
      while index < text.count,
        (text[index] | 0x20 >= 97 && text[index] | 0x20 <= 122) || (text[index] >= 48 && text[index] <= 57)
          || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "_")].contains(
            text[index])
      { index += 1 }
      guard let zone = zones.zone(named: Array(text[start..<index])) else { return false }
      fields.zone = zone
    default:
      guard
        let value = number(
          count,
          count == 1 && !adjacent
            ? (letter == UInt8(ascii: "D") ? 3 : 2) : max(count, letter == UInt8(ascii: "D") ? 3 : 2))
      else { return false }
      switch letter {
      case UInt8(ascii: "d"): fields.day = value
      case UInt8(ascii: "D"): fields.dayOfYear = value
      case UInt8(ascii: "H"): fields.hour = value
      case UInt8(ascii: "k"): fields.hour = value == 24 ? 0 : value
      case UInt8(ascii: "K"): fields.halfDayHour = value
      case UInt8(ascii: "h"):
        guard (1...12).contains(value) else { return false }
        fields.halfDayHour = value
      case UInt8(ascii: "m"): fields.minute = value
      case UInt8(ascii: "s"): fields.second = value
      case UInt8(ascii: "Q"), UInt8(ascii: "q"): fields.month = (value - 1) * 3 + 1
      default: throw .datetimePattern
      }
    }
    return true
  }
}

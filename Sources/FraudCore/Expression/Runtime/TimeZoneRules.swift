/// When a named time zone changed its offset from UTC, read from the bytes of a TZif file.
///
/// FraudCore reads no files: whoever compiles rules hands the rules of the zones in.
///
/// - Source: RFC 9636 (TZif), and the TZ string of POSIX.1 chapter 8.3 for times after the last listed transition.
public struct TimeZoneRules: Sendable, Hashable {
  /// Seconds since 1970 at which an offset begins.
  private var transitions: [Int64] = []
  /// The offset from UTC in seconds before the first transition, then after each.
  private var offsets: [Int64] = []
  private var footer: Footer?

  /// Reads a TZif file of version 1 to 4.
  ///
  /// - Throws: ``TimeZoneError`` where the bytes are not such a file.
  public init(tzif bytes: [UInt8]) throws(TimeZoneError) {
    var reader = Reader(bytes: bytes)
    var header = try reader.header()
    var timeSize = 4
    if header.version >= 2 {
      try reader.skip(header.blockSize(timeSize: 4))
      header = try reader.header()
      timeSize = 8
    }
    for _ in 0..<header.timeCount { transitions.append(try reader.integer(timeSize)) }
    var types: [Int] = []
    for _ in 0..<header.timeCount { types.append(Int(try reader.integer(1)) & 0xFF) }
    var typeOffsets: [Int64] = []
    for _ in 0..<header.typeCount {
      typeOffsets.append(try reader.integer(4))
      try reader.skip(2)
    }
    guard !typeOffsets.isEmpty, types.allSatisfy({ $0 < typeOffsets.count }),
      zip(transitions, transitions.dropFirst()).allSatisfy({ $0 < $1 }),
      typeOffsets.allSatisfy({ $0.magnitude <= 93_600 })
    else { throw TimeZoneError() }
    offsets = [typeOffsets[0]] + types.map { typeOffsets[$0] }
    if header.version >= 2 {
      try reader.skip(header.charCount + header.leapCount * (timeSize + 4) + header.standardCount + header.utcCount)
      footer = Footer(text: reader.footer())
    }
  }

  /// Seconds to subtract from a local time to get UTC, for a local time as seconds since 1970.
  ///
  /// In a gap the time is moved on by the gap's length and in an overlap the earlier instant is meant, as `java.time`
  /// decides: both take the offset before the change.
  func offset(atLocal seconds: Int64) -> Int64 {
    // The offset after a transition counts once both clocks have passed it.
    var low = 0
    var high = transitions.count
    while low < high {
      let middle = (low + high) / 2
      if seconds >= transitions[middle] &+ max(offsets[middle], offsets[middle + 1]) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    if low == transitions.count, let footer { return footer.offset(atLocal: seconds) }
    return offsets[low]
  }

  /// The offset from UTC in seconds at an instant, as seconds since 1970.
  func offset(atUTC seconds: Int64) -> Int64 {
    var low = 0
    var high = transitions.count
    while low < high {
      let middle = (low + high) / 2
      if seconds >= transitions[middle] { low = middle + 1 } else { high = middle }
    }
    if low == transitions.count, let footer { return footer.offset(atUTC: seconds) }
    return offsets[low]
  }
}

/// The bytes given for a time zone are not a TZif file.
public struct TimeZoneError: Error, Sendable, Hashable {
  init() {}
}

extension TimeZoneRules {
  private struct Header {
    var version = 0
    var utcCount = 0
    var standardCount = 0
    var leapCount = 0
    var timeCount = 0
    var typeCount = 0
    var charCount = 0

    func blockSize(timeSize: Int) -> Int {
      timeCount * (timeSize + 1) + typeCount * 6 + charCount + leapCount * (timeSize + 4) + standardCount + utcCount
    }
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    mutating func header() throws(TimeZoneError) -> Header {
      guard bytes.count - position >= 44, bytes[position..<(position + 4)].elementsEqual("TZif".utf8) else {
        throw TimeZoneError()
      }
      var header = Header()
      header.version = bytes[position + 4] == 0 ? 1 : Int(bytes[position + 4]) - 48
      position += 20
      var counts: [Int] = []
      for _ in 0..<6 { counts.append(Int(try integer(4))) }
      guard counts.allSatisfy({ (0...100_000).contains($0) }) else { throw TimeZoneError() }
      header.utcCount = counts[0]
      header.standardCount = counts[1]
      header.leapCount = counts[2]
      header.timeCount = counts[3]
      header.typeCount = counts[4]
      header.charCount = counts[5]
      return header
    }

    mutating func integer(_ size: Int) throws(TimeZoneError) -> Int64 {
      guard bytes.count - position >= size else { throw TimeZoneError() }
      var value: Int64 = bytes[position] >= 128 ? -1 : 0
      for index in position..<(position + size) { value = value << 8 | Int64(bytes[index]) }
      position += size
      return value
    }

    mutating func skip(_ count: Int) throws(TimeZoneError) {
      guard bytes.count - position >= count else { throw TimeZoneError() }
      position += count
    }

    /// The TZ string between the last two newlines.
    func footer() -> ArraySlice<UInt8> {
      guard position < bytes.count, bytes[position] == 10 else { return [] }
      return bytes[(position + 1)...].prefix { $0 != 10 }
    }
  }

  /// A POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3`.
  private struct Footer: Sendable, Hashable {
    struct Change: Sendable, Hashable {
      enum Kind: Sendable, Hashable { case julian, zeroBased, weekday }
      var kind: Kind
      var day: Int64
      var week: Int64 = 0
      var month: Int64 = 0
      var time: Int64 = 7_200

      /// Seconds since 1970 of the change on the local clock before it.
      func localSeconds(year: Int64) -> Int64 {
        let start = Calendar.Day(year: year, month: 1, day: 1).days
        let days: Int64
        switch kind {
        case .julian: days = start + day - 1 + (Calendar.isLeap(year) && day >= 60 ? 1 : 0)
        case .zeroBased: days = start + day
        case .weekday:
          let first = Calendar.Day(year: year, month: month, day: 1).days
          // POSIX counts Sunday as 0, the calendar Monday.
          let firstWeekday = (Calendar.weekday(first) + 1) % 7
          var offset = (day - firstWeekday + 7) % 7 + (week - 1) * 7
          while offset >= Calendar.daysInMonth(year: year, month: month) { offset -= 7 }
          days = first + offset
        }
        return days * 86_400 + time
      }
    }

    var standard: Int64
    var daylight: Int64?
    var start: Change?
    var end: Change?

    init?(text: ArraySlice<UInt8>) {
      var scanner = Scanner(text: text)
      guard scanner.name(), let west = scanner.time() else { return nil }
      standard = -west
      guard !scanner.atEnd else { return }
      guard scanner.name() else { return nil }
      daylight = standard + 3_600
      if !scanner.atEnd, !scanner.take(UInt8(ascii: ",")) {
        guard let west = scanner.time() else { return nil }
        daylight = -west
        guard scanner.take(UInt8(ascii: ",")) else { return nil }
      }
      guard let start = scanner.change(), scanner.take(UInt8(ascii: ",")), let end = scanner.change(), scanner.atEnd
      else { return nil }
      self.start = start
      self.end = end
    }

    /// The changes around a year: the instant as UTC seconds, the offsets before and after it.
    private func changes(around year: Int64) -> [(instant: Int64, before: Int64, after: Int64)] {
      guard let daylight, let start, let end else { return [] }
      var changes: [(instant: Int64, before: Int64, after: Int64)] = []
      for year in (year - 1)...(year + 1) {
        changes.append((start.localSeconds(year: year) - standard, standard, daylight))
        changes.append((end.localSeconds(year: year) - daylight, daylight, standard))
      }
      return changes.sorted { $0.instant < $1.instant }
    }

    func offset(atLocal seconds: Int64) -> Int64 {
      let year = Calendar.Day(days: Calendar.floorDivide(seconds, 86_400)).year
      var offset = standard
      for change in changes(around: year) where seconds >= change.instant + max(change.before, change.after) {
        offset = change.after
      }
      return offset
    }

    func offset(atUTC seconds: Int64) -> Int64 {
      let year = Calendar.Day(days: Calendar.floorDivide(seconds, 86_400)).year
      var offset = standard
      for change in changes(around: year) where seconds >= change.instant { offset = change.after }
      return offset
    }

    private struct Scanner {
      let text: ArraySlice<UInt8>
      var index: Int

      init(text: ArraySlice<UInt8>) {
        self.text = text
        index = text.startIndex
      }

      var atEnd: Bool { index == text.endIndex }

      mutating func take(_ byte: UInt8) -> Bool {
        guard !atEnd, text[index] == byte else { return false }
        index += 1
        return true
      }

      mutating func name() -> Bool {
        if take(UInt8(ascii: "<")) {
          while !atEnd, text[index] != UInt8(ascii: ">") { index += 1 }
          return take(UInt8(ascii: ">"))
        }
        let start = index
        while !atEnd, text[index] | 0x20 >= 97, text[index] | 0x20 <= 122 { index += 1 }
        return index - start >= 3
      }

      mutating func number() -> Int64? {
        let start = index
        var value: Int64 = 0
        while !atEnd, text[index] >= 48, text[index] <= 57, index - start < 4 {
          value = value * 10 + Int64(text[index] - 48)
          index += 1
        }
        return index > start ? value : nil
      }

      /// `[+-]hh[:mm[:ss]]` in seconds.
      mutating func time() -> Int64? {
        let negative = take(UInt8(ascii: "-"))
        if !negative { _ = take(UInt8(ascii: "+")) }
        guard var seconds = number().map({ $0 * 3_600 }) else { return nil }
        if take(UInt8(ascii: ":")) {
          guard let minutes = number() else { return nil }
          seconds += minutes * 60
          if take(UInt8(ascii: ":")) {
            guard let rest = number() else { return nil }
            seconds += rest
          }
        }
        return negative ? -seconds : seconds
      }

      mutating func change() -> Change? {
        var change: Change
        if take(UInt8(ascii: "M")) {
          guard let month = number(), take(UInt8(ascii: ".")), let week = number(), take(UInt8(ascii: ".")),
            let day = number(), (1...12).contains(month), (1...5).contains(week), day <= 6
          else { return nil }
          change = Change(kind: .weekday, day: day, week: week, month: month)
        } else {
          let julian = take(UInt8(ascii: "J"))
          guard let day = number(), day <= 365 else { return nil }
          change = Change(kind: julian ? .julian : .zeroBased, day: day)
        }
        if take(UInt8(ascii: "/")) {
          guard let time = time() else { return nil }
          change.time = time
        }
        return change
      }
    }
  }
}

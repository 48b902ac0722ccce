import Foundation
import TestRandom
import Testing

@testable import FraudCore

@Suite struct CalendarTests {
  @Test func everyDayOfTheErasRoundTrips() {
    var previous = FraudCore.Calendar.Day(days: -800_000)
    for days in Int64(-799_999)...800_000 {
      let day = FraudCore.Calendar.Day(days: days)
      guard day.days == days, day.exists else {
        Issue.record("day \(days) is \(day)")
        return
      }
      let follows =
        day.day == previous.day + 1 && day.month == previous.month
        || day.day == 1 && previous.day == FraudCore.Calendar.daysInMonth(year: previous.year, month: previous.month)
      guard follows else {
        Issue.record("\(day) after \(previous)")
        return
      }
      previous = day
    }
  }

  @Test func months() throws {
    let january = FraudCore.Calendar.Day(year: 2024, month: 1, day: 31).days
    #expect(
      try FraudCore.Calendar.addMonths(1, toDay: january) == FraudCore.Calendar.Day(year: 2024, month: 2, day: 29).days)
    #expect(
      try FraudCore.Calendar.addMonths(-2, toDay: january)
        == FraudCore.Calendar.Day(year: 2023, month: 11, day: 30).days)
    #expect(throws: EvaluationError.datetimeOverflow) { try FraudCore.Calendar.addMonths(.max, toDay: january) }
    let noon = try FraudCore.Calendar.timestamp(ofDay: january) + 43_200_000_000
    let march = try FraudCore.Calendar.timestamp(ofDay: FraudCore.Calendar.Day(year: 2024, month: 3, day: 1).days)
    #expect(FraudCore.Calendar.wholeMonths(from: noon, to: march) == 0)
    #expect(FraudCore.Calendar.wholeMonths(from: noon, to: march + 43_200_000_000) == 1)
    #expect(FraudCore.Calendar.wholeMonths(from: march, to: noon) == -1)
  }

  @Test func weeks() {
    let sunday = FraudCore.Calendar.Day(year: 2024, month: 12, day: 1).days
    #expect(FraudCore.Calendar.weekday(sunday) == 6)
    #expect(FraudCore.Calendar.isoWeek(FraudCore.Calendar.Day(year: 2024, month: 12, day: 30).days) == (2025, 1))
    #expect(FraudCore.Calendar.isoWeek(FraudCore.Calendar.Day(year: 2021, month: 1, day: 3).days) == (2020, 53))
  }

  /// Zones as Foundation knows them, where the files that FraudCore would be given are there.
  @Test(arguments: [
    "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "CET",
  ])
  func zonesAgreeWithFoundation(name: String) throws {
    let path = "/usr/share/zoneinfo/\(name)"
    guard let data = FileManager.default.contents(atPath: path), let zone = Foundation.TimeZone(identifier: name) else {
      print("skipped \(name): no \(path)")
      return
    }
    let rules = try TimeZoneRules(tzif: [UInt8](data))
    var random = SeededGenerator(seed: 9)
    for _ in 0..<3_000 {
      // 1950 to 2100: beyond the listed transitions the footer's rule holds.
      let seconds = Int64.random(in: -631_152_000...4_102_444_800, using: &random)
      let offset = Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
      #expect(rules.offset(atUTC: seconds) == offset, "\(name) \(seconds)")
      let local = seconds + offset
      let isUnambiguous = rules.offset(atUTC: seconds - 7_200) == rules.offset(atUTC: seconds + 7_200)
      if isUnambiguous { #expect(rules.offset(atLocal: local) == offset, "\(name) local \(local)") }
    }
  }

  @Test func gapsAndOverlaps() throws {
    guard let data = FileManager.default.contents(atPath: "/usr/share/zoneinfo/Europe/Berlin") else { return }
    let rules = try TimeZoneRules(tzif: [UInt8](data))
    let zones = TimeZones { $0 == "Europe/Berlin" ? rules : nil }
    func read(_ text: String) throws -> Int64 {
      try DatetimeText.timestamp(of: Array(text.utf8).span, zones: zones) / 1_000_000
    }
    // 02:30 does not exist and is moved on by the gap; in autumn the first of two is meant.
    #expect(try read("2024-03-31 02:30:00 Europe/Berlin") == read("2024-03-31 01:30:00Z"))
    #expect(try read("2024-10-27 02:30:00 Europe/Berlin") == read("2024-10-27 00:30:00Z"))
    #expect(try read("2024-07-01 12:00:00 Europe/Berlin") == read("2024-07-01 10:00:00Z"))
    #expect(try read("2090-07-01 12:00:00 Europe/Berlin") == read("2090-07-01 10:00:00Z"))
  }

  @Test func damagedZoneFilesAreErrors() {
    guard let data = FileManager.default.contents(atPath: "/usr/share/zoneinfo/Europe/Berlin") else { return }
    for count in stride(from: 0, to: data.count - 40, by: 7) {
      #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: [UInt8](data.prefix(count))) }
    }
  }

  @Test(arguments: [
    ("yyyy-MM-dd HH:mm[:ss.SSSSSS]", "2019-10-06 10:11", "2019-10-06 10:11:00"),
    ("dd/MM/yyyy", "31/12/2024", "2024-12-31"), ("yyyyMMddHHmmss", "20241231235958", "2024-12-31 23:59:58"),
    ("MMM d, yyyy h:mm a", "Feb 3, 2024 1:05 PM", "2024-02-03 13:05"),
    ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-12-01T11:00:00+01:00", "2024-12-01 10:00:00"),
    ("D yyyy", "60 2024", "2024-02-29"),
  ])
  func formatsRead(_ format: String, _ text: String, _ expected: String) throws {
    let read = try DatetimeFormat(Array(format.utf8)).parse(Array(text.utf8), zones: .offsetsOnly)
    #expect(try read == DatetimeText.timestamp(of: Array(expected.utf8).span, zones: .offsetsOnly))
  }

  @Test(arguments: [
    ("yyyy-MM", "2024-12"), ("E", "Sun"), ("HH:mm:ss.SSS", "10:00:00.123"), ("EEEE d MMMM yy", "Sunday 1 December 24"),
    ("h a", "10 AM"), ("Q 'quarter'", "4 quarter"), ("DDD", "336"),
  ])
  func formatsWrite(_ format: String, _ expected: String) throws {
    let text = try DatetimeFormat(Array(format.utf8)).format(1_733_047_200_123_456)
    #expect(String(decoding: text, as: UTF8.self) == expected)
  }
}

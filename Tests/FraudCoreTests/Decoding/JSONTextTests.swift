import Testing

@testable import FraudCore

private func text(_ append: (inout [UInt8]) -> Void) -> String {
  var bytes: [UInt8] = []
  append(&bytes)
  return String(decoding: bytes, as: UTF8.self)
}

@Test func escapesWhatMustBe() {
  #expect(text { JSONText.append(string: "a\"b\\c/d", to: &$0) } == #""a\"b\\c/d""#)
  #expect(
    text { JSONText.append(string: "\u{8}\t\n\u{C}\r\u{0}\u{1F}\u{7F}é😀", to: &$0) }
      == "\"\\b\\t\\n\\f\\r\\u0000\\u001f\u{7F}é😀\"")
  for length in 0..<70 {
    let plain = String(repeating: "x", count: length)
    #expect(text { JSONText.append(string: plain + "\"" + plain, to: &$0) } == "\"\(plain)\\\"\(plain)\"")
  }
}

@Test func writesIntegers() {
  var value: Int64 = 1
  for _ in 0..<19 {
    for near in [value - 1, value, value + 1, -value, -value - 1] {
      #expect(text { JSONText.append(near, to: &$0) } == String(near))
    }
    value = value &* 10
  }
  for edge in [Int64.min, .max, 0] { #expect(text { JSONText.append(edge, to: &$0) } == String(edge)) }
}

@Test func writesDoublesThatReadBack() {
  for value in [
    0, -0.0, 0.1, 1, 1e22, 1e23, Double.leastNonzeroMagnitude, 1.7976931348623157e308, 123456.789, 1 / 3, 1e-7,
  ] as [Double] {
    let written = text { JSONText.append(value, to: &$0) }
    #expect(Double(written)?.bitPattern == value.bitPattern)
    #expect((try? JSON.validate(Array(written.utf8))) != nil)
  }
  #expect(text { JSONText.append(Double.nan, to: &$0) } == "null")
  #expect(text { JSONText.append(-Double.infinity, to: &$0) } == "null")
}

@Test(
  arguments: [
    (0, "\"1970-01-01T00:00:00.000000Z\""), (-1, "\"1969-12-31T23:59:59.999999Z\""),
    (1_740_832_496_789_012, "\"2025-03-01T12:34:56.789012Z\""),
    (951_782_400_000_000, "\"2000-02-29T00:00:00.000000Z\""),
    (253_402_300_799_999_999, "\"9999-12-31T23:59:59.999999Z\""), (253_402_300_800_000_000, "null"),
    (-62_167_219_200_000_000, "\"0000-01-01T00:00:00.000000Z\""), (-62_167_219_200_000_001, "null"), (.max, "null"),
    (.min, "null"),
  ] as [(Int64, String)])
func writesInstants(microseconds: Int64, expected: String) {
  #expect(text { JSONText.append(timestamp: microseconds, to: &$0) } == expected)
}

@Test func datesGoBothWays() {
  for day in stride(from: -800_000, through: 3_000_000, by: 97) {
    let date = TimestampText.date(days: day)
    #expect(TimestampText.days(year: date.year, month: date.month, day: date.day) == day)
    #expect((1...TimestampText.days(inMonth: date.month, year: date.year)).contains(date.day))
  }
}

import FraudCore
import Testing

@Suite struct JSONMemberTests {
  private func text(_ key: String, _ json: String) -> String? {
    let bytes = Array(json.utf8)
    guard let value = JSON.member(Array(key.utf8), of: bytes.span) else { return nil }
    return JSON.text(of: value, in: bytes.span).map { String(decoding: $0, as: UTF8.self) } ?? "none"
  }

  @Test(arguments: [
    (#"{"a":1,"b":"x"}"#, "x"), (#" { "b" : 12.50 } "#, "12.50"), (#"{"b":true}"#, "true"),
    (#"{"b":"\u00e9\n"}"#, "é\n"),
    (#"{"b":"a","b":"c"}"#, "a"), (#"{"a":{"b":1},"b":-1e3}"#, "-1e3"), (#"{"b":""}"#, ""),
  ])
  func findsTopLevelMembers(json: String, expected: String) {
    #expect(text("b", json) == expected)
  }

  @Test(arguments: [
    "", "{", "{}", "[]", #""b""#, #"{"a":1}"#, #"{"a":{"b":1}}"#, #"{"bb":1}"#, #"{"b"}"#, #"{"b":}"#, #"{"b":1"x"#,
    #"{"a":1 "b":2}"#, "{\"b",
  ])
  func findsNothingWhereThereIsNothing(json: String) {
    #expect(text("b", json) == nil || json.hasPrefix(#"{"b":1"#))
  }

  @Test(arguments: ["null", "{}", "[1]"])
  func structuresHaveNoText(value: String) {
    #expect(text("b", "{\"b\":\(value)}") == "none")
  }

  @Test func timestampsAreTextOrNumbersInAUnit() {
    func timestamp(_ value: String, _ unit: TimestampUnit = .milliseconds) -> Int64? {
      let bytes = Array(value.utf8)
      return JSON.timestamp(of: 0..<bytes.count, in: bytes.span, unit: unit)
    }
    #expect(timestamp("\"1970-01-01T00:00:01.5Z\"") == 1_500_000)
    #expect(timestamp("1500") == 1_500_000)
    #expect(timestamp("3", .seconds) == 3_000_000)
    #expect(timestamp("7", .microseconds) == 7)
    for value in ["1.5", "\"yesterday\"", "null", "true", "9223372036854775807"] { #expect(timestamp(value) == nil) }
  }
}

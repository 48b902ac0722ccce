import Testing

@testable import FraudCore

private let schema = Schema(fields: [
  Field(name: "id", type: .string, nullable: false), Field(name: "amount", type: .float, minimum: .integer(0)),
  Field(name: "count", type: .integer, parseText: true), Field(name: "flag", type: .boolean),
  Field(name: "at", type: .timestamp, unit: .milliseconds),
  Field(name: "currency", type: .string, oneOf: [.string("USD"), .string("EUR")]),
  Field(name: "card", type: .integer, sensitive: .pan),
])

private func rejection(of event: String) -> RejectedEvent? {
  let decoder = EventDecoder(schema: schema)
  var state = DecoderState(decoder)
  var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: "t"), capacity: 2)
  batch.append(message: Array(event.utf8).span, offset: 7, timestamp: 1)
  decoder.decode(&batch, &state)
  #expect(batch.rowCount + state.rejected.count == 1)
  return state.rejected.first
}

@Test(
  arguments: [
    ("{\"id\":\"a\"", .badJSON, nil, "the text ends too early, after byte 9"),
    ("{\"id\":\"a\"}}", .badJSON, nil, "unexpected '}' at byte 10"),
    ("{\"id\":5,\"zz\":tru}", .badJSON, nil, "unexpected '}' at byte 16"),
    ("", .badJSON, nil, "the text ends too early, after byte 0"),
    ("[1]", .notObject, nil, "the event is an array, not an object"),
    ("12", .notObject, nil, "the event is a number, not an object"),
    ("{\"id\":5,\"id\":\"x\"}", .wrongType, "id", "'id' must be a string, not a number: 5"),
    ("{\"id\":\"5\",\"id\":6}", .duplicateKey, "id", "'id' stands twice, again at byte 11"),
    ("{\"id\":null}", .missingField, "id", "'id' is null, but must have a value"),
    ("{\"amount\":1}", .missingField, "id", "'id' is missing"),
    ("{\"id\":\"a\",\"amount\":-0.5}", .constraintViolation, "amount", "'amount' must be at least 0: -0.5"),
    (
      "{\"id\":\"a\",\"currency\":\"GBP\"}", .constraintViolation, "currency",
      "'currency' must be one of 'USD', 'EUR': \"GBP\""
    ),
    ("{\"id\":\"a\",\"count\":1.0}", .wrongType, "count", "'count' must be an integer, not a number: 1.0"),
    ("{\"id\":\"a\",\"count\":\"12x\"}", .wrongType, "count", "'count' must be an integer, not a string: 12x"),
    (
      "{\"id\":\"a\",\"count\":9223372036854775808}", .numberRange, "count",
      "'count' does not fit an integer: 9223372036854775808"
    ),
    ("{\"id\":\"a\",\"at\":\"noon\"}", .badTimestamp, "at", "'at' is not an ISO 8601 date and time: noon"),
    ("{\"id\":\"a\",\"card\":\"4111111111111111\"}", .wrongType, "card", "'card' must be an integer, not a string"),
    ("{\"id\":\"a\",\"flag\":{\"x\":[1]}}", .wrongType, "flag", "'flag' must be a boolean, not an object: {\"x\":[1]}"),
  ] as [(String, RejectionReason, String?, String)])
func saysWhatIsWrong(event: String, reason: RejectionReason, field: String?, detail: String) throws {
  let rejected = try #require(rejection(of: event))
  #expect(rejected.reason == reason)
  #expect(rejected.field == field)
  #expect(rejected.detail == detail)
  #expect(rejected.position.offset == 7)
  #expect(rejected.position.timestamp == 1)
}

@Test func boundsDepthAndLength() {
  func nested(_ depth: Int) -> String {
    "{\"id\":\"a\",\"zz\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
  }
  #expect(rejection(of: nested(Limits.jsonDepth - 1)) == nil)
  #expect(rejection(of: nested(Limits.jsonDepth))?.reason == .tooDeep)
  let room = Limits.eventBytes - "{\"id\":\"\"}".utf8.count
  #expect(rejection(of: "{\"id\":\"" + String(repeating: "x", count: room) + "\"}") == nil)
  #expect(rejection(of: "{\"id\":\"" + String(repeating: "x", count: room + 1) + "\"}")?.reason == .tooLarge)
}

@Test func rejectsTombstonesInPlace() {
  let decoder = EventDecoder(schema: schema)
  var state = DecoderState(decoder)
  var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: "t"), capacity: 4)
  batch.appendTombstone(offset: 1)
  batch.append(message: Array("{\"id\":\"a\\u0000b\"}".utf8).span, offset: 2)
  batch.appendTombstone(offset: 3)
  decoder.decode(&batch, &state)
  #expect(state.rejected.map(\.reason) == [.tombstone, .tombstone])
  #expect(state.rejected.map(\.position.offset) == [1, 3])
  #expect(batch.positions.map(\.offset) == [2])
  #expect(batch.value(column: 0, row: 0) == .string("a\u{0}b"))
}

@Test func writesRejectedEventsAsLines() throws {
  var text: [UInt8] = []
  let event = try #require(rejection(of: "{\"id\":5}"))
  event.append(payload: Array("{\"id\":5}".utf8), from: EventSource(topic: "t", partition: 3), to: &text)
  event.append(payload: [0xFF, 0x00, 0x61], length: 9, sha256: [1, 2], from: EventSource(topic: "t"), to: &text)
  event.append(payload: nil, from: EventSource(topic: "t"), to: &text)
  let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
  #expect(
    lines[0]
      == #"{"reason":"wrong_type","detail":"'id' must be a string, not a number: 5","field":"id","topic":"t","partition":3,"offset":7,"line":null,"payload":"{\"id\":5}"}"#
  )
  #expect(lines[1].hasSuffix(#""payload_base64":"/wBh","payload_length":9,"payload_sha256":"0102"}"#))
  #expect(lines[2].hasSuffix(#""payload":null}"#))
}

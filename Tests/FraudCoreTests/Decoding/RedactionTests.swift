import Testing

@testable import FraudCore

private let schema = Schema(fields: [
  Field(name: "card", type: .string, sensitive: .pan), Field(name: "number", type: .integer, sensitive: .pan),
  Field(name: "name", type: .string, sensitive: .pii), Field(name: "amount", type: .float),
])

private func masked(event text: String) -> String? {
  let decoder = EventDecoder(schema: schema)
  var state = DecoderState(decoder)
  var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: "t"), capacity: 1)
  batch.append(message: Array(text.utf8).span, offset: 0)
  decoder.decode(&batch, &state)
  guard batch.rowCount == 1 else { return nil }
  var bytes: [UInt8] = []
  Redaction(schema: schema).append(eventOf: 0, of: batch, to: &bytes)
  #expect((try? JSON.validate(bytes)) != nil)
  return String(decoding: bytes, as: UTF8.self)
}

@Test(arguments: [
  (#"{"card":"4111111111111111","amount":5,"zz":[1]}"#, #"{"card":"411111******1111","amount":5,"zz":[1]}"#),
  (#"{ "number" : 4111111111111111, "name":"Ann \"A\" B" }"#, #"{ "number" : "411111******1111", "name":"***" }"#),
  (#"{"card":"4111 1111 1111 1111"}"#, #"{"card":"4111 11** **** 1111"}"#),
  (#"{"card":"1234567890","number":12}"#, #"{"card":"***","number":"***"}"#),
  (#"{"c\u0061rd":"4111111111111111","name":null}"#, #"{"c\u0061rd":"411111******1111","name":null}"#),
  (#"{"amount":1.50}"#, #"{"amount":1.50}"#), (#"{}"#, #"{}"#),
])
func masksSensitiveMembers(event: String, expected: String) {
  #expect(masked(event: event) == expected)
}

@Test(arguments: [
  (#"{"card":"4111111111111111","name":"Ann"#, #"{"card":"411111******1111","name":"***"#),
  (#"{"card" "4111111111111111""#, #"{"card" "411111******1111""#),
  (#"{card: 4111111111111111, name: Ann, amount: x}"#, #"{card: 411111******1111, name: ***, amount: x}"#),
  (#"{"amount":"paid with 4111-1111-1111-1111"}"#, #"{"amount":"paid with 4111-11**-****-1111"}"#),
  (#"{"amount":4111111111111112}"#, #"{"amount":4111111111111112}"#), (#"{"name":null,"#, #"{"name":null,"#),
])
func masksRejectedEvents(payload: String, expected: String) {
  let text = Redaction(schema: schema).masked(rejected: Array(payload.utf8))
  #expect(String(decoding: text, as: UTF8.self) == expected)
}

@Test func masksRecords() throws {
  let layout = try CSVLayout(header: Array("card,x,name,amount".utf8).span, schema: schema)
  func masked(_ record: String) -> String {
    String(decoding: Redaction(schema: schema).masked(rejectedRecord: Array(record.utf8), layout), as: UTF8.self)
  }
  #expect(masked("4111111111111111,1,\"Ann, B\",z") == "411111******1111,1,***,z")
  #expect(masked("4111111111111111,1,Ann") == "***")
  #expect(masked("4111111111111111,1,\"Ann,z") == "***")
}

@Test func leavesOtherSchemasAlone() {
  let redaction = Redaction(schema: Schema(fields: [Field(name: "card", type: .string)]))
  #expect(!redaction.isNeeded)
  let bytes = Array(#"{"card":"4111111111111111"}"#.utf8)
  #expect(redaction.masked(rejected: bytes) == bytes)
}

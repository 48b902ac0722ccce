import Foundation
import FraudCore
import Testing

@testable import fraudctl

@Suite struct MessageInputTests {
  /// Every message of a text, or what is wrong with it, with its line.
  private func messages(_ text: String, _ format: MessageInput.Format, schema: Schema? = nil) throws -> [String] {
    let path = FileManager.default.temporaryDirectory.appending(path: "input-\(UUID().uuidString)").path
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let input = try MessageInput(path: path, format: format, schema: schema)
    var message: [UInt8] = []
    var problem: String?
    var messages: [String] = []
    while try input.next(into: &message, problem: &problem) {
      messages.append("\(input.line) " + (problem.map { "! \($0)" } ?? String(decoding: message, as: UTF8.self)))
    }
    return messages
  }

  @Test func linesAreSentAsTheyAre() throws {
    #expect(
      try messages("\u{FEFF}{\"a\":1}\r\n\n \t\nnot json \n  x", .ndjson) == ["1 {\"a\":1}", "4 not json ", "5   x"])
    #expect(try messages("", .ndjson) == [])
    #expect(try messages("\n\n", .ndjson) == [])
  }

  @Test func longLinesCrossChunks() throws {
    let lines = [10, 300_000, 0, 262_144, 1_000_000, 5].map { String(repeating: "x", count: $0) }
    let read = try messages(lines.joined(separator: "\n"), .ndjson)
    #expect(read == [0, 1, 3, 4, 5].map { "\($0 + 1) \(lines[$0])" })
    let cells = lines.filter { !$0.isEmpty }
    let records = try messages("a\n" + cells.map { "\"\($0)\"" }.joined(separator: "\r\n"), .csv)
    #expect(records == cells.enumerated().map { "\($0.offset + 2) {\"a\":\"\($0.element)\"}" })
  }

  @Test func recordsBecomeObjects() throws {
    let text = """
      a,"b ""q""\"
      1,"x, y"
      ,""

      "multi
      line",2
      only
      "z"w,3
      last,4
      """
    #expect(
      try messages(text, .csv) == [
        #"2 {"a":"1","b \"q\"":"x, y"}"#, #"3 {"a":null,"b \"q\"":""}"#, #"5 {"a":"multi\nline","b \"q\"":"2"}"#,
        "6 ! 1 cells, the header has 2", "7 ! a cell breaks the rules of quotes", #"8 {"a":"last","b \"q\"":"4"}"#,
      ])
    #expect(try messages("a,b\n1,\"open", .csv) == ["2 ! a cell breaks the rules of quotes"])
    #expect(try messages("a", .csv) == [])
  }

  @Test func aSchemaGivesTypes() throws {
    let schema = Schema(fields: [
      Field(name: "n", type: .integer), Field(name: "x", type: .float), Field(name: "f", type: .boolean),
      Field(name: "t", type: .timestamp),
    ])
    let read = try messages(
      "n,x,f,t,other\n1,-2.50,0,2024-01-01,5\n+1,1.,yes,3,\n1e5,007,true,,x\n", .csv, schema: schema)
    #expect(
      read == [
        #"2 {"n":1,"x":-2.50,"f":false,"t":"2024-01-01","other":"5"}"#,
        #"3 {"n":"+1","x":"1.","f":"yes","t":"3","other":null}"#,
        #"4 {"n":1e5,"x":"007","f":true,"t":null,"other":"x"}"#,
      ])
  }

  @Test(arguments: ["a,a\n1,2\n", "a,\n1,2\n", "\"a\"b,c\n"])
  func unusableHeadersAreRefused(text: String) throws {
    #expect(throws: Failure.self) { _ = try messages(text, .csv) }
  }

  @Test func aMissingFileIsAnInputProblem() {
    #expect(throws: Failure.self) { _ = try MessageInput(path: "/nowhere/x.csv") }
    #expect(throws: Failure.self) { _ = try MessageInput(path: "/tmp") }
  }
}

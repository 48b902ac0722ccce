import Testing

@testable import FraudCore

private let schema = Schema(fields: [
  Field(name: "id", type: .string, nullable: false), Field(name: "amount", type: .float),
  Field(name: "count", type: .integer, minimum: .integer(0)), Field(name: "flag", type: .boolean),
  Field(name: "at", type: .timestamp), Field(name: "country", type: .string, defaultValue: .string("XX")),
])

/// Decodes a file with its header, blocks cut after whole records so that every cut is tried.
private func decode(_ text: String, schema: Schema = schema, cut: Int = 1 << 20) throws -> (
  rows: [[FieldValue?]], rejected: [RejectedEvent], lines: [Int64]
) {
  let bytes = Array(text.utf8)
  let headerEnd = CSVScanner.recordEnd(bytes.span, 0, bytes.count, isLast: true)
  var header = Array(bytes[..<headerEnd])
  if header.last == UInt8(ascii: "\r") { header.removeLast() }
  let layout = try CSVLayout(header: header.span, schema: schema)
  let decoder = EventDecoder(schema: schema)
  var state = DecoderState(decoder)
  var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: "f"), capacity: 3)
  var result: (rows: [[FieldValue?]], rejected: [RejectedEvent], lines: [Int64]) = ([], [], [])
  var start = min(headerEnd + 1, bytes.count)
  var line: Int64 = 1
  while start < bytes.count {
    var end = min(bytes.count, start + max(cut, 1))
    var whole = start
    while true {
      let piece = Array(bytes[start..<end])
      whole = end == bytes.count ? end : start + CSVScanner.wholeRecordsEnd(piece.span, 0, piece.count)
      if whole > start { break }
      end += 1
    }
    batch.removeAll()
    batch.bytes = Array(bytes[start..<whole]) + [UInt8](repeating: 0, count: EventBatch.padding)
    decoder.beginRecords(&batch, &state)
    let counts = decoder.countRecords(batch, state)
    var events = 0
    while decoder.decodeRecords(&batch, &state, layout) {
      events += batch.rowCount + state.rejected.count
      for row in 0..<batch.rowCount {
        result.rows.append((0..<schema.fields.count).map { batch.value(column: $0, row: row) })
        result.lines.append(line + batch.positions[row].line)
      }
      result.rejected += state.rejected
      #expect(decoder.countRecords(batch, state) == counts)
    }
    #expect(Int64(events) == counts.events)
    line += counts.lines
    start = whole
  }
  return result
}

private let sample = [
  "id,amount,count,flag,at,extra,country\r", "a,12.50,7,true,2025-03-01T00:00:00Z,zz,US\r",
  "\"b, \"\"quoted\"\"\",,,0,2025-03-01 00:00:01,\"x\r", "y\",\r", "", "\"\",-1e3,0,1,,,\"\"", "\"é",
  "😀\",5,,false,,,DE",
].joined(separator: "\n")

@Test(arguments: [1, 2, 3, 7, 40, 1_000])
func readsRecordsAcrossBlocks(cut: Int) throws {
  let result = try decode(sample, cut: cut)
  #expect(result.rejected.isEmpty)
  #expect(
    result.rows == [
      [.string("a"), .float(12.5), .integer(7), .boolean(true), .timestamp(1_740_787_200_000_000), .string("US")],
      [.string("b, \"quoted\""), nil, nil, .boolean(false), .timestamp(1_740_787_201_000_000), .string("XX")],
      [.string(""), .float(-1_000), .integer(0), .boolean(true), nil, .string("")],
      [.string("é\n😀"), .float(5), nil, .boolean(false), nil, .string("DE")],
    ])
  #expect(result.lines == [2, 3, 6, 7])
}

@Test(
  arguments: [
    ("a,1,2", .badCSV), ("a,1,2,true,,,,", .badCSV), ("\"a\"b,1,2,true,,", .badCSV), ("a\"b,1,2,true,,", .badCSV),
    (",1,2,true,,", .missingField), ("a,x,2,true,,", .wrongType), ("a,1,2.0,true,,", .wrongType),
    ("a,1,-2,true,,", .constraintViolation),
    ("a,1,2,yes,,", .wrongType), ("a,1,2,true,yesterday,", .badTimestamp), ("a,1e999,2,true,,", .numberRange),
    ("a,1,99999999999999999999,true,,", .numberRange),
  ] as [(String, RejectionReason)])
func rejectsRecordsWithTheirReason(record: String, reason: RejectionReason) throws {
  let result = try decode("id,amount,count,flag,at,country\nok,1,2,true,,\n\(record)\nok,1,2,true,,\n")
  #expect(result.rejected.map(\.reason) == [reason])
  #expect(result.rows.count == 2)
}

/// An unbalanced quote costs its own line, not the rest of the file.
@Test func anUnbalancedQuoteCostsOneLine() throws {
  let result = try decode("id,amount\na,1\n\"b,2\nc,3\nd,4\n", schema: Schema(fields: Array(schema.fields.prefix(2))))
  #expect(result.rows.map { $0[0] } == [.string("a"), .string("c"), .string("d")])
  #expect(result.rejected.map(\.reason) == [.badCSV])
  #expect(result.rejected.first?.position.offset == 1)
}

@Test(arguments: ["id,amount,id", "amount,flag", "\"id", "id\"x,amount", ""])
func refusesHeaders(header: String) {
  #expect(throws: CSVLayout.Problem.self) { try CSVLayout(header: Array(header.utf8).span, schema: schema) }
}

import FraudCore

/// Decodes any bytes as events, as messages and as the lines of a block, and compares with the plain decoder of the tests:
/// the same events are accepted with the same values, all others rejected for the same reason. The first byte chooses one of
/// two schemas; newlines part the events.
private func fuzzDecoder(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  guard let first = bytes.first else { return 0 }
  let events = bytes.dropFirst().split(separator: 0x0A, maxSplits: 63, omittingEmptySubsequences: true)
    .map { Array($0).filter { $0 != 0x0A } }
    .filter { !$0.allSatisfy { [0x20, 0x09, 0x0D].contains($0) } }
  if events.isEmpty { return 0 }
  for event in events { compareSyntax(event) }
  let comparison = schemas[Int(first) % schemas.count]
  comparison.compareMessages(events)
  comparison.compareLines(events)
  return 0
}

/// What a sequence of events must give.
private struct Comparison {
  let plain: PlainDecoder
  let decoder: EventDecoder
  let layout: ColumnLayout

  init(_ schema: Schema) {
    plain = PlainDecoder(schema: schema)
    decoder = EventDecoder(schema: schema)
    layout = ColumnLayout(schema: schema)
  }

  func compareMessages(_ events: [[UInt8]]) {
    var state = DecoderState(decoder)
    var batch = EventBatch(layout: layout, source: EventSource(topic: "f"), capacity: 64)
    for (index, event) in events.enumerated() { batch.append(message: event.span, offset: Int64(index)) }
    decoder.decode(&batch, &state)
    check(batch, state, events, 0..<events.count)
  }

  func compareLines(_ events: [[UInt8]]) {
    var state = DecoderState(decoder)
    var batch = EventBatch(layout: layout, source: EventSource(topic: "f"), capacity: 3)
    batch.bytes = Array(events.joined(separator: [0x0A])) + [UInt8](repeating: 0, count: EventBatch.padding)
    decoder.beginLines(&batch, &state)
    var done = 0
    while decoder.decodeLines(&batch, &state) {
      let count = batch.rowCount + state.rejected.count
      check(batch, state, events, done..<(done + count))
      done += count
    }
    precondition(done == events.count)
  }

  private func check(_ batch: EventBatch, _ state: DecoderState, _ events: [[UInt8]], _ range: Range<Int>) {
    var row = 0
    var rejected = 0
    for index in range {
      switch plain.decode(events[index]) {
      case .accepted(let values, _):
        precondition(row < batch.rowCount && batch.positions[row].offset == Int64(index), "accepted")
        for (column, value) in values.enumerated() {
          precondition(batch.value(column: column, row: row) == value, "a value differs")
        }
        row += 1
      case .rejected(let reason):
        precondition(rejected < state.rejected.count, "rejected")
        precondition(state.rejected[rejected].reason == reason, "the reason differs")
        precondition(state.rejected[rejected].position.offset == Int64(index), "rejected elsewhere")
        rejected += 1
      }
    }
    precondition(row == batch.rowCount && rejected == state.rejected.count)
  }
}

private func compareSyntax(_ event: [UInt8]) {
  var parser = PlainParser(bytes: event)
  let isJSON = String(validating: event, as: UTF8.self) != nil && parser.document() != nil
  precondition(((try? JSON.validate(event)) != nil) == isJSON, "the grammar differs")
}

private let schemas = [
  Comparison(
    Schema(fields: [
      Field(name: "a", type: .string, nullable: false), Field(name: "b", type: .integer),
      Field(name: "c", type: .float),
      Field(name: "d", type: .boolean), Field(name: "e", type: .timestamp),
    ])),
  Comparison(
    Schema(fields: [
      Field(name: "a", type: .string, oneOf: [.string("x"), .string("é")], defaultValue: .string("x")),
      Field(name: "b", type: .integer, parseText: true, minimum: .integer(-5), maximum: .integer(99)),
      Field(name: "c", type: .float, parseText: true, maximum: .float(1e10)),
      Field(name: "d", type: .boolean, parseText: true, defaultValue: .boolean(true)),
      Field(name: "e", type: .timestamp, unit: .seconds, parseText: true),
    ])),
]

/// libFuzzer's own main, which SwiftPM's executables have no place for.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The executable's entry, by the name that SwiftPM gives it.
@_cdecl("FuzzDecoder_main")
public func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var (count, arguments) = unsafe (count, arguments)
  return unsafe runFuzzer(&count, &arguments) { unsafe fuzzDecoder($0, $1) }
}

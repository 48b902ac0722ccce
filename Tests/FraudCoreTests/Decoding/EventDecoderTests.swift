import Testing

@testable import FraudCore

/// What a decoder made of some events, in their order.
private func outcomes(of batch: EventBatch, _ state: DecoderState, from first: Int64) -> [Int64: PlainDecoder.Outcome] {
  var result: [Int64: PlainDecoder.Outcome] = [:]
  for row in 0..<batch.rowCount {
    let values = (0..<batch.layout.fieldCount).map { batch.value(column: $0, row: row) }
    result[batch.positions[row].offset] = .accepted(values, unknown: 0)
  }
  for event in state.rejected { result[event.position.offset] = .rejected(event.reason) }
  return result
}

private func withoutUnknown(_ outcome: PlainDecoder.Outcome) -> PlainDecoder.Outcome {
  if case .accepted(let values, _) = outcome { return .accepted(values, unknown: 0) }
  return outcome
}

/// Bits of rows that are not there must be clear, and words of rows without a value zero.
private func checkInvariants(_ batch: EventBatch) {
  for column in 0..<batch.layout.fieldCount {
    for row in 0..<batch.bitmapStride * 64 {
      let isValid = batch.validity[column * batch.bitmapStride + row / 64] >> UInt64(row % 64) & 1 == 1
      if row >= batch.rowCount { #expect(!isValid) }
      if batch.layout.columns[column].type == .boolean {
        let bit = batch.words[column * batch.stride + row / 64] >> UInt64(row % 64) & 1
        if !isValid { #expect(bit == 0) }
      } else if row < batch.rowCount && !isValid {
        #expect(batch.words[column * batch.stride + row] == 0)
      }
    }
  }
  #expect(batch.bytes.suffix(EventBatch.padding).allSatisfy { $0 == 0 })
}

@Test(arguments: 1...20)
func agreesWithThePlainDecoder(seed: Int) {
  var generator = EventGenerator(seed: UInt64(seed))
  let plain = PlainDecoder(schema: generator.schema)
  let decoder = EventDecoder(schema: generator.schema)
  var messages = DecoderState(decoder)
  var lines = DecoderState(decoder)
  let layout = ColumnLayout(schema: generator.schema)
  let capacity = [1, 3, 64, 65, 200][seed % 5]
  var batch = EventBatch(layout: layout, source: EventSource(topic: "t"), capacity: capacity)
  var block = EventBatch(layout: layout, source: EventSource(topic: "t"), capacity: capacity)
  for round in 0..<8 {
    let events = (0..<capacity).map { _ in generator.event(withNewlines: false) }
    let expected = events.map(plain.decode)
    batch.removeAll()
    for (index, event) in events.enumerated() { batch.append(message: event.span, offset: Int64(index)) }
    decoder.decode(&batch, &messages)
    let got = outcomes(of: batch, messages, from: 0)
    checkInvariants(batch)
    for (index, event) in events.enumerated() {
      #expect(
        got[Int64(index)] == withoutUnknown(expected[index]),
        "\(messages.rejected.first { $0.position.offset == Int64(index) }?.detail ?? "") seed \(seed), round \(round), event \(index): \(String(decoding: event, as: UTF8.self))"
      )
    }
    let unknown = expected.reduce(0) { if case .accepted(_, let unknown) = $1 { $0 + unknown } else { $0 } }
    #expect(messages.unknownFields == unknown, "seed \(seed), round \(round)")
    #expect(batch.positions.count == batch.rowCount)

    // The same events as lines of one block, blank ones between them.
    block.removeAll()
    var bytes: [UInt8] = []
    var written: [(index: Int, line: Int64)] = []
    var line: Int64 = 1
    for (index, event) in events.enumerated() {
      if index % 7 == 3 {
        bytes += [0x20, 0x0D, 0x0A]
        line += 1
      }
      let isBlank = event.allSatisfy { [0x20, 0x09, 0x0D].contains($0) }
      if !isBlank { written.append((index, line)) }
      bytes += event + [0x0A]
      line += 1
    }
    if round % 2 == 0 && !bytes.isEmpty { bytes.removeLast() }
    block.bytes = bytes + [UInt8](repeating: 0, count: EventBatch.padding)
    decoder.beginLines(&block, &lines)
    let counts = decoder.count(block, lines)
    #expect(counts.events == written.count)
    var found: [Int64: PlainDecoder.Outcome] = [:]
    while decoder.decodeLines(&block, &lines) {
      checkInvariants(block)
      found.merge(outcomes(of: block, lines, from: 0)) { $1 }
      #expect(decoder.count(block, lines) == counts)
      for position in block.positions + lines.rejected.map(\.position) {
        #expect(position.line == written[Int(position.offset)].line)
        #expect(
          Array(block.bytes[position.start..<position.start + position.count])
            == events[written[Int(position.offset)].index])
      }
    }
    for (record, (index, _)) in written.enumerated() {
      #expect(
        found[Int64(record)] == withoutUnknown(expected[index]), "seed \(seed), round \(round), line \(index)")
    }
  }
}

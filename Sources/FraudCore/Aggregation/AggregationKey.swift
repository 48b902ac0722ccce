// The key of a pane: the pane's first instant (eight bytes, most significant first, the sign turned so that they sort),
// then for each part of the key a byte 0 (NULL) or 1 and its value: eight bytes, or four of length and a text.

extension AggregationPlan {
  /// Writes the key of a row's pane.
  func appendKey(pane: Int64, row: Int, batch: borrowing EventBatch, to key: inout [UInt8]) {
    let ordered = UInt64(bitPattern: pane) ^ 1 << 63
    for shift in 0..<8 { key.append(UInt8(truncatingIfNeeded: ordered >> UInt64(56 - 8 * shift))) }
    for input in by {
      guard batch.isValid(column: input.column, row: row) else {
        key.append(0)
        continue
      }
      key.append(1)
      if input.type == .string {
        let range = batch.rememberedRange(TextSlice(word: batch.word(column: input.column, row: row)))
        for shift in 0..<4 { key.append(UInt8(truncatingIfNeeded: range.count >> (24 - 8 * shift))) }
        for index in range { key.append(batch.bytes[index]) }
      } else {
        let word = batch.canonicalWord(input, row: row)
        for shift in 0..<8 { key.append(UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * shift))) }
      }
    }
  }

  /// The key's parts, from what follows the pane; `nil` where the bytes are no key.
  func parts(ofKey key: ArraySlice<UInt8>) -> [AggregateRow.Part]? {
    var rest = key
    var parts: [AggregateRow.Part] = []
    for (index, input) in by.enumerated() {
      let name = definition.by[index]
      guard let flag = rest.popFirst() else { return nil }
      guard flag != 0 else {
        parts.append(AggregateRow.Part(name: name, value: nil))
        continue
      }
      let size = input.type == .string ? 4 : 8
      guard rest.count >= size else { return nil }
      var word: UInt64 = 0
      for _ in 0..<size { word = word << 8 | UInt64(rest.removeFirst()) }
      let value: FieldValue
      switch input.type {
      case .integer: value = .integer(Int64(bitPattern: word))
      case .timestamp: value = .timestamp(Int64(bitPattern: word))
      case .float: value = .float(Double(bitPattern: word))
      case .boolean: value = .boolean(word != 0)
      case .string:
        guard word <= UInt64(rest.count) else { return nil }
        value = .string(String(decoding: rest.prefix(Int(word)), as: UTF8.self))
        rest = rest.dropFirst(Int(word))
      }
      parts.append(AggregateRow.Part(name: name, value: value))
    }
    return rest.isEmpty ? parts : nil
  }
}

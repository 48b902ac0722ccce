/// A column of values found in a table by another column's value: a country's risk, a merchant's category.
struct Lookup: Sendable {
  let column: Int
  private let input: FeatureInput
  private let type: FieldType
  private let keys: [[UInt8]]
  private let words: [UInt64]
  private let texts: [[UInt8]]
  /// Where a key stands, by its hash; keys of one hash were refused.
  private let places: [UInt64: Int]

  /// Reads a table whose values are all numbers or all texts; `nil` where something is wrong with it.
  init?(
    column: Int, input: FeatureInput, type: FieldType, entries: [DefinitionValue.Member], at node: DefinitionNode,
    reader: inout DefinitionReader
  ) {
    guard input.type == .string || input.type == .integer else {
      reader.report("only strings and integers can be looked up", at: node)
      return nil
    }
    var (keys, words, texts, places): ([[UInt8]], [UInt64], [[UInt8]], [UInt64: Int]) = ([], [], [], [:])
    for entry in entries {
      let place = DefinitionNode(value: entry.value, path: "\(node.path).\(entry.key)")
      let key = Array(entry.key.utf8)
      if input.type == .integer, Int64(entry.key) == nil { reader.report("'\(entry.key)' is no integer", at: place) }
      if type == .string {
        guard let text = reader.string(place) else { return nil }
        texts.append(Array(text.utf8))
      } else {
        guard let number = reader.number(place) else { return nil }
        words.append(number.bitPattern)
      }
      let hash = input.type == .string ? StableHash.hash(key.span) : UInt64(bitPattern: Int64(entry.key) ?? 0)
      if places.updateValue(keys.count, forKey: hash) != nil { reader.report("'\(entry.key)' stands twice", at: place) }
      keys.append(key)
    }
    self.column = column
    self.input = input
    self.type = type
    (self.keys, self.words, self.texts, self.places) = (keys, words, texts, places)
  }

  func write(to batch: inout EventBatch) {
    for row in 0..<batch.rowCount where batch.isValid(column: input.column, row: row) {
      guard let place = place(in: batch, row: row) else { continue }
      let word = type == .string ? batch.keepText(texts[place]).word : words[place]
      batch.words[column * batch.stride + row] = word
      batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
    }
  }

  private func place(in batch: borrowing EventBatch, row: Int) -> Int? {
    let word = batch.word(column: input.column, row: row)
    guard input.type == .string else { return places[word] }
    let range = TextSlice(word: word).range
    guard let place = places[StableHash.hash(batch.bytes.span.extracting(range))],
      keys[place].count == range.count
    else { return nil }
    for index in 0..<range.count where keys[place][index] != batch.bytes[range.lowerBound + index] { return nil }
    return place
  }
}

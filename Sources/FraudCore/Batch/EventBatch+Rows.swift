extension EventBatch {
  /// Takes over a row of another batch, with its message.
  ///
  /// - Parameter columns: where each of the other's first columns stands here.
  /// - Precondition: there is room for the row and its message.
  mutating func append(row: Int, of other: borrowing EventBatch, columns: borrowing [Int]) {
    precondition(positions.count < capacity, "the batch is full")
    let position = other.positions[row]
    let messageEnd = position.start + position.count
    let start = byteCount
    bytes.removeLast(Self.padding)
    bytes.append(contentsOf: other.bytes[position.start..<messageEnd])
    // A control character behind every message stops scanners at its end.
    bytes.append(UInt8(ascii: "\n"))
    appendPadding()
    messageBytes = byteCount
    let place = rowCount
    positions.append(
      EventPosition(
        offset: position.offset, line: position.line, timestamp: position.timestamp, start: start,
        count: position.count))
    rowCount += 1
    for source in columns.indices {
      copy(source, row: row, of: other, message: position.start..<messageEnd, to: columns[source], place, start)
    }
  }

  /// Takes over some columns of another batch's row.
  mutating func copy(columns: Range<Int>, row: Int, of other: borrowing EventBatch, to place: Int) {
    for column in columns { copy(column, row: row, of: other, message: 0..<0, to: column, place, 0) }
  }

  /// - Parameters:
  ///   - message: where the row's message stands in the other batch.
  ///   - start: where it stands here.
  private mutating func copy(
    _ source: Int, row: Int, of other: borrowing EventBatch, message: Range<Int>, to column: Int, _ place: Int,
    _ start: Int
  ) {
    let bit: UInt64 = 1 << UInt64(place & 63)
    guard other.isValid(column: source, row: row) else {
      validity[column * bitmapStride + place >> 6] &= ~bit
      if layout.columns[column].type == .boolean {
        words[column * stride + place >> 6] &= ~bit
      } else {
        words[column * stride + place] = 0
      }
      return
    }
    validity[column * bitmapStride + place >> 6] |= bit
    switch layout.columns[column].type {
    case .boolean:
      let isTrue = other.words[source * other.stride + row >> 6] >> UInt64(row & 63) & 1 == 1
      if isTrue { words[column * stride + place >> 6] |= bit } else { words[column * stride + place >> 6] &= ~bit }
    case .string:
      let slice = TextSlice(word: other.word(column: source, row: row))
      let here: TextSlice
      if message.lowerBound <= slice.offset, slice.range.upperBound <= message.upperBound {
        here = TextSlice(offset: slice.offset - message.lowerBound + start, count: slice.count)
      } else {
        here = keepText(Array(other.bytes[slice.range]))
      }
      words[column * stride + place] = here.word
    case .integer, .float, .timestamp: words[column * stride + place] = other.word(column: source, row: row)
    }
  }

  /// Empties the rows, so that every column is NULL.
  mutating func removeAllRows() {
    removeAll()
    for word in words.indices { words[word] = 0 }
    for word in validity.indices { validity[word] = 0 }
  }
}

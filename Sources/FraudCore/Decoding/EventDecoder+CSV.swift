/// CSV into the same batches: one record is one event, an empty cell without quotes is NULL.
extension EventDecoder {
  /// Starts on a block of whole CSV records, which is all that the batch's bytes hold.
  package func beginRecords(_ batch: inout EventBatch, _ state: inout DecoderState) {
    batch.messageBytes = batch.byteCount
    batch.positions.removeAll(keepingCapacity: true)
    batch.holdsJSON = false
    state.lines = LineCursor(end: batch.messageBytes)
  }

  /// Decodes the next records of the block, up to the batch's capacity. Positions are counted from the block's start, as
  /// those of lines are.
  ///
  /// - Returns: whether there was a record left to decode.
  package func decodeRecords(_ batch: inout EventBatch, _ state: inout DecoderState, _ layout: CSVLayout) -> Bool {
    batch.positions.removeAll(keepingCapacity: true)
    begin(&batch, &state)
    var bytes: [UInt8] = []
    swap(&bytes, &batch.bytes)
    let row = Row(index: 0, stride: batch.stride, bitmapStride: batch.bitmapStride)
    let events = decodeRecords(
      bytes.span, layout, &batch.positions, &batch.words, &batch.validity, row, capacity: batch.capacity, &state)
    swap(&bytes, &batch.bytes)
    finish(&batch, &state, rowCount: batch.positions.count)
    return events > 0
  }

  /// How many events and lines the block has before the next record to decode, and after it.
  package func countRecords(_ batch: EventBatch, _ state: DecoderState) -> (events: Int64, lines: Int64) {
    let bytes = batch.bytes.span
    var cursor = state.lines
    while nextRecord(bytes, &cursor) {
      let end = CSVScanner.recordEnd(bytes, cursor.position, cursor.end, isLast: true)
      cursor.pass(bytes, recordEnd: end)
    }
    return (cursor.events, cursor.lines)
  }

  /// Steps over empty lines; returns whether there is a record.
  private func nextRecord(_ bytes: Span<UInt8>, _ cursor: inout LineCursor) -> Bool {
    while cursor.position < cursor.end {
      let byte = bytes[cursor.position]
      let isEmpty =
        byte == UInt8(ascii: "\n")
        || byte == UInt8(ascii: "\r")
          && JSONScanner.byte(bytes, cursor.position &+ 1, cursor.end) == UInt8(ascii: "\n")
      if !isEmpty { return true }
      cursor.position &+= byte == UInt8(ascii: "\n") ? 1 : 2
      cursor.lines &+= 1
    }
    return false
  }

  private func decodeRecords(
    _ bytes: Span<UInt8>, _ layout: CSVLayout, _ positions: inout [EventPosition], _ words: inout [UInt64],
    _ nulls: inout [UInt64], _ first: Row, capacity: Int, _ state: inout DecoderState
  ) -> Int {
    var row = first
    var words = words.mutableSpan
    var nulls = nulls.mutableSpan
    var cursor = state.lines
    var events = 0
    while events < capacity, nextRecord(bytes, &cursor) {
      let start = cursor.position
      state.work.failure = nil
      let end = decodeRecord(bytes, start, cursor.end, layout, row, &words, &nulls, &state.work)
      if cursor.validUpTo < end {
        cursor.validUpTo = firstInvalidUTF8(bytes, max(start, cursor.validUpTo)..<cursor.end)
      }
      if cursor.validUpTo < end {
        state.work.failure = DecodingFailure(
          reason: .notUTF8, field: -1, start: cursor.validUpTo, end: cursor.validUpTo)
        cursor.validUpTo = end
      }
      if end &- start > Limits.eventBytes {
        state.work.failure = DecodingFailure(reason: .tooLarge, field: -1, start: start, end: end)
      }
      let hasReturn = end > start && bytes[end &- 1] == UInt8(ascii: "\r")
      let position = EventPosition(
        offset: cursor.events, line: cursor.lines &+ 1, start: start, count: end &- start &- (hasReturn ? 1 : 0))
      if state.work.failure == nil {
        positions.append(position)
        row.index &+= 1
        state.unknownFields &+= layout.unknownColumns
      } else {
        row.clear(plans, &words, &nulls)
        state.rejected.append(describeRecord(state.work.failure, bytes, position, layout))
      }
      cursor.pass(bytes, recordEnd: end)
      events &+= 1
    }
    state.lines = cursor
    return events
  }

  /// Decodes the record at `start`; returns its end.
  private func decodeRecord(
    _ bytes: Span<UInt8>, _ start: Int, _ limit: Int, _ layout: CSVLayout, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ nulls: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) -> Int {
    var column = 0
    var position = start
    var isMalformed = false
    while true {
      let cell = CSVScanner.cell(bytes, position, limit)
      if cell.next < 0
        || cell.isQuoted && cell.next &- start >= Limits.eventBytes && limit &- start > Limits.eventBytes
      {
        // The one rule about where a broken record ends.
        let end = CSVScanner.recordEnd(bytes, start, limit, isLast: true)
        work.failure = DecodingFailure(reason: .badCSV, field: -1, start: position, end: position)
        return end
      }
      if cell.isMalformed && !isMalformed {
        isMalformed = true
        work.failure = DecodingFailure(reason: .badCSV, field: -1, start: cell.start, end: cell.start)
      }
      if column < layout.fields.count && layout.fields[column] >= 0 && !isMalformed {
        readCell(bytes, cell, layout.fields[column], row, &words, &nulls, &work)
      }
      column &+= 1
      position = cell.next
      if position >= limit || bytes[position] == UInt8(ascii: "\n") { break }
      position &+= 1
    }
    if !isMalformed && column != layout.fields.count {
      // A start that no fault inside the record has tells this case apart.
      work.failure = DecodingFailure(reason: .badCSV, field: -1, start: column, end: -1)
    }
    for field in layout.absent where work.failure == nil {
      fillNull(field, position..<position, row, &words, &nulls, &work)
    }
    return position
  }

  /// Reads one cell into a field.
  private func readCell(
    _ bytes: Span<UInt8>, _ cell: CSVCell, _ field: Int, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ nulls: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) {
    let place = cell.start..<cell.end
    if place.isEmpty && !cell.isQuoted {
      return fillNull(field, place, row, &words, &nulls, &work)
    }
    let plan = plans[field]
    if plan.field.type == .string {
      if cell.hasEscapes {
        let first = work.text.count
        CSVCell.appendContent(bytes, cell, to: &work.text)
        words[row.word(field)] = TextSlice(offset: work.textStart + first, count: work.text.count - first).word
      } else {
        words[row.word(field)] = TextSlice(offset: place.lowerBound, count: place.count).word
      }
    } else {
      readTypedCell(bytes, place, plan, field, row, &words, &work)
    }
    if plan.isConstrained && work.failure == nil { check(bytes, place, field, row, words, &work) }
  }

  private func readTypedCell(
    _ bytes: Span<UInt8>, _ place: Range<Int>, _ plan: FieldPlan, _ field: Int, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) {
    switch plan.field.type {
    case .boolean:
      guard let value = boolean(bytes, place) else { return work.fail(.wrongType, field: field, place) }
      if value { words[row.booleanWord(field)] |= row.bit }
    case .timestamp:
      if let value = TimestampText.parse(bytes, place, day: &work.day) {
        words[row.word(field)] = UInt64(bitPattern: value)
      } else if plan.field.unit != nil, let number = DecimalText(bytes, place.lowerBound, place.upperBound),
        number.end == place.upperBound
      {
        readNumber(number, bytes, place.lowerBound, field, row, &words, &work)
      } else {
        work.fail(.badTimestamp, field: field, place)
      }
    case .integer, .float:
      guard let number = DecimalText(bytes, place.lowerBound, place.upperBound), number.end == place.upperBound else {
        return work.fail(.wrongType, field: field, place)
      }
      readNumber(number, bytes, place.lowerBound, field, row, &words, &work)
    case .string: break
    }
  }

  private func boolean(_ bytes: Span<UInt8>, _ place: Range<Int>) -> Bool? {
    if place.count == 1 {
      return bytes[place.lowerBound] == UInt8(ascii: "1")
        ? true : bytes[place.lowerBound] == UInt8(ascii: "0") ? false : nil
    }
    let end = JSONScanner.skipLiteral(bytes, place.lowerBound, place.upperBound)
    guard end == place.upperBound, bytes[place.lowerBound] != UInt8(ascii: "n") else { return nil }
    return bytes[place.lowerBound] == UInt8(ascii: "t")
  }

  private func describeRecord(
    _ failure: DecodingFailure?, _ bytes: Span<UInt8>, _ position: EventPosition, _ layout: CSVLayout
  ) -> RejectedEvent {
    var event = describe(failure, bytes, position)
    guard let failure else { return event }
    if failure.reason == .badCSV {
      event.detail =
        failure.end < 0
        ? "the record has \(failure.start) cells, the header \(layout.fields.count)"
        : "a quote is not closed, or not alone, at byte \(failure.start - position.start)"
    } else if failure.reason == .wrongType, failure.field >= 0 {
      let field = plans[failure.field].field
      event.detail = "'\(field.name)' must be \(article(field.type))\(shown(bytes, failure, field))"
    } else if failure.reason == .missingField, failure.field >= 0 {
      event.detail = "'\(plans[failure.field].field.name)' is empty, but must have a value"
    }
    return event
  }
}

extension LineCursor {
  /// Goes behind a record and its line end. A record may have several lines.
  mutating func pass(_ bytes: Span<UInt8>, recordEnd: Int) {
    var newline = Self.lineEnd(bytes, position, recordEnd)
    while newline < recordEnd {
      lines &+= 1
      newline = Self.lineEnd(bytes, newline &+ 1, recordEnd)
    }
    position = recordEnd &+ 1
    lines &+= 1
    events &+= 1
  }
}

/// Turns JSON messages into the columns of a schema.
///
/// How it works: a batch holds messages that wait. For each one the decoder expects the keys, in the order and with the
/// spaces, of the events before (``KeyOrder``), compares all bytes between two values at once, and reads each value with a
/// quick reader for its type. A value that the quick reader declines (an escape, an exponent, 17 digits, a null) is read by
/// the general one, and decoding goes on as expected; a key that is not the expected one hands the rest of the event to the
/// general path, which looks keys up and steps over unknown ones. Both paths use the same readers, so the answer is the same.
///
/// Syntax comes before policy: an event that is not JSON is rejected as such, whatever else is wrong with it. Otherwise the
/// first fault in the order of the text is the reason, and missing fields come last.
///
/// Every scanner stops at a control character, and one stands behind every message, so quick readers need no other bound.
package struct EventDecoder: Sendable {
  package let schema: Schema
  let plans: [FieldPlan]
  let keys: KeyTable
  /// Fields whose values are bits.
  private let booleanFields: [Int]

  /// Compiles a schema.
  package init(schema: Schema) {
    self.schema = schema
    plans = schema.fields.map(FieldPlan.init)
    keys = KeyTable(schema.fields.map(\.name))
    booleanFields = schema.fields.indices.filter { schema.fields[$0].type == .boolean }
  }

  /// Starts on a block of whole lines of NDJSON, which is all that the batch's bytes hold.
  package func beginLines(_ batch: inout EventBatch, _ state: inout DecoderState) {
    if batch.byteCount > 0, batch.bytes[batch.byteCount - 1] != UInt8(ascii: "\n") {
      batch.bytes[batch.byteCount] = UInt8(ascii: "\n")
      batch.bytes.append(0)
    }
    batch.messageBytes = batch.byteCount
    batch.positions.removeAll(keepingCapacity: true)
    batch.holdsJSON = true
    state.lines = LineCursor(end: batch.messageBytes)
    // An order that was learned from messages may hold newlines, which would run from one line into the next.
    if state.order.hasNewline { state.order = KeyOrder() }
  }

  /// Decodes the next lines of the block, up to the batch's capacity.
  ///
  /// Positions are counted from the block's start: the first event has offset 0 and stands in line 1.
  ///
  /// - Returns: whether there was an event left to decode.
  package func decodeLines(_ batch: inout EventBatch, _ state: inout DecoderState) -> Bool {
    begin(&batch, &state)
    // The bytes are lent apart from the batch while its columns change.
    var bytes: [UInt8] = []
    swap(&bytes, &batch.bytes)
    let row = Row(index: 0, stride: batch.stride, bitmapStride: batch.bitmapStride)
    let counts = decodeLines(
      bytes.span, &batch.positions, &batch.words, &batch.validity, row, capacity: batch.capacity, &state)
    swap(&bytes, &batch.bytes)
    batch.positions.removeLast(batch.positions.count - counts.rows)
    finish(&batch, &state, rowCount: counts.rows)
    return counts.events > 0
  }

  /// How many events and lines the block has before the next line to decode, and after it.
  package func count(_ batch: EventBatch, _ state: DecoderState) -> (events: Int64, lines: Int64) {
    let remaining = state.lines.countRemaining(batch.bytes.span)
    return (state.lines.events + remaining.events, state.lines.lines + remaining.lines)
  }

  /// Decodes the messages that wait in the batch: the accepted ones become its rows, in order.
  package func decode(_ batch: inout EventBatch, _ state: inout DecoderState) {
    precondition(batch.positions.count <= batch.capacity, "more messages than rows")
    begin(&batch, &state)
    var bytes: [UInt8] = []
    swap(&bytes, &batch.bytes)
    let row = Row(index: 0, stride: batch.stride, bitmapStride: batch.bitmapStride)
    let rowCount = decodeMessages(bytes.span, &batch.positions, &batch.words, &batch.validity, row, &state)
    swap(&bytes, &batch.bytes)
    batch.positions.removeLast(batch.positions.count - rowCount)
    finish(&batch, &state, rowCount: rowCount)
  }

  func begin(_ batch: inout EventBatch, _ state: inout DecoderState) {
    precondition(batch.layout.fieldCount == plans.count, "the batch is of another schema")
    state.rejected.removeAll(keepingCapacity: true)
    state.unknownFields = 0
    batch.removeText()
    state.work.begin(textStart: batch.byteCount)
    clear(&batch)
  }

  func finish(_ batch: inout EventBatch, _ state: inout DecoderState, rowCount: Int) {
    batch.rowCount = rowCount
    batch.append(text: state.work.text)
    finishValidity(&batch)
  }

  /// Clears the bits of the fields' columns. While decoding, a validity bit means NULL, since NULL is rare.
  private func clear(_ batch: inout EventBatch) {
    for index in 0..<(plans.count * batch.bitmapStride) { batch.validity[index] = 0 }
    for field in booleanFields {
      for index in 0..<batch.bitmapStride { batch.words[field * batch.stride + index] = 0 }
    }
  }

  /// Turns the bits around, for the rows there are.
  private func finishValidity(_ batch: inout EventBatch) {
    for word in 0..<batch.bitmapStride {
      let rows = max(0, min(64, batch.rowCount - word * 64))
      let used: UInt64 = rows == 64 ? .max : (1 << UInt64(rows)) - 1
      for field in plans.indices {
        let index = field * batch.bitmapStride + word
        batch.validity[index] = ~batch.validity[index] & used
      }
    }
  }

  /// Decodes one message after another; returns how many were accepted. Their positions move to the front.
  private func decodeMessages(
    _ bytes: Span<UInt8>, _ positions: inout [EventPosition], _ words: inout [UInt64], _ nulls: inout [UInt64],
    _ first: Row, _ state: inout DecoderState
  ) -> Int {
    var row = first
    var words = words.mutableSpan
    var nulls = nulls.mutableSpan
    for message in positions.indices {
      let position = positions[message]
      let end = position.start &+ position.count
      state.work.failure = nil
      state.work.unknown = 0
      var isAccepted = false
      if position.count < 0 {
        state.work.fail(.tombstone, position.start..<position.start)
      } else if position.count > Limits.eventBytes {
        state.work.fail(.tooLarge, position.start..<end)
      } else {
        let invalid = firstInvalidUTF8(bytes, position.start..<end)
        if invalid < end {
          state.work.fail(.notUTF8, invalid..<invalid)
        } else {
          _ = decodeEvent(bytes, position.start, end, isLine: false, row, &words, &nulls, &state)
          isAccepted = state.work.failure == nil
        }
      }
      if isAccepted {
        if message != row.index { positions[row.index] = position }
        row.index &+= 1
        state.unknownFields &+= state.work.unknown
      } else {
        row.clear(plans, &words, &nulls)
        state.rejected.append(describe(state.work.failure, bytes, position))
      }
    }
    return row.index
  }

  /// Decodes lines until the batch is full; returns how many events there were, and how many were accepted.
  private func decodeLines(
    _ bytes: Span<UInt8>, _ positions: inout [EventPosition], _ words: inout [UInt64], _ nulls: inout [UInt64],
    _ first: Row, capacity: Int, _ state: inout DecoderState
  ) -> (events: Int, rows: Int) {
    var row = first
    var words = words.mutableSpan
    var nulls = nulls.mutableSpan
    var cursor = state.lines
    var events = 0
    positions.append(
      contentsOf: repeatElement(EventPosition(offset: 0, start: 0, count: 0), count: capacity &- positions.count))
    var positions = positions.mutableSpan
    while events < capacity {
      if cursor.position >= cursor.end { break }
      if bytes[cursor.position] <= 0x20 {
        cursor.skipBlankLines(bytes)
        if cursor.position >= cursor.end { break }
      }
      let start = cursor.position
      state.work.failure = nil
      state.work.unknown = 0
      let end = decodeEvent(bytes, start, cursor.end, isLine: true, row, &words, &nulls, &state)
      // The block is validated at once, up to the first fault, whose line is then rejected for it.
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
      if state.work.failure == nil {
        // Member by member, in place: a position that is made first goes through memory twice.
        positions[row.index].offset = cursor.events
        positions[row.index].line = cursor.lines &+ 1
        positions[row.index].start = start
        positions[row.index].count = end &- start
        row.index &+= 1
        state.unknownFields &+= state.work.unknown
      } else {
        row.clear(plans, &words, &nulls)
        let position = EventPosition(offset: cursor.events, line: cursor.lines &+ 1, start: start, count: end &- start)
        state.rejected.append(describe(state.work.failure, bytes, position))
      }
      cursor.position = end &+ 1
      cursor.events &+= 1
      cursor.lines &+= 1
      events &+= 1
    }
    state.lines = cursor
    return (events, row.index)
  }

  /// Decodes one event, on the expected path as far as it leads. Notes what is wrong with it.
  ///
  /// - Parameters:
  ///   - limit: the message's end, or with `isLine` that of the block, in which the event's line ends with a newline.
  /// - Returns: the event's end.
  @inline(always)
  private func decodeEvent(
    _ bytes: Span<UInt8>, _ start: Int, _ limit: Int, isLine: Bool, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ nulls: inout MutableSpan<UInt64>, _ state: inout DecoderState
  ) -> Int {
    if state.order.isStale {
      let end = isLine ? LineCursor.lineEnd(bytes, start, limit) : limit
      decodeGenerally(
        bytes, start, end, from: start, steps: 0, learning: true, row, &words, &nulls, &state.order, &state.work)
      return end
    }
    var steps = 0
    let position = decodeExpected(
      bytes, start, limit, isLine: isLine, state.order, row, &words, &nulls, &state.work, &steps)
    if steps == state.order.steps.count {
      state.order.hit()
      if !state.order.absent.isEmpty { fillAbsent(state.order.absent, position, row, &words, &nulls, &state.work) }
      return position
    }
    // Values do not reach beyond a line, so the newline that ends it is still ahead.
    let end = isLine ? LineCursor.lineEnd(bytes, max(position, start), limit) : limit
    if position >= 0 {
      state.order.miss()
      decodeGenerally(
        bytes, start, end, from: position, steps: steps, learning: false, row, &words, &nulls, &state.order,
        &state.work)
    }
    return end
  }

  /// Decodes as long as the bytes are the expected ones.
  ///
  /// - Returns: the position behind the last value read, or a negative number where the text is not JSON; `steps` counts the
  ///   values, and the end of the object as one more.
  @inline(always)
  private func decodeExpected(
    _ bytes: Span<UInt8>, _ start: Int, _ limit: Int, isLine: Bool, _ order: KeyOrder, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ nulls: inout MutableSpan<UInt64>, _ work: inout DecoderWork,
    _ steps: inout Int
  ) -> Int {
    let expected = order.steps.span
    var position = start
    while steps < expected.count {
      // Members one by one: a copy of a whole step would go through memory.
      let first = (bytes.vector(at: position) ^ expected[steps].first) & expected[steps].mask
      guard isZero(first) else { return position }
      let count = Int(expected[steps].count)
      if count > 16 {
        let last = bytes.vector(at: position &+ Int(expected[steps].lastStart)) ^ expected[steps].last
        guard isZero(last), count <= 32 || order.matchesRest(steps, bytes, at: position) else { return position }
      }
      let value = position &+ count
      let kind = expected[steps].kind
      // A literal with spaces could run beyond a message that was cut off.
      guard value <= limit else { return position }
      if kind == .end {
        guard isLine ? bytes[value] == UInt8(ascii: "\n") : value == limit else { return position }
        steps &+= 1
        return value
      }
      let field = Int(expected[steps].field)
      var next = readQuickly(kind, bytes, value, field, row, &words, &work)
      if next < 0 {
        // There may be more space than before this value usually is.
        let end = isLine ? LineCursor.lineEnd(bytes, value, limit) : limit
        let start = JSONScanner.skipSpace(bytes, value, end)
        next =
          field < 0
          ? skipUnknown(bytes, start, end, &work) : readValue(bytes, start, end, field, row, &words, &nulls, &work)
        if next < 0 { return next }
      } else if expected[steps].isConstrained {
        check(bytes, value..<next, field, row, words, &work)
      }
      position = next
      steps &+= 1
    }
    return position
  }

  /// Decodes the members of an event by looking up their keys.
  ///
  /// - Parameters:
  ///   - from: where to go on: the event's start, or behind the last value that was read as expected.
  ///   - steps: how many values were read as expected.
  private func decodeGenerally(
    _ bytes: Span<UInt8>, _ start: Int, _ end: Int, from: Int, steps: Int, learning: Bool, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ nulls: inout MutableSpan<UInt64>, _ order: inout KeyOrder,
    _ work: inout DecoderWork
  ) {
    work.event &+= 1
    var seenCount = 0
    for step in order.steps.prefix(steps) where step.field >= 0 {
      work.seen[Int(step.field)] = work.event
      seenCount &+= 1
    }
    if learning { order.beginLearning() }
    var position = from
    var literalStart = start
    if steps == 0 {
      position = JSONScanner.skipSpace(bytes, start, end)
      guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: "{") else {
        return failOtherThanObject(bytes, position, end, &work)
      }
      position = JSONScanner.skipSpace(bytes, position &+ 1, end)
    }
    var isFirst = steps == 0
    while true {
      // Behind a value, or behind the opening brace.
      position = JSONScanner.skipSpace(bytes, position, end)
      let next = JSONScanner.byte(bytes, position, end)
      if next == UInt8(ascii: "}") {
        position &+= 1
        break
      }
      if !isFirst {
        guard next == UInt8(ascii: ",") else { return failSyntax(position, end, &work) }
        position = JSONScanner.skipSpace(bytes, position &+ 1, end)
      }
      isFirst = false
      guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: "\"") else {
        return failSyntax(position, end, &work)
      }
      let keyStart = position &+ 1
      let field = findKey(bytes, keyStart, end, &position, &work)
      if position < 0 { return failSyntax(~position, end, &work) }
      let key = keyStart..<(position &- 1)
      position = JSONScanner.skipSpace(bytes, position, end)
      guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: ":") else { return failSyntax(position, end, &work) }
      position = JSONScanner.skipSpace(bytes, position &+ 1, end)
      if learning { order.observe(literalStart, position, field: field) }
      let value = position
      if field < 0 {
        position = skipUnknown(bytes, value, end, &work)
      } else if work.seen[field] == work.event {
        work.fail(.duplicateKey, field: field, key)
        position = skip(bytes, value, end, &work)
      } else {
        work.seen[field] = work.event
        seenCount &+= 1
        position = readQuickly(plans[field].kind, bytes, value, field, row, &words, &work)
        if position < 0 {
          position = readValue(bytes, value, end, field, row, &words, &nulls, &work)
        } else if plans[field].isConstrained {
          check(bytes, value..<position, field, row, words, &work)
        }
      }
      if position < 0 { return }
      literalStart = position
    }
    position = JSONScanner.skipSpace(bytes, position, end)
    guard position == end else { return failSyntax(position, end, &work) }
    if seenCount < plans.count {
      for field in plans.indices where work.seen[field] != work.event {
        fillNull(field, end..<end, row, &words, &nulls, &work)
      }
    }
    if learning && work.failure == nil { order.learn(bytes, closing: literalStart..<end, plans: plans) }
  }

  /// Finds the field of a key that starts behind its quote, and moves behind the closing quote, or to the complement of the
  /// place where the key is not a string.
  @inline(always)
  private func findKey(
    _ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ position: inout Int, _ work: inout DecoderWork
  ) -> Int {
    let stop = JSONScanner.plainTextEnd(bytes, start, end)
    if stop < end && bytes[stop] == UInt8(ascii: "\"") {
      position = stop &+ 1
      return keys.find(bytes, start..<stop)
    }
    return findEscapedKey(bytes, start, end, &position, &work)
  }

  private func findEscapedKey(
    _ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ position: inout Int, _ work: inout DecoderWork
  ) -> Int {
    position = JSONScanner.skipString(bytes, start, end)
    if position < 0 { return -1 }
    work.scratch.removeAll(keepingCapacity: true)
    JSONEscapes.append(unescaping: bytes, start..<(position &- 1), to: &work.scratch)
    let count = work.scratch.count
    work.scratch.append(contentsOf: repeatElement(0, count: 32))
    return keys.find(work.scratch.span, 0..<count)
  }

  /// The event is a value of another kind, or not JSON at all.
  private func failOtherThanObject(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ work: inout DecoderWork) {
    var deepest = 0
    var position = JSONScanner.skipValue(bytes, start, end, deepest: &deepest)
    if position < 0 { return failSyntax(~position, end, &work) }
    position = JSONScanner.skipSpace(bytes, position, end)
    if position != end { return failSyntax(position, end, &work) }
    work.fail(.notObject, start..<end)
  }

  private func failSyntax(_ position: Int, _ end: Int, _ work: inout DecoderWork) {
    work.failSyntax(min(position, end))
  }
}

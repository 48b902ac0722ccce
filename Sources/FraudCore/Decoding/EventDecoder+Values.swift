/// The row that is being decoded, and where its words are.
struct Row {
  var index: Int
  let stride: Int
  let bitmapStride: Int

  @inline(always)
  func word(_ field: Int) -> Int { field &* stride &+ index }

  @inline(always)
  func bitmapWord(_ field: Int) -> Int { field &* bitmapStride &+ index &>> 6 }

  /// A boolean column's word of this row.
  @inline(always)
  func booleanWord(_ field: Int) -> Int { field &* stride &+ index &>> 6 }

  @inline(always)
  var bit: UInt64 { 1 &<< UInt64(truncatingIfNeeded: index & 63) }

  /// Takes back the bits that a rejected event may have set.
  func clear(_ plans: [FieldPlan], _ words: inout MutableSpan<UInt64>, _ nulls: inout MutableSpan<UInt64>) {
    guard index < stride else { return }
    for (field, plan) in plans.enumerated() {
      nulls[bitmapWord(field)] &= ~bit
      if plan.field.type == .boolean { words[booleanWord(field)] &= ~bit }
    }
  }
}

/// Readers of single values on the general path: every form that the contract allows.
extension EventDecoder {
  /// Reads a value of a declared field.
  ///
  /// - Returns: the position behind it, or a negative number where the text is not JSON. What is wrong otherwise is noted,
  ///   and the value stepped over.
  func readValue(
    _ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ field: Int, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ nulls: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) -> Int {
    let plan = plans[field]
    let next: Int
    switch JSONScanner.byte(bytes, start, end) {
    case UInt8(ascii: "n"):
      next = skip(bytes, start, end, &work)
      if next >= 0 { fillNull(field, start..<next, row, &words, &nulls, &work) }
      return next
    case UInt8(ascii: "\""):
      next = JSONScanner.skipString(bytes, start &+ 1, end)
      if next < 0 { return syntax(next, &work) }
      readText(bytes, start &+ 1..<next &- 1, field, row, &words, &work)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      guard let number = DecimalText(bytes, start, end) else { return skip(bytes, start, end, &work) }
      next = number.end
      readNumber(number, bytes, start, field, row, &words, &work)
    case UInt8(ascii: "t"), UInt8(ascii: "f"):
      next = skip(bytes, start, end, &work)
      if next < 0 { return next }
      if plan.field.type == .boolean {
        if bytes[start] == UInt8(ascii: "t") { words[row.booleanWord(field)] |= row.bit }
      } else {
        work.fail(.wrongType, field: field, start..<next)
      }
    default:
      next = skip(bytes, start, end, &work)
      if next < 0 { return next }
      work.fail(.wrongType, field: field, start..<next)
    }
    if plan.isConstrained && work.failure == nil { check(bytes, start..<next, field, row, words, &work) }
    return next
  }

  /// Reads what stands between two quotes.
  private func readText(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ field: Int, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ work: inout DecoderWork
  ) {
    let plan = plans[field].field
    let isPlain = JSONScanner.plainTextEnd(bytes, range.lowerBound, range.upperBound) == range.upperBound
    if plan.type == .string {
      if isPlain {
        words[row.word(field)] = TextSlice(offset: range.lowerBound, count: range.count).word
      } else {
        let first = work.text.count
        JSONEscapes.append(unescaping: bytes, range, to: &work.text)
        words[row.word(field)] = TextSlice(offset: work.textStart + first, count: work.text.count - first).word
      }
      return
    }
    guard plan.type == .timestamp || plan.parseText else {
      work.fail(.wrongType, field: field, range)
      return
    }
    if isPlain {
      readPlainText(bytes, range, field, row, &words, &work, at: range)
      return
    }
    // Numbers and timestamps in escapes are allowed and pointless; they are read from an unescaped copy.
    var text = work.scratch
    work.scratch = []
    text.removeAll(keepingCapacity: true)
    JSONEscapes.append(unescaping: bytes, range, to: &text)
    readPlainText(text.span, 0..<text.count, field, row, &words, &work, at: range)
    work.scratch = text
  }

  /// Reads a timestamp, or a number or boolean in quotes.
  private func readPlainText(
    _ text: Span<UInt8>, _ range: Range<Int>, _ field: Int, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ work: inout DecoderWork, at place: Range<Int>
  ) {
    let plan = plans[field].field
    if plan.type == .boolean {
      let end = JSONScanner.skipLiteral(text, range.lowerBound, range.upperBound)
      if end == range.upperBound && text[range.lowerBound] != UInt8(ascii: "n") {
        if text[range.lowerBound] == UInt8(ascii: "t") { words[row.booleanWord(field)] |= row.bit }
      } else {
        work.fail(.wrongType, field: field, place)
      }
      return
    }
    if plan.type == .timestamp, let value = TimestampText.parse(text, range, day: &work.day) {
      words[row.word(field)] = UInt64(bitPattern: value)
      return
    }
    let number = plan.parseText ? DecimalText(text, range.lowerBound, range.upperBound) : nil
    guard let number, number.end == range.upperBound, plan.type != .timestamp || plan.unit != nil else {
      work.fail(plan.type == .timestamp ? .badTimestamp : .wrongType, field: field, place)
      return
    }
    readNumber(number, text, range.lowerBound, field, row, &words, &work)
    if work.failure?.field == field { work.failure?.start = place.lowerBound; work.failure?.end = place.upperBound }
  }

  func readNumber(
    _ number: DecimalText, _ bytes: Span<UInt8>, _ start: Int, _ field: Int, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) {
    let place = start..<number.end
    let plan = plans[field].field
    switch plan.type {
    case .integer:
      guard number.isInteger else { return work.fail(.wrongType, field: field, place) }
      guard let value = number.integer else { return work.fail(.numberRange, field: field, place) }
      words[row.word(field)] = UInt64(bitPattern: value)
    case .float:
      let value = number.double(bytes, start)
      guard value.isFinite else { return work.fail(.numberRange, field: field, place) }
      words[row.word(field)] = value.bitPattern
    case .timestamp:
      guard let unit = plan.unit else { return work.fail(.wrongType, field: field, place) }
      guard let value = number.microseconds(in: unit), TimestampText.range.contains(value) else {
        return work.fail(.badTimestamp, field: field, place)
      }
      words[row.word(field)] = UInt64(bitPattern: value)
    case .string, .boolean: work.fail(.wrongType, field: field, place)
    }
  }

  /// Gives a field its default, or no value, or notes that it must have one.
  func fillNull(
    _ field: Int, _ place: Range<Int>, _ row: Row, _ words: inout MutableSpan<UInt64>,
    _ nulls: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) {
    let plan = plans[field].field
    switch plan.defaultValue {
    case .integer(let value)? where plan.type == .float: words[row.word(field)] = Double(value).bitPattern
    case .integer(let value)?, .timestamp(let value)?: words[row.word(field)] = UInt64(bitPattern: value)
    case .float(let value)?: words[row.word(field)] = value.bitPattern
    case .boolean(let value)?: if value { words[row.booleanWord(field)] |= row.bit }
    case .string(let text)?:
      if work.defaults[field] == 0 {
        let first = work.text.count
        work.text.append(contentsOf: text.utf8)
        work.defaults[field] = TextSlice(offset: work.textStart + first, count: work.text.count - first).word
      }
      words[row.word(field)] = work.defaults[field]
    case nil:
      guard plan.nullable else { return work.fail(.missingField, field: field, place) }
      nulls[row.bitmapWord(field)] |= row.bit
      if plan.type != .boolean { words[row.word(field)] = 0 }
    }
  }

  /// Treats the fields that an event of a known order never has.
  func fillAbsent(
    _ fields: [Int], _ end: Int, _ row: Row, _ words: inout MutableSpan<UInt64>, _ nulls: inout MutableSpan<UInt64>,
    _ work: inout DecoderWork
  ) {
    for field in fields { fillNull(field, end..<end, row, &words, &nulls, &work) }
  }

  /// Compares a value that was just written with its field's bounds.
  func check(
    _ bytes: Span<UInt8>, _ place: Range<Int>, _ field: Int, _ row: Row, _ words: borrowing MutableSpan<UInt64>,
    _ work: inout DecoderWork
  ) {
    let plan = plans[field]
    let isAccepted: Bool
    switch plan.field.type {
    case .integer, .timestamp: isAccepted = plan.accepts(integer: Int64(bitPattern: words[row.word(field)]))
    case .float: isAccepted = plan.accepts(float: Double(bitPattern: words[row.word(field)]))
    case .boolean: isAccepted = true
    case .string:
      let slice = TextSlice(word: words[row.word(field)])
      if slice.offset < work.textStart {
        isAccepted = plan.accepts(text: bytes, slice.range)
      } else {
        let first = slice.offset - work.textStart
        isAccepted = plan.accepts(text: work.text.span, first..<(first + slice.count))
      }
    }
    if !isAccepted { work.fail(.constraintViolation, field: field, place) }
  }

  /// Steps over the value of a key that no field is declared for.
  func skipUnknown(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ work: inout DecoderWork) -> Int {
    work.unknown &+= 1
    return skip(bytes, start, end, &work)
  }

  /// Steps over a value inside the event's object.
  func skip(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, _ work: inout DecoderWork) -> Int {
    var deepest = 0
    let next = JSONScanner.skipValue(bytes, start, end, deepest: &deepest)
    if next < 0 { return syntax(next, &work) }
    if deepest + 1 > Limits.jsonDepth { work.fail(.tooDeep, start..<next) }
    return next
  }

  private func syntax(_ complement: Int, _ work: inout DecoderWork) -> Int {
    work.failSyntax(~complement)
    return complement
  }
}

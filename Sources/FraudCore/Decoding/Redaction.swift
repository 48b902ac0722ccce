/// The one place where sensitive values are masked, wherever an event is kept or shown.
///
/// A field marked `pan` keeps its first six and last four digits, as PCI DSS 4.0 (3.4.1) allows; one marked `pii` keeps
/// nothing. A schema without such fields costs nothing: everything passes unchanged.
package struct Redaction: Sendable {
  /// What stands in for a value of which nothing is shown.
  static let mask = Array("***".utf8)

  /// Whether the schema has sensitive fields at all.
  package let isNeeded: Bool
  private let schema: Schema
  /// The sensitive fields' names as bytes, and their kinds.
  private let keys: [(name: [UInt8], kind: Sensitivity)]

  /// Takes a schema's marks.
  package init(schema: Schema) {
    self.schema = schema
    keys = schema.fields.compactMap { field in field.sensitive.map { (Array(field.name.utf8), $0) } }
    isNeeded = !keys.isEmpty
  }

  /// Appends the event of a row as a JSON object: as it came, or in schema order, with what is sensitive masked.
  package func append(eventOf row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    guard isNeeded else { return JSONText.append(eventOf: row, of: batch, to: &text) }
    if batch.holdsJSON {
      let position = batch.positions[row]
      append(object: batch.bytes.span, position.start..<(position.start + position.count), to: &text)
      return
    }
    text.append(UInt8(ascii: "{"))
    var isFirst = true
    for column in 0..<batch.layout.fieldCount where batch.isValid(column: column, row: row) {
      if !isFirst { text.append(UInt8(ascii: ",")) }
      isFirst = false
      JSONText.append(string: batch.layout.columns[column].name, to: &text)
      text.append(UInt8(ascii: ":"))
      append(column: column, row: row, of: batch, to: &text)
    }
    text.append(UInt8(ascii: "}"))
  }

  /// Appends one value of a batch as JSON, masked where its field is sensitive.
  package func append(column: Int, row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    guard isNeeded, column < schema.fields.count, let kind = schema.fields[column].sensitive,
      batch.isValid(column: column, row: row)
    else { return JSONText.append(column: column, row: row, of: batch, to: &text) }
    var plain: [UInt8] = []
    JSONText.append(column: column, row: row, of: batch, to: &plain)
    append(masked: plain.span, 0..<plain.count, kind, to: &text)
  }

  /// A field's value as text, masked where the field is sensitive. For tables and messages.
  package func masked(_ value: String, ofField field: Int) -> String {
    guard isNeeded, field < schema.fields.count, let kind = schema.fields[field].sensitive else { return value }
    var text: [UInt8] = []
    appendMasked(content: value.utf8.span, 0..<value.utf8.count, kind, to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a rejected event with what is sensitive masked, as far as it can be found: the values behind the names of
  /// sensitive fields, in whatever text it is, and card numbers anywhere.
  package func masked(rejected bytes: [UInt8]) -> [UInt8] {
    guard isNeeded else { return bytes }
    var text = bytes
    for (name, kind) in keys { text = masked(valuesBehind: name, kind, in: text) }
    return masked(cardNumbersIn: text)
  }

  /// A rejected CSV record with its sensitive cells masked. One whose cells cannot be told apart is masked as a whole.
  package func masked(rejectedRecord bytes: [UInt8], _ layout: CSVLayout) -> [UInt8] {
    guard isNeeded else { return bytes }
    let span = bytes.span
    var text: [UInt8] = []
    var position = 0
    var column = 0
    while true {
      let cell = CSVScanner.cell(span, position, span.count)
      guard cell.next >= 0, !cell.isMalformed, column < layout.fields.count else { return Self.mask }
      let field = layout.fields[column]
      if field >= 0, let kind = schema.fields[field].sensitive, cell.end > cell.start {
        appendMasked(content: span, cell.start..<cell.end, kind, to: &text)
      } else {
        JSONText.append(span, position..<cell.next, to: &text)
      }
      column += 1
      if cell.next >= span.count { break }
      text.append(span[cell.next])
      position = cell.next + 1
    }
    return column == layout.fields.count ? masked(cardNumbersIn: text) : Self.mask
  }

  /// Appends an object that the decoder accepted, its sensitive members masked.
  private func append(object bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
    let end = range.upperBound
    var copied = range.lowerBound
    var position = JSONScanner.skipSpace(bytes, range.lowerBound, end) + 1
    while true {
      position = JSONScanner.skipSpace(bytes, position, end)
      guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: "\"") else { break }
      let keyEnd = JSONScanner.skipString(bytes, position + 1, end)
      let value = JSONScanner.skipKey(bytes, position, end)
      guard keyEnd >= 0, value >= 0 else { break }
      var deepest = 0
      let next = JSONScanner.skipValue(bytes, value, end, deepest: &deepest)
      guard next >= 0 else { break }
      if let kind = kind(ofKey: bytes, (position + 1)..<(keyEnd - 1)) {
        JSONText.append(bytes, copied..<value, to: &text)
        append(masked: bytes, value..<next, kind, to: &text)
        copied = next
      }
      position = JSONScanner.skipSpace(bytes, next, end) + 1
    }
    JSONText.append(bytes, copied..<end, to: &text)
  }

  private func kind(ofKey bytes: Span<UInt8>, _ range: Range<Int>) -> Sensitivity? {
    var key: [UInt8] = []
    JSONEscapes.append(unescaping: bytes, range, to: &key)
    return keys.first { $0.name == key }?.kind
  }

  /// Appends a JSON value masked: always a string, except that null stays null.
  private func append(masked bytes: Span<UInt8>, _ range: Range<Int>, _ kind: Sensitivity, to text: inout [UInt8]) {
    let first = bytes[range.lowerBound]
    if first == UInt8(ascii: "n") { return JSONText.appendNull(to: &text) }
    let isString = first == UInt8(ascii: "\"")
    text.append(UInt8(ascii: "\""))
    let content = isString ? (range.lowerBound + 1)..<(range.upperBound - 1) : range
    appendMasked(content: bytes, content, kind, to: &text)
    text.append(UInt8(ascii: "\""))
  }

  /// Appends the masked form of a text, of which only digits, spaces and hyphens are ever shown.
  private func appendMasked(
    content bytes: Span<UInt8>, _ range: Range<Int>, _ kind: Sensitivity, to text: inout [UInt8]
  ) {
    var digits = 0
    var isNumber = true
    for index in range {
      let byte = bytes[index]
      if byte &- 0x30 < 10 {
        digits += 1
      } else if byte != UInt8(ascii: " ") && byte != UInt8(ascii: "-") {
        isNumber = false
      }
    }
    // Fewer digits than a card number has would be shown in full, or nearly so.
    guard kind == .pan, isNumber, digits >= Self.cardDigits.lowerBound else {
      text += Self.mask
      return
    }
    var seen = 0
    for index in range {
      let isDigit = bytes[index] &- 0x30 < 10
      text.append(isDigit && seen >= 6 && seen < digits - 4 ? UInt8(ascii: "*") : bytes[index])
      if isDigit { seen += 1 }
    }
  }

  /// Digits a card number has (ISO/IEC 7812-1).
  private static let cardDigits = 13...19

  /// Masks what follows each occurrence of a name, quoted or not: a string up to its quote, anything else up to a comma,
  /// a closing bracket or the end of the line.
  private func masked(valuesBehind name: [UInt8], _ kind: Sensitivity, in bytes: [UInt8]) -> [UInt8] {
    let span = bytes.span
    let end = bytes.count
    var text: [UInt8] = []
    var position = 0
    while position < end {
      guard bytes[position...].starts(with: name) else {
        text.append(bytes[position])
        position += 1
        continue
      }
      var value = position + name.count
      if JSONScanner.byte(span, value, end) == UInt8(ascii: "\"") { value += 1 }
      value = JSONScanner.skipSpace(span, value, end)
      let separator = JSONScanner.byte(span, value, end)
      if separator == UInt8(ascii: ":") || separator == UInt8(ascii: "=") {
        value = JSONScanner.skipSpace(span, value + 1, end)
      }
      JSONText.append(span, position..<min(value, end), to: &text)
      position = min(value, end)
      let isQuoted = JSONScanner.byte(span, position, end) == UInt8(ascii: "\"")
      if isQuoted {
        text.append(UInt8(ascii: "\""))
        position += 1
      }
      var valueEnd = position
      while valueEnd < end, !isQuoted || bytes[valueEnd] != UInt8(ascii: "\"") {
        if !isQuoted && [0x2C, 0x7D, 0x5D, 0x0A].contains(bytes[valueEnd]) { break }
        valueEnd += isQuoted && bytes[valueEnd] == UInt8(ascii: "\\") ? 2 : 1
      }
      valueEnd = min(valueEnd, end)
      if valueEnd > position, bytes[position..<valueEnd] != Array("null".utf8)[...] {
        appendMasked(content: span, position..<valueEnd, kind, to: &text)
      } else {
        JSONText.append(span, position..<valueEnd, to: &text)
      }
      position = valueEnd
    }
    return text
  }

  /// Masks every run of 13 to 19 digits, single spaces and hyphens between them allowed, whose check digit is right.
  private func masked(cardNumbersIn bytes: [UInt8]) -> [UInt8] {
    var text = bytes
    var position = 0
    while position < bytes.count {
      guard bytes[position] &- 0x30 < 10 else {
        position += 1
        continue
      }
      var places: [Int] = []
      var index = position
      while index < bytes.count {
        if bytes[index] &- 0x30 < 10 {
          places.append(index)
        } else if !(bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "-"))
          || index + 1 == bytes.count || bytes[index + 1] &- 0x30 >= 10
        {
          break
        }
        index += 1
      }
      if Self.cardDigits.contains(places.count), isLuhn(places.map { bytes[$0] &- 0x30 }) {
        for place in places.dropFirst(6).dropLast(4) { text[place] = UInt8(ascii: "*") }
      }
      position = index + 1
    }
    return text
  }

  /// Whether the last digit is the check digit of those before it.
  ///
  /// - Source: ISO/IEC 7812-1, annex B.
  private func isLuhn(_ digits: [UInt8]) -> Bool {
    var sum = 0
    for (index, digit) in digits.reversed().enumerated() {
      let value = Int(digit) * (index % 2 == 0 ? 1 : 2)
      sum += value > 9 ? value - 9 : value
    }
    return sum % 10 == 0
  }
}

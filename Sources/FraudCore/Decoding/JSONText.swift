/// Appends JSON to a growing text: what alerts, decisions and rejected events are written with.
///
/// Each function appends one value, and nothing else: commas, keys and braces are the caller's. Given the same values the
/// bytes are the same on every run.
package enum JSONText {
  /// A quoted string from UTF-8 text. Escapes the quote, the backslash and control characters, nothing else.
  package static func append(string utf8: Span<UInt8>, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\""))
    append(escaping: utf8, 0..<utf8.count, to: &text)
    text.append(UInt8(ascii: "\""))
  }

  /// A quoted string.
  package static func append(string: String, to text: inout [UInt8]) {
    append(string: string.utf8.span, to: &text)
  }

  /// A string as it stands between quotes, of a part of some UTF-8 text.
  package static func append(escaping utf8: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
    var start = range.lowerBound
    while start < range.upperBound {
      let special = JSONScanner.plainTextEnd(utf8, start, range.upperBound)
      append(utf8, start..<special, to: &text)
      start = special
      if special < range.upperBound {
        append(escapeOf: utf8[special], to: &text)
        start += 1
      }
    }
  }

  /// Bytes as they are: JSON that was made or checked elsewhere.
  package static func append(_ bytes: Span<UInt8>, _ range: Range<Int>, to text: inout [UInt8]) {
    if range.isEmpty { return }
    text.append(addingCapacity: range.count) { output in
      for index in range { output.append(bytes[index]) }
    }
  }

  private static func append(escapeOf byte: UInt8, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "\\"))
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(byte)
    case 0x08: text.append(UInt8(ascii: "b"))
    case 0x09: text.append(UInt8(ascii: "t"))
    case 0x0A: text.append(UInt8(ascii: "n"))
    case 0x0C: text.append(UInt8(ascii: "f"))
    case 0x0D: text.append(UInt8(ascii: "r"))
    default:
      text.append(contentsOf: [UInt8(ascii: "u"), UInt8(ascii: "0"), UInt8(ascii: "0"), 0x30 + byte >> 4])
      text.append(byte & 15 < 10 ? 0x30 + byte & 15 : 0x57 + byte & 15)
    }
  }

  /// An integer.
  package static func append(_ value: Int64, to text: inout [UInt8]) {
    if value < 0 { text.append(UInt8(ascii: "-")) }
    let magnitude = value.magnitude
    var digits = 1
    var bound: UInt64 = 10
    while magnitude >= bound {
      digits += 1
      if digits == 20 { break }
      bound *= 10
    }
    text.append(contentsOf: repeatElement(0x30, count: digits))
    var index = text.count
    var rest = magnitude
    repeat {
      index -= 1
      text[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
  }

  /// A number in the shortest form that reads back as the same double; `null` for NaN and infinities, which JSON lacks.
  package static func append(_ value: Double, to text: inout [UInt8]) {
    guard value.isFinite else {
      appendNull(to: &text)
      return
    }
    text.append(contentsOf: value.description.utf8)
  }

  /// `true` or `false`.
  package static func append(_ value: Bool, to text: inout [UInt8]) {
    text.append(contentsOf: value ? "true".utf8 : "false".utf8)
  }

  /// `null`.
  package static func appendNull(to text: inout [UInt8]) {
    text.append(contentsOf: "null".utf8)
  }

  /// An instant in microseconds since 1970 as a quoted RFC 3339 text with `Z` and six fraction digits, or `null` outside
  /// of the years 0 to 9999, which that form cannot say.
  package static func append(timestamp microseconds: Int64, to text: inout [UInt8]) {
    let first = text.count
    text.append(UInt8(ascii: "\""))
    if TimestampText.append(microseconds, to: &text) {
      text.append(UInt8(ascii: "\""))
    } else {
      text.removeLast(text.count - first)
      appendNull(to: &text)
    }
  }

  /// One value of a batch, `null` where there is none.
  package static func append(column: Int, row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    guard batch.isValid(column: column, row: row) else {
      appendNull(to: &text)
      return
    }
    switch batch.layout.columns[column].type {
    case .integer: append(Int64(bitPattern: batch.word(column: column, row: row)), to: &text)
    case .float: append(Double(bitPattern: batch.word(column: column, row: row)), to: &text)
    case .timestamp: append(timestamp: Int64(bitPattern: batch.word(column: column, row: row)), to: &text)
    case .boolean:
      append(batch.words[column * batch.stride + row >> 6] >> UInt64(row & 63) & 1 == 1, to: &text)
    case .string:
      let slice = TextSlice(word: batch.word(column: column, row: row))
      text.append(UInt8(ascii: "\""))
      append(escaping: batch.bytes.span, slice.range, to: &text)
      text.append(UInt8(ascii: "\""))
    }
  }

  /// The event of a row: its bytes unchanged where it came as JSON, unknown fields included; else an object of the
  /// schema's fields in order, NULLs left out.
  package static func append(eventOf row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    if batch.holdsJSON {
      let position = batch.positions[row]
      text.append(contentsOf: batch.bytes[position.start..<(position.start + position.count)])
      return
    }
    text.append(UInt8(ascii: "{"))
    var first = true
    for column in 0..<batch.layout.fieldCount where batch.isValid(column: column, row: row) {
      if !first { text.append(UInt8(ascii: ",")) }
      first = false
      append(string: batch.layout.columns[column].name, to: &text)
      text.append(UInt8(ascii: ":"))
      append(column: column, row: row, of: batch, to: &text)
    }
    text.append(UInt8(ascii: "}"))
  }
}

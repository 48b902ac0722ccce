/// Masks what a schema marks as sensitive, in the one place through which events leave the engine.
///
/// A card number keeps its first six and last four digits (PCI DSS 4.0, 3.4.1), personal data keeps nothing. What could not
/// be decoded is masked too: every value behind a sensitive key, and every run of 13 to 19 digits that passes the Luhn check.
///
/// - Complexity: nothing is looked at where a schema has no sensitive field.
package struct Redaction: Sendable {
  private let fields: [(name: [UInt8], sensitivity: Sensitivity)]
  private let columns: [Sensitivity?]

  package init(schema: Schema) {
    columns = schema.fields.map(\.sensitive)
    fields = schema.fields.compactMap { field in field.sensitive.map { (Array(field.name.utf8), $0) } }
  }

  /// Whether there is nothing to mask.
  package var isEmpty: Bool { fields.isEmpty }

  /// Appends a row's event as a JSON object: as it came, or as ``JSONText`` writes rows that did not come as JSON.
  package func append(eventOf row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    if isEmpty {
      JSONText.append(eventOf: row, of: batch, to: &text)
      return
    }
    var event: [UInt8] = []
    JSONText.append(eventOf: row, of: batch, to: &event)
    text.append(contentsOf: masked(members: event))
  }

  /// Appends one value as JSON.
  package func append(column: Int, row: Int, of batch: EventBatch, to text: inout [UInt8]) {
    if column < columns.count, columns[column] != nil {
      if let masked = self.text(column: column, row: row, of: batch) {
        JSONText.append(string: masked, to: &text)
      } else {
        JSONText.appendNull(to: &text)
      }
    } else {
      JSONText.append(column: column, row: row, of: batch, to: &text)
    }
  }

  /// One value as text, `nil` where it is NULL.
  package func text(column: Int, row: Int, of batch: EventBatch) -> String? {
    guard let value = batch.value(column: column, row: row) else { return nil }
    let text: String
    switch value {
    case .string(let string): text = string
    case .integer(let number): text = "\(number)"
    case .float(let number): text = "\(number)"
    case .boolean(let flag): text = "\(flag)"
    case .timestamp(let time):
      var quoted: [UInt8] = []
      JSONText.append(timestamp: time, to: &quoted)
      text = String(decoding: quoted.dropFirst().dropLast(), as: UTF8.self)
    }
    guard column < columns.count, let sensitivity = columns[column] else { return text }
    return String(decoding: Self.mask(Array(text.utf8), sensitivity), as: UTF8.self)
  }

  /// An event that could not be decoded, or was refused, as it may be kept.
  package func masked(payload: [UInt8]) -> [UInt8] {
    guard !isEmpty else { return payload }
    if (try? JSON.validate(payload)) != nil { return maskCardNumbers(masked(members: payload)) }
    return maskCardNumbers(maskBehindKeys(payload))
  }

  // MARK: Masks

  private static func mask(_ text: [UInt8], _ sensitivity: Sensitivity) -> [UInt8] {
    switch sensitivity {
    case .pii: return Array("***".utf8)
    case .pan:
      let digits = text.indices.filter { (0x30...0x39).contains(text[$0]) }
      guard digits.count >= 13 else { return [UInt8](repeating: UInt8(ascii: "*"), count: min(text.count, 12)) }
      var masked = text
      for index in digits.dropFirst(6).dropLast(4) { masked[index] = UInt8(ascii: "*") }
      return masked
    }
  }

  /// Masks the values of sensitive members at the top of a JSON object; other text stays as it is, byte by byte.
  private func masked(members event: [UInt8]) -> [UInt8] {
    var edits: [(range: Range<Int>, text: [UInt8])] = []
    JSON.forEachMember(of: event.span) { key, value in
      guard let field = fields.first(where: { $0.name == key }) else { return }
      guard let text = JSON.text(of: value, in: event.span) else {
        // `null` has nothing to hide; an object or an array is hidden whole.
        if event[value.lowerBound] != UInt8(ascii: "n") { edits.append((value, Array("\"***\"".utf8))) }
        return
      }
      var quoted: [UInt8] = []
      JSONText.append(string: String(decoding: Self.mask(text, field.sensitivity), as: UTF8.self), to: &quoted)
      edits.append((value, quoted))
    }
    return Self.apply(edits, to: event)
  }

  /// Masks what stands behind `"key":` in text that is no JSON, up to the next comma, brace or end.
  private func maskBehindKeys(_ text: [UInt8]) -> [UInt8] {
    var edits: [(range: Range<Int>, text: [UInt8])] = []
    for field in fields {
      let key = [UInt8(ascii: "\"")] + field.name + [UInt8(ascii: "\"")]
      var position = 0
      while let found = text[position...].firstIndex(of: key[0]), found + key.count <= text.count {
        position = found + 1
        guard text[found..<found + key.count] == key[...] else { continue }
        let start =
          text[(found + key.count)...].firstIndex { ![0x20, 0x09, 0x0A, 0x0D, 0x3A].contains($0) } ?? text.count
        guard start < text.count else { break }
        let end: Int
        if text[start] == UInt8(ascii: "\"") {
          end = (text[(start + 1)...].firstIndex(of: UInt8(ascii: "\"")) ?? text.count - 1) + 1
        } else {
          end = text[start...].firstIndex { [0x2C, 0x7D, 0x5D, 0x0A].contains($0) } ?? text.count
        }
        edits.append((start..<end, Array("\"***\"".utf8)))
        position = max(position, end)
      }
    }
    edits.sort { $0.range.lowerBound < $1.range.lowerBound }
    return Self.apply(edits, to: text)
  }

  /// Masks the middle of every run of 13 to 19 digits, single spaces or hyphens between them, that passes the Luhn check.
  private func maskCardNumbers(_ text: [UInt8]) -> [UInt8] {
    var masked = text
    var digits: [Int] = []
    func finish() {
      if (13...19).contains(digits.count), Self.passesLuhn(digits.map { text[$0] }) {
        for index in digits.dropFirst(6).dropLast(4) { masked[index] = UInt8(ascii: "*") }
      }
      digits.removeAll(keepingCapacity: true)
    }
    for index in text.indices {
      if (0x30...0x39).contains(text[index]) {
        digits.append(index)
      } else if !digits.isEmpty {
        let isSeparator = text[index] == UInt8(ascii: " ") || text[index] == UInt8(ascii: "-")
        if !isSeparator || digits.last != index - 1 { finish() }
      }
    }
    finish()
    return masked
  }

  /// - Source: ISO/IEC 7812-1, annex B.
  private static func passesLuhn(_ digits: [UInt8]) -> Bool {
    var sum = 0
    for (place, digit) in digits.reversed().enumerated() {
      let value = Int(digit) - 0x30
      let doubled = value * 2
      sum += place % 2 == 0 ? value : (doubled > 9 ? doubled - 9 : doubled)
    }
    return sum % 10 == 0
  }

  /// Replaces ranges, which are in order; one that begins inside another is passed over.
  private static func apply(_ edits: [(range: Range<Int>, text: [UInt8])], to text: [UInt8]) -> [UInt8] {
    guard !edits.isEmpty else { return text }
    var result: [UInt8] = []
    var position = 0
    for edit in edits where edit.range.lowerBound >= position {
      result.append(contentsOf: text[position..<edit.range.lowerBound])
      result.append(contentsOf: edit.text)
      position = edit.range.upperBound
    }
    result.append(contentsOf: text[position...])
    return result
  }
}

extension JSON {
  /// Lends every member at the top of an object: its key without escapes, and where its value stands. Stops where the text
  /// is no object any more.
  package static func forEachMember(of bytes: Span<UInt8>, _ body: (_ key: [UInt8], _ value: Range<Int>) -> Void) {
    let end = bytes.count
    var position = JSONScanner.skipSpace(bytes, 0, end)
    guard JSONScanner.byte(bytes, position, end) == UInt8(ascii: "{") else { return }
    repeat {
      let key = JSONScanner.skipSpace(bytes, position + 1, end)
      let value = JSONScanner.skipKey(bytes, key, end)
      guard value >= 0 else { return }
      var depth = 0
      position = JSONScanner.skipValue(bytes, value, end, deepest: &depth)
      guard position >= 0 else { return }
      let keyEnd = JSONScanner.skipString(bytes, key + 1, end)
      if keyEnd >= 0, let text = text(of: key..<keyEnd, in: bytes) { body(text, value..<position) }
      position = JSONScanner.skipSpace(bytes, position, end)
    } while JSONScanner.byte(bytes, position, end) == UInt8(ascii: ",")
  }
}

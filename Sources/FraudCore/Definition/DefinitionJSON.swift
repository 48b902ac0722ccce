extension DefinitionValue {
  /// Reads a definition from JSON.
  ///
  /// - Parameter json: UTF-8 text of at most ``Limits/definitionBytes`` bytes, nested at most
  ///   ``Limits/definitionDepth`` deep.
  /// - Throws: ``DefinitionError`` with the one place where the text stops being JSON.
  public init(json: [UInt8]) throws(DefinitionError) {
    var parser = DefinitionJSONParser(bytes: json)
    self = try parser.document()
  }

  /// The definition as JSON with the keys of every object in order of their UTF-8 bytes and no white space: equal
  /// definitions give equal bytes.
  public var canonicalJSON: String {
    var text = ""
    writeCanonical(to: &text)
    return text
  }

  private func writeCanonical(to text: inout String) {
    switch content {
    case .null: text += "null"
    case .boolean(let flag): text += flag ? "true" : "false"
    case .number(let number): text += number
    case .string(let string): Self.writeQuoted(string, to: &text)
    case .array(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { text += "," }
        element.writeCanonical(to: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      for (index, member) in sorted.enumerated() {
        if index > 0 { text += "," }
        Self.writeQuoted(member.key, to: &text)
        text += ":"
        member.value.writeCanonical(to: &text)
      }
      text += "}"
    }
  }

  private static func writeQuoted(_ string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

/// A JSON reader that keeps line and column. Definitions are small; events have a decoder of their own.
private struct DefinitionJSONParser {
  let bytes: [UInt8]
  var index = 0
  var line = 1
  var lineStart = 0

  init(bytes: [UInt8]) {
    self.bytes = bytes
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
  }

  mutating func document() throws(DefinitionError) -> DefinitionValue {
    guard bytes.count <= Limits.definitionBytes else {
      throw failure("a definition has at most \(Limits.definitionBytes) bytes")
    }
    guard String(validating: bytes, as: UTF8.self) != nil else { throw failure("the text is not UTF-8") }
    let value = try value(depth: 0)
    skipSpace()
    guard index == bytes.count else { throw failure("expected the end, found '\(found)'") }
    return value
  }

  private var found: String {
    index < bytes.count ? String(decoding: bytes[index...].prefix(1), as: UTF8.self) : "the end"
  }

  private func failure(_ message: String) -> DefinitionError {
    DefinitionError(problems: [
      DefinitionProblem(path: "", message: message, line: line, column: index - lineStart + 1)
    ])
  }

  private mutating func skipSpace() {
    while index < bytes.count {
      switch bytes[index] {
      case 0x0A:
        index += 1
        line += 1
        lineStart = index
      case 0x20, 0x09, 0x0D: index += 1
      default: return
      }
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard index < bytes.count, bytes[index] == byte else { return false }
    index += 1
    return true
  }

  /// Recursion is bounded by ``Limits/definitionDepth``.
  private mutating func value(depth: Int) throws(DefinitionError) -> DefinitionValue {
    guard depth <= Limits.definitionDepth else {
      throw failure("nested more than \(Limits.definitionDepth) deep")
    }
    skipSpace()
    let (line, column) = (self.line, index - lineStart + 1)
    guard index < bytes.count else { throw failure("expected a value, found the end") }
    let content: DefinitionValue.Content
    switch bytes[index] {
    case UInt8(ascii: "{"): content = .object(try members(depth: depth))
    case UInt8(ascii: "["): content = .array(try elements(depth: depth))
    case UInt8(ascii: "\""): content = .string(try string())
    case UInt8(ascii: "t") where word("true"): content = .boolean(true)
    case UInt8(ascii: "f") where word("false"): content = .boolean(false)
    case UInt8(ascii: "n") where word("null"): content = .null
    default: content = .number(try number())
    }
    return DefinitionValue(content, line: line, column: column)
  }

  private mutating func word(_ word: StaticString) -> Bool {
    let wanted = Array("\(word)".utf8)
    guard bytes[index...].starts(with: wanted) else { return false }
    index += wanted.count
    return true
  }

  private mutating func elements(depth: Int) throws(DefinitionError) -> [DefinitionValue] {
    index += 1
    var elements: [DefinitionValue] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return elements }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if take(UInt8(ascii: "]")) { return elements }
      guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or ']', found '\(found)'") }
    }
  }

  private mutating func members(depth: Int) throws(DefinitionError) -> [DefinitionValue.Member] {
    index += 1
    var members: [DefinitionValue.Member] = []
    skipSpace()
    if take(UInt8(ascii: "}")) { return members }
    while true {
      skipSpace()
      let (line, column) = (self.line, index - lineStart + 1)
      guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
        throw failure("expected a key in quotes, found '\(found)'")
      }
      let key = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw failure("expected ':', found '\(found)'") }
      let value = try value(depth: depth + 1)
      members.append(DefinitionValue.Member(key: key, value: value, line: line, column: column))
      skipSpace()
      if take(UInt8(ascii: "}")) { return members }
      guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or '}', found '\(found)'") }
    }
  }

  private mutating func number() throws(DefinitionError) -> String {
    let start = index
    func digits(_ parser: inout Self) -> Bool {
      let from = parser.index
      while parser.index < parser.bytes.count, (0x30...0x39).contains(parser.bytes[parser.index]) { parser.index += 1 }
      return parser.index > from
    }
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) {
      guard digits(&self) else {
        index = start
        throw failure("expected a value, found '\(found)'")
      }
    }
    if take(UInt8(ascii: ".")) {
      guard digits(&self) else { throw failure("expected a digit, found '\(found)'") }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard digits(&self) else { throw failure("expected a digit, found '\(found)'") }
    }
    return String(decoding: bytes[start..<index], as: UTF8.self)
  }

  private mutating func string() throws(DefinitionError) -> String {
    index += 1
    var text: [UInt8] = []
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw failure("a control character must be escaped in text")
      default: text.append(byte)
      }
    }
    throw failure("the text is not closed")
  }

  private mutating func escape(into text: inout [UInt8]) throws(DefinitionError) {
    guard index < bytes.count else { throw failure("the text is not closed") }
    let byte = bytes[index]
    index += 1
    switch byte {
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "u"):
      var unit = try hex()
      if unit & 0xFC00 == 0xD800, bytes[index...].starts(with: Array("\\u".utf8)) {
        index += 2
        let low = try hex()
        guard low & 0xFC00 == 0xDC00 else { throw failure("half a surrogate pair") }
        unit = 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF
      }
      guard let scalar = Unicode.Scalar(unit) else { throw failure("half a surrogate pair") }
      text.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("unknown escape in text")
    }
  }

  private mutating func hex() throws(DefinitionError) -> UInt32 {
    let digits = bytes[index...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "f") ~= $0 }),
      let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("\\u needs four hexadecimal digits") }
    index += 4
    return unit
  }
}

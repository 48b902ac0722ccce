/// The grammar of RFC 8259 over a range of bytes, without recursion.
///
/// One scanner serves ``JSON/validate(_:)`` and the decoder, which steps over unknown fields with it. Each function takes
/// the position where something should start and returns the position behind it, or the complement (`~position`, always
/// negative) of the place where the text stops being JSON. UTF-8 is checked elsewhere: bytes from 0x80 on pass.
enum JSONScanner {
  /// Steps over spaces, tabs, line feeds and carriage returns.
  @inline(always)
  static func skipSpace(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while position < end {
      let byte = bytes[position]
      if byte > 0x20 || !(byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09) { break }
      position &+= 1
    }
    return position
  }

  /// The byte at a position, or 0, which fits nowhere in JSON, at the end.
  @inline(always)
  static func byte(_ bytes: Span<UInt8>, _ position: Int, _ end: Int) -> UInt8 {
    position < end ? bytes[position] : 0
  }

  /// The first quote, backslash or control character from `start`, or `end`.
  @inline(always)
  static func plainTextEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while position &+ 16 <= bytes.count {
      let found = firstTrue(isSpecial(bytes.vector(at: position)))
      if found < 16 { return min(position &+ found, end) }
      position &+= 16
      if position >= end { return end }
    }
    while position < end {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return position }
      position &+= 1
    }
    return end
  }

  /// The lanes that end plain text inside a string.
  ///
  /// Vectors are compared with vectors: against a scalar, the library compares lane by lane.
  @inline(always)
  static func isSpecial(_ vector: SIMD16<UInt8>) -> SIMDMask<SIMD16<Int8>> {
    let quote = SIMD16<UInt8>(repeating: UInt8(ascii: "\""))
    let backslash = SIMD16<UInt8>(repeating: UInt8(ascii: "\\"))
    let space = SIMD16<UInt8>(repeating: 0x20)
    return (vector .== quote) .| (vector .== backslash) .| (vector .< space)
  }

  /// Steps over a string; `start` is behind the opening quote. The result is behind the closing one.
  static func skipString(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while true {
      position = plainTextEnd(bytes, position, end)
      guard position < end else { return ~end }
      let special = bytes[position]
      if special == UInt8(ascii: "\"") { return position &+ 1 }
      guard special == UInt8(ascii: "\\") else { return ~position }
      switch byte(bytes, position &+ 1, end) {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
        UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
        position &+= 2
      case UInt8(ascii: "u"):
        for digit in 2..<6 where hexadecimalValue(byte(bytes, position &+ digit, end)) == nil {
          return ~min(position &+ digit, end)
        }
        position &+= 6
      default: return ~min(position &+ 1, end)
      }
    }
  }

  /// Steps over a number.
  static func skipNumber(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    if byte(bytes, position, end) == UInt8(ascii: "-") { position &+= 1 }
    if byte(bytes, position, end) == UInt8(ascii: "0") {
      position &+= 1
    } else {
      let first = position
      position = skipDigits(bytes, position, end)
      if position == first { return ~position }
    }
    if byte(bytes, position, end) == UInt8(ascii: ".") {
      let first = position &+ 1
      position = skipDigits(bytes, first, end)
      if position == first { return ~position }
    }
    if byte(bytes, position, end) | 0x20 == UInt8(ascii: "e") {
      position &+= 1
      let sign = byte(bytes, position, end)
      if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position &+= 1 }
      let first = position
      position = skipDigits(bytes, first, end)
      if position == first { return ~position }
    }
    return position
  }

  /// Steps over any number of decimal digits.
  @inline(always)
  static func skipDigits(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while position < end, bytes[position] &- 0x30 < 10 { position &+= 1 }
    return position
  }

  /// Steps over `true`, `false` or `null`.
  static func skipLiteral(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    // The letters of the word, the first one lowest.
    var letters: UInt64
    switch byte(bytes, start, end) {
    case UInt8(ascii: "t"): letters = 0x65_75_72_74
    case UInt8(ascii: "f"): letters = 0x65_73_6C_61_66
    case UInt8(ascii: "n"): letters = 0x6C_6C_75_6E
    default: return ~start
    }
    var position = start
    while letters != 0 {
      guard byte(bytes, position, end) == UInt8(truncatingIfNeeded: letters) else { return ~min(position, end) }
      position &+= 1
      letters &>>= 8
    }
    return position
  }

  /// Steps over one value of any kind.
  ///
  /// - Parameters:
  ///   - start: where the value's first byte is, behind any space.
  ///   - deepest: raised to the number of objects and arrays that stood open at once.
  /// - Complexity: O(bytes) time; one bit of memory a level, allocated only beyond 64 levels.
  static func skipValue(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, deepest: inout Int) -> Int {
    var open = OpenContainers()
    var position = start
    while true {
      // A value starts here.
      switch byte(bytes, position, end) {
      case UInt8(ascii: "\""): position = skipString(bytes, position &+ 1, end)
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): position = skipNumber(bytes, position, end)
      case UInt8(ascii: "{"):
        position = skipSpace(bytes, position &+ 1, end)
        open.push(object: true)
        deepest = max(deepest, open.depth)
        if byte(bytes, position, end) != UInt8(ascii: "}") {
          position = skipKey(bytes, position, end)
          if position < 0 { return position }
          continue
        }
        position &+= 1
        open.pop()
      case UInt8(ascii: "["):
        position = skipSpace(bytes, position &+ 1, end)
        open.push(object: false)
        deepest = max(deepest, open.depth)
        if byte(bytes, position, end) != UInt8(ascii: "]") { continue }
        position &+= 1
        open.pop()
      default: position = skipLiteral(bytes, position, end)
      }
      if position < 0 { return position }
      // A value ended here: close what ends with it, up to the next value.
      while true {
        if open.depth == 0 { return position }
        position = skipSpace(bytes, position, end)
        let next = byte(bytes, position, end)
        if next == UInt8(ascii: ",") {
          position = skipSpace(bytes, position &+ 1, end)
          if open.isObject {
            position = skipKey(bytes, position, end)
            if position < 0 { return position }
          }
          break
        }
        guard next == (open.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return ~position }
        position &+= 1
        open.pop()
      }
    }
  }

  /// Steps over a key, its colon and the space around them, up to the value.
  static func skipKey(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    guard byte(bytes, start, end) == UInt8(ascii: "\"") else { return ~start }
    var position = skipString(bytes, start &+ 1, end)
    if position < 0 { return position }
    position = skipSpace(bytes, position, end)
    guard byte(bytes, position, end) == UInt8(ascii: ":") else { return ~position }
    return skipSpace(bytes, position &+ 1, end)
  }

  /// The value of a hexadecimal digit.
  @inline(always)
  static func hexadecimalValue(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte &- 0x30)
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte &- 0x61 &+ 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte &- 0x41 &+ 10)
    default: nil
    }
  }
}

/// Which of the open containers are objects: the innermost 64 in a word, the others in an array.
private struct OpenContainers {
  private(set) var depth = 0
  private var inner: UInt64 = 0
  private var outer: [UInt64] = []

  var isObject: Bool { inner & 1 == 1 }

  mutating func push(object: Bool) {
    if depth > 0 && depth & 63 == 0 {
      outer.append(inner)
      inner = 0
    }
    inner = inner &<< 1 | (object ? 1 : 0)
    depth &+= 1
  }

  mutating func pop() {
    inner &>>= 1
    depth &-= 1
    if depth > 0 && depth & 63 == 0, let last = outer.popLast() { inner = last }
  }
}

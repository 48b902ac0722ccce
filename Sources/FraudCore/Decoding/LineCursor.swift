/// Where decoding stands in a block of lines.
///
/// Lines are not looked for beforehand: a line ends where its event does, and only what is no event of the usual form makes
/// the decoder look for the newline.
struct LineCursor {
  /// The next line's first byte.
  var position = 0
  /// The block's end, behind the last newline.
  var end = 0
  /// Events and lines before `position`. Blank lines are no events.
  var events: Int64 = 0
  var lines: Int64 = 0
  /// Up to where the block is known to be UTF-8.
  var validUpTo = 0

  /// The first newline from `start`, or `end`.
  static func lineEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    let newline = SIMD16<UInt8>(repeating: UInt8(ascii: "\n"))
    var position = start
    while position < end {
      guard position &+ 16 <= bytes.count else {
        if bytes[position] == UInt8(ascii: "\n") { return position }
        position &+= 1
        continue
      }
      let found = firstTrue(bytes.vector(at: position) .== newline)
      if found < 16 { return min(position &+ found, end) }
      position &+= 16
    }
    return end
  }

  /// Steps over blank lines, to the line of the next event or to the end.
  mutating func skipBlankLines(_ bytes: Span<UInt8>) {
    while position < end {
      let lineEnd = Self.lineEnd(bytes, position, end)
      if JSONScanner.skipSpace(bytes, position, lineEnd) < lineEnd { return }
      position = lineEnd &+ 1
      lines &+= 1
    }
  }

  /// Events and lines from the position to the end, without decoding them.
  func countRemaining(_ bytes: Span<UInt8>) -> (events: Int64, lines: Int64) {
    var cursor = self
    while true {
      cursor.skipBlankLines(bytes)
      if cursor.position >= cursor.end { break }
      cursor.position = Self.lineEnd(bytes, cursor.position, cursor.end) &+ 1
      cursor.events &+= 1
      cursor.lines &+= 1
    }
    return (cursor.events &- events, cursor.lines &- lines)
  }
}

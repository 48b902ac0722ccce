/// One cell of a CSV record.
package struct CSVCell {
  /// Its content: what stands between the quotes, or between the commas.
  var start: Int
  var end: Int
  package var isQuoted = false
  /// Whether the content holds quotes written twice.
  var hasEscapes = false
  /// Whether the cell breaks RFC 4180: a quote inside plain text, or text behind a closing quote.
  package var isMalformed = false
  /// The comma or line end behind the cell, or the end of the bytes; -1 where a quote is not closed.
  package var next: Int
}

/// The grammar of RFC 4180 over a range of bytes. A carriage return before a newline belongs to the line end.
///
/// A quote opens a cell only as its first byte. One that is not closed within ``Limits/eventBytes`` of its record, or by the
/// end of the input, is unbalanced: it costs the line it stands in and no more, and reading goes on with the next line.
package enum CSVScanner {
  /// Reads the cell that starts at `start`.
  @inline(always)
  package static func cell(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> CSVCell {
    if start < end && bytes[start] == UInt8(ascii: "\"") { return quotedCell(bytes, start, end) }
    var position = start
    let comma = SIMD16<UInt8>(repeating: UInt8(ascii: ","))
    let quote = SIMD16<UInt8>(repeating: UInt8(ascii: "\""))
    let newline = SIMD16<UInt8>(repeating: UInt8(ascii: "\n"))
    var isMalformed = false
    while true {
      position = min(position, end)
      while position < end {
        guard position &+ 16 <= bytes.count else {
          let byte = bytes[position]
          if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n") { break }
          position &+= 1
          continue
        }
        let vector = bytes.vector(at: position)
        let found = firstTrue((vector .== comma) .| (vector .== quote) .| (vector .== newline))
        position = min(position &+ found, end)
        if found < 16 { break }
      }
      if position < end && bytes[position] == UInt8(ascii: "\"") {
        isMalformed = true
        position &+= 1
        continue
      }
      var contentEnd = position
      let isLineEnd = position >= end || bytes[position] == UInt8(ascii: "\n")
      if isLineEnd && contentEnd > start && bytes[contentEnd &- 1] == UInt8(ascii: "\r") { contentEnd &-= 1 }
      return CSVCell(start: start, end: contentEnd, isMalformed: isMalformed, next: position)
    }
  }

  private static func quotedCell(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> CSVCell {
    var cell = CSVCell(start: start &+ 1, end: start &+ 1, isQuoted: true, next: -1)
    var position = start &+ 1
    let quote = SIMD16<UInt8>(repeating: UInt8(ascii: "\""))
    while position < end {
      if position &+ 16 <= bytes.count {
        let found = firstTrue(bytes.vector(at: position) .== quote)
        position &+= found
        if found == 16 || position >= end { continue }
      } else if bytes[position] != UInt8(ascii: "\"") {
        position &+= 1
        continue
      }
      if JSONScanner.byte(bytes, position &+ 1, end) == UInt8(ascii: "\"") {
        cell.hasEscapes = true
        position &+= 2
        continue
      }
      cell.end = position
      position &+= 1
      if JSONScanner.byte(bytes, position, end) == UInt8(ascii: "\r"),
        position &+ 1 >= end || bytes[position &+ 1] == UInt8(ascii: "\n")
      {
        position &+= 1
      }
      if position < end && bytes[position] != UInt8(ascii: ",") && bytes[position] != UInt8(ascii: "\n") {
        // Text behind the closing quote: the cell goes on as plain text.
        cell.isMalformed = true
        while position < end && bytes[position] != UInt8(ascii: ",") && bytes[position] != UInt8(ascii: "\n") {
          position &+= 1
        }
      }
      cell.next = position
      return cell
    }
    return cell
  }

  /// Where the record that starts at `start` ends: at its newline, or at the end of the bytes.
  ///
  /// - Parameter isLast: whether nothing follows the bytes, so that a quote still open is unbalanced.
  /// - Returns: -1 where more bytes are needed to tell.
  package static func recordEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int, isLast: Bool) -> Int {
    let reach = min(end, start &+ Limits.eventBytes)
    var position = start
    while true {
      let isPlain = position >= end || bytes[position] != UInt8(ascii: "\"")
      let cell = self.cell(bytes, position, isPlain ? end : reach)
      if cell.next < 0 || !isPlain && cell.next >= reach && reach < end {
        if !isLast && reach == end { return -1 }
        let lineEnd = LineCursor.lineEnd(bytes, start, end)
        return lineEnd < end || isLast ? lineEnd : -1
      }
      if cell.next >= end { return isLast ? end : -1 }
      if bytes[cell.next] == UInt8(ascii: "\n") { return cell.next }
      position = cell.next &+ 1
    }
  }

  /// Where the first record of a file ends, its header; -1 where more bytes are needed to tell.
  package static func headerEnd(_ bytes: Span<UInt8>, _ end: Int, isLast: Bool) -> Int {
    recordEnd(bytes, 0, end, isLast: isLast)
  }

  /// Behind the last whole record from `start`, which is the start of one; `start` itself where there is none.
  package static func wholeRecordsEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
    var position = start
    while position < end {
      let recordEnd = recordEnd(bytes, position, end, isLast: false)
      if recordEnd < 0 { break }
      position = recordEnd &+ 1
    }
    return position
  }
}

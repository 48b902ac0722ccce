/// One record of a CSV file (RFC 4180): its cells, unquoted.
struct CSVRecord {
  /// The cells' bytes, one after the other.
  private(set) var bytes: [UInt8] = []
  /// Where each cell stands in ``bytes``, and whether it was written in quotes.
  private(set) var cells: [(range: Range<Int>, isQuoted: Bool)] = []

  enum Outcome: Equatable {
    /// A record was read; the next starts here.
    case record(end: Int)
    /// The buffer ends within the record.
    case incomplete
    /// Text follows a closing quote; what comes after the line's end starts here.
    case malformed(end: Int)
  }

  /// Reads the record that starts at `start`.
  ///
  /// - Parameter isLast: whether nothing follows the buffer, so that its end ends the record.
  mutating func read(_ buffer: Span<UInt8>, from start: Int, isLast: Bool) -> Outcome {
    bytes.removeAll(keepingCapacity: true)
    cells.removeAll(keepingCapacity: true)
    var position = start
    while true {
      let cellStart = bytes.count
      let isQuoted = position < buffer.count && buffer[position] == UInt8(ascii: "\"")
      if isQuoted {
        guard let end = readQuoted(buffer, from: position + 1, isLast: isLast) else { return .incomplete }
        position = end
      } else {
        while position < buffer.count, buffer[position] != UInt8(ascii: ","), buffer[position] != UInt8(ascii: "\n") {
          bytes.append(buffer[position])
          position += 1
        }
        if position == buffer.count, !isLast { return .incomplete }
        let endsLine = position == buffer.count || buffer[position] == UInt8(ascii: "\n")
        if endsLine, bytes.count > cellStart, bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
      }
      cells.append((cellStart..<bytes.count, isQuoted))
      if position < buffer.count, buffer[position] == UInt8(ascii: "\r") {
        if position + 1 == buffer.count, !isLast { return .incomplete }
        if position + 1 == buffer.count || buffer[position + 1] == UInt8(ascii: "\n") { position += 1 }
      }
      if position == buffer.count { return .record(end: position) }
      switch buffer[position] {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "\n"): return .record(end: position + 1)
      default:
        while position < buffer.count, buffer[position] != UInt8(ascii: "\n") { position += 1 }
        if position == buffer.count, !isLast { return .incomplete }
        return .malformed(end: min(position + 1, buffer.count))
      }
    }
  }

  /// Reads a quoted cell up to behind its closing quote, or returns `nil` where the buffer may not hold all of it. An
  /// unclosed quote at the end of the input ends there, as a record that is malformed by its count of cells.
  private mutating func readQuoted(_ buffer: Span<UInt8>, from start: Int, isLast: Bool) -> Int? {
    var position = start
    while position < buffer.count {
      let byte = buffer[position]
      if byte == UInt8(ascii: "\"") {
        if position + 1 == buffer.count { return isLast ? position + 1 : nil }
        guard buffer[position + 1] == UInt8(ascii: "\"") else { return position + 1 }
        position += 1
      }
      bytes.append(byte)
      position += 1
    }
    return isLast ? position : nil
  }

  /// A cell's text.
  func text(_ index: Int) -> String { String(decoding: bytes[cells[index].range], as: UTF8.self) }
}

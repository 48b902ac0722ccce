import FraudCore

/// One record of a CSV file: its cells, unquoted.
struct CSVRecord {
  /// The cells' bytes, one after the other.
  private(set) var bytes: [UInt8] = []
  /// Where each cell stands in ``bytes``, and whether it was written in quotes.
  private(set) var cells: [(range: Range<Int>, isQuoted: Bool)] = []
  /// Whether a cell breaks the rules of quotes.
  private(set) var isMalformed = false

  /// Reads the record that starts at `start`, by the decoder's rules.
  ///
  /// - Parameter isLast: whether nothing follows the buffer, so that its end ends the record.
  /// - Returns: where the next record starts, or `nil` where the buffer ends within this one.
  mutating func read(_ buffer: Span<UInt8>, from start: Int, isLast: Bool) -> Int? {
    bytes.removeAll(keepingCapacity: true)
    cells.removeAll(keepingCapacity: true)
    isMalformed = false
    let end = CSVScanner.recordEnd(buffer, start, buffer.count, isLast: isLast)
    guard end >= 0 else { return nil }
    var position = start
    while true {
      let cell = CSVScanner.cell(buffer, position, end)
      if cell.isMalformed || cell.next < 0 {
        isMalformed = true
        break
      }
      let cellStart = bytes.count
      CSVCell.appendContent(buffer, cell, to: &bytes)
      cells.append((cellStart..<bytes.count, cell.isQuoted))
      if cell.next >= end { break }
      position = cell.next + 1
    }
    return min(end + 1, buffer.count)
  }

  /// Whether the line is empty.
  var isBlank: Bool { cells.count == 1 && cells[0].range.isEmpty && !cells[0].isQuoted && !isMalformed }

  /// A cell's text.
  func text(_ index: Int) -> String { String(decoding: bytes[cells[index].range], as: UTF8.self) }
}

/// Rows and columns of text that fit a terminal.
struct Table {
  struct Column {
    var title: String
    var alignment: Alignment = .left
    /// A column that may be cut when the terminal is narrow.
    var flexible = false
  }

  enum Alignment { case left, right }

  var columns: [Column]
  var rows: [[String]] = []
  /// The style of a row's cell, asked for by row and column.
  var style: (_ row: Int, _ column: Int) -> Terminal.Style = { _, _ in .plain }

  /// Writes the table with an indent of two spaces.
  func write(to terminal: Terminal) {
    let cells = rows.map { $0.map(printable) }
    var widths = columns.map { displayWidth($0.title) }
    for row in cells {
      for (index, cell) in row.enumerated() { widths[index] = max(widths[index], displayWidth(cell)) }
    }
    var excess = widths.reduce(2 * columns.count, +) - terminal.width
    for index in columns.indices.reversed() where columns[index].flexible && excess > 0 {
      let cut = min(excess, max(0, widths[index] - 12))
      widths[index] -= cut
      excess -= cut
    }
    terminal.line(line(columns.map(\.title), widths) { terminal.styled($1, .bold) })
    for (number, row) in cells.enumerated() {
      terminal.line(line(row, widths) { terminal.styled($1, style(number, $0)) })
    }
  }

  private func line(_ cells: [String], _ widths: [Int], _ decorate: (Int, String) -> String) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      let text = fit(cell, to: widths[index])
      let space = String(repeating: " ", count: widths[index] - displayWidth(text))
      let decorated = decorate(index, text)
      line += "  " + (columns[index].alignment == .right ? space + decorated : decorated + space)
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  private func fit(_ text: String, to width: Int) -> String {
    guard displayWidth(text) > width else { return text }
    var result = ""
    var used = 0
    for character in text {
      let wide = displayWidth(String(character))
      if used + wide > width - 1 { break }
      result.append(character)
      used += wide
    }
    return result + "…"
  }
}

/// Columns that text takes on a terminal: two for East Asian wide characters and emoji, none for combining marks.
func displayWidth(_ text: String) -> Int {
  text.reduce(0) { width, character in
    guard let scalar = character.unicodeScalars.first else { return width }
    switch scalar.value {
    case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
      0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
      return width + 2
    default: return width + 1
    }
  }
}

/// A whole number with its thousands apart: `1,234,567`.
func grouped(_ number: Int) -> String {
  let digits = String(number.magnitude)
  var result = ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { result += "," }
    result.append(digit)
  }
  return (number < 0 ? "-" : "") + result
}

/// A share in basis points, as in `2.5 %`.
func shareText(_ share: Int) -> String {
  let rest = share % 100
  let digits = rest == 0 ? "" : rest % 10 == 0 ? ".\(rest / 10)" : ".\(rest / 10)\(rest % 10)"
  return "\(share / 100)\(digits) %"
}

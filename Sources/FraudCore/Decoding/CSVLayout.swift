/// Which field each column of a CSV file holds, as its header says.
package struct CSVLayout: Sendable {
  /// The field of each column, or -1 for one that no field is declared for.
  let fields: [Int]
  /// Declared fields that no column holds.
  let absent: [Int]
  let unknownColumns: Int

  /// What is wrong with a header.
  package struct Problem: Error, CustomStringConvertible {
    /// For people.
    package var description: String
  }

  /// Reads the names of the header record and finds their fields.
  ///
  /// - Parameter bytes: the header's bytes without its line end, as UTF-8.
  /// - Throws: ``Problem`` where the header is no CSV record, names a field twice, or lacks one that every event must have.
  package init(header bytes: Span<UInt8>, schema: Schema) throws(Problem) {
    let end = bytes.count
    guard firstInvalidUTF8(bytes, 0..<end) == end else { throw Problem(description: "the header is not UTF-8") }
    var fields: [Int] = []
    var position = 0
    while true {
      let cell = CSVScanner.cell(bytes, position, end)
      guard cell.next >= 0, !cell.isMalformed else {
        throw Problem(description: "the header breaks the rules of quotes in column \(fields.count + 1)")
      }
      var name: [UInt8] = []
      CSVCell.appendContent(bytes, cell, to: &name)
      let text = String(decoding: name, as: UTF8.self)
      let field = schema.fields.firstIndex { $0.name == text } ?? -1
      if field >= 0 && fields.contains(field) { throw Problem(description: "the header names '\(text)' twice") }
      fields.append(field)
      if cell.next >= end { break }
      position = cell.next + 1
    }
    let named = fields
    absent = schema.fields.indices.filter { !named.contains($0) }
    let missing = absent.map { schema.fields[$0] }.filter { !$0.nullable && $0.defaultValue == nil }.map {
      "'\($0.name)'"
    }
    guard missing.isEmpty else {
      throw Problem(description: "the header lacks \(missing.joined(separator: ", ")), which must have a value")
    }
    unknownColumns = fields.count { $0 < 0 }
    self.fields = fields
  }
}

extension CSVCell {
  /// Appends what a cell holds, quotes written twice once.
  package static func appendContent(_ bytes: Span<UInt8>, _ cell: CSVCell, to text: inout [UInt8]) {
    var index = cell.start
    while index < cell.end {
      text.append(bytes[index])
      index += cell.isQuoted && bytes[index] == UInt8(ascii: "\"") ? 2 : 1
    }
  }
}

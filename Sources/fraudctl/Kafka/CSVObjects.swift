import FraudCore

/// Turns the records of a CSV file into JSON objects by its header.
///
/// With a schema, cells of numeric and boolean fields become numbers and booleans where they are written as such; all
/// other cells become strings. An empty cell without quotes becomes `null`.
struct CSVObjects {
  private struct Column {
    /// `"name":`, escaped.
    var key: [UInt8]
    var type: FieldType
  }

  private let columns: [Column]

  /// Takes the header.
  ///
  /// - Throws: ``Failure`` (65) for a header with an empty name or the same name twice.
  init(header: CSVRecord, schema: Schema?, path: String) throws {
    var seen: Set<String> = []
    var columns: [Column] = []
    for index in header.cells.indices {
      let name = header.text(index)
      guard !name.isEmpty, seen.insert(name).inserted else {
        throw Failure.invalid(
          name.isEmpty
            ? "\(path): column \(index + 1) of the header has no name"
            : "\(path): the header names '\(printable(name))' twice")
      }
      var key: [UInt8] = []
      JSONText.append(string: name, to: &key)
      key.append(UInt8(ascii: ":"))
      columns.append(Column(key: key, type: schema?.fields.first { $0.name == name }?.type ?? .string))
    }
    self.columns = columns
  }

  /// Writes a record as an object; says what is wrong with it where it cannot.
  func write(_ record: CSVRecord, to message: inout [UInt8]) -> String? {
    guard record.cells.count == columns.count else {
      return "\(record.cells.count) cells, the header has \(columns.count)"
    }
    message.append(UInt8(ascii: "{"))
    for (index, column) in columns.enumerated() {
      if index > 0 { message.append(UInt8(ascii: ",")) }
      message.append(contentsOf: column.key)
      append(record.bytes[record.cells[index].range], record.cells[index].isQuoted, column.type, to: &message)
    }
    message.append(UInt8(ascii: "}"))
    return nil
  }

  private func append(_ cell: ArraySlice<UInt8>, _ isQuoted: Bool, _ type: FieldType, to message: inout [UInt8]) {
    if cell.isEmpty, !isQuoted {
      JSONText.appendNull(to: &message)
      return
    }
    switch type {
    case .integer, .float:
      if isNumber(cell) {
        message.append(contentsOf: cell)
        return
      }
    case .boolean:
      switch String(decoding: cell, as: UTF8.self) {
      case "true", "1": return JSONText.append(true, to: &message)
      case "false", "0": return JSONText.append(false, to: &message)
      default: break
      }
    case .string, .timestamp: break
    }
    JSONText.append(string: cell.span, to: &message)
  }

  private func isNumber(_ cell: ArraySlice<UInt8>) -> Bool {
    guard let first = cell.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else { return false }
    return (try? JSON.validate(cell.span)) != nil
  }
}

import ArgumentParser
import Foundation
import FraudCore
import FraudStore

struct ArchiveExport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write archived events as NDJSON or CSV.",
    discussion: """
      --from and --to are about the event time where a field of it is named, else about the record's timestamp; --to is
      the first instant that is left out.

      EXAMPLES
        fraudctl archive export --pipeline card-payments --from 2025-03-01 --to 2025-03-02 > day.ndjson
        fraudctl archive export --pipeline card-payments --format csv --output all.csv
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case ndjson, csv }

  @OptionGroup var place: ArchiveOptions

  @OptionGroup var time: TimeOptions

  @Option(help: ArgumentHelp("The timestamp column that --from and --to are about.", valueName: "field"))
  var eventTime = ArchiveColumns.timestamp

  @Option(help: "How events are written.")
  var format = Format.ndjson

  @Option(help: ArgumentHelp("The file to write, - for stdout.", valueName: "file"))
  var output = "-"

  func run() throws {
    try reporting {
      try place.requireFolder()
      let times = try time.range()
      let file = try ExportFile(output)
      var header: [String]?
      for archived in try place.directory.files(place.filter) {
        let parquet = try place.directory.open(archived)
        let names = parquet.columns.map(\.name)
        if format == .csv {
          if header == nil { try file.write(csv(names)) }
          guard header == nil || header == names else {
            throw Failure.invalid("\(archived.path) has other columns than the files before it; export NDJSON instead")
          }
          header = names
        }
        try export(parquet, names, times, file)
      }
      try file.close()
    }
  }

  private func export(
    _ parquet: ParquetFile, _ names: [String], _ times: ClosedRange<Int64>?, _ file: ExportFile
  ) throws {
    var groups: [Int]?
    var column: Int?
    if let times {
      guard let found = parquet.column(named: eventTime) else {
        throw Failure.invalid("there is no column '\(eventTime)' to select times by")
      }
      column = found
      groups = try parquet.rowGroups(holding: .integers(times), in: eventTime)
    }
    let keys = names.map { name in
      var text: [UInt8] = []
      JSONText.append(string: name, to: &text)
      return text + [UInt8(ascii: ":")]
    }
    var rows = try ParquetRowReader(parquet, rowGroups: groups)
    while let values = try rows.next() {
      if let times, let column {
        guard case .timestamp(let time) = values[column], times.contains(time) else { continue }
      }
      switch format {
      case .csv: try file.write(csv(values.map { $0 == .text("") ? "\"\"" : $0.plainText }))
      case .ndjson:
        var text = [UInt8(ascii: "{")]
        for (index, value) in values.enumerated() where value != .null {
          if text.count > 1 { text.append(UInt8(ascii: ",")) }
          text += keys[index]
          value.appendJSON(to: &text)
        }
        try file.write(text + Array("}\n".utf8))
      }
    }
  }

  /// A record of RFC 4180. An empty text comes quoted already, since an empty cell is NULL.
  private func csv(_ cells: [String]) -> [UInt8] {
    let line = cells.map { cell in
      let isPlain = cell == "\"\"" || !cell.utf8.contains { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }
      return isPlain ? cell : "\"" + cell.replacing("\"", with: "\"\"") + "\""
    }
    return Array((line.joined(separator: ",") + "\n").utf8)
  }
}

/// Where an export goes: stdout, or a file of its own.
private final class ExportFile {
  private let handle: FileHandle?
  private var buffer: [UInt8] = []

  init(_ path: String) throws {
    guard path != "-" else {
      handle = nil
      return
    }
    guard FileManager.default.createFile(atPath: path, contents: nil), let handle = FileHandle(forWritingAtPath: path)
    else { throw Failure.failed("cannot write \(path)") }
    self.handle = handle
  }

  func write(_ bytes: [UInt8]) throws {
    buffer += bytes
    if buffer.count > 1 << 18 { try flush() }
  }

  func close() throws {
    try flush()
    try handle?.close()
  }

  private func flush() throws {
    if let handle {
      try handle.write(contentsOf: Data(buffer))
    } else {
      Terminal.standardOutput.write(String(decoding: buffer, as: UTF8.self))
    }
    buffer.removeAll(keepingCapacity: true)
  }
}

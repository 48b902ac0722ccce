import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// pyarrow and DuckDB read what we write, and we read what they write, with equal values, types, NULLs and statistics.
///
/// Python is FRAUD_PYTHON, or `.venv/bin/python` of the checkout (`make python`).
@Suite struct ParquetPeerTests {
  @Test func peersReadWhatWeWrite() throws {
    try Self.withPeers { folder, peers in
      try Self.write(to: folder)
      try peers("check")
    }
  }

  @Test func weReadWhatPeersWrite() throws {
    try Self.withPeers { folder, peers in
      try peers("make")
      try Self.read(from: folder, count: 48)
    }
  }

  /// Random files of all types, each with what it holds beside it.
  static func write(to folder: URL) throws {
    for seed in 0..<40 as Range<UInt64> {
      let rowCount = [1, 64, 1_000, 3_000][Int(seed) % 4]
      let events = RandomEvents(seed: 1_000 + seed, rowCount: rowCount)
      let fields = events.schema.fields.map {
        ParquetColumn(name: $0.name, type: $0.type, nullable: $0.nullable, bloomFilter: $0.type != .boolean)
      }
      var writer = ParquetWriter(columns: fields)
      for batch in events.batches() {
        try writer.append(batch, rows: 0..<batch.rowCount, sources: fields.indices.map { .column($0) })
      }
      try writer.finish()
      try Data(writer.takeOutput()).write(to: folder.appending(path: "\(seed).parquet"))
      let lines = try events.rows.map { row in
        let texts = row.map { $0.map(Self.text) }
        return String(decoding: try JSONEncoder().encode(texts), as: UTF8.self)
      }
      try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: folder.appending(path: "\(seed).ndjson"))
    }
  }

  /// Reads files and compares them with what lies beside them.
  static func read(from folder: URL, count: Int) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".parquet") }
    #expect(names.count == count)
    for name in names.sorted() {
      let path = folder.appending(path: name)
      let lines = try String(
        contentsOf: path.deletingPathExtension().appendingPathExtension("ndjson"), encoding: .utf8)
      let expected = try lines.split(separator: "\n").map {
        try JSONDecoder().decode([String?].self, from: Data($0.utf8))
      }
      let file = try ParquetFile(path: path.path)
      var rows = try ParquetRowReader(file)
      var number = 0
      while let values = try rows.next() {
        #expect(values.map(Self.text) == expected[number], "\(name), row \(number)")
        number += 1
      }
      #expect(number == expected.count, "\(name)")
      try compareBatches(file, expected, name)
    }
  }

  /// The same through the engine's batches, with the schema that the file suggests.
  static func compareBatches(_ file: ParquetFile, _ expected: [[String?]], _ name: String) throws {
    let schema = Schema(
      fields: file.columns.map { leaf in
        let type: FieldType
        switch leaf.meaning {
        case .boolean: type = .boolean
        case .integer: type = .integer
        case .float: type = .float
        case .timestamp: type = .timestamp
        default: type = .string
        }
        return Field(name: leaf.name, type: type)
      })
    var reader = try ParquetBatchReader(file, schema: schema, layout: ColumnLayout(schema: schema))
    var number = 0
    while try reader.next() {
      for row in 0..<reader.batch.rowCount {
        let texts = schema.fields.indices.map { reader.batch.value(column: $0, row: row).map(text) }
        #expect(texts == expected[number], "\(name), row \(number), batches")
        #expect(reader.batch.positions[row].offset == Int64(number))
        number += 1
      }
    }
    #expect(number == expected.count, "\(name), batches")
  }

  static func text(_ value: FieldValue) -> String {
    switch value {
    case .integer(let value), .timestamp(let value): "\(value)"
    case .boolean(let value): value ? "true" : "false"
    case .float(let value): floatText(value)
    case .string(let value): value
    }
  }

  static func text(_ value: ParquetValue) -> String? {
    switch value {
    case .null: nil
    case .boolean(let value): value ? "true" : "false"
    case .integer(let value), .timestamp(let value), .date(let value), .time(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .float(let value): floatText(value)
    case .text(let value): value
    case .decimal(let value, let scale): "\(value)e-\(scale)"
    case .bytes(let value): hexadecimal(value)
    }
  }

  /// The digits of its bits, so that nothing is rounded.
  private static func floatText(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    return hexadecimal((0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(56 - $0 * 8)) })
  }

  /// Runs the body with a temporary folder and a way to run the peers on it; says so where there is no Python.
  static func withPeers(
    _ script: String = "parquet-peers.py", variable: String = "FRAUD_PYTHON", folder venv: String = ".venv",
    _ body: (URL, (String) throws -> Void) throws -> Void
  ) throws {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    let python = ProcessInfo.processInfo.environment[variable] ?? root.appending(path: "\(venv)/bin/python").path
    guard FileManager.default.isExecutableFile(atPath: python) else {
      print("skipped: no Python for \(script) at \(python); set \(variable)")
      return
    }
    let folder = FileManager.default.temporaryDirectory.appending(path: "fraud-peers-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder) { command in
      let process = Process()
      process.executableURL = URL(filePath: python)
      process.arguments = [root.appending(path: "Scripts/\(script)").path, command, folder.path]
      let errors = Pipe()
      process.standardError = errors
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      let message = errors.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(String(decoding: message.suffix(2_000), as: UTF8.self))")
    }
  }
}

/// Spark reads what we write, and we read what it writes. It takes a minute and needs Java and pyspark, so `make check`
/// runs it: FRAUD_SPARK_PYTHON, or `.venv-spark/bin/python` of the checkout.
@Suite struct ParquetSparkTests {
  @Test func sparkReadsWhatWeWrite() throws {
    try ParquetPeerTests.withPeers("parquet-spark.py", variable: "FRAUD_SPARK_PYTHON", folder: ".venv-spark") {
      folder, spark in
      try ParquetPeerTests.write(to: folder)
      try spark("check")
    }
  }

  @Test func weReadWhatSparkWrites() throws {
    try ParquetPeerTests.withPeers("parquet-spark.py", variable: "FRAUD_SPARK_PYTHON", folder: ".venv-spark") {
      folder, spark in
      try spark("make")
      try ParquetPeerTests.read(from: folder, count: 16)
    }
  }
}

import Testing

@testable import FraudCore
@testable import FraudStore

@Suite struct ParquetRoundTripTests {
  static func columns(_ schema: Schema) -> ([ParquetColumn], [EventColumnSource]) {
    let fields = schema.fields.map {
      ParquetColumn(name: $0.name, type: $0.type, nullable: $0.nullable, bloomFilter: $0.name == "f0")
    }
    let position = [
      ParquetColumn(name: ArchiveColumns.topic, type: .string, nullable: false),
      ParquetColumn(name: ArchiveColumns.partition, type: .integer, nullable: false),
      ParquetColumn(name: ArchiveColumns.offset, type: .integer, nullable: false),
      ParquetColumn(name: ArchiveColumns.timestamp, type: .timestamp, nullable: true),
      ParquetColumn(name: ArchiveColumns.raw, type: .string, nullable: false),
    ]
    return (
      fields + position, fields.indices.map { .column($0) } + [.topic, .partition, .offset, .timestamp, .raw]
    )
  }

  static func write(_ batches: [EventBatch], _ schema: Schema) throws -> [UInt8] {
    let (columns, sources) = columns(schema)
    var writer = ParquetWriter(columns: columns)
    var bytes: [UInt8] = []
    for batch in batches {
      try writer.append(batch, rows: 0..<batch.rowCount, sources: sources)
      bytes += writer.takeOutput()
    }
    try writer.finish(keyValues: [("pipeline", "p"), ("version", "1")])
    return bytes + writer.takeOutput()
  }

  @Test(arguments: 0..<24 as Range<UInt64>)
  func whatIsWrittenIsRead(seed: UInt64) throws {
    let rowCount = [0, 1, 63, 64, 65, 1_024, 1_025, 3_000][Int(seed) % 8]
    let events = RandomEvents(seed: seed, rowCount: rowCount)
    let bytes = try Self.write(events.batches(), events.schema)
    #expect(bytes == (try Self.write(events.batches(of: 17), events.schema)), "seed \(seed): batches show in the bytes")

    let file = try ParquetFile(ByteSource(bytes))
    #expect(file.metadata.rowCount == Int64(rowCount))
    #expect(file.note("version") == "1")
    var reader = try ParquetBatchReader(
      file, schema: events.schema, layout: ColumnLayout(schema: events.schema), positions: .archived)
    var row = 0
    while try reader.next() {
      let batch = reader.batch
      #expect(batch.source.topic == "t" && batch.source.partition == 2)
      for index in 0..<batch.rowCount {
        for column in events.schema.fields.indices {
          let value = batch.value(column: column, row: index)
          #expect(isSame(value, events.rows[row][column]), "seed \(seed), row \(row), column \(column)")
        }
        let position = batch.positions[index]
        #expect(position.offset == Int64(row) * 2 + 100)
        let raw = batch.bytes[position.start..<position.start + position.count]
        #expect(String(decoding: raw, as: UTF8.self) == "{\"n\":\(row)}")
        row += 1
      }
    }
    #expect(row == rowCount)
  }

  @Test func onlyTheWantedColumnsAreRead() throws {
    let schema = Schema(fields: [
      Field(name: "a", type: .integer, nullable: false), Field(name: "b", type: .string, nullable: false),
    ])
    let rows = (0..<100).map { [FieldValue.integer($0), .string("x\($0)")] }
    let bytes = try Self.write(RandomEvents(schema: schema, rows: rows).batches(), schema)
    let wanted = Schema(fields: [
      Field(name: "B", type: .string), Field(name: "new", type: .float),
      Field(name: "kind", type: .string, defaultValue: .string("card")),
      Field(name: "a", type: .float),
    ])
    var reader = try ParquetBatchReader(
      ParquetFile(ByteSource(bytes)), schema: wanted, layout: ColumnLayout(schema: wanted), fields: [0, 1, 2])
    #expect(try reader.next())
    #expect(reader.batch.value(column: 0, row: 99) == .string("x99"), "found in another case")
    #expect(reader.batch.value(column: 1, row: 99) == nil, "a field that the file has not is NULL")
    #expect(reader.batch.value(column: 2, row: 99) == .string("card"), "or its default")
    #expect(reader.batch.value(column: 3, row: 99) == nil, "a field that is not wanted is NULL")

    var widening = try ParquetBatchReader(
      ParquetFile(ByteSource(bytes)), schema: wanted, layout: ColumnLayout(schema: wanted), fields: [3])
    #expect(try widening.next())
    #expect(widening.batch.value(column: 3, row: 99) == .float(99), "an integer widens to a float")

    let wrong = Schema(fields: [Field(name: "b", type: .integer)])
    #expect(throws: StoreError.self) {
      _ = try ParquetBatchReader(ParquetFile(ByteSource(bytes)), schema: wrong, layout: ColumnLayout(schema: wrong))
    }
    let missing = Schema(fields: [Field(name: "c", type: .integer, nullable: false)])
    #expect(throws: StoreError.self) {
      _ = try ParquetBatchReader(ParquetFile(ByteSource(bytes)), schema: missing, layout: ColumnLayout(schema: missing))
    }
  }

  @Test func aFlippedBitIsSeen() throws {
    let events = RandomEvents(seed: 3, rowCount: 500)
    var bytes = try Self.write(events.batches(), events.schema)
    let file = try ParquetFile(ByteSource(bytes))
    let chunk = file.metadata.rowGroups[0].columns[0]
    bytes[Int(chunk.dataPageOffset + chunk.compressedByteCount) - 1] ^= 1
    var rows = try ParquetRowReader(ParquetFile(ByteSource(bytes)))
    #expect(throws: StoreError.self) { while try rows.next() != nil {} }
  }

  private func isSame(_ a: FieldValue?, _ b: FieldValue?) -> Bool {
    if case .float(let x)? = a, case .float(let y)? = b { return x.bitPattern == y.bitPattern }
    return a == b
  }
}

extension RandomEvents {
  init(schema: Schema, rows: [[FieldValue?]]) {
    self.schema = schema
    self.rows = rows
  }
}

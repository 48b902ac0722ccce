package import FraudCore

/// Reads a Parquet file into batches of the engine.
///
/// Columns are found by name, exactly or else in any case; others are not read. A field that the file has not is NULL,
/// or its default. Values widen: 32-bit numbers to 64, floats to doubles, integers and decimals to floats, dates and
/// times of other units to timestamps.
///
/// The reader owns one batch and fills it again and again; texts of dictionaries stay in the batch's bytes for a whole
/// row group, so nothing is copied per value. Memory is bounded by a page and a dictionary a column.
package struct ParquetBatchReader: ~Copyable {
  /// Where the places of events come from.
  package enum Positions: Sendable, Hashable {
    /// The file's base name is the topic, and rows are numbered from 0.
    case rowNumbers
    /// The columns that an archive file has for this; raw bytes, too, where they are kept.
    case archived
  }

  /// What one column of the batch is filled from.
  private struct Plan {
    /// The column's number among those read, or `nil` where the file has none.
    var number: Int?
    var conversion = ColumnConversion.none
    var type: FieldType
    var defaultValue: FieldValue?
    var isWanted = true
  }

  /// The numbers of the position's columns among those read.
  private struct PositionPlan {
    var topic: Int
    var partition: Int
    var offset: Int
    var timestamp: Int?
    var raw: Int?
  }

  package let file: ParquetFile
  /// The rows just read. Whoever takes it away, as to compute its other columns, puts it back before the next rows.
  package var batch: EventBatch
  /// The events of the rows just read that break what the schema says. They are no rows of the batch, which holds their
  /// text: as it came where it was kept, else as a JSON object.
  package private(set) var rejected: [RejectedEvent] = []
  private let violations: SchemaViolations
  private let schema: Schema
  private let verifiesChecksums: Bool
  private var columns: [Int] = []
  private var plans: [Plan] = []
  private var position: PositionPlan?
  private var groups: [Int]
  private var memory: ParquetMemory
  private var cursor: RowGroupCursor?
  /// One column's words and validity for what is not a column of the batch.
  private var scratch = [UInt64](repeating: 0, count: Limits.batchRows)
  private var scratchValidity = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  private var firstRow: [Int64]
  private var nextRow: Int64 = 0

  /// Prepares to read.
  ///
  /// - Parameters:
  ///   - layout: the batch's columns, of which the first are the schema's fields.
  ///   - fields: indices of the fields that are wanted, `nil` for all; of the others those are NULL that keep what the
  ///     schema says for certain.
  ///   - rowGroups: the row groups to read, in this order; all where it is `nil`.
  ///   - verifiesChecksums: whether a page whose checksum is wrong is an error.
  /// - Throws: ``StoreError`` with `.corrupt` where the file's columns cannot be the schema's.
  package init(
    _ file: ParquetFile, schema: Schema, layout: ColumnLayout, fields: Set<Int>? = nil, rowGroups: [Int]? = nil,
    positions: Positions = .rowNumbers, verifiesChecksums: Bool = true
  ) throws(StoreError) {
    try self.init(
      file, schema: schema, layout: layout, fields: fields, rowGroups: rowGroups, positions: positions,
      verifiesChecksums: verifiesChecksums, memory: ParquetMemory())
  }

  /// The same with the memory of a reader before it.
  init(
    _ file: ParquetFile, schema: Schema, layout: ColumnLayout, fields: Set<Int>? = nil, rowGroups: [Int]? = nil,
    positions: Positions = .rowNumbers, verifiesChecksums: Bool = true, memory: consuming ParquetMemory
  ) throws(StoreError) {
    self.file = file
    self.memory = memory
    self.schema = schema
    violations = SchemaViolations(schema: schema)
    self.verifiesChecksums = verifiesChecksums
    groups = (rowGroups ?? Array(file.metadata.rowGroups.indices)).reversed()
    var (first, sum) = ([Int64](), Int64(0))
    for group in file.metadata.rowGroups {
      first.append(sum)
      sum += group.rowCount
    }
    firstRow = first
    let name = file.source.name.split(separator: "/").last.map(String.init) ?? file.source.name
    batch = EventBatch(layout: layout, source: EventSource(topic: name))
    do throws(StoreError) {
      for (index, field) in schema.fields.enumerated() {
        plans.append(try plan(field, isWanted: fields?.contains(index) ?? true))
      }
      if positions == .archived { position = try positionPlan() }
    } catch {
      throw error.at(file.source.name)
    }
    batch.holdsJSON = position?.raw != nil
  }

  /// Reads the next rows into ``batch``, whose former rows are dropped. Where all of them are rejected, it has none.
  ///
  /// - Returns: whether there were any.
  /// - Throws: ``StoreError`` with `.corrupt`, naming row group and column.
  package mutating func next() throws(StoreError) -> Bool {
    while (cursor?.rowsLeft ?? 0) == 0 {
      guard let group = groups.popLast() else {
        batch.rowCount = 0
        batch.positions.removeAll(keepingCapacity: true)
        rejected.removeAll()
        return false
      }
      cursor?.release(to: &memory)
      cursor = try RowGroupCursor(
        file, columns: columns, rowGroup: group, verifiesChecksums: verifiesChecksums, &memory, arena: &batch.bytes)
      nextRow = firstRow[group]
    }
    guard var cursor = cursor.take() else { return false }
    let rows = min(cursor.rowsLeft, batch.capacity)
    batch.bytes.removeSubrange(cursor.arenaBase...)
    for word in batch.validity.indices { batch.validity[word] = 0 }
    for column in plans.indices { try fill(column, rows: rows, &cursor) }
    try fillPositions(rows, &cursor)
    batch.rowCount = rows
    reject()
    batch.bytes.append(contentsOf: repeatElement(0, count: EventBatch.padding))
    cursor.advance(rows)
    nextRow += Int64(rows)
    self.cursor = cursor
    return true
  }

  /// Ends reading and gives back what it was done with.
  consuming func release() -> ParquetMemory {
    cursor?.release(to: &memory)
    return memory
  }

  /// Takes the rows out of the batch that break what the schema says.
  private mutating func reject() {
    rejected.removeAll(keepingCapacity: true)
    let found = violations.rows(of: batch) { plans[$0].isWanted }
    guard !found.isEmpty else { return }
    var next = 0
    var kept: [Int] = []
    for row in 0..<batch.rowCount {
      guard next < found.count, found[next].row == row else {
        kept.append(row)
        continue
      }
      var event = found[next].event
      if !batch.holdsJSON {
        var text: [UInt8] = []
        JSONText.append(eventOf: row, of: batch, to: &text)
        (event.position.start, event.position.count) = (batch.bytes.count, text.count)
        batch.bytes += text
      }
      rejected.append(event)
      next += 1
    }
    batch.keep(rows: kept)
  }

  // MARK: Planning

  private mutating func plan(_ field: Field, isWanted: Bool) throws(StoreError) -> Plan {
    var plan = Plan(type: field.type, defaultValue: field.defaultValue)
    let column = find(field.name)
    guard isWanted || mayViolate(field, column) else {
      (plan.defaultValue, plan.isWanted) = (nil, false)
      return plan
    }
    guard let column else {
      guard field.nullable || field.defaultValue != nil else {
        throw .corrupt("there is no column '\(field.name)', and the field is not nullable")
      }
      return plan
    }
    plan.conversion = try ColumnConversion(file.columns[column], to: field)
    plan.number = number(of: column)
    return plan
  }

  /// Whether a field that nobody wants must be read all the same, since some value may break what the schema says.
  private func mayViolate(_ field: Field, _ column: Int?) -> Bool {
    if field.minimum != nil || field.maximum != nil || !field.oneOf.isEmpty { return true }
    guard !field.nullable, field.defaultValue == nil else { return false }
    guard let column else { return true }
    return file.columns[column].isNullable
      && !file.metadata.rowGroups.allSatisfy { $0.columns[column].statistics?.nullCount == 0 }
  }

  private mutating func positionPlan() throws(StoreError) -> PositionPlan {
    func required(_ name: String) throws(StoreError) -> Int {
      guard let column = file.column(named: name) else {
        throw .corrupt("no archive file: there is no column '\(name)'")
      }
      return column
    }
    let columns = (
      topic: try required(ArchiveColumns.topic), partition: try required(ArchiveColumns.partition),
      offset: try required(ArchiveColumns.offset), timestamp: file.column(named: ArchiveColumns.timestamp),
      raw: file.column(named: ArchiveColumns.raw)
    )
    guard file.columns[columns.topic].meaning == .text,
      file.columns[columns.partition].meaning == .integer(isSigned: true),
      file.columns[columns.offset].meaning == .integer(isSigned: true),
      columns.timestamp.map({ file.columns[$0].meaning == .timestamp(multiplier: 1, divisor: 1, isUTC: true) }) ?? true,
      columns.raw.map({ file.columns[$0].meaning == .text }) ?? true
    else { throw .corrupt("no archive file: the columns of the position have other types") }
    return PositionPlan(
      topic: number(of: columns.topic), partition: number(of: columns.partition), offset: number(of: columns.offset),
      timestamp: columns.timestamp.map { number(of: $0) }, raw: columns.raw.map { number(of: $0) })
  }

  /// The column's number among those read, from now on if need be.
  private mutating func number(of column: Int) -> Int {
    columns.append(column)
    return columns.count - 1
  }

  private func find(_ name: String) -> Int? {
    if let exact = file.column(named: name) { return exact }
    let matches = file.columns.indices.filter {
      file.columns[$0].isFlat && file.columns[$0].name.lowercased() == name.lowercased()
    }
    return matches.count == 1 ? matches[0] : nil
  }

  // MARK: Filling

  private mutating func fill(_ column: Int, rows: Int, _ cursor: inout RowGroupCursor) throws(StoreError) {
    let plan = plans[column]
    let first = column * batch.stride
    let firstBit = column * batch.bitmapStride * 64
    if let number = plan.number {
      if plan.type == .boolean {
        try cursor.read(
          number, rows: rows, memory.zstd, words: &scratch, at: 0, validity: &batch.validity, bitBase: firstBit,
          arena: &batch.bytes)
        pack(rows, at: first)
      } else {
        try cursor.read(
          number, rows: rows, memory.zstd, words: &batch.words, at: first, validity: &batch.validity, bitBase: firstBit,
          arena: &batch.bytes)
        try convert(plan, number, first..<first + rows, cursor)
        for index in first + rows..<first + batch.stride { batch.words[index] = 0 }
      }
    } else {
      for index in first..<first + batch.stride { batch.words[index] = 0 }
    }
    if let value = plan.defaultValue { fillNulls(column, rows, value) }
  }

  private mutating func convert(
    _ plan: Plan, _ number: Int, _ range: Range<Int>, _ cursor: RowGroupCursor
  ) throws(StoreError) {
    guard plan.conversion != .none else { return }
    let arena = batch.bytes
    var words = batch.words.mutableSpan
    do throws(StoreError) {
      try plan.conversion.apply(to: &words, range, arena: arena)
    } catch {
      throw error.at(cursor.place(columns[number]))
    }
  }

  /// Puts booleans from words into bits.
  private mutating func pack(_ rows: Int, at first: Int) {
    for index in first..<first + batch.stride { batch.words[index] = 0 }
    for row in 0..<rows { batch.words[first + row >> 6] |= scratch[row] << UInt64(row & 63) }
  }

  private mutating func fillNulls(_ column: Int, _ rows: Int, _ value: FieldValue) {
    var word: UInt64
    switch value {
    case .integer(let value), .timestamp(let value): word = UInt64(bitPattern: value)
    case .float(let value): word = value.bitPattern
    case .boolean(let value): word = value ? 1 : 0
    case .string(let value):
      word = TextSlice(offset: batch.bytes.count, count: value.utf8.count).word
      batch.bytes.append(contentsOf: value.utf8)
    }
    for row in 0..<rows where !batch.isValid(column: column, row: row) {
      batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
      if case .boolean = value {
        batch.words[column * batch.stride + row >> 6] |= word << UInt64(row & 63)
      } else {
        batch.words[column * batch.stride + row] = word
      }
    }
  }

  private mutating func fillPositions(_ rows: Int, _ cursor: inout RowGroupCursor) throws(StoreError) {
    batch.positions.removeAll(keepingCapacity: true)
    guard let position else {
      batch.positions.append(contentsOf: repeatElement(EventPosition(offset: 0, start: 0, count: 0), count: rows))
      for row in 0..<rows { batch.positions[row].offset = nextRow + Int64(row) }
      return
    }
    try readScratch(position.offset, rows, &cursor)
    for row in 0..<rows {
      batch.positions.append(EventPosition(offset: Int64(bitPattern: scratch[row]), start: 0, count: 0))
    }
    if let timestamp = position.timestamp {
      try readScratch(timestamp, rows, &cursor)
      for row in 0..<rows where scratchValidity[row >> 6] >> UInt64(row & 63) & 1 == 1 {
        batch.positions[row].timestamp = Int64(bitPattern: scratch[row])
      }
    }
    if let raw = position.raw {
      try readScratch(raw, rows, &cursor)
      for row in 0..<rows {
        let slice = TextSlice(word: scratch[row])
        (batch.positions[row].start, batch.positions[row].count) = (slice.offset, slice.count)
      }
    }
    try readScratch(position.partition, rows, &cursor)
    guard let partition = Int32(exactly: Int64(bitPattern: scratch[0])),
      scratch[0..<rows].allSatisfy({ $0 == scratch[0] })
    else { throw .corrupt("events of several partitions in one file").at(file.source.name) }
    try readScratch(position.topic, rows, &cursor)
    let topic = batch.bytes[TextSlice(word: scratch[0]).range]
    // Equal slices of a dictionary need no look at their bytes.
    guard
      scratch[0..<rows].allSatisfy({
        $0 == scratch[0] || batch.bytes[TextSlice(word: $0).range].elementsEqual(topic)
      })
    else { throw .corrupt("events of several topics in one file").at(file.source.name) }
    if batch.source.partition != partition || !batch.source.topic.utf8.elementsEqual(topic) {
      batch.source = EventSource(topic: String(decoding: topic, as: UTF8.self), partition: partition)
    }
  }

  private mutating func readScratch(
    _ number: Int, _ rows: Int, _ cursor: inout RowGroupCursor
  ) throws(StoreError) {
    for word in scratchValidity.indices { scratchValidity[word] = 0 }
    try cursor.read(
      number, rows: rows, memory.zstd, words: &scratch, at: 0, validity: &scratchValidity, bitBase: 0,
      arena: &batch.bytes)
  }
}

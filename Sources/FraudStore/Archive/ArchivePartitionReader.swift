package import FraudCore

/// Reads the archived events of one partition as batches, in the order of their offsets.
///
/// Files of different versions read together: a field that a file has not is NULL or its default, narrower types widen.
/// A file that a compaction sorted by something else is put back in order, for which it is held in memory whole.
package struct ArchivePartitionReader: ~Copyable {
  private let directory: ArchiveDirectory
  private let schema: Schema
  private let layout: ColumnLayout
  /// The files still to be read, the next one last.
  private var files: [ArchiveFile]
  private var generation = ""
  private var reader: ParquetBatchReader?
  private var sorted: SortedEvents?
  /// The events just read. Whoever has a reader may fill in computed columns and drop rows.
  package var batch: EventBatch
  /// The events read with them that break what the schema says.
  package private(set) var rejected: [RejectedEvent] = []
  /// The version of the pipeline that archived them.
  package private(set) var version: Int?

  /// Prepares to read.
  ///
  /// - Parameters:
  ///   - files: of one partition, in their order, as ``ArchiveDirectory/partitions(_:)`` gives them.
  ///   - layout: the batch's columns, of which the first are the schema's fields.
  package init(_ directory: ArchiveDirectory, files: [ArchiveFile], schema: Schema, layout: ColumnLayout) {
    self.directory = directory
    self.schema = schema
    self.layout = layout
    self.files = files.reversed()
    batch = EventBatch(layout: layout, source: EventSource(topic: ""))
  }

  /// Reads the next events into ``batch``, which may have none where all of them are in ``rejected``.
  ///
  /// - Returns: whether there were any.
  /// - Throws: ``StoreError`` with `.corrupt` for a damaged file, or one whose columns cannot be the schema's.
  package mutating func next() throws(StoreError) -> Bool {
    rejected.removeAll()
    while true {
      if sorted?.next(into: &batch) == true { return true }
      sorted = nil
      if var reader = reader.take() {
        // The reader's batch holds the texts of its dictionaries, so it goes back before the next rows.
        swap(&batch, &reader.batch)
        if try reader.next() {
          swap(&batch, &reader.batch)
          batch.source.generation = generation
          rejected = reader.rejected
          self.reader = consume reader
          return true
        }
        batch = EventBatch(layout: layout, source: EventSource(topic: ""))
      }
      guard let file = files.popLast() else { return false }
      try open(file)
    }
  }

  private mutating func open(_ file: ArchiveFile) throws(StoreError) {
    let parquet = try directory.open(file)
    let notes = try ArchiveNotes(parquet)
    generation = notes.generation
    version = notes.version
    var reader = try ParquetBatchReader(parquet, schema: schema, layout: layout, positions: .archived)
    if parquet.metadata.rowGroups.allSatisfy(\.sortingColumns.isEmpty) {
      swap(&batch, &reader.batch)
      self.reader = consume reader
    } else {
      var events = SortedEvents(layout: layout)
      while try reader.next() {
        events.append(reader.batch)
        rejected += reader.rejected
      }
      reader.batch.source.generation = generation
      events.sort(source: reader.batch.source)
      sorted = events
    }
  }
}

/// The events of a whole file, in the order of their offsets.
private struct SortedEvents {
  private var batches: [EventBatch] = []
  private var places: [(offset: Int64, batch: Int, row: Int)] = []
  private var nextPlace = 0
  private let layout: ColumnLayout
  private var source = EventSource(topic: "")

  init(layout: ColumnLayout) { self.layout = layout }

  mutating func append(_ batch: EventBatch) {
    // A copy of the rows with their own texts: the reader's batch holds whole dictionaries.
    var copy = EventBatch(layout: layout, source: batch.source)
    copy.holdsJSON = batch.holdsJSON
    for row in 0..<batch.rowCount {
      places.append((batch.positions[row].offset, batches.count, row))
      copy.append(row: row, of: batch)
    }
    batches.append(copy)
  }

  mutating func sort(source: EventSource) {
    self.source = source
    places.sort { $0.offset < $1.offset }
  }

  mutating func next(into batch: inout EventBatch) -> Bool {
    guard nextPlace < places.count else { return false }
    if batch.source != source { batch = EventBatch(layout: layout, source: source) }
    batch.removeRows()
    batch.holdsJSON = batches[0].holdsJSON
    for place in places[nextPlace..<min(nextPlace + batch.capacity, places.count)] {
      batch.append(row: place.row, of: batches[place.batch])
    }
    nextPlace += batch.rowCount
    return true
  }
}

extension ArchiveDirectory {
  /// The archive's files by partition, each partition's in the order of their offsets.
  ///
  /// - Parameter pipeline: whose events.
  package func partitions(ofPipeline pipeline: String) throws(StoreError) -> [[ArchiveFile]] {
    var partitions: [[ArchiveFile]] = []
    for file in try files(Filter(pipeline: pipeline)) {
      if let last = partitions.last?.last, last.isSameSource(as: file) {
        partitions[partitions.count - 1].append(file)
      } else {
        partitions.append([file])
      }
    }
    return partitions
  }

  /// The pipelines that have files.
  package func pipelines(inSet set: String = ArchiveFile.set) throws(StoreError) -> [String] {
    try names(inFolder: "\(root)/\(set)")
      .filter { $0.hasPrefix("pipeline=") }.map { String($0.dropFirst("pipeline=".count)) }.sorted()
  }

  /// The fields that a pipeline's archived events have, for who has not its definition: those of all files by name, the
  /// wider type where they differ, each nullable.
  package func archivedSchema(ofPipeline pipeline: String) throws(StoreError) -> Schema {
    var fields: [Field] = []
    for file in try files(Filter(pipeline: pipeline)) {
      guard let columns = Self.columns(try open(file)) else { continue }
      for column in columns where !ArchiveColumns.all.contains(column.name) {
        let field = Field(name: column.name, type: column.type, nullable: true)
        if let known = fields.firstIndex(where: { $0.name == column.name }) {
          if fields[known].type == .integer { fields[known] = field }
        } else {
          fields.append(field)
        }
      }
    }
    return Schema(fields: fields)
  }

  /// Whether a file may hold events of some times.
  ///
  /// - Parameters:
  ///   - eventTime: the field that says when an event happened; without one the record's timestamp does.
  package func mayHold(
    _ times: ClosedRange<Int64>, eventTime: String?, in file: ArchiveFile
  ) throws(StoreError) -> Bool {
    try !open(file).rowGroups(holding: .integers(times), in: eventTime ?? ArchiveColumns.timestamp).isEmpty
  }
}

extension EventBatch {
  /// Appends a row of another batch of the same layout, with its texts and its message.
  mutating func append(row: Int, of other: EventBatch) {
    precondition(rowCount < capacity, "the batch is full")
    bytes.removeLast(Self.padding)
    for (column, description) in layout.columns.enumerated() where other.isValid(column: column, row: row) {
      validity[column * bitmapStride + rowCount >> 6] |= 1 << UInt64(rowCount & 63)
      switch description.type {
      case .boolean:
        let bit = other.words[column * other.stride + row >> 6] >> UInt64(row & 63) & 1
        words[column * stride + rowCount >> 6] |= bit << UInt64(rowCount & 63)
      case .string:
        let slice = TextSlice(word: other.word(column: column, row: row))
        words[column * stride + rowCount] = TextSlice(offset: bytes.count, count: slice.count).word
        bytes.append(contentsOf: other.bytes[slice.range])
      case .integer, .float, .timestamp:
        words[column * stride + rowCount] = other.word(column: column, row: row)
      }
    }
    var position = other.positions[row]
    let message = position.start..<position.start + position.count
    position.start = bytes.count
    bytes.append(contentsOf: other.bytes[message])
    positions.append(position)
    appendPadding()
    rowCount += 1
  }

  /// Forgets all rows, their values and texts.
  mutating func removeRows() {
    removeAll()
    for index in words.indices { words[index] = 0 }
    for index in validity.indices { validity[index] = 0 }
  }

  /// Drops all rows but some, which are given in ascending order.
  package mutating func keep(rows kept: [Int]) {
    for (column, description) in layout.columns.enumerated() {
      var validBits = [UInt64](repeating: 0, count: bitmapStride)
      var valueBits = [UInt64](repeating: 0, count: bitmapStride)
      let first = column * stride
      for (row, source) in kept.enumerated() {
        if isValid(column: column, row: source) { validBits[row >> 6] |= 1 << UInt64(row & 63) }
        if description.type == .boolean {
          valueBits[row >> 6] |= (words[first + source >> 6] >> UInt64(source & 63) & 1) << UInt64(row & 63)
        } else {
          words[first + row] = words[first + source]
        }
      }
      for word in 0..<bitmapStride {
        validity[column * bitmapStride + word] = validBits[word]
        if description.type == .boolean { words[first + word] = valueBits[word] }
      }
      if description.type != .boolean { for row in kept.count..<stride { words[first + row] = 0 } }
    }
    positions = kept.map { positions[$0] }
    rowCount = kept.count
  }
}

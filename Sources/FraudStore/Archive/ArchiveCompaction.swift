internal import FraudCore

extension ArchiveDirectory {
  /// How small files become large ones.
  public struct Compaction: Sendable {
    /// Rows of a file that is not made larger, and of which a merged one has at most.
    public var rowsMax: Int64 = 4 << 20
    /// Fields to sort each file by, so that readers skip more; NULLs last, equal rows by offset. None leaves the order.
    public var sortBy: [String] = []
    /// Says what would be done, and does nothing.
    public var isDryRun = false

    /// The default.
    public init() {}
  }

  /// A merge that was or would be made.
  public struct Merge: Sendable {
    /// The merged file.
    public var result: ArchiveFile
    /// The files whose events it has.
    public var replaced: [ArchiveFile]
    /// How many events.
    public var rowCount: Int64
  }

  /// Merges neighbouring files of one pipeline, partition and day, of equal columns and version, between which nothing is
  /// missing.
  ///
  /// The merged file becomes visible in one step; then the files that it replaces move to `_replaced/`, where readers
  /// with an older listing find them, until ``prune(keepingFrom:now:dryRun:_:)`` removes them. Cut short anywhere, every event is
  /// still in exactly one listed file, and the next run moves on.
  ///
  /// - Complexity: memory of one row group; with ``Compaction/sortBy``, of one merged file.
  public func compact(
    _ compaction: Compaction = Compaction(), _ filter: Filter = Filter()
  ) throws(StoreError) -> [Merge] {
    if !compaction.isDryRun { try settle(filter) }
    let current = try files(filter)
    var merges: [Merge] = []
    var group: [(file: ArchiveFile, parquet: ParquetFile, notes: ArchiveNotes)] = []
    func rows() -> Int64 { group.reduce(0) { $0 + $1.notes.rowCount } }
    func finish() throws(StoreError) {
      let isSorted = group.allSatisfy { $0.parquet.metadata.rowGroups.allSatisfy { !$0.sortingColumns.isEmpty } }
      if group.count > 1 || (!group.isEmpty && !compaction.sortBy.isEmpty && !isSorted) {
        if let merge = try merge(group.map { ($0.file, $0.parquet, $0.notes) }, compaction) { merges.append(merge) }
      }
      group = []
    }
    for file in current {
      let parquet = try open(file)
      let notes = try ArchiveNotes(parquet)
      if let last = group.last,
        !(last.file.isSameSource(as: file) && last.file.day == file.day && last.notes.version == notes.version
          && last.notes.generation == notes.generation
          && notes.coveredFrom ?? .min <= last.file.offsets.upperBound + 1
          && Self.columns(last.parquet) == Self.columns(parquet)
          && rows() + notes.rowCount <= compaction.rowsMax)
      {
        try finish()
      }
      group.append((file, parquet, notes))
    }
    try finish()
    return merges
  }

  /// Puts files out of the way whose events a larger one holds, too: what a compaction that was cut short had yet to do.
  func settle(_ filter: Filter) throws(StoreError) {
    let superseded = try allFiles(filter).superseded
    // The larger file lies beside them, and must stay when they are gone.
    for folder in Set(superseded.map(\.folder)).sorted() { try synchroniseNames(inFolder: folder, below: root) }
    for file in superseded { try moveAway(file) }
  }

  private func moveAway(_ file: ArchiveFile) throws(StoreError) {
    do throws(StoreError) {
      try moveFile(
        path(of: file), toFolder: "\(Self.replacedFolder)/\(file.folder)", below: root, name: file.name)
    } catch {
      // Another process was quicker.
      guard fileStatus(path(of: file)) == nil else { throw error }
      return
    }
    try touchFile("\(root)/\(Self.replacedFolder)/\(file.path)")
    failpoint?("archive-moved")
  }

  /// The columns of a file as we would write them; `nil` where they are not ours.
  static func columns(_ parquet: ParquetFile) -> [ParquetColumn]? {
    var columns: [ParquetColumn] = []
    for (index, leaf) in parquet.columns.enumerated() {
      let type: FieldType
      switch leaf.meaning {
      case .text: type = .string
      case .integer(isSigned: true) where leaf.physicalType == .int64: type = .integer
      case .float where leaf.physicalType == .double: type = .float
      case .boolean: type = .boolean
      case .timestamp(multiplier: 1, divisor: 1, isUTC: true): type = .timestamp
      default: return nil
      }
      guard leaf.isFlat else { return nil }
      let hasFilter = parquet.metadata.rowGroups.contains { $0.columns[index].bloomFilterOffset != nil }
      columns.append(ParquetColumn(name: leaf.name, type: type, nullable: leaf.isNullable, bloomFilter: hasFilter))
    }
    return columns
  }

  private func merge(
    _ files: [(file: ArchiveFile, parquet: ParquetFile, notes: ArchiveNotes)], _ compaction: Compaction
  ) throws(StoreError) -> Merge? {
    guard let first = files.first, let last = files.last, let columns = Self.columns(first.parquet) else { return nil }
    var result = first.file
    result.offsets = first.file.offsets.lowerBound...last.file.offsets.upperBound
    let merge = Merge(
      result: result, replaced: files.map(\.file), rowCount: files.reduce(0) { $0 + $1.notes.rowCount })
    guard !compaction.isDryRun else { return merge }
    let sortColumns = try compaction.sortBy.map { name throws(StoreError) in
      guard let column = columns.firstIndex(where: { $0.name == name }) else {
        throw StoreError(code: .file, message: "cannot sort by '\(name)': the files have no such column")
      }
      return column
    }

    let disk = try DurableFile(
      root: root, folder: result.folder,
      temporaryName: ".\(result.name).tmp.\(UInt64.random(in: .min ... .max))", failpoint: failpoint)
    var writer = ParquetWriter(columns: columns)
    var digest = SHA256()
    // The file's columns as an engine's schema: the archive's own are fields like others here.
    let schema = Schema(fields: columns.map { Field(name: $0.name, type: $0.type, nullable: $0.nullable) })
    let layout = ColumnLayout(schema: schema)
    let sources = columns.indices.map { EventColumnSource.column($0) }
    func drain() throws(StoreError) {
      let bytes = writer.takeOutput()
      digest.update(bytes.span)
      try disk.write(bytes)
    }
    var batches: [EventBatch] = []
    for file in files {
      var reader = try ParquetBatchReader(file.parquet, schema: schema, layout: layout)
      while try reader.next() {
        if sortColumns.isEmpty {
          try writer.append(reader.batch, rows: 0..<reader.batch.rowCount, sources: sources)
          try drain()
        } else {
          batches.append(Self.withOwnTexts(reader.batch))
        }
      }
    }
    if !sortColumns.isEmpty {
      let offset = columns.firstIndex { $0.name == ArchiveColumns.offset } ?? 0
      for (batch, row) in sorted(batches, by: sortColumns + [offset]) {
        try writer.append(batches[batch], rows: row..<row + 1, sources: sources)
      }
      try drain()
    }
    try writer.finishRows()
    try drain()
    let notes = ArchiveNotes(
      file: result, version: first.notes.version, generation: first.notes.generation, rowCount: writer.rowCount,
      coveredFrom: first.notes.coveredFrom, sha256: hexadecimal(digest.finalize()))
    try writer.finish(keyValues: notes.keyValues, sortedBy: sortColumns)
    try disk.write(writer.takeOutput())
    if files.count == 1 {
      // Sorted, under the name that it had. Its rows are the same, so a reader may get either.
      try disk.replace(result.name)
    } else {
      guard try disk.publish(as: result.name) else {
        throw .corrupt("'\(path(of: result))' appeared while it was being written")
      }
      for file in files { try moveAway(file.file) }
    }
    return merge
  }

  /// The batch with nothing in its bytes but its own texts: the reader's holds whole dictionaries.
  private static func withOwnTexts(_ batch: EventBatch) -> EventBatch {
    var copy = batch
    copy.bytes = []
    for (column, description) in batch.layout.columns.enumerated() where description.type == .string {
      for row in 0..<batch.rowCount {
        let slice = TextSlice(word: batch.word(column: column, row: row))
        copy.words[column * batch.stride + row] = TextSlice(offset: copy.bytes.count, count: slice.count).word
        copy.bytes.append(contentsOf: batch.bytes[slice.range])
      }
    }
    copy.bytes.append(contentsOf: repeatElement(0, count: EventBatch.padding))
    return copy
  }

  /// The places of all rows in ascending order of some columns, NULLs last.
  private func sorted(_ batches: [EventBatch], by columns: [Int]) -> [(batch: Int, row: Int)] {
    var places: [(batch: Int, row: Int)] = []
    for (number, batch) in batches.enumerated() { for row in 0..<batch.rowCount { places.append((number, row)) } }
    places.sort { a, b in
      for column in columns {
        let (left, right) = (
          batches[a.batch].value(column: column, row: a.row), batches[b.batch].value(column: column, row: b.row)
        )
        if let order = Self.precedes(left, right) { return order }
      }
      return (a.batch, a.row) < (b.batch, b.row)
    }
    return places
  }

  /// Whether a value comes before another; `nil` where they are equal.
  private static func precedes(_ a: FieldValue?, _ b: FieldValue?) -> Bool? {
    switch (a, b) {
    case (nil, nil): return nil
    case (nil, _): return false
    case (_, nil): return true
    case (.integer(let a), .integer(let b)), (.timestamp(let a), .timestamp(let b)): return a == b ? nil : a < b
    case (.float(let a), .float(let b)): return a == b ? nil : a < b || (!a.isNaN && b.isNaN)
    case (.boolean(let a), .boolean(let b)): return a == b ? nil : b
    case (.string(let a), .string(let b)):
      return a.utf8.elementsEqual(b.utf8) ? nil : a.utf8.lexicographicallyPrecedes(b.utf8)
    default: return nil
    }
  }
}

extension ArchiveDirectory {
  /// What pruning removes.
  public struct Pruning: Sendable {
    /// Files whose day is over and older than asked.
    public var expired: [ArchiveFile] = []
    /// Paths of the decisions and aggregations of such days.
    public var besides: [String] = []
    /// Paths of replaced files that readers no longer need, and of unfinished ones that a crash left.
    public var leftovers: [String] = []
    /// Bytes of all of them.
    public var byteCount = 0
  }

  /// How long replaced and unfinished files stay, in seconds: 168 hours.
  public static let leftoverSeconds = 168 * 3_600

  /// Removes files of days before one, and leftovers older than ``leftoverSeconds``.
  ///
  /// - Parameters:
  ///   - firstDay: the first day that is kept, counted from 1970; `nil` keeps all.
  ///   - now: seconds since 1970.
  ///   - dryRun: only says what would be removed.
  public func prune(
    keepingFrom firstDay: Int?, now: Int, dryRun: Bool, _ filter: Filter = Filter()
  ) throws(StoreError) -> Pruning {
    var pruning = Pruning()
    let (current, superseded) = try allFiles(filter)
    for file in current + superseded {
      guard let firstDay, file.day < firstDay else { continue }
      pruning.expired.append(file)
      pruning.byteCount += byteCount(of: file)
      if !dryRun { try removeFile(path(of: file)) }
    }
    let besides = [DecisionKeeper.decisionsSet, DecisionKeeper.aggregatesSet]
    if let firstDay {
      for set in besides {
        for pipeline in try pipelines(inSet: set) where filter.pipeline == nil || filter.pipeline == pipeline {
          for file in try files(inSet: set, pipeline: pipeline) where file.day < firstDay {
            let path = set + file.path.dropFirst(ArchiveFile.set.count)
            pruning.besides.append(path)
            pruning.byteCount += fileStatus("\(root)/\(path)")?.byteCount ?? 0
            if !dryRun { try removeFile("\(root)/\(path)") }
          }
        }
      }
    }
    for set in [ArchiveFile.set, "\(Self.replacedFolder)/\(ArchiveFile.set)"] + besides {
      for pipeline in try names(inFolder: "\(root)/\(set)") {
        if let wanted = filter.pipeline, pipeline != "pipeline=\(wanted)" { continue }
        for date in try names(inFolder: "\(root)/\(set)/\(pipeline)") {
          for name in try names(inFolder: "\(root)/\(set)/\(pipeline)/\(date)") {
            let path = "\(set)/\(pipeline)/\(date)/\(name)"
            let isUnfinished = name.hasPrefix(".") && name.contains(".parquet.tmp.")
            guard isUnfinished || set.hasPrefix(Self.replacedFolder), let status = fileStatus("\(root)/\(path)"),
              now - status.modified > Self.leftoverSeconds
            else { continue }
            pruning.leftovers.append(path)
            pruning.byteCount += status.byteCount
            if !dryRun { try removeFile("\(root)/\(path)") }
          }
        }
      }
    }
    return pruning
  }
}

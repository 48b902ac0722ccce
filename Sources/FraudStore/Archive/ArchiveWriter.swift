public import FraudCore

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Keeps every accepted event of one partition in Parquet files.
///
/// Where files begin and end follows from the data alone, never from how events were divided into batches or from a
/// clock, so that events which are read again after a crash give the same files with the same bytes. A file that exists
/// already is compared by its notes and kept. Between two files there is nothing to remember but the next offset:
/// after a crash or an error the owner starts a new writer at the offset after the last file and reads on from there.
///
/// A new file begins
///
/// * before an event whose record timestamp lies in a later UTC hour than that of the file's first event (of files,
///   whose records have no timestamp, in a later UTC day by event time); events that come late stay where they arrive;
/// * after ``Settings/rowsMax`` events, and before the bytes of its events would exceed ``Settings/bytesMax``;
/// * where the owner says so (``cut()``), who must have recorded that offset first.
///
/// One task owns a writer. Calls block on the disk.
public struct ArchiveWriter: ~Copyable {
  /// What all files of a writer have in common.
  public struct Settings: Sendable {
    /// The archive's root folder, made where it is missing.
    public var root: String
    /// The pipeline that reads the events.
    public var pipeline: String
    /// The pipeline's version, which goes into the notes.
    public var version: Int?
    /// The fields, which become columns.
    public var schema: Schema
    /// The field that holds an event's time, where there is one.
    public var eventTime: String?
    /// Whether the events' own bytes are kept, too.
    public var keepsRaw = false
    /// Fields that get bloom filters: what readers look up by single values.
    public var bloomFilters: Set<String> = []
    /// Events of a file at most.
    public var rowsMax = 1 << 20
    /// Bytes of a file's events, as they came, at most.
    public var bytesMax = 512 << 20
    /// See ``ArchiveFailpoint``.
    package var failpoint: ArchiveFailpoint?

    /// Settings with the default bounds.
    public init(root: String, pipeline: String, version: Int? = nil, schema: Schema, eventTime: String? = nil) {
      self.root = root
      self.pipeline = pipeline
      self.version = version
      self.schema = schema
      self.eventTime = eventTime
    }
  }

  private let settings: Settings
  private let source: EventSource
  private let columns: [ParquetColumn]
  private let sources: [EventColumnSource]
  private let eventTimeColumn: Int?
  private var open: OpenFile?
  private var isBroken = false
  /// See ``ArchiveNotes/coveredFrom``, of the next file.
  private var coveredFrom: Int64?

  /// What decides where a file ends.
  private struct Extent {
    var hour: Int64
    var rowCount = 0
    var byteCount = 0
  }

  /// A file being gathered.
  private struct OpenFile: ~Copyable {
    var file: ArchiveFile
    var extent: Extent
    var writer: ParquetWriter
    var disk: DurableFile
    var digest = SHA256()
  }

  /// Starts at the offset after the last archived event. Nothing is written before the first event comes.
  ///
  /// - Parameter first: that offset, or where the archive begins: no accepted event from here on is left out. Files say so
  ///   where it is given.
  public init(_ settings: Settings, source: EventSource, from first: Int64? = nil) {
    self.settings = settings
    coveredFrom = first
    self.source = source
    let fields = settings.schema.fields
    columns = Self.columns(settings)
    sources =
      fields.indices.map { .column($0) } + [.topic, .partition, .offset, .timestamp] + (settings.keepsRaw ? [.raw] : [])
    eventTimeColumn = fields.firstIndex { $0.name == settings.eventTime && $0.type == .timestamp }
  }

  /// The columns of a file: the schema's fields, then the position.
  static func columns(_ settings: Settings) -> [ParquetColumn] {
    let fields = settings.schema.fields.map { field in
      ParquetColumn(
        name: field.name, type: field.type, nullable: field.nullable && field.defaultValue == nil,
        bloomFilter: settings.bloomFilters.contains(field.name))
    }
    let position = [
      ParquetColumn(name: ArchiveColumns.topic, type: .string, nullable: false),
      ParquetColumn(name: ArchiveColumns.partition, type: .integer, nullable: false),
      ParquetColumn(name: ArchiveColumns.offset, type: .integer, nullable: false),
      ParquetColumn(name: ArchiveColumns.timestamp, type: .timestamp, nullable: true),
    ]
    let raw = settings.keepsRaw ? [ParquetColumn(name: ArchiveColumns.raw, type: .string, nullable: false)] : []
    return fields + position + raw
  }

  /// Appends a batch's events, which come after all before them.
  ///
  /// - Parameter batch: of the writer's partition; its first columns are the schema's fields.
  /// - Returns: the files that are complete and durable now, in order.
  /// - Throws: ``StoreError`` with `.file` where the disk is full or fails, `.corrupt` where a file of the same name
  ///   holds other events. The writer is of no more use then.
  public mutating func append(_ batch: EventBatch) throws(StoreError) -> [ArchiveFile] {
    precondition(!isBroken, "an archive writer was used after an error")
    precondition(
      batch.source.topic == source.topic && batch.source.partition == source.partition,
      "a batch of \(batch.source.topic)[\(batch.source.partition)] for \(source.topic)[\(source.partition)]")
    do throws(StoreError) {
      return try appendRows(batch)
    } catch {
      isBroken = true
      open = nil
      throw error
    }
  }

  /// Ends the file being gathered, if there is one, and makes it durable.
  ///
  /// A file's end must follow from what is recorded: the owner records the next offset durably, then calls this.
  ///
  /// - Throws: as ``append(_:)``.
  public mutating func cut() throws(StoreError) -> ArchiveFile? {
    precondition(!isBroken, "an archive writer was used after an error")
    do throws(StoreError) {
      return try publish()
    } catch {
      isBroken = true
      throw error
    }
  }

  /// Drops the file being gathered, as when the partition is lost to another owner.
  public mutating func discard() {
    open = nil
  }

  private mutating func appendRows(_ batch: EventBatch) throws(StoreError) -> [ArchiveFile] {
    var files: [ArchiveFile] = []
    var first = 0
    for row in 0..<batch.rowCount {
      let hour = hour(of: batch, row, current: open?.extent.hour)
      let count = batch.positions[row].count
      if let extent = open?.extent,
        hour > extent.hour || extent.rowCount >= settings.rowsMax || extent.byteCount + count > settings.bytesMax
      {
        try flush(batch, first..<row)
        first = row
        if let file = try publish() { files.append(file) }
      }
      if open == nil { try begin(at: batch.positions[row].offset, hour: hour) }
      open?.extent.rowCount += 1
      open?.extent.byteCount += count
    }
    try flush(batch, first..<batch.rowCount)
    return files
  }

  /// The hour since 1970 that decides about the file: that of the record timestamp, else the event time's day, else
  /// the one that the file has.
  private func hour(of batch: EventBatch, _ row: Int, current: Int64?) -> Int64 {
    let hour: Int64 = 3_600_000_000
    if let timestamp = batch.positions[row].timestamp { return floored(timestamp, over: hour) }
    if let column = eventTimeColumn, batch.isValid(column: column, row: row) {
      return floored(Int64(bitPattern: batch.word(column: column, row: row)), over: 24 * hour) * 24
    }
    return current ?? 0
  }

  private mutating func begin(at offset: Int64, hour: Int64) throws(StoreError) {
    let file = ArchiveFile(
      pipeline: settings.pipeline, day: Int(floored(hour, over: 24)), topic: source.topic, partition: source.partition,
      offsets: offset...offset)
    // Two owners of a partition, one of them a zombie, write under different names until the last step.
    let name = ".\(file.name).tmp.\(getpid()).\(Self.unique())"
    open = OpenFile(
      file: file, extent: Extent(hour: hour), writer: ParquetWriter(columns: columns),
      disk: try DurableFile(
        root: settings.root, folder: file.folder, temporaryName: name, failpoint: settings.failpoint))
  }

  private static func unique() -> String {
    String(UInt64.random(in: .min ... .max), radix: 16)
  }

  private mutating func flush(_ batch: EventBatch, _ rows: Range<Int>) throws(StoreError) {
    guard !rows.isEmpty, var file = open.take() else { return }
    let first = file.file.offsets.lowerBound
    file.file.offsets = first...max(first, batch.positions[rows.upperBound - 1].offset)
    try file.writer.append(batch, rows: rows, sources: sources)
    try Self.write(&file)
    open = consume file
  }

  private static func write(_ file: inout OpenFile) throws(StoreError) {
    let bytes = file.writer.takeOutput()
    guard !bytes.isEmpty else { return }
    file.digest.update(bytes.span)
    try file.disk.write(bytes)
  }

  private mutating func publish() throws(StoreError) -> ArchiveFile? {
    guard var file = open.take() else { return nil }
    try file.writer.finishRows()
    try Self.write(&file)
    var notes = ArchiveNotes(
      file: file.file, version: settings.version, generation: source.generation, rowCount: file.writer.rowCount,
      coveredFrom: coveredFrom, sha256: hexadecimal(file.digest.finalize()))
    try file.writer.finish(keyValues: notes.keyValues)
    try file.disk.write(file.writer.takeOutput())
    if try !file.disk.publish(as: file.file.name) {
      let path = "\(settings.root)/\(file.file.path)"
      let known = try ArchiveNotes(ParquetFile(path: path))
      // From where it counts as whole may differ, as when the archive began anew before it.
      notes.coveredFrom = known.coveredFrom
      guard known == notes else {
        throw .corrupt(
          "'\(path)' exists and holds other events than these; look at both with `fraudctl archive verify` before "
            + "moving it away")
      }
    }
    if coveredFrom != nil { coveredFrom = file.file.offsets.upperBound + 1 }
    return file.file
  }
}

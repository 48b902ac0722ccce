package import FraudCore

/// Keeps the decisions of all archived events, and the rows of aggregations, as Parquet sets beside the events.
///
///     ARCHIVE/fraud_detection/pipeline=NAME/date=YYYY-MM-DD/TOPIC+PARTITION+FIRST-LAST.parquet
///     ARCHIVE/aggregations/pipeline=NAME/date=YYYY-MM-DD/TOPIC+PARTITION+FIRST-LAST.parquet
///
/// Each file of events gets one of decisions, made by an engine that has seen the partition's events in the order of their
/// offsets, as the processor's has. What is decided already stays as it is; the listing says how far that is, so there is
/// nothing else to remember. The file of decisions is published last: cut short, the rest is done again, with equal bytes.
///
/// One thread owns it.
package struct DecisionKeeper {
  static let decisionsSet = "fraud_detection"
  static let aggregatesSet = "aggregations"

  /// Files of decisions written.
  package private(set) var fileCount = 0
  /// Whether there are files whose events are not all committed, so that it is not settled who decides them.
  package private(set) var isWaiting = false
  private let directory: ArchiveDirectory
  private let pipeline: Pipeline
  /// What remembers nothing yet.
  private let anew: Engine
  private let history: VersionHistory?
  private var partitions: [TopicPartition: Partition] = [:]

  private struct Partition {
    var engine: Engine
    /// The next event that the engine has not seen.
    var nextOffset: Int64
    /// The last event whose decision is kept.
    var decidedOffset: Int64
  }

  /// - Parameters:
  ///   - version: goes into the rows.
  ///   - history: which version decided from which offset on; without it this one decides all.
  package init(
    _ directory: ArchiveDirectory, pipeline: Pipeline, version: Int?, lists: [String: ListValues] = [:],
    history: VersionHistory? = nil
  ) {
    self.history = history
    self.directory = directory
    self.pipeline = pipeline
    anew = Engine(pipeline, version: version, lists: lists)
  }

  /// - Parameters:
  ///   - version: the version known, with its control where it has one.
  ///   - history: which version decided from which offset on.
  package init(_ directory: ArchiveDirectory, version: PipelineVersion, history: @escaping VersionHistory) {
    self.history = history
    self.directory = directory
    pipeline = version.pipeline
    anew = Engine(version)
  }

  /// Decides what has been archived since the last call.
  ///
  /// - Parameters:
  ///   - owned: the partitions that nobody else decides now; `nil` for all. Others are forgotten.
  ///   - isStopped: asked before each file.
  /// - Throws: ``StoreError`` where the archive cannot be read, or the disk takes no files.
  package mutating func step(
    of owned: [TopicPartition]? = nil, isStopped: () -> Bool = { false }
  ) throws(StoreError) {
    let name = pipeline.definition.name
    isWaiting = false
    if let owned { partitions = partitions.filter { owned.contains($0.key) } }
    let decided = try directory.files(inSet: Self.decisionsSet, pipeline: name)
    for files in try directory.partitions(ofPipeline: name) {
      guard let first = files.first else { continue }
      let key = TopicPartition(topic: first.topic, partition: first.partition)
      if let owned, !owned.contains(key) { continue }
      var partition: Partition
      if let known = partitions[key] { partition = known } else { partition = try begin(key, decided) }
      // An engine that remembers nothing need not see what is decided.
      if pipeline.features.isEmpty, partition.decidedOffset != .min {
        partition.nextOffset = max(partition.nextOffset, partition.decidedOffset + 1)
      }
      let decisive = try history?(key)
      if history != nil, decisive == nil {
        isWaiting = true
        continue
      }
      for file in files where file.offsets.upperBound >= partition.nextOffset {
        if isStopped() { return }
        // Which version decides an event is settled when it is committed.
        if let decisive, file.offsets.upperBound >= decisive.committedOffset {
          isWaiting = true
          break
        }
        try decide(file, &partition, decisive?.versions)
        partitions[key] = partition
      }
    }
  }

  /// Starts behind the last file of decisions. Rows of aggregations behind that are of a step that was cut short: they are
  /// made again, under another name where a compaction came between.
  private func begin(_ key: TopicPartition, _ decided: [ArchiveFile]) throws(StoreError) -> Partition {
    func isOfPartition(_ file: ArchiveFile) -> Bool { file.topic == key.topic && file.partition == key.partition }
    let last = decided.last(where: isOfPartition)
    if let last {
      try synchroniseNames(
        inFolder: Self.decisionsSet + last.folder.dropFirst(ArchiveFile.set.count), below: directory.root)
    }
    let partition = Partition(
      engine: anew, nextOffset: .min, decidedOffset: last?.offsets.upperBound ?? .min)
    for file in try directory.files(inSet: Self.aggregatesSet, pipeline: pipeline.definition.name)
    where isOfPartition(file) && file.offsets.lowerBound > partition.decidedOffset {
      try removeFile("\(directory.root)/\(Self.aggregatesSet)" + file.path.dropFirst(ArchiveFile.set.count))
      // Else a power cut could bring it back beside those that take its place.
      try synchroniseNames(
        inFolder: Self.aggregatesSet + file.folder.dropFirst(ArchiveFile.set.count), below: directory.root)
    }
    return partition
  }

  private mutating func decide(
    _ file: ArchiveFile, _ partition: inout Partition, _ versions: [DecidingVersion]?
  ) throws(StoreError) {
    var decisions: RowFile?
    var aggregates: RowFile?
    for part in Self.parts(of: file.offsets, versions, decided: partition.decidedOffset) {
      if let next = part.version { partition.engine.adopt(next) }
      let pipeline = partition.engine.pipeline
      var reader = ArchivePartitionReader(
        directory, files: [file], schema: pipeline.definition.schema, layout: pipeline.layout)
      while try reader.next() {
        let kept = (0..<reader.batch.rowCount).filter {
          let offset = reader.batch.positions[$0].offset
          return offset >= partition.nextOffset && part.offsets.contains(offset)
        }
        if kept.count < reader.batch.rowCount { reader.batch.keep(rows: kept) }
        guard reader.batch.rowCount > 0 else { continue }
        partition.engine.evaluate(&reader.batch)
        let last = reader.batch.positions[reader.batch.rowCount - 1]
        guard last.offset > partition.decidedOffset else { continue }
        for (row, kept) in partition.engine.keptDecisions(of: reader.batch).enumerated()
        where reader.batch.positions[row].offset > partition.decidedOffset {
          if decisions == nil { decisions = RowFile(Self.decisionFields, source: reader.batch.source) }
          try decisions?.append(values(kept), at: reader.batch.positions[row])
        }
        // Rows that are due belong to the batch's last event.
        for row in partition.engine.features.aggregates {
          if aggregates == nil { aggregates = RowFile(Self.aggregateFields, source: reader.batch.source) }
          try aggregates?.append(values(row), at: last)
        }
      }
    }
    let version = partition.engine.version
    partition.nextOffset = max(partition.nextOffset, file.offsets.upperBound + 1)
    guard let decisions = decisions.take(), let first = decisions.firstOffset else { return }
    var result = file
    result.offsets = first...file.offsets.upperBound
    if let aggregates = aggregates.take() {
      try aggregates.publish(result, set: Self.aggregatesSet, version: version, in: directory)
    }
    try decisions.publish(result, set: Self.decisionsSet, version: version, in: directory)
    partition.decidedOffset = file.offsets.upperBound
    fileCount += 1
  }

  /// The parts of a file that one version each decides, what is decided apart from what is not: a compaction may have put
  /// both into one file, and rows that became due in the one are not to be kept again with the other.
  private static func parts(
    of offsets: ClosedRange<Int64>, _ versions: [DecidingVersion]?, decided: Int64
  ) -> [(version: PipelineVersion?, offsets: ClosedRange<Int64>)] {
    parts(of: offsets, versions).flatMap { part in
      guard part.offsets.contains(decided), decided < part.offsets.upperBound else { return [part] }
      return [
        (part.version, part.offsets.lowerBound...decided), (part.version, decided + 1...part.offsets.upperBound),
      ]
    }
  }

  private static func parts(
    of offsets: ClosedRange<Int64>, _ versions: [DecidingVersion]?
  ) -> [(version: PipelineVersion?, offsets: ClosedRange<Int64>)] {
    guard let versions else { return [(nil, offsets)] }
    var parts: [(version: PipelineVersion?, offsets: ClosedRange<Int64>)] = []
    for (index, deciding) in versions.enumerated() {
      // What is older than the record begins with its first version.
      let first = index == 0 ? offsets.lowerBound : max(offsets.lowerBound, deciding.fromOffset)
      let last =
        index + 1 < versions.count ? min(offsets.upperBound, versions[index + 1].fromOffset - 1) : offsets.upperBound
      if first <= last { parts.append((deciding.version, first...last)) }
    }
    return parts
  }

  // MARK: Rows

  private static let decisionFields = [
    Field(name: "event_id", type: .string), Field(name: "event_time", type: .timestamp),
    Field(name: "decision", type: .string, nullable: false), Field(name: "score", type: .float, nullable: false),
    Field(name: "risk_level", type: .string, nullable: false), Field(name: "rules", type: .string, nullable: false),
    Field(name: "reasons", type: .string, nullable: false), Field(name: "pipeline_version", type: .integer),
  ]

  private func values(_ kept: KeptDecision) -> [FieldValue?] {
    var rules: [UInt8] = [UInt8(ascii: "[")]
    for (index, reason) in kept.reasons.enumerated() {
      if index > 0 { rules.append(UInt8(ascii: ",")) }
      JSONText.append(string: reason.ruleID, to: &rules)
    }
    rules.append(UInt8(ascii: "]"))
    var reasons: [UInt8] = []
    Reason.append(kept.reasons, to: &reasons)
    return [
      kept.eventID.map { .string($0) }, kept.eventTime.map { .timestamp($0) },
      .string(kept.decision.verdict.rawValue), .float(kept.decision.score.value), .string(kept.decision.riskLevel),
      .string(String(decoding: rules, as: UTF8.self)), .string(String(decoding: reasons, as: UTF8.self)),
      kept.version.map { .integer(Int64($0)) },
    ]
  }

  private static let aggregateFields = [
    Field(name: "aggregation", type: .string, nullable: false),
    Field(name: "window_start", type: .timestamp, nullable: false),
    Field(name: "window_end", type: .timestamp, nullable: false), Field(name: "key", type: .string, nullable: false),
    Field(name: "revision", type: .integer, nullable: false), Field(name: "events", type: .integer, nullable: false),
    Field(name: "measures", type: .string, nullable: false),
  ]

  private func values(_ row: AggregateRow) -> [FieldValue?] {
    func object(_ members: [(String, FieldValue?)]) -> String {
      var text: [UInt8] = []
      var object = JSONObjectText()
      for (name, value) in members {
        object.key(name, &text)
        JSONText.append(value, to: &text)
      }
      object.end(&text)
      return String(decoding: text, as: UTF8.self)
    }
    return [
      .string(row.aggregation), .timestamp(row.start), .timestamp(row.end),
      .string(object(row.key.map { ($0.name, $0.value) })), .integer(row.revision), .integer(Int64(row.events)),
      .string(object(row.measures.map { ($0.name, $0.value) })),
    ]
  }
}

/// A version of a pipeline and the first offset of a partition that it decided.
package struct DecidingVersion: Sendable {
  package var fromOffset: Int64
  package var version: PipelineVersion

  package init(fromOffset: Int64, version: PipelineVersion) {
    self.fromOffset = fromOffset
    self.version = version
  }
}

/// Which versions decided a partition's events so far, by offset, and the first offset that is not committed yet; `nil` where
/// nothing is.
package typealias VersionHistory =
  (TopicPartition) throws(StoreError) -> (versions: [DecidingVersion], committedOffset: Int64)?

/// A Parquet file that takes rows one by one, each with the place of its event.
private struct RowFile: ~Copyable {
  private var batch: EventBatch
  private var writer: ParquetWriter
  private var output: [UInt8] = []
  private var digest = SHA256()
  private let sources: [EventColumnSource]
  private let source: EventSource
  private(set) var firstOffset: Int64?

  init(_ fields: [Field], source: EventSource) {
    self.source = source
    batch = EventBatch(layout: ColumnLayout(schema: Schema(fields: fields)), source: source)
    batch.bytes.removeAll()
    writer = ParquetWriter(
      columns: fields.map { ParquetColumn(name: $0.name, type: $0.type, nullable: $0.nullable) } + [
        ParquetColumn(name: ArchiveColumns.topic, type: .string, nullable: false),
        ParquetColumn(name: ArchiveColumns.partition, type: .integer, nullable: false),
        ParquetColumn(name: ArchiveColumns.offset, type: .integer, nullable: false),
        ParquetColumn(name: ArchiveColumns.timestamp, type: .timestamp, nullable: true),
      ])
    sources = fields.indices.map { .column($0) } + [.topic, .partition, .offset, .timestamp]
  }

  mutating func append(_ values: [FieldValue?], at position: EventPosition) throws(StoreError) {
    if batch.rowCount == batch.capacity { try flush() }
    if firstOffset == nil { firstOffset = position.offset }
    let row = batch.rowCount
    for (column, value) in values.enumerated() {
      guard let value else { continue }
      batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
      switch value {
      case .integer(let value), .timestamp(let value):
        batch.words[column * batch.stride + row] = UInt64(bitPattern: value)
      case .float(let value): batch.words[column * batch.stride + row] = value.bitPattern
      case .string(let value):
        batch.words[column * batch.stride + row] = TextSlice(offset: batch.bytes.count, count: value.utf8.count).word
        batch.bytes.append(contentsOf: value.utf8)
      case .boolean(let value):
        if value { batch.words[column * batch.stride + row >> 6] |= 1 << UInt64(row & 63) }
      }
    }
    batch.positions.append(EventPosition(offset: position.offset, timestamp: position.timestamp, start: 0, count: 0))
    batch.rowCount += 1
  }

  private mutating func flush() throws(StoreError) {
    batch.bytes.append(contentsOf: repeatElement(0, count: EventBatch.padding))
    try writer.append(batch, rows: 0..<batch.rowCount, sources: sources)
    batch.removeRows()
    batch.bytes.removeAll(keepingCapacity: true)
    take()
  }

  private mutating func take() {
    let bytes = writer.takeOutput()
    digest.update(bytes.span)
    output += bytes
  }

  /// Makes the file durable and visible. One of the same name holds the same rows and stays.
  consuming func publish(
    _ file: ArchiveFile, set: String, version: Int?, in directory: ArchiveDirectory
  ) throws(StoreError) {
    try flush()
    try writer.finishRows()
    take()
    let notes = ArchiveNotes(
      file: file, version: version, generation: source.generation, rowCount: writer.rowCount,
      sha256: hexadecimal(digest.finalize()))
    try writer.finish(keyValues: notes.keyValues)
    output += writer.takeOutput()
    let disk = try DurableFile(
      root: directory.root, folder: set + file.folder.dropFirst(ArchiveFile.set.count),
      temporaryName: ".\(file.name).tmp.\(UInt64.random(in: .min ... .max))", failpoint: directory.failpoint)
    try disk.write(output)
    _ = try disk.publish(as: file.name)
  }
}

extension ArchiveDirectory {
  /// The files of another set than the events', which are named and foldered as those are, by partition and offset.
  package func files(inSet set: String, pipeline: String) throws(StoreError) -> [ArchiveFile] {
    var files: [ArchiveFile] = []
    for date in try names(inFolder: "\(root)/\(set)/pipeline=\(pipeline)") where date.hasPrefix("date=") {
      for name in try names(inFolder: "\(root)/\(set)/pipeline=\(pipeline)/\(date)") {
        guard let file = ArchiveFile(path: "\(ArchiveFile.set)/pipeline=\(pipeline)/\(date)/\(name)") else { continue }
        files.append(file)
      }
    }
    return files.sorted()
  }
}

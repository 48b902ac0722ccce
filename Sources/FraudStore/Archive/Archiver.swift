public import FraudCore

/// Archives a pipeline's events: reads its partitions, decodes them, and keeps what is accepted in Parquet files.
///
/// It makes progress of its own, apart from the processor's, so that a full disk never holds up alerts; and the archive
/// itself is its memory. A partition is read on after the last event of its last file, so after a crash, a rebalance or
/// an error the unfinished file's events are read again and give the same file. The topic must hold at least what an
/// unfinished file does, an hour of events.
///
/// One thread owns it and calls ``step(now:)`` over and over, then ``finish(endingFiles:)``. Reading with a consumer group
/// of its own keeps it out of the processor's way.
public struct Archiver<Source: RecordSource>: ~Copyable {
  /// What it is doing.
  public enum Phase: Sendable, Hashable {
    case running
    /// The disk does not take files; the reason it gave.
    case holding(String)
  }

  /// See ``Phase``.
  public private(set) var phase = Phase.running
  /// Files completed since it started.
  public private(set) var fileCount = 0
  /// Where records come from.
  public var source: Source
  /// The partitions that it archives.
  public private(set) var partitions: [TopicPartition] = []

  private var pipeline: Pipeline
  private var settings: ArchiveWriter.Settings
  private let generation: String
  private let retryDelay: Duration
  private let directory: ArchiveDirectory
  private var records = MessageBatch()
  private var decoding: DecoderState
  private var workers: [ArchivingPartition] = []
  private var nextTry: Duration?

  /// Makes an archiver of one version of a pipeline.
  ///
  /// - Parameters:
  ///   - settings: where files go and what they keep; the schema must be the pipeline's.
  ///   - generation: tells the topics from earlier ones of the same names.
  ///   - retryDelay: how long it waits after the disk failed.
  public init(
    _ pipeline: Pipeline, settings: ArchiveWriter.Settings, generation: String, source: Source,
    retryDelay: Duration = .seconds(5)
  ) {
    precondition(settings.schema == pipeline.definition.schema, "the schema of another pipeline")
    self.pipeline = pipeline
    self.settings = settings
    self.generation = generation
    self.source = source
    self.retryDelay = retryDelay
    directory = ArchiveDirectory(root: settings.root)
    decoding = DecoderState(pipeline.decoder)
  }

  /// Whether it has partitions and all of them have been read to their ends.
  public var isAtEnd: Bool {
    !workers.isEmpty && phase == .running && workers.allSatisfy(\.isAtEnd)
  }

  /// Goes on with another version of the pipeline, whose files hold the fields that it declares. Events that are in no
  /// finished file yet are read again.
  ///
  /// - Precondition: it is the same pipeline, on the same topic.
  public mutating func adopt(_ pipeline: Pipeline, settings: ArchiveWriter.Settings, now: Duration) throws {
    precondition(settings.schema == pipeline.definition.schema, "the schema of another pipeline")
    (self.pipeline, self.settings) = (pipeline, settings)
    decoding = DecoderState(pipeline.decoder)
    if !partitions.isEmpty { try start(now: now) }
  }

  /// Reads what there is and writes it.
  ///
  /// - Parameter now: the time since any fixed moment; never less than in an earlier call.
  /// - Throws: where it cannot go on: the source is of no more use, or a file holds other events than those read.
  public mutating func step(now: Duration) throws {
    if let nextTry, now >= nextTry { try start(now: now) }
    let event = try source.poll(into: &records, timeout: .milliseconds(10))
    if let failure = try takeRecords() { try hold(failure, now: now) }
    switch event {
    case .assigned(let partitions):
      self.partitions = partitions.sorted()
      try start(now: now)
    case .revoked, .lost:
      drop()
      partitions = []
      try source.unassign()
    case .reachedEnd(let partition, _):
      guard let worker = workers.first(where: { $0.partition == partition }) else { return }
      worker.isAtEnd = true
    case .failed(let partition, let error):
      throw StoreError(code: .file, message: "\(partition) cannot be read on: \(error)")
    case nil: return
    }
  }

  /// Hands the records to their partitions, and returns what the disk said where it failed.
  private mutating func takeRecords() throws(StoreError) -> StoreError? {
    let bytes = records.bytes
    do throws(StoreError) {
      for run in records.runs {
        guard let worker = workers.first(where: { $0.partition == run.partition }) else { continue }
        fileCount += try worker.take(
          records.messages[run.messages], bytes: bytes.span, decoder: pipeline.decoder, &decoding)
      }
      return nil
    } catch {
      if error.code == .file { return error }
      throw error
    }
  }

  /// Ends.
  ///
  /// - Parameter endingFiles: completes the files being gathered, as at the end of all input. Otherwise their events are
  ///   read again next time.
  public mutating func finish(endingFiles: Bool) throws(StoreError) {
    if endingFiles {
      for worker in workers { fileCount += try worker.finish(decoder: pipeline.decoder, &decoding) }
    }
    drop()
  }

  /// Begins all partitions after what the archive holds of them.
  private mutating func start(now: Duration) throws {
    drop()
    do throws(StoreError) {
      let filter = ArchiveDirectory.Filter(pipeline: settings.pipeline)
      try directory.settle(filter)
      let files = try directory.files(filter)
      var starts: [TopicPartition: StartOffset] = [:]
      for partition in partitions {
        let last = files.last { $0.topic == partition.topic && $0.partition == partition.partition }
        let first: Int64
        if let last {
          try synchroniseNames(inFolder: last.folder, below: settings.root)
          first = try offset(after: last)
        } else {
          first = try earliestOffset(of: partition)
        }
        starts[partition] = .at(first)
        let source = EventSource(topic: partition.topic, generation: generation, partition: partition.partition)
        workers.append(
          ArchivingPartition(
            partition, writer: ArchiveWriter(settings, source: source, from: first),
            batch: EventBatch(layout: pipeline.layout, source: source)))
      }
      try assign(starts)
      phase = .running
    } catch {
      guard error.code == .file else { throw error }
      try hold(error, now: now)
    }
  }

  private mutating func assign(_ starts: [TopicPartition: StartOffset]) throws(StoreError) {
    do {
      try source.assign(starts)
      if phase != .running { try source.resume(partitions) }
    } catch {
      throw StoreError(code: .unavailable, message: "cannot read the partitions: \(error)")
    }
  }

  private mutating func earliestOffset(of partition: TopicPartition) throws(StoreError) -> Int64 {
    do {
      return try source.earliestOffset(of: partition)
    } catch {
      throw StoreError(code: .unavailable, message: "cannot read the partitions: \(error)")
    }
  }

  private func offset(after file: ArchiveFile) throws(StoreError) -> Int64 {
    let notes = try ArchiveNotes(directory.open(file))
    guard notes.generation == generation else {
      throw .corrupt(
        "'\(file.path)' holds events of an earlier topic '\(file.topic)' (\(notes.generation), now \(generation)); "
          + "archive to another folder")
    }
    return file.offsets.upperBound + 1
  }

  private mutating func hold(_ error: StoreError, now: Duration) throws {
    drop()
    phase = .holding(error.message)
    nextTry = now + retryDelay
    try source.pause(partitions)
  }

  /// Forgets what is not in a finished file.
  private mutating func drop() {
    workers = []
    nextTry = nil
  }
}

/// One partition that is being archived. It belongs to its archiver, which alone uses it.
private final class ArchivingPartition {
  let partition: TopicPartition
  var isAtEnd = false
  private var writer: ArchiveWriter
  private var batch: EventBatch

  init(_ partition: TopicPartition, writer: consuming ArchiveWriter, batch: EventBatch) {
    self.partition = partition
    self.writer = writer
    self.batch = batch
  }

  /// Takes records and returns how many files became complete.
  func take(
    _ messages: ArraySlice<MessageBatch.Message>, bytes: Span<UInt8>, decoder: EventDecoder, _ state: inout DecoderState
  ) throws(StoreError) -> Int {
    var files = 0
    for message in messages {
      let timestamp = message.timestampMilliseconds.flatMap { milliseconds in
        let (microseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? nil : microseconds
      }
      // What is no event has no place here: it is with the rejected events.
      guard let value = message.value else { continue }
      if !batch.hasRoom(forMessageOf: value.count) { files += try write(decoder, &state) }
      batch.append(message: bytes.extracting(value), offset: message.offset, timestamp: timestamp)
      isAtEnd = false
    }
    return files + (try write(decoder, &state))
  }

  func finish(decoder: EventDecoder, _ state: inout DecoderState) throws(StoreError) -> Int {
    try write(decoder, &state) + (writer.cut() == nil ? 0 : 1)
  }

  private func write(_ decoder: EventDecoder, _ state: inout DecoderState) throws(StoreError) -> Int {
    guard !batch.positions.isEmpty else { return 0 }
    decoder.decode(&batch, &state)
    defer { batch.removeAll() }
    return try writer.append(batch).count
  }
}

internal import FraudCore

/// One thread of a scoring run: its batch, its decoder's state, its text.
struct ScoringWorker: ~Copyable {
  private let pipeline: Pipeline
  private let emission: ScoreEmission
  private let redaction: Redaction
  private let source: BlockSource
  private let shared: ScoringThreads
  /// `nil` where all threads share one that sees the events in order, and while it is in use.
  private var engine: Engine?
  private var state: DecoderState
  private var batch: EventBatch
  private var alertText: AlertText
  /// What reading a row group leaves for the next one; `nil` while it is in use.
  private var parquetMemory: ParquetMemory?
  private var output = ScoreOutput()
  /// What no engine saw.
  private var beside: RunSummary

  init(_ scoring: FileScoring, source: BlockSource, shared: ScoringThreads) {
    pipeline = scoring.pipeline
    emission = scoring.emission
    redaction = Redaction(schema: pipeline.definition.schema)
    state = DecoderState(pipeline.decoder)
    let unread = EventSource(topic: "")
    batch = EventBatch(layout: pipeline.layout, source: unread)
    alertText = AlertText(pipeline: pipeline, version: nil, source: unread)
    engine = shared.isOrdered ? nil : Engine(pipeline, lists: scoring.lists)
    beside = RunSummary(pipeline: pipeline)
    self.source = source
    self.shared = shared
  }

  /// Takes blocks until there are none.
  mutating func run() {
    var events = 0
    var byteCount = 0
    do throws(StoreError) {
      blocks: while let block = try source.next(into: &batch.bytes, events: events, byteCount: byteCount) {
        output.removeAll()
        if batch.source != block.source {
          batch.source = block.source
          alertText = AlertText(pipeline: pipeline, version: nil, source: block.source)
        }
        switch block.content {
        case .large(let event):
          guard reject(event, block) else { break blocks }
          events = 0
        case .rowGroup(let file, let group):
          guard try score(file, group, block) else { break blocks }
          (events, byteCount) = (0, 0)
        case .events:
          byteCount = batch.byteCount
          guard let scored = score(block) else { break blocks }
          events = Int(scored)
        }
      }
    } catch {
      shared.fail(error)
    }
    if let engine { shared.add(engine.summary) }
    shared.add(beside)
  }

  /// Decodes and evaluates a block; returns how many events it had, or nothing where there is no use in going on.
  private mutating func score(_ block: InputBlock) -> Int64? {
    if block.columns == nil {
      pipeline.decoder.beginLines(&batch, &state)
    } else {
      pipeline.decoder.beginRecords(&batch, &state)
    }
    var isMore = decodeNext(block)
    let total =
      block.columns == nil ? pipeline.decoder.count(batch, state) : pipeline.decoder.countRecords(batch, state)
    guard let before = shared.count(block, events: total.events, lines: total.lines) else { return nil }
    if var own = engine.take() {
      while isMore {
        evaluate(&own, before, block)
        isMore = decodeNext(block)
      }
      engine = own
    }
    let isUseful = shared.inTurn(block.number) { (writer, ordered) throws(StoreError) in
      // The batch that was decoded above waited for this turn.
      if var inOrder = ordered.take() {
        while isMore {
          evaluate(&inOrder, before, block)
          isMore = decodeNext(block)
        }
        ordered = inOrder
      }
      try writer.write(output)
    }
    return isUseful ? total.events : nil
  }

  /// Reads and evaluates a row group; whether there is any use in going on.
  private mutating func score(_ file: ParquetFile, _ group: Int, _ block: InputBlock) throws(StoreError) -> Bool {
    let rowCount = file.metadata.rowGroups[group].rowCount
    guard shared.count(block, events: rowCount, lines: 0) != nil else { return false }
    var reader = try ParquetBatchReader(
      file, schema: pipeline.definition.schema, layout: pipeline.layout,
      fields: emission == .alerts || shared.keepsRejected || shared.keepsErrors
        ? nil : pipeline.fieldsRead(named: emission == .decisions), rowGroups: [group],
      memory: parquetMemory.take() ?? ParquetMemory())
    if var own = engine.take() {
      while try reader.next() { evaluate(&own, &reader, block) }
      engine = own
    }
    let isUseful = shared.inTurn(block.number) { (writer, ordered) throws(StoreError) in
      if var inOrder = ordered.take() {
        while try reader.next() { evaluate(&inOrder, &reader, block) }
        ordered = inOrder
      }
      try writer.write(output)
    }
    parquetMemory = reader.release()
    return isUseful
  }

  /// Evaluates the batch of a reader, which numbers its rows itself.
  private mutating func evaluate(_ engine: inout Engine, _ reader: inout ParquetBatchReader, _ block: InputBlock) {
    swap(&batch, &reader.batch)
    state.take(rejected: reader.rejected)
    if shared.keepsRejected { writeRejected((0, 0), block) }
    swap(&engine.decoding, &state)
    engine.evaluate(&batch)
    swap(&engine.decoding, &state)
    write(engine)
    swap(&batch, &reader.batch)
  }

  private mutating func decodeNext(_ block: InputBlock) -> Bool {
    guard let columns = block.columns else { return pipeline.decoder.decodeLines(&batch, &state) }
    return pipeline.decoder.decodeRecords(&batch, &state, columns)
  }

  private mutating func evaluate(_ engine: inout Engine, _ before: (events: Int64, lines: Int64), _ block: InputBlock) {
    for row in 0..<batch.rowCount {
      batch.positions[row].offset += before.events
      batch.positions[row].line += before.lines
    }
    if shared.keepsRejected { writeRejected(before, block) }
    // The engine looks at what its own state rejected.
    swap(&engine.decoding, &state)
    engine.evaluate(&batch)
    swap(&engine.decoding, &state)
    write(engine)
  }

  /// Writes what an engine found in the batch.
  private mutating func write(_ engine: borrowing Engine) {
    output.append(engine, batch: batch, emission: emission, alertText, keepsErrors: shared.keepsErrors)
  }

  private mutating func writeRejected(_ before: (events: Int64, lines: Int64), _ block: InputBlock) {
    for var event in state.rejected {
      event.position.offset += before.events
      event.position.line += before.lines
      let start = event.position.start
      let payload = Array(batch.bytes[start..<(start + event.position.count)])
      let masked =
        block.columns.map { redaction.masked(rejectedRecord: payload, $0) } ?? redaction.masked(rejected: payload)
      event.append(payload: masked, from: block.source, to: &output.rejected)
    }
  }

  /// Writes an event that is too long to be decoded.
  private mutating func reject(_ event: LargeEvent, _ block: InputBlock) -> Bool {
    guard let before = shared.count(block, events: 1, lines: 1) else { return false }
    let position = EventPosition(offset: before.events, line: before.lines + 1, start: 0, count: event.count)
    let rejected = RejectedEvent(
      reason: .tooLarge, detail: "the event has \(event.count) bytes, more than \(Limits.eventBytes)",
      position: position)
    beside.rejected[.tooLarge, default: 0] += 1
    return shared.inTurn(block.number) { (writer, _) throws(StoreError) in
      if shared.keepsRejected {
        rejected.append(
          payload: redaction.masked(rejected: event.bytes), length: event.sha256 == nil ? nil : event.count,
          sha256: event.sha256, from: block.source, to: &output.rejected)
      }
      try writer.write(output)
      // Text of this length is not kept.
      output = ScoreOutput()
    }
  }
}

internal import FraudCore

/// The events of some files one after the other, decoded, batch by batch.
struct DecodedInput {
  /// The rows just read, whose places are those of their file.
  private(set) var batch: EventBatch
  /// What was rejected among them, as it is kept.
  private(set) var rejected: [RejectedEvent] = []
  /// The texts of these, with what is sensitive masked.
  private(set) var rejectedText: [UInt8] = []
  /// Fields of the rows just read that no schema declares.
  private(set) var unknownFields = 0
  private let source: BlockSource
  private let decoder: EventDecoder
  private let redaction: Redaction
  private let keepsRejected: Bool
  private var state: DecoderState
  private var block: InputBlock?
  private var parquet: ParquetRows?
  /// Events and lines of the file before the block at hand.
  private var before: (events: Int64, lines: Int64) = (0, 0)

  /// A reader cannot be copied, so one that is at hand is held.
  private final class ParquetRows {
    var reader: ParquetBatchReader
    init(_ reader: consuming ParquetBatchReader) { self.reader = reader }
  }

  init(_ source: BlockSource, decoder: EventDecoder, layout: ColumnLayout, keepsRejected: Bool) {
    self.source = source
    self.decoder = decoder
    self.keepsRejected = keepsRejected
    redaction = Redaction(schema: decoder.schema)
    state = DecoderState(decoder)
    batch = EventBatch(layout: layout, source: EventSource(topic: ""))
  }

  /// The file that was read last.
  var last: EventSource { source.last }

  /// Reads the next rows; a batch may have none of them and rejected events alone.
  ///
  /// - Returns: whether there was anything.
  mutating func next() throws(StoreError) -> Bool {
    rejected.removeAll(keepingCapacity: true)
    rejectedText.removeAll(keepingCapacity: true)
    unknownFields = 0
    while true {
      if try readOn() { return true }
      guard let next = try source.next(into: &batch.bytes, events: 0, byteCount: 0) else { return false }
      block = next
      batch.source = next.source
      if next.isFirstOfInput { before = (0, next.linesBefore) }
      switch next.content {
      case .events:
        if next.columns == nil { decoder.beginLines(&batch, &state) } else { decoder.beginRecords(&batch, &state) }
      case .large(let event):
        block = nil
        reject(event, next)
        return true
      case .rowGroup(let file, let group):
        parquet = ParquetRows(
          try ParquetBatchReader(file, schema: decoder.schema, layout: batch.layout, rowGroups: [group]))
      }
    }
  }

  /// Decodes the next rows of the block at hand.
  private mutating func readOn() throws(StoreError) -> Bool {
    guard let block else { return false }
    if let parquet {
      if try parquet.reader.next() {
        batch = parquet.reader.batch
        keep(parquet.reader.rejected, block)
        return true
      }
      (self.parquet, self.block) = (nil, nil)
      return false
    }
    let isMore: Bool
    if let columns = block.columns {
      isMore = decoder.decodeRecords(&batch, &state, columns)
    } else {
      isMore = decoder.decodeLines(&batch, &state)
    }
    if isMore {
      for row in 0..<batch.rowCount {
        batch.positions[row].offset += before.events
        batch.positions[row].line += before.lines
      }
      unknownFields = state.unknownFields
      keep(
        state.rejected.map {
          var event = $0
          event.position.offset += before.events
          event.position.line += before.lines
          return event
        }, block)
      return true
    }
    let total = block.columns == nil ? decoder.count(batch, state) : decoder.countRecords(batch, state)
    before.events += total.events
    before.lines += total.lines
    self.block = nil
    return false
  }

  private mutating func keep(_ events: [RejectedEvent], _ block: InputBlock) {
    rejected = events
    guard keepsRejected else { return }
    for event in events {
      let start = event.position.start
      let payload = Array(batch.bytes[start..<(start + event.position.count)])
      let masked =
        block.columns.map { redaction.masked(rejectedRecord: payload, $0) } ?? redaction.masked(rejected: payload)
      event.append(payload: masked, from: block.source, to: &rejectedText)
    }
  }

  private mutating func reject(_ event: LargeEvent, _ block: InputBlock) {
    let position = EventPosition(offset: before.events, line: before.lines + 1, start: 0, count: event.count)
    let rejection = RejectedEvent(
      reason: .tooLarge, detail: "the event has \(event.count) bytes, more than \(Limits.eventBytes)",
      position: position)
    before.events += 1
    before.lines += 1
    rejected = [rejection]
    batch.removeAll()
    guard keepsRejected else { return }
    rejection.append(
      payload: redaction.masked(rejected: event.bytes), length: event.sha256 == nil ? nil : event.count,
      sha256: event.sha256, from: block.source, to: &rejectedText)
  }
}

import Foundation
internal import FraudCore

/// One block of one input, with its place.
struct InputBlock {
  enum Content {
    case events
    case large(LargeEvent)
    /// A row group of a Parquet file, whose bytes its reader gets itself.
    case rowGroup(ParquetFile, Int)
  }

  /// Blocks are numbered from 0 over all inputs.
  var number: Int
  var content: Content
  var source: EventSource
  /// Whether record numbers start anew.
  var isFirstOfInput: Bool
  /// Lines of the input before its first event.
  var linesBefore: Int64
  /// How CSV columns hold fields; `nil` for NDJSON.
  var columns: CSVLayout?
}

/// Hands out the blocks of all inputs, one after the other, to whichever thread asks.
///
/// `@unchecked Sendable`: everything that changes is touched with the lock held, reading included, so blocks come in
/// order.
final class BlockSource: @unchecked Sendable {
  private let inputs: [String]
  private let format: InputFormat?
  private let schema: Schema
  private let isStopped: @Sendable () -> Bool
  private let lock = NSLock()
  private var nextInput = 0
  private var reader: OpenInput?
  private var number = 0
  /// A Parquet file that is being handed out by row groups, and the next of them.
  private var parquet: (file: ParquetFile, source: EventSource, nextGroup: Int)?

  /// An input that is being read.
  private final class OpenInput {
    var reader: BlockReader
    let source: EventSource
    let columns: CSVLayout?
    let headerLines: Int64
    var isFirst = true

    init(_ reader: consuming BlockReader, source: EventSource, columns: CSVLayout?, headerLines: Int64) {
      self.reader = reader
      self.source = source
      self.columns = columns
      self.headerLines = headerLines
    }
  }

  init(inputs: [String], format: InputFormat?, schema: Schema, isStopped: @escaping @Sendable () -> Bool) {
    self.inputs = inputs
    self.format = format
    self.schema = schema
    self.isStopped = isStopped
  }

  /// The input that blocks came from last.
  var last: EventSource {
    lock.lock()
    defer { lock.unlock() }
    return EventSource(topic: nextInput == 0 ? "" : topic(inputs[nextInput - 1]))
  }

  /// What an input is called in results.
  private func topic(_ path: String) -> String {
    path == "-" ? "stdin" : String(path.split(separator: "/").last ?? "")
  }

  /// Reads the next block into `bytes`; `nil` at the end of the last input.
  ///
  /// - Parameters:
  ///   - events: how many events the last block of the same thread held, and `byteCount` its bytes.
  func next(into bytes: inout [UInt8], events: Int, byteCount: Int) throws(StoreError) -> InputBlock? {
    lock.lock()
    defer { lock.unlock() }
    while !isStopped() {
      if let block = nextRowGroup() { return block }
      guard let open = try openInput() else {
        if parquet == nil { return nil }
        continue
      }
      open.reader.observe(events: events, bytes: byteCount)
      let content: InputBlock.Content
      switch try open.reader.next(into: &bytes) {
      case .end:
        reader = nil
        continue
      case .events: content = .events
      case .large(let event): content = .large(event)
      }
      defer {
        number += 1
        open.isFirst = false
      }
      return InputBlock(
        number: number, content: content, source: open.source, isFirstOfInput: open.isFirst,
        linesBefore: open.headerLines, columns: open.columns)
    }
    return nil
  }

  private func nextRowGroup() -> InputBlock? {
    guard let (file, source, group) = parquet else { return nil }
    guard group < file.metadata.rowGroups.count else {
      parquet = nil
      return nil
    }
    parquet?.nextGroup += 1
    defer { number += 1 }
    return InputBlock(
      number: number, content: .rowGroup(file, group), source: source, isFirstOfInput: group == 0, linesBefore: 0,
      columns: nil)
  }

  /// The input being read, or the next one; `nil` at the end and where the next one is a Parquet file.
  private func openInput() throws(StoreError) -> OpenInput? {
    if let reader { return reader }
    guard nextInput < inputs.count else { return nil }
    let path = inputs[nextInput]
    nextInput += 1
    let format = format ?? InputFormat(path: path)
    let topic = topic(path)
    if format == .parquet {
      guard path != "-" else {
        throw StoreError(
          code: .corrupt, message: "Parquet cannot be read from stdin: its footer comes last; name the file")
      }
      parquet = (try ParquetFile(path: path), EventSource(topic: topic), 0)
      return nil
    }
    var blocks = BlockReader(try ByteStream(path: path), format: format, isStopped: isStopped)
    var columns: CSVLayout?
    var headerLines: Int64 = 0
    if format == .csv {
      let header = try blocks.readHeader()
      headerLines = 1 + Int64(header.count { $0 == UInt8(ascii: "\n") })
      do throws(CSVLayout.Problem) {
        columns = try CSVLayout(header: header.span, schema: schema)
      } catch {
        throw StoreError(code: .corrupt, message: "\(path): \(error)")
      }
    }
    let open = OpenInput(blocks, source: EventSource(topic: topic), columns: columns, headerLines: headerLines)
    reader = open
    return open
  }
}

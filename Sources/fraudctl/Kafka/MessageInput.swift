import FraudCore
import FraudStore

/// The messages of a file or of stdin, one after the other: lines as they are, or CSV records as JSON objects. A file whose
/// name ends in `.zst` is unpacked as it streams.
final class MessageInput {
  enum Format: String, CaseIterable { case ndjson, csv }

  /// Longer messages end the reading with an error: no broker takes them.
  static let messageBytesMax = 32 << 20
  private static let chunkBytes = 1 << 18

  /// The line or record of the last message, from 1; the header of a CSV file is its first.
  private(set) var line = 0

  private let format: Format
  private let schema: Schema?
  private var stream: ByteStream
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtStart = true
  private var isAtEnd = false
  private var objects: CSVObjects?
  private var record = CSVRecord()

  /// Opens a file, or stdin for `-`.
  ///
  /// - Throws: ``Failure`` (65) where there is no such file, or one of another kind.
  init(path: String, format: Format? = nil, schema: Schema? = nil) throws {
    guard let format = format ?? Format(rawValue: InputFormat(path: path).rawValue) else {
      throw Failure.invalid("\(path): produce reads NDJSON and CSV")
    }
    self.format = format
    self.schema = schema
    do {
      stream = try ByteStream(path: path)
    } catch {
      throw Failure.invalid(error.message)
    }
  }

  /// What is read, for messages to people.
  var name: String { stream.name }

  /// Reads the next message.
  ///
  /// - Returns: whether there was one. A record that makes no object gives an empty message and its `problem`.
  /// - Throws: ``Failure`` where the file cannot be read on, or its header is unusable.
  func next(into message: inout [UInt8], problem: inout String?) throws -> Bool {
    message.removeAll(keepingCapacity: true)
    problem = nil
    switch format {
    case .ndjson: return try nextLine(into: &message)
    case .csv: return try nextObject(into: &message, problem: &problem)
    }
  }

  private func nextLine(into message: inout [UInt8]) throws -> Bool {
    var scanned = start
    while true {
      if let end = Self.firstNewline(buffer.span, from: scanned) {
        line += 1
        var content = start..<end
        start = end + 1
        if let last = buffer[content].last, last == UInt8(ascii: "\r") { content = content.lowerBound..<(end - 1) }
        if isBlank(content) {
          scanned = start
          continue
        }
        message.append(contentsOf: buffer[content])
        return true
      }
      scanned = buffer.count - start
      if try !fill() {
        let content = start..<buffer.count
        start = buffer.count
        // An interruption may have cut the line off.
        if isBlank(content) || Interruption.isRequested { return false }
        line += 1
        message.append(contentsOf: buffer[content])
        return true
      }
      scanned += start
    }
  }

  private func nextObject(into message: inout [UInt8], problem: inout String?) throws -> Bool {
    // Held in a local while the buffer is lent.
    var record = CSVRecord()
    swap(&record, &self.record)
    defer { swap(&record, &self.record) }
    while true {
      if start == buffer.count, try !fill() { return false }
      guard let next = record.read(buffer.span, from: start, isLast: isAtEnd) else {
        _ = try fill()
        continue
      }
      start = next
      line += 1
      if record.isBlank { continue }
      if record.isMalformed { problem = "a cell breaks the rules of quotes" }
      if let objects {
        problem = problem ?? objects.write(record, to: &message)
        return true
      }
      if let problem { throw Failure.invalid("\(name): the header is no CSV: \(problem)") }
      objects = try CSVObjects(header: record, schema: schema, path: name)
    }
  }

  private static func firstNewline(_ bytes: Span<UInt8>, from position: Int) -> Int? {
    var position = position
    while position < bytes.count {
      if bytes[position] == UInt8(ascii: "\n") { return position }
      position += 1
    }
    return nil
  }

  private func isBlank(_ range: Range<Int>) -> Bool {
    buffer[range].allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
  }

  /// Reads more behind what is left; returns whether anything came. `start` is 0 afterwards.
  private func fill() throws -> Bool {
    buffer.removeSubrange(..<start)
    start = 0
    guard !isAtEnd else { return false }
    guard buffer.count <= Self.messageBytesMax else {
      throw Failure.failed("\(name), line \(line + 1): a message is longer than 32 MiB")
    }
    let count = try stream.read(into: &buffer, upTo: Self.chunkBytes) { Interruption.isRequested }
    isAtEnd = count == 0
    if isAtStart, buffer.starts(with: [0xEF, 0xBB, 0xBF]) { buffer.removeFirst(3) }
    isAtStart = false
    return count > 0
  }
}

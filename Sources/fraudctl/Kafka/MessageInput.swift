import Foundation
import FraudCore

/// The messages of a file or of stdin, one after the other: lines as they are, or CSV records as JSON objects.
struct MessageInput {
  enum Format: String, CaseIterable { case ndjson, csv }

  /// Longer messages end the reading with an error: no broker takes them.
  static let messageBytesMax = 32 << 20
  private static let chunkBytes = 1 << 18

  /// What is read, for messages to people.
  let path: String
  /// The line or record of the last message, from 1; the header of a CSV file is its first.
  private(set) var line = 0
  /// Bytes read so far.
  private(set) var bytesRead = 0

  private let format: Format
  private let schema: Schema?
  private let file: FileHandle
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false
  private var objects: CSVObjects?
  private var record = CSVRecord()

  /// Opens a file, or stdin for `-`.
  ///
  /// - Throws: ``Failure`` (65) where there is no such file.
  init(path: String, format: Format? = nil, schema: Schema? = nil) throws {
    self.format = format ?? (path.hasSuffix(".csv") ? .csv : .ndjson)
    self.schema = schema
    if path == "-" {
      self.path = "stdin"
      file = .standardInput
    } else {
      self.path = path
      var isDirectory: ObjCBool = false
      let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
      guard exists, !isDirectory.boolValue else {
        throw Failure.invalid(isDirectory.boolValue ? "\(path) is a directory" : "there is no file \(path)")
      }
      do {
        file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      } catch {
        throw Failure.invalid("cannot read \(path): \(explain(error))")
      }
    }
  }

  /// Reads the next message.
  ///
  /// - Returns: whether there was one. A record that makes no object gives an empty message and its `problem`.
  /// - Throws: ``Failure`` where the file cannot be read on, or its header is unusable.
  mutating func next(into message: inout [UInt8], problem: inout String?) throws -> Bool {
    message.removeAll(keepingCapacity: true)
    problem = nil
    switch format {
    case .ndjson: return try nextLine(into: &message)
    case .csv: return try nextObject(into: &message, problem: &problem)
    }
  }

  private mutating func nextLine(into message: inout [UInt8]) throws -> Bool {
    var scanned = start
    while true {
      if let end = firstNewline(from: scanned) {
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
        if isBlank(content) { return false }
        line += 1
        message.append(contentsOf: buffer[content])
        return true
      }
      scanned += start
    }
  }

  private mutating func nextObject(into message: inout [UInt8], problem: inout String?) throws -> Bool {
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
      if let problem { throw Failure.invalid("\(path): the header is no CSV: \(problem)") }
      objects = try CSVObjects(header: record, schema: schema, path: path)
    }
  }

  private func firstNewline(from position: Int) -> Int? {
    let bytes = buffer.span
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
  private mutating func fill() throws -> Bool {
    buffer.removeSubrange(..<start)
    start = 0
    guard !isAtEnd else { return false }
    guard buffer.count <= Self.messageBytesMax else {
      throw Failure.failed("\(path), line \(line + 1): a message is longer than 32 MiB")
    }
    let count = try readChunk()
    isAtEnd = count == 0
    let isFirst = bytesRead == 0
    bytesRead += count
    if isFirst, buffer.starts(with: [0xEF, 0xBB, 0xBF]) { buffer.removeFirst(3) }
    return count > 0
  }

  /// Appends what the file has next to the buffer and returns its count: 0 at the end, and when the command is
  /// interrupted while it waits for a pipe.
  private mutating func readChunk() throws -> Int {
    let descriptor = file.fileDescriptor
    while !Interruption.isRequested {
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&request, 1, 200) > 0 else { continue }
      let before = buffer.count
      buffer.append(contentsOf: repeatElement(0, count: Self.chunkBytes))
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe read(descriptor, $0.baseAddress.map { unsafe $0 + before }, Self.chunkBytes)
      }
      let problem = errno
      buffer.removeLast(Self.chunkBytes - max(0, count))
      if count >= 0 { return count }
      guard problem == EINTR || problem == EAGAIN else {
        throw Failure.failed("cannot read \(path): \(unsafe String(cString: strerror(problem)))")
      }
    }
    return 0
  }
}

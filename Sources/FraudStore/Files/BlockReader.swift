internal import FraudCore

/// How the events of a file are written.
package enum InputFormat: String, Sendable, CaseIterable {
  case ndjson
  case csv
  case parquet

  /// The format that a file's name stands for, `.zst` aside; NDJSON where it says nothing.
  package init(path: String) {
    let name = path.hasSuffix(".zst") ? String(path.dropLast(4)) : path
    self = name.hasSuffix(".csv") ? .csv : name.hasSuffix(".parquet") ? .parquet : .ndjson
  }
}

/// An event that is too long to be decoded.
package struct LargeEvent: Sendable {
  /// The whole event, or its head where it is longer than the reader keeps.
  package var bytes: [UInt8]
  package var count: Int
  /// Of the whole event, where only its head is kept.
  package var sha256: [UInt8]?
}

/// Cuts a stream of NDJSON or CSV into blocks of whole lines or records, which may then be decoded apart from each other.
package struct BlockReader: ~Copyable {
  /// What a block is.
  package enum Content {
    /// Whole lines or records, with padding behind them.
    case events
    /// One event beyond ``Limits/eventBytes``.
    case large(LargeEvent)
    case end
  }

  package let format: InputFormat
  private var stream: ByteStream
  private let isStopped: @Sendable () -> Bool
  /// Bytes of an event that are kept whole.
  private let keptBytesMax: Int
  /// The start of a line that the last block broke off.
  private var carry: [UInt8] = []
  private var isAtStart = true
  private var isAtEnd = false
  /// Bytes to aim at: a batch of events of the size seen so far.
  private var blockBytes = 1 << 17

  /// Blocks are neither so small that reading them costs more than decoding, nor so large that they leave the cache.
  private static let blockRange = (1 << 16)...(1 << 19)
  /// Bytes of a very long event that are kept.
  private static let headBytes = 1 << 16

  /// Starts at the stream's start.
  package init(
    _ stream: consuming ByteStream, format: InputFormat, keptBytesMax: Int = Limits.rejectedEventBytes,
    isStopped: @escaping @Sendable () -> Bool
  ) {
    self.stream = stream
    self.format = format
    self.keptBytesMax = keptBytesMax
    self.isStopped = isStopped
  }

  /// What the stream is called in messages.
  package var name: String { stream.name }

  /// Tells how many events the last block held, so that the next ones fill a batch.
  package mutating func observe(events: Int, bytes: Int) {
    guard events > 0 else { return }
    let wanted = bytes / events * (Limits.batchRows * 9 / 10)
    blockBytes = min(max(wanted, Self.blockRange.lowerBound), Self.blockRange.upperBound)
  }

  /// Reads the header record of a CSV file, without its line end.
  ///
  /// - Throws: ``StoreError`` with code `corrupt` where there is none.
  package mutating func readHeader() throws(StoreError) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      try fill(&bytes)
      let end = CSVScanner.headerEnd(bytes.span, bytes.count, isLast: isAtEnd)
      if end >= 0 {
        carry = Array(bytes[min(end + 1, bytes.count)...])
        bytes.removeLast(bytes.count - end)
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        return bytes
      }
      guard !isAtEnd, bytes.count <= Limits.eventBytes else {
        throw StoreError(code: .corrupt, message: "\(name): the CSV header does not end")
      }
      swap(&bytes, &carry)
      bytes.removeAll()
    }
  }

  /// Reads the next block.
  ///
  /// - Parameter bytes: replaced by the block's lines and ``EventBatch/padding`` zeros.
  /// - Throws: ``StoreError`` as ``ByteStream`` does.
  /// - Complexity: allocates nothing once the block's size has settled.
  package mutating func next(into bytes: inout [UInt8]) throws(StoreError) -> Content {
    bytes.removeAll(keepingCapacity: true)
    while true {
      try fill(&bytes)
      if bytes.isEmpty && isAtEnd { return .end }
      let end = isAtEnd ? bytes.count : wholeEnd(bytes)
      if end > 0 && !(isAtEnd && bytes.count > Limits.eventBytes && wholeEnd(bytes) == 0) {
        carry.append(contentsOf: bytes[end...])
        bytes.removeLast(bytes.count - end)
        bytes.append(contentsOf: repeatElement(0, count: EventBatch.padding))
        return .events
      }
      if bytes.count > Limits.eventBytes { return .large(try readLarge(bytes)) }
      swap(&bytes, &carry)
    }
  }

  /// Puts what is carried over in front and reads on behind it.
  private mutating func fill(_ bytes: inout [UInt8]) throws(StoreError) {
    if bytes.isEmpty { swap(&bytes, &carry) } else { bytes.append(contentsOf: carry) }
    carry.removeAll(keepingCapacity: true)
    guard !isAtEnd else { return }
    let wanted = max(blockBytes - bytes.count, 1 << 14)
    let count = try stream.read(into: &bytes, upTo: wanted, isStopped: isStopped)
    isAtEnd = count == 0
    if isAtStart && (bytes.count >= 3 || isAtEnd) {
      isAtStart = false
      // A byte order mark is no part of the first line.
      if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    }
  }

  /// Behind the last whole line or record; 0 where there is none.
  private func wholeEnd(_ bytes: [UInt8]) -> Int {
    if format == .csv { return CSVScanner.wholeRecordsEnd(bytes.span, 0, bytes.count) }
    return (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
  }

  /// Reads a line that has become too long up to its end.
  private mutating func readLarge(_ start: [UInt8]) throws(StoreError) -> LargeEvent {
    var event = LargeEvent(bytes: start, count: start.count, sha256: nil)
    var hash: SHA256?
    var piece: [UInt8] = []
    while true {
      piece.removeAll(keepingCapacity: true)
      let count = try stream.read(into: &piece, upTo: 1 << 16, isStopped: isStopped)
      let newline = piece.firstIndex(of: UInt8(ascii: "\n"))
      let part = piece[..<(newline ?? count)]
      event.count += part.count
      if hash == nil && event.count > keptBytesMax {
        var started = SHA256()
        started.update(event.bytes.span)
        hash = started
        event.bytes = Array(event.bytes[..<Self.headBytes])
      }
      if hash == nil { event.bytes.append(contentsOf: part) } else { hash?.update(part) }
      if let newline { carry = Array(piece[(newline + 1)...]) }
      isAtEnd = count == 0
      if newline != nil || isAtEnd { break }
    }
    event.sha256 = hash?.finalize()
    return event
  }
}

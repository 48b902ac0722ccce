/// The lines of a block that hold events: where each starts, how long it is, and which line it is.
struct LineIndex {
  private struct Line {
    var start: UInt32
    var count: UInt32
    /// Lines before it in the block, blank ones included.
    var before: UInt32
  }

  private var lines: [Line] = []
  private var next = 0
  /// Lines in the block, blank ones included.
  private(set) var lineCount = 0

  /// Lines with events in the block.
  var eventCount: Int { lines.count }
  var isAtEnd: Bool { next == lines.count }

  /// Finds the lines of `count` bytes, of which the last one need not end with a newline.
  mutating func split(_ bytes: Span<UInt8>, count: Int) {
    lines.removeAll(keepingCapacity: true)
    next = 0
    lineCount = 0
    var start = 0
    var position = 0
    while position &+ 16 <= count {
      let found = bytes.vector(at: position) .== UInt8(ascii: "\n")
      let words = unsafe unsafeBitCast(found, to: SIMD2<UInt64>.self)
      var low = UInt64(littleEndian: words[0])
      var high = UInt64(littleEndian: words[1])
      while low | high != 0 {
        let lane: Int
        if low != 0 {
          lane = low.trailingZeroBitCount &>> 3
          low &= ~(0xFF &<< UInt64(8 &* lane))
        } else {
          lane = 8 &+ high.trailingZeroBitCount &>> 3
          high &= ~(0xFF &<< UInt64(8 &* (lane &- 8)))
        }
        add(bytes, start, position &+ lane)
        start = position &+ lane &+ 1
      }
      position &+= 16
    }
    while position < count {
      if bytes[position] == UInt8(ascii: "\n") {
        add(bytes, start, position)
        start = position &+ 1
      }
      position &+= 1
    }
    if start < count { add(bytes, start, count) }
  }

  /// Adds a line unless it is blank.
  @inline(always)
  private mutating func add(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) {
    if start < end, bytes[start] > 0x20 || JSONScanner.skipSpace(bytes, start, end) < end {
      lines.append(
        Line(
          start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: end &- start),
          before: UInt32(truncatingIfNeeded: lineCount)))
    }
    lineCount &+= 1
  }

  /// Appends the positions of the next lines, counted from where the block starts in its source.
  mutating func take(_ count: Int, firstOffset: Int64, firstLine: Int64, into positions: inout [EventPosition]) {
    let end = min(next + count, lines.count)
    for index in next..<end {
      let line = lines[index]
      positions.append(
        EventPosition(
          offset: firstOffset &+ Int64(index), line: firstLine &+ Int64(line.before), start: Int(line.start),
          count: Int(line.count)))
    }
    next = end
  }
}

internal import FraudCore

/// The least and greatest value of a page or a column chunk, in its column's order.
///
/// Doubles leave NaN out, and a zero bound is written as -0.0 below and +0.0 above, as the format asks. Texts compare
/// by unsigned bytes, which for UTF-8 is the order of code points.
enum ValueBounds {
  case none
  case integers(Int64, Int64)
  case doubles(Double, Double)
  case booleans(Bool, Bool)
  case texts([UInt8], [UInt8])

  /// Bytes of a text that statistics keep.
  static let textByteLimit = 64

  /// Widens to hold another page's bounds, too.
  mutating func formUnion(_ other: ValueBounds) {
    switch (self, other) {
    case (_, .none): return
    case (.none, _): self = other
    case (.integers(let a, let b), .integers(let c, let d)): self = .integers(min(a, c), max(b, d))
    case (.doubles(let a, let b), .doubles(let c, let d)): self = .doubles(min(a, c), max(b, d))
    case (.booleans(let a, let b), .booleans(let c, let d)): self = .booleans(a && c, b || d)
    case (.texts(let a, let b), .texts(let c, let d)):
      self = .texts(
        c.lexicographicallyPrecedes(a) ? c : a, b.lexicographicallyPrecedes(d) ? d : b)
    default: preconditionFailure("bounds of different types")
    }
  }

  /// Both bounds as statistics hold them, long texts cut, and whether they are exact.
  var encoded: (minimum: [UInt8], maximum: [UInt8], isMinimumExact: Bool, isMaximumExact: Bool)? {
    switch self {
    case .none: return nil
    case .integers(let least, let greatest):
      return (Self.bytes(UInt64(bitPattern: least)), Self.bytes(UInt64(bitPattern: greatest)), true, true)
    case .doubles(let least, let greatest):
      let (low, high) = (least == 0 ? -0.0 : least, greatest == 0 ? 0.0 : greatest)
      return (Self.bytes(low.bitPattern), Self.bytes(high.bitPattern), true, true)
    case .booleans(let least, let greatest): return ([least ? 1 : 0], [greatest ? 1 : 0], true, true)
    case .texts(let least, let greatest):
      let minimum = Self.prefix(least)
      guard greatest.count > Self.textByteLimit else { return (minimum, greatest, minimum.count == least.count, true) }
      guard let maximum = Self.successor(ofPrefix: Self.prefix(greatest)) else { return nil }
      return (minimum, maximum, minimum.count == least.count, false)
    }
  }

  private static func bytes(_ word: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
  }

  /// The text cut to ``textByteLimit`` bytes, before a character that would not fit.
  private static func prefix(_ text: [UInt8]) -> [UInt8] {
    guard text.count > textByteLimit else { return text }
    var end = textByteLimit
    while end > 0 && text[end] & 0xC0 == 0x80 { end -= 1 }
    return Array(text[0..<end])
  }

  /// A text above everything that starts with `prefix`: its last character raised by one.
  private static func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
    var text = prefix
    while let last = text.last {
      // Both ends of a byte's range would leave valid UTF-8; then the character before is raised.
      if last != 0x7F && last != 0xBF && last < 0xC0 {
        text[text.count - 1] += 1
        return text
      }
      while let dropped = text.popLast(), dropped & 0xC0 == 0x80 {}
    }
    return nil
  }
}

extension ColumnBuffer {
  /// The bounds of some of the dense values.
  func bounds(ofValues range: Range<Int>) -> ValueBounds {
    guard !range.isEmpty else { return .none }
    switch column.type {
    case .integer, .timestamp:
      var (least, greatest) = (Int64.max, Int64.min)
      let words = words.span
      for index in range {
        let value = Int64(bitPattern: words[index])
        least = min(least, value)
        greatest = max(greatest, value)
      }
      return .integers(least, greatest)
    case .float:
      var (least, greatest) = (Double.infinity, -Double.infinity)
      var isEmpty = true
      let words = words.span
      for index in range {
        let value = Double(bitPattern: words[index])
        guard !value.isNaN else { continue }
        isEmpty = false
        if value < least { least = value }
        if value > greatest { greatest = value }
      }
      return isEmpty ? .none : .doubles(least, greatest)
    case .boolean:
      var (all, any) = (true, false)
      for index in range {
        all = all && words[index] == 1
        any = any || words[index] == 1
      }
      return .booleans(all, any)
    case .string: return textBounds(range)
    }
  }

  private func textBounds(_ range: Range<Int>) -> ValueBounds {
    var (least, greatest) = (0..<0, 0..<0)
    func compare(_ candidate: Range<Int>, in bytes: RawSpan, isFirst: Bool) {
      if isFirst {
        (least, greatest) = (candidate, candidate)
      } else if precedes(candidate, least, in: bytes) {
        least = candidate
      } else if precedes(greatest, candidate, in: bytes) {
        greatest = candidate
      }
    }
    if let dictionary {
      var isSeen = [Bool](repeating: false, count: dictionary.count)
      let bytes = unsafe dictionary.bytes.span.bytes
      for position in range {
        let index = Int(indices[position])
        guard !isSeen[index] else { continue }
        isSeen[index] = true
        compare(dictionary.range(of: index), in: bytes, isFirst: position == range.lowerBound)
      }
      return .texts(Array(dictionary.bytes[least]), Array(dictionary.bytes[greatest]))
    }
    let bytes = unsafe text.span.bytes
    for position in range {
      compare(textRange(position), in: bytes, isFirst: position == range.lowerBound)
    }
    return .texts(Array(text[least]), Array(text[greatest]))
  }

  /// Where a text without a dictionary lies.
  func textRange(_ index: Int) -> Range<Int> {
    (index == 0 ? 0 : textEnds[index - 1])..<textEnds[index]
  }
}

/// Whether one slice of `bytes` comes before another.
private func precedes(_ a: Range<Int>, _ b: Range<Int>, in bytes: RawSpan) -> Bool {
  let shared = min(a.count, b.count)
  var offset = 0
  while shared - offset >= 8 {
    let left = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: a.lowerBound + offset, as: UInt64.self).bigEndian
    let right = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: b.lowerBound + offset, as: UInt64.self).bigEndian
    if left != right { return left < right }
    offset += 8
  }
  while offset < shared {
    let left = unsafe bytes.unsafeLoad(fromByteOffset: a.lowerBound + offset, as: UInt8.self)
    let right = unsafe bytes.unsafeLoad(fromByteOffset: b.lowerBound + offset, as: UInt8.self)
    if left != right { return left < right }
    offset += 1
  }
  return a.count < b.count
}

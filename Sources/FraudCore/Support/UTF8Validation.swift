/// The first byte in `range` that starts something which is not UTF-8, or the range's end.
///
/// ASCII goes by in steps of 64 bytes; only where a step holds a higher byte are sequences looked at one by one, so the
/// cost follows the amount of text that is not ASCII. A newline ends every sequence, so that lines may be validated
/// together: the first fault of a block is the first fault of its line.
///
/// - Source: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
package func firstInvalidUTF8(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
  let end = range.upperBound
  var index = range.lowerBound
  precondition(index >= 0 && end <= bytes.count, "a range inside the bytes")
  while index < end {
    while index &+ 64 <= end {
      let both = bytes.fourWords(at: index) | bytes.fourWords(at: index &+ 32)
      if (both[0] | both[1] | both[2] | both[3]) & 0x8080_8080_8080_8080 != 0 { break }
      index &+= 64
    }
    // Up to 64 bytes by sequences, then try the quick step again.
    let stop = min(end, index &+ 64)
    while index < stop {
      if index &+ 8 <= end, bytes.word(at: index) & 0x8080_8080_8080_8080 == 0 {
        index &+= 8
        continue
      }
      let length = sequenceLength(bytes, at: index, end: end)
      if length == 0 { return index }
      index &+= length
    }
  }
  return end
}

/// The length of the well-formed sequence at `index`, or 0.
@inline(always)
private func sequenceLength(_ bytes: Span<UInt8>, at index: Int, end: Int) -> Int {
  let lead = bytes[index]
  if lead < 0x80 { return 1 }
  let left = end &- index
  if lead < 0xE0 {
    return lead >= 0xC2 && left >= 2 && isContinuation(bytes[index &+ 1]) ? 2 : 0
  }
  if lead < 0xF0 {
    guard left >= 3 else { return 0 }
    let second = bytes[index &+ 1]
    guard isContinuation(second), isContinuation(bytes[index &+ 2]) else { return 0 }
    if lead == 0xE0 && second < 0xA0 { return 0 }  // overlong
    if lead == 0xED && second >= 0xA0 { return 0 }  // a surrogate
    return 3
  }
  guard lead <= 0xF4, left >= 4 else { return 0 }
  let second = bytes[index &+ 1]
  guard isContinuation(second), isContinuation(bytes[index &+ 2]), isContinuation(bytes[index &+ 3]) else { return 0 }
  if lead == 0xF0 && second < 0x90 { return 0 }  // overlong
  if lead == 0xF4 && second >= 0x90 { return 0 }  // beyond U+10FFFF
  return 4
}

@inline(always)
private func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

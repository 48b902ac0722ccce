/// Text written into room that stands ready, eight or sixteen bytes at a time: what alerts are made with.
///
/// Appending to an array asks each time who else holds it and whether there is room, which took as long as the text itself.
/// Here the caller makes room once, for the longest that the text can be and ``MutableSpan/textSlack`` more, since a store
/// may run over the end of what is written; the next one covers it. Every store is checked against the span's end.
///
/// The forms are those of ``JSONText``.
extension MutableSpan<UInt8> {
  /// Bytes behind the text that a store may touch.
  static var textSlack: Int { 16 }

  /// Part of some bytes as they are.
  @inline(always)
  mutating func put(_ source: Span<UInt8>, _ range: Range<Int>, at position: inout Int) {
    var from = range.lowerBound
    while from < range.upperBound {
      guard from &+ 16 <= source.count else { break }
      store(source.vector(at: from), at: position &+ (from &- range.lowerBound))
      from &+= 16
    }
    while from < range.upperBound {
      self[position &+ (from &- range.lowerBound)] = source[from]
      from &+= 1
    }
    position &+= range.count
  }

  /// A string as it stands between quotes; up to six bytes for each of the text's.
  mutating func put(escaping source: Span<UInt8>, _ range: Range<Int>, at position: inout Int) {
    var from = range.lowerBound
    while from < range.upperBound {
      let special = JSONScanner.plainTextEnd(source, from, range.upperBound)
      put(source, from..<special, at: &position)
      from = special
      if special < range.upperBound {
        var escape: [UInt8] = []
        JSONText.append(escaping: source, special..<special &+ 1, to: &escape)
        put(escape.span, 0..<escape.count, at: &position)
        from &+= 1
      }
    }
  }

  /// Up to eight bytes, the lowest first.
  @inline(always)
  mutating func put(word: UInt64, count: Int, at position: inout Int) {
    store(word, at: position)
    position &+= count
  }

  @inline(always)
  mutating func put(_ byte: UInt8, at position: inout Int) {
    self[position] = byte
    position &+= 1
  }

  mutating func putNull(at position: inout Int) { put(word: 0x6C6C_756E, count: 4, at: &position) }

  /// An integer, in up to twenty bytes.
  mutating func put(_ value: Int64, at position: inout Int) {
    if value < 0 { put(UInt8(ascii: "-"), at: &position) }
    put(value.magnitude, at: &position)
  }

  private mutating func put(_ value: UInt64, at position: inout Int) {
    guard value >= 100_000_000 else {
      let digits = DecimalDigits.eight(value)
      let zeros = Swift.min((digits ^ 0x3030_3030_3030_3030).trailingZeroBitCount >> 3, 7)
      return put(word: digits &>> UInt64(8 &* zeros), count: 8 &- zeros, at: &position)
    }
    put(value / 100_000_000, at: &position)
    put(word: DecimalDigits.eight(value % 100_000_000), count: 8, at: &position)
  }

  /// A number in the shortest form that reads back as the same double, in up to 25 bytes; `null` for NaN and infinities.
  mutating func put(_ value: Double, at position: inout Int) {
    let magnitude = value.magnitude
    if magnitude >= 0.001, magnitude < 1e9 {
      // Of two decimals of up to fifteen digits no more than one reads as a given double, and both are exact here, so where
      // the millionths give the value back they are it, and its shortest form as well.
      let millionths = UInt64(magnitude * 1_000_000 + 0.5)
      if Double(millionths) / 1_000_000 == magnitude {
        if value < 0 { put(UInt8(ascii: "-"), at: &position) }
        put(millionths / 1_000_000, at: &position)
        let fraction = DecimalDigits.eight(millionths % 1_000_000) &>> 16
        put(UInt8(ascii: "."), at: &position)
        let zeros = Swift.min(((fraction ^ 0x3030_3030_3030) &<< 16).leadingZeroBitCount >> 3, 5)
        return put(word: fraction, count: 6 &- zeros, at: &position)
      }
    }
    guard value.isFinite else { return putNull(at: &position) }
    let text = value.description
    put(text.utf8.span, 0..<text.utf8.count, at: &position)
  }

  /// An instant in microseconds since 1970 as a quoted RFC 3339 text of 29 bytes, `null` outside of the years 0 to 9999.
  mutating func put(timestamp microseconds: Int64, at position: inout Int) {
    guard TimestampText.range.contains(microseconds) else { return putNull(at: &position) }
    var day = microseconds / TimestampText.microsecondsPerDay
    var rest = microseconds % TimestampText.microsecondsPerDay
    if rest < 0 {
      rest += TimestampText.microsecondsPerDay
      day -= 1
    }
    let date = TimestampText.date(days: Int(day))
    let ymd = DecimalDigits.eight(UInt64(truncatingIfNeeded: date.year &* 10_000 &+ date.month &* 100 &+ date.day))
    let second = rest / 1_000_000
    let hms = DecimalDigits.eight(
      UInt64(truncatingIfNeeded: second / 3_600 &* 10_000 &+ second / 60 % 60 &* 100 &+ second % 60))
    let fraction = DecimalDigits.eight(UInt64(truncatingIfNeeded: rest % 1_000_000))
    // `"YYYY`, `-MM-DDT`, `HH:MM:SS`, `.ffffffZ`, `"`.
    put(word: 0x22 | ymd &<< 8, count: 5, at: &position)
    put(
      word: 0x54_00_00_2D_00_00_2D | (ymd &>> 32 & 0xFFFF) &<< 8 | (ymd &>> 48) &<< 32, count: 7, at: &position)
    put(
      word: 0x3A_00_00_3A_00_00 | hms &>> 16 & 0xFFFF | (hms &>> 32 & 0xFFFF) &<< 24 | (hms &>> 48) &<< 48, count: 8,
      at: &position)
    put(word: 0x5A_00_00_00_00_00_00_2E | (fraction &>> 16) &<< 8, count: 8, at: &position)
    put(UInt8(ascii: "\""), at: &position)
  }

  /// ``UniqueID/description``, 36 bytes.
  mutating func put(_ id: UniqueID, at position: inout Int) {
    let (a, b) = (DecimalDigits.hexadecimal(id.high >> 32), DecimalDigits.hexadecimal(id.high & 0xFFFF_FFFF))
    let (c, d) = (DecimalDigits.hexadecimal(id.low >> 32), DecimalDigits.hexadecimal(id.low & 0xFFFF_FFFF))
    let hyphens: UInt64 = 0x2D_00_00_00_00_2D
    put(word: a, count: 8, at: &position)
    put(word: hyphens | (b & 0xFFFF_FFFF) &<< 8, count: 6, at: &position)
    put(word: b &>> 32, count: 4, at: &position)
    put(word: hyphens | (c & 0xFFFF_FFFF) &<< 8, count: 6, at: &position)
    put(word: c &>> 32, count: 4, at: &position)
    put(word: d, count: 8, at: &position)
  }

  /// Decimals of four places as ``Score/append(to:)`` writes them, from basis points that are not negative.
  mutating func put(basisPoints count: Int, at position: inout Int) {
    put(Int64(count / 10_000), at: &position)
    guard count % 10_000 > 0 else { return }
    let fraction = DecimalDigits.eight(UInt64(truncatingIfNeeded: count % 10_000)) &>> 32
    put(UInt8(ascii: "."), at: &position)
    let zeros = Swift.min(((fraction ^ 0x3030_3030) &<< 32).leadingZeroBitCount >> 3, 3)
    put(word: fraction, count: 4 &- zeros, at: &position)
  }

  @inline(always)
  private mutating func store(_ vector: SIMD16<UInt8>, at index: Int) {
    // As for words: checked, and any bits are a vector of bytes.
    var bytes = unsafe mutableBytes
    bytes.storeBytes(of: vector, toByteOffset: index, as: SIMD16<UInt8>.self)
  }
}

/// Digits of eight places at once, the first one in the lowest byte.
///
/// - Source: the way back of D. Lemire's "Quickly parsing eight digits" (2018); each division is a multiplication that is
///   exact for what a lane can hold.
enum DecimalDigits {
  /// The digits of a number below 10^8, with zeros before it.
  @inline(always)
  static func eight(_ value: UInt64) -> UInt64 {
    let halves = value / 10_000 | (value % 10_000) &<< 32
    let hundreds = (halves &* 10_486) &>> 20 & 0x0000_007F_0000_007F
    let pairs = hundreds | (halves &- hundreds &* 100) &<< 16
    let tens = (pairs &* 103) &>> 10 & 0x000F_000F_000F_000F
    return (tens | (pairs &- tens &* 10) &<< 8) &+ 0x3030_3030_3030_3030
  }

  /// The eight hexadecimal digits of a number below 2^32, in lower case.
  @inline(always)
  static func hexadecimal(_ value: UInt64) -> UInt64 {
    var lanes = UInt64(UInt32(truncatingIfNeeded: value).byteSwapped)
    lanes = (lanes | lanes &<< 16) & 0x0000_FFFF_0000_FFFF
    lanes = (lanes | lanes &<< 8) & 0x00FF_00FF_00FF_00FF
    let nibbles = lanes &>> 4 & 0x000F_000F_000F_000F | (lanes & 0x000F_000F_000F_000F) &<< 8
    let letters = (nibbles &+ 0x0606_0606_0606_0606) &>> 4 & 0x0101_0101_0101_0101
    return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
  }
}

/// Readers of the usual form of a value, a few words at a time.
extension EventDecoder {
  /// Reads a value in its usual form.
  ///
  /// - Returns: the position behind it, or -1 where the value has another form, or is wrong. Nothing is written then.
  @inline(always)
  func readQuickly(
    _ kind: FieldPlan.Kind, _ bytes: Span<UInt8>, _ start: Int, _ field: Int, _ row: Row,
    _ words: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) -> Int {
    switch kind {
    case .string:
      guard bytes[start] == UInt8(ascii: "\"") else { return -1 }
      var end = start &+ 1
      var special = JSONScanner.isSpecial(bytes.vector(at: end))
      while isAllFalse(special) {
        end &+= 16
        special = JSONScanner.isSpecial(bytes.vector(at: end))
      }
      end &+= firstTrue(special)
      guard bytes[end] == UInt8(ascii: "\"") else { return -1 }
      words[row.word(field)] = TextSlice(offset: start &+ 1, count: end &- start &- 1).word
      return end &+ 1
    case .integer:
      let isNegative = bytes[start] == UInt8(ascii: "-")
      let first = start &+ (isNegative ? 1 : 0)
      var digits = Digits(bytes.word(at: first))
      guard digits.areNumber else { return -1 }
      var end = first &+ digits.count
      if digits.count == 8 {
        end = digits.extend(bytes, end)
        if digits.count > 16 { return -1 }
      }
      guard isEndOfNumber(bytes[end]) else { return -1 }
      let value = Int64(truncatingIfNeeded: digits.value)
      words[row.word(field)] = UInt64(bitPattern: isNegative ? 0 &- value : value)
      return end
    case .float:
      let isNegative = bytes[start] == UInt8(ascii: "-")
      let first = start &+ (isNegative ? 1 : 0)
      var digits = Digits(bytes.word(at: first))
      guard digits.areNumber else { return -1 }
      var end = first &+ digits.count
      if digits.count == 8 {
        end = digits.extend(bytes, end)
        if digits.count > 15 { return -1 }
      }
      var magnitude = Double(Int64(truncatingIfNeeded: digits.value))
      if bytes[end] == UInt8(ascii: ".") {
        var fraction = Digits(bytes.word(at: end &+ 1))
        end = end &+ 1 &+ fraction.count
        if fraction.count == 8 { end = fraction.extend(bytes, end) }
        // Up to 15 digits and the power of ten are exact doubles, so one division rounds correctly.
        if fraction.count == 0 || digits.count &+ fraction.count > 15 { return -1 }
        let mantissa = digits.value &* Digits.powersOfTen[fraction.count] &+ fraction.value
        magnitude = Double(Int64(truncatingIfNeeded: mantissa)) / DecimalText.powersOfTen[fraction.count]
      }
      guard isEndOfNumber(bytes[end]) else { return -1 }
      // Without a branch: of coordinates half are negative, and no processor guesses which.
      words[row.word(field)] = magnitude.bitPattern | (isNegative ? 1 : 0) &<< 63
      return end
    case .boolean:
      let word = bytes.word(at: start)
      if word & 0xFFFF_FFFF == 0x65_75_72_74 {
        words[row.booleanWord(field)] |= row.bit
        return start &+ 4
      }
      return word & 0xFF_FFFF_FFFF == 0x65_73_6C_61_66 ? start &+ 5 : -1
    case .timestamp:
      guard bytes[start] == UInt8(ascii: "\"") else { return -1 }
      return readQuickTimestamp(bytes, start &+ 1, row.word(field), &words, &work)
    case .special, .unknown, .end: return -1
    }
  }

  /// Reads `2025-03-01T12:34:56` with a fraction of three or six digits or none, and `Z`, up to the closing quote.
  @inline(always)
  private func readQuickTimestamp(
    _ bytes: Span<UInt8>, _ start: Int, _ word: Int, _ words: inout MutableSpan<UInt64>, _ work: inout DecoderWork
  ) -> Int {
    guard let midnight = TimestampText.midnight(bytes, start, day: &work.day) else { return -1 }
    // `THH:MM:S`, then `S`: digits differ from '0' by 0 to 9, everything else from itself by nothing.
    let time = bytes.word(at: start &+ 10) ^ 0x30_3A_30_30_3A_30_30_54
    let wrong = ((time &+ 0x06_00_06_06_00_06_06_00) | time) & 0xF0_FF_F0_F0_FF_F0_F0_FF
    let lastDigit = bytes[start &+ 18] &- 0x30
    guard wrong == 0, lastDigit < 10 else { return -1 }
    let hour = (time &>> 8 & 15) &* 10 &+ (time &>> 16 & 15)
    let minute = (time &>> 32 & 15) &* 10 &+ (time &>> 40 & 15)
    let second = (time &>> 56) &* 10 &+ UInt64(lastDigit)
    guard hour < 24, minute < 60, second < 60 else { return -1 }
    var microseconds = ((hour &* 60 &+ minute) &* 60 &+ second) &* 1_000_000
    var end = start &+ 19
    if bytes[end] == UInt8(ascii: ".") {
      let fraction = Digits(bytes.word(at: end &+ 1))
      switch fraction.count {
      case 3: microseconds &+= fraction.value &* 1_000
      case 6: microseconds &+= fraction.value
      default: return -1
      }
      end = end &+ 1 &+ fraction.count
    }
    guard bytes[end] == UInt8(ascii: "Z"), bytes[end &+ 1] == UInt8(ascii: "\"") else { return -1 }
    words[word] = UInt64(bitPattern: midnight &+ Int64(truncatingIfNeeded: microseconds))
    return end &+ 2
  }

  /// Whether a byte can follow a number that is read quickly; behind a space the general reader decides.
  @inline(always)
  private func isEndOfNumber(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
  }
}

/// Up to sixteen digits, eight at a time without a loop.
///
/// - Source: D. Lemire, "Quickly parsing eight digits" (2018); that digits may be counted by the first byte whose high half
///   is not 3 follows from ASCII.
struct Digits {
  var value: UInt64
  var count: Int
  /// The first digit's value.
  private let leading: UInt64

  /// The digits at the start of eight bytes.
  @inline(always)
  init(_ word: UInt64) {
    let bytes = word ^ 0x3030_3030_3030_3030
    leading = bytes & 0xFF
    let other = ((bytes &+ 0x0606_0606_0606_0606) | bytes) & 0xF0F0_F0F0_F0F0_F0F0
    count = other == 0 ? 8 : other.trailingZeroBitCount &>> 3
    // Moved to the end of the word, with zeros before them. Without a digit the value means nothing.
    var digits = bytes &<< (UInt64(truncatingIfNeeded: 8 &- count) &* 8)
    digits = digits &* 10 &+ digits &>> 8
    let low = (digits & 0x0000_00FF_0000_00FF) &* 0x000F_4240_0000_0064
    let high = (digits &>> 16 & 0x0000_00FF_0000_00FF) &* 0x0000_2710_0000_0001
    value = (low &+ high) &>> 32
  }

  /// Whether there is a digit, and no zero before another one.
  @inline(always)
  var areNumber: Bool { count > 0 && (leading != 0 || count == 1) }

  /// Adds up to eight digits more; a count above sixteen means that there may be further ones. Returns where they end.
  @inline(always)
  mutating func extend(_ bytes: Span<UInt8>, _ start: Int) -> Int {
    let more = Digits(bytes.word(at: start))
    if more.count == 0 { return start }
    value = value &* Self.powersOfTen[more.count] &+ more.value
    count &+= more.count
    if more.count == 8, bytes[start &+ 8] &- 0x30 < 10 { count = 17 }
    return start &+ more.count
  }

  /// 10^0 to 10^16.
  static let powersOfTen: [17 of UInt64] = [
    1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
    100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
    10_000_000_000_000_000,
  ]
}

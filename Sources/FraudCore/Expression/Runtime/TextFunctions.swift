/// Functions on UTF-8 text that count and cut by code point.
package enum TextFunctions {
  package static func isEqual(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
    a.count == b.count && hasPrefix(a, b)
  }

  package static func hasPrefix(_ text: Span<UInt8>, _ prefix: Span<UInt8>) -> Bool {
    guard text.count >= prefix.count else { return false }
    for index in 0..<prefix.count where text[index] != prefix[index] { return false }
    return true
  }

  package static func hasSuffix(_ text: Span<UInt8>, _ suffix: Span<UInt8>) -> Bool {
    let offset = text.count - suffix.count
    guard offset >= 0 else { return false }
    for index in 0..<suffix.count where text[offset + index] != suffix[index] { return false }
    return true
  }

  /// Orders by bytes, which is by code point.
  package static func compare(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Int {
    for index in 0..<min(a.count, b.count) where a[index] != b[index] {
      return a[index] < b[index] ? -1 : 1
    }
    return a.count < b.count ? -1 : a.count == b.count ? 0 : 1
  }

  /// The byte offset at which a text first occurs in another.
  package static func firstIndex(of needle: Span<UInt8>, in text: Span<UInt8>, from start: Int) -> Int? {
    if needle.isEmpty { return start }
    guard text.count - start >= needle.count else { return nil }
    let first = needle[0]
    var index = start
    let last = text.count - needle.count
    while index <= last {
      if text[index] == first {
        var length = 1
        while length < needle.count, text[index + length] == needle[length] { length += 1 }
        if length == needle.count { return index }
      }
      index += 1
    }
    return nil
  }

  /// Code points.
  package static func length(_ text: Span<UInt8>) -> Int {
    var count = 0
    for index in text.indices where text[index] & 0xC0 != 0x80 { count += 1 }
    return count
  }

  /// The byte offset of the code point with a number, or the text's end.
  static func offset(ofScalar number: Int, in text: [UInt8]) -> Int {
    if number <= 0 { return 0 }
    var seen = 0
    for (index, byte) in text.enumerated() where byte & 0xC0 != 0x80 {
      if seen == number { return index }
      seen += 1
    }
    return text.count
  }

  /// From position `start` (from 1; 0 is 1; negative counts from the end) `count` code points, cut to the text.
  static func substring(_ text: [UInt8], start: Int64, count: Int64) -> [UInt8] {
    let length = Int64(Self.length(text.span))
    let first = start > 0 ? start - 1 : start < 0 ? length + start : 0
    let (sum, overflow) = first.addingReportingOverflow(count)
    let end = overflow ? (count > 0 ? Int64.max : .min) : sum
    guard end > first, end > 0, first < length else { return [] }
    let from = offset(ofScalar: Int(clamping: first), in: text)
    let to = offset(ofScalar: Int(clamping: end), in: text)
    return Array(text[from..<to])
  }

  /// Removes the code points that occur in `characters` from the ends asked for.
  static func trim(_ text: [UInt8], _ characters: [UInt8], leading: Bool, trailing: Bool) -> [UInt8] {
    let set = Set(String(decoding: characters, as: UTF8.self).unicodeScalars)
    let scalars = Array(String(decoding: text, as: UTF8.self).unicodeScalars)
    var start = 0
    var end = scalars.count
    if leading { while start < end, set.contains(scalars[start]) { start += 1 } }
    if trailing { while end > start, set.contains(scalars[end - 1]) { end -= 1 } }
    return utf8(scalars[start..<end])
  }

  static func utf8(_ scalars: some Sequence<Unicode.Scalar>) -> [UInt8] {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return Array(String(view).utf8)
  }

  static func replace(_ text: [UInt8], _ from: [UInt8], with replacement: [UInt8]) throws(EvaluationError) -> [UInt8] {
    guard !from.isEmpty else { return text }
    var result: [UInt8] = []
    var offset = 0
    while let found = firstIndex(of: from.span, in: text.span, from: offset) {
      result += text[offset..<found]
      result += replacement
      guard result.count <= Limits.resultTextBytes else { throw .textTooLong }
      offset = found + from.count
    }
    result += text[offset...]
    return result
  }

  /// The parts between delimiters; the whole text where the delimiter is empty.
  static func split(_ text: [UInt8], _ delimiter: [UInt8]) -> [ArraySlice<UInt8>] {
    guard !delimiter.isEmpty else { return [text[...]] }
    var parts: [ArraySlice<UInt8>] = []
    var offset = 0
    while let found = firstIndex(of: delimiter.span, in: text.span, from: offset) {
      parts.append(text[offset..<found])
      offset = found + delimiter.count
    }
    parts.append(text[offset...])
    return parts
  }

  /// All before the count-th delimiter from the left, or after the count-th from the right where it is negative.
  static func substringIndex(_ text: [UInt8], _ delimiter: [UInt8], _ count: Int64) -> [UInt8] {
    guard !delimiter.isEmpty, count != 0 else { return [] }
    if count > 0 {
      var offset = 0
      var left = count
      while let found = firstIndex(of: delimiter.span, in: text.span, from: offset) {
        left -= 1
        if left == 0 { return Array(text[..<found]) }
        offset = found + 1
      }
      return text
    }
    var left = count.magnitude
    var offset = text.count - delimiter.count
    while offset >= 0 {
      if text[offset..<(offset + delimiter.count)].elementsEqual(delimiter) {
        left -= 1
        if left == 0 { return Array(text[(offset + delimiter.count)...]) }
      }
      offset -= 1
    }
    return text
  }

  static func repeated(_ text: [UInt8], _ count: Int64) throws(EvaluationError) -> [UInt8] {
    guard count > 0, !text.isEmpty else { return [] }
    guard count <= Limits.resultTextBytes / text.count else { throw .textTooLong }
    var result: [UInt8] = []
    result.reserveCapacity(text.count * Int(count))
    for _ in 0..<count { result += text }
    return result
  }

  static func pad(_ text: [UInt8], to length: Int64, with pad: [UInt8], left: Bool) throws(EvaluationError) -> [UInt8] {
    guard length > 0 else { return [] }
    let have = Int64(Self.length(text.span))
    if length <= have { return substring(text, start: 1, count: length) }
    guard !pad.isEmpty else { return text }
    guard length <= Limits.resultTextBytes / 4 else { throw .textTooLong }
    let unit = Int64(Self.length(pad.span))
    let missing = length - have
    let filler = try repeated(pad, missing / unit) + substring(pad, start: 1, count: missing % unit)
    return left ? filler + text : text + filler
  }

  static func translate(_ text: [UInt8], _ from: [UInt8], _ to: [UInt8]) -> [UInt8] {
    let targets = Array(String(decoding: to, as: UTF8.self).unicodeScalars)
    var map: [Unicode.Scalar: Unicode.Scalar?] = [:]
    for (index, scalar) in String(decoding: from, as: UTF8.self).unicodeScalars.enumerated() where map[scalar] == nil {
      map[scalar] = .some(index < targets.count ? targets[index] : nil)
    }
    return utf8(
      String(decoding: text, as: UTF8.self).unicodeScalars.compactMap { scalar in
        if let target = map[scalar] { target } else { scalar }
      })
  }

  static func levenshtein(_ a: [UInt8], _ b: [UInt8]) throws(EvaluationError) -> Int64 {
    let a = Array(String(decoding: a, as: UTF8.self).unicodeScalars)
    let b = Array(String(decoding: b, as: UTF8.self).unicodeScalars)
    guard a.count <= 4_096, b.count <= 4_096 else { throw .textTooLong }
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let above = row[j + 1]
        row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = above
      }
    }
    return Int64(row[b.count])
  }

  /// American Soundex of texts that begin with an ASCII letter; others are unchanged.
  static func soundex(_ text: [UInt8]) -> [UInt8] {
    func upper(_ byte: UInt8) -> UInt8 { byte >= 97 && byte <= 122 ? byte - 32 : byte }
    let codes = Array("01230127022455012623017202".utf8)
    guard let first = text.first, upper(first) >= 65, upper(first) <= 90 else { return text }
    var result = [upper(first)]
    var last = codes[Int(upper(first) - 65)]
    for byte in text.dropFirst() where result.count < 4 {
      let letter = upper(byte)
      guard letter >= 65, letter <= 90 else {
        last = 48
        continue
      }
      let code = codes[Int(letter - 65)]
      // 7 marks H and W, which separate nothing.
      if code == 55 { continue }
      if code != 48, code != last { result.append(code) }
      last = code
    }
    while result.count < 4 { result.append(48) }
    return result
  }

  // MARK: Case

  /// Lower case by Unicode's full mapping, with the final sigma.
  static func lowercase(_ text: [UInt8]) -> [UInt8] {
    if text.allSatisfy({ $0 < 128 }) { return text.map { $0 >= 65 && $0 <= 90 ? $0 + 32 : $0 } }
    let scalars = Array(String(decoding: text, as: UTF8.self).unicodeScalars)
    var result = ""
    for (index, scalar) in scalars.enumerated() {
      if scalar == "Σ", isFinalSigma(scalars, index) {
        result.unicodeScalars.append("ς")
      } else {
        result += scalar.properties.lowercaseMapping
      }
    }
    return Array(result.utf8)
  }

  /// A cased letter stands before, none after, case-ignorable characters not counting.
  private static func isFinalSigma(_ scalars: [Unicode.Scalar], _ index: Int) -> Bool {
    var before = index - 1
    while before >= 0, scalars[before].properties.isCaseIgnorable { before -= 1 }
    guard before >= 0, scalars[before].properties.isCased else { return false }
    var after = index + 1
    while after < scalars.count, scalars[after].properties.isCaseIgnorable { after += 1 }
    return after == scalars.count || !scalars[after].properties.isCased
  }

  /// Upper case by Unicode's full mapping: `ß` becomes `SS`.
  static func uppercase(_ text: [UInt8]) -> [UInt8] {
    if text.allSatisfy({ $0 < 128 }) { return text.map { $0 >= 97 && $0 <= 122 ? $0 - 32 : $0 } }
    var result = ""
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      result += scalar.properties.uppercaseMapping
    }
    return Array(result.utf8)
  }

  /// Lower case, and the first character of each word, which a space ends, in title case.
  static func initcap(_ text: [UInt8]) -> [UInt8] {
    var result = ""
    var starts = true
    for scalar in String(decoding: lowercase(text), as: UTF8.self).unicodeScalars {
      result += starts ? scalar.properties.titlecaseMapping : String(scalar)
      starts = scalar == " "
    }
    return Array(result.utf8)
  }

  static func reversed(_ text: [UInt8]) -> [UInt8] {
    utf8(String(decoding: text, as: UTF8.self).unicodeScalars.reversed())
  }

  static func hexadecimal(_ bytes: [UInt8], upper: Bool) -> [UInt8] {
    let digits = Array((upper ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      result.append(digits[Int(byte >> 4)])
      result.append(digits[Int(byte & 15)])
    }
    return result
  }

  static func base64(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let group = (0..<3).reduce(UInt32(0)) { word, part in
        word << 8 | (index + part < bytes.count ? UInt32(bytes[index + part]) : 0)
      }
      let left = min(3, bytes.count - index)
      for part in 0..<4 {
        result.append(part <= left ? digits[Int(group >> UInt32(18 - part * 6) & 63)] : UInt8(ascii: "="))
      }
      index += 3
    }
    return result
  }
}

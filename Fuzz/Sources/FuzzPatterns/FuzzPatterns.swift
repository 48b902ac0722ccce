import FraudCore

/// Takes any bytes as a pattern, a line end and a text. Whatever they are, compiling gives an automaton or an error, both
/// engines agree on whether there is a match, and neither takes more than a moment.
private func fuzzPatterns(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
  // Patterns and texts are UTF-8 where they come from.
  let pattern = Array(String(decoding: parts[0], as: UTF8.self).utf8)
  let text = Array(String(decoding: parts.count > 1 ? parts[1] : [], as: UTF8.self).utf8)
  if let expression = try? RegularExpression(pattern) {
    var matcher = RegexMatcher(expression)
    var captures = RegexCaptures(expression)
    let found = captures.firstMatch(in: text.span, from: 0)
    precondition(matcher.isMatch(text.span) == (found != nil), "the engines differ")
    // A second run goes through the table that the first has filled.
    precondition(matcher.isMatch(text.span) == (found != nil), "the table differs")
    if let found {
      precondition(found[0] >= 0 && found[0] <= found[1] && found[1] <= text.count, "a match outside the text")
      for group in 0...expression.groupCount where found[group * 2] >= 0 {
        precondition(
          found[group * 2 + 1] <= text.count && found[group * 2] <= found[group * 2 + 1], "a group outside the text")
      }
    }
  }
  for escape in [nil, "\\"] as [Unicode.Scalar?] {
    if let like = try? LikePattern(pattern, escape: escape) { _ = like.matches(text.span) }
  }
  if let format = try? DatetimeFormat(pattern) {
    _ = try? format.format(1_733_047_200_123_456)
    _ = try? format.parse(text, zones: .offsetsOnly)
  }
  return 0
}

/// libFuzzer's own main, which SwiftPM's executables have no place for.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The executable's entry, by the name that SwiftPM gives it.
@_cdecl("FuzzPatterns_main")
public func main(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  var (count, arguments) = unsafe (count, arguments)
  return unsafe runFuzzer(&count, &arguments) { unsafe fuzzPatterns($0, $1) }
}

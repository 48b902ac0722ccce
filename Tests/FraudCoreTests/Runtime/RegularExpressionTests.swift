import TestRandom
import Testing

@testable import FraudCore

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func isFound(_ pattern: String, in text: String) -> Result<Bool, EvaluationError> {
  do throws(EvaluationError) {
    var matcher = RegexMatcher(try RegularExpression(bytes(pattern)))
    return .success(matcher.isMatch(bytes(text).span))
  } catch {
    return .failure(error)
  }
}

/// The groups of the first match as texts, `nil` for one that took no part; an empty array where there is no match.
private func groups(_ pattern: String, in text: String) throws -> [String?] {
  var captures = RegexCaptures(try RegularExpression(bytes(pattern)))
  let text = bytes(text)
  guard let match = captures.firstMatch(in: text.span, from: 0) else { return [] }
  return stride(from: 0, to: match.count, by: 2).map {
    match[$0] < 0 ? nil : String(decoding: text[match[$0]..<match[$0 + 1]], as: UTF8.self)
  }
}

@Suite struct RegularExpressionTests {
  @Test(arguments: [
    ("a.c", "abc", true), ("a.c", "a\nc", false), ("(?s)a.c", "a\nc", true), ("^b", "a\nb", false),
    ("(?m)^b", "a\nb", true), ("a$", "a\n", true), ("a$", "a\r\n", true), ("a$", "a\n\n", false),
    ("a\\z", "a\n", false),
    ("a\\Z", "a\n", true), ("(?m)a$", "a\nb", true), ("^$", "", true), ("^$", "\n", true), ("\\d{2}", "a1b22", true),
    ("\\w", "é", false), ("(?i)STRASSE", "strasse", true), ("(?i)i", "İ", false), ("^.$", "é", true),
    ("^.$", "😀", true),
    ("\\bcat\\b", "a cat.", true), ("\\bcat\\b", "concat", false), ("\\bé", "é", true), ("\\Bat", "cat", true),
    ("[a-c&&[^b]]", "b", false), ("[a-c&&[^b]]", "c", true), ("[^a-z ]", "abc d", false), ("[]a]", "]", true),
    ("[a-]", "-", true), ("\\Qa.b\\E+", "a.bb", true), ("\\Qa.b\\E", "axb", false),
    ("\\x41\\u0042\\x{1F600}", "AB😀", true),
    ("\\uD83D\\uDE00", "😀", true), ("a{2,3}", "aa", true), ("^a{2,3}$", "aaaa", false), ("(a|b)*c", "ababc", true),
    ("x*", "", true), ("\\p{L}+", "Σ", true), ("\\p{Lu}", "σ", false), ("\\pL", "1", false), ("\\P{L}", "1", true),
    ("\\p{Punct}", "!", true), ("\\p{IsAlphabetic}", "é", true), ("\\h\\v", "\u{A0}\n", true), ("\\R", "\r\n", true),
    ("a|b|", "zzz", true), ("}", "}", true), ("\\s{2,}", "a  b", true), ("(?i:A)b", "ab", true),
    ("(?i:A)b", "aB", false),
    ("a\\041", "a!", true), ("\\012", "\n", true), ("[\\d-x]", "-", true), ("[a-d[m-p]]", "n", true),
  ])
  func finds(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(isFound(pattern, in: text) == .success(expected), "\(pattern) in \(text.debugDescription)")
  }

  @Test(arguments: [
    "*abc", "a**", "(", ")", "[a", "a{2", "{brace}", "[z-a]", "\\", "a{3,2}", "\\y", "(?<n>a)(?<n>b)", "[&&]", "\\x4",
    "\\p{Nope}", "+", "(?z)a", "\\c",
  ])
  func refusesWhatJavaRefuses(_ pattern: String) {
    #expect(isFound(pattern, in: "") == .failure(.regexSyntax), "\(pattern)")
  }

  @Test(arguments: ["(a)\\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?>a)b", "a++", "a*+", "\\k<n>", "a{5000}"])
  func leavesOutWhatNeedsBacktracking(_ pattern: String) {
    #expect(isFound(pattern, in: "") == .failure(.regexNotSupported), "\(pattern)")
  }

  @Test func capturesAsPerlDoes() throws {
    #expect(try groups("([a-z]+)(\\d+)", in: "foo123") == ["foo123", "foo", "123"])
    #expect(try groups("(a|ab)(c|bcd)(d*)", in: "abcd") == ["abcd", "a", "bcd", ""])
    #expect(try groups("(a+?)(a*)", in: "aaa") == ["aaa", "a", "aa"])
    #expect(try groups("(x)?a", in: "a") == ["a", nil])
    #expect(try groups("(\\d+)?", in: "a b") == ["", nil])
    #expect(try groups("(?<year>\\d{4})-(\\d\\d)", in: "on 2024-12-01") == ["2024-12", "2024", "12"])
    #expect(try groups("b$", in: "ab\n") == ["b"])
    #expect(try groups("q", in: "abc") == [])
  }

  /// No pattern takes more than the text's length times its own, so 64 KiB of the classic trap take milliseconds.
  @Test func trapsAreLinear() {
    let text = String(repeating: "a", count: 65_536) + "!"
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(isFound("(a+)+$", in: text) == .success(false))
      #expect(isFound("(a|aa)+$", in: text) == .success(false))
      #expect(isFound("(.*)*x", in: text) == .success(false))
    }
    // A debug build on a busy machine; a backtracking engine would not end.
    #expect(time < .seconds(20))
  }

  /// Random patterns on random texts, against a backtracking matcher of the syntax tree.
  @Test func agreesWithBacktracking() throws {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<1_500 {
      let pattern = randomPattern(depth: 3, &random)
      var parser = RegexParser(bytes(pattern))
      let tree = try parser.parse()
      let expression = try RegularExpression(bytes(pattern))
      var matcher = RegexMatcher(expression)
      var captures = RegexCaptures(expression)
      for _ in 0..<6 {
        let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in "ab\né".randomElement(using: &random) ?? "a" }
        let scalars = String(text).unicodeScalars.map(\.value)
        var match: (Int, Int)?
        for start in 0...scalars.count where match == nil {
          if let end = Backtracking(scalars).ends(of: tree, at: start).first { match = (start, end) }
        }
        let utf8 = bytes(String(text))
        #expect(matcher.isMatch(utf8.span) == (match != nil), "\(pattern) in \(String(text).debugDescription)")
        let found = captures.firstMatch(in: utf8.span, from: 0).map { found in
          [found[0], found[1]].map { TextFunctions.length(utf8.span.extracting(0..<$0)) }
        }
        #expect(found == match.map { [$0.0, $0.1] }, "\(pattern) in \(String(text).debugDescription)")
      }
    }
  }

  private func randomPattern(depth: Int, _ random: inout SeededGenerator) -> String {
    switch depth == 0 ? Int.random(in: 0..<5, using: &random) : Int.random(in: 0..<11, using: &random) {
    case 0: "a"
    case 1: "b"
    case 2: "."
    case 3: ["^", "$", "\\b", "\\B", "(?m:^)", "(?m:$)", "\\z"].randomElement(using: &random) ?? "^"
    case 4: "[^a]"
    case 5, 6: randomPattern(depth: depth - 1, &random) + randomPattern(depth: depth - 1, &random)
    case 7: "(" + randomPattern(depth: depth - 1, &random) + "|" + randomPattern(depth: depth - 1, &random) + ")"
    case 8: "(" + randomPattern(depth: depth - 1, &random) + ")?"
    case 9: "(?:" + randomPattern(depth: depth - 1, &random) + "){1,2}"
    default: ["[ab]*", "a+?", "(?:ab)*", "é?", "b*?"].randomElement(using: &random) ?? "a*"
    }
  }
}

/// All places where a tree's matches end, in order of preference. Exponential, so for short texts.
private struct Backtracking {
  let text: [UInt32]

  init(_ text: [UInt32]) {
    self.text = text
  }

  func ends(of node: RegexNode, at start: Int) -> [Int] {
    switch node {
    case .empty: [start]
    case .set(let set): start < text.count && set.contains(text[start]) ? [start + 1] : []
    case .sequence(let items): items.reduce([start]) { starts, item in starts.flatMap { ends(of: item, at: $0) } }
    case .alternatives(let branches): branches.flatMap { ends(of: $0, at: start) }
    case .group(let content, _): ends(of: content, at: start)
    case .repetition(let content, let minimum, let maximum, let greedy):
      repetition(content, minimum, maximum, greedy, start)
    case .assertion(let assertion): holds(assertion, start) ? [start] : []
    }
  }

  private func repetition(_ content: RegexNode, _ minimum: Int, _ maximum: Int?, _ greedy: Bool, _ start: Int) -> [Int]
  {
    if minimum > 0 {
      return ends(of: content, at: start).flatMap {
        repetition(content, minimum - 1, maximum.map { $0 - 1 }, greedy, $0)
      }
    }
    if maximum == 0 { return [start] }
    // An iteration that consumes nothing is the last.
    let more = ends(of: content, at: start).flatMap {
      $0 == start ? [start] : repetition(content, 0, maximum.map { $0 - 1 }, greedy, $0)
    }
    return greedy ? more + [start] : [start] + more
  }

  private func holds(_ assertion: RegexAssertion, _ position: Int) -> Bool {
    var context = RegexContext(
      before: position > 0 ? text[position - 1] : nil, after: position < text.count ? text[position] : nil)
    context.beforeIsWord = context.before.map { RegexContext.isWord($0, after: false) } ?? false
    context.afterIsWord = context.after.map { RegexContext.isWord($0, after: false) } ?? false
    context.atFinalTerminator = position == text.count - 1 && text.last == 0x0A
    return context.holds(assertion)
  }
}

@Suite struct LikePatternTests {
  /// Random patterns on random texts, against the definition.
  @Test func agreesWithTheDefinition() throws {
    var random = SeededGenerator(seed: 5)
    let letters = Array("ab%_é")
    for _ in 0..<20_000 {
      let pattern = String(
        (0..<Int.random(in: 0...6, using: &random)).map { _ in letters.randomElement(using: &random) ?? "a" })
      let text = String(
        (0..<Int.random(in: 0...8, using: &random)).map { _ in "abé".randomElement(using: &random) ?? "a" })
      let like = try LikePattern(bytes(pattern), escape: nil)
      #expect(
        like.matches(bytes(text).span) == matches(Array(pattern.unicodeScalars)[...], Array(text.unicodeScalars)[...]),
        "\(text) LIKE \(pattern)")
    }
  }

  private func matches(_ pattern: ArraySlice<Unicode.Scalar>, _ text: ArraySlice<Unicode.Scalar>) -> Bool {
    guard let first = pattern.first else { return text.isEmpty }
    if first == "%" { return (text.startIndex...text.endIndex).contains { matches(pattern.dropFirst(), text[$0...]) } }
    return !text.isEmpty && (first == "_" || first == text.first) && matches(pattern.dropFirst(), text.dropFirst())
  }

  @Test func escapes() throws {
    #expect(throws: EvaluationError.likeEscapeAtTheEnd) { try LikePattern(bytes("a\\"), escape: "\\") }
    #expect(throws: EvaluationError.likeEscapeInTheMiddle) { try LikePattern(bytes("a\\b"), escape: "\\") }
    #expect(try LikePattern(bytes("100\\%"), escape: "\\").kind == .exact(bytes("100%")))
    #expect(try LikePattern(bytes("!!%"), escape: "!").kind == .prefix(bytes("!")))
    #expect(try LikePattern(bytes("%%a%%"), escape: nil).kind == .contains(bytes("a")))
  }
}

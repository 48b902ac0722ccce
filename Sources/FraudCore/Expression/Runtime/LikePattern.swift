/// A LIKE pattern, sorted into the kinds that have a short way to be matched.
package struct LikePattern: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    /// No wildcard.
    case exact([UInt8])
    case prefix([UInt8])
    case suffix([UInt8])
    case contains([UInt8])
    /// Runs of characters and `_` between `%`; the first is anchored at the start and the last at the end, either may be
    /// empty.
    case general([[Element]])
  }

  package enum Element: Sendable, Hashable {
    case byte(UInt8)
    /// One code point.
    case any
  }

  package let kind: Kind

  init(kind: Kind) {
    self.kind = kind
  }

  /// Reads a pattern; `escape` may stand before `%`, `_` and itself only.
  package init(_ pattern: [UInt8], escape: Unicode.Scalar?) throws(EvaluationError) {
    var runs: [[Element]] = [[]]
    var scalars = String(decoding: pattern, as: UTF8.self).unicodeScalars.makeIterator()
    var wildcards = false
    while let scalar = scalars.next() {
      var literal = scalar
      if scalar == escape {
        guard let next = scalars.next() else { throw .likeEscapeAtTheEnd }
        guard next == "%" || next == "_" || next == escape else { throw .likeEscapeInTheMiddle }
        literal = next
      } else if scalar == "%" {
        runs.append([])
        continue
      } else if scalar == "_" {
        runs[runs.count - 1].append(.any)
        wildcards = true
        continue
      }
      for byte in UTF8.encode(literal).map(Array.init) ?? [] { runs[runs.count - 1].append(.byte(byte)) }
    }
    // Neighbouring % are one.
    if runs.count > 2 {
      let middle = runs[1..<(runs.count - 1)].filter { !$0.isEmpty }
      runs = [runs[0]] + middle + [runs[runs.count - 1]]
    }
    func bytes(_ run: [Element]) -> [UInt8] {
      run.map { if case .byte(let byte) = $0 { byte } else { 0 } }
    }
    if wildcards {
      kind = .general(runs)
    } else if runs.count == 1 {
      kind = .exact(bytes(runs[0]))
    } else if runs.count == 2, runs[1].isEmpty {
      kind = .prefix(bytes(runs[0]))
    } else if runs.count == 2, runs[0].isEmpty {
      kind = .suffix(bytes(runs[1]))
    } else if runs.count == 3, runs[0].isEmpty, runs[2].isEmpty {
      kind = .contains(bytes(runs[1]))
    } else {
      kind = .general(runs)
    }
  }

  /// Whether the whole text matches.
  package func matches(_ text: Span<UInt8>) -> Bool {
    switch kind {
    case .exact(let bytes): return text.count == bytes.count && TextFunctions.hasPrefix(text, bytes.span)
    case .prefix(let bytes): return TextFunctions.hasPrefix(text, bytes.span)
    case .suffix(let bytes): return TextFunctions.hasSuffix(text, bytes.span)
    case .contains(let bytes): return TextFunctions.firstIndex(of: bytes.span, in: text, from: 0) != nil
    case .general(let runs): return Self.matches(text, runs)
    }
  }

  /// Each run between two `%` is taken at its first place: what is left for the rest is then longest. Time is at most the
  /// text's length times the pattern's.
  private static func matches(_ text: Span<UInt8>, _ runs: [[Element]]) -> Bool {
    guard var offset = end(of: runs[0], in: text, at: 0) else { return false }
    if runs.count == 1 { return offset == text.count }
    for run in runs[1..<(runs.count - 1)] {
      while true {
        if let end = end(of: run, in: text, at: offset) {
          offset = end
          break
        }
        guard offset < text.count else { return false }
        offset += decodeScalar(text, at: offset).length
      }
    }
    // The last run ends where the text does: go back as many code points as it has.
    let last = runs[runs.count - 1]
    var start = text.count
    for element in last.reversed() {
      guard start > offset else { return false }
      start -= 1
      if case .any = element {
        while start > offset, text[start] & 0xC0 == 0x80 { start -= 1 }
      }
    }
    return start >= offset && end(of: last, in: text, at: start) == text.count
  }

  private static func end(of run: [Element], in text: Span<UInt8>, at start: Int) -> Int? {
    var offset = start
    for element in run {
      guard offset < text.count else { return nil }
      switch element {
      case .byte(let byte):
        guard text[offset] == byte else { return nil }
        offset += 1
      case .any: offset += decodeScalar(text, at: offset).length
      }
    }
    return offset
  }
}

/// A LIKE pattern made ready for columns: short texts are compared as words.
struct TextSearch: Sendable {
  enum Kind: Sendable {
    case exact, prefix, suffix, contains
    case general(LikePattern)
  }

  let kind: Kind
  /// What to find, and its first eight bytes with the bits that count.
  let text: [UInt8]
  let word: UInt64
  let wordMask: UInt64

  init(_ pattern: LikePattern) {
    switch pattern.kind {
    case .exact(let text): self.init(.exact, text)
    case .prefix(let text): self.init(.prefix, text)
    case .suffix(let text): self.init(.suffix, text)
    case .contains(let text): self.init(.contains, text)
    case .general: self.init(.general(pattern), [])
    }
  }

  init(_ kind: LikePattern.Kind) {
    self.init(LikePattern(kind: kind))
  }

  private init(_ kind: Kind, _ text: [UInt8]) {
    self.kind = kind
    self.text = text
    wordMask = prefixMask(text.count)
    word = text.span.wordOrZero(at: 0)
  }
}

/// The bits of the first eight bytes that belong to a text of `count` bytes.
@inline(__always)
func prefixMask(_ count: Int) -> UInt64 {
  count >= 8 ? .max : (1 &<< UInt64(count &* 8)) &- 1
}

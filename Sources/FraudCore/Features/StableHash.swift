/// XXH64, by which keys find their place and their bucket: the same on every machine, in every process.
///
/// `Hasher` is seeded by process and promises nothing, so nothing that is stored or shown may depend on it.
/// - Source: the XXH64 section of `xxhash_spec.md` 0.1.1 of the xxHash project.
package enum StableHash {
  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  /// The hash of bytes.
  package static func hash(_ bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    let count = bytes.count
    var at = 0
    var hash: UInt64
    if count >= 32 {
      var (a, b) = (seed &+ prime1 &+ prime2, seed &+ prime2)
      var (c, d) = (seed, seed &- prime1)
      while at &+ 32 <= count {
        a = round(a, load8(bytes, at))
        b = round(b, load8(bytes, at &+ 8))
        c = round(c, load8(bytes, at &+ 16))
        d = round(d, load8(bytes, at &+ 24))
        at &+= 32
      }
      hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
      for lane in [a, b, c, d] { hash = (hash ^ round(0, lane)) &* prime1 &+ prime4 }
    } else {
      hash = seed &+ prime5
    }
    hash &+= UInt64(truncatingIfNeeded: count)
    while at &+ 8 <= count {
      hash = rotate(hash ^ round(0, load8(bytes, at)), 27) &* prime1 &+ prime4
      at &+= 8
    }
    if at &+ 4 <= count {
      var word: UInt64 = 0
      for index in 0..<4 { word |= UInt64(bytes[at &+ index]) << UInt64(8 &* index) }
      hash = rotate(hash ^ word &* prime1, 23) &* prime2 &+ prime3
      at &+= 4
    }
    while at < count {
      hash = rotate(hash ^ UInt64(bytes[at]) &* prime5, 11) &* prime1
      at &+= 1
    }
    return avalanche(hash)
  }

  /// The hash of a word's eight bytes, least significant first.
  package static func hash(_ word: UInt64, seed: UInt64 = 0) -> UInt64 {
    avalanche(rotate((seed &+ prime5 &+ 8) ^ round(0, word), 27) &* prime1 &+ prime4)
  }

  private static func load8(_ bytes: Span<UInt8>, _ at: Int) -> UInt64 { bytes.word(at: at) }

  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 {
    rotate(lane &+ word &* prime2, 31) &* prime1
  }

  private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
    word << count | word >> (64 &- count)
  }

  private static func avalanche(_ hash: UInt64) -> UInt64 {
    var hash = hash
    hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return hash ^ hash >> 32
  }
}

/// Spark's `hash` and `xxhash64` of values, which rules use to take a stable share of keys.
///
/// - Source: Austin Appleby's MurmurHash3 (x86, 32 bits) with the seed 42, whose tail Spark mixes byte by byte; Yann Collet's
///   xxHash64 with the seed 42.
enum SparkHash {
  static func murmur3(_ arguments: [Value], _ types: [DataType]) -> Int64 {
    var hash: UInt32 = 42
    for (argument, type) in zip(arguments, types) {
      switch argument {
      case .null: continue
      case .boolean(let value): hash = murmur(word: value ? 1 : 0, hash)
      case .integer(let value):
        hash = isWide(type) ? murmur(long: value, hash) : murmur(word: UInt32(truncatingIfNeeded: value), hash)
      case .double(let value):
        hash = type == .float ? murmur(word: bits(single: value), hash) : murmur(long: bits(value), hash)
      case .decimal(let value):
        hash =
          type.decimalShape.precision <= 18
          ? murmur(long: Int64(truncatingIfNeeded: value), hash) : murmur(bytes: twosComplement(value), hash)
      case .string(let value): hash = murmur(bytes: value, hash)
      }
    }
    return Int64(Int32(bitPattern: hash))
  }

  private static func isWide(_ type: DataType) -> Bool {
    switch type {
    case .bigint, .timestamp, .dayTimeInterval: true
    default: false
    }
  }

  private static func bits(_ value: Double) -> Int64 {
    Int64(bitPattern: value == 0 ? 0 : value.isNaN ? Double.nan.bitPattern : value.bitPattern)
  }

  private static func bits(single value: Double) -> UInt32 {
    value == 0 ? 0 : value.isNaN ? Float.nan.bitPattern : Float(value).bitPattern
  }

  /// The shortest big-endian two's complement, as `BigInteger.toByteArray`.
  private static func twosComplement(_ value: Int128) -> [UInt8] {
    var bytes = (0..<16).map { UInt8(truncatingIfNeeded: value >> Int128(120 - $0 * 8)) }
    while bytes.count > 1, (bytes[0] == 0 && bytes[1] < 128) || (bytes[0] == 255 && bytes[1] >= 128) {
      bytes.removeFirst()
    }
    return bytes
  }

  private static func murmurMix(_ hash: UInt32, _ word: UInt32) -> UInt32 {
    var key = word &* 0xCC9E_2D51
    key = (key << 15 | key >> 17) &* 0x1B87_3593
    let mixed = hash ^ key
    return (mixed << 13 | mixed >> 19) &* 5 &+ 0xE654_6B64
  }

  private static func murmurEnd(_ hash: UInt32, _ length: Int) -> UInt32 {
    var hash = hash ^ UInt32(truncatingIfNeeded: length)
    hash = (hash ^ hash >> 16) &* 0x85EB_CA6B
    hash = (hash ^ hash >> 13) &* 0xC2B2_AE35
    return hash ^ hash >> 16
  }

  private static func murmur(word: UInt32, _ seed: UInt32) -> UInt32 {
    murmurEnd(murmurMix(seed, word), 4)
  }

  private static func murmur(long: Int64, _ seed: UInt32) -> UInt32 {
    let low = murmurMix(seed, UInt32(truncatingIfNeeded: long))
    return murmurEnd(murmurMix(low, UInt32(truncatingIfNeeded: long >> 32)), 8)
  }

  private static func murmur(bytes: [UInt8], _ seed: UInt32) -> UInt32 {
    var hash = seed
    let aligned = bytes.count / 4 * 4
    for index in stride(from: 0, to: aligned, by: 4) {
      hash = murmurMix(hash, (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[index + $1]) << UInt32($1 * 8) })
    }
    for byte in bytes[aligned...] { hash = murmurMix(hash, UInt32(bitPattern: Int32(Int8(bitPattern: byte)))) }
    return murmurEnd(hash, bytes.count)
  }

  // MARK: xxHash64

  private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

  static func xxHash64(_ arguments: [Value], _ types: [DataType]) -> Int64 {
    var hash: UInt64 = 42
    for (argument, type) in zip(arguments, types) {
      switch argument {
      case .null: continue
      case .boolean(let value): hash = xx(word: value ? 1 : 0, hash)
      case .integer(let value):
        hash =
          isWide(type) ? xx(long: UInt64(bitPattern: value), hash) : xx(word: UInt32(truncatingIfNeeded: value), hash)
      case .double(let value):
        hash = type == .float ? xx(word: bits(single: value), hash) : xx(long: UInt64(bitPattern: bits(value)), hash)
      case .decimal(let value):
        hash =
          type.decimalShape.precision <= 18
          ? xx(long: UInt64(truncatingIfNeeded: value), hash) : xx(bytes: twosComplement(value), hash)
      case .string(let value): hash = xx(bytes: value, hash)
      }
    }
    return Int64(bitPattern: hash)
  }

  private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
    word << count | word >> (64 - count)
  }

  private static func end(_ hash: UInt64) -> UInt64 {
    var hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return hash ^ hash >> 32
  }

  private static func take(word: UInt32, _ hash: UInt64) -> UInt64 {
    rotate(hash ^ UInt64(word) &* prime1, 23) &* prime2 &+ prime3
  }

  private static func take(long: UInt64, _ hash: UInt64) -> UInt64 {
    rotate(hash ^ rotate(long &* prime2, 31) &* prime1, 27) &* prime1 &+ prime4
  }

  private static func xx(word: UInt32, _ seed: UInt64) -> UInt64 {
    end(take(word: word, seed &+ prime5 &+ 4))
  }

  private static func xx(long: UInt64, _ seed: UInt64) -> UInt64 {
    end(take(long: long, seed &+ prime5 &+ 8))
  }

  private static func xx(bytes: [UInt8], _ seed: UInt64) -> UInt64 {
    func long(_ index: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[index + $1]) << UInt64($1 * 8) } }
    var index = 0
    var hash: UInt64
    if bytes.count >= 32 {
      var lanes = [seed &+ prime1 &+ prime2, seed &+ prime2, seed, seed &- prime1]
      while bytes.count - index >= 32 {
        for lane in 0..<4 {
          lanes[lane] = rotate(lanes[lane] &+ long(index) &* prime2, 31) &* prime1
          index += 8
        }
      }
      hash = rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
      for lane in lanes { hash = (hash ^ rotate(lane &* prime2, 31) &* prime1) &* prime1 &+ prime4 }
    } else {
      hash = seed &+ prime5
    }
    hash &+= UInt64(bytes.count)
    while bytes.count - index >= 8 {
      hash = take(long: long(index), hash)
      index += 8
    }
    if bytes.count - index >= 4 {
      hash = take(word: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[index + $1]) << UInt32($1 * 8) }, hash)
      index += 4
    }
    for byte in bytes[index...] { hash = rotate(hash ^ UInt64(byte) &* prime5, 11) &* prime1 }
    return end(hash)
  }
}

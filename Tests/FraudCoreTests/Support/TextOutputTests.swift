import TestRandom
import Testing

@testable import FraudCore

/// Text put into room that stands ready, against ``JSONText``, which appends it byte by byte.
struct TextOutputTests {
  private func put(_ room: Int, _ body: (inout MutableSpan<UInt8>, inout Int) -> Void) -> String {
    var bytes = [UInt8](repeating: 0x7E, count: room + MutableSpan<UInt8>.textSlack)
    var position = 0
    do {
      var span = bytes.mutableSpan
      body(&span, &position)
    }
    #expect(position <= room)
    return String(decoding: bytes[..<position], as: UTF8.self)
  }

  private func text(_ body: (inout [UInt8]) -> Void) -> String {
    var bytes: [UInt8] = []
    body(&bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func integers() {
    var random = SeededGenerator(seed: 1)
    var values: [Int64] = [0, 9, 10, 99_999_999, 100_000_000, -1, .max, .min, 10_000_000_000_000_000]
    for _ in 0..<20_000 { values.append(Int64(bitPattern: random.next()) >> Int64(random.next() & 63)) }
    for value in values {
      #expect(put(20) { $0.put(value, at: &$1) } == text { JSONText.append(value, to: &$0) })
    }
  }

  @Test func doubles() {
    var random = SeededGenerator(seed: 2)
    var values: [Double] = [
      0, -0.0, 0.001, 0.0009999, 1e9, 999_999_999.999_999, 1e-7, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .nan,
      .infinity, 0.1,
      1e15, 1e16, 123_456_789.123_457, 0.3, 2.5e-3, 1.000_000_5,
    ]
    for _ in 0..<20_000 {
      values.append(Double(bitPattern: random.next()))
      let digits = Double(random.next() % 1_000_000_000_000)
      for scale in [1.0, 10, 100, 1_000, 1e5, 1e6, 1e7] { values.append(digits / scale) }
      values.append(-Double(random.next() % 1_000_000) / 3)
    }
    for value in values {
      #expect(put(25) { $0.put(value, at: &$1) } == text { JSONText.append(value, to: &$0) })
    }
  }

  @Test func timestamps() {
    var random = SeededGenerator(seed: 3)
    var values: [Int64] = [
      0, -1, .max, .min, 253_402_300_799_999_999, 253_402_300_800_000_000, -62_167_219_200_000_000,
    ]
    for _ in 0..<20_000 { values.append(Int64(bitPattern: random.next()) % 253_402_300_800_000_000) }
    for value in values {
      #expect(put(29) { $0.put(timestamp: value, at: &$1) } == text { JSONText.append(timestamp: value, to: &$0) })
    }
  }

  @Test func identitiesAndScores() {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<2_000 {
      let id = UniqueID(high: random.next(), low: random.next())
      #expect(put(36) { $0.put(id, at: &$1) } == id.description)
    }
    for count in Array(0...20_000) + [1_000_000, 123_456_789] {
      #expect(put(25) { $0.put(basisPoints: count, at: &$1) } == Score.basisPoints(count).description)
    }
  }

  @Test func texts() {
    var random = SeededGenerator(seed: 5)
    let alphabet = Array("aé\"\\\n\u{1}\u{7F}x \t/".utf8)
    for count in 0..<300 {
      let bytes = (0..<count).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }
      let plain = put(count) { $0.put(bytes.span, 0..<count, at: &$1) }
      #expect(plain == String(decoding: bytes, as: UTF8.self))
      let escaped = put(count * 6) { $0.put(escaping: bytes.span, 0..<count, at: &$1) }
      #expect(escaped == text { JSONText.append(escaping: bytes.span, 0..<count, to: &$0) })
    }
  }
}

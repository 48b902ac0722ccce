import Foundation
import Testing

@testable import FraudCore

/// The files of JSONTestSuite, read from the source tree.
private let cases: [(name: String, bytes: [UInt8])] = {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Cases/json")
  let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
  return files.filter { $0.pathExtension == "json" }
    .sorted { $0.lastPathComponent < $1.lastPathComponent }
    .map { ($0.lastPathComponent, [UInt8]((try? Data(contentsOf: $0)) ?? Data())) }
}()

private func isAccepted(_ bytes: [UInt8]) -> Bool {
  (try? JSON.validate(bytes)) != nil
}

@Test func acceptsAndRefusesWhatJSONTestSuiteSays() {
  #expect(cases.count { $0.name.hasPrefix("y_") } == 95)
  #expect(cases.count { $0.name.hasPrefix("n_") } == 188)
  for (name, bytes) in cases where name.hasPrefix("y_") {
    #expect(isAccepted(bytes), "\(name) must be accepted")
  }
  for (name, bytes) in cases where name.hasPrefix("n_") {
    #expect(!isAccepted(bytes), "\(name) must be refused")
  }
}

/// What we decided where the suite leaves the choice: not UTF-8 is refused, everything else that is free is accepted.
@Test func freeCasesAreAsDocumented() {
  let free = cases.filter { $0.name.hasPrefix("i_") }
  #expect(free.count == 35)
  let refused = Set(free.filter { !isAccepted($0.bytes) }.map(\.name))
  for (name, bytes) in free {
    let notUTF8 = String(validating: bytes, as: UTF8.self) == nil
    let startsWithMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
    #expect(refused.contains(name) == (notUTF8 || startsWithMark), "\(name)")
  }
}

@Test(
  arguments: [
    ("", 0), ("  ", 2), ("[1,]", 3), ("{\"a\" 1}", 5), ("{\"a\":1,}", 7), ("nul", 3), ("trux", 3), ("\"\\x\"", 2),
    ("\"\\u12g4\"", 5), ("01", 1), ("1.", 2), ("-", 1), ("1e+", 3), ("[1 2]", 3), ("\"a\u{1}\"", 2), ("{} {}", 3),
    ("\u{FEFF}{}", 0), ("[[[", 3), ("\"abc", 4), ("\"\\", 2), ("\"\\u00", 5),
  ] as [(String, Int)])
func saysWhereTheTextStopsBeingJSON(text: String, offset: Int) {
  #expect(throws: JSONError.self) { try JSON.validate(Array(text.utf8)) }
  do {
    try JSON.validate(Array(text.utf8))
  } catch {
    #expect(error.offset == offset, "\(error)")
  }
}

/// Containers deeper than one word of the scanner's stack keep their kinds.
@Test(arguments: [1, 63, 64, 65, 127, 128, 129, 1_000, 100_000])
func validatesAnyDepth(depth: Int) {
  var text = ""
  var tail = ""
  for level in 0..<depth {
    text += level % 3 == 0 ? "{\"a\":" : "["
    tail += (depth - 1 - level) % 3 == 0 ? "}" : "]"
  }
  #expect(isAccepted(Array((text + "1" + tail).utf8)))
  #expect(!isAccepted(Array((text + "1" + tail.dropLast()).utf8)))
  #expect(!isAccepted(Array((text + "1" + tail.dropLast() + (depth % 3 == 1 ? "]" : "}") + "x").utf8)))
}

@Test func findsTheFirstFaultInUTF8() {
  let faults: [[UInt8]] = [
    [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xE2, 0x82],
    [0xF0, 0x8F, 0xBF, 0xBF],
    [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xF0, 0x9F, 0x98],
  ]
  let pieces: [[UInt8]] = [
    Array("a".utf8), Array("é".utf8), Array("€".utf8), Array("😀".utf8), Array("\u{10FFFF}".utf8),
  ]
  for piece in pieces {
    for before in 0..<140 {
      let clean = (0..<before).flatMap { _ in piece } + Array(repeating: 0x61, count: 70)
      #expect(firstInvalidUTF8(clean.span, 0..<clean.count) == clean.count)
    }
  }
  for fault in faults {
    for before in 0..<140 {
      let bytes = [UInt8](repeating: 0x61, count: before) + fault + [0x0A] + [UInt8](repeating: 0x61, count: 100)
      #expect(firstInvalidUTF8(bytes.span, 0..<bytes.count) == before)
      let cut = Array(bytes.prefix(before + fault.count))
      #expect(firstInvalidUTF8(cut.span, 0..<cut.count) == before)
    }
  }
}

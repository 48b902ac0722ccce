import Foundation
import Testing

@testable import FraudCore
@testable import FraudStore

/// A folder that is removed at the end.
private final class Folder {
  let path = FileManager.default.temporaryDirectory.appending(path: "fraud-files-\(UUID())").path

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = "\(path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: URL(filePath: file).deletingLastPathComponent().path, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: file))
    return file
  }
}

/// Everything that a reader gives, blocks joined; large events are listed with their length.
private func readAll(_ path: String) throws -> (bytes: [UInt8], large: [LargeEvent], blocks: Int) {
  var reader = BlockReader(try ByteStream(path: path), format: InputFormat(path: path), keptBytesMax: 3 << 19) { false }
  var result: (bytes: [UInt8], large: [LargeEvent], blocks: Int) = ([], [], 0)
  var bytes: [UInt8] = []
  while true {
    switch try reader.next(into: &bytes) {
    case .end: return result
    case .large(let event): result.large.append(event)
    case .events:
      #expect(bytes.suffix(EventBatch.padding).allSatisfy { $0 == 0 })
      let content = bytes.dropLast(EventBatch.padding)
      if !result.bytes.isEmpty { #expect(result.bytes.last == UInt8(ascii: "\n")) }
      result.bytes += content
      result.blocks += 1
      reader.observe(events: content.count { $0 == UInt8(ascii: "\n") }, bytes: content.count)
    }
  }
}

private func lines(_ count: Int) -> [UInt8] {
  (0..<count).flatMap { "{\"n\":\($0),\"text\":\"\(String(repeating: "x", count: $0 % 300))\"}\n".utf8 }
}

@Test func blocksHoldWholeLines() throws {
  let folder = try Folder()
  let bytes = lines(20_000)
  let plain = try readAll(folder.write("a.ndjson", bytes))
  #expect(plain.bytes == bytes)
  #expect(plain.blocks > 10)
  #expect(try readAll(folder.write("b.ndjson", bytes.dropLast())).bytes == Array(bytes.dropLast()))
  #expect(try readAll(folder.write("mark.ndjson", [0xEF, 0xBB, 0xBF] + bytes)).bytes == bytes)
  #expect(try readAll(folder.write("empty.ndjson", [])).blocks == 0)
}

@Test func unpacksAsItStreams() throws {
  let folder = try Folder()
  let bytes = lines(20_000)
  var packed: [UInt8] = []
  var compressor = ZstdCompressor()
  _ = try compressor.compress(Array(bytes[..<1_000_003]), appendingTo: &packed)
  _ = try compressor.compress(Array(bytes[1_000_003...]), appendingTo: &packed)
  #expect(try readAll(folder.write("a.ndjson.zst", packed)).bytes == bytes)
  for damaged in [Array(packed.dropLast(10)), [1, 2, 3, 4, 5], packed + [9]] {
    let path = try folder.write("bad.ndjson.zst", damaged)
    #expect(throws: StoreError.self) { try readAll(path) }
  }
}

@Test func veryLongEventsPassInBoundedMemory() throws {
  let folder = try Folder()
  let long = [UInt8](repeating: 0x61, count: 5 << 18)
  let longer = [UInt8](repeating: 0x62, count: (3 << 19) + 5)
  let ends = Array("{}\n".utf8)
  let result = try readAll(folder.write("a.ndjson", ends + long + [0x0A] + ends + longer + [0x0A] + ends + long))
  #expect(result.bytes == ends + ends + ends)
  #expect(result.large.map(\.count) == [long.count, longer.count, long.count])
  #expect(result.large.map { $0.sha256 == nil } == [true, false, true])
  #expect(result.large[0].bytes == long)
  #expect(result.large[1].bytes.count < 1 << 20)
  #expect(result.large[1].sha256 == SHA256.digest(longer))
}

@Test func recordsStayWholeAcrossBlocks() throws {
  let folder = try Folder()
  var bytes: [UInt8] = []
  for index in 0..<20_000 {
    bytes += Array("\(index),\"text\n\(index) \"\"with\"\" \(String(repeating: "\n", count: index % 50))\"\n".utf8)
  }
  let path = try folder.write("a.csv", Array("n,text\r\n".utf8) + bytes)
  var reader = BlockReader(try ByteStream(path: path), format: .csv) { false }
  #expect(String(decoding: try reader.readHeader(), as: UTF8.self) == "n,text")
  var block: [UInt8] = []
  var all: [UInt8] = []
  while case .events = try reader.next(into: &block) {
    all += block.dropLast(EventBatch.padding)
    #expect(all.suffix(2) == Array("\"\n".utf8)[...])
  }
  #expect(all == bytes)
}

@Test func expandsFolders() throws {
  let folder = try Folder()
  for name in ["b/2.ndjson", "b/1.ndjson.zst", "a.csv", "c.parquet", "note.txt", ".hidden.csv", "b/_tmp/x.csv"] {
    _ = try folder.write(name, [])
  }
  let files = try InputFiles.expand(["-", folder.path]).map { $0.replacing(folder.path, with: "F") }
  #expect(files == ["-", "F/a.csv", "F/b/1.ndjson.zst", "F/b/2.ndjson", "F/c.parquet"])
  #expect(throws: StoreError.self) { try InputFiles.expand(["\(folder.path)/none"]) }
  #expect(throws: StoreError.self) { try readAll(folder.path) }
}

/// Read as text, such a file would only give a rejected event for each of its lines.
@Test(
  arguments: [
    ("a.csv", [0x1F, 0x8B, 8, 0], "gzip"), ("a.ndjson", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz"),
    ("a.ndjson", [0x28, 0xB5, 0x2F, 0xFD, 0], "does not end in .zst"),
  ] as [(String, [UInt8], String)])
func aFileThatIsPackedOtherwiseIsRefused(name: String, bytes: [UInt8], says: String) throws {
  let folder = try Folder()
  let path = try folder.write(name, bytes)
  let error = #expect(throws: StoreError.self) { try readAll(path) }
  #expect(error?.code == .corrupt && error?.message.contains(says) == true)
}

import Foundation
import Testing

@testable import fraudctl

/// What is no ordinary file is written through, never replaced: run by root, that would take `/dev/null` from everybody.
@Suite struct WholeFileTests {
  @Test func pipesStayPipes() throws {
    let folder = try TestSite.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let pipe = folder + "/pipe"
    let made = unsafe mkfifo(pipe, 0o600)
    try #require(made == 0)
    // Open for both, it takes a little text without a reader.
    let descriptor = unsafe open(pipe, O_RDWR)
    defer { close(descriptor) }
    try writeWhole("through", to: pipe)
    var bytes = [UInt8](repeating: 0, count: 7)
    let count = unsafe read(descriptor, &bytes, 7)
    #expect(count == 7)
    #expect(String(decoding: bytes, as: UTF8.self) == "through")
    var status = stat()
    let known = unsafe stat(pipe, &status)
    #expect(known == 0 && status.st_mode & S_IFMT == S_IFIFO)
  }

  @Test func filesAreReplaced() throws {
    let folder = try TestSite.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for text in ["one", "two"] {
      try writeWhole(text, to: folder + "/file")
      #expect(try String(contentsOfFile: folder + "/file", encoding: .utf8) == text)
    }
    #expect(throws: Failure.self) { try writeWhole("x", to: folder + "/none/file") }
  }
}

import Foundation
import Testing

@testable import FraudStore

struct ChildProcessTests {
  /// Else whoever waits for the end of a pipe or socket of this process waits for a server that outlives it.
  @Test func aProgramInheritsNoOtherFile() throws {
    let output = "/tmp/fraud-child-\(UUID().uuidString)"
    defer { _ = unsafe unlink(output) }
    // Above what else may be open here.
    let file = fcntl(0, F_DUPFD, 200)
    #expect(file >= 200)
    defer { close(file) }
    let open = "for file in /dev/fd/*; do [ -e $file ] && echo ${file##*/}; done; true"
    for inherited in [nil, file] {
      var child = ChildProcess(outputFile: output)
      child.inheritedFile = inherited
      #expect(try child.run(["/bin/sh", "-c", open]) == 0)
      let files = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").compactMap { Int32($0) }
      #expect(files.contains(2) && !files.contains(file), "\(files)")
    }
  }
}

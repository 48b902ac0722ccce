import Foundation

/// Writes a file whole.
///
/// An ordinary file is replaced in one step, so that a reader sees either what was there before or all of it. What is no
/// ordinary file, such as `/dev/null` or a pipe, is written through: to replace it would take it from everybody.
///
/// - Throws: ``Failure`` with exit code 1.
func writeWhole(_ text: String, to path: String) throws {
  var status = stat()
  let isThere = unsafe stat(path, &status) == 0
  let isOrdinary = !isThere || status.st_mode & S_IFMT == S_IFREG
  do {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: isOrdinary ? .atomic : [])
  } catch {
    throw Failure.failed("cannot write \(path): \(explain(error))")
  }
}

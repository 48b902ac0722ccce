import FraudStore

/// Writes a file whole.
///
/// An ordinary file is replaced in one step, so that a reader sees either what was there before or all of it. What is no
/// ordinary file, such as `/dev/null` or a pipe, is written through: to replace it would take it from everybody.
///
/// - Throws: ``Failure`` with exit code 1.
func writeWhole(_ text: String, to path: String) throws {
  do throws(StoreError) {
    var file = try OutputFile(path: path)
    try file.write(Array(text.utf8))
    try file.finish()
  } catch {
    throw Failure.failed(error.message)
  }
}

/// What a file of the archive says of itself in its footer.
struct ArchiveNotes: Sendable, Hashable {
  var file: ArchiveFile
  var version: Int?
  var generation: String
  var rowCount: Int64
  /// The offset from which on every accepted event is in this file, up to its last one: that after the file before, or
  /// where the archive began. What lies between is no event. Files of the first format do not say it.
  var coveredFrom: Int64?
  /// Of all bytes before the footer, in hexadecimal digits. Equal digests mean equal events.
  var sha256: String

  init(
    file: ArchiveFile, version: Int?, generation: String, rowCount: Int64, coveredFrom: Int64? = nil, sha256: String
  ) {
    self.file = file
    self.version = version
    self.generation = generation
    self.rowCount = rowCount
    self.coveredFrom = coveredFrom
    self.sha256 = sha256
  }

  var keyValues: [(key: String, value: String)] {
    [
      ("fraud.pipeline", file.pipeline), ("fraud.pipeline_version", version.map(String.init) ?? ""),
      ("fraud.date", file.date), ("fraud.topic", file.topic), ("fraud.generation", generation),
      ("fraud.partition", String(file.partition)), ("fraud.first_offset", String(file.offsets.lowerBound)),
      ("fraud.last_offset", String(file.offsets.upperBound)), ("fraud.rows", String(rowCount)),
    ] + (coveredFrom.map { [("fraud.covered_from", String($0))] } ?? []) + [("fraud.sha256", sha256)]
  }

  /// Reads the notes of a file.
  ///
  /// - Throws: ``StoreError`` with `.corrupt` where it has none.
  init(_ parquet: ParquetFile) throws(StoreError) {
    func note(_ key: String) throws(StoreError) -> String {
      guard let value = parquet.note("fraud.\(key)") else {
        throw StoreError.corrupt("no file of an archive: its footer does not say '\(key)'").at(parquet.source.name)
      }
      return value
    }
    let path =
      "\(ArchiveFile.set)/pipeline=\(try note("pipeline"))/date=\(try note("date"))/"
      + ArchiveFile.encoded(try note("topic"))
    guard let partition = Int32(try note("partition")), let first = Int64(try note("first_offset")),
      let last = Int64(try note("last_offset")), first <= last, let rowCount = Int64(try note("rows")),
      let file = ArchiveFile(
        path: path + "+\(partition)+" + ArchiveFile.offsetText(first...last) + ".parquet")
    else {
      throw StoreError.corrupt("the notes in the footer make no sense").at(parquet.source.name)
    }
    self.init(
      file: file, version: Int(try note("pipeline_version")), generation: try note("generation"), rowCount: rowCount,
      coveredFrom: parquet.note("fraud.covered_from").flatMap { Int64($0) }, sha256: try note("sha256"))
  }
}

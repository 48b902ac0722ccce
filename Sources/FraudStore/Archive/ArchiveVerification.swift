internal import FraudCore

/// One thing that is wrong in an archive.
public struct ArchiveProblem: Sendable, Hashable {
  /// The file below the root.
  public var path: String
  /// What is wrong.
  public var message: String
}

extension ArchiveDirectory {
  /// What a verification found.
  public struct Verification: Sendable {
    /// Files that were read.
    public var fileCount = 0
    /// Events in them.
    public var rowCount: Int64 = 0
    /// Bytes of them.
    public var byteCount = 0
    /// What is wrong, in the order of the files; nothing where the archive is sound.
    public var problems: [ArchiveProblem] = []
  }

  /// Reads every file whole: its digest, each page's checksum, every value, that its events are those its name says, in
  /// the order of their offsets where they are not sorted otherwise, and that no event is in two files.
  ///
  /// Offsets that are in no file are no problem: rejected events and Kafka's own markers have offsets, too.
  ///
  /// - Parameter progress: called after each file.
  public func verify(
    _ filter: Filter = Filter(), progress: (ArchiveFile) throws(StoreError) -> Void = { _ in }
  ) throws(StoreError) -> Verification {
    var result = Verification()
    let (current, superseded) = try allFiles(filter)
    for file in superseded {
      result.problems.append(
        ArchiveProblem(
          path: file.path, message: "its events are in a larger file, too; `fraudctl archive compact` moves it away"))
    }
    var last: ArchiveFile?
    for file in current {
      if let last, last.isSameSource(as: file), last.offsets.upperBound >= file.offsets.lowerBound {
        result.problems.append(
          ArchiveProblem(path: file.path, message: "its offsets overlap with those of \(last.path)"))
      }
      last = file
      result.fileCount += 1
      result.byteCount += byteCount(of: file)
      do throws(StoreError) {
        result.rowCount += try verify(file)
      } catch {
        result.problems.append(ArchiveProblem(path: file.path, message: error.message))
      }
      try progress(file)
    }
    return result
  }

  private func verify(_ file: ArchiveFile) throws(StoreError) -> Int64 {
    let parquet = try open(file)
    let notes = try ArchiveNotes(parquet)
    guard notes.file == file else { throw .corrupt("the footer says that it is \(notes.file.path)") }
    guard notes.rowCount == parquet.metadata.rowCount else {
      throw .corrupt("\(parquet.metadata.rowCount) rows where the notes say \(notes.rowCount)")
    }
    var digest = SHA256()
    var (buffer, position) = ([UInt8](), 0)
    while position < parquet.dataEnd {
      let end = min(position + 1 << 20, parquet.dataEnd)
      buffer.removeAll(keepingCapacity: true)
      try parquet.source.append(position..<end, to: &buffer)
      digest.update(buffer.span)
      position = end
    }
    guard hexadecimal(digest.finalize()) == notes.sha256 else {
      throw .corrupt("its bytes are not those that were written: the SHA-256 differs")
    }
    try verifyRows(parquet, file)
    return notes.rowCount
  }

  private func verifyRows(_ parquet: ParquetFile, _ file: ArchiveFile) throws(StoreError) {
    var rows = try ParquetRowReader(parquet)
    guard let topic = parquet.column(named: ArchiveColumns.topic),
      let partition = parquet.column(named: ArchiveColumns.partition),
      let offset = parquet.column(named: ArchiveColumns.offset)
    else { throw .corrupt("the columns of the position are missing") }
    let isSorted = parquet.metadata.rowGroups.allSatisfy { $0.sortingColumns.isEmpty }
    var seen: Set<Int64> = []
    var last = Int64.min
    while let values = try rows.next() {
      guard case .integer(let number) = values[offset], file.offsets.contains(number),
        values[topic] == .text(file.topic), values[partition] == .integer(Int64(file.partition))
      else { throw .corrupt("an event that is not of the topic, partition and offsets in the name") }
      if isSorted {
        guard number > last else { throw .corrupt("offset \(number) after \(last)") }
        last = number
      } else {
        guard seen.insert(number).inserted else { throw .corrupt("offset \(number) twice") }
      }
    }
  }
}

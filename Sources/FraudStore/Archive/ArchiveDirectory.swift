internal import FraudCore

/// The files of an archive, found by their names.
///
/// A name appears only when its file is complete and durable, and says which events it holds, so a listing is the whole
/// truth: files whose range lies within another's (left behind where a compaction was cut short) are passed over.
public struct ArchiveDirectory: Sendable {
  /// Where compaction puts the files it replaced, for readers that have an older listing. Spark and `score` pass over
  /// folders whose names start with an underscore.
  static let replacedFolder = "_replaced"

  /// The root folder.
  public let root: String
  /// See ``ArchiveFailpoint``.
  package var failpoint: ArchiveFailpoint?

  /// Looks at an archive; it need not exist.
  public init(root: String) {
    self.root = root
  }

  /// What to list.
  public struct Filter: Sendable {
    /// Only this pipeline's files.
    public var pipeline: String?
    /// Only files of these days, counted from 1970.
    public var days: ClosedRange<Int>?

    /// No restriction.
    public init(pipeline: String? = nil, days: ClosedRange<Int>? = nil) {
      self.pipeline = pipeline
      self.days = days
    }
  }

  /// The archive's files by pipeline, topic, partition and offset, each event in exactly one of them.
  public func files(_ filter: Filter = Filter()) throws(StoreError) -> [ArchiveFile] {
    try allFiles(filter).current
  }

  /// Every file, and those whose events another one holds, too.
  func allFiles(_ filter: Filter = Filter()) throws(StoreError) -> (current: [ArchiveFile], superseded: [ArchiveFile]) {
    var files: [ArchiveFile] = []
    for pipeline in try names(inFolder: "\(root)/\(ArchiveFile.set)") where pipeline.hasPrefix("pipeline=") {
      if let wanted = filter.pipeline, pipeline != "pipeline=\(wanted)" { continue }
      for date in try names(inFolder: "\(root)/\(ArchiveFile.set)/\(pipeline)") where date.hasPrefix("date=") {
        for name in try settledNames(inFolder: "\(root)/\(ArchiveFile.set)/\(pipeline)/\(date)") {
          guard let file = ArchiveFile(path: "\(ArchiveFile.set)/\(pipeline)/\(date)/\(name)") else { continue }
          if let days = filter.days, !days.contains(file.day) { continue }
          files.append(file)
        }
      }
    }
    var (current, superseded) = ([ArchiveFile](), [ArchiveFile]())
    for file in files.sorted() {
      // Sorted, a range that holds another comes before it.
      if let last = current.last, last.isSameSource(as: file), last.offsets.upperBound >= file.offsets.upperBound {
        superseded.append(file)
      } else {
        current.append(file)
      }
    }
    return (current, superseded)
  }

  /// The names in a folder at one moment. Read while a compaction is at work, a listing may have missed both a merged file,
  /// since it came too late, and one that it replaces, since it went too early; the next listing then is another.
  private func settledNames(inFolder folder: String) throws(StoreError) -> [String] {
    func visible() throws(StoreError) -> [String] { try names(inFolder: folder).filter { !$0.hasPrefix(".") } }
    var found = try visible()
    while true {
      let again = try visible()
      if again == found { return found }
      found = again
    }
  }

  /// A file's full path.
  public func path(of file: ArchiveFile) -> String { "\(root)/\(file.path)" }

  /// Bytes of a file, 0 where it is gone.
  public func byteCount(of file: ArchiveFile) -> Int { fileStatus(path(of: file))?.byteCount ?? 0 }

  /// Opens a file; one that a compaction replaced after it was listed is found where that put it.
  package func open(_ file: ArchiveFile) throws(StoreError) -> ParquetFile {
    do throws(StoreError) {
      return try ParquetFile(path: path(of: file))
    } catch {
      let replaced = "\(root)/\(Self.replacedFolder)/\(file.path)"
      guard fileStatus(path(of: file)) == nil, fileStatus(replaced) != nil else { throw error }
      return try ParquetFile(path: replaced)
    }
  }
}

extension ArchiveFile {
  /// Whether both hold events of one partition for one pipeline.
  func isSameSource(as other: ArchiveFile) -> Bool {
    pipeline == other.pipeline && topic == other.topic && partition == other.partition
  }
}

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Told of each step by which the archive changes, so that a test can end the process there: `archive-begun`,
/// `archive-written`, `archive-synced`, `archive-visible` (the file has its name), `archive-durable` (so has its folder), and
/// `archive-moved` (a replaced file is out of the way).
package typealias ArchiveFailpoint = @Sendable (_ step: StaticString) -> Void

/// A file that becomes visible whole or not at all, and stays once it is visible.
///
/// It is written under a name of its own that starts with a dot, synchronised, linked to its final name (which fails
/// where that exists, in one step), and its folder is synchronised, since a name is lost with a power cut otherwise.
/// A file that was not published is removed.
struct DurableFile: ~Copyable {
  private let descriptor: Int32
  private let folder: String
  private let temporaryPath: String
  private let failpoint: ArchiveFailpoint?

  /// Makes the folder where it is missing and starts a file in it.
  ///
  /// - Parameters:
  ///   - folder: below `root`.
  ///   - temporaryName: must be unused; starts with a dot.
  init(
    root: String, folder: String, temporaryName: String, failpoint: ArchiveFailpoint? = nil
  ) throws(StoreError) {
    try makeFolder(folder, below: root)
    let folder = "\(root)/\(folder)"
    let path = "\(folder)/\(temporaryName)"
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw .file("cannot create '\(path)'", errno) }
    self.folder = folder
    temporaryPath = path
    self.failpoint = failpoint
    self.descriptor = descriptor
    failpoint?("archive-begun")
  }

  deinit {
    close(descriptor)
    // Where the file was published this name is gone already.
    unsafe unlink(temporaryPath)
  }

  /// Appends bytes.
  ///
  /// - Throws: ``StoreError`` with `.file`, after which the file is of no more use: what a full disk took is unknown.
  func write(_ bytes: [UInt8]) throws(StoreError) {
    var done = 0
    while done < bytes.count {
      // The bytes stay put during the call, which does not keep them.
      let written = unsafe bytes.withUnsafeBytes { bytes in
        unsafe systemWrite(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
      }
      if written < 0 && errno == EINTR { continue }
      guard written >= 0 else { throw .file("cannot write '\(temporaryPath)'", errno) }
      done += written
    }
  }

  /// Makes the file durable and visible.
  ///
  /// - Returns: false where a file of that name exists, which is durable now; nothing else has changed.
  /// - Throws: ``StoreError`` with `.file`. A failed synchronisation is never tried again: what it was to write may be
  ///   gone from memory, and a second try would only seem to succeed.
  func publish(as name: String) throws(StoreError) -> Bool {
    failpoint?("archive-written")
    try synchronise(descriptor, temporaryPath)
    failpoint?("archive-synced")
    let path = "\(folder)/\(name)"
    guard unsafe link(temporaryPath, path) == 0 else {
      guard errno == EEXIST else { throw .file("cannot create '\(path)'", errno) }
      try synchroniseFolder(folder)
      return false
    }
    failpoint?("archive-visible")
    unsafe unlink(temporaryPath)
    try synchroniseFolder(folder)
    failpoint?("archive-durable")
    return true
  }
}

extension DurableFile {
  /// Makes the file durable and puts it in the place of one that has the name, in one step.
  func replace(_ name: String) throws(StoreError) {
    failpoint?("archive-written")
    try synchronise(descriptor, temporaryPath)
    failpoint?("archive-synced")
    guard unsafe rename(temporaryPath, "\(folder)/\(name)") == 0 else {
      throw .file("cannot replace '\(folder)/\(name)'", errno)
    }
    failpoint?("archive-visible")
    try synchroniseFolder(folder)
    failpoint?("archive-durable")
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  unsafe write(descriptor, bytes, count)
}

private func synchronise(_ descriptor: Int32, _ path: String) throws(StoreError) {
  #if canImport(Darwin)
    let result = fcntl(descriptor, F_FULLFSYNC)
  #else
    let result = fsync(descriptor)
  #endif
  guard result == 0 else { throw .file("cannot synchronise '\(path)'", errno) }
}

/// Makes a folder's names durable.
func synchroniseFolder(_ path: String) throws(StoreError) {
  let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw .file("cannot open '\(path)'", errno) }
  defer { close(descriptor) }
  try synchronise(descriptor, path)
}

/// Makes a folder below a root, each name on the way to it durable before there is anything behind it.
///
/// That holds for folders which are there, too: whoever made them may have died before their names were durable.
func makeFolder(_ folder: String, below root: String) throws(StoreError) {
  try makeRoot(root)
  var path = root
  for name in folder.split(separator: "/") {
    let parent = path
    path += "/\(name)"
    guard unsafe mkdir(path, 0o750) == 0 || errno == EEXIST else { throw .file("cannot create '\(path)'", errno) }
    try synchroniseFolder(parent)
  }
}

/// Makes the names in a folder below a root durable, and those on the way to it.
///
/// A process that died between a file's link and its folder's synchronisation left a name that a power cut takes back. Before
/// anybody relies on such a file, as by writing what comes behind it, this makes it stay.
func synchroniseNames(inFolder folder: String, below root: String) throws(StoreError) {
  try makeFolder(folder, below: root)
  try synchroniseFolder("\(root)/\(folder)")
}

/// Makes a folder and those above it, each durable before what is in it.
private func makeRoot(_ path: String) throws(StoreError) {
  if unsafe mkdir(path, 0o750) == 0 {
    try synchroniseFolder(parent(of: path))
    return
  }
  switch errno {
  case EEXIST: return
  case ENOENT where path.contains("/"):
    try makeRoot(parent(of: path))
    guard unsafe mkdir(path, 0o750) == 0 || errno == EEXIST else { throw .file("cannot create '\(path)'", errno) }
    try synchroniseFolder(parent(of: path))
  default: throw .file("cannot create '\(path)'", errno)
  }
}

private func parent(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Moves a file to another folder below the root, where it replaces one of its name, both durably.
func moveFile(_ path: String, toFolder folder: String, below root: String, name: String) throws(StoreError) {
  try makeFolder(folder, below: root)
  let folder = "\(root)/\(folder)"
  guard unsafe rename(path, "\(folder)/\(name)") == 0 else {
    throw .file("cannot move '\(path)' to '\(folder)'", errno)
  }
  try synchroniseFolder(folder)
  try synchroniseFolder(parent(of: path))
}

/// Removes a file; one that is not there is no error.
func removeFile(_ path: String) throws(StoreError) {
  guard unsafe unlink(path) == 0 || errno == ENOENT else { throw .file("cannot remove '\(path)'", errno) }
}

/// The names in a folder, sorted; none where it does not exist.
func names(inFolder path: String) throws(StoreError) -> [String] {
  guard let stream = unsafe opendir(path) else {
    if errno == ENOENT || errno == ENOTDIR { return [] }
    throw .file("cannot read the folder '\(path)'", errno)
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    // The entry lives until the next call; its name ends with a zero byte.
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
      unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names.sorted()
}

/// Bytes and time of the last change, in seconds since 1970, of a file; `nil` where there is none.
func fileStatus(_ path: String) -> (byteCount: Int, modified: Int)? {
  var status = stat()
  guard unsafe stat(path, &status) == 0 else { return nil }
  #if canImport(Darwin)
    return (Int(status.st_size), status.st_mtimespec.tv_sec)
  #else
    return (Int(status.st_size), status.st_mtim.tv_sec)
  #endif
}

/// Sets a file's time of change to now.
func touchFile(_ path: String) throws(StoreError) {
  guard unsafe utimes(path, nil) == 0 else { throw .file("cannot change the time of '\(path)'", errno) }
}

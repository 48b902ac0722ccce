#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The operating system's text for an error number.
func systemMessage(_ number: Int32) -> String {
  unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
}

/// The few file operations that the private cluster needs, each with an error that names the path.
enum SystemFiles {
  /// Makes a directory and those above it. What exists stays as it is.
  static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws(StoreError) {
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      prefix += prefix.isEmpty || prefix.hasSuffix("/") ? part : "/" + part
      if unsafe mkdir(prefix, mode) != 0, errno != EEXIST { throw failure("make directory", prefix) }
    }
  }

  /// The path without links and dots. The file exists.
  static func canonical(_ path: String) throws(StoreError) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw failure("find", path) }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  static func exists(_ path: String) -> Bool {
    unsafe access(path, F_OK) == 0
  }

  static func isExecutable(_ path: String) -> Bool {
    unsafe access(path, X_OK) == 0
  }

  /// The names in a directory, sorted; none where it cannot be read.
  static func list(_ path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { _ = unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// A small file's content, nil where it does not exist.
  static func read(_ path: String, limit: Int = 1 << 20) throws(StoreError) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 {
      if errno == ENOENT { return nil }
      throw failure("read", path)
    }
    defer { close(file) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while content.count < limit {
      let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glue.read(file, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("read", path)
      }
      if count == 0 { break }
      content.append(contentsOf: buffer.prefix(count))
    }
    return content
  }

  /// Writes a file: the old content or all of the new one, whatever happens meanwhile.
  static func write(_ text: String, to path: String, mode: mode_t = 0o600) throws(StoreError) {
    let temporary = path + ".new"
    try put(text, to: temporary, flags: O_TRUNC, mode: mode)
    guard unsafe rename(temporary, path) == 0 else { throw failure("write", path) }
  }

  /// Adds to a file that exists.
  static func append(_ text: String, to path: String) throws(StoreError) {
    try put(text, to: path, flags: O_APPEND, mode: 0o600)
  }

  private static func put(_ text: String, to path: String, flags: Int32, mode: mode_t) throws(StoreError) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, mode)
    guard file >= 0 else { throw failure("write", path) }
    defer { close(file) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glue.write(file, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("write", path)
      }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0 else { throw failure("write", path) }
  }

  static func move(_ from: String, to: String) throws(StoreError) {
    guard unsafe rename(from, to) == 0 else { throw failure("move", from) }
  }

  /// Makes a directory that only `owner` can enter, or checks that the one there is such. In a place where everybody
  /// may make directories, one that somebody else made first must not be used.
  static func makePrivateDirectory(_ path: String, owner: uid_t, group: gid_t) throws(StoreError) {
    if unsafe mkdir(path, 0o700) == 0 {
      if owner != geteuid(), unsafe chown(path, owner, group) != 0 { throw failure("give away", path) }
      return
    }
    guard errno == EEXIST else { throw failure("make directory", path) }
    var information = stat()
    guard unsafe lstat(path, &information) == 0 else { throw failure("look at", path) }
    guard information.st_mode & S_IFMT == S_IFDIR, information.st_uid == owner, information.st_mode & 0o077 == 0 else {
      throw StoreError(
        code: .cluster,
        message: "\(path) is not a private directory of user \(owner); remove it or choose another --data")
    }
  }

  static func failure(_ action: String, _ path: String) -> StoreError {
    StoreError(code: .file, message: "cannot \(action) \(path): \(systemMessage(errno))")
  }
}

/// The C functions whose names the type above takes.
private enum Glue {
  static func read(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    #if canImport(Glibc)
      unsafe Glibc.read(file, buffer, count)
    #elseif canImport(Musl)
      unsafe Musl.read(file, buffer, count)
    #else
      unsafe Darwin.read(file, buffer, count)
    #endif
  }
  static func write(_ file: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Glibc)
      unsafe Glibc.write(file, buffer, count)
    #elseif canImport(Musl)
      unsafe Musl.write(file, buffer, count)
    #else
      unsafe Darwin.write(file, buffer, count)
    #endif
  }
}

/// An advisory lock on a file, held until it is closed or its process ends, however it ends.
final class FileLock: Sendable {
  let file: Int32

  /// Opens the lock's file without taking the lock.
  init(_ path: String) throws(StoreError) {
    file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw SystemFiles.failure("open", path) }
  }

  deinit { close(file) }

  /// Waits for the lock.
  func lock(exclusive: Bool) throws(StoreError) {
    while flock(file, exclusive ? LOCK_EX : LOCK_SH) != 0 {
      guard errno == EINTR else { throw StoreError(code: .file, message: "cannot lock: \(systemMessage(errno))") }
    }
  }

  /// Takes the exclusive lock where nobody else has any, in place of the shared one that is held.
  func tryLockExclusively() -> Bool {
    flock(file, LOCK_EX | LOCK_NB) == 0
  }
}

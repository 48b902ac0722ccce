#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that results are written to, or stdout for `-`.
///
/// A file has its name when it is complete: it is written beside it, under a name of its own, and takes the name, and the
/// place of what had it, in ``finish()``. One that is not finished is removed. What is no ordinary file, such as a pipe, and
/// a file in a folder where none can be made, is written through.
@safe package struct OutputFile: ~Copyable {
  /// For messages.
  package let name: String
  /// The name that it takes, and the one that it has until then.
  private let path: String
  private let temporaryPath: String?
  private var descriptor: Int32
  /// Whether whoever read from it has gone, so that nothing more need be written.
  private var isClosed = false

  /// Begins the file, or takes stdout for `-`.
  ///
  /// - Throws: ``StoreError`` with code `file`.
  package init(path: String) throws(StoreError) {
    // A reader that has gone shows as an error of `write`, not as a signal.
    signal(SIGPIPE, SIG_IGN)
    if path == "-" {
      name = "stdout"
      self.path = path
      temporaryPath = nil
      descriptor = 1
      return
    }
    name = path
    var status = stat()
    let exists = unsafe stat(path, &status) == 0
    // What a symbolic link leads to is replaced, not the link.
    self.path = exists ? Self.resolved(path) : path
    if !exists || status.st_mode & S_IFMT == S_IFREG {
      let temporary = Self.beside(self.path)
      let opened = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      if opened >= 0 {
        if exists { fchmod(opened, status.st_mode & 0o777) }
        temporaryPath = temporary
        descriptor = opened
        return
      }
      guard exists, [EACCES, EPERM, EROFS].contains(errno) else { throw Self.failure(path) }
    }
    let opened = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard opened >= 0 else { throw Self.failure(path) }
    temporaryPath = nil
    descriptor = opened
  }

  deinit { Self.discard(descriptor, temporaryPath) }

  /// Drops what was written. Nothing can be written any more.
  package mutating func discard() {
    Self.discard(descriptor, temporaryPath)
    descriptor = -1
  }

  private static func discard(_ descriptor: Int32, _ temporaryPath: String?) {
    guard descriptor > 1 else { return }
    close(descriptor)
    if let temporaryPath { unsafe unlink(temporaryPath) }
  }

  /// Gives the file its name. Nothing can be written to it any more.
  ///
  /// - Throws: ``StoreError`` with code `file`; then there is no such file, or the one that was there before.
  package mutating func finish() throws(StoreError) {
    guard descriptor > 1 else { return }
    let closed = close(descriptor)
    let error = errno
    descriptor = -1
    // After an interruption it is closed all the same.
    guard closed == 0 || error == EINTR else {
      if let temporaryPath { unsafe unlink(temporaryPath) }
      throw Self.failure(name, error)
    }
    guard let temporaryPath, unsafe rename(temporaryPath, path) != 0 else { return }
    let failure = Self.failure(name)
    unsafe unlink(temporaryPath)
    throw failure
  }

  private static func failure(_ name: String, _ error: Int32 = errno) -> StoreError {
    StoreError(code: .file, message: "cannot write \(name): \(unsafe String(cString: strerror(error)))")
  }

  /// Where a path leads to.
  private static func resolved(_ path: String) -> String {
    guard let whole = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(whole) }
    return unsafe String(cString: whole)
  }

  /// A hidden name in the same folder.
  private static func beside(_ path: String) -> String {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let start = slash.map { path.utf8.index(after: $0) } ?? path.startIndex
    return "\(path[..<start]).\(path[start...]).\(getpid()).new"
  }

  /// Writes all of the bytes.
  ///
  /// - Returns: whether anybody still reads.
  /// - Throws: ``StoreError`` with code `file`, for instance where the disk is full.
  @discardableResult
  package mutating func write(_ bytes: [UInt8]) throws(StoreError) -> Bool {
    var done = 0
    while done < bytes.count && !isClosed {
      let start = done
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe systemWrite(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
      }
      if count >= 0 {
        done += count
        continue
      }
      switch errno {
      case EINTR: continue
      case EPIPE: isClosed = true
      default: throw Self.failure(name)
      }
    }
    return !isClosed
  }
}

/// `write(2)`, which a method of the same name hides.
private func systemWrite(_ descriptor: Int32, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
  unsafe write(descriptor, start, count)
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that results are written to, or stdout for `-`.
@safe package struct OutputFile: ~Copyable {
  /// For messages.
  package let name: String
  private let descriptor: Int32
  private let isOwned: Bool
  /// Whether whoever read from it has gone, so that nothing more need be written.
  private var isClosed = false

  /// Makes the file anew, or takes stdout for `-`.
  ///
  /// - Throws: ``StoreError`` with code `file`.
  package init(path: String) throws(StoreError) {
    // A reader that has gone shows as an error of `write`, not as a signal.
    signal(SIGPIPE, SIG_IGN)
    if path == "-" {
      name = "stdout"
      descriptor = 1
      isOwned = false
      return
    }
    let opened = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard opened >= 0 else {
      throw StoreError(code: .file, message: "cannot write \(path): \(unsafe String(cString: strerror(errno)))")
    }
    name = path
    descriptor = opened
    isOwned = true
  }

  deinit {
    if isOwned { close(descriptor) }
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
      default:
        throw StoreError(code: .file, message: "cannot write \(name): \(unsafe String(cString: strerror(errno)))")
      }
    }
    return !isClosed
  }
}

/// `write(2)`, which a method of the same name hides.
private func systemWrite(_ descriptor: Int32, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
  unsafe write(descriptor, start, count)
}

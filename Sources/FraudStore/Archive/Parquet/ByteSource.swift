#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// A file's bytes, read at any place: a file descriptor, or memory.
///
/// Its files are read with `pread`, so that one source serves several threads.
package final class ByteSource: Sendable {
  private enum Storage {
    case file(Int32)
    case memory([UInt8])
  }

  private let storage: Storage
  /// What messages call it.
  package let name: String
  package let byteCount: Int

  /// Bytes in memory.
  package init(_ bytes: [UInt8], name: String = "memory") {
    storage = .memory(bytes)
    self.name = name
    byteCount = bytes.count
  }

  /// Opens a file.
  ///
  /// - Throws: ``StoreError`` with `.file` where it cannot be opened or is no ordinary file.
  package init(path: String) throws(StoreError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file("cannot open '\(path)'", errno) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw StoreError(code: .file, message: "'\(path)' is no ordinary file")
    }
    storage = .file(descriptor)
    name = path
    byteCount = Int(status.st_size)
  }

  deinit {
    if case .file(let descriptor) = storage { close(descriptor) }
  }

  /// Appends `range` of the file, which must lie within it.
  func append(_ range: Range<Int>, to buffer: inout [UInt8]) throws(StoreError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    switch storage {
    case .memory(let bytes): buffer.append(contentsOf: bytes[range])
    case .file(let descriptor):
      let start = buffer.count
      buffer.append(contentsOf: repeatElement(0, count: range.count))
      var done = 0
      while done < range.count {
        // The buffer stays put during the call, which writes at most the count it is given.
        let read = unsafe buffer.withUnsafeMutableBytes { buffer in
          unsafe pread(
            descriptor, buffer.baseAddress?.advanced(by: start + done), range.count - done,
            off_t(range.lowerBound + done))
        }
        if read < 0 && errno == EINTR { continue }
        guard read >= 0 else { throw .file("cannot read '\(name)'", errno) }
        guard read > 0 else { throw .corrupt("'\(name)' became shorter while it was read") }
        done += read
      }
    }
  }
}

extension StoreError {
  /// A failed system call on a file.
  static func file(_ what: String, _ code: Int32) -> StoreError {
    StoreError(code: .file, message: "\(what): \(unsafe String(cString: strerror(code)))")
  }
}

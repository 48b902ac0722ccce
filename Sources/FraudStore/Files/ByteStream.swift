internal import CZstd
internal import FraudCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The bytes of a file or of stdin, unpacked as they stream where the name ends in `.zst`.
@safe package struct ByteStream: ~Copyable {
  /// For messages.
  package let name: String
  private let descriptor: Int32
  private let isOwned: Bool
  private let unpacker: ZstdStream?

  /// Opens a file, or stdin for `-`.
  ///
  /// - Throws: ``StoreError`` with code `file`, or `corrupt` where the first bytes are those of a packed file that its
  ///   name does not announce: taken for text it would only give rejected events.
  package init(path: String) throws(StoreError) {
    if path == "-" {
      name = "stdin"
      descriptor = 0
      isOwned = false
      unpacker = nil
      return
    }
    let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { throw Self.failure("cannot open", path) }
    var status = stat()
    let isFile = unsafe fstat(opened, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
    guard isFile else {
      close(opened)
      throw StoreError(code: .file, message: "\(path) is a folder")
    }
    #if os(Linux)
      posix_fadvise(opened, 0, 0, POSIX_FADV_SEQUENTIAL)
    #endif
    let unpacker: ZstdStream?
    do throws(StoreError) {
      if let problem = Self.wrongPacking(opened, path) { throw StoreError(code: .corrupt, message: problem) }
      unpacker = path.hasSuffix(".zst") ? try ZstdStream(name: path) : nil
    } catch {
      close(opened)
      throw error
    }
    name = path
    descriptor = opened
    isOwned = true
    self.unpacker = unpacker
  }

  deinit {
    if isOwned { close(descriptor) }
  }

  /// Appends up to `count` further bytes.
  ///
  /// - Parameter isStopped: asked five times a second while waiting; where it says so, the stream ends here.
  /// - Returns: how many bytes there were; 0 at the end.
  /// - Throws: ``StoreError`` with code `file` where reading fails, `corrupt` where a packed stream is damaged or cut off.
  package mutating func read(
    into bytes: inout [UInt8], upTo count: Int, isStopped: () -> Bool
  ) throws(StoreError) -> Int {
    guard let unpacker else {
      return try Self.readRaw(descriptor, name, into: &bytes, upTo: count, isStopped: isStopped)
    }
    while true {
      let before = bytes.count
      try unpacker.unpack(into: &bytes, upTo: count)
      if bytes.count > before { return bytes.count - before }
      var packed: [UInt8] = []
      unpacker.takeInput(&packed)
      let more = try Self.readRaw(descriptor, name, into: &packed, upTo: 1 << 17, isStopped: isStopped)
      unpacker.giveInput(&packed)
      if more == 0 {
        if unpacker.isInsideFrame && !isStopped() {
          throw StoreError(code: .corrupt, message: "\(name): the packed data end too early")
        }
        return 0
      }
    }
  }

  private static func readRaw(
    _ descriptor: Int32, _ name: String, into bytes: inout [UInt8], upTo count: Int, isStopped: () -> Bool
  ) throws(StoreError) -> Int {
    while true {
      // A signal is mostly delivered to another thread and does not interrupt a read, so waiting ends now and then.
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&request, 1, 200) <= 0 {
        if isStopped() { return 0 }
        continue
      }
      var got = 0
      var problem: Int32 = 0
      bytes.append(addingCapacity: count) { output in
        // The buffer has room for `count` bytes, and only those that were read become part of the array.
        unsafe output.withUnsafeMutableBufferPointer { buffer, initialized in
          got = unsafe systemRead(descriptor, buffer.baseAddress, count)
          problem = errno
          initialized += max(0, got)
        }
      }
      if got >= 0 { return got }
      guard problem == EINTR || problem == EAGAIN else {
        errno = problem
        throw failure("cannot read", name)
      }
      if isStopped() { return 0 }
    }
  }

  /// What is wrong with a file that begins as no NDJSON or CSV file does; nil for a pipe, which cannot be looked at ahead.
  private static func wrongPacking(_ descriptor: Int32, _ path: String) -> String? {
    var head: [UInt8] = []
    head.append(addingCapacity: 4) { output in
      // Room for four bytes, of which those that were read become part of the array.
      unsafe output.withUnsafeMutableBufferPointer { buffer, initialized in
        initialized = unsafe max(0, pread(descriptor, buffer.baseAddress, 4, 0))
      }
    }
    if head.starts(with: [0x1F, 0x8B]) {
      return "\(path) is packed with gzip, which is not read: unpack it first (gunzip), or pack it with zstd instead"
    }
    if head.starts(with: [0xFD, 0x37, 0x7A, 0x58]) {
      return "\(path) is packed with xz, which is not read: unpack it first (unxz), or pack it with zstd instead"
    }
    if head == [0x28, 0xB5, 0x2F, 0xFD], !path.hasSuffix(".zst") {
      return "\(path) is packed with zstd, but its name does not end in .zst: rename it"
    }
    return nil
  }

  private static func failure(_ what: String, _ name: String) -> StoreError {
    unsafe StoreError(code: .file, message: "\(what) \(name): \(String(cString: strerror(errno)))")
  }
}

/// A zstd stream that is unpacked piece by piece; several frames may follow each other.
@safe private final class ZstdStream {
  /// Owned here, freed by `deinit`, used by one thread at a time.
  private let stream: OpaquePointer
  private let name: String
  private var input: [UInt8] = []
  private var used = 0
  private(set) var isInsideFrame = false

  /// Windows beyond 64 MiB (`zstd --long=27`) would not fit the memory that reading may take.
  private static let windowLogMax: Int32 = 26

  init(name: String) throws(StoreError) {
    guard let made = unsafe ZSTD_createDStream() else {
      throw StoreError(code: .file, message: "\(name): no memory for unpacking")
    }
    unsafe ZSTD_DCtx_setParameter(made, ZSTD_d_windowLogMax, Self.windowLogMax)
    self.name = name
    unsafe stream = made
  }

  deinit {
    unsafe _ = ZSTD_freeDStream(stream)
  }

  /// Lends the input buffer, emptied, to be filled.
  func takeInput(_ bytes: inout [UInt8]) {
    swap(&bytes, &input)
    bytes.removeAll(keepingCapacity: true)
  }

  func giveInput(_ bytes: inout [UInt8]) {
    swap(&bytes, &input)
    used = 0
  }

  /// Appends what the input gives, up to `count` bytes.
  func unpack(into bytes: inout [UInt8], upTo count: Int) throws(StoreError) {
    guard used < input.count || isInsideFrame else { return }
    var code = 0
    var consumed = used
    let stream = unsafe stream
    let packed = input
    bytes.append(addingCapacity: count) { output in
      // Both pointers live for this one call; zstd writes `position` bytes of the output and no more.
      unsafe output.withUnsafeMutableBufferPointer { buffer, initialized in
        unsafe packed.withUnsafeBufferPointer { source in
          var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: consumed)
          var to = unsafe ZSTD_outBuffer(dst: buffer.baseAddress, size: count, pos: 0)
          code = unsafe ZSTD_decompressStream(stream, &to, &from)
          unsafe consumed = from.pos
          unsafe initialized += to.pos
        }
      }
    }
    used = consumed
    guard ZSTD_isError(code) == 0 else {
      let reason = unsafe String(cString: ZSTD_getErrorName(code))
      throw StoreError(code: .corrupt, message: "\(name) is no valid zstd stream: \(reason)")
    }
    isInsideFrame = code != 0
  }
}

/// `read(2)`, which a method of the same name hides.
private func systemRead(_ descriptor: Int32, _ start: UnsafeMutablePointer<UInt8>?, _ count: Int) -> Int {
  unsafe read(descriptor, start, count)
}

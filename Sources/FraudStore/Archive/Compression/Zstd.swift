internal import CZstd

/// Compresses blocks with zstd on one thread, so that equal input gives equal bytes.
///
/// Owns its context and the buffer it compresses into; both are reused from block to block.
@safe struct ZstdCompressor: ~Copyable {
  private let context: OpaquePointer
  private let level: Int32
  private var scratch: [UInt8] = []

  /// - Parameter level: zstd's level; 1 is its fastest with ordinary frames.
  init(level: Int32 = 1) {
    // Fails only where memory is out, as any array of ours would.
    guard let context = unsafe ZSTD_createCCtx() else { fatalError("no memory for a zstd context") }
    unsafe self.context = context
    self.level = level
  }

  deinit {
    unsafe ZSTD_freeCCtx(context)
  }

  /// Appends one frame holding `source` to `output`.
  ///
  /// - Returns: the bytes appended.
  mutating func compress(_ source: [UInt8], appendingTo output: inout [UInt8]) throws(StoreError) -> Int {
    let bound = ZSTD_compressBound(source.count)
    if scratch.count < bound { scratch = [UInt8](repeating: 0, count: bound) }
    // Both buffers outlive the call, which keeps neither.
    let written = unsafe scratch.withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        unsafe ZSTD_compressCCtx(context, target.baseAddress, target.count, source.baseAddress, source.count, level)
      }
    }
    guard ZSTD_isError(written) == 0 else {
      throw StoreError(code: .file, message: "zstd could not compress: \(zstdMessage(written))")
    }
    output.append(contentsOf: scratch[0..<written])
    return written
  }
}

/// Decompresses zstd frames that nobody vouches for.
@safe struct ZstdDecompressor: ~Copyable {
  private let context: OpaquePointer

  init() {
    // Fails only where memory is out, as any array of ours would.
    guard let context = unsafe ZSTD_createDCtx() else { fatalError("no memory for a zstd context") }
    unsafe self.context = context
  }

  deinit {
    unsafe ZSTD_freeDCtx(context)
  }

  /// Fills `range` of `target` with what `source` holds, which must be exactly so many bytes.
  func decompress(_ source: RawSpan, into target: inout [UInt8], _ range: Range<Int>) throws(StoreError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= target.count)
    // Both buffers outlive the call, which keeps neither; zstd writes at most the capacity it is given.
    let written = unsafe source.withUnsafeBytes { source in
      unsafe target.withUnsafeMutableBytes { target in
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: target[range])
        return unsafe ZSTD_decompressDCtx(context, target.baseAddress, target.count, source.baseAddress, source.count)
      }
    }
    guard ZSTD_isError(written) == 0 else { throw .corrupt("a zstd page is damaged: \(zstdMessage(written))") }
    guard written == range.count else {
      throw .corrupt("a zstd page holds \(written) bytes where its header says \(range.count)")
    }
  }
}

private func zstdMessage(_ code: Int) -> String {
  unsafe String(cString: ZSTD_getErrorName(code))
}

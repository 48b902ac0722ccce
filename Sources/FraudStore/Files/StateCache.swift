import FraudCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One row of `fraud.state_buckets` or `fraud.state_deltas`, by what says that a copy of its bytes is one.
struct StateRow: Sendable, Hashable {
  enum Kind: UInt64, Sendable {
    case bucket = 1
    case delta = 2
  }

  var kind: Kind
  /// The bucket, or the commit.
  var number: Int64
  /// The commit that wrote it.
  var sequence: Int64
  /// That commit's name, which no other commit of any database has.
  var batchID: UniqueID
  /// Its bytes before they are packed.
  var byteCount: Int

  /// Its file. Names sort as the numbers do.
  var fileName: String {
    let digits = String(number)
    return kind == .bucket
      ? "bucket-" + String(repeating: "0", count: max(0, 2 - digits.count)) + digits
      : "delta-" + String(repeating: "0", count: max(0, 20 - digits.count)) + digits
  }

  /// The 64 bytes before the row's own in its file: magic, kind, number, sequence, batch id, count of bytes, and XXH64 of
  /// them; all words with the lowest byte first.
  func header(hash: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in [
      Self.magic, kind.rawValue, UInt64(bitPattern: number), UInt64(bitPattern: sequence), batchID.high, batchID.low,
      UInt64(byteCount), hash,
    ] {
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return bytes
  }

  /// "FRAUDST2": copies of state rows in the second format.
  private static let magic: UInt64 = 0x3254_5344_5541_5246
  static let headerBytes = 64
}

/// Copies of the rows that hold what features remember, unpacked, in files of their own beside the process that wrote them,
/// so that a restart reads them from here instead of from the database.
///
/// The database stays the truth: it names the rows that make up a state, each with the name of the commit that wrote it, and
/// a file counts only where it says the same of itself and its checksum holds. So a partition that another process has had
/// meanwhile, a pipeline that was reset and another database are no danger, and files need no sync to disk: what a power cut
/// tears is seen and read from the database.
///
///     DIR/PIPELINE/TOPIC+GENERATION+PARTITION/bucket-07, delta-00000000000000001234
///
/// It belongs to one thread.
struct StateCache: Sendable {
  private let root: String
  /// What files are called while they are written; a process has its own.
  private let suffix: String
  private let warn: @Sendable (String) -> Void
  /// Whether it is written to no more, because that failed.
  private var isFull = false
  private var directories: Set<String> = []
  /// Whether any copy was handed out.
  private(set) var wasUsed = false

  init(root: String, owner: UniqueID, warn: @escaping @Sendable (String) -> Void) {
    self.root = root
    suffix = ".\(owner).new"
    self.warn = warn
  }

  /// Keeps a copy. Where it cannot be, says so once and keeps none any more.
  mutating func keep(_ bytes: [UInt8], of row: StateRow, _ pipelineID: Int, _ source: EventSource) {
    guard !isFull else { return }
    let directory = directory(pipelineID, source)
    do throws(StoreError) {
      if directories.insert(directory).inserted { try SystemFiles.makeDirectories(directory, mode: 0o700) }
      let path = directory + "/" + row.fileName
      try Self.write(row.header(hash: StableHash.hash(bytes.span)), bytes, to: path + suffix)
      try SystemFiles.move(path + suffix, to: path)
    } catch {
      isFull = true
      warn("no copies of state are kept any more: \(error)")
    }
  }

  /// The bytes of a row, where there is a sound copy of exactly that row.
  mutating func bytes(of row: StateRow, _ pipelineID: Int, _ source: EventSource) -> [UInt8]? {
    let path = directory(pipelineID, source) + "/" + row.fileName
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    guard let header = Self.read(file, count: StateRow.headerBytes, at: 0) else { return nil }
    let hash = header.suffix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    // A copy of another row, as an earlier owner leaves it.
    guard header == row.header(hash: hash) else { return nil }
    guard let bytes = Self.read(file, count: row.byteCount, at: StateRow.headerBytes),
      StableHash.hash(bytes.span) == hash
    else {
      warn("\(path) is damaged; its row is read from the database")
      return nil
    }
    wasUsed = true
    return bytes
  }

  /// Removes copies of deltas that the database needs no more.
  func removeDeltas(_ sequences: ClosedRange<Int64>, _ pipelineID: Int, _ source: EventSource) {
    let directory = directory(pipelineID, source)
    for sequence in sequences {
      let row = StateRow(
        kind: .delta, number: sequence, sequence: sequence, batchID: UniqueID(high: 0, low: 0), byteCount: 0)
      unsafe unlink(directory + "/" + row.fileName)
    }
  }

  /// Removes every file of a partition but those of these rows.
  func removeAll(but rows: [StateRow], _ pipelineID: Int, _ source: EventSource) {
    let directory = directory(pipelineID, source)
    let kept = Set(rows.map(\.fileName))
    for name in SystemFiles.list(directory) where !kept.contains(name) {
      guard name.hasPrefix("bucket-") || name.hasPrefix("delta-") else { continue }
      unsafe unlink(directory + "/" + name)
    }
  }

  private func directory(_ pipelineID: Int, _ source: EventSource) -> String {
    "\(root)/\(pipelineID)/\(Self.encoded(source.topic))+\(Self.encoded(source.generation))+\(source.partition)"
  }

  private static func encoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default: encoded += "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
      }
    }
    return encoded
  }

  private static func write(_ header: [UInt8], _ bytes: [UInt8], to path: String) throws(StoreError) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw SystemFiles.failure("write", path) }
    defer { close(file) }
    do throws(StoreError) {
      try write(header, to: file, at: 0, path)
      try write(bytes, to: file, at: header.count, path)
    } catch {
      unsafe unlink(path)
      throw error
    }
  }

  private static func write(_ bytes: [UInt8], to file: Int32, at start: Int, _ path: String) throws(StoreError) {
    var done = 0
    while done < bytes.count {
      // The buffer is the array's, lent to this call.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(file, buffer.baseAddress.map { unsafe $0 + done }, buffer.count - done, off_t(start + done))
      }
      if count > 0 { done += count } else if count == 0 || errno != EINTR { throw SystemFiles.failure("write", path) }
    }
  }

  /// Exactly these bytes of a file, `nil` where it has fewer.
  private static func read(_ file: Int32, count: Int, at start: Int) -> [UInt8]? {
    var information = stat()
    guard unsafe fstat(file, &information) == 0, count <= Int(information.st_size) - start else { return nil }
    // What is not initialised is not counted.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      while done < count {
        let more = unsafe pread(file, buffer.baseAddress.map { unsafe $0 + done }, count - done, off_t(start + done))
        if more > 0 { done += more } else if more == 0 || errno != EINTR { break }
      }
    }
    return bytes.count == count ? bytes : nil
  }
}

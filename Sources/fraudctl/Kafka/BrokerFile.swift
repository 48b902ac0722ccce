import Foundation

/// `DATA/broker.json`: where the dev broker of a data directory listens.
///
/// The broker holds an exclusive lock on `DATA/broker.lock` as long as it lives, so a file that a killed broker left
/// behind is known for what it is, whoever has got its process id since.
struct BrokerFile: Codable {
  var brokers: String
  var pid: Int32

  /// The dev broker that runs for a data directory, if one does.
  static func running(in data: String) -> BrokerFile? {
    guard BrokerLock.isHeld(in: data),
      let text = try? Data(contentsOf: URL(fileURLWithPath: data).appending(path: "broker.json"))
    else { return nil }
    return try? JSONDecoder().decode(BrokerFile.self, from: text)
  }

  /// Writes the file in one step.
  func write(in data: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = try encoder.encode(self) + Data("\n".utf8)
    try text.write(to: URL(fileURLWithPath: data).appending(path: "broker.json"), options: .atomic)
  }

  static func remove(in data: String) {
    try? FileManager.default.removeItem(at: URL(fileURLWithPath: data).appending(path: "broker.json"))
  }
}

/// The lock that a running dev broker holds. The system releases it whatever becomes of the process.
struct BrokerLock: ~Copyable {
  private let descriptor: Int32

  /// Takes the lock, or returns `nil` where another process holds it.
  init?(in data: String) throws {
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    let path = Self.path(in: data)
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure.failed("cannot write \(path): \(Self.systemError)") }
    // A command that looks whether a broker runs holds the lock for an instant.
    for attempt in 0..<5 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        self.descriptor = descriptor
        return
      }
      if attempt < 4 { usleep(20_000) }
    }
    close(descriptor)
    return nil
  }

  /// Whether some process holds the lock.
  static func isHeld(in data: String) -> Bool {
    let descriptor = unsafe open(path(in: data), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  private static func path(in data: String) -> String {
    URL(fileURLWithPath: data).appending(path: "broker.lock").path
  }

  private static var systemError: String { unsafe String(cString: strerror(errno)) }

  deinit { close(descriptor) }
}

import CPQ
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A share in the private PostgreSQL server of a data directory.
///
/// Where no database is named, each command takes a share: the first one makes and starts the server, the last one to
/// leave stops it. What processes share is a lock on `DATA/lock`, so that a killed process gives up its share whatever
/// killed it; a server that it leaves behind is used by the next command. The server listens on a Unix socket in a
/// directory that only its owner can enter, and on no network.
///
/// All calls block; see ``onOwnThread(_:)``.
public final class EmbeddedPostgres: Sendable {
  /// Where the server is.
  public let address: PostgresAddress

  private let dataDirectory: String
  /// The shared lock; nil once it has been given up.
  private let share: Mutex<FileLock?>

  private init(address: PostgresAddress, dataDirectory: String, share: FileLock) {
    self.address = address
    self.dataDirectory = dataDirectory
    self.share = Mutex(share)
  }

  /// What is known about a data directory's server.
  public struct Status: Sendable {
    /// Whether the server answers or is about to.
    public var isRunning: Bool
    /// Whether it stays when nobody uses it.
    public var isPersistent: Bool
    /// Where the server is or would be.
    public var address: PostgresAddress
    /// Where its files are.
    public var directory: String
  }

  /// The shares of this process. Its lock is held while one is taken, so that ``releaseAll()`` misses none.
  private static let shares = Mutex<(held: [EmbeddedPostgres], isClosed: Bool)>(([], false))

  // MARK: - Taking and giving up shares

  /// Takes a share in the server, making and starting it where need be. Give it up with ``release()``.
  ///
  /// - Parameters:
  ///   - dataDirectory: Made where it does not exist.
  ///   - persistent: True to keep the server running when nobody uses it, false to end that, nil to leave it as it is.
  /// - Throws: ``StoreError`` with `.cluster` and what to do, `.file` where the directory cannot be used.
  /// - Complexity: about 0.2 s to start, 1 to 2 s the first time, a millisecond where it runs.
  public static func acquire(dataDirectory: String, persistent: Bool? = nil) throws(StoreError) -> EmbeddedPostgres {
    try shares.withLock { (shares) throws(StoreError) in
      if shares.isClosed { throw StoreError(code: .cluster, message: "interrupted") }
      let share = try take(dataDirectory: dataDirectory, persistent: persistent)
      shares.held.append(share)
      return share
    }
  }

  private static func take(dataDirectory: String, persistent: Bool?) throws(StoreError) -> EmbeddedPostgres {
    try SystemFiles.makeDirectories(dataDirectory)
    let turn = try takeTurn(dataDirectory)
    let share = try FileLock(dataDirectory + "/lock")
    try share.lock(exclusive: false)
    var location = try ClusterLocation(dataDirectory: dataDirectory)
    if !location.isKnown { try setAside(location) }
    location.isPersistent = persistent ?? location.isPersistent
    try location.makeDirectories()
    try location.describe()
    let server = ClusterServer(location: location, turn: turn)
    try server.makeReady()
    return EmbeddedPostgres(address: location.address, dataDirectory: dataDirectory, share: share)
  }

  /// Gives up the share and, as the last one, stops the server. Doing it again has no effect.
  public func release() {
    Self.shares.withLock { shares in
      shares.held.removeAll { $0 === self }
      giveUp()
    }
  }

  /// Gives up every share of this process, for use when it is being ended. Taking one afterwards fails.
  public static func releaseAll() {
    shares.withLock { shares in
      shares.isClosed = true
      for share in shares.held { share.giveUp() }
      shares.held = []
    }
  }

  private func giveUp() {
    share.withLock { share in
      guard let lock = share else { return }
      share = nil
      // Failing to stop is not a failure of what the command did; the next command finds the server and uses it.
      guard let turn = try? Self.takeTurn(dataDirectory), lock.tryLockExclusively(),
        let location = try? ClusterLocation(dataDirectory: dataDirectory), !location.isPersistent
      else { return }
      try? ClusterServer(location: location, turn: turn).stop()
    }
  }

  // MARK: - Looking at and ending the server

  /// Looks without starting anything. Nil where the data directory has no cluster.
  public static func status(dataDirectory: String) throws(StoreError) -> Status? {
    guard SystemFiles.exists(dataDirectory + "/postgres.json") else { return nil }
    let turn = try takeTurn(dataDirectory)
    let location = try ClusterLocation(dataDirectory: dataDirectory)
    return Status(
      isRunning: ClusterServer(location: location, turn: turn).isRunning, isPersistent: location.isPersistent,
      address: location.address, directory: location.home)
  }

  /// What ``stop(dataDirectory:)`` found and did.
  public enum StopOutcome: Sendable {
    case stopped
    case wasNotRunning
    /// Commands use it. It is no longer persistent and stops when the last of them ends.
    case inUse
  }

  /// Ends a persistent server, at once or when the commands that use it have ended.
  public static func stop(dataDirectory: String) throws(StoreError) -> StopOutcome {
    guard SystemFiles.exists(dataDirectory + "/postgres.json") else { return .wasNotRunning }
    let turn = try takeTurn(dataDirectory)
    var location = try ClusterLocation(dataDirectory: dataDirectory)
    location.isPersistent = false
    try location.describe()
    let server = ClusterServer(location: location, turn: turn)
    guard server.isRunning else { return .wasNotRunning }
    guard try FileLock(dataDirectory + "/lock").tryLockExclusively() else { return .inUse }
    try server.stop()
    return .stopped
  }

  /// Stops the server and removes all that it holds.
  ///
  /// - Throws: ``StoreError`` with `.cluster` where commands use it.
  public static func remove(dataDirectory: String) throws(StoreError) {
    guard SystemFiles.exists(dataDirectory + "/postgres.json") else { return }
    let turn = try takeTurn(dataDirectory)
    guard try FileLock(dataDirectory + "/lock").tryLockExclusively() else {
      throw StoreError(code: .cluster, message: "another fraudctl uses the database in \(dataDirectory); end it first")
    }
    let location = try ClusterLocation(dataDirectory: dataDirectory)
    let server = ClusterServer(location: location, turn: turn)
    try server.stop()
    try server.remove()
  }

  /// Waits until no other process starts, stops or looks at the server.
  private static func takeTurn(_ dataDirectory: String) throws(StoreError) -> FileLock {
    let turn = try FileLock(dataDirectory + "/postgres.lock")
    try turn.lock(exclusive: true)
    return turn
  }

  /// Somebody removed the data directory to start over, but what lies outside of it is still there: it is kept once,
  /// under another name.
  private static func setAside(_ location: ClusterLocation) throws(StoreError) {
    guard SystemFiles.exists(location.home), let user = location.user else { return }
    try SystemFiles.makePrivateDirectory(location.home, owner: user.id, group: user.group)
    try ClusterServer(location: location, turn: nil).stop()
    let aside = location.home + ".old"
    _ = try ChildProcess(outputFile: location.scratchFile).run(["/bin/rm", "-rf", "--", aside])
    try SystemFiles.move(location.home, to: aside)
  }
}

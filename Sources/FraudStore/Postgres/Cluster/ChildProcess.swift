#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs a program to its end, apart from the terminal: in a session of its own, so that Ctrl-C here does not reach it,
/// with an environment of its own, so that the caller's `PG…` variables do not either.
struct ChildProcess {
  /// Where the program's standard output and error go.
  var outputFile: String
  /// Where it runs.
  var workingDirectory = "/"
  /// The home that its environment names.
  var home = "/"
  /// An open file that the program inherits, and with it the lock on that file, until it ends.
  var inheritedFile: Int32?

  /// The place of an inherited file in the program.
  private static let inheritedPlace: Int32 = 3

  /// The files that a process may have open where nobody has raised the limit.
  private static let filesMax: Int32 = 1024

  /// `POSIX_SPAWN_SETSID`, which Linux's headers show to GNU programs only.
  #if os(Linux)
    private static let newSession: Int32 = 0x80
  #else
    private static let newSession = Int32(POSIX_SPAWN_SETSID)
  #endif

  /// Runs a program and waits for it.
  ///
  /// - Parameter arguments: The program's absolute path first.
  /// - Returns: its exit status, or 128 and the signal that ended it.
  /// - Throws: ``StoreError`` with `.cluster` where it cannot be started.
  func run(_ arguments: [String]) throws(StoreError) -> Int32 {
    #if os(Linux)
      var actions = unsafe posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
    #else
      var actions: posix_spawn_file_actions_t? = nil
      var attributes: posix_spawnattr_t? = nil
    #endif
    _ = unsafe posix_spawn_file_actions_init(&actions)
    _ = unsafe posix_spawnattr_init(&attributes)
    defer {
      _ = unsafe posix_spawn_file_actions_destroy(&actions)
      _ = unsafe posix_spawnattr_destroy(&attributes)
    }
    _ = unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    _ = unsafe posix_spawn_file_actions_addopen(&actions, 1, outputFile, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    _ = unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    if let inheritedFile { _ = unsafe posix_spawn_file_actions_adddup2(&actions, inheritedFile, Self.inheritedPlace) }
    // A server that outlives this process is not to hold its other files open: who waits for their end would wait for it.
    #if os(Linux)
      // One by one, since glibc shows `…_addclosefrom_np` to GNU programs only. What is not open is passed over.
      let firstUnused = inheritedFile == nil ? Self.inheritedPlace : Self.inheritedPlace + 1
      for file in firstUnused..<Self.filesMax { _ = unsafe posix_spawn_file_actions_addclose(&actions, file) }
    #endif

    // Nothing that this process blocks or ignores is blocked or ignored there.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    _ = unsafe posix_spawnattr_setsigmask(&attributes, &signals)
    unsafe sigfillset(&signals)
    _ = unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
    var flags = Self.newSession | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
    #if canImport(Darwin)
      flags |= Int32(POSIX_SPAWN_CLOEXEC_DEFAULT)
    #endif
    _ = unsafe posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))

    let environment = ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "HOME=\(home)"]
    // The standard spawn attributes cannot change the directory; a shell can, and then becomes the program.
    let command = ["/bin/sh", "-c", #"cd "$1" && shift && exec "$@""#, "sh", workingDirectory] + arguments
    var process: pid_t = 0
    let status = unsafe withCStrings(command) { arguments in
      unsafe withCStrings(environment) { environment in
        // posix_spawn reads both lists and changes neither; their C type only predates const.
        unsafe posix_spawn(
          &process, arguments[0]!, &actions, &attributes,
          UnsafeMutableRawPointer(mutating: arguments).assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self),
          UnsafeMutableRawPointer(mutating: environment).assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self))
      }
    }
    guard status == 0 else {
      throw StoreError(code: .cluster, message: "cannot run \(arguments.first ?? ""): \(systemMessage(status))")
    }
    var outcome: Int32 = 0
    while unsafe waitpid(process, &outcome, 0) < 0 {
      guard errno == EINTR else {
        throw StoreError(code: .cluster, message: "lost sight of \(arguments.first ?? ""): \(systemMessage(errno))")
      }
    }
    let signal = outcome & 0x7F
    return signal == 0 ? (outcome >> 8) & 0xFF : 128 + signal
  }
}

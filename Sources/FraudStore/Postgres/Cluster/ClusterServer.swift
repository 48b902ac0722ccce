import CPQ

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Makes, starts and stops the server of one private cluster. The caller holds the turn, so nobody else does meanwhile.
struct ClusterServer {
  let location: ClusterLocation
  /// The lock that is held. Making the cluster inherits it: where this process dies, the next one waits for the end.
  let turn: FileLock?

  /// Whether the server answers or is about to.
  var isRunning: Bool {
    ping() != PQPING_NO_RESPONSE
  }

  /// Makes the cluster, starts the server and makes the database, whatever of it is missing.
  func makeReady() throws(StoreError) {
    switch ping() {
    case PQPING_OK: return
    case PQPING_REJECT: if waitWhileRejecting() { return }
    default: break
    }
    let made = try SystemFiles.read(location.clusterDirectory + "/PG_VERSION").map { bytes in
      Int(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
    let binaries = try PostgresBinaries.find(version: made ?? nil, scratchFile: location.scratchFile)
    if made == nil { try makeCluster(binaries) }
    try start(binaries)
    try makeDatabase()
  }

  /// Stops the server where it runs: work under way is rolled back, what is committed is on disk.
  func stop() throws(StoreError) {
    guard isRunning else { return }
    let made = try SystemFiles.read(location.clusterDirectory + "/PG_VERSION").flatMap { bytes in
      Int(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
    let binaries = try PostgresBinaries.find(version: made, scratchFile: location.scratchFile)
    try run(
      [binaries.folder + "/pg_ctl", "stop", "-D", location.clusterDirectory, "-m", "fast", "-w", "-t", "60", "-s"],
      "stop the private PostgreSQL server")
  }

  /// Removes the cluster's files. The server does not run.
  func remove() throws(StoreError) {
    _ = try ChildProcess(outputFile: location.scratchFile).run([
      "/bin/rm", "-rf", "--", location.home, location.socketDirectory, location.data + "/postgres.json",
    ])
  }

  /// - Source: PostgreSQL 15 documentation, chapter 20; what is not set here keeps its default, `fsync` and
  ///   `synchronous_commit` among them.
  private static let settings = """

    # Settings of fraudctl, for a small machine.
    listen_addresses = ''
    unix_socket_permissions = 0700
    # A process takes a handful, a commit's thread each; a slot that nobody takes costs next to nothing.
    max_connections = 200
    shared_buffers = 128MB
    wal_level = minimal
    max_wal_senders = 0
    wal_compression = on
    max_wal_size = 2GB
    checkpoint_timeout = 15min
    # Compiling a statement takes longer than any of ours runs.
    jit = off
    timezone = 'UTC'
    log_timezone = 'UTC'
    log_min_messages = warning
    # A client that is gone is noticed within ten seconds.
    client_connection_check_interval = 10s

    """

  private func makeCluster(_ binaries: PostgresBinaries) throws(StoreError) {
    // Made beside and moved, so that a cluster is there whole or not at all.
    let unfinished = location.home + "/data.new"
    _ = try ChildProcess(outputFile: location.scratchFile).run(["/bin/rm", "-rf", "--", unfinished])
    try run(
      [
        binaries.folder + "/initdb", "-D", unfinished, "-U", ClusterLocation.role, "--auth-local=trust",
        "--auth-host=reject", "--encoding=UTF8", "--locale=C", "--no-instructions",
      ], "make the private PostgreSQL cluster", inheritingTurn: true)
    try SystemFiles.append(Self.settings, to: unfinished + "/postgresql.conf")
    try SystemFiles.move(unfinished, to: location.clusterDirectory)
  }

  private func start(_ binaries: PostgresBinaries) throws(StoreError) {
    removeStalePIDFile()
    try run(
      [
        binaries.folder + "/pg_ctl", "start", "-D", location.clusterDirectory, "-l", location.logFile,
        "-o", "-k \(location.socketDirectory) -p \(ClusterLocation.port)", "-w", "-t", "60", "-s",
      ], "start the private PostgreSQL server")
  }

  /// Removes the pid files of a server that was killed and whose process nobody reaps, as in a container without an init
  /// process: PostgreSQL takes it for a running server. Done only where no process works in the cluster's directory, as
  /// every process of a server does.
  private func removeStalePIDFile() {
    let file = location.clusterDirectory + "/postmaster.pid"
    guard SystemFiles.exists("/proc/self/cwd"), SystemFiles.exists(file) else { return }
    // The processes of a killed server notice its end and leave.
    for _ in 0..<100 where isWorkedIn(location.clusterDirectory) { usleep(50_000) }
    if isWorkedIn(location.clusterDirectory) { return }
    unsafe unlink(file)
    unsafe unlink(location.socketDirectory + "/.s.PGSQL.\(ClusterLocation.port).lock")
  }

  private func isWorkedIn(_ directory: String) -> Bool {
    SystemFiles.list("/proc").contains { name in
      guard name.first?.isWholeNumber == true else { return false }
      return (try? SystemFiles.canonical("/proc/\(name)/cwd")) == directory
    }
  }

  private func makeDatabase() throws(StoreError) {
    let maintenance = PostgresAddress(
      socketDirectory: location.socketDirectory, port: ClusterLocation.port, user: ClusterLocation.role,
      database: "postgres")
    var connection = try PostgresConnection(maintenance)
    let found = try connection.query(
      "SELECT 1 FROM pg_database WHERE datname = $1", [.text(ClusterLocation.database)])
    if found.rowCount == 0 { try connection.runScript("CREATE DATABASE \(ClusterLocation.database)") }
  }

  private func ping() -> PGPing {
    unsafe PQping(location.address.secretText)
  }

  /// A server that starts or stops refuses connections for a while.
  ///
  /// - Returns: whether it answers now; if not, it has stopped.
  private func waitWhileRejecting() -> Bool {
    for _ in 0..<1200 {
      switch ping() {
      case PQPING_OK: return true
      case PQPING_REJECT: usleep(50_000)
      default: return false
      }
    }
    return false
  }

  private func run(_ command: [String], _ purpose: String, inheritingTurn: Bool = false) throws(StoreError) {
    var child = ChildProcess(outputFile: location.scratchFile, workingDirectory: location.home, home: location.home)
    if inheritingTurn { child.inheritedFile = turn?.file }
    let status = try child.run(try location.asClusterUser(command))
    if status == 0 { return }
    let output = tail(location.scratchFile) + tail(location.logFile)
    throw StoreError(
      code: .cluster,
      message: "cannot \(purpose) in \(location.home) (status \(status)): \(output.joined(separator: " | "))")
  }

  private func tail(_ path: String) -> [String] {
    guard let bytes = try? SystemFiles.read(path, limit: 16 << 20) else { return [] }
    return String(decoding: bytes.suffix(4_096), as: UTF8.self).split(separator: "\n").suffix(5).map(String.init)
  }
}

import FraudCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Where the private cluster of a data directory lives, and whose it is.
///
/// PostgreSQL refuses to run as root. Run by root, the cluster is therefore another user's, and since that user may not
/// be able to reach the data directory, it lies under `/var/tmp`; `postgres.json` in the data directory says where.
struct ClusterLocation {
  /// The data directory, absolute and without links.
  let data: String
  /// The directory that holds the cluster's files.
  let home: String
  /// The directory that holds the socket. Short, since a socket's path has at most 107 bytes.
  let socketDirectory: String
  /// The user that runs the server, where it is not the one who runs this.
  let user: SystemUser?
  /// Whether the server stays when nobody uses it.
  var isPersistent = false

  struct SystemUser {
    let name: String
    let id: uid_t
    let group: gid_t
  }

  static let port = 5432
  static let role = "fraud"
  static let database = "fraud"

  var clusterDirectory: String { home + "/data" }
  var logFile: String { home + "/server.log" }
  /// Output of the programs that make, start and stop the server.
  var scratchFile: String { data + "/postgres.out" }
  private var description: String { data + "/postgres.json" }

  /// Whether a cluster was described in the data directory before.
  let isKnown: Bool

  var address: PostgresAddress {
    PostgresAddress(socketDirectory: socketDirectory, port: Self.port, user: Self.role, database: Self.database)
  }

  /// Finds the place for a data directory that exists.
  init(dataDirectory: String) throws(StoreError) {
    data = try SystemFiles.canonical(dataDirectory)
    let hash = SHA256.hexadecimalDigest(data.utf8).prefix(16)
    let described = try Self.read(data + "/postgres.json")
    isKnown = described != nil
    isPersistent = described?.isPersistent ?? false
    if geteuid() == 0 {
      guard let unprivileged = Self.user(named: "postgres") ?? Self.user(named: "nobody") else {
        throw StoreError(
          code: .cluster,
          message: "PostgreSQL does not run as root and there is no user `postgres`: run fraudctl as another user")
      }
      user = unprivileged
      home = described?.home ?? "/var/tmp/fraud-\(hash)"
      socketDirectory = home
    } else {
      user = nil
      home = data + "/postgres"
      socketDirectory = "/tmp/fraud-\(geteuid())-\(hash)"
    }
  }

  /// Makes the directories, readable by nobody else.
  func makeDirectories() throws(StoreError) {
    for directory in Set([home, socketDirectory]).sorted() {
      try SystemFiles.makePrivateDirectory(directory, owner: user?.id ?? geteuid(), group: user?.group ?? getegid())
    }
  }

  /// Writes `postgres.json`.
  func describe() throws(StoreError) {
    func quoted(_ text: String) -> String { DefinitionValue(.string(text)).canonicalJSON }
    try SystemFiles.write(
      """
      {
        "home": \(quoted(home)),
        "url": \(quoted(address.description)),
        "user": \(user.map { quoted($0.name) } ?? "null"),
        "persistent": \(isPersistent)
      }

      """, to: description)
  }

  private static func read(_ path: String) throws(StoreError) -> (home: String, isPersistent: Bool)? {
    guard let bytes = try SystemFiles.read(path) else { return nil }
    guard let value = try? DefinitionValue(json: bytes), case .object(let members) = value.content,
      let home = members.first(where: { $0.key == "home" }), case .string(let path) = home.value.content
    else { throw StoreError(code: .corrupt, message: "\(path) is damaged; remove the data directory to start over") }
    let persistent = members.first { $0.key == "persistent" }?.value.content == .boolean(true)
    return (path, persistent)
  }

  private static func user(named name: String) -> SystemUser? {
    guard let entry = unsafe getpwnam(name) else { return nil }
    return unsafe SystemUser(name: name, id: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
  }

  /// Puts before a command what makes it run as the cluster's user.
  func asClusterUser(_ command: [String]) throws(StoreError) -> [String] {
    guard let user else { return command }
    for (tool, options) in [
      ("/usr/bin/setpriv", ["--reuid=\(user.id)", "--regid=\(user.group)", "--clear-groups", "--"]),
      ("/usr/sbin/runuser", ["-u", user.name, "--"]), ("/sbin/runuser", ["-u", user.name, "--"]),
      ("/usr/bin/sudo", ["-u", user.name, "--"]),
    ] where SystemFiles.isExecutable(tool) {
      return [tool] + options + command
    }
    throw StoreError(
      code: .cluster,
      message: "PostgreSQL does not run as root, and none of setpriv, runuser and sudo is there to change the user")
  }
}

/// Where PostgreSQL's own programs are.
struct PostgresBinaries {
  /// The folder of `postgres`, `initdb` and `pg_ctl`.
  let folder: String
  /// The major version, as in 15.
  let version: Int

  /// Finds the programs: where `pg_config` says, else the newest of the system's version folders.
  ///
  /// - Parameters:
  ///   - version: The major version that an existing cluster was made with; another cannot run it.
  ///   - scratchFile: A file that may be overwritten with a program's output.
  /// - Throws: ``StoreError`` with `.cluster`, with what to install.
  static func find(version required: Int?, scratchFile: String) throws(StoreError) -> PostgresBinaries {
    var folders: [String] = []
    for tool in ["/usr/bin/pg_config", "/usr/local/bin/pg_config", "/opt/homebrew/bin/pg_config"]
    where SystemFiles.isExecutable(tool) {
      if let folder = try output(of: [tool, "--bindir"], scratchFile) { folders.append(folder) }
    }
    folders += versionFolders()
    var others: Set<Int> = []
    for folder in folders {
      guard ["postgres", "initdb", "pg_ctl"].allSatisfy({ SystemFiles.isExecutable("\(folder)/\($0)") }),
        let text = try output(of: ["\(folder)/postgres", "--version"], scratchFile),
        let version = majorVersion(text)
      else { continue }
      if required == nil || required == version { return PostgresBinaries(folder: folder, version: version) }
      others.insert(version)
    }
    guard let required, !others.isEmpty else {
      throw StoreError(
        code: .cluster,
        message:
          "no PostgreSQL server programs are installed: on Debian or Ubuntu `apt-get install postgresql`, on macOS"
          + " `brew install postgresql`; or name a running database with --database or DATABASE_URL")
    }
    throw StoreError(
      code: .cluster,
      message: "the private database was made by PostgreSQL \(required), but only version"
        + " \(others.sorted().map(String.init).joined(separator: ", ")) is installed: install postgresql-\(required), or"
        + " name another data directory with --data")
  }

  /// The folders that packages use, newest version first.
  private static func versionFolders() -> [String] {
    var found: [(version: Int, folder: String)] = []
    for (parent, prefix, suffix) in [
      ("/usr/lib/postgresql", "", "/bin"), ("/usr", "pgsql-", "/bin"), ("/usr/local", "pgsql", "/bin"),
      ("/opt/homebrew/opt", "postgresql@", "/bin"), ("/usr/local/opt", "postgresql@", "/bin"),
      ("/Applications/Postgres.app/Contents/Versions", "", "/bin"),
    ] {
      for name in SystemFiles.list(parent) where name.hasPrefix(prefix) {
        let version = Int(name.dropFirst(prefix.count).prefix { $0.isWholeNumber })
        if version != nil || name == prefix { found.append((version ?? 0, "\(parent)/\(name)\(suffix)")) }
      }
    }
    return found.sorted { ($0.version, $0.folder) > ($1.version, $1.folder) }.map(\.folder)
  }

  /// The number after "postgres (PostgreSQL) ", up to the dot.
  private static func majorVersion(_ text: String) -> Int? {
    text.split(separator: " ").lazy.compactMap { Int($0.prefix { $0.isASCII && $0.isWholeNumber }) }.first
  }

  private static func output(of command: [String], _ scratchFile: String) throws(StoreError) -> String? {
    guard try ChildProcess(outputFile: scratchFile).run(command) == 0,
      let bytes = try SystemFiles.read(scratchFile)
    else { return nil }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init)
  }
}

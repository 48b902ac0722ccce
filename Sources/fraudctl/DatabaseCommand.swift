import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// `fraudctl database …`: the tables and, where no database is named, the private server.
struct DatabaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "database",
    abstract: "Start, stop, migrate and look at the database.",
    discussion: """
      Every command that needs the database uses --database, else DATABASE_URL, else a private PostgreSQL server for the
      data directory, which it starts and stops again. `start` keeps that server running.

      EXAMPLES
        fraudctl database start
        fraudctl database status
        fraudctl database shell
        fraudctl database shell -- -c 'SELECT count(*) FROM fraud.alerts'
        DATABASE_URL=postgresql://fraud@db/fraud fraudctl database migrate
      """,
    subcommands: [Migrate.self, Status.self, Start.self, Stop.self, Shell.self])

  struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "migrate", abstract: "Bring the tables to the newest schema.")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        try withDatabase(database, migrates: false) { connection, address in
          let applied = try Migrator.migrate(&connection)
          let status = try Migrator.status(&connection)
          if output.json {
            var object = JSONObjectText()
            object.append("applied", json: jsonArray(applied.map { quoted($0) }))
            object.append("schema", Int64(status.applied.last?.number ?? 0))
            Terminal.standardOutput.line(object.finished)
          } else {
            for name in applied { Terminal.standardOutput.line("applied \(name)") }
            Terminal.standardOutput.line(
              "\(address) is at schema \(status.applied.last?.number ?? 0)" + (applied.isEmpty ? ", nothing to do" : "")
            )
          }
        }
      }
    }
  }

  struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status", abstract: "Show where the database is, its schema and its size.",
      discussion: "A private server that does not run is not started.")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        if database.named == nil {
          let status = try EmbeddedPostgres.status(dataDirectory: database.place.data)
          guard let status, status.isRunning else {
            showStopped(status)
            return
          }
          try show(status)
        } else {
          try show(nil)
        }
      }
    }

    private func showStopped(_ status: EmbeddedPostgres.Status?) {
      if output.json {
        var object = JSONObjectText()
        object.append("running", false)
        object.append("private", true)
        object.append("url", status?.address.description)
        object.append("directory", status?.directory)
        Terminal.standardOutput.line(object.finished)
      } else if let status {
        Terminal.standardOutput.line("The private server does not run; its files are in \(status.directory).")
        Terminal.standardOutput.line("Commands start it when they need it; `fraudctl database start` keeps it running.")
      } else {
        Terminal.standardOutput.line("There is no private database in \(database.place.data) yet.")
      }
    }

    private func show(_ server: EmbeddedPostgres.Status?) throws {
      try withDatabase(database, migrates: false) { connection, address in
        let version = connection.serverVersion
        let status = try Migrator.status(&connection)
        let sizes = try TableSize.all(on: &connection)
        if output.json {
          var object = JSONObjectText()
          object.append("running", true)
          object.append("private", server != nil)
          object.append("persistent", server?.isPersistent ?? true)
          object.append("url", address.description)
          object.append("directory", server?.directory)
          object.append("server_version", "\(version / 10_000).\(version % 10_000)")
          object.append("schema", Int64(status.applied.last?.number ?? 0))
          object.append("migrations", json: jsonArray(status.applied.map { quoted($0.name) }))
          object.append("pending", json: jsonArray(status.pending.map { quoted($0) }))
          object.append(
            "tables",
            json: jsonArray(
              sizes.map { size in
                var table = JSONObjectText()
                table.append("table", size.table)
                table.append("rows", size.rows)
                table.append("bytes", size.bytes)
                return table.finished
              }))
          Terminal.standardOutput.line(object.finished)
          return
        }
        let terminal = Terminal.standardOutput
        terminal.line("\(address)")
        let kind =
          server.map { $0.isPersistent ? ", private, runs until `fraudctl database stop`" : ", private" } ?? ""
        terminal.line("PostgreSQL \(version / 10_000).\(version % 10_000)\(kind)")
        terminal.line(
          "schema \(status.applied.last?.number ?? 0)"
            + (status.pending.isEmpty ? "" : ", missing: \(status.pending.joined(separator: ", "))"))
        if sizes.isEmpty { return }
        terminal.line()
        var table = Table(columns: [
          .init(title: "TABLE"), .init(title: "ROWS", alignment: .right), .init(title: "SIZE", alignment: .right),
        ])
        table.rows = sizes.map { [$0.table, grouped(Int($0.rows)), byteCount($0.bytes)] }
        table.write(to: terminal)
      }
    }
  }

  struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "start", abstract: "Start the private server and keep it running.",
      discussion: "Prints its connection URL. `fraudctl database stop` ends it.")

    @OptionGroup var place: DataOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        Interruption.watch()
        let server = try EmbeddedPostgres.acquire(dataDirectory: place.data, persistent: true)
        defer { server.release() }
        var connection = try PostgresConnection(server.address)
        try Migrator.migrate(&connection)
        if output.json {
          var object = JSONObjectText()
          object.append("url", server.address.description)
          Terminal.standardOutput.line(object.finished)
        } else {
          Terminal.standardOutput.line(server.address.description)
        }
      }
    }
  }

  struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "stop", abstract: "Stop the private server.",
      discussion: "Where other commands use it, it stops when the last of them ends.")

    @OptionGroup var place: DataOptions

    func run() throws {
      try reporting {
        switch try EmbeddedPostgres.stop(dataDirectory: place.data) {
        case .stopped: Terminal.standardError.message("the private server has stopped")
        case .wasNotRunning: Terminal.standardError.message("the private server did not run")
        case .inUse: Terminal.standardError.message("the private server is in use and stops with its last user")
        }
      }
    }
  }

  struct Shell: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "shell", abstract: "Open psql on the database.",
      discussion: """
        What follows `--` goes to psql.

        EXAMPLES
          fraudctl database shell
          fraudctl database shell -- -c 'SELECT count(*) FROM fraud.alerts'
        """)

    @OptionGroup var database: DatabaseOptions
    @Argument(parsing: .postTerminator, help: "Arguments for psql.") var arguments: [String] = []

    func run() throws {
      try reporting {
        let status = try withDatabase(database) { _, address in
          try Self.runShell(arguments, address)
        }
        if status != 0 { throw ExitCode(status) }
      }
    }

    /// Runs psql in this terminal; Ctrl-C is psql's affair meanwhile.
    private static func runShell(_ arguments: [String], _ address: PostgresAddress) throws -> Int32 {
      for variable in address.environment { unsafe setenv(variable.name, variable.value, 1) }
      // Ignored here and not there, so that Ctrl-C ends a statement of psql and leaves the server's share to us.
      signal(SIGINT, SIG_IGN)
      defer { Interruption.watch() }
      #if os(Linux)
        var attributes = posix_spawnattr_t()
      #else
        var attributes: posix_spawnattr_t? = nil
      #endif
      unsafe posix_spawnattr_init(&attributes)
      defer { unsafe posix_spawnattr_destroy(&attributes) }
      var signals = sigset_t()
      unsafe sigemptyset(&signals)
      unsafe sigaddset(&signals, SIGINT)
      unsafe sigaddset(&signals, SIGPIPE)
      unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
      unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))

      // Copied for the call and freed after it.
      var words = unsafe (["psql"] + arguments).map { unsafe strdup($0) } + [nil]
      defer { unsafe words.forEach { unsafe free($0) } }
      var process: pid_t = 0
      let status = unsafe posix_spawnp(&process, "psql", nil, &attributes, &words, environ)
      guard status == 0 else {
        throw Failure.unavailable("psql is not installed: on Debian or Ubuntu `apt-get install postgresql-client`")
      }
      var outcome: Int32 = 0
      while unsafe waitpid(process, &outcome, 0) < 0, errno == EINTR {}
      let signal = outcome & 0x7F
      return signal == 0 ? (outcome >> 8) & 0xFF : 128 + signal
    }
  }
}

/// A JSON string.
func quoted(_ text: String) -> String {
  var bytes: [UInt8] = []
  JSONText.append(string: text, to: &bytes)
  return String(decoding: bytes, as: UTF8.self)
}

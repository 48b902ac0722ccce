import Synchronization

@testable import FraudStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A private PostgreSQL server for this test process: made at its first use, stopped and removed when the process ends.
/// Each test gets a database of its own.
enum TestDatabase {
  private static let directory = "/tmp/fraud-tests-\(getpid())"
  private static let made = Mutex(0)

  private static let server: Result<EmbeddedPostgres, StoreError> = {
    removeLeftovers()
    atexit {
      EmbeddedPostgres.releaseAll()
      try? EmbeddedPostgres.remove(dataDirectory: TestDatabase.directory)
      removeDirectory(TestDatabase.directory)
    }
    do throws(StoreError) {
      let server = try EmbeddedPostgres.acquire(dataDirectory: directory)
      var connection = try PostgresConnection(server.address)
      try Migrator.migrate(&connection)
      return .success(server)
    } catch {
      return .failure(error)
    }
  }()

  /// A new database with all migrations applied.
  static func make() throws -> PostgresAddress {
    let server = try server.get()
    let maintenance = try PostgresAddress(server.address.secretText.replacing("/fraud?", with: "/postgres?"))
    // PostgreSQL copies a template only while nobody uses it, so one copy is made at a time.
    return try made.withLock { made in
      made += 1
      var connection = try PostgresConnection(maintenance)
      try connection.execute("CREATE DATABASE test_\(made) TEMPLATE fraud")
      return try PostgresAddress(server.address.secretText.replacing("/fraud?", with: "/test_\(made)?"))
    }
  }

  /// A new database without anything.
  static func makeEmpty() throws -> PostgresAddress {
    let server = try server.get()
    let maintenance = try PostgresAddress(server.address.secretText.replacing("/fraud?", with: "/postgres?"))
    return try made.withLock { made in
      made += 1
      var connection = try PostgresConnection(maintenance)
      try connection.execute("CREATE DATABASE test_\(made)")
      return try PostgresAddress(server.address.secretText.replacing("/fraud?", with: "/test_\(made)?"))
    }
  }
}

/// Removes the servers of test processes that were killed.
private func removeLeftovers() {
  for name in SystemFiles.list("/tmp") where name.hasPrefix("fraud-tests-") {
    guard let process = pid_t(name.dropFirst("fraud-tests-".count)), kill(process, 0) != 0, errno == ESRCH else {
      continue
    }
    try? EmbeddedPostgres.remove(dataDirectory: "/tmp/" + name)
    removeDirectory("/tmp/" + name)
  }
}

/// Removes what a test left. A path that does not exist is no error.
func removeDirectory(_ path: String) {
  _ = try? ChildProcess(outputFile: "/dev/null").run(["/bin/rm", "-rf", "--", path])
}

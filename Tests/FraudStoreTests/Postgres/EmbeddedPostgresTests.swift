import FraudCore
import Testing

@testable import FraudStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

@Suite(.serialized) struct EmbeddedPostgresTests {
  /// A data directory of its own, removed with all that it stands for.
  private func withDataDirectory(_ body: (String) throws -> Void) throws {
    let directory = "/tmp/fraud-cluster-\(UniqueID.random())"
    defer {
      if let location = try? ClusterLocation(dataDirectory: directory) { removeDirectory(location.home + ".old") }
      try? EmbeddedPostgres.remove(dataDirectory: directory)
      removeDirectory(directory)
    }
    try body(directory)
  }

  private func isRunning(_ directory: String) throws -> Bool {
    try EmbeddedPostgres.status(dataDirectory: directory)?.isRunning ?? false
  }

  @Test func theLastOneOutStopsTheServer() throws {
    try withDataDirectory { directory in
      let first = try EmbeddedPostgres.acquire(dataDirectory: directory)
      let second = try EmbeddedPostgres.acquire(dataDirectory: directory)
      var connection = try PostgresConnection(second.address)
      try connection.execute("CREATE TABLE public.kept AS SELECT 42::bigint AS answer")
      first.release()
      #expect(try isRunning(directory))
      #expect(try connection.query("SELECT 1::bigint").integer(0, 0) == 1)
      second.release()
      second.release()
      #expect(try !isRunning(directory))

      let third = try EmbeddedPostgres.acquire(dataDirectory: directory)
      defer { third.release() }
      var again = try PostgresConnection(third.address)
      #expect(try again.query("SELECT answer FROM public.kept").integer(0, 0) == 42)
      #expect(try again.query("SHOW fsync").text(0, 0) == "on")
      #expect(try again.query("SHOW listen_addresses").text(0, 0) == "")
    }
  }

  @Test func aPersistentServerStaysUntilItIsStopped() throws {
    try withDataDirectory { directory in
      try EmbeddedPostgres.acquire(dataDirectory: directory, persistent: true).release()
      #expect(try isRunning(directory))
      let share = try EmbeddedPostgres.acquire(dataDirectory: directory)
      #expect(try EmbeddedPostgres.stop(dataDirectory: directory) == .inUse)
      #expect(try isRunning(directory))
      share.release()
      #expect(try !isRunning(directory))
      #expect(try EmbeddedPostgres.stop(dataDirectory: directory) == .wasNotRunning)
      try EmbeddedPostgres.acquire(dataDirectory: directory, persistent: true).release()
      #expect(try EmbeddedPostgres.stop(dataDirectory: directory) == .stopped)
      #expect(try !isRunning(directory))
    }
  }

  /// A killed process leaves its server behind and its lock free; a crashed server leaves a stale pid file.
  @Test func whatIsLeftBehindIsUsedOrRepaired() throws {
    try withDataDirectory { directory in
      let left = try EmbeddedPostgres.acquire(dataDirectory: directory, persistent: true)
      left.release()
      let share = try EmbeddedPostgres.acquire(dataDirectory: directory, persistent: false)
      defer { share.release() }
      let location = try ClusterLocation(dataDirectory: directory)
      let pid = try #require(try SystemFiles.read(location.clusterDirectory + "/postmaster.pid"))
      let process = try #require(Int32(String(decoding: pid.prefix { $0 != 10 }, as: UTF8.self)))
      #expect(kill(process, SIGKILL) == 0)
      let repaired = try EmbeddedPostgres.acquire(dataDirectory: directory)
      defer { repaired.release() }
      var connection = try PostgresConnection(repaired.address)
      #expect(try connection.query("SELECT 1::bigint").integer(0, 0) == 1)
    }
  }

  @Test func aRemovedDataDirectoryStartsOver() throws {
    try withDataDirectory { directory in
      let first = try EmbeddedPostgres.acquire(dataDirectory: directory)
      var connection = try PostgresConnection(first.address)
      try connection.execute("CREATE TABLE public.kept ()")
      first.release()
      removeDirectory(directory)
      let second = try EmbeddedPostgres.acquire(dataDirectory: directory)
      defer { second.release() }
      var again = try PostgresConnection(second.address)
      #expect(try again.query("SELECT to_regclass('public.kept') IS NULL").boolean(0, 0) == true)
    }
  }

  @Test func aForeignDirectoryIsNotUsed() throws {
    let directory = "/tmp/fraud-foreign-\(UniqueID.random())"
    defer { removeDirectory(directory) }
    try SystemFiles.makeDirectories(directory, mode: 0o755)
    #expect(throws: StoreError.self) {
      try SystemFiles.makePrivateDirectory(directory, owner: geteuid(), group: getegid())
    }
  }

  @Test func missingProgramsAreExplained() {
    let error = #expect(throws: StoreError.self) {
      _ = try PostgresBinaries.find(version: 9, scratchFile: "/tmp/fraud-scratch-\(getpid())")
    }
    #expect(error?.code == .cluster)
    #expect(error?.message.contains("install postgresql-9") == true)
    removeDirectory("/tmp/fraud-scratch-\(getpid())")
  }
}

import CPQ

/// One connection to PostgreSQL, over libpq.
///
/// Every call blocks until the server has answered, so a connection belongs on a thread of its own and never on Swift's
/// cooperative pool; ``onOwnThread(_:)`` provides one. It is owned by one place at a time and may move between threads.
///
/// ```swift
/// var connection = try PostgresConnection(PostgresAddress("postgresql:///shop"))
/// let result = try connection.query("SELECT count(*) FROM fraud.alerts WHERE severity = $1", [.text("critical")])
/// let count = try result.integer(0, 0)
/// ```
///
/// Names in statements must carry their schema: the search path is pinned to `pg_catalog`, so that nobody who can make
/// a table or a function can slip it into a statement.
///
/// `@unchecked Sendable`: it cannot be copied and all that talks to the server is mutating, so one thread at a time has it.
@safe
public struct PostgresConnection: ~Copyable, @unchecked Sendable {
  // A libpq connection may be used by any thread, by one at a time.
  private let raw: OpaquePointer
  /// The statements that this session knows by name.
  private var prepared: Set<String>

  /// How long the server waits and works before it gives up on this connection's statements.
  public struct Timeouts: Sendable {
    /// Seconds to connect, for each address of the host.
    public var connect = 5
    /// Seconds for one statement.
    public var statement = 60
    /// Seconds to wait for a lock.
    public var lock = 10
    /// Seconds that a transaction may lie idle, as that of a stopped process does. It bounds how long its locks stay.
    public var idleInTransaction = 30

    /// The defaults.
    public init() {}
  }

  /// Connects.
  ///
  /// - Throws: ``StoreError`` with `.unavailable`; the message names the address without its password.
  public init(_ address: PostgresAddress, timeouts: Timeouts = Timeouts(), application: String = "fraudctl")
    throws(StoreError)
  {
    self = try Self.open(address, timeouts, application)
  }

  private init(owning raw: OpaquePointer) {
    unsafe self.raw = raw
    prepared = []
  }

  private static func open(
    _ address: PostgresAddress, _ timeouts: Timeouts, _ application: String
  ) throws(StoreError) -> PostgresConnection {
    // What stands before `dbname` are defaults that the address may override, what follows it holds.
    let keywords = [
      ("fallback_application_name", application), ("connect_timeout", String(timeouts.connect)),
      ("keepalives_idle", "10"), ("keepalives_interval", "3"), ("keepalives_count", "3"),
      ("tcp_user_timeout", "10000"), ("dbname", address.secretText), ("client_encoding", "UTF8"),
    ]
    let connected = unsafe withCStrings(keywords.map(\.0)) { names in
      unsafe withCStrings(keywords.map(\.1)) { values in unsafe PQconnectdbParams(names, values, 1) }
    }
    guard let handle = unsafe connected else {
      throw StoreError(code: .unavailable, message: "no memory for a database connection")
    }
    var connection = unsafe PostgresConnection(owning: handle)
    guard connection.isConnected else {
      throw StoreError(
        code: .unavailable, message: "cannot connect to \(address): \(connection.lastMessage)")
    }
    // Notices would go to stderr.
    _ = unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
    _ = try connection.query(
      """
      SELECT set_config(name, setting, false) FROM unnest($1::text[], $2::text[]) AS s(name, setting)
      """,
      [
        .array(
          PostgresArray(texts: [
            "search_path", "TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
          ])),
        .array(
          PostgresArray(texts: [
            "pg_catalog", "UTC", "\(timeouts.statement)s", "\(timeouts.lock)s", "\(timeouts.idleInTransaction)s",
          ])),
      ])
    return connection
  }

  deinit {
    unsafe PQfinish(raw)
  }

  /// Whether the connection was alive when it was last used.
  public var isConnected: Bool { unsafe PQstatus(raw) == CONNECTION_OK }

  /// The server's version as in `150018` for 15.18.
  public var serverVersion: Int { Int(unsafe PQserverVersion(raw)) }

  /// The process on the server that serves this connection.
  public var backendProcess: Int { Int(unsafe PQbackendPID(raw)) }

  /// Runs one statement.
  ///
  /// - Throws: ``StoreError`` with `.query` and the SQLSTATE where the server refuses it, `.unavailable` where the
  ///   connection is lost.
  public mutating func query(_ sql: String, _ parameters: [PostgresValue] = []) throws(StoreError) -> PostgresResult {
    let encoded = EncodedParameters(parameters)
    let answer = unsafe encoded.withPointers { types, values, lengths, formats in
      unsafe PQexecParams(raw, sql, encoded.count, types, values, lengths, formats, 1)
    }
    return try unsafe checked(answer, sql)
  }

  /// Runs one statement for its effect.
  ///
  /// - Returns: the rows that it touched.
  @discardableResult
  public mutating func execute(_ sql: String, _ parameters: [PostgresValue] = []) throws(StoreError) -> Int {
    try query(sql, parameters).affectedRows
  }

  /// Runs one statement for its effect, which the server parses and plans once a session: three times as fast where that is
  /// most of the work.
  ///
  /// - Parameter name: of the statement, for this connection.
  /// - Returns: the rows that it touched.
  mutating func executePrepared(
    _ name: String, _ sql: String, _ parameters: [PostgresValue]
  ) throws(StoreError) -> Int {
    let encoded = EncodedParameters(parameters)
    if !prepared.contains(name) {
      let answer = unsafe encoded.withPointers { types, _, _, _ in
        unsafe PQprepare(raw, name, sql, encoded.count, types)
      }
      _ = try unsafe checked(answer, sql)
      prepared.insert(name)
    }
    let answer = unsafe encoded.withPointers { _, values, lengths, formats in
      unsafe PQexecPrepared(raw, name, encoded.count, values, lengths, formats, 1)
    }
    return try unsafe checked(answer, sql).affectedRows
  }

  /// Runs statements without parameters that stand in one text, as migrations do.
  mutating func runScript(_ sql: String) throws(StoreError) {
    _ = try unsafe checked(PQexec(raw, sql), sql)
  }

  /// Runs several statements with one wait for the network, in libpq's pipeline mode.
  ///
  /// The first failure ends the others. Inside a transaction the caller rolls back, as after any failed statement.
  ///
  /// - Returns: the rows that each statement touched.
  public mutating func pipeline(_ statements: [(sql: String, parameters: [PostgresValue])]) throws(StoreError) -> [Int]
  {
    guard unsafe PQenterPipelineMode(raw) == 1 else { throw unsafe failure(nil, "entering pipeline mode") }
    defer { _ = unsafe PQexitPipelineMode(raw) }
    for statement in statements {
      let encoded = EncodedParameters(statement.parameters)
      let sent = unsafe encoded.withPointers { types, values, lengths, formats in
        unsafe PQsendQueryParams(raw, statement.sql, encoded.count, types, values, lengths, formats, 1)
      }
      guard sent == 1 else { throw notSent() }
    }
    guard unsafe PQpipelineSync(raw) == 1 else { throw notSent() }

    var counts: [Int] = []
    var firstFailure: StoreError?
    for statement in statements {
      do {
        counts.append(try unsafe checked(PQgetResult(raw), statement.sql).affectedRows)
      } catch {
        if firstFailure == nil { firstFailure = error }
      }
      // A statement's answer ends with an empty result.
      while let extra = unsafe PQgetResult(raw) { unsafe PQclear(extra) }
      if !isConnected { throw unsafe firstFailure ?? failure(nil, statement.sql) }
    }
    guard let end = unsafe PQgetResult(raw) else { throw unsafe failure(nil, "ending a pipeline") }
    let ended = unsafe PQresultStatus(end) == PGRES_PIPELINE_SYNC
    unsafe PQclear(end)
    if let firstFailure { throw firstFailure }
    guard ended else { throw unsafe failure(nil, "ending a pipeline") }
    return counts
  }

  /// Sends rows with `COPY … FROM STDIN (FORMAT binary)`.
  ///
  /// - Returns: the rows that were copied.
  public mutating func copy(_ sql: String, _ rows: PostgresCopyRows) throws(StoreError) -> Int {
    let begin = unsafe PQexec(raw, sql)
    guard unsafe PQresultStatus(begin) == PGRES_COPY_IN else {
      defer { unsafe PQclear(begin) }
      throw unsafe failure(begin, sql)
    }
    unsafe PQclear(begin)
    let bytes = rows.finished()
    var sent: Int32 = 1
    var start = 0
    // PQputCopyData takes a 32-bit count.
    while start < bytes.count, sent == 1 {
      let end = min(start + (1 << 24), bytes.count)
      sent = unsafe bytes.withUnsafeBytes { buffer in
        let slice = unsafe UnsafeRawBufferPointer(rebasing: buffer[start..<end])
        return unsafe PQputCopyData(raw, slice.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(end - start))
      }
      start = end
    }
    guard sent == 1, unsafe PQputCopyEnd(raw, nil) == 1 else { throw unsafe failure(nil, sql) }
    let answer = try unsafe checked(PQgetResult(raw), sql)
    while let extra = unsafe PQgetResult(raw) { unsafe PQclear(extra) }
    return answer.affectedRows
  }

  /// Runs `body` in one transaction: committed when it returns, rolled back when it throws.
  ///
  /// A connection lost while the commit was under way leaves it open whether it happened; see ``PartitionCommitter``.
  public mutating func transaction<Result: ~Copyable>(
    _ body: (inout PostgresConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    try execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    let result: Result
    do {
      result = try body(&self)
    } catch {
      rollback()
      throw error
    }
    try execute("COMMIT")
    return result
  }

  /// Lets the transaction under way end durably, whatever the session's `synchronous_commit`, and with it every commit that
  /// it has seen: they come before it in the one log that a commit waits for. Needed before anything outside of the database
  /// depends on what was read.
  mutating func makeDurable() throws(StoreError) {
    try execute("SET LOCAL synchronous_commit = on")
    // A transaction that writes nothing would wait for nothing.
    try execute("SELECT pg_logical_emit_message(true, 'fraudctl', '')")
  }

  /// Ends a transaction without its effects. A failure here adds nothing to the one that led here: a lost connection
  /// rolls back by itself.
  mutating func rollback() {
    if isConnected { _ = try? execute("ROLLBACK") }
  }

  // MARK: - Answers

  private borrowing func checked(_ answer: OpaquePointer?, _ sql: String) throws(StoreError) -> PostgresResult {
    guard let handle = unsafe answer else { throw unsafe failure(nil, sql) }
    switch unsafe PQresultStatus(handle) {
    case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
      return unsafe PostgresResult(taking: handle)
    default:
      defer { unsafe PQclear(handle) }
      throw unsafe failure(handle, sql)
    }
  }

  /// The error that an answer, or the connection where there is none, tells of.
  ///
  /// Only the primary message is taken: PostgreSQL's detail quotes whole rows, which may hold what must not be shown.
  private borrowing func failure(_ answer: OpaquePointer?, _ sql: String) -> StoreError {
    var state: String?
    var text = lastMessage
    if let answer = unsafe answer {
      state = unsafe PQresultErrorField(answer, diagnosticSQLState).map { unsafe String(cString: $0) }
      if let primary = unsafe PQresultErrorField(answer, diagnosticMessage) { text = unsafe String(cString: primary) }
    }
    // A server that ends a session says so first, and one that falls over says nothing: an error without a SQLSTATE is
    // libpq's own. It notices the closed connection only later.
    if !isConnected || state?.hasPrefix("57P0") ?? true {
      return StoreError(code: .unavailable, message: "the database connection was lost: \(text)", sqlState: state)
    }
    let context = sql.prefix { $0 != "\n" && $0 != "(" }.prefix(80)
    return StoreError(
      code: .query, message: "PostgreSQL refused `\(context)`: \(text)" + (state.map { " (SQLSTATE \($0))" } ?? ""),
      sqlState: state)
  }

  /// What could not even be sent was refused by no server: the connection is lost, though libpq notices only later.
  private borrowing func notSent() -> StoreError {
    StoreError(code: .unavailable, message: "the database connection was lost: \(lastMessage)")
  }

  /// libpq's last message on one line.
  private var lastMessage: String {
    let text = unsafe PQerrorMessage(raw).map { unsafe String(cString: $0) } ?? ""
    return text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}

/// `PG_DIAG_SQLSTATE` and `PG_DIAG_MESSAGE_PRIMARY`, which are character constants in C.
private let diagnosticSQLState = Int32(UInt8(ascii: "C"))
private let diagnosticMessage = Int32(UInt8(ascii: "M"))

/// Rows in the binary form of COPY.
///
/// - Source: PostgreSQL 15 documentation, COPY, "Binary Format".
public struct PostgresCopyRows: Sendable {
  private var bytes: [UInt8]

  /// Makes an empty set of rows.
  public init() {
    bytes = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]
    bytes.append(bigEndian: UInt64(0))  // flags, length of the header's extension
  }

  /// Adds a row: a value for each column that the statement names, of exactly its type.
  public mutating func append(_ row: [PostgresValue]) {
    bytes.append(bigEndian: UInt16(truncatingIfNeeded: row.count))
    for value in row { value.encode(into: &bytes) }
  }

  fileprivate func finished() -> [UInt8] {
    bytes + [0xFF, 0xFF]
  }
}

/// Parameters side by side in one buffer, as `PQexecParams` takes them.
private struct EncodedParameters {
  private var bytes: [UInt8] = []
  private var types: [UInt32] = []
  /// Where each value starts in `bytes`, −1 for NULL.
  private var starts: [Int] = []
  private var lengths: [Int32] = []

  var count: Int32 { Int32(truncatingIfNeeded: types.count) }

  init(_ values: [PostgresValue]) {
    for value in values {
      types.append(value.type)
      let start = bytes.count
      value.encode(into: &bytes)
      if case .null = value { starts.append(-1) } else { starts.append(start + 4) }
      lengths.append(Int32(truncatingIfNeeded: bytes.count - start - 4))
    }
  }

  /// Lends the arrays that libpq reads during the call.
  func withPointers<Result>(
    _ body: (
      UnsafePointer<UInt32>?, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
    ) -> Result
  ) -> Result {
    let formats = [Int32](repeating: 1, count: types.count)
    return unsafe bytes.withUnsafeBytes { buffer in
      let pointers = unsafe starts.map { start in
        unsafe start < 0 ? nil : buffer.baseAddress.map { unsafe ($0 + start).assumingMemoryBound(to: CChar.self) }
      }
      return unsafe pointers.withUnsafeBufferPointer { values in
        unsafe types.withUnsafeBufferPointer { types in
          unsafe lengths.withUnsafeBufferPointer { lengths in
            unsafe formats.withUnsafeBufferPointer { formats in
              unsafe body(types.baseAddress, values.baseAddress, lengths.baseAddress, formats.baseAddress)
            }
          }
        }
      }
    }
  }
}

/// Lends a NULL-terminated array of C strings.
func withCStrings<Result>(_ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
  var bytes: [CChar] = []
  var starts: [Int] = []
  for text in texts {
    starts.append(bytes.count)
    bytes.append(contentsOf: text.utf8.lazy.filter { $0 != 0 }.map { CChar(bitPattern: $0) })
    bytes.append(0)
  }
  return unsafe bytes.withUnsafeBufferPointer { buffer in
    var pointers = unsafe starts.map { start in unsafe buffer.baseAddress.map { unsafe $0 + start } }
    unsafe pointers.append(nil)
    // The array has at least its terminator, so it has a base address.
    return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
  }
}

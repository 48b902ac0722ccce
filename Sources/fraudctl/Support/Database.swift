import ArgumentParser
import Foundation
import FraudCore
import FraudStore

/// Lends a connection to the database that the options name, brought to the newest schema; a private server is started
/// where none is named, and stopped afterwards unless others use it.
///
/// Blocks, so it belongs into commands that run on the main thread and not on Swift's pool. Ctrl-C is remembered until
/// the body returns, so that no server is left behind.
func withDatabase<Result>(
  _ options: DatabaseOptions, migrates: Bool = true,
  _ body: (inout PostgresConnection, PostgresAddress) throws -> Result
) throws -> Result {
  try withDatabaseAddress(options) { address in
    var connection = try PostgresConnection(address)
    if migrates { try Migrator.migrate(&connection) }
    return try body(&connection, address)
  }
}

/// Lends the address of the database that the options name, as ``withDatabase(_:migrates:_:)`` does the connection.
func withDatabaseAddress<Result>(_ options: DatabaseOptions, _ body: (PostgresAddress) throws -> Result) throws
  -> Result
{
  Interruption.watch()
  // A reader that went away is found out by writing, so that what follows still runs.
  signal(SIGPIPE, SIG_IGN)
  if let named = options.named { return try body(PostgresAddress(named)) }
  // Also where the program ends in the middle of writing.
  atexit { EmbeddedPostgres.releaseAll() }
  let server = try EmbeddedPostgres.acquire(dataDirectory: options.place.data)
  defer { server.release() }
  let result = try body(server.address)
  if Interruption.signal == SIGINT { throw ExitCode.interrupted }
  return result
}

/// Who does something, for the audit log.
func currentUser() -> String {
  let environment = ProcessInfo.processInfo.environment
  return environment["SUDO_USER"] ?? environment["USER"] ?? NSUserName()
}

/// The beginning of a span of time: `1h` ago, or an instant such as `2026-01-31` or `2026-01-31T12:00:00Z`.
enum Since: ExpressibleByArgument {
  /// So many microseconds ago.
  case ago(Int64)
  /// Microseconds since 1970.
  case instant(Int64)

  init?(argument: String) {
    if let duration = parseDuration(argument) {
      self = .ago(duration)
      return
    }
    var text = argument.replacing(" ", with: "T")
    if text.count == 10 { text += "T00:00:00" }
    let hasZone = text.hasSuffix("Z") || text.dropFirst(10).contains { $0 == "+" || $0 == "-" }
    if !hasZone { text += "Z" }
    for fraction in [false, true] {
      if let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: fraction)) {
        self = .instant(Int64((date.timeIntervalSince1970 * 1_000_000).rounded()))
        return
      }
    }
    return nil
  }

  var ago: Int64? { if case .ago(let duration) = self { duration } else { nil } }
  var instant: Int64? { if case .instant(let instant) = self { instant } else { nil } }
}

/// A field and the text it must have: `customer_id=42`.
struct FieldCondition: ExpressibleByArgument {
  var field: String
  var value: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else { return nil }
    field = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
  }
}

/// An instant for people: UTC, to the second.
func shortTime(_ microseconds: Int64?) -> String {
  var text: [UInt8] = []
  guard let microseconds, TimestampText.append(microseconds, to: &text) else { return "" }
  return String(decoding: text.prefix(19), as: UTF8.self).replacing("T", with: " ")
}

/// Bytes for people: `1.2 MB`.
func byteCount(_ bytes: Int64) -> String {
  var value = Double(bytes)
  for unit in ["B", "kB", "MB", "GB"] {
    if value < 1_000 { return unit == "B" ? "\(bytes) B" : String(format: "%.1f %@", value, unit) }
    value /= 1_000
  }
  return String(format: "%.1f TB", value)
}

/// The style that a severity is shown in.
func style(ofSeverity severity: String) -> Terminal.Style {
  switch severity {
  case "critical": .failure
  case "warning": .warning
  default: .accent
  }
}

/// An object of JSON text, written key by key.
struct JSONObjectText {
  private var text: [UInt8] = [UInt8(ascii: "{")]

  private mutating func append(key: String) {
    if text.count > 1 { text.append(UInt8(ascii: ",")) }
    JSONText.append(string: key, to: &text)
    text.append(UInt8(ascii: ":"))
  }

  mutating func append(_ key: String, _ value: String?) {
    append(key: key)
    if let value { JSONText.append(string: value, to: &text) } else { JSONText.appendNull(to: &text) }
  }

  mutating func append(_ key: String, _ value: Int64?) {
    append(key: key)
    if let value { JSONText.append(value, to: &text) } else { JSONText.appendNull(to: &text) }
  }

  mutating func append(_ key: String, _ value: Bool) {
    append(key: key)
    JSONText.append(value, to: &text)
  }

  mutating func append(_ key: String, timestamp: Int64?) {
    append(key: key)
    if let timestamp { JSONText.append(timestamp: timestamp, to: &text) } else { JSONText.appendNull(to: &text) }
  }

  /// A value that is JSON already.
  mutating func append(_ key: String, json: String) {
    append(key: key)
    text.append(contentsOf: json.utf8)
  }

  /// The whole object.
  var finished: String { String(decoding: text, as: UTF8.self) + "}" }
}

/// JSON values as a JSON array.
func jsonArray(_ values: [String]) -> String {
  "[" + values.joined(separator: ",") + "]"
}

import CPQ

/// Where a database is: a URL or libpq's `key=value` text, with the password kept out of everything that is shown.
///
/// What is not said comes from libpq's usual places: `PGHOST`, `PGPASSWORD`, `~/.pgpass` and so on.
public struct PostgresAddress: Sendable, CustomStringConvertible {
  /// The whole address as it was given, secrets included. For handing on to another program only.
  public let secretText: String
  /// The address without its secrets, for people and logs.
  public let description: String

  /// Reads an address.
  ///
  /// - Throws: ``StoreError`` with `.unavailable` where it is neither a URL nor a list of `key=value`. The message does
  ///   not repeat the text, since a password may stand anywhere in it.
  public init(_ text: String) throws(StoreError) {
    guard let options = Self.parse(text) else {
      throw StoreError(
        code: .unavailable,
        message: "the database's address cannot be read; write it like postgresql://user@host:5432/database")
    }
    secretText = text
    description = Self.describe(options)
  }

  /// The address of a server behind a Unix socket.
  init(socketDirectory: String, port: Int, user: String, database: String) {
    let host = Self.percentEncoded(socketDirectory)
    secretText = "postgresql:///\(database)?host=\(host)&port=\(port)&user=\(user)"
    description = secretText
  }

  /// The address as the variables that every libpq program reads (`PGHOST`, `PGPASSWORD` and so on), so that a secret
  /// need not stand in another program's arguments, where everybody can see it. What has no variable is left out.
  public var environment: [(name: String, value: String)] {
    (Self.parse(secretText) ?? []).compactMap { option in option.variable.map { ($0, option.value) } }
  }

  /// The options that the text names, in libpq's order.
  private static func parse(_ text: String) -> [Option]? {
    var message: UnsafeMutablePointer<CChar>?
    // Freed below; libpq leaves no other trace.
    let parsed = unsafe PQconninfoParse(text, &message)
    defer {
      unsafe PQfreemem(message)
      unsafe PQconninfoFree(parsed)
    }
    guard var option = unsafe parsed else { return nil }
    var options: [Option] = []
    while let keyword = unsafe option.pointee.keyword {
      if let value = unsafe option.pointee.val {
        options.append(
          Option(
            key: unsafe String(cString: keyword), value: unsafe String(cString: value),
            variable: unsafe option.pointee.envvar.map { unsafe String(cString: $0) }))
      }
      unsafe option += 1
    }
    return options
  }

  private struct Option {
    var key: String
    var value: String
    var variable: String?
  }

  /// Only what locates a database is shown; an option that is not known to be harmless may be a secret.
  private static func describe(_ options: [Option]) -> String {
    var parts: [String: String] = [:]
    for option in options { parts[option.key] = option.value }
    var query: [String] = []
    var authority = ""
    if let user = parts["user"] { authority = percentEncoded(user) + "@" }
    let host = parts["host"] ?? parts["hostaddr"] ?? ""
    if host.contains("/") || host.contains(",") {
      query.append("host=" + percentEncoded(host))
      if let port = parts["port"] { query.append("port=" + percentEncoded(port)) }
    } else {
      authority += host.contains(":") ? "[\(host)]" : percentEncoded(host)
      if let port = parts["port"] { authority += ":" + percentEncoded(port) }
    }
    if let mode = parts["sslmode"] { query.append("sslmode=" + percentEncoded(mode)) }
    let database = parts["dbname"].map(percentEncoded) ?? ""
    return "postgresql://\(authority)/\(database)" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
  }

  private static func percentEncoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        encoded += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return encoded
  }
}

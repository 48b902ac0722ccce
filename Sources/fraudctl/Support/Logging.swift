import ArgumentParser
import Foundation
import FraudCore
import Logging
import Synchronization

/// How messages on stderr are written.
enum LogFormat: String, CaseIterable, ExpressibleByArgument {
  /// For people.
  case text
  /// One JSON object a line, for collectors.
  case json

  private static let isJSON = Atomic<Bool>(false)

  /// The format of this process.
  static var current: LogFormat {
    get { isJSON.load(ordering: .relaxed) ? .json : .text }
    set { isJSON.store(newValue == .json, ordering: .relaxed) }
  }

  /// A message as one JSON object: `{"time":…,"level":…,"message":…}`.
  static func line(_ message: String, level: Logger.Level) -> String {
    var text: [UInt8] = []
    var object = JSONObjectText()
    object.append("time", timestamp: Int64(Date().timeIntervalSince1970 * 1_000_000))
    object.append("level", level.rawValue)
    object.append("message", message)
    text.append(contentsOf: object.finished.utf8)
    return String(decoding: text, as: UTF8.self)
  }
}

/// Writes the libraries' log messages as every other message of this program.
struct TerminalLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.notice

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    Terminal.standardError.message(printable("\(event.message)"), style: event.level >= .error ? .failure : .warning)
  }
}

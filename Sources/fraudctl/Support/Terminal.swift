import Foundation
import Logging

/// One of the standard streams: whether a person looks at it, how wide it is, and writing to it.
///
/// Data goes to stdout, everything else to stderr. Colour is used only on a terminal and never with `NO_COLOR`.
struct Terminal {
  enum Style: String {
    case plain = ""
    case bold = "1"
    case dim = "2"
    case failure = "31;1"
    case warning = "33"
    case success = "32"
    case accent = "36"
  }

  static let standardOutput = Terminal(descriptor: STDOUT_FILENO)
  static let standardError = Terminal(descriptor: STDERR_FILENO)

  let descriptor: Int32
  let isInteractive: Bool
  let usesColour: Bool

  init(descriptor: Int32) {
    self.descriptor = descriptor
    let environment = ProcessInfo.processInfo.environment
    isInteractive = isatty(descriptor) == 1
    usesColour =
      isInteractive && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// Columns of the terminal, 100 where there is none.
  var width: Int {
    var size = winsize()
    guard isInteractive, unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 100 }
    return Int(size.ws_col)
  }

  /// Text in a colour where colour is wanted.
  func styled(_ text: String, _ style: Style) -> String {
    usesColour && style != .plain ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }

  /// Writes text as it is. A reader that went away ends the program quietly, as a pipe's writer should.
  func write(_ text: String) {
    var text = text
    let written = text.withUTF8 { buffer in unsafe writeAll(UnsafeRawBufferPointer(buffer)) }
    if !written { exit(descriptor == STDOUT_FILENO && errno == EPIPE ? 0 : 1) }
  }

  /// Writes text and a line's end.
  func line(_ text: String = "") { write(text + "\n") }

  /// Writes a message: `fraudctl: …`, or a JSON object where `--log-format json` asks for it.
  func message(_ text: String, style: Style = .plain) {
    if LogFormat.current == .json {
      let level: Logger.Level = style == .failure ? .error : style == .warning ? .warning : .info
      line(LogFormat.line(text, level: level))
      return
    }
    line(styled("fraudctl:", style) + " " + text)
  }

  private func writeAll(_ buffer: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset < buffer.count {
      let count = unsafe Foundation.write(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
      if count > 0 {
        offset += count
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }
}

/// Text that came from events or a database, fit for a terminal: control characters are shown as escapes (CWE-117).
func printable(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
  return text.unicodeScalars.reduce(into: "") { result, scalar in
    switch scalar {
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case _ where scalar.properties.generalCategory == .control:
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    default: result.unicodeScalars.append(scalar)
    }
  }
}

import Foundation
import FraudCore
import FraudStore
import Testing

/// The built `fraudctl` as a user runs it: the one that `FRAUDCTL` names, else the one that lies beside the tests.
final class Program {
  static let file: URL = {
    if let path = ProcessInfo.processInfo.environment["FRAUDCTL"], !path.isEmpty { return URL(fileURLWithPath: path) }
    return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "fraudctl")
  }()

  static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: file.path) }

  struct Outcome {
    var code: Int32
    var output: String
    var errors: String
    /// Bytes of the output, one line each.
    var lines: [[UInt8]] { output.utf8.split(separator: UInt8(ascii: "\n")).map { Array($0) } }
  }

  private let process = Process()
  private let folder: URL

  /// Starts it. What it writes goes to files, so that nobody waits for a reader.
  init(_ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "fraudctl-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, content) in [("in", input), ("out", []), ("err", [])] {
      try Data(content).write(to: folder.appending(path: name))
    }
    process.executableURL = Self.file
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin", "HOME": "/tmp"].merging(environment) { $1 }
    process.standardInput = try FileHandle(forReadingFrom: folder.appending(path: "in"))
    process.standardOutput = try FileHandle(forWritingTo: folder.appending(path: "out"))
    process.standardError = try FileHandle(forWritingTo: folder.appending(path: "err"))
    try process.run()
  }

  deinit {
    if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    try? FileManager.default.removeItem(at: folder)
  }

  var isRunning: Bool { process.isRunning }
  var output: String { text("out") }
  var errors: String { text("err") }

  private func text(_ name: String) -> String {
    String(decoding: FileManager.default.contents(atPath: folder.appending(path: name).path) ?? Data(), as: UTF8.self)
  }

  /// Sends a signal.
  func send(_ signal: Int32) { Foundation.kill(process.processIdentifier, signal) }

  /// Waits for its end; at the deadline it is killed and the code is -9.
  func wait(_ seconds: Double = 180) -> Outcome {
    if !until(seconds, { !process.isRunning }) { send(SIGKILL) }
    process.waitUntilExit()
    let code = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    return Outcome(code: code, output: output, errors: errors)
  }

  /// Runs it to its end.
  static func run(_ arguments: [String], input: [UInt8] = []) throws -> Outcome {
    try Program(arguments, input: input).wait()
  }
}

/// Looks every 5 ms whether something holds. Returns whether it came to hold in time.
func until(_ seconds: Double, _ holds: () throws -> Bool) rethrows -> Bool {
  let end = ContinuousClock.now + .seconds(seconds)
  while try !holds() {
    if ContinuousClock.now > end { return false }
    usleep(5_000)
  }
  return true
}

/// Runs a test's blocking body on a thread of its own, so that tests wait side by side.
func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}

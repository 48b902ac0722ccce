import ArgumentParser
import Foundation

/// Where state is kept on this machine, shared by every command that needs it.
struct DataOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The data directory.", valueName: "dir"))
  var data = ".fraud"

  @Option(help: "How messages on stderr are written: text or json.")
  var logFormat = LogFormat.text

  func validate() throws {
    LogFormat.current = logFormat
  }
}

/// Which database to use: the flag, then `DATABASE_URL`, then a private cluster under the data directory.
struct DatabaseOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "PostgreSQL to use, as a URL (default: $DATABASE_URL, else a private server under --data).", valueName: "url"))
  var database: String?

  @OptionGroup var place: DataOptions

  /// The URL that was named, if one was.
  var named: String? {
    if let database { return database }
    let variable = ProcessInfo.processInfo.environment["DATABASE_URL"] ?? ""
    return variable.isEmpty ? nil : variable
  }
}

/// A definition in a file, and files that win over it.
struct DefinitionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The pipeline's definition, YAML or JSON.", valueName: "file"), completion: .file())
  var pipeline: String

  @Option(help: ArgumentHelp("A file that wins over the definition key by key. May be repeated.", valueName: "file"))
  var overlay: [String] = []

  func load() throws -> LoadedPipeline { try LoadedPipeline(file: pipeline, overlays: overlay) }
}

/// How results are printed.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print JSON for scripts.")
  var json = false
}

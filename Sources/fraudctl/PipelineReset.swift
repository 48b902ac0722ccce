import ArgumentParser
import Foundation
import FraudStore

extension PipelineCommand {
  struct Reset: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "reset", abstract: "Discard how far a pipeline is and what its features remember.",
      discussion: """
        The next `process` begins anew at the oldest event that the topic still holds. Events that are processed again
        yield the same alerts under the same ids, so none comes twice; rejected events are kept once too. What the topic
        no longer holds is not counted again, neither by features. Versions, alerts and rejected events stay. A process
        that runs the pipeline stops at its next commit.

        EXAMPLES
          fraudctl pipeline reset card-payments
          fraudctl pipeline reset card-payments --yes --note 'state of another format'
        """)

    @Argument(help: "The pipeline's name or number.") var pipeline: String
    @Flag(help: "Do not ask.") var yes = false
    @Option(help: "Why, for the audit log.") var note: String?
    @OptionGroup var database: DatabaseOptions

    func run() throws {
      try reporting {
        try withDatabase(database) { connection, _ in
          guard let found = try PipelineStore.find(pipeline, on: &connection) else {
            throw Failure.failed("there is no pipeline \(printable(pipeline))")
          }
          let question =
            "Discard offsets and features of \(found.name)? It begins anew at the oldest event that its topic holds."
          guard yes || PipelineCommand.confirm(question) else { throw Failure.failed("nothing was discarded") }
          let partitions = try PipelineStore.reset(found.id, author: currentUser(), note: note, on: &connection)
          Terminal.standardError.message(
            "reset \(found.name): \(partitions) partitions begin anew; alerts that come again are kept once")
        }
      }
    }
  }

  /// Asks on the terminal; where nobody can answer the answer is no.
  static func confirm(_ question: String) -> Bool {
    guard isatty(STDIN_FILENO) == 1 else {
      Terminal.standardError.message("\(question) Say --yes.")
      return false
    }
    Terminal.standardError.write(question + " [y/N] ")
    return readLine().map { ["y", "yes"].contains($0.lowercased()) } ?? false
  }
}

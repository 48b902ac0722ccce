import ArgumentParser
import FraudCore
import FraudStore

/// `fraudctl features …`: the current features of keys.
struct FeaturesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "features",
    abstract: "Show the current features of a key.",
    discussion: """
      A pipeline with `online_features: true` keeps a row a key in fraud.online_features, written in the transaction that
      commits the event, which any service reads by its primary key (pipeline_id, key).

      EXAMPLES
        fraudctl features show 4711
        fraudctl features show 4711 --pipeline card-payments --json
      """,
    subcommands: [Show.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show the features of a key as they were at its last event.",
      discussion: """
        EXAMPLES
          fraudctl features show 4711 --pipeline card-payments
          fraudctl features show 4711 --json | jq .features.tx_count_10m
        """)

    @Argument(help: "The key's text.") var key: String
    @Option(help: ArgumentHelp("Only this pipeline, by name or number.", valueName: "pipeline")) var pipeline: String?
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      try reporting {
        let rows = try withDatabase(database) { connection, _ in
          let id = try pipeline.map { name in
            guard let id = try PipelineStore.identify(name, on: &connection) else {
              throw Failure.failed("there is no pipeline \(printable(name))")
            }
            return id
          }
          return try OutputStore.features(ofKey: key, pipelineID: id, on: &connection)
        }
        if rows.isEmpty {
          throw Failure.failed(
            "no pipeline keeps features of the key \(printable(key)); `online_features: true` asks for them")
        }
        for row in rows { if output.json { Terminal.standardOutput.line(row) } else { showMembers(of: row) } }
      }
    }
  }
}

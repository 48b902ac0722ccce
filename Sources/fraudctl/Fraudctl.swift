import ArgumentParser
import Logging

// Every command gives its name. Without one, ArgumentParser asks the runtime for a text of the type, which looks through
// all conformances of all libraries: a seventh of starting up.
@main
struct Fraudctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fraudctl",
    abstract: "Find fraud in event streams: score files, process Kafka topics, keep alerts.",
    version: "0.1.0",
    subcommands: [
      DemoCommand.self, ScoreCommand.self, ProcessCommand.self, PipelineCommand.self, RulesCommand.self,
      ListCommand.self, FeaturesCommand.self, AlertsCommand.self, RejectedCommand.self, StatusCommand.self,
      ProduceCommand.self, BrokerCommand.self, DatabaseCommand.self, ArchiveCommand.self,
      ReplayCommand.self, BacktestCommand.self,
    ])

  static func main() {
    LoggingSystem.bootstrap { _ in TerminalLogHandler() }
    main(nil)
  }
}

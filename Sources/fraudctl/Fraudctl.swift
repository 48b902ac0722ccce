import ArgumentParser

@main
struct Fraudctl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fraudctl",
    abstract: "Find fraud in event streams: score files, process Kafka topics, keep alerts.",
    version: "0.1.0",
    subcommands: [
      BrokerCommand.self, ProduceCommand.self, PipelineCommand.self, AlertsCommand.self, RejectedCommand.self,
      DatabaseCommand.self, ArchiveCommand.self,
    ])
}

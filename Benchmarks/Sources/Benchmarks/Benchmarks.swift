/// Benchmarks of FraudCore: `swift run -c release Benchmarks [part of a name]`.
@main
enum Benchmarks {
  static func main() {
    RuleBenchmarks.run(only: CommandLine.arguments.dropFirst().first)
  }
}

/// Benchmarks of FraudCore: `swift run -c release Benchmarks [part of a name]`.
@main
enum Benchmarks {
  static func main() {
    let only = CommandLine.arguments.dropFirst().first
    DecodeBenchmarks.run(only: only)
    RuleBenchmarks.run(only: only)
    FeatureBenchmarks.run(only: only)
  }
}

import Foundation

/// `simulate [--seeds N] [--from N]`: seeds on every core, then every planted bug; 1 where a seed differs or a bug is not seen.
@main
struct Main {
  static func main() async throws {
    var (seeds, first) = (UInt64(10_000), UInt64(0))
    var arguments = CommandLine.arguments.dropFirst().makeIterator()
    while let argument = arguments.next() {
      guard let value = arguments.next().flatMap({ UInt64($0) }) else { usage() }
      switch argument {
      case "--seeds": seeds = value
      case "--from": first = value
      default: usage()
      }
    }
    let start = ContinuousClock.now
    let range = first..<first + seeds
    let failures = try await differences(range)
    for failure in failures.prefix(10) { print("seed \(failure.seed): \(failure.difference)") }
    print("\(seeds) seeds from \(first): \(failures.count) differ, \(start.duration(to: .now))")
    fflush(nil)
    var isSound = failures.isEmpty
    for bug in SimulatedDatabase.Bug.allCases {
      let seed = try Simulation.firstSeed(thatShows: bug, among: 1_000)
      print("planted bug \(bug): " + (seed.map { "seed \($0) shows it" } ?? "NOT SEEN in 1,000 seeds"))
      if seed == nil { isSound = false }
    }
    print("\(start.duration(to: .now)) in all")
    if !isSound { exit(1) }
  }

  private static func usage() -> Never {
    print("simulate [--seeds N] [--from N]")
    exit(64)
  }

  /// Every seed of a range that does not end as a run without faults.
  private static func differences(_ range: Range<UInt64>) async throws -> [(seed: UInt64, difference: String)] {
    let workers = UInt64(ProcessInfo.processInfo.activeProcessorCount)
    return try await withThrowingTaskGroup(of: [(seed: UInt64, difference: String)].self) { group in
      for worker in 0..<workers {
        group.addTask {
          // Pairs, since every second seed is a pipeline of several topics, which takes longer.
          try range.lazy.filter { $0 / 2 % workers == worker }.compactMap { seed in
            try Simulation(seed: seed).difference().map { (seed, $0) }
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }.sorted { $0.seed < $1.seed }
    }
  }
}

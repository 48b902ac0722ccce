import Testing

@testable import simulate

/// A few seeds in a debug build; `Scripts/simulate` runs as many as one likes, optimised.
@Suite struct SimulationTests {
  @Test func everySeedEndsAsARunWithoutFaults() throws {
    for seed in 0..<UInt64(20) {
      if let difference = try Simulation(seed: seed).difference() {
        Issue.record("seed \(seed): \(difference)")
        return
      }
    }
  }

  /// A simulation that cannot see a bug proves nothing.
  @Test(arguments: SimulatedDatabase.Bug.allCases)
  func noticesAPlantedBug(_ bug: SimulatedDatabase.Bug) throws {
    #expect(try Simulation.firstSeed(thatShows: bug, among: 500) != nil, "no seed shows \(bug)")
  }
}

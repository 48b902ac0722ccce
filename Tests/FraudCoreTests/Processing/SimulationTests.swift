import Foundation
import Testing

@testable import FraudCore

/// Runs processors over a simulated log, store, clock and group from one seed, and compares what is left with a run without
/// faults: `RELIABILITY.md` T46.
///
/// A debug build runs a few seeds; `FRAUD_SIMULATION_SEEDS=10000 Scripts/simulate` runs as many as one likes, optimised.
@Suite struct SimulationTests {
  static let seeds: Int =
    ProcessInfo.processInfo.environment["FRAUD_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 20

  @Test func everySeedEndsAsARunWithoutFaults() throws {
    for seed in 0..<UInt64(Self.seeds) {
      if let difference = try Simulation(seed: seed).difference() {
        Issue.record("seed \(seed): \(difference)")
        return
      }
    }
  }

  /// A simulation that cannot see a bug proves nothing: each planted one must show within 200 seeds.
  @Test(arguments: SimulatedDatabase.Bug.allCases)
  func noticesAPlantedBug(_ bug: SimulatedDatabase.Bug) throws {
    let seen = try (0..<UInt64(200)).contains { try Simulation(seed: $0, bug: bug).difference() != nil }
    #expect(seen, "no seed shows \(bug)")
  }
}

/// One seed's world.
struct Simulation {
  private static let definition = """
    {"name": "simulated", "kafka_topic": "payments", "event_id": "id", "deduplicate": "1h", "key": "customer",
     "event_time": {"field": "at", "allowed_lateness": "30s"},
     "schema": [{"name": "id", "type": "integer", "nullable": false}, {"name": "at", "type": "timestamp", "unit": "s"},
                {"name": "customer", "type": "string"}, {"name": "amount", "type": "float"},
                {"name": "divisor", "type": "integer"}],
     "features": [{"name": "recent", "function": "count", "by": "customer", "window": "60s"},
                  {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
                  {"name": "kinds", "function": "distinct", "of": "divisor", "by": "customer"},
                  {"name": "before", "function": "previous", "of": "amount", "by": "customer"}],
     "rules": [{"id": "large", "rule_expression": "amount > 80"},
               {"id": "divided", "rule_expression": "amount / divisor > 10", "severity": "critical"},
               {"id": "often", "rule_expression": "recent > 4"}, {"id": "unusual", "rule_expression": "amount > 1.5 * usual"},
               {"id": "diverse", "rule_expression": "kinds = 3"}, {"id": "rising", "rule_expression": "amount > before + 20"},
               {"id": "shadow", "rule_expression": "amount < 5", "mode": "shadow"}]}
    """
  static let pipeline: Pipeline? = try? Pipeline(DefinitionValue(json: Array(definition.utf8)))

  let seed: UInt64
  var bug: SimulatedDatabase.Bug?

  /// What differs from a run without faults, `nil` if nothing does.
  func difference() throws -> String? {
    let expected = try run(faults: false)
    let actual = try run(faults: true)
    guard let actual, let expected else { return "it did not come to an end" }
    if actual.conflicts > 0 { return "\(actual.conflicts) rows were written twice" }
    if actual.alerts != expected.alerts { return "\(actual.alerts.count) alerts instead of \(expected.alerts.count)" }
    if actual.rejected != expected.rejected {
      return "\(actual.rejected.count) rejected, not \(expected.rejected.count)"
    }
    for (source, row) in expected.rows {
      guard let other = actual.rows[source]?.progress else { return "partition \(source.partition) is missing" }
      if other.nextOffset != row.progress.nextOffset {
        return "partition \(source.partition) ends at \(other.nextOffset)"
      }
      if other.counts != row.progress.counts { return "partition \(source.partition) counts \(other.counts)" }
      if try actual.features(of: source) != expected.features(of: source) {
        return "partition \(source.partition) remembers something else"
      }
      let base = other.state?.snapshotSequence ?? .max
      if actual.states[source]?.deltas.keys.contains(where: { $0 <= base }) == true {
        return "partition \(source.partition) keeps deltas that buckets stand for"
      }
    }
    return nil
  }

  private func log(_ random: inout SimulatedRandom) -> [[[UInt8]?]] {
    (0..<Int.random(in: 1...3, using: &random)).map { _ in
      (0..<Int.random(in: 0...60, using: &random)).map { id in
        switch Int.random(in: 0..<12, using: &random) {
        case 0: nil
        case 1: Array("{\"id\": \(id), \"amount\": tru".utf8)
        default:
          Array(
            """
            {"id": \(random.oneIn(8) ? id / 2 : id), "at": \(1_700_000_000 + id * 5 + Int.random(in: -40...40, using: &random)), \
            "customer": "c\(Int.random(in: 0...4, using: &random))", "amount": \(Int.random(in: 0...100, using: &random)), \
            "divisor": \(Int.random(in: 0...3, using: &random))}
            """.utf8)
        }
      }
    }
  }

  /// Runs until everything is committed; `nil` if that takes longer than it may.
  private func run(faults: Bool) throws -> SimulatedDatabase? {
    guard let pipeline = Self.pipeline else { return nil }
    var random = SimulatedRandom(seed: seed)
    let cluster = SimulatedCluster(partitions: log(&random))
    let database = SimulatedDatabase(bug: faults ? bug : nil)
    if !faults { random = SimulatedRandom(seed: 1) }
    var processors: [SimulatedProcessor] = []
    var nextMember = 0
    func start() {
      processors.append(
        SimulatedProcessor(pipeline, cluster, database, member: nextMember, faults: faults ? 6 : 0, random: &random))
      nextMember += 1
    }
    start()
    var now = Duration.zero
    let chaos = faults ? 150 : 0
    for tick in 0..<20_000 {
      now += .milliseconds(Int.random(in: 1...30, using: &random))
      if tick < chaos {
        if disturb(&processors, cluster, database, &random), processors.count < 3 { start() }
      } else if tick == chaos {
        database.isAway = false
        for processor in processors { processor.recover() }
        if processors.isEmpty { start() }
      }
      for index in processors.indices.reversed() where !processors[index].isFrozen {
        if try !processors[index].step(now: now) {
          cluster.leave(processors[index].member)
          processors.remove(at: index)
        }
      }
      if processors.isEmpty { start() }
      if tick > chaos, database.isComplete(cluster) { return database }
    }
    return nil
  }

  /// Something goes wrong. Returns whether one more process is to start.
  private func disturb(
    _ processors: inout [SimulatedProcessor], _ cluster: SimulatedCluster, _ database: SimulatedDatabase,
    _ random: inout SimulatedRandom
  ) -> Bool {
    switch Int.random(in: 0..<40, using: &random) {
    case 0: return true
    case 1 where !processors.isEmpty:
      // Death without a word.
      let index = Int.random(in: processors.indices, using: &random)
      cluster.leave(processors[index].member)
      processors.remove(at: index)
    case 2 where !processors.isEmpty:
      // A process that stands still long enough to lose its partitions, and goes on later as if nothing had happened.
      let processor = processors[Int.random(in: processors.indices, using: &random)]
      processor.isFrozen = true
      if random.oneIn(2) { cluster.expire(processor.member) }
    case 3:
      for processor in processors { processor.isFrozen = false }
    case 4: database.isAway.toggle()
    case 5: cluster.rebalance()
    case 6:
      for (unit, owner) in database.inFlight { _ = database.apply(unit, owner: owner) }
      database.inFlight = []
    default: break
    }
    return false
  }
}

extension SimulatedDatabase {
  /// What is remembered of every key, read back from what is stored.
  func features(of source: EventSource) throws -> [UInt8] {
    guard let pipeline = Simulation.pipeline else { return [] }
    var features = Engine(pipeline).features
    for part in state(of: source) {
      switch part {
      case .bucket(let bytes), .delta(let bytes): try features.apply(bytes)
      }
    }
    return features.snapshot()
  }

  /// Whether every partition is committed to its end.
  func isComplete(_ cluster: SimulatedCluster) -> Bool {
    cluster.partitions.indices.allSatisfy { partition in
      let source = EventSource(topic: cluster.topic, generation: "dev", partition: Int32(partition))
      return cluster.partitions[partition].isEmpty
        || rows[source]?.progress.nextOffset == Int64(cluster.partitions[partition].count)
    }
  }
}

/// A processor as one process of the simulation.
final class SimulatedProcessor {
  let member: Int
  var isFrozen = false
  private let committer: SimulatedCommitter
  private var processor: Processor<SimulatedSource, SimulatedCommitter>

  init(
    _ pipeline: Pipeline, _ cluster: SimulatedCluster, _ database: SimulatedDatabase, member: Int, faults: Int,
    random: inout SimulatedRandom
  ) {
    self.member = member
    committer = SimulatedCommitter(database, owner: member, faults: faults, seed: random.next())
    var configuration = ProcessorConfiguration()
    configuration.commitEvents = Int.random(in: 1...20, using: &random)
    configuration.fencedPatience = .seconds(2)
    configuration.batchRows = 16
    configuration.state.deltaRows = Int.random(in: 1...4, using: &random)
    configuration.state.commitBytes = Int.random(in: 1...4_000, using: &random)
    var names = SimulatedRandom(seed: random.next())
    processor = Processor(
      pipeline, id: 1, version: 1, generation: "dev",
      source: SimulatedSource(cluster, member: member, seed: random.next()), store: committer,
      configuration: configuration, makeBatchID: { UniqueID(high: names.next(), low: names.next()) })
  }

  /// One step; `false` when the process ends.
  func step(now: Duration) throws -> Bool {
    do {
      try processor.step(now: now)
      return true
    } catch let error as ProcessorError where error.code == .fenced {
      return false
    }
  }

  func recover() {
    isFrozen = false
    committer.faults = 0
  }
}

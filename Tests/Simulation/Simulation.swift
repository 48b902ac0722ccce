import FraudCore
import TestRandom

/// One seed's world.
struct Simulation {
  let seed: UInt64
  var bug: SimulatedDatabase.Bug?

  init(seed: UInt64, bug: SimulatedDatabase.Bug? = nil) {
    self.seed = seed
    self.bug = bug
  }

  /// The first of some seeds that shows a planted bug.
  static func firstSeed(thatShows bug: SimulatedDatabase.Bug, among seeds: UInt64) throws -> UInt64? {
    try (0..<seeds).first { try Simulation(seed: $0, bug: bug).difference() != nil }
  }

  /// What differs from a run without faults, `nil` if nothing does. Every second seed is a pipeline of several topics.
  func difference() throws -> String? {
    var random = SeededGenerator(seed: seed)
    let world = World(&random, hasStreams: seed & 1 == 1)
    let cluster = SimulatedCluster(topics: world.topics, logs: world.logs(&random))
    if random.oneIn(3) {
      cluster.poison = poison(of: cluster, &random)
      if world.hasStreams { cluster.latePoison = poison(of: cluster, &random).subtracting(cluster.poison) }
    }
    guard let actual = try run(cluster, world, &random) else { return "it did not come to an end" }
    if actual.conflicts > 0 { return "\(actual.conflicts) rows were written twice" }
    if actual.mostCrashes > 3 { return "a record made \(actual.mostCrashes) owners in a row crash" }
    if !world.hasStreams { return try difference(actual, cluster) }
    if let difference = try streamDifference(actual, cluster, isOneByOne: false) { return difference }
    // Given that topics are in order and that none went on without another, commits change nothing.
    guard world.isOrdered, world.isPatient else { return nil }
    return try streamDifference(actual, cluster, isOneByOne: true).map { "one by one: " + $0 }
  }

  private func difference(_ actual: SimulatedDatabase, _ cluster: SimulatedCluster) throws -> String? {
    var expected = Expectation()
    for partition in 0..<cluster.partitionCount {
      let source = EventSource(topic: cluster.topic, generation: "dev", partition: Int32(partition))
      let log = cluster.logs[0][partition]
      if log.isEmpty { continue }
      let activations = actual.activations[source] ?? []
      guard activations.first?.from == 0 else { return "partition \(partition) has no first version" }
      let poison = Set(cluster.poison.lazy.filter { $0.partition == partition }.map(\.offset))
      let features = try expected.process(log, of: source, activations, poison: poison)
      guard let row = actual.rows[source]?.progress else { return "partition \(partition) is missing" }
      if row.nextOffset != Int64(log.count) { return "partition \(partition) ends at \(row.nextOffset)" }
      if row.counts != expected.counts[source] {
        return "partition \(partition) counts \(row.counts), not \(expected.counts[source] ?? EventCounts())"
      }
      if try actual.features(of: source, hasStreams: false) != features {
        return "partition \(partition) remembers something else"
      }
      if let difference = actual.stateDifference(of: source) { return difference }
    }
    return difference(actual, expected)
  }

  private func difference(_ actual: SimulatedDatabase, _ expected: Expectation) -> String? {
    if actual.arms != expected.arms { return "the arms of versions and rules count otherwise" }
    if actual.alerts != expected.alerts { return "\(actual.alerts.count) alerts instead of \(expected.alerts.count)" }
    if actual.shadowAlerts != expected.shadowAlerts { return "the shadow alerts differ" }
    if actual.rejected != expected.rejected {
      return "\(actual.rejected.count) rejected, not \(expected.rejected.count)"
    }
    return nil
  }

  /// What differs from an undisturbed evaluation of what the commits recorded.
  private func streamDifference(
    _ actual: SimulatedDatabase, _ cluster: SimulatedCluster, isOneByOne: Bool
  ) throws -> String? {
    var expected = Expectation()
    for partition in 0..<cluster.partitionCount {
      let source = EventSource(topic: cluster.topic, generation: "dev", partition: Int32(partition))
      let logs = cluster.logs(ofPartition: partition)
      if logs.allSatisfy(\.isEmpty) { continue }
      let commits = actual.commits[source] ?? []
      for (topic, log) in logs.enumerated() {
        var next: Int64 = 0
        for commit in commits {
          guard commit.ranges[topic].lowerBound == next else {
            return
              "\(cluster.topics[topic])[\(partition)] has a range from \(commit.ranges[topic].lowerBound), not \(next)"
          }
          next = commit.ranges[topic].upperBound
        }
        if next != log.count { return "the ranges of \(cluster.topics[topic])[\(partition)] end at \(next)" }
      }
      let (features, streams) = try expected.process(
        logs, topics: cluster.topics, partition: Int32(partition), commits, isOneByOne: isOneByOne,
        poison: cluster.poison, latePoison: cluster.latePoison, scoredFirst: bug == .scoredFirst)
      guard let row = actual.rows[source]?.progress else { return "partition \(partition) is missing" }
      if row.nextOffset != Int64(logs[0].count) { return "partition \(partition) ends at \(row.nextOffset)" }
      for (index, stream) in row.streams.enumerated() {
        if stream.nextOffset != Int64(logs[index + 1].count) { return "\(stream.topic) ends at \(stream.nextOffset)" }
        if stream.accepted != streams[index].accepted || stream.rejected != streams[index].rejected {
          return "\(stream.topic) counts \(stream.accepted) and \(stream.rejected)"
        }
      }
      if row.counts != expected.counts[source] {
        return "partition \(partition) counts \(row.counts), not \(expected.counts[source] ?? EventCounts())"
      }
      if try actual.features(of: source, hasStreams: true) != features {
        return "partition \(partition) remembers something else"
      }
      if let difference = actual.stateDifference(of: source) { return difference }
      if let difference = actual.activationDifference(of: source) { return difference }
    }
    return difference(actual, expected)
  }

  /// Some records that kill whoever evaluates them.
  private func poison(of cluster: SimulatedCluster, _ random: inout SeededGenerator) -> Set<Life.Place> {
    var places: Set<Life.Place> = []
    for (topic, logs) in zip(cluster.topics, cluster.logs) {
      for (partition, log) in logs.enumerated() where !log.isEmpty {
        for _ in 0..<Int.random(in: 0...2, using: &random) {
          let offset = Int64.random(in: 0..<Int64(log.count), using: &random)
          places.insert(Life.Place(topic: topic, partition: Int32(partition), offset: offset))
        }
      }
    }
    return places
  }

  /// Runs until everything is committed; `nil` if that takes longer than it may.
  private func run(
    _ cluster: SimulatedCluster, _ world: World, _ random: inout SeededGenerator
  ) throws -> SimulatedDatabase? {
    let database = SimulatedDatabase(bug: bug, isDurable: !random.oneIn(3))
    var processors: [SimulatedProcessor] = []
    var nextMember = 0
    // The same for all: what a dead owner can have had in hand is known by what its next one may have.
    let commitEvents = Int.random(in: 1...20, using: &random)
    func start(deaths: Int) {
      processors.append(
        SimulatedProcessor(
          cluster, database, world, member: nextMember, faults: 6, deaths: deaths, commitEvents: commitEvents,
          random: &random))
      nextMember += 1
    }
    start(deaths: 80)
    var now = Duration.zero
    let chaos = 150
    var hasFallenBehind = false
    let fallsLate = random.oneIn(2)
    for tick in 0..<20_000 {
      now += .milliseconds(Int.random(in: 1...30, using: &random))
      if tick < chaos {
        if disturb(&processors, cluster, database, &random), processors.count < 3 { start(deaths: 80) }
      } else if tick == chaos {
        database.isAway = false
        for processor in processors { processor.recover() }
      }
      for index in processors.indices.reversed() where !processors[index].isFrozen {
        if try !processors[index].step(now: now) {
          cluster.leave(processors[index].member)
          processors.remove(at: index)
        }
      }
      if processors.isEmpty { start(deaths: tick < chaos ? 80 : 0) }
      if !database.isDurable, !hasFallenBehind, tick > chaos || !fallsLate, database.isComplete(cluster) {
        // Nothing more comes that would show that something is missing.
        hasFallenBehind = true
        database.fallOver(&random)
      }
      if tick > chaos, database.isComplete(cluster) { return database }
    }
    return nil
  }

  private var versions: [PipelineVersion] { Self.versions(hasStreams: seed & 1 == 1) }

  /// Something goes wrong. Returns whether one more process is to start.
  private func disturb(
    _ processors: inout [SimulatedProcessor], _ cluster: SimulatedCluster, _ database: SimulatedDatabase,
    _ random: inout SeededGenerator
  ) -> Bool {
    switch Int.random(in: 0..<40, using: &random) {
    case 0: return true
    case 1 where !processors.isEmpty:
      // Death without a word.
      let index = Int.random(in: processors.indices, using: &random)
      if processors[index].isInTrial { return false }
      database.countDeath(of: processors[index].member, cause: nil)
      cluster.leave(processors[index].member)
      processors.remove(at: index)
    case 2 where !processors.isEmpty:
      // A process that stands still long enough to lose its partitions, and goes on later as if nothing had happened.
      let processor = processors[Int.random(in: processors.indices, using: &random)]
      if processor.isInTrial { return false }
      processor.isFrozen = true
      if random.oneIn(2) { cluster.expire(processor.member) }
    case 3:
      for processor in processors { processor.isFrozen = false }
    case 4: database.isAway.toggle()
    case 5: cluster.rebalance()
    case 6:
      for (unit, owner) in database.inFlight { _ = database.apply(unit, owner: owner) }
      database.inFlight = []
    case 9: database.fallOver(&random)
    case 7, 8: database.version = Int.random(in: 1...versions.count, using: &random)
    default: break
    }
    return false
  }
}

extension SimulatedDatabase {
  /// What is remembered of every key, read back from what is stored.
  func features(of source: EventSource, hasStreams: Bool) throws -> [UInt8] {
    guard let version = rows[source]?.progress.pipelineVersion else { return [] }
    let pipeline = Simulation.versions(hasStreams: hasStreams)[version - 1].pipeline
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
    (0..<cluster.partitionCount).allSatisfy { partition in
      let source = EventSource(topic: cluster.topic, generation: "dev", partition: Int32(partition))
      let logs = cluster.logs(ofPartition: partition)
      if logs.allSatisfy(\.isEmpty) { return true }
      guard let row = rows[source]?.progress, row.nextOffset == Int64(logs[0].count) else { return false }
      return zip(cluster.topics, logs).dropFirst().allSatisfy { topic, log in
        row.streams.first { $0.topic == topic }?.nextOffset == Int64(log.count)
      }
    }
  }

  /// What is stored although buckets stand for it.
  func stateDifference(of source: EventSource) -> String? {
    let base = rows[source]?.progress.state?.snapshotSequence ?? .max
    guard states[source]?.deltas.keys.contains(where: { $0 <= base }) == true else { return nil }
    return "partition \(source.partition) keeps deltas that buckets stand for"
  }

  /// Where the recorded activations are not those of the recorded commits.
  func activationDifference(of source: EventSource) -> String? {
    var expected: [(from: Int64, version: Int)] = []
    for commit in commits[source] ?? [] where expected.last?.version != commit.version {
      expected.append((commit.ranges[0].lowerBound, commit.version))
    }
    let found = activations[source] ?? []
    if found.count == expected.count, zip(found, expected).allSatisfy({ $0 == $1 }) { return nil }
    return "partition \(source.partition) has other activations than its commits"
  }
}

/// A processor as one process of the simulation.
final class SimulatedProcessor {
  let member: Int
  var isFrozen = false
  private let committer: SimulatedCommitter
  private let database: SimulatedDatabase
  private let versions: [PipelineVersion]
  private var processor: Processor<SimulatedSource, SimulatedCommitter>

  init(
    _ cluster: SimulatedCluster, _ database: SimulatedDatabase, _ world: World, member: Int, faults: Int, deaths: Int,
    commitEvents: Int, random: inout SeededGenerator
  ) {
    self.member = member
    self.database = database
    versions = Simulation.versions(hasStreams: world.hasStreams)
    committer = SimulatedCommitter(database, owner: member, faults: faults, deaths: deaths, seed: random.next())
    var configuration = ProcessorConfiguration()
    configuration.commitEvents = commitEvents
    configuration.fencedPatience = .seconds(2)
    configuration.streamPatience = world.patience
    configuration.settleInterval = .milliseconds(60)
    configuration.batchRows = 16
    configuration.state.deltaRows = Int.random(in: 1...4, using: &random)
    configuration.state.commitBytes = Int.random(in: 1...4_000, using: &random)
    let (poison, latePoison, life) = (cluster.poison, cluster.latePoison, committer.life)
    configuration.failpoint = { step, offset, partition in
      guard let partition, !life.isOver else { return }
      let place = Life.Place(topic: partition.topic, partition: partition.partition, offset: offset)
      switch "\(step)" {
      case "take": if poison.contains(place) { life.end(place) }
      case "evaluate": if latePoison.contains(place) { life.end(place) }
      default: break
      }
    }
    var names = SeededGenerator(seed: random.next())
    var version = versions[database.version - 1]
    if database.bug == .controlForgotten { version = PipelineVersion(version.pipeline, number: version.number) }
    processor = Processor(
      version, id: 1, generation: "dev",
      source: SimulatedSource(cluster, member: member, seed: random.next()), store: committer,
      configuration: configuration, makeBatchID: { UniqueID(high: names.next(), low: names.next()) })
  }

  /// One step; `false` when the process ends.
  func step(now: Duration) throws -> Bool {
    do {
      if !database.isAway, database.version != processor.version {
        processor.adopt(versions[database.version - 1])
      }
      try processor.step(now: now)
      if committer.life.isOver { throw Death() }
      return true
    } catch is Death {
      database.countDeath(of: member, cause: committer.life.cause)
      return false
    } catch let error as ProcessorError where error.code == .fenced {
      return false
    }
  }

  var isInTrial: Bool { committer.isInTrial }

  func recover() {
    isFrozen = false
    (committer.faults, committer.deaths) = (0, 0)
  }
}

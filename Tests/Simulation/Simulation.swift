import FraudCore

/// One seed's world.
struct Simulation {
  /// Version 2 has other rules, one feature less, one more, and one over another window; version 3 no features at all. Versions
  /// 4 and 5 are in force for a share of the customers beside version 1, with features less and more, and other rules.
  private static let definitions: [(features: String, rules: String, share: Double?)] = [
    (
      features: """
      {"name": "recent", "function": "count", "by": "customer", "window": "60s"},
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
      {"name": "kinds", "function": "distinct", "of": "divisor", "by": "customer"},
      {"name": "before", "function": "previous", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "often", "rule_expression": "recent > 4"}, {"id": "unusual", "rule_expression": "amount > 1.5 * usual"},
      {"id": "diverse", "rule_expression": "kinds = 3"}, {"id": "rising", "rule_expression": "amount > before + 20"},
      """, share: nil
    ),
    (
      features: """
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"},
      {"name": "recent", "function": "count", "by": "customer", "window": "90s"},
      {"name": "top", "function": "max", "of": "amount", "by": "customer"},
      {"name": "before", "function": "previous", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "often", "rule_expression": "recent > 5"}, {"id": "unusual", "rule_expression": "amount > 1.5 * usual"},
      {"id": "record", "rule_expression": "amount > top"}, {"id": "rising", "rule_expression": "amount > before + 20"},
      """, share: nil
    ),
    (features: "", rules: "", share: nil),
    (
      features: """
      {"name": "top", "function": "max", "of": "amount", "by": "customer"},
      {"name": "usual", "function": "mean", "of": "amount", "by": "customer"}
      """,
      rules: """
      {"id": "unusual", "rule_expression": "amount > 1.2 * usual"}, {"id": "record", "rule_expression": "amount > top"},
      """, share: 0.6
    ),
    (
      features: #"{"name": "before", "function": "previous", "of": "amount", "by": "customer"}"#,
      rules: #"{"id": "rising", "rule_expression": "amount > before + 5", "severity": "critical", "share": 0.5},"#,
      share: 0.3
    ),
  ]

  static let versions: [PipelineVersion] = definitions.indices.compactMap { index in
    let number = index + 1
    guard definitions[index].share != nil else {
      return (try? Pipeline(source(definitions[index]))).map { PipelineVersion($0, number: number) }
    }
    return try? PipelineVersion(source(definitions[index]), number: number, beside: (source(definitions[0]), 1))
  }

  private static func source(
    _ parts: (features: String, rules: String, share: Double?)
  ) throws -> DefinitionValue {
    let deduplicate = parts.features.isEmpty ? "" : #""deduplicate": "1h","#
    let share = parts.share.map { "\"share\": \($0)," } ?? ""
    let text = """
      {"name": "simulated", "kafka_topic": "payments", "event_id": "id", \(deduplicate) \(share) "key": "customer",
       "event_time": {"field": "at", "allowed_lateness": "30s"},
       "schema": [{"name": "id", "type": "integer", "nullable": false}, {"name": "at", "type": "timestamp", "unit": "s"},
                  {"name": "customer", "type": "string"}, {"name": "amount", "type": "float"},
                  {"name": "divisor", "type": "integer"}],
       "features": [\(parts.features)],
       "rules": [\(parts.rules)
                 {"id": "large", "rule_expression": "amount > 80"},
                 {"id": "divided", "rule_expression": "amount / divisor > 10", "severity": "critical"},
                 {"id": "shadow", "rule_expression": "amount < 5", "mode": "shadow"}]}
      """
    return try DefinitionValue(json: Array(text.utf8))
  }

  let seed: UInt64
  var bug: SimulatedDatabase.Bug?

  init(seed: UInt64, bug: SimulatedDatabase.Bug? = nil) {
    precondition(Self.versions.count == Self.definitions.count, "a definition of the simulation does not compile")
    self.seed = seed
    self.bug = bug
  }

  /// The first of some seeds that shows a planted bug.
  static func firstSeed(thatShows bug: SimulatedDatabase.Bug, among seeds: UInt64) throws -> UInt64? {
    try (0..<seeds).first { try Simulation(seed: $0, bug: bug).difference() != nil }
  }

  /// What differs from a run without faults, `nil` if nothing does.
  func difference() throws -> String? {
    var random = SimulatedRandom(seed: seed)
    let cluster = SimulatedCluster(partitions: log(&random))
    if random.oneIn(3) { cluster.poison = poison(of: cluster, &random) }
    guard let actual = try run(cluster, &random) else { return "it did not come to an end" }
    if actual.conflicts > 0 { return "\(actual.conflicts) rows were written twice" }
    if actual.mostCrashes > 3 { return "a record made \(actual.mostCrashes) owners in a row crash" }
    var expected = Expectation()
    for partition in cluster.partitions.indices {
      let source = EventSource(topic: cluster.topic, generation: "dev", partition: Int32(partition))
      let log = cluster.partitions[partition]
      if log.isEmpty { continue }
      let activations = actual.activations[source] ?? []
      guard activations.first?.from == 0 else { return "partition \(partition) has no first version" }
      let poison = Set(cluster.poison.lazy.filter { $0.partition == partition }.map(\.offset))
      let features = try expected.process(log, of: source, activations, poison: poison)
      guard let row = actual.rows[source]?.progress else { return "partition \(partition) is missing" }
      if row.nextOffset != Int64(log.count) { return "partition \(partition) ends at \(row.nextOffset)" }
      if row.counts != expected.counts[source] { return "partition \(partition) counts \(row.counts)" }
      if try actual.features(of: source) != features { return "partition \(partition) remembers something else" }
      let base = row.state?.snapshotSequence ?? .max
      if actual.states[source]?.deltas.keys.contains(where: { $0 <= base }) == true {
        return "partition \(partition) keeps deltas that buckets stand for"
      }
    }
    if actual.arms != expected.arms { return "the arms of versions and rules count otherwise" }
    if actual.alerts != expected.alerts { return "\(actual.alerts.count) alerts instead of \(expected.alerts.count)" }
    if actual.shadowAlerts != expected.shadowAlerts { return "the shadow alerts differ" }
    if actual.rejected != expected.rejected {
      return "\(actual.rejected.count) rejected, not \(expected.rejected.count)"
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

  /// Some records that kill whoever evaluates them.
  private func poison(of cluster: SimulatedCluster, _ random: inout SimulatedRandom) -> Set<Life.Place> {
    var places: Set<Life.Place> = []
    for (partition, log) in cluster.partitions.enumerated() where !log.isEmpty {
      for _ in 0..<Int.random(in: 0...2, using: &random) {
        let offset = Int64.random(in: 0..<Int64(log.count), using: &random)
        places.insert(Life.Place(partition: Int32(partition), offset: offset))
      }
    }
    return places
  }

  /// Runs until everything is committed; `nil` if that takes longer than it may.
  private func run(_ cluster: SimulatedCluster, _ random: inout SimulatedRandom) throws -> SimulatedDatabase? {
    let database = SimulatedDatabase(bug: bug)
    var processors: [SimulatedProcessor] = []
    var nextMember = 0
    // The same for all: what a dead owner can have had in hand is known by what its next one may have.
    let commitEvents = Int.random(in: 1...20, using: &random)
    func start(deaths: Int) {
      processors.append(
        SimulatedProcessor(
          cluster, database, member: nextMember, faults: 6, deaths: deaths, commitEvents: commitEvents,
          random: &random))
      nextMember += 1
    }
    start(deaths: 80)
    var now = Duration.zero
    let chaos = 150
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
    case 7, 8: database.version = Int.random(in: 1...Self.versions.count, using: &random)
    default: break
    }
    return false
  }
}

extension SimulatedDatabase {
  /// What is remembered of every key, read back from what is stored.
  func features(of source: EventSource) throws -> [UInt8] {
    guard let version = rows[source]?.progress.pipelineVersion else { return [] }
    let pipeline = Simulation.versions[version - 1].pipeline
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
  private let database: SimulatedDatabase
  private var processor: Processor<SimulatedSource, SimulatedCommitter>

  init(
    _ cluster: SimulatedCluster, _ database: SimulatedDatabase, member: Int, faults: Int, deaths: Int,
    commitEvents: Int, random: inout SimulatedRandom
  ) {
    self.member = member
    self.database = database
    committer = SimulatedCommitter(database, owner: member, faults: faults, deaths: deaths, seed: random.next())
    var configuration = ProcessorConfiguration()
    configuration.commitEvents = commitEvents
    configuration.fencedPatience = .seconds(2)
    configuration.batchRows = 16
    configuration.state.deltaRows = Int.random(in: 1...4, using: &random)
    configuration.state.commitBytes = Int.random(in: 1...4_000, using: &random)
    let (poison, life) = (cluster.poison, committer.life)
    configuration.failpoint = { step, offset, partition in
      guard "\(step)" == "take", let partition else { return }
      let place = Life.Place(partition: partition.partition, offset: offset)
      if poison.contains(place) { life.end(place) }
    }
    var names = SimulatedRandom(seed: random.next())
    var version = Simulation.versions[database.version - 1]
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
        processor.adopt(Simulation.versions[database.version - 1])
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

import FraudCore

/// What one engine a partition makes of the events one by one, each with the version that decided: the plain twin of
/// everything that the processor does.
struct Expectation {
  private(set) var alerts: [UniqueID: Alert] = [:]
  private(set) var shadowAlerts: [UniqueID: Alert] = [:]
  private(set) var rejected: [String: RejectedRecord] = [:]
  /// What each arm of a version or rule counted, by partition.
  private(set) var arms: [ArmPlace: RunSummary.Arm] = [:]
  var counts: [EventSource: EventCounts] = [:]

  /// Processes a partition to its end.
  ///
  /// - Returns: what is remembered in the end.
  mutating func process(
    _ log: [SimulatedRecord], of source: EventSource, _ activations: [(from: Int64, version: Int)], poison: Set<Int64>
  ) throws -> [UInt8] {
    var activations = activations[...]
    var counts = EventCounts()
    var engine: Engine?
    for (offset, record) in log.enumerated() {
      while let next = activations.first, next.from <= Int64(offset) {
        activations.removeFirst()
        let remembered = engine?.features.snapshot()
        if let engine { count(engine, of: source, into: &counts) }
        var fresh = Engine(Simulation.versions(hasStreams: false)[next.version - 1])
        if let remembered, !fresh.pipeline.features.isEmpty { try fresh.features.apply(remembered) }
        engine = fresh
      }
      guard engine != nil else { continue }
      try process(
        record, offset: Int64(offset), of: source, isPoison: poison.contains(Int64(offset)), &engine!)
    }
    if let engine { count(engine, of: source, into: &counts) }
    self.counts[source] = counts
    return engine?.features.snapshot() ?? []
  }

  mutating func count(_ engine: Engine, of source: EventSource, into counts: inout EventCounts) {
    counts += EventCounts(engine.summary)
    for experiment in engine.countsByVersion.flatMap(\.experiments) { arms.add(experiment, of: source) }
  }

  private mutating func process(
    _ record: SimulatedRecord, offset: Int64, of source: EventSource, isPoison: Bool, _ engine: inout Engine
  ) throws {
    var batch = EventBatch(layout: engine.pipeline.layout, source: source, capacity: 1)
    let timestamp = record.timestampMilliseconds.map { $0 * 1_000 }
    if let value = record.value {
      guard batch.hasRoom(forMessageOf: value.count) else { return }
      batch.append(message: value.span, offset: offset, timestamp: timestamp)
    } else {
      batch.appendTombstone(offset: offset, timestamp: timestamp)
    }
    if isPoison {
      if let record = engine.rejectUnseen(batch) { keep(record) }
      return
    }
    engine.process(&batch)
    keep(engine, batch)
    for event in engine.decoding.rejected { keep(engine.record(event, of: batch)) }
  }

  /// Keeps what came of events that were evaluated.
  mutating func keep(_ engine: Engine, _ batch: EventBatch) {
    for alert in engine.alertRecords(of: batch) { alerts[alert.id] = alert }
    for alert in engine.shadowAlertRecords(of: batch) { shadowAlerts[alert.id] = alert }
  }

  mutating func keep(_ record: RejectedRecord) { rejected[SimulatedDatabase.key(record)] = record }
}

/// One arm of a version or rule in one partition.
struct ArmPlace: Hashable {
  var source: EventSource
  var version: Int?
  var rule: String
  var isTreated: Bool
}

extension [ArmPlace: RunSummary.Arm] {
  mutating func add(_ experiment: RunSummary.ExperimentCounts, of source: EventSource) {
    for (isTreated, arm) in [(true, experiment.treated), (false, experiment.control)] where arm.events > 0 {
      let place = ArmPlace(
        source: source, version: experiment.version, rule: experiment.ruleID, isTreated: isTreated)
      self[place, default: RunSummary.Arm()].add(arm)
    }
  }
}

import FraudCore
import TestRandom

/// A record of a topic; no value is a tombstone.
struct SimulatedRecord {
  var value: [UInt8]?
  var timestampMilliseconds: Int64?
}

/// Topics' partitions and one consumer group over them, in memory, with everything that can happen to members.
final class SimulatedCluster {
  /// The scored topic, then the streams.
  let topics: [String]
  /// By topic and partition.
  let logs: [[[SimulatedRecord]]]
  var topic: String { topics[0] }
  var partitionCount: Int { logs[0].count }
  /// Records that kill whoever takes them, and, of those of several topics, whoever evaluates them in their turn.
  var poison: Set<Life.Place> = []
  var latePoison: Set<Life.Place> = []
  private var members: [Int: Member] = [:]

  private struct Member {
    var assigned: Set<Int32> = []
    var events: [SourceEvent] = []
  }

  init(topics: [String], logs: [[[SimulatedRecord]]]) {
    self.topics = topics
    self.logs = logs
  }

  /// The records of a partition.
  func log(of partition: TopicPartition) -> [SimulatedRecord] {
    topics.firstIndex(of: partition.topic).map { logs[$0][Int(partition.partition)] } ?? []
  }

  /// The logs that make up a partition, one of each topic.
  func logs(ofPartition partition: Int) -> [[SimulatedRecord]] { logs.map { $0[partition] } }

  func join(_ member: Int) {
    members[member] = Member()
    rebalance()
  }

  /// A member leaves, or dies; the others share its partitions.
  func leave(_ member: Int) {
    guard members.removeValue(forKey: member) != nil else { return }
    rebalance()
  }

  /// A silent member's session runs out: it learns only when it polls again that it has lost everything.
  func expire(_ member: Int) {
    guard let gone = members[member], !gone.assigned.isEmpty, members.count > 1 else { return }
    members[member]?.events = [.lost(names(gone.assigned))]
    members[member]?.assigned = []
    rebalance(without: member)
  }

  /// Shares the partitions anew. The simulation revokes and assigns at once: a member that commits after the others have
  /// taken over meets the fence, as it must.
  func rebalance(without excluded: Int? = nil) {
    let active = members.keys.filter { $0 != excluded }.sorted()
    guard !active.isEmpty else { return }
    var shares: [Int: Set<Int32>] = [:]
    for partition in 0..<partitionCount {
      shares[active[partition % active.count], default: []].insert(Int32(partition))
    }
    for member in active {
      guard let before = members[member]?.assigned else { continue }
      let after = shares[member] ?? []
      if !before.isEmpty { members[member]?.events.append(.revoked(names(before))) }
      members[member]?.events.append(.assigned(names(after)))
      members[member]?.assigned = after
    }
  }

  func nextEvent(for member: Int) -> SourceEvent? {
    guard let events = members[member]?.events, !events.isEmpty else { return nil }
    return members[member]?.events.removeFirst()
  }

  /// Whether a member is in the group with partitions of its own.
  func isMember(_ member: Int) -> Bool { members[member] != nil }

  private func names(_ partitions: Set<Int32>) -> [TopicPartition] {
    topics.flatMap { topic in partitions.sorted().map { TopicPartition(topic: topic, partition: $0) } }
  }
}

/// One member's view of the cluster.
final class SimulatedSource: RecordSource {
  private let cluster: SimulatedCluster
  let member: Int
  private var random: SeededGenerator
  private var positions: [TopicPartition: Int] = [:]
  private var paused: Set<TopicPartition> = []
  private var ended: Set<TopicPartition> = []

  init(_ cluster: SimulatedCluster, member: Int, seed: UInt64) {
    self.cluster = cluster
    self.member = member
    random = SeededGenerator(seed: seed)
    cluster.join(member)
  }

  func poll(into batch: inout MessageBatch, timeout: Duration) throws -> SourceEvent? {
    batch.removeAll()
    if let event = cluster.nextEvent(for: member) {
      if case .assigned = event {} else { positions = [:] }
      return event
    }
    for (partition, position) in positions.sorted(by: { $0.key < $1.key }) where !paused.contains(partition) {
      let log = cluster.log(of: partition)
      if cluster.topics.count > 1, random.oneIn(3) { continue }
      var start = position
      if start > 0, random.oneIn(20) { start -= Int.random(in: 1...min(3, start), using: &random) }
      let end = min(log.count, start + Int.random(in: 0...7, using: &random))
      guard start < end else {
        if position == log.count, ended.insert(partition).inserted {
          return .reachedEnd(partition, offset: Int64(position))
        }
        continue
      }
      batch.beginRun(partition)
      for offset in start..<end {
        append(log[offset], offset: offset, to: &batch)
      }
      positions[partition] = max(position, end)
    }
    return nil
  }

  private func append(_ record: SimulatedRecord, offset: Int, to batch: inout MessageBatch) {
    let timestamp = record.timestampMilliseconds
    if let value = record.value {
      unsafe value.withUnsafeBytes {
        unsafe batch.append(offset: Int64(offset), timestampMilliseconds: timestamp, key: nil, value: $0)
      }
    } else {
      unsafe batch.append(offset: Int64(offset), timestampMilliseconds: timestamp, key: nil, value: nil)
    }
  }

  func assign(_ starts: [TopicPartition: StartOffset]) throws {
    paused = []
    ended = []
    positions = starts.mapValues { start in
      if case .at(let offset) = start { Int(offset) } else { 0 }
    }
  }

  func unassign() throws {
    positions = [:]
    paused = []
  }

  func pause(_ partitions: [TopicPartition]) throws { paused.formUnion(partitions) }
  func resume(_ partitions: [TopicPartition]) throws { paused.subtract(partitions) }
  func earliestOffset(of partition: TopicPartition) throws -> Int64 { 0 }
  func commit(_ nextOffsets: [TopicPartition: Int64]) throws {}
}

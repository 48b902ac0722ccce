import Testing

@testable import FraudCore
@testable import FraudStore

/// What commits write for others: the outbox and its relay, experiments, current features.
@Suite(.timeLimit(.minutes(2))) struct OutputTests {
  let address: PostgresAddress

  init() throws {
    address = try TestDatabase.make()
  }

  private func unit(_ offsets: Range<Int64>, from progress: PartitionProgress) -> CommitUnit {
    var unit = CommitUnit(pipeline: "p", pipelineID: 1, pipelineVersion: 1, batchID: .random())
    unit.alertsTopic = "alerts"
    unit.alertsKey = "customer"
    unit.advances = [PartitionAdvance(progress: progress, nextOffset: offsets.upperBound)]
    for offset in offsets {
      unit.alerts.append(
        makeAlert(
          offset, rule: "a", event: #"{"customer":"c\#(offset % 3)"}"#, severity: .info, source: progress.source))
      unit.alerts[unit.alerts.count - 1].id = AlertIdentity(pipeline: "p", source: progress.source)
        .id(offset: offset, rule: "a")
    }
    return unit
  }

  private func apply(_ connection: inout PostgresConnection) throws {
    let text = #"{"name":"p","schema":[{"name":"customer","type":"string"}],"rules":[]}"#
    _ = try PipelineStore.apply(
      PipelineDefinition(DefinitionValue(json: Array(text.utf8))), author: "me", on: &connection)
  }

  /// A topic with transactions: what a batch holds and that it is the last one become true together.
  private final class Topic {
    var alerts: [OutgoingAlert] = []
    var last: UniqueID?
  }

  private struct Crash: Error {}

  private struct Sink: AlertSink, ~Copyable {
    let topic: Topic
    /// Where the relay dies: before the transaction, or after it.
    var crash: (isBefore: Bool, countdown: Int)?

    func lastBatch() -> UniqueID? { topic.last }

    mutating func deliver(_ alerts: [OutgoingAlert], batch: UniqueID) throws {
      crash?.countdown -= 1
      let dies = crash?.countdown == 0
      if dies, crash?.isBefore == true { throw Crash() }
      topic.alerts += alerts
      topic.last = batch
      if dies { throw Crash() }
    }
  }

  @Test(arguments: [true, false])
  func aRelayThatDiesLosesAndRepeatsNothing(before: Bool) throws {
    var connection = try PostgresConnection(address)
    try apply(&connection)
    var committer = PartitionCommitter(address, ownerName: "test")
    var progress = try committer.takeOwnership(pipelineID: 1, source: EventSource(topic: "t"), startOffset: 0)
    let topic = Topic()
    var expected: [String] = []
    for round in 0..<4 {
      let first = Int64(round) * 1_500
      let unit = unit(first..<first + 1_500, from: progress)
      expected += unit.alerts.map { String(decoding: $0.json, as: UTF8.self) }
      progress = try committer.commit(unit).progress[0]
      // Each round has two batches; each relay dies at one of them.
      for countdown in [1, 2, 0] {
        var database = try PostgresConnection(address)
        let outbox = AlertOutbox(pipelineID: 1, ownerName: "relay")
        #expect(try outbox.tryBecomeRelay(on: &database))
        var sink = Sink(topic: topic, crash: countdown == 0 ? nil : (before, countdown))
        if let batch = sink.lastBatch() { try outbox.forget(batch, on: &database) }
        do {
          _ = try outbox.drain(to: &sink, on: &database)
        } catch is Crash {}
        outbox.release(on: &database)
      }
      #expect(topic.alerts.map { String(decoding: $0.payload, as: UTF8.self) } == expected)
    }
    #expect(topic.alerts[4].key == Array("c1".utf8) && topic.alerts[4].target == "alerts")
    #expect(try AlertOutbox(pipelineID: 1, ownerName: "x").count(on: &connection) == 0)
    #expect(try AlertStore.list(AlertFilter(), limit: 10_000, on: &connection).count == expected.count)
  }

  @Test func onlyOneRelaysAndAnOldOneIsFenced() throws {
    var connection = try PostgresConnection(address)
    try apply(&connection)
    var committer = PartitionCommitter(address, ownerName: "test")
    var progress = try committer.takeOwnership(pipelineID: 1, source: EventSource(topic: "t"), startOffset: 0)
    progress = try committer.commit(unit(0..<10, from: progress)).progress[0]
    var one = try PostgresConnection(address)
    var two = try PostgresConnection(address)
    let first = AlertOutbox(pipelineID: 1, ownerName: "first")
    let second = AlertOutbox(pipelineID: 1, ownerName: "second")
    #expect(try first.tryBecomeRelay(on: &one))
    #expect(try !second.tryBecomeRelay(on: &two))
    #expect(try first.nextBatch(.random(), on: &one).count == 10)
    // The first one loses its session's lock and does not know it.
    first.release(on: &one)
    #expect(try second.tryBecomeRelay(on: &two))
    let error = #expect(throws: StoreError.self) { _ = try first.nextBatch(.random(), on: &one) }
    #expect(error?.code == .fenced)
    #expect(try second.nextBatch(.random(), on: &two).count == 10)
  }

  @Test func bothArmsAddUpOverCommitsAndPartitions() throws {
    var connection = try PostgresConnection(address)
    try apply(&connection)
    var committer = PartitionCommitter(address, ownerName: "test")
    var progress = try committer.takeOwnership(pipelineID: 1, source: EventSource(topic: "t"), startOffset: 0)
    var other = try committer.takeOwnership(
      pipelineID: 1, source: EventSource(topic: "t", partition: 1), startOffset: 0)
    for _ in 0..<3 {
      var unit = CommitUnit(pipeline: "p", pipelineID: 1, pipelineVersion: 1, batchID: .random())
      unit.advances = [progress, other].map { PartitionAdvance(progress: $0, nextOffset: $0.nextOffset + 5) }
      for index in unit.advances.indices {
        var counts = RunSummary.ExperimentCounts(ruleID: "r", share: 2_500)
        counts.treated.events = 3
        counts.treated.alerts = 2
        counts.treated.hits.truePositives = 1
        counts.control.events = index
        unit.advances[index].experiments = [counts]
      }
      let outcome = try committer.commit(unit)
      (progress, other) = (outcome.progress[0], outcome.progress[1])
    }
    let found = try OutputStore.experiments(of: 1, on: &connection)
    #expect(found.count == 1 && found[0].ruleID == "r" && found[0].share == 2_500 && found[0].version == 1)
    #expect(found[0].treated.events == 18 && found[0].treated.alerts == 12)
    #expect(found[0].treated.hits.truePositives == 6 && found[0].control.events == 3)
    #expect(try OutputStore.experiments(of: 1, version: 2, on: &connection).isEmpty)
  }
}

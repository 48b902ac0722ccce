import Foundation
import FraudCore
import FraudKafka
import TestBrokers
import Testing

/// The group protocol. The dev broker lets a group's first member wait 3 s, so there are few of these.
@Suite struct GroupTests {
  @Test func twoMembersShareAndOneTakesOver() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 4)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for index in 0..<400 { try producer.send(to: "t", "\(index)", partition: Int32(index % 4)) }
      try producer.finish(400)

      // What a database would keep: the next offset of every partition.
      var next: [TopicPartition: Int64] = [:]
      var counts: [String: Int] = [:]
      var members = [try consumer(broker), try consumer(broker)]
      var revocations = 0
      var batch = MessageBatch(messagesMax: 16)
      func step(_ member: KafkaConsumer) throws {
        let event = try member.poll(into: &batch, timeout: .milliseconds(5))
        for run in batch.runs {
          for message in batch.messages[run.messages] {
            #expect(message.offset == next[run.partition] ?? 0)
            next[run.partition] = message.offset + 1
            counts["\(run.partition)", default: 0] += 1
          }
        }
        switch event {
        case .assigned(let partitions):
          try member.assign(
            Dictionary(uniqueKeysWithValues: partitions.map { ($0, next[$0].map { .at($0) } ?? .beginning) }))
        case .revoked, .lost:
          revocations += 1
          try member.unassign()
        default: break
        }
      }
      func run(until isDone: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try !isDone(), ContinuousClock.now < end {
          for member in members { try step(member) }
        }
        #expect(try isDone())
      }

      try members[0].subscribe(to: ["t"])
      try run { members[0].assignment.count == 4 && counts.values.reduce(0, +) == 400 }
      // The commit does not wait, and a rebalance that overtakes it would refuse it.
      try members[0].commit(next)
      try run { try members[0].committedOffsets(of: members[0].assignment) == next }
      try members[1].subscribe(to: ["t"])
      try run { members[0].assignment.count == 2 && members[1].assignment.count == 2 }
      // The dev broker rebalances again where a member joins late; nobody may share a partition whatever it does.
      #expect(revocations >= 1)
      #expect(Set(members.flatMap(\.assignment)).count == 4)
      let stored = try members[0].committedOffsets(of: members[0].assignment)
      #expect(stored.values.allSatisfy { $0 == 100 } && stored.count == 2)
      for index in 400..<800 { try producer.send(to: "t", "\(index)", partition: Int32(index % 4)) }
      try producer.finish(800)
      try run { counts.values.reduce(0, +) == 800 }
      members[1].close()
      members.removeLast()
      try run { members[0].assignment.count == 4 }
      members[0].close()
      #expect(counts.values.allSatisfy { $0 == 200 })
    }
  }

  /// A member that is busy for longer than the group lets it be silent keeps its partitions, loses no message by it, and
  /// hears of a rebalance.
  @Test func aBusyMemberStays() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 2)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for index in 0..<200 { try producer.send(to: "t", "\(index)", partition: Int32(index % 2)) }
      try producer.finish(200)
      var configuration = ConsumerConfiguration(connection: connection(broker), group: broker.group("busy"))
      if !broker.isReal { configuration.suitDevBroker() }
      // The least that the session of 4 s allows; a cluster asks for 6 s.
      if broker.isReal { configuration.sessionTimeout = .seconds(6) }
      configuration.pollInterval = broker.isReal ? .seconds(6) : .seconds(4)
      let member = try KafkaConsumer(configuration)
      try member.subscribe(to: ["t"])
      var batch = MessageBatch(messagesMax: 16)
      var offsets: [TopicPartition: [Int64]] = [:]
      var events: [SourceEvent] = []
      func poll(_ member: KafkaConsumer) throws {
        let event = try member.poll(into: &batch, timeout: .milliseconds(5))
        for run in batch.runs { offsets[run.partition, default: []] += batch.messages[run.messages].map(\.offset) }
        switch event {
        case .assigned(let partitions):
          events.append(.assigned(partitions))
          try member.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .beginning) }))
        case .revoked(let partitions):
          events.append(.revoked(partitions))
          try member.unassign()
        case .lost(let partitions):
          events.append(.lost(partitions))
          try member.unassign()
        default: break
        }
      }
      func run(until isDone: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try !isDone(), ContinuousClock.now < end { try poll(member) }
        #expect(try isDone())
      }
      try run { offsets.values.contains { !$0.isEmpty } }
      let busyUntil = ContinuousClock.now + configuration.pollInterval + .seconds(2)
      while ContinuousClock.now < busyUntil {
        #expect(try member.keepAlive())
        usleep(20_000)
      }
      try run { offsets.values.reduce(0) { $0 + $1.count } >= 200 }
      #expect(offsets.values.allSatisfy { $0 == Array(0..<100) })
      #expect(events.count == 1)

      let other = try consumer(broker, group: "busy")
      defer { other.close() }
      try other.subscribe(to: ["t"])
      let end = ContinuousClock.now + .seconds(60)
      var isInterrupted = false
      while !isInterrupted, ContinuousClock.now < end {
        isInterrupted = try !member.keepAlive()
        _ = try other.poll(into: &batch, timeout: .milliseconds(5))
      }
      #expect(isInterrupted)
      try poll(member)
      #expect(events.count == 2)
      if case .revoked = events.last {} else { Issue.record("\(events)") }
    }
  }

  @Test func aTopicThatDoesNotExistIsAnError() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "something", partitions: 1)
      let consumer = try consumer(broker)
      let error = try #require(throws: KafkaError.self) { try consumer.subscribe(to: ["somthing"]) }
      #expect(error.code == .unknownTopic)
      #expect(error.message == "topic 'somthing' does not exist, did you mean 'something'?")
    }
  }
}

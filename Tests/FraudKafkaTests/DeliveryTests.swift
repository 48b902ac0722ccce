import FraudCore
import FraudKafka
import TestBrokers
import Testing

/// Reading and writing without a group: quick, since nobody waits for a rebalance.
@Suite struct DeliveryTests {
  @Test func keysTimestampsTombstonesAndEmptyValuesArrive() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 1)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      try producer.send(to: "t", "one", key: "k", timestamp: 1_600_000_000_123)
      try producer.send(to: "t", nil, key: "k")
      try producer.send(to: "t", "", key: "")
      try producer.send(to: "t", "four")
      try producer.finish(4)
      #expect(producer.report.deliveredBytes == 3 + 1 + 1 + 4)
      let consumer = try consumer(broker)
      try consumer.assign([TopicPartition(topic: "t", partition: 0): .beginning])
      let received = try consumer.read(4)
      #expect(received.map(\.offset) == [0, 1, 2, 3])
      #expect(received.map(\.value) == ["one", nil, "", "four"])
      #expect(received.map(\.key) == ["k", "k", "", nil])
      #expect(received.first?.timestamp == 1_600_000_000_123)
    }
  }

  /// The partitions that Java's producer chooses (murmur2, of a topic with 8 partitions), from
  /// `org.apache.kafka.common.utils.Utils.murmur2`.
  @Test func keysAreSpreadAsByJava() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 8)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      let keys = (0..<40).map { "customer-\($0)" } + ["", "21", "foobar"]
      for key in keys where !key.isEmpty { try producer.send(to: "t", "v", key: key) }
      try producer.finish(keys.count - 1)
      let consumer = try consumer(broker)
      try consumer.assign(
        Dictionary(uniqueKeysWithValues: (0..<8).map { (TopicPartition(topic: "t", partition: $0), .beginning) }))
      let received = try consumer.read(keys.count - 1)
      #expect(received.count == keys.count - 1)
      for message in received {
        let key = try #require(message.key)
        #expect(message.partition == Int32((murmur2(Array(key.utf8)) & 0x7FFF_FFFF) % 8), "\(key)")
      }
    }
  }

  @Test func startsWhereToldAndGoesBack() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 2)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for index in 0..<20 { try producer.send(to: "t", "\(index)", partition: Int32(index % 2)) }
      try producer.finish(20)
      let even = TopicPartition(topic: "t", partition: 0)
      let odd = TopicPartition(topic: "t", partition: 1)
      let consumer = try consumer(broker)
      try consumer.assign([even: .at(7), odd: .end])
      #expect(try consumer.read(3).map(\.value) == ["14", "16", "18"])
      #expect(consumer.position(of: even) == 10)
      #expect(consumer.lagRecords(of: even) == 0)
      #expect(try consumer.watermarks(of: [even, odd])[even] == Watermarks(low: 0, high: 10))
      try consumer.assign([even: .at(9), odd: .at(8)])
      #expect(Set(try consumer.read(3).map(\.value)) == ["18", "17", "19"])
      #expect(consumer.assignment == [even, odd])
    }
  }

  @Test func endsAreReported() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 3)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for index in 0..<30 { try producer.send(to: "t", "\(index)", partition: Int32(index % 2)) }
      try producer.finish(30)
      let partitions = (0..<3).map { TopicPartition(topic: "t", partition: $0) }
      let consumer = try consumer(broker)
      try consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .beginning) }))
      var ends: [TopicPartition: Int64] = [:]
      var batch = MessageBatch(messagesMax: 7)
      let received = try consumer.read(into: &batch, until: { _ in ends.count == 3 }) { event in
        if case .reachedEnd(let partition, let offset) = event { ends[partition] = offset }
      }
      #expect(received.count == 30)
      #expect(partitions.map { ends[$0] } == [15, 15, 0])
    }
  }

  @Test func aStartOutOfRangeFailsThatPartitionOnly() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 2)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      try producer.send(to: "t", "kept", partition: 1)
      try producer.finish(1)
      let consumer = try consumer(broker)
      let lost = TopicPartition(topic: "t", partition: 0)
      try consumer.assign([lost: .at(1_000), TopicPartition(topic: "t", partition: 1): .at(0)])
      var failures: [TopicPartition: KafkaError] = [:]
      var batch = MessageBatch()
      let received = try consumer.read(into: &batch, until: { !failures.isEmpty && !$0.isEmpty }) { event in
        if case .failed(let partition, let error) = event { failures[partition] = error as? KafkaError }
      }
      #expect(received.map(\.value) == ["kept"])
      #expect(failures[lost]?.code == .offsetOutOfRange)
      #expect(failures.count == 1)
    }
  }

  @Test func pausedPartitionsStopAndGoOn() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 2)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for index in 0..<2_000 { try producer.send(to: "t", "\(index)", partition: Int32(index % 2)) }
      try producer.finish(2_000)
      let partitions = (0..<2).map { TopicPartition(topic: "t", partition: $0) }
      let consumer = try consumer(broker)
      try consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .beginning) }))
      var batch = MessageBatch(messagesMax: 100)
      var received = try consumer.read(into: &batch, until: { $0.count >= 300 })
      // Whatever was fetched ahead is dropped by the pause and must come again, once.
      try consumer.pause(partitions)
      #expect(consumer.isPaused(partitions[0]))
      for _ in 0..<5 {
        _ = try consumer.poll(into: &batch, timeout: .milliseconds(20))
        #expect(batch.isEmpty)
      }
      try consumer.resume(partitions)
      let before = received.count
      received += try consumer.read(into: &batch, until: { before + $0.count >= 2_000 })
      for partition in partitions {
        #expect(received.filter { $0.partition == partition.partition }.map(\.offset) == Array(0..<1_000))
      }
    }
  }

  @Test func tenMegabytesArrive() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 1)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      // The dev broker keeps 5 MiB, compressed.
      let value = [UInt8](repeating: 0x78, count: 10_000_000)
      try producer.send(to: "t", key: nil, value: value.span)
      try producer.finish(1)
      try producer.send(to: "t", "after")
      try producer.finish(2)
      let consumer = try consumer(broker)
      let partition = TopicPartition(topic: "t", partition: 0)
      let low = try #require(try consumer.watermarks(of: [partition])[partition]).low
      try consumer.assign([TopicPartition(topic: "t", partition: 0): .at(low)])
      let received = try consumer.read(Int(2 - low))
      #expect(received.last?.value == "after")
      #expect(low == 0)
      #expect(received.first?.valueCount == 10_000_000)
    }
  }

  @Test func aBatchTakesWhatFitsAndOneLargeMessage() async throws {
    try await onThread {
      let broker = try TestBroker()
      try broker.createTopic(named: "t", partitions: 1)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      for count in [10, 50_000, 20, 30] { try producer.send(to: "t", String(repeating: "x", count: count)) }
      try producer.finish(4)
      let consumer = try consumer(broker)
      try consumer.assign([TopicPartition(topic: "t", partition: 0): .beginning])
      var batch = MessageBatch(messagesMax: 10, bytesMax: 1_000)
      var sizes: [[Int]] = []
      let end = ContinuousClock.now + .seconds(60)
      while sizes.joined().count < 4, ContinuousClock.now < end {
        _ = try consumer.poll(into: &batch, timeout: .milliseconds(100))
        if !batch.isEmpty { sizes.append(batch.received.map(\.valueCount)) }
      }
      #expect(Array(sizes.joined()) == [10, 50_000, 20, 30])
      // No batch takes more once it holds 1,000 bytes.
      for batch in sizes { #expect(batch.dropLast().reduce(0, +) < 1_000) }
    }
  }
}

/// Kafka's murmur2 written out plainly.
private func murmur2(_ data: [UInt8]) -> UInt32 {
  let m: UInt32 = 0x5bd1_e995
  var h: UInt32 = 0x9747_b28c ^ UInt32(data.count)
  var index = 0
  while index + 4 <= data.count {
    var k =
      UInt32(data[index]) | UInt32(data[index + 1]) << 8 | UInt32(data[index + 2]) << 16
      | UInt32(data[index + 3]) << 24
    k = k &* m
    k ^= k >> 24
    k = k &* m
    h = (h &* m) ^ k
    index += 4
  }
  for (shift, byte) in data[index...].enumerated() { h ^= UInt32(byte) << UInt32(8 * shift) }
  if index < data.count { h = h &* m }
  h ^= h >> 13
  h = h &* m
  return h ^ (h >> 15)
}

import FraudCore
import FraudKafka
import Testing

@Suite struct FaultTests {
  @Test func failedDeliveriesAreCountedWithTheirReasons() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "t", partitions: 1)
      var configuration = ProducerConfiguration(connection: connection(broker))
      configuration.linger = .zero
      let producer = try KafkaProducer(configuration)
      try producer.send(to: "t", "good")
      #expect(try producer.flush(timeout: .seconds(60)) == 0)
      // MSG_SIZE_TOO_LARGE is final.
      broker.pushErrors([10], request: 0)
      try producer.send(to: "t", "bad")
      #expect(try producer.flush(timeout: .seconds(60)) == 0)
      #expect(producer.report.delivered == 1)
      #expect(producer.report.failed == 1)
      let failure = try #require(producer.report.failures.first)
      #expect(failure.code == .delivery)
      #expect(failure.partition == TopicPartition(topic: "t", partition: 0))
      #expect(failure.message.contains("too large"), "\(failure)")
    }
  }

  @Test func passingErrorsAreRetried() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "t", partitions: 1)
      let producer = try KafkaProducer(ProducerConfiguration(connection: connection(broker)))
      // NOT_LEADER_FOR_PARTITION, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS
      broker.pushErrors([6, 7, 19], request: 0)
      for index in 0..<100 { try producer.send(to: "t", "\(index)") }
      try producer.finish(100)
      let consumer = try consumer(broker)
      try consumer.assign([TopicPartition(topic: "t", partition: 0): .beginning])
      #expect(try consumer.read(100).map(\.value) == (0..<100).map { "\($0)" })
    }
  }

  @Test func aFullQueueWaitsAndThenSaysSo() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "t", partitions: 1)
      var configuration = ProducerConfiguration(connection: connection(broker))
      configuration.connection.properties["queue.buffering.max.messages"] = "10"
      let producer = try KafkaProducer(configuration)
      for index in 0..<100 { try producer.send(to: "t", "\(index)") }
      try producer.finish(100)
      broker.setDown(true)
      let error = try #require(throws: KafkaError.self) {
        for _ in 0..<11 {
          try producer.send(to: "t", key: nil, value: [UInt8]("x".utf8).span, timeout: .milliseconds(200))
        }
      }
      #expect(error.code == .queueFull || error.code == .unavailable)
      producer.discard()
      #expect(try producer.flush(timeout: .seconds(60)) == 0)
      #expect(producer.report.failed == 10)
    }
  }

  @Test func brokersThatAreAwayAreAnErrorInBoundedTime() async throws {
    try await onThread {
      let connection = KafkaConnection(brokers: "127.0.0.1:1", requestTimeout: .seconds(1))
      let start = ContinuousClock.now
      let error = try #require(throws: KafkaError.self) { _ = try KafkaAdmin(connection).topics() }
      #expect(error.code == .unavailable)
      #expect(error.message.contains("127.0.0.1:1"), "\(error)")
      #expect(start.duration(to: .now) < .seconds(10))
      let consumer = try KafkaConsumer(ConsumerConfiguration(connection: connection, group: "g"))
      let refused = try #require(throws: KafkaError.self) { try consumer.subscribe(to: ["t"]) }
      #expect(refused.code == .unavailable)
      var batch = MessageBatch()
      let end = ContinuousClock.now + .seconds(60)
      while consumer.unreachableDuration() == nil, ContinuousClock.now < end {
        _ = try consumer.poll(into: &batch, timeout: .milliseconds(50))
      }
      #expect(consumer.unreachableDuration() != nil)
      consumer.close()
    }
  }

  @Test func messagesAreGivenUpInTimeAndABrokerThatIsBackIsNoticed() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "t", partitions: 1)
      var configuration = ProducerConfiguration(connection: connection(broker))
      configuration.deliveryTimeout = .seconds(3)
      let producer = try KafkaProducer(configuration)
      try producer.send(to: "t", "delivered")
      try producer.finish(1)
      #expect(producer.unreachableDuration() == nil)
      // Known to the consumer before, so that it asks the partition's leader.
      let consumer = try consumer(broker)
      let partition = TopicPartition(topic: "t", partition: 0)
      #expect(try consumer.watermarks(of: [partition])[partition] == Watermarks(low: 0, high: 1))
      broker.setDown(true)
      let refused = try #require(throws: KafkaError.self) { try consumer.watermarks(of: [partition]) }
      #expect(refused.code == .unavailable || refused.code == .timedOut, "\(refused)")
      for index in 0..<10 { try producer.send(to: "t", "\(index)") }
      let admin = try KafkaAdmin(KafkaConnection(brokers: broker.bootstrapServers, requestTimeout: .milliseconds(500)))
      #expect(throws: KafkaError.self) { try admin.watermarks(of: [TopicPartition(topic: "t", partition: 0)]) }
      #expect(try producer.flush(timeout: .seconds(60)) == 0)
      #expect(producer.report.delivered == 1)
      #expect(producer.report.failed == 10)
      #expect(producer.unreachableDuration() != nil)
      broker.setDown(false)
      let end = ContinuousClock.now + .seconds(60)
      while producer.unreachableDuration() != nil, ContinuousClock.now < end {}
      #expect(producer.unreachableDuration() == nil)
      try producer.send(to: "t", "again")
      #expect(try producer.flush(timeout: .seconds(60)) == 0)
      #expect(producer.report.delivered == 2, "\(producer.report.failures)")
    }
  }

  @Test func topicsAreFoundAndSuggested() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "transactions", partitions: 3)
      try broker.createTopic(named: "logins", partitions: 1)
      #expect(throws: KafkaError.self) { try broker.createTopic(named: "logins", partitions: 1) }
      let admin = try KafkaAdmin(connection(broker))
      #expect(try admin.topics().map(\.name) == ["logins", "transactions"])
      #expect(try admin.topic(named: "transactions").partitionCount == 3)
      let error = try #require(throws: KafkaError.self) { try admin.topic(named: "transactoins") }
      #expect(error.code == .unknownTopic)
      #expect(error.message == "topic 'transactoins' does not exist, did you mean 'transactions'?")
      #expect(DevBroker.isDevBroker(clusterID: admin.clusterID()))
      let partitions = try admin.topic(named: "transactions").partitions
      #expect(
        try admin.watermarks(of: partitions)
          == Dictionary(uniqueKeysWithValues: partitions.map { ($0, Watermarks(low: 0, high: 0)) }))
      // Asking did not create it.
      #expect(try admin.topics().map(\.name) == ["logins", "transactions"])
    }
  }

  @Test func transactionsCommitAndAbort() async throws {
    try await onThread {
      let broker = try DevBroker()
      try broker.createTopic(named: "out", partitions: 1)
      let configuration = ProducerConfiguration(connection: connection(broker), transactionalID: "relay")
      let old = try KafkaProducer(configuration)
      try old.initializeTransactions()
      try old.beginTransaction()
      try old.send(to: "out", "a")
      try old.commitTransaction()
      #expect(old.report.delivered == 1)
      try old.beginTransaction()
      try old.send(to: "out", "b")
      try old.abortTransaction()
      // What a broker answers to EndTxn when a second producer of the same name has come: PRODUCER_FENCED.
      broker.pushErrors([90], request: 26)
      try old.beginTransaction()
      try old.send(to: "out", "c")
      let error = try #require(throws: KafkaError.self) { try old.commitTransaction() }
      #expect(error.code == .fenced, "\(error)")
      #expect(!error.isRetriable && !error.requiresAbort)
      // The new one goes on.
      let new = try KafkaProducer(configuration)
      try new.initializeTransactions()
      try new.beginTransaction()
      try new.send(to: "out", "d")
      // CONCURRENT_TRANSACTIONS passes by itself.
      broker.pushErrors([51, 51], request: 26)
      try new.commitTransaction()
      #expect(new.report.delivered == 1)
    }
  }
}

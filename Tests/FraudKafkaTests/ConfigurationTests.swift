import FraudKafka
import Testing

@Suite struct ConfigurationTests {
  @Test func secretsAreNeverShown() {
    let connection = KafkaConnection(
      brokers: "b:9092",
      properties: [
        "sasl.password": "hunter2", "sasl.username": "ann", "ssl.key.pem": "hunter2", "SSL.KEY.PASSWORD": "hunter2",
      ])
    var dumped = ""
    dump(ConsumerConfiguration(connection: connection, group: "g"), to: &dumped)
    for text in [
      "\(connection)", String(reflecting: connection), dumped, "\(ProducerConfiguration(connection: connection))",
    ] {
      #expect(!text.contains("hunter2"), "\(text)")
    }
    #expect("\(connection)".contains("sasl.username=ann"))
  }

  @Test func everyRefusedPropertyIsNamed() throws {
    let connection = KafkaConnection(
      brokers: " ,",
      properties: ["sesion.timeout.ms": "1", "enable.auto.commit": "true", "acks": "many", "ssl.ca.location": "/tmp"])
    let error = try #require(throws: KafkaError.self) { try connection.validate() }
    #expect(error.code == .configuration)
    for part in ["sesion.timeout.ms", "enable.auto.commit", "acks", "no brokers"] {
      #expect(error.message.contains(part), "\(error.message)")
    }
    #expect(throws: KafkaError.self) {
      try ConsumerConfiguration(connection: KafkaConnection(brokers: "b:1"), group: "").validate()
    }
  }

  @Test func combinationsThatLibrdkafkaRefusesAreErrors() throws {
    let connection = KafkaConnection(brokers: "127.0.0.1:1", properties: ["max.in.flight": "100"])
    let error = try #require(throws: KafkaError.self) {
      _ = try KafkaProducer(ProducerConfiguration(connection: connection))
    }
    #expect(error.code == .configuration)
  }

  @Test func propertiesOverrideDefaults() throws {
    let connection = KafkaConnection(
      brokers: "b:9092", properties: ["session.timeout.ms": "10000", "isolation.level": "read_uncommitted"])
    try ConsumerConfiguration(connection: connection, group: "g").validate()
    try ProducerConfiguration(connection: connection, transactionalID: "t").validate()
  }
}

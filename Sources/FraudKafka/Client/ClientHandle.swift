import CRdkafka
import Synchronization

/// Owns an `rd_kafka_t` and the context that its callbacks write to; destroys the client first.
@safe struct ClientHandle: ~Copyable {
  let raw: OpaquePointer
  let context: ClientContext

  init(
    _ kind: rd_kafka_type_t, configuration: consuming ClientConfiguration, context: ClientContext
  ) throws(KafkaError) {
    context.install(in: configuration)
    let taken = unsafe configuration.release()
    let (created, text) = unsafe withErrorText { unsafe rd_kafka_new(kind, taken, $0, $1) }
    guard let client = unsafe created else {
      // librdkafka takes the configuration only where it succeeds.
      unsafe rd_kafka_conf_destroy(taken)
      throw KafkaError(code: .configuration, message: "Kafka configuration: \(text)")
    }
    self.context = context
    unsafe raw = client
  }

  /// The error after which this client must be made anew, if there is one.
  func checkFatal() throws(KafkaError) {
    if let error = context.state.withLock({ $0.fatalError }) { throw error }
  }

  deinit {
    unsafe rd_kafka_destroy(raw)
    context.writeLog()
  }
}

import CRdkafka

/// Codes of versions of librdkafka after 2.0: a partition's log ends before the offset, and a broker's connection has been
/// given up.
private let truncatedLog = rd_kafka_resp_err_t(rawValue: -139)
private let destroyedBroker = rd_kafka_resp_err_t(rawValue: -137)

/// The one place where librdkafka's codes become ours.
func kafkaError(_ raw: rd_kafka_resp_err_t, _ context: String, detail: String? = nil) -> KafkaError {
  let code: KafkaError.Code =
    switch raw {
    case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
      RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, destroyedBroker:
      .unavailable
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      .unknownTopic
    case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
      RD_KAFKA_RESP_ERR__SSL:
      .notAuthorized
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, truncatedLog:
      .offsetOutOfRange
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
      .queueFull
    case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      .fenced
    case RD_KAFKA_RESP_ERR__FATAL:
      .fatal
    case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      .timedOut
    case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR__CONFLICT:
      .configuration
    default:
      .other
    }
  let text = unsafe detail ?? String(cString: rd_kafka_err2str(raw))
  return KafkaError(code: code, message: "\(context): \(text)", raw: raw.rawValue)
}

/// Turns the error object of a transactional call into ours and frees it.
func kafkaError(taking error: OpaquePointer, _ context: String) -> KafkaError {
  defer { unsafe rd_kafka_error_destroy(error) }
  var result = unsafe kafkaError(
    rd_kafka_error_code(error), context, detail: String(cString: rd_kafka_error_string(error)))
  result.isRetriable = unsafe rd_kafka_error_is_retriable(error) != 0
  result.requiresAbort = unsafe rd_kafka_error_txn_requires_abort(error) != 0
  if unsafe rd_kafka_error_is_fatal(error) != 0, result.code != .fenced { result.code = .fatal }
  return result
}

/// Calls a function of librdkafka that explains its failure in a text buffer.
func withErrorText<R>(_ body: (UnsafeMutablePointer<CChar>?, Int) -> R) -> (result: R, text: String) {
  unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
    unsafe buffer.initialize(repeating: 0)
    let result = unsafe body(buffer.baseAddress, buffer.count)
    return unsafe (result, buffer.baseAddress.map { unsafe String(cString: $0) } ?? "")
  }
}

extension Duration {
  /// Whole milliseconds for a C call, rounded up, at least 0 and at most about 24 days.
  var milliseconds: Int32 {
    guard self > .zero else { return 0 }
    let (seconds, attoseconds) = components
    guard seconds < Int64(Int32.max) / 1_000 - 1 else { return .max }
    return Int32(seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}

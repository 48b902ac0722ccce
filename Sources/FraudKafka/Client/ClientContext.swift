import CRdkafka
import FraudCore
import Logging
import Synchronization

/// What librdkafka's callbacks leave behind for a client's owner.
///
/// Log and error callbacks run on librdkafka's threads, delivery reports and rebalances on the thread that polls. Each
/// appends to a bounded buffer under the lock and returns; the owner takes the buffers when it polls. librdkafka holds
/// an unretained pointer to the context, so the ``ClientHandle`` that owns both destroys the client first.
final class ClientContext: Sendable {
  struct LogLine: Sendable {
    var level: Int32
    var text: String
  }

  enum Rebalance: Sendable {
    case assigned([TopicPartition])
    case revoked([TopicPartition])
    case lost([TopicPartition])
  }

  struct State: Sendable {
    var logLines: [LogLine] = []
    var droppedLogLines = 0
    /// The last thing a broker connection complained about.
    var lastError: String?
    /// When librdkafka said that no broker at all can be reached, unless one has answered since.
    var unreachableSince: ContinuousClock.Instant?
    /// The error after which the client is of no more use.
    var fatalError: KafkaError?
    var rebalances: [Rebalance] = []
    /// Rebalances are answered in the callback once the consumer is closing.
    var isClosing = false
    var deliveries = DeliveryReport()
  }

  static let logLinesMax = 100

  let state = Mutex(State())
  let logger: Logger
  /// The least severe of librdkafka's levels that is worth a warning: a client whose every failure is thrown at its
  /// caller needs none.
  let warningLevel: Int32

  /// - Parameter isQuiet: whether failing connections are logged for debugging only, since the caller hears of them.
  init(label: String, isQuiet: Bool = false) {
    logger = Logger(label: label)
    warningLevel = isQuiet ? 3 : 4
  }

  /// The context of a client, for callbacks that are handed the client only.
  static func of(_ client: OpaquePointer?) -> ClientContext? {
    guard let client = unsafe client, let opaque = unsafe rd_kafka_opaque(client) else { return nil }
    return unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
  }

  /// Installs the callbacks that every client has. The caller keeps the context alive as long as the client.
  func install(in configuration: borrowing ClientConfiguration) {
    unsafe rd_kafka_conf_set_opaque(configuration.raw, Unmanaged.passUnretained(self).toOpaque())
    unsafe rd_kafka_conf_set_log_cb(configuration.raw) { client, level, facility, text in
      guard let context = unsafe ClientContext.of(client), let text = unsafe text else { return }
      let name = unsafe facility.map { unsafe String(cString: $0) } ?? ""
      let message = unsafe String(cString: text)
      let line = LogLine(level: ClientContext.level(of: name) ?? level, text: "\(name): \(message)")
      context.state.withLock {
        // The error callback says so too, but only once somebody polls.
        if name == "FAIL" { $0.lastError = ClientContext.essence(of: message) }
        if $0.logLines.count < ClientContext.logLinesMax {
          $0.logLines.append(line)
        } else {
          $0.droppedLogLines += 1
        }
      }
    }
    unsafe rd_kafka_conf_set_error_cb(configuration.raw) { client, code, reason, _ in
      guard let context = unsafe ClientContext.of(client) else { return }
      let text = unsafe reason.map { unsafe String(cString: $0) }
      let error = kafkaError(rd_kafka_resp_err_t(code), "Kafka", detail: text)
      context.state.withLock {
        if error.code == .fatal {
          $0.fatalError = unsafe ClientContext.fatalError(of: client) ?? error
        } else if error.raw == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue {
          $0.unreachableSince = $0.unreachableSince ?? .now
        } else {
          $0.lastError = text
          if error.code == .notAuthorized { $0.fatalError = error }
        }
      }
    }
  }

  /// What a line says between the name of the thread that it begins with and the timing that it ends with.
  private static func essence(of message: String) -> String {
    var essence = message[...]
    if essence.hasPrefix("[thrd:"), let end = essence.firstRange(of: "]: ") { essence = essence[end.upperBound...] }
    if let end = essence.firstRange(of: " (after ") { essence = essence[..<end.lowerBound] }
    return String(essence)
  }

  /// librdkafka's level for a kind of line, where it is wrong for us: properties of the other kind of client in one
  /// dictionary are no mistake, topics are asked for by list so that none is created, messages given up at the end are the
  /// caller's decision, and connections that fail are
  /// tried again.
  private static func level(of facility: String) -> Int32? {
    switch facility {
    case "CONFWARN", "AUTOCREATE", "TERMINATE": 7
    case "FAIL", "ERROR": 4
    default: nil
    }
  }

  private static func fatalError(of client: OpaquePointer?) -> KafkaError? {
    guard let client = unsafe client else { return nil }
    let (code, text) = unsafe withErrorText { unsafe rd_kafka_fatal_error(client, $0, $1) }
    guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
    var error = kafkaError(code, "Kafka", detail: text)
    if error.code != .fenced { error.code = .fatal }
    return error
  }

  /// Passes on the log lines that have come in. Call it on the owner's thread.
  func writeLog() {
    let (lines, dropped) = state.withLock { state in
      defer {
        state.logLines = []
        state.droppedLogLines = 0
      }
      return (state.logLines, state.droppedLogLines)
    }
    for line in lines {
      let level: Logger.Level =
        switch line.level {
        case ...3: .error
        case ...warningLevel: .warning
        case 4: .debug
        case 5: .notice
        case 6: .info
        default: .debug
        }
      logger.log(level: level, "\(line.text)")
    }
    if dropped > 0 { logger.warning("\(dropped) more lines of librdkafka were dropped") }
  }

  /// A broker has answered.
  func noteAnswer() {
    state.withLock { $0.unreachableSince = nil }
  }

  /// Explains a timeout by what the brokers' connections last complained about.
  func explained(_ error: KafkaError) -> KafkaError {
    guard error.code == .timedOut || error.code == .unavailable else { return error }
    guard let reason = state.withLock({ $0.lastError }) else { return error }
    var explained = error
    explained.code = .unavailable
    explained.message += " (\(reason))"
    return explained
  }
}

public import FraudCore

/// What went wrong with Kafka.
public struct KafkaError: Error, Sendable, CustomStringConvertible {
  /// What a caller can branch on.
  public struct Code: Sendable, Hashable {
    private enum Value {
      case configuration, unavailable, unknownTopic, notAuthorized, offsetOutOfRange, queueFull, delivery, fenced
      case fatal, timedOut, other
    }
    private let value: Value
    /// A property that librdkafka refuses, or one that contradicts another.
    public static let configuration = Code(value: .configuration)
    /// No broker answers.
    public static let unavailable = Code(value: .unavailable)
    /// The topic or partition does not exist.
    public static let unknownTopic = Code(value: .unknownTopic)
    /// The broker refuses the credentials, or they may not do this.
    public static let notAuthorized = Code(value: .notAuthorized)
    /// The partition no longer holds the wanted offset, or never did.
    public static let offsetOutOfRange = Code(value: .offsetOutOfRange)
    /// The producer's queue stayed full for as long as it was told to wait.
    public static let queueFull = Code(value: .queueFull)
    /// A message was not delivered.
    public static let delivery = Code(value: .delivery)
    /// A newer producer or group member has taken this one's place.
    public static let fenced = Code(value: .fenced)
    /// The client cannot go on and must be made anew.
    public static let fatal = Code(value: .fatal)
    /// The broker did not answer in time.
    public static let timedOut = Code(value: .timedOut)
    /// Anything else; ``KafkaError/raw`` says what.
    public static let other = Code(value: .other)
  }

  /// What a caller can branch on.
  public var code: Code
  /// For people.
  public var message: String
  /// librdkafka's own code, 0 where there is none.
  public var raw: Int32
  /// Where it happened, if in one partition.
  public var partition: TopicPartition?
  /// Of a transactional call: the same call with the same arguments may be made again.
  public var isRetriable = false
  /// Of a transactional call: the transaction must be aborted and its input read again.
  public var requiresAbort = false

  /// Makes an error.
  public init(code: Code, message: String, raw: Int32 = 0, partition: TopicPartition? = nil) {
    self.code = code
    self.message = message
    self.raw = raw
    self.partition = partition
  }

  /// The message, after the partition if there is one.
  public var description: String {
    partition.map { "\($0): \(message)" } ?? message
  }
}

/// What went wrong with Kafka.
public struct KafkaError: Error, Sendable, CustomStringConvertible {
  /// What a caller can branch on.
  public struct Code: Sendable, Hashable {
    private enum Value { case configuration, unavailable, unknownTopic, delivery, fatal, timedOut, other }
    private let value: Value
    /// A property that librdkafka refuses, or one that contradicts another.
    public static let configuration = Code(value: .configuration)
    /// No broker answers.
    public static let unavailable = Code(value: .unavailable)
    /// The topic does not exist.
    public static let unknownTopic = Code(value: .unknownTopic)
    /// A message was not delivered.
    public static let delivery = Code(value: .delivery)
    /// The client cannot go on and must be made anew.
    public static let fatal = Code(value: .fatal)
    /// The broker did not answer in time.
    public static let timedOut = Code(value: .timedOut)
    /// Anything else; ``KafkaError/raw`` says what.
    public static let other = Code(value: .other)
  }

  public var code: Code
  /// For people.
  public var message: String
  /// librdkafka's own code, 0 where there is none.
  public var raw: Int32

  /// Makes an error.
  public init(code: Code, message: String, raw: Int32 = 0) {
    self.code = code
    self.message = message
    self.raw = raw
  }

  public var description: String { message }
}

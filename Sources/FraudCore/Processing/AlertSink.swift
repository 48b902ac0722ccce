/// Where committed alerts go besides the store: a topic, a queue, a webhook of one's own.
///
/// A relay hands over batches of alerts that are committed already, one at a time, and forgets a batch when the sink says
/// that it has it. A sink that remembers the last batch together with its alerts, in one transaction, gets each alert
/// exactly once; any other gets it at least once, with an `alert_id` to tell copies by. A sink is used from one thread.
public protocol AlertSink: ~Copyable {
  /// Becomes the only one that writes, where the sink can do that, and says which batch it took last.
  ///
  /// - Returns: nil where it cannot tell, or none was taken yet.
  mutating func lastBatch() throws -> UniqueID?

  /// Takes a batch as a whole. After an error the relay starts again with ``lastBatch()``.
  mutating func deliver(_ alerts: [OutgoingAlert], batch: UniqueID) throws
}

/// An alert on its way to a sink.
public struct OutgoingAlert: Sendable, Hashable {
  /// The alert's id.
  public var alertID: UniqueID
  /// The topic, or whatever the sink makes of the pipeline's `alerts_topic`.
  public var target: String
  /// The text of the event's key.
  public var key: [UInt8]?
  /// The alert as the JSON object of the contract.
  public var payload: [UInt8]

  /// Describes an alert.
  public init(alertID: UniqueID, target: String, key: [UInt8]?, payload: [UInt8]) {
    self.alertID = alertID
    self.target = target
    self.key = key
    self.payload = payload
  }
}

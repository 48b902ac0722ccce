/// Why an event could not be accepted. The raw value is what outputs and tables say.
public enum RejectionReason: String, Sendable, Hashable, CaseIterable {
  /// Some byte is not part of well-formed UTF-8.
  case notUTF8 = "not_utf8"
  /// The text does not follow the grammar of RFC 8259.
  case badJSON = "bad_json"
  /// The text is JSON, but not an object.
  case notObject = "not_object"
  /// Objects and arrays are nested deeper than ``Limits/jsonDepth``.
  case tooDeep = "too_deep"
  /// The event is longer than ``Limits/eventBytes``.
  case tooLarge = "too_large"
  /// A declared field stands twice.
  case duplicateKey = "duplicate_key"
  /// A required field is absent or null.
  case missingField = "missing_field"
  /// A value is not of its field's type.
  case wrongType = "wrong_type"
  /// A number does not fit its field's type.
  case numberRange = "number_range"
  /// A text is not a date and time.
  case badTimestamp = "bad_timestamp"
  /// A value violates its field's `min`, `max` or `one_of`.
  case constraintViolation = "constraint_violation"
  /// A line does not follow RFC 4180, or has not as many cells as the header.
  case badCSV = "bad_csv"
  /// The message has no payload.
  case tombstone
  /// The event made a worker process crash.
  case crashedWorker = "crashed_worker"
}

/// An event that was not accepted, with its place and what is wrong with it.
public struct RejectedEvent: Error, Sendable, Hashable {
  /// The reason by name.
  public var reason: RejectionReason
  /// For people: what stands where. Values of sensitive fields are not in it.
  public var detail: String
  /// The declared field that is at fault, where there is one.
  public var field: String?
  /// Where the event was, and its bytes in the batch it was decoded from.
  public var position: EventPosition

  /// Makes a rejected event.
  public init(reason: RejectionReason, detail: String, field: String? = nil, position: EventPosition) {
    self.reason = reason
    self.detail = detail
    self.field = field
    self.position = position
  }

  /// An event that nobody survived.
  init(crashedWorkerAt position: EventPosition) {
    self.init(
      reason: .crashedWorker, detail: "the process crashed each time it evaluated this event", position: position)
  }
}

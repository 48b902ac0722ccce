/// What decoding remembers between events and between batches: one per worker, never shared.
///
/// After the first batches nothing in it grows any more, so decoding allocates nothing but rejected events.
package struct DecoderState {
  /// What was rejected by the last call, in the events' order.
  package internal(set) var rejected: [RejectedEvent] = []
  /// Members that no field is declared for, in the events that the last call accepted.
  package internal(set) var unknownFields = 0
  /// The lines of a block that are still to be decoded.
  var lines = LineCursor()
  var order = KeyOrder()
  var work: DecoderWork

  package init(_ decoder: EventDecoder) {
    work = DecoderWork(fieldCount: decoder.plans.count)
  }
}

/// The part of the state that changes with every event.
struct DecoderWork {
  /// Text that had to be unescaped or stands in for a missing value; it goes behind the messages.
  var text: [UInt8] = []
  /// Where `text` will start in the batch's bytes.
  var textStart = 0
  /// A key or a value that had to be unescaped to be looked at, with 32 bytes of padding.
  var scratch: [UInt8] = []
  var day = TimestampText.Day()
  /// What is wrong with the current event.
  var failure: DecodingFailure?
  /// Unknown members of the current event.
  var unknown = 0
  /// The event in which each field was last seen, by a running number.
  var seen: [UInt64]
  var event: UInt64 = 0
  /// The word of each field's default text in this batch, 0 before it is needed.
  var defaults: [UInt64]

  init(fieldCount: Int) {
    seen = [UInt64](repeating: 0, count: fieldCount)
    defaults = [UInt64](repeating: 0, count: fieldCount)
  }

  /// Starts a batch whose messages end at `textStart`.
  mutating func begin(textStart: Int) {
    text.removeAll(keepingCapacity: true)
    self.textStart = textStart
    for field in defaults.indices { defaults[field] = 0 }
  }

  /// Keeps the first thing that is wrong.
  mutating func fail(_ reason: RejectionReason, field: Int = -1, _ range: Range<Int>) {
    if failure == nil {
      failure = DecodingFailure(reason: reason, field: field, start: range.lowerBound, end: range.upperBound)
    }
  }

  /// Overrides whatever is wrong: an event that is not JSON is nothing else.
  mutating func failSyntax(_ position: Int) {
    failure = DecodingFailure(reason: .badJSON, field: -1, start: position, end: position)
  }
}

/// What is wrong with an event, before it is put in words.
struct DecodingFailure {
  var reason: RejectionReason
  /// The field at fault, or -1.
  var field: Int
  /// The bytes at fault.
  var start: Int
  var end: Int
}

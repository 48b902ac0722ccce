/// What is wrong with a rejected event, in words.
extension EventDecoder {
  func describe(_ failure: DecodingFailure?, _ bytes: Span<UInt8>, _ position: EventPosition) -> RejectedEvent {
    let range = position.start..<(position.start + max(0, position.count))
    guard let failure else {
      return RejectedEvent(reason: .badJSON, detail: "the event cannot be read", position: position)
    }
    let field = failure.field >= 0 ? plans[failure.field].field : nil
    let name = field?.name ?? ""
    let place = failure.start - range.lowerBound
    let detail: String
    switch failure.reason {
    case .notUTF8: detail = "byte \(place) is not part of UTF-8 text"
    case .badJSON: detail = JSON.surprise(bytes, at: failure.start, range)
    case .notObject: detail = "the event is \(kind(bytes, failure)), not an object"
    case .tooDeep: detail = "objects and arrays are nested deeper than \(Limits.jsonDepth) levels at byte \(place)"
    case .tooLarge: detail = "the event has \(position.count) bytes, more than \(Limits.eventBytes)"
    case .duplicateKey: detail = "'\(name)' stands twice, again at byte \(place)"
    case .missingField:
      detail = failure.start == failure.end ? "'\(name)' is missing" : "'\(name)' is null, but must have a value"
    case .wrongType:
      detail = "'\(name)' must be \(article(field?.type)), not \(kind(bytes, failure))\(shown(bytes, failure, field))"
    case .numberRange:
      detail = "'\(name)' does not fit \(article(field?.type))\(shown(bytes, failure, field))"
    case .badTimestamp: detail = "'\(name)' is not an ISO 8601 date and time\(shown(bytes, failure, field))"
    case .constraintViolation:
      detail = "'\(name)' must be \(plans[failure.field].bound)\(shown(bytes, failure, field))"
    case .badCSV, .crashedWorker: detail = failure.reason.rawValue
    case .tombstone: detail = "the message has no payload"
    }
    return RejectedEvent(reason: failure.reason, detail: detail, field: field?.name, position: position)
  }

  func article(_ type: FieldType?) -> String {
    switch type {
    case .integer?: "an integer"
    case .timestamp?: "a timestamp"
    case .float?: "a float"
    case .boolean?: "a boolean"
    case .string?, nil: "a string"
    }
  }

  /// What kind of JSON value the fault lies in.
  private func kind(_ bytes: Span<UInt8>, _ failure: DecodingFailure) -> String {
    // A string's range is what stands between its quotes.
    if failure.start > 0 && bytes[failure.start - 1] == UInt8(ascii: "\"") { return "a string" }
    switch bytes[failure.start] {
    case UInt8(ascii: "{"): return "an object"
    case UInt8(ascii: "["): return "an array"
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return "a boolean"
    case UInt8(ascii: "n"): return "null"
    case UInt8(ascii: "\""): return "a string"
    default: return "a number"
    }
  }

  /// The value at fault, shortened; nothing where the field is sensitive.
  func shown(_ bytes: Span<UInt8>, _ failure: DecodingFailure, _ field: Field?) -> String {
    guard field?.sensitive == nil, failure.start < failure.end else { return "" }
    var text: [UInt8] = []
    JSONText.append(bytes, failure.start..<min(failure.end, failure.start + 80), to: &text)
    return ": " + String(decoding: text, as: UTF8.self) + (failure.end - failure.start > 80 ? "..." : "")
  }
}

extension RejectedEvent {
  /// Appends the event as one line of JSON: `{"reason","detail","field","topic","partition","offset","line","payload"}`.
  ///
  /// - Parameters:
  ///   - payload: the event's bytes, masked already; `nil` for a message without payload.
  ///   - length: of the whole event, and `sha256` its digest, where the payload is only its head.
  package func append(
    payload: [UInt8]?, length: Int? = nil, sha256: [UInt8]? = nil, from source: EventSource, to text: inout [UInt8]
  ) {
    func key(_ name: StaticString) {
      text.append(UInt8(ascii: ","))
      text.append(UInt8(ascii: "\""))
      text.append(contentsOf: "\(name)".utf8)
      text.append(contentsOf: "\":".utf8)
    }
    text.append(contentsOf: "{\"reason\":".utf8)
    JSONText.append(string: reason.rawValue, to: &text)
    key("detail")
    JSONText.append(string: detail, to: &text)
    key("field")
    if let field { JSONText.append(string: field, to: &text) } else { JSONText.appendNull(to: &text) }
    key("topic")
    JSONText.append(string: source.topic, to: &text)
    key("partition")
    JSONText.append(Int64(source.partition), to: &text)
    key("offset")
    JSONText.append(position.offset, to: &text)
    key("line")
    if position.line > 0 { JSONText.append(position.line, to: &text) } else { JSONText.appendNull(to: &text) }
    if let payload {
      if firstInvalidUTF8(payload.span, 0..<payload.count) == payload.count {
        key("payload")
        JSONText.append(string: payload.span, to: &text)
      } else {
        key("payload_base64")
        JSONText.append(base64: payload.span, to: &text)
      }
    } else {
      key("payload")
      JSONText.appendNull(to: &text)
    }
    if let length {
      key("payload_length")
      JSONText.append(Int64(length), to: &text)
    }
    if let sha256 {
      key("payload_sha256")
      JSONText.append(string: hexadecimal(sha256), to: &text)
    }
    text.append(contentsOf: "}\n".utf8)
  }
}

extension JSONText {
  /// A quoted string of the bytes in base64 (RFC 4648, with padding).
  package static func append(base64 bytes: Span<UInt8>, to text: inout [UInt8]) {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    text.append(UInt8(ascii: "\""))
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      var group: UInt32 = 0
      for index in 0..<3 { group = group << 8 | (index < count ? UInt32(bytes[start + index]) : 0) }
      for digit in 0..<4 {
        text.append(digit <= count ? alphabet[Int(group >> UInt32(18 - 6 * digit) & 63)] : UInt8(ascii: "="))
      }
    }
    text.append(UInt8(ascii: "\""))
  }
}

internal import FraudCore

extension ParquetValue {
  /// Appends the value as JSON: instants as text of RFC 3339, bytes as hexadecimal digits, exact numbers in full.
  package func appendJSON(to text: inout [UInt8]) {
    switch self {
    case .null: JSONText.appendNull(to: &text)
    case .boolean(let value): JSONText.append(value, to: &text)
    case .integer(let value): JSONText.append(value, to: &text)
    case .float(let value): JSONText.append(value, to: &text)
    case .timestamp(let value): JSONText.append(timestamp: value, to: &text)
    case .text(let value): JSONText.append(string: value, to: &text)
    case .unsigned, .decimal: text.append(contentsOf: plainText.utf8)
    case .date, .time, .bytes: JSONText.append(string: plainText, to: &text)
    }
  }

  /// The value as text for CSV and tables; empty where there is none.
  package var plainText: String {
    switch self {
    case .null: return ""
    case .boolean(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .unsigned(let value): return String(value)
    case .float(let value): return value.description
    case .timestamp(let value):
      var text: [UInt8] = []
      return TimestampText.append(value, to: &text) ? String(decoding: text, as: UTF8.self) : String(value)
    case .date(let days):
      guard let days = Int(exactly: days), abs(days) < 1 << 30 else { return String(days) }
      let (year, month, day) = TimestampText.date(days: days)
      return "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
    case .time(let microseconds):
      let seconds = Int(microseconds / 1_000_000)
      return "\(Self.padded(seconds / 3_600, 2)):\(Self.padded(seconds / 60 % 60, 2)):\(Self.padded(seconds % 60, 2))"
        + ".\(Self.padded(Int(microseconds % 1_000_000), 6))"
    case .decimal(let unscaled, let scale):
      let digits = String(unscaled.magnitude)
      let whole = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
      let sign = unscaled < 0 ? "-" : ""
      return scale == 0 ? sign + whole : "\(sign)\(whole.dropLast(scale)).\(whole.suffix(scale))"
    case .text(let value): return value
    case .bytes(let value): return hexadecimal(value)
    }
  }

  private static func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}

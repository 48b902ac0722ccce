/// The offsets from UTC that zone names in texts stand for.
///
/// `Z`, `UTC`, `GMT`, `+01:00`, `GMT+1` and the like need nothing. For names such as `Europe/Berlin` or `CET` a lookup gives the
/// rules; without one those names are invalid texts.
public struct TimeZones: Sendable {
  private let rules: @Sendable (String) -> TimeZoneRules?

  /// Offsets only.
  public static let offsetsOnly = TimeZones { _ in nil }

  /// Zones whose rules the lookup knows.
  ///
  /// - Parameter rules: gives the rules of a name of the tz database, always the same for one name, or `nil`. It is called
  ///   for each text with a zone name, from any thread, so it should keep what it has read.
  public init(rules: @escaping @Sendable (_ name: String) -> TimeZoneRules?) {
    self.rules = rules
  }

  /// What a zone's name stands for.
  package enum Zone {
    case offset(seconds: Int64)
    case rules(TimeZoneRules)

    /// The offset from UTC in seconds at a local time in seconds since 1970.
    package func offset(atLocal seconds: Int64) -> Int64 {
      switch self {
      case .offset(let offset): offset
      case .rules(let rules): rules.offset(atLocal: seconds)
      }
    }
  }

  /// The zone of a name as `java.time.ZoneId.of` with its short names takes it, plus `±h:mm` and `±hh:m`.
  package func zone(named name: [UInt8]) -> Zone? {
    guard let first = name.first else { return nil }
    if name.count == 1 { return first == UInt8(ascii: "Z") ? .offset(seconds: 0) : nil }
    if first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
      return Self.offset(name[...]).map { .offset(seconds: $0) }
    }
    for prefix in ["UTC", "GMT", "UT"] where name.starts(with: prefix.utf8) {
      let rest = name.dropFirst(prefix.utf8.count)
      guard let sign = rest.first else { return .offset(seconds: 0) }
      if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        return Self.offset(rest).map { .offset(seconds: $0) }
      }
    }
    guard name.count <= 64, name.allSatisfy({ $0 < 128 }) else { return nil }
    var text = String(decoding: name, as: UTF8.self)
    if let short = Self.shortNames[text] {
      if short.hasPrefix("-") { return Self.offset(Array(short.utf8)[...]).map { .offset(seconds: $0) } }
      text = short
    }
    return rules(text).map { .rules($0) }
  }

  /// `±h`, `±hh`, `±h:m`, `±hh:mm`, `±hhmm`, `±hh:mm:ss`, `±hhmmss`, at most 18 hours.
  private static func offset(_ text: ArraySlice<UInt8>) -> Int64? {
    let negative = text.first == UInt8(ascii: "-")
    let parts = text.dropFirst().split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0 >= 48 && $0 <= 57 } })
    else { return nil }
    var fields: [Int64]
    func number(_ digits: ArraySlice<UInt8>) -> Int64 { digits.reduce(0) { $0 * 10 + Int64($1 - 48) } }
    if parts.count == 1 {
      let digits = parts[0]
      switch digits.count {
      case 1, 2: fields = [number(digits), 0, 0]
      case 4: fields = [number(digits.prefix(2)), number(digits.suffix(2)), 0]
      case 6: fields = [number(digits.prefix(2)), number(digits.dropFirst(2).prefix(2)), number(digits.suffix(2))]
      default: return nil
      }
    } else {
      guard parts.allSatisfy({ $0.count <= 2 }) else { return nil }
      // One-digit minutes are allowed last; `±h:mm:ss` is.
      guard parts[1].count == 2 || parts.count == 2, parts.count < 3 || parts[2].count == 2 else { return nil }
      fields = parts.map(number) + [0]
    }
    guard fields[1] <= 59, fields[2] <= 59 else { return nil }
    let seconds = fields[0] * 3_600 + fields[1] * 60 + fields[2]
    guard seconds <= 18 * 3_600 else { return nil }
    return negative ? -seconds : seconds
  }

  /// `ZoneId.SHORT_IDS`.
  private static let shortNames: [String: String] = [
    "ACT": "Australia/Darwin", "AET": "Australia/Sydney", "AGT": "America/Argentina/Buenos_Aires",
    "ART": "Africa/Cairo", "AST": "America/Anchorage", "BET": "America/Sao_Paulo", "BST": "Asia/Dhaka",
    "CAT": "Africa/Harare", "CNT": "America/St_Johns", "CST": "America/Chicago", "CTT": "Asia/Shanghai",
    "EAT": "Africa/Addis_Ababa", "ECT": "Europe/Paris", "IET": "America/Indiana/Indianapolis", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "MIT": "Pacific/Apia", "NET": "Asia/Yerevan", "NST": "Pacific/Auckland",
    "PLT": "Asia/Karachi", "PNT": "America/Phoenix", "PRT": "America/Puerto_Rico", "PST": "America/Los_Angeles",
    "SST": "Pacific/Guadalcanal", "VST": "Asia/Ho_Chi_Minh", "EST": "-05:00", "MST": "-07:00", "HST": "-10:00",
  ]
}

import Foundation
import FraudCore
import Synchronization

extension TimeZones {
  /// The tz database of this machine, each zone read when it is first named.
  static let system: TimeZones = {
    let known = Mutex<[String: TimeZoneRules?]>([:])
    return TimeZones { name in
      known.withLock { known in
        if let rules = known[name] { return rules }
        let rules = readZone(name)
        known[name] = .some(rules)
        return rules
      }
    }
  }()
}

/// Reads a zone by its name in the tz database, which is its path below the folder of compiled zones.
private func readZone(_ name: String) -> TimeZoneRules? {
  let isName = name.utf8.allSatisfy { byte in
    byte &- 48 < 10 || (byte | 0x20) &- 97 < 26
      || [UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "/")].contains(byte)
  }
  let first = name.split(separator: "/").first.map(String.init) ?? ""
  guard isName, !name.hasPrefix("/"), !["posix", "right", "posixrules", "localtime", "Factory"].contains(first) else {
    return nil
  }
  guard let data = FileManager.default.contents(atPath: "/usr/share/zoneinfo/" + name) else { return nil }
  return try? TimeZoneRules(tzif: [UInt8](data))
}

import Foundation
import FraudCore
import FraudStore
import Synchronization

/// Rules of named time zones from the system's tz database, each read once.
let systemTimeZones: TimeZones = {
  let cache = Mutex<[String: TimeZoneRules?]>([:])
  return TimeZones { name in
    cache.withLock { known in
      if let rules = known[name] { return rules }
      // Names are words, digits, '_', '-', '+' and '/', so none leads out of the folder.
      let isName = name.utf8.allSatisfy { $0 == 0x2B || $0 == 0x2D || $0 == 0x2F || $0 == 0x5F || isAlphanumeric($0) }
      // Beside the zones the folder holds copies with other rules, and files that are no zones.
      let isZone = !["posix", "right", "posixrules", "localtime", "Factory"].contains(
        name.split(separator: "/").first.map(String.init) ?? "")
      let file = "/usr/share/zoneinfo/\(name)"
      let rules =
        isName && isZone
        ? FileManager.default.contents(atPath: file).flatMap { try? TimeZoneRules(tzif: Array($0)) } : nil
      known[name] = .some(rules)
      return rules
    }
  }
}()

private func isAlphanumeric(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}

/// A pipeline that was compiled, with what its lists hold.
struct LoadedPipeline {
  var pipeline: Pipeline
  var lists: [String: ListValues]

  /// Reads and compiles a definition and the lists beside it.
  init(file: String, overlays: [String] = []) throws {
    try self.init(
      readDefinition(file, overlays: overlays),
      folder: URL(fileURLWithPath: file).deletingLastPathComponent().path)
  }

  /// Compiles a definition; its lists' files are relative to `folder`.
  init(_ definition: DefinitionValue, folder: String) throws {
    pipeline = try Pipeline(definition, zones: systemTimeZones)
    lists = [:]
    for (index, list) in pipeline.definition.lists.enumerated() {
      guard let file = list.file else { continue }
      let path = file.hasPrefix("/") ? file : folder + "/" + file
      guard let data = FileManager.default.contents(atPath: path) else {
        throw Failure.invalid("lists[\(index)].file: cannot read \(path)")
      }
      guard let text = String(validating: data, as: UTF8.self) else {
        throw Failure.invalid("lists[\(index)].file: \(path) is not UTF-8")
      }
      let values = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        .filter { !$0.isEmpty }
      if list.type == .integer, let line = values.firstIndex(where: { Int64($0) == nil }) {
        throw Failure.invalid("lists[\(index)].file: \(path): '\(values[line])' is no integer")
      }
      lists[list.name] = list.contents(values)
    }
  }
}

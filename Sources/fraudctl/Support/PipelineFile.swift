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

extension PipelineVersion {
  /// Compiles a version as the database keeps it, with its control where it is in force for a share of the keys.
  init(_ stored: StoredPipeline) throws {
    let definition = try DefinitionValue(json: Array(stored.definition.utf8))
    if let control = stored.control {
      let other = try DefinitionValue(json: Array(control.definition.utf8))
      try self.init(definition, number: stored.version, beside: (other, control.version), zones: systemTimeZones)
    } else {
      let loaded = try LoadedPipeline(definition, folder: ".")
      self.init(loaded.pipeline, number: stored.version, lists: loaded.lists)
    }
  }
}

/// A pipeline that was compiled, with what its lists hold.
struct LoadedPipeline {
  var pipeline: Pipeline
  var lists: [String: ListValues] = [:]
  /// The definition with the content of its lists' files in their place: what the database keeps, so that a version is
  /// whole, and a list that changes makes a new one.
  private var complete: DefinitionValue

  /// Reads and compiles a definition and the lists beside it.
  init(file: String, overlays: [String] = []) throws {
    try self.init(
      readDefinition(file, overlays: overlays),
      folder: URL(fileURLWithPath: file).deletingLastPathComponent().path)
  }

  /// Compiles a definition; its lists' files are relative to `folder`.
  ///
  /// - Throws: ``DefinitionError`` with every mistake, those of the lists' files included.
  init(_ definition: DefinitionValue, folder: String) throws {
    var problems: [DefinitionProblem] = []
    var definition = definition
    Self.readTables(of: &definition, folder: folder, problems: &problems)
    complete = definition
    let files = Self.readLists(of: &complete, folder: folder, problems: &problems)
    let compiled: Pipeline
    do {
      compiled = try Pipeline(definition, zones: systemTimeZones)
    } catch {
      throw DefinitionError(problems: error.problems + problems)
    }
    guard problems.isEmpty else { throw DefinitionError(problems: problems) }
    pipeline = compiled
    for (list, values) in zip(compiled.definition.lists, files) {
      if let values { lists[list.name] = list.contents(values) }
    }
  }

  /// Says of a file with `share` that it has no control here, so that it decides every event.
  func sayThatItIsForEveryKey() {
    guard let share = pipeline.definition.share else { return }
    Terminal.standardError.message(
      "\(pipeline.definition.name): `share` of \(shareText(share)) counts where the version is applied; here there is no"
        + " control, and it decides the events of every key")
  }

  /// The definition as the database keeps it.
  func stored() throws -> PipelineDefinition {
    let definition = try PipelineDefinition(complete)
    let bytes = complete.canonicalJSON.utf8.count
    guard bytes <= Limits.definitionBytes else {
      throw Failure.invalid(
        "the definition has \(byteCount(Int64(bytes))) with its lists, more than \(byteCount(Int64(Limits.definitionBytes)))"
      )
    }
    return definition
  }

  /// Reads the files of lists and puts their values in their place.
  ///
  /// - Returns: the values of each list, `nil` where it has no file.
  private static func readLists(
    of definition: inout DefinitionValue, folder: String, problems: inout [DefinitionProblem]
  ) -> [[String]?] {
    guard case .object(var members) = definition.content,
      let place = members.firstIndex(where: { $0.key == "lists" }),
      case .array(var elements) = members[place].value.content
    else { return [] }
    var found: [[String]?] = []
    for index in elements.indices {
      found.append(nil)
      guard case .object(var keys) = elements[index].content, let key = keys.firstIndex(where: { $0.key == "file" }),
        !keys.contains(where: { $0.key == "values" }), case .string(let file) = keys[key].value.content
      else { continue }
      let type = keys.first { $0.key == "type" }?.value.content
      do {
        let values = try readList(
          file.hasPrefix("/") ? file : folder + "/" + file, isInteger: type == .string("integer"))
        keys[key].key = "values"
        keys[key].value.content = .array(values.map { DefinitionValue(.string($0)) })
        elements[index].content = .object(keys)
        found[index] = values
      } catch {
        let value = keys[key].value
        problems.append(
          DefinitionProblem(
            path: "lists[\(index)].file", message: error.message, line: value.line, column: value.column))
      }
    }
    members[place].value.content = .array(elements)
    definition.content = .object(members)
    return found
  }

  /// Reads the files of tables and puts their values in their place.
  private static func readTables(
    of definition: inout DefinitionValue, folder: String, problems: inout [DefinitionProblem]
  ) {
    guard case .object(var members) = definition.content,
      let place = members.firstIndex(where: { $0.key == "tables" }),
      case .array(var elements) = members[place].value.content
    else { return }
    for index in elements.indices {
      guard case .object(var keys) = elements[index].content, let key = keys.firstIndex(where: { $0.key == "file" }),
        !keys.contains(where: { $0.key == "values" }), case .string(let file) = keys[key].value.content
      else { continue }
      do {
        keys[key].value.content = .object(try readTable(file.hasPrefix("/") ? file : folder + "/" + file))
        keys[key].key = "values"
        elements[index].content = .object(keys)
      } catch {
        let value = keys[key].value
        problems.append(
          DefinitionProblem(
            path: "tables[\(index)].file", message: error.message, line: value.line, column: value.column))
      }
    }
    members[place].value.content = .array(elements)
    definition.content = .object(members)
  }

  /// `key,value` a line, without the space around either; values are numbers where all of them are, else texts. A key may
  /// hold commas, a value may not.
  private static func readTable(_ path: String) throws(Failure) -> [DefinitionValue.Member] {
    var entries: [(key: String, value: String)] = []
    for line in try readList(path, isInteger: false) {
      guard let comma = line.lastIndex(of: ",") else { throw Failure.invalid("\(path): '\(line)' is no key,value") }
      entries.append(
        (
          line[..<comma].trimmingCharacters(in: .whitespaces),
          line[line.index(after: comma)...].trimmingCharacters(in: .whitespaces)
        ))
    }
    guard !entries.isEmpty else { throw Failure.invalid("\(path) is empty") }
    let isNumeric = entries.allSatisfy { entry in
      if case .number? = try? DefinitionValue(json: Array(entry.value.utf8)).content { true } else { false }
    }
    return entries.map { entry in
      DefinitionValue.Member(
        key: entry.key, value: DefinitionValue(isNumeric ? .number(entry.value) : .string(entry.value)))
    }
  }

  /// One value a line, without the space around it; blank lines count for nothing.
  private static func readList(_ path: String, isInteger: Bool) throws(Failure) -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else { throw Failure.invalid("cannot read \(path)") }
    guard let text = String(validating: data, as: UTF8.self) else { throw Failure.invalid("\(path) is not UTF-8") }
    let values = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
    if isInteger, let bad = values.first(where: { Int64($0) == nil }) {
      throw Failure.invalid("\(path): '\(bad)' is no integer")
    }
    return values
  }
}

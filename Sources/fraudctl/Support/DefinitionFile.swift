import Foundation
import FraudCore
import Yams

/// Reads a definition from a YAML or JSON file; later files of `overlays` win key by key.
///
/// - Throws: ``Failure`` where a file cannot be read, ``DefinitionError`` where its text is not YAML or JSON.
func readDefinition(_ path: String, overlays: [String] = []) throws -> DefinitionValue {
  var value = try readDefinitionFile(path)
  for overlay in overlays { value = merged(value, with: try readDefinitionFile(overlay)) }
  return value
}

private func readDefinitionFile(_ path: String) throws -> DefinitionValue {
  let bytes: [UInt8]
  do {
    bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
  } catch {
    throw Failure.invalid("cannot read \(path): \(explain(error))")
  }
  if path.hasSuffix(".json") { return try DefinitionValue(json: bytes) }
  return try definition(yaml: bytes)
}

/// Reads YAML text into the tree that JSON is read into.
func definition(yaml bytes: [UInt8]) throws(DefinitionError) -> DefinitionValue {
  func failure(_ message: String, line: Int = 0, column: Int = 0) -> DefinitionError {
    DefinitionError(problems: [DefinitionProblem(path: "", message: message, line: line, column: column)])
  }
  guard bytes.count <= Limits.definitionBytes else {
    throw failure("a definition has at most \(Limits.definitionBytes) bytes")
  }
  guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("the text is not UTF-8") }
  let root: Node?
  do {
    root = try compose(yaml: text)
  } catch let error as YamlError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      throw failure("not YAML: \(problem)", line: mark.line, column: mark.column)
    default:
      throw failure("not YAML: \(error)")
    }
  } catch {
    throw failure("not YAML: \(error)")
  }
  guard let root else { throw failure("the definition is empty") }
  var nodes = 0
  return try value(of: root, depth: 0, nodes: &nodes)
}

/// Converts a YAML node. Aliases are expanded by the parser, so nodes are counted to stop a small file that means a huge one.
private func value(of node: Node, depth: Int, nodes: inout Int) throws(DefinitionError) -> DefinitionValue {
  nodes += 1
  let (line, column) = (node.mark?.line ?? 0, node.mark?.column ?? 0)
  guard depth <= Limits.definitionDepth, nodes <= 1_000_000 else {
    throw DefinitionError(problems: [
      DefinitionProblem(path: "", message: "the definition is nested too deep or too large", line: line, column: column)
    ])
  }
  switch node {
  case .scalar(let scalar):
    return DefinitionValue(content(of: scalar), line: line, column: column)
  case .sequence(let sequence):
    var elements: [DefinitionValue] = []
    for element in sequence { elements.append(try value(of: element, depth: depth + 1, nodes: &nodes)) }
    return DefinitionValue(.array(elements), line: line, column: column)
  case .mapping(let mapping):
    var members: [DefinitionValue.Member] = []
    for (key, child) in mapping {
      members.append(
        DefinitionValue.Member(
          key: key.string ?? "", value: try value(of: child, depth: depth + 1, nodes: &nodes),
          line: key.mark?.line ?? line, column: key.mark?.column ?? column))
    }
    return DefinitionValue(.object(members), line: line, column: column)
  case .alias:
    throw DefinitionError(problems: [
      DefinitionProblem(path: "", message: "an alias without its anchor", line: line, column: column)
    ])
  }
}

/// What a plain scalar means (YAML 1.2's core schema); a quoted one is always text.
private func content(of scalar: Node.Scalar) -> DefinitionValue.Content {
  guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
  switch scalar.string {
  case "", "~", "null", "Null", "NULL": return .null
  case "true", "True", "TRUE": return .boolean(true)
  case "false", "False", "FALSE": return .boolean(false)
  default: return isNumber(scalar.string) ? .number(scalar.string) : .string(scalar.string)
  }
}

/// Whether text is a number as JSON writes it, so that the canonical form can keep it as it is.
private func isNumber(_ text: String) -> Bool {
  guard let first = text.utf8.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first),
    let value = try? DefinitionValue(json: Array(text.utf8)), case .number = value.content
  else { return false }
  return true
}

/// One definition over another: objects key by key, everything else whole.
private func merged(_ base: DefinitionValue, with overlay: DefinitionValue) -> DefinitionValue {
  guard case .object(var members) = base.content, case .object(let overlays) = overlay.content else { return overlay }
  for overlay in overlays {
    if let index = members.firstIndex(where: { $0.key == overlay.key }) {
      members[index].value = merged(members[index].value, with: overlay.value)
    } else {
      members.append(overlay)
    }
  }
  return DefinitionValue(.object(members), line: base.line, column: base.column)
}

/// Why a file operation failed, in the system's words.
func explain(_ error: any Error) -> String {
  if let posix = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError, posix.domain == NSPOSIXErrorDomain {
    return unsafe String(cString: strerror(Int32(posix.code)))
  }
  return error.localizedDescription
}

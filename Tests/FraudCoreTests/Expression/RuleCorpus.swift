import Foundation

@testable import FraudCore

/// Rules over a flat event that Apache Spark 4.3.0 answered: `../shared/rules` beside the checkout where that is there,
/// else the sample under `Cases/rules`.
struct RuleCorpus {
  struct Case: Decodable, Sendable {
    var id: String
    var expr: String
    var group: String
    var result: String
    var tier: String?
    var matches: [Int]?
    var nulls: [Int]?
    var errors: [Int]?
    var also: [String: [Int]]?
  }

  let cases: [Case]
  let schema: Schema
  let rows: [[Value]]

  static let shared = RuleCorpus()

  private init() {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let places = [root.appending(path: "../../../shared/rules"), root.appending(path: "Cases/rules")]
    let environment = ProcessInfo.processInfo.environment["RULES"].map { [URL(filePath: $0)] } ?? []
    var found: URL?
    for place in environment + places
    where FileManager.default.fileExists(atPath: place.appending(path: "cases.public.ndjson").path) {
      found = place
      break
    }
    let folder = found ?? root
    func bytes(_ name: String) -> [UInt8] {
      [UInt8]((try? Data(contentsOf: folder.appending(path: name))) ?? Data())
    }
    let decoder = JSONDecoder()
    cases = bytes("cases.public.ndjson").split(separator: 0x0A).compactMap {
      try? decoder.decode(Case.self, from: Data($0))
    }
    schema = (try? Schema(DefinitionValue(json: bytes("schema.json")))) ?? Schema(fields: [])
    rows = Self.rows(of: bytes("rows.ndjson"), schema)
  }

  private static func rows(of lines: [UInt8], _ schema: Schema) -> [[Value]] {
    let eventDecoder = EventDecoder(schema: schema)
    var state = DecoderState(eventDecoder)
    var batch = EventBatch(layout: ColumnLayout(schema: schema), source: EventSource(topic: "rows"))
    for (offset, line) in lines.split(separator: 0x0A).enumerated() {
      let line = Array(line)
      batch.append(message: line.span, offset: Int64(offset))
    }
    eventDecoder.decode(&batch, &state)
    return (0..<batch.rowCount).map { batch.values(row: $0) }
  }
}

extension EventBatch {
  /// A row's values as an expression sees them.
  func values(row: Int) -> [Value] {
    layout.columns.indices.map { column in
      switch value(column: column, row: row) {
      case nil: .null
      case .string(let text)?: .string(Array(text.utf8))
      case .integer(let value)?, .timestamp(let value)?: .integer(value)
      case .float(let value)?: .double(value)
      case .boolean(let value)?: .boolean(value)
      }
    }
  }
}

/// What a rule made of each row.
enum RowOutcome: String, Sendable {
  case `true`, `false`, null, error
}

extension RuleCorpus.Case {
  /// The outcomes that are right for each row.
  private func right(rows: Int) -> [Set<RowOutcome>] {
    var right = [Set<RowOutcome>](repeating: [.false], count: rows)
    for row in matches ?? [] { right[row] = [.true] }
    for row in nulls ?? [] { right[row] = [.null] }
    for row in errors ?? [] { right[row] = [.error] }
    for (name, extra) in also ?? [:] {
      for row in extra {
        if let outcome = RowOutcome(rawValue: name) { right[row].insert(outcome) }
        if name == "false" { right[row].insert(.null) }
      }
    }
    return right
  }

  /// Why an answer for some rows is wrong, `nil` if it is right. As `check.py` judges.
  func fault(of outcomes: [RowOutcome]?, rows: [Int], of count: Int) -> String? {
    guard let outcomes else {
      if result == "compile_error" || tier == "extended" || errors?.count == count { return nil }
      return "rejected"
    }
    if result == "compile_error" { return "compiled, should be rejected" }
    let right = right(rows: count)
    let wrong = zip(rows, outcomes).filter { !right[$0.0].contains($0.1) }
    guard let (row, outcome) = wrong.first else { return nil }
    return "\(wrong.count) rows differ; row \(row): got \(outcome), Spark \(right[row].map(\.rawValue).sorted())"
  }
}

import Foundation
import Testing

@testable import FraudCore

/// The Fraud Detection Handbook's own features of 200,000 card transactions, recomputed. The data lie in `../shared`.
@Test func recomputesTheHandbooksFeatures() throws {
  guard let transactions = SharedData.lines("data/handbook/transactions.csv.gz"),
    let published = SharedData.lines("data/handbook/features.csv.gz")
  else {
    print("skipped: no ../shared/data/handbook")
    return
  }
  let schema = Schema(fields: [
    Field(name: "TX_DATETIME", type: .timestamp, nullable: false),
    Field(name: "CUSTOMER_ID", type: .integer, nullable: false),
    Field(name: "TERMINAL_ID", type: .integer, nullable: false),
    Field(name: "TX_AMOUNT", type: .float, nullable: false),
    Field(name: "TX_FRAUD", type: .integer, nullable: false),
  ])
  var features: [String] = []
  for days in [1, 7, 30] {
    let customer = #""by": "CUSTOMER_ID", "window": "\#(days)d", "include_current": true"#
    features.append(#"{"name": "CUSTOMER_ID_NB_TX_\#(days)DAY_WINDOW", "function": "count", \#(customer)}"#)
    features.append(
      #"{"name": "CUSTOMER_ID_AVG_AMOUNT_\#(days)DAY_WINDOW", "function": "mean", "of": "TX_AMOUNT", \#(customer)}"#)
  }
  for days in [1, 7, 30] {
    let terminal = #""by": "TERMINAL_ID", "window": "\#(days)d", "delay": "7d""#
    features.append(#"{"name": "TERMINAL_ID_NB_TX_\#(days)DAY_WINDOW", "function": "count", \#(terminal)}"#)
    features.append(
      #"{"name": "TERMINAL_ID_RISK_\#(days)DAY_WINDOW", "function": "mean", "of": "TX_FRAUD", "default": 0, \#(terminal)}"#
    )
  }
  features.append(#"{"name": "TX_DURING_WEEKEND", "expression": "CAST(dayofweek(TX_DATETIME) IN (1, 7) AS BIGINT)"}"#)
  features.append(#"{"name": "TX_DURING_NIGHT", "expression": "CAST(hour(TX_DATETIME) <= 6 AS BIGINT)"}"#)
  let (program, problems) = try compileFeatures(
    "[" + features.joined(separator: ",") + "]", schema: schema, time: EventTimeDefinition(field: "TX_DATETIME"),
    label: "TX_FRAUD")
  try #require(problems.isEmpty)
  var state = FeatureState(program)
  let reversedByTheBook: Set<Int> = [121_453, 121_454, 163_831, 163_832, 174_806, 174_807]
  var wrong: [Int] = []
  var risky = (hits: 0, fraud: 0)
  var start = 1
  while start < transactions.count {
    let end = min(transactions.count, start + Limits.batchRows)
    var batch = EventBatch(layout: program.layout, source: EventSource(topic: "handbook"))
    for line in transactions[start..<end] {
      let row = batch.rowCount
      batch.rowCount += 1
      batch.positions.append(EventPosition(offset: Int64(row), start: 0, count: 0))
      let cells = line.split(separator: UInt8(ascii: ","))
      let time = try #require(parseTimestamp(cells[1]))
      for (column, value) in [
        .timestamp(time), .integer(integer(cells[2])), .integer(integer(cells[3])),
        .float(Double(integer(cells[4].filter { $0 != UInt8(ascii: ".") })) / 100), .integer(integer(cells[5])),
      ].enumerated() as EnumeratedSequence<[FieldValue]> {
        batch.set(value, column: column, row: row)
      }
    }
    state.apply(to: &batch)
    for row in 0..<batch.rowCount {
      let cells = published[start + row].split(separator: UInt8(ascii: ","))
      let isExempt = reversedByTheBook.contains(start + row - 1)
      for feature in 0..<12 where !(isExempt && feature < 6) {
        let word = batch.word(column: 5 + feature, row: row)
        let text = String(decoding: cells[3 + feature], as: UTF8.self)
        let isEqual =
          feature % 2 == 0
          ? Int64(bitPattern: word) == Int64(text)
          : (Double(bitPattern: word) - (Double(text) ?? .nan)).magnitude <= 5.000001e-7
        if !isEqual { wrong.append(start + row - 1) }
      }
      for feature in 0..<2
      where String(decoding: cells[1 + feature], as: UTF8.self) != "\(batch.word(column: 17 + feature, row: row))" {
        wrong.append(start + row - 1)
      }
      if Double(bitPattern: batch.word(column: 14, row: row)) > 0.5 {
        risky.hits += 1
        if batch.word(column: 4, row: row) == 1 { risky.fraud += 1 }
      }
    }
    start = end
  }
  #expect(wrong.isEmpty, "first rows: \(wrong.prefix(5))")
  #expect(transactions.count == 200_001 && risky.hits == 145 && risky.fraud == 139)
}

private func integer(_ digits: some Sequence<UInt8>) -> Int64 {
  digits.reduce(0) { $0 &* 10 &+ Int64($1 &- 48) }
}

/// `2018-04-01T00:00:31Z`.
private func parseTimestamp(_ text: ArraySlice<UInt8>) -> Int64? {
  guard text.count == 20 else { return nil }
  let at = text.startIndex
  func number(_ from: Int, _ count: Int) -> Int64 { integer(text[at + from..<at + from + count]) }
  let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2))
  // Howard Hinnant's days_from_civil.
  let y = month <= 2 ? year - 1 : year
  let era = y / 400
  let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
  let days = era * 146_097 + (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + dayOfYear - 719_468
  return ((days * 24 + number(11, 2)) * 60 + number(14, 2)) * 60_000_000 + number(17, 2) * 1_000_000
}

/// Files that lie beside the checkout and are no part of it.
enum SharedData {
  /// `../shared`, or one level further up for a clone in a folder of clones.
  static var folder: URL? {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    let candidates = [root.deletingLastPathComponent(), root.deletingLastPathComponent().deletingLastPathComponent()]
    return candidates.map { $0.appending(path: "shared") }.first { FileManager.default.fileExists(atPath: $0.path) }
  }

  /// The lines of a gzip file.
  static func lines(_ path: String) -> [ArraySlice<UInt8>]? {
    guard let file = folder?.appending(path: path), FileManager.default.fileExists(atPath: file.path) else {
      return nil
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["gzip", "-dc", file.path]
    let pipe = Pipe()
    process.standardOutput = pipe
    guard (try? process.run()) != nil else { return nil }
    let bytes = [UInt8](pipe.fileHandleForReading.readDataToEndOfFile())
    process.waitUntilExit()
    return bytes.split(separator: UInt8(ascii: "\n"))
  }
}

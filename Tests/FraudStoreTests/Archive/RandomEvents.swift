import TestRandom

@testable import FraudCore

/// Events of random schemas whose columns are as unlike as data are: constant, few values, rising, arbitrary, mostly
/// NULL, with the awkward values of each type.
struct RandomEvents {
  let schema: Schema
  /// Values by row and column; `nil` is NULL.
  let rows: [[FieldValue?]]

  init(seed: UInt64, rowCount: Int) {
    var random = SeededGenerator(seed: seed)
    let fieldCount = Int.random(in: 1...8, using: &random)
    var fields: [Field] = []
    var columns: [[FieldValue?]] = []
    for number in 0..<fieldCount {
      let type = FieldType.allCases[Int.random(in: 0..<5, using: &random)]
      let nullable = Bool.random(using: &random)
      fields.append(Field(name: "f\(number)", type: type, nullable: nullable))
      let nullShare = nullable ? [0, 0.01, 0.5, 0.99, 1][Int.random(in: 0..<5, using: &random)] : 0
      let shape = Int.random(in: 0..<5, using: &random)
      var last: Int64 = Int64.random(in: -1_000_000...1_000_000, using: &random)
      columns.append(
        (0..<rowCount).map { _ in
          if Double.random(in: 0..<1, using: &random) < nullShare { return nil }
          last &+= Int64.random(in: 0...1_000, using: &random)
          return Self.value(type, shape: shape, last: last, &random)
        })
    }
    schema = Schema(fields: fields)
    rows = (0..<rowCount).map { row in columns.map { $0[row] } }
  }

  private static func value(
    _ type: FieldType, shape: Int, last: Int64, _ random: inout SeededGenerator
  ) -> FieldValue {
    let number: Int64
    switch shape {
    case 0: number = 7
    case 1: number = Int64.random(in: 0..<12, using: &random)
    case 2: number = last
    case 3: number = Int64.random(in: -70_000...70_000, using: &random)
    default: number = Int64(bitPattern: random.next())
    }
    switch type {
    case .integer: return .integer(number)
    case .timestamp: return .timestamp(number)
    case .boolean: return .boolean(number & 1 == 1)
    case .float:
      let awkward = [0.0, -0.0, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude]
      if shape == 1, number < 7 { return .float(awkward[Int(number)]) }
      return .float(Double(number) / 100)
    case .string:
      let texts = ["", "a", "Žluťoučký kůň", "日本語", "\u{0}", "é", "\u{10FFFF}", "EUR"]
      switch shape {
      case 1: return .string(texts[Int(number % 8)])
      case 2: return .string(String(repeating: "x\u{7F}", count: Int(last & 127)))
      default: return .string("id-\(number)")
      }
    }
  }

  /// The rows as batches of at most so many rows.
  func batches(of size: Int = Limits.batchRows, topic: String = "t", partition: Int32 = 2) -> [EventBatch] {
    stride(from: 0, to: rows.count, by: size).map { start in
      let end = min(start + size, rows.count)
      var batch = EventBatch(
        layout: ColumnLayout(schema: schema), source: EventSource(topic: topic, partition: partition))
      batch.bytes = []
      for (row, values) in rows[start..<end].enumerated() {
        for (column, value) in values.enumerated() {
          guard let value else { continue }
          batch.validity[column * batch.bitmapStride + row >> 6] |= 1 << UInt64(row & 63)
          let index = column * batch.stride + row
          switch value {
          case .integer(let value), .timestamp(let value): batch.words[index] = UInt64(bitPattern: value)
          case .float(let value): batch.words[index] = value.bitPattern
          case .boolean(let value):
            if value { batch.words[column * batch.stride + row >> 6] |= 1 << UInt64(row & 63) }
          case .string(let value):
            batch.words[index] = TextSlice(offset: batch.bytes.count, count: value.utf8.count).word
            batch.bytes.append(contentsOf: value.utf8)
          }
        }
        let raw = Array("{\"n\":\(start + row)}".utf8)
        batch.positions.append(
          EventPosition(
            offset: Int64(start + row) * 2 + 100, timestamp: (start + row) % 5 == 0 ? nil : Int64(start + row) * 1_000,
            start: batch.bytes.count, count: raw.count))
        batch.bytes.append(contentsOf: raw)
      }
      batch.bytes.append(contentsOf: repeatElement(0, count: EventBatch.padding))
      batch.rowCount = end - start
      return batch
    }
  }
}

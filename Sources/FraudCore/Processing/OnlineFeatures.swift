/// What the features of one key were at its last event, as other services read it.
public struct FeatureRow: Sendable, Hashable {
  /// The key's text.
  public var key: String
  /// Where the event came from.
  public var source: EventSource
  /// Its offset there.
  public var offset: Int64
  /// When it happened, in microseconds since 1970.
  public var eventTime: Int64?
  /// The features by name, as a JSON object.
  public var features: [UInt8]
}

/// Gathers the last features of each key until they are committed.
struct OnlineFeatures {
  private var rows: [String: FeatureRow] = [:]
  private let key: Int
  private let columns: Range<Int>

  /// - Returns: nil where the pipeline does not ask for it.
  init?(_ pipeline: Pipeline) {
    guard pipeline.definition.onlineFeatures,
      let key = pipeline.definition.key.flatMap({ pipeline.layout.index(of: $0) })
    else { return nil }
    self.key = key
    columns = pipeline.layout.fieldCount..<pipeline.layout.columns.count
  }

  mutating func observe(_ batch: EventBatch, _ pipeline: Pipeline) {
    // The last row of each key only, so the texts of the others are never made.
    var last: [String: Int] = [:]
    var text: [UInt8] = []
    for row in 0..<batch.rowCount where batch.isValid(column: key, row: row) {
      text.removeAll(keepingCapacity: true)
      batch.appendKey(column: key, row: row, to: &text)
      last[String(decoding: text, as: UTF8.self)] = row
    }
    for (key, row) in last {
      var features: [UInt8] = [UInt8(ascii: "{")]
      for column in columns {
        if column > columns.lowerBound { features.append(UInt8(ascii: ",")) }
        JSONText.append(string: batch.layout.columns[column].name, to: &features)
        features.append(UInt8(ascii: ":"))
        JSONText.append(column: column, row: row, of: batch, to: &features)
      }
      features.append(UInt8(ascii: "}"))
      rows[key] = FeatureRow(
        key: key, source: batch.source, offset: batch.positions[row].offset,
        eventTime: pipeline.eventTime(row: row, batch: batch), features: features)
    }
  }

  /// The rows in the order of their keys; none remain.
  mutating func take() -> [FeatureRow] {
    defer { rows.removeAll(keepingCapacity: true) }
    return rows.values.sorted { $0.key < $1.key }
  }
}

extension CommitUnit {
  /// Adds rows of one more partition. A key that two partitions have, in a topic that is not partitioned by it, keeps the
  /// row of the later event time, then of the higher partition.
  mutating func add(_ rows: [FeatureRow]) {
    if features.isEmpty {
      features = rows
      return
    }
    var byKey: [String: FeatureRow] = [:]
    for row in features + rows {
      if let known = byKey[row.key], (known.eventTime ?? .min) > (row.eventTime ?? .min) { continue }
      byKey[row.key] = row
    }
    features = byKey.values.sorted { $0.key < $1.key }
  }
}

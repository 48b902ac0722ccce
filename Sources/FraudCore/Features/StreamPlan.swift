/// A stream compiled: how its events are decoded, and which columns they take in a batch that holds the events of all topics.
///
/// In such a merged batch a field of a stream stands in the column of the scored event's field of the same name and type,
/// and the stream's key in that of the pipeline's key; what the scored event does not have gets a column of its own behind
/// all others. So one record a key serves all topics, and the operations of features see rows of one batch, as ever.
package struct StreamPlan: Sendable {
  package let name: String
  package let decoder: EventDecoder
  /// Of its own batches.
  package let layout: ColumnLayout
  package let redaction: Redaction
  /// The column of a merged batch that each field takes.
  let columns: [Int]
  let eventTime: EventTimeDefinition?
  /// Where its events' times stand in its own batches, and in merged ones.
  let ownTimeColumn: Int?
  let eventTimeColumn: Int?
  let deduplication: FeatureProgram.Deduplication?
  /// The label's column in merged batches.
  let label: Int?
  /// The columns that only its own events have.
  let ownColumns: [ColumnDescription]

  /// - Parameters:
  ///   - scored: the columns of the pipeline's own fields.
  ///   - key: the pipeline's key.
  ///   - number: the stream's place, from 1, by which its rows are told.
  ///   - next: the first column of a merged batch that is still free.
  init(_ stream: StreamDefinition, scored: ColumnLayout, key: String?, number: Int, next: Int) {
    let layout = ColumnLayout(schema: stream.schema)
    let keyColumn = key.flatMap { scored.index(of: $0) }
    var columns: [Int] = []
    var own: [ColumnDescription] = []
    for field in stream.schema.fields {
      if field.name == stream.key, let keyColumn {
        columns.append(keyColumn)
      } else if let column = scored.index(of: field.name), scored.columns[column].name == field.name,
        scored.columns[column].type == field.type, column != keyColumn || stream.key == nil
      {
        columns.append(column)
      } else {
        columns.append(next + own.count)
        own.append(
          ColumnDescription(name: "\(stream.name).\(field.name)", type: field.type, nullable: true, origin: .field))
      }
    }
    name = stream.name
    decoder = EventDecoder(schema: stream.schema)
    redaction = Redaction(schema: stream.schema)
    self.layout = layout
    self.columns = columns
    ownColumns = own
    eventTime = stream.eventTime
    let time = stream.eventTime.flatMap { layout.index(of: $0.field) }
    ownTimeColumn = time
    eventTimeColumn = time.map { columns[$0] }
    label = stream.label.flatMap { layout.index(of: $0) }.map { columns[$0] }
    let identity = stream.eventID.flatMap { layout.index(of: $0) }
    deduplication = stream.deduplicate.flatMap { span in
      identity.map { field in
        FeatureProgram.Deduplication(
          column: columns[field], span: span,
          table: FeatureTableLayout(
            keyInputs: [FeatureInput(column: columns[field], type: layout.columns[field].type)], foldSets: [],
            operations: [], width: 2, identity: "seen \(stream.name).\(layout.columns[field].name)",
            sources: [number]))
      }
    }
  }

  /// The field that stands in a column of the scored event.
  func field(inColumn column: Int) -> Int? { columns.firstIndex(of: column) }

  /// When a row of one of its own batches happened; `nil` where neither a field nor the record says so.
  package func time(row: Int, of batch: EventBatch) -> Int64? {
    if let column = ownTimeColumn, batch.isValid(column: column, row: row) {
      return Int64(bitPattern: batch.word(column: column, row: row))
    }
    return batch.positions[row].timestamp
  }
}

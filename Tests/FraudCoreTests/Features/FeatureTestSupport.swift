import Testing

@testable import FraudCore

/// An event of the features' tests.
struct TestEvent {
  var key: Int64?
  var name: String?
  var time: Int64
  var amount: Double?
  var count: Int64
  var flag: Bool?
  var latitude: Double?
  var longitude: Double?
  var text: String?
  var timestamp: Int64?
}

let testSchema = Schema(fields: [
  Field(name: "key", type: .integer), Field(name: "name", type: .string),
  Field(name: "t", type: .timestamp, nullable: false),
  Field(name: "amount", type: .float), Field(name: "count", type: .integer, nullable: false),
  Field(name: "flag", type: .boolean), Field(name: "lat", type: .float), Field(name: "lon", type: .float),
  Field(name: "text", type: .string),
])

/// Compiles features over the tests' schema.
func compileFeatures(
  _ json: String, schema: Schema = testSchema, time: EventTimeDefinition? = nil, key: String? = nil,
  label: String? = nil,
  deduplicate: (field: String, within: Int64)? = nil
) throws -> (FeatureProgram, [String]) {
  var reader = DefinitionReader()
  let node = DefinitionNode(value: try DefinitionValue(json: Array(json.utf8)), path: "features")
  let features = (reader.elements(of: node) ?? []).compactMap { FeatureDefinition($0, reader: &reader) }
  let program = FeatureProgram(
    features, schema: schema, eventTime: time ?? EventTimeDefinition(field: "t"), label: label, key: key,
    deduplicate: deduplicate, reader: &reader
  )
  return (program, reader.problems.map(\.description))
}

/// Makes a batch of events.
func makeBatch(_ events: ArraySlice<TestEvent>, layout: ColumnLayout, capacity: Int? = nil) -> EventBatch {
  var batch = EventBatch(layout: layout, source: EventSource(topic: "test"), capacity: capacity ?? max(1, events.count))
  for event in events {
    let row = batch.rowCount
    batch.rowCount += 1
    batch.positions.append(EventPosition(offset: Int64(row), timestamp: event.timestamp, start: 0, count: 0))
    let values: [FieldValue?] = [
      event.key.map { .integer($0) }, event.name.map { .string($0) }, .timestamp(event.time),
      event.amount.map { .float($0) }, .integer(event.count), event.flag.map { .boolean($0) },
      event.latitude.map { .float($0) }, event.longitude.map { .float($0) }, event.text.map { .string($0) },
    ]
    for (column, value) in values.enumerated() {
      if let value { batch.set(value, column: column, row: row) }
    }
  }
  return batch
}

extension EventBatch {
  /// Sets a field, as decoding would.
  mutating func set(_ value: FieldValue, column: Int, row: Int) {
    let output = FeatureOutput(
      column: column, function: .count, includeCurrent: false, minEvents: 0, parameter: 0,
      type: layout.columns[column].type)
    switch value {
    case .integer(let value), .timestamp(let value): write(UInt64(bitPattern: value), output, row: row)
    case .float(let value): write(value.bitPattern, output, row: row)
    case .boolean(let value): write(value ? 1 : 0, output, row: row)
    case .string(let value): write(keepText(Array(value.utf8)).word, output, row: row)
    }
  }
}

/// Runs events through a state in batches of the given sizes, over and over, and gives the computed columns a row.
func run(
  _ events: [TestEvent], through state: inout FeatureState, batches: [Int]
) -> [[FieldValue?]] {
  var rows: [[FieldValue?]] = []
  var start = 0
  var turn = 0
  while start < events.count {
    let end = min(events.count, start + batches[turn % batches.count])
    var batch = makeBatch(events[start..<end], layout: state.program.layout)
    state.apply(to: &batch)
    for row in 0..<batch.rowCount {
      rows.append((testSchema.fields.count..<batch.layout.columns.count).map { batch.value(column: $0, row: row) })
    }
    state.tables.forEach { $0.keys.checkInvariants() }
    start = end
    turn += 1
  }
  return rows
}

/// Equal, floats within a few units of the last place of the largest number involved.
func agree(_ a: FieldValue?, _ b: FieldValue?, tolerance: Double = 1e-9) -> Bool {
  if case .float(let x)? = a, case .float(let y)? = b {
    return x == y || (x - y).magnitude <= tolerance * max(1, x.magnitude, y.magnitude)
  }
  return a == b
}

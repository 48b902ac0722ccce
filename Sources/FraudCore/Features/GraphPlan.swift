/// A graph of what appears together in events: an entity (a customer) and what links it to others (a device, a card, an
/// address). Nodes are kept by the hash of their value, each with its neighbours and the latest time they met.
///
/// A node is a key of a ``FeatureTable``, so that state is written, restored and bounded like that of other features. A
/// record holds the neighbours that were dropped, and a block: the count of neighbours, then each one's hash and time in
/// the order of the hashes.
struct GraphPlan: Sendable {
  struct Output: Sendable {
    var output: FeatureOutput
    /// How far back links count in microseconds; `nil` counts all.
    var window: Int64?
    /// The largest value.
    var bound: Int
  }

  /// The entity, then its links.
  let inputs: [FeatureInput]
  /// The condition that selects what is folded in, an index of the program's, or −1.
  var condition: Int
  let neighboursMax: Int
  var outputs: [Output]
  var table: FeatureTableLayout

  init(inputs: [FeatureInput], condition: Int, text: String, neighboursMax: Int, columnNames: [String]) {
    self.inputs = inputs
    self.condition = condition
    self.neighboursMax = neighboursMax
    outputs = []
    var operation = FeatureOperation(
      kind: .neighbours, foldSet: 0, inputs: inputs, offset: 2, width: FeatureOperation.width(of: .neighbours),
      outputs: [], identity: "")
    operation.identity = operation.describe(columnNames: columnNames, condition: "\(text) max \(neighboursMax)")
    table = FeatureTableLayout(
      keyInputs: [FeatureInput(column: 0, type: .integer)], foldSets: [], operations: [operation], width: 4,
      identity: "graph \(operation.identity)")
  }

  /// How long a link can matter after it was seen last; `nil` where one counts for ever.
  var reach: Int64? {
    outputs.contains { $0.window == nil } ? nil : outputs.compactMap(\.window).max()
  }

  /// The node of an input's value in a row.
  func node(_ index: Int, row: Int, batch: borrowing EventBatch) -> UInt64 {
    StableHash.hash(batch.hash(inputs[index], row: row), seed: index == 0 ? 1 : UInt64(index + 1))
  }
}

/// Finds the rows of a batch that break what the schema says, where they come from a file whose types are right already:
/// NULL in a field that must have a value, and values outside of `min`, `max` and `one_of`.
package struct SchemaViolations: Sendable {
  private let plans: [FieldPlan]

  /// Takes what a schema demands.
  package init(schema: Schema) {
    plans = schema.fields.map { FieldPlan($0) }
  }

  /// What is wrong with each row, by the first field at fault, in the order of the rows. Their positions are the rows'.
  ///
  /// - Parameter fields: whether a field was read at all.
  package func rows(of batch: EventBatch, fields: (Int) -> Bool) -> [(row: Int, event: RejectedEvent)] {
    var found: [Int: RejectedEvent] = [:]
    for (column, plan) in plans.enumerated() where fields(column) {
      let mustHave = !plan.field.nullable && plan.field.defaultValue == nil
      guard mustHave || plan.isConstrained else { continue }
      for word in 0..<(batch.rowCount + 63) / 64 {
        let left = batch.rowCount - word * 64
        let rows: UInt64 = left >= 64 ? .max : 1 << UInt64(left) - 1
        let valid = batch.validity[column * batch.bitmapStride + word]
        var bad = mustHave ? ~valid & rows : 0
        if plan.isConstrained {
          for row in word * 64..<min(batch.rowCount, word * 64 + 64)
          where valid >> UInt64(row & 63) & 1 == 1 && !accepts(plan, column, row, batch) {
            bad |= 1 << UInt64(row & 63)
          }
        }
        while bad != 0 {
          let row = word * 64 + bad.trailingZeroBitCount
          bad &= bad - 1
          if found[row] == nil { found[row] = event(plan, column, row, batch) }
        }
      }
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private func accepts(_ plan: FieldPlan, _ column: Int, _ row: Int, _ batch: EventBatch) -> Bool {
    switch plan.field.type {
    case .integer, .timestamp: plan.accepts(integer: Int64(bitPattern: batch.word(column: column, row: row)))
    case .float: plan.accepts(float: Double(bitPattern: batch.word(column: column, row: row)))
    case .string:
      plan.accepts(text: batch.bytes.span, TextSlice(word: batch.word(column: column, row: row)).range)
    case .boolean: true
    }
  }

  private func event(_ plan: FieldPlan, _ column: Int, _ row: Int, _ batch: EventBatch) -> RejectedEvent {
    let name = plan.field.name
    guard batch.isValid(column: column, row: row) else {
      return RejectedEvent(
        reason: .missingField, detail: "'\(name)' is null, but must have a value", field: name,
        position: batch.positions[row])
    }
    let shown =
      plan.field.sensitive == nil
      ? batch.value(column: column, row: row).map { ": " + String($0.plainText.prefix(80)) } ?? "" : ""
    return RejectedEvent(
      reason: .constraintViolation, detail: "'\(name)' must be \(plan.bound)\(shown)", field: name,
      position: batch.positions[row])
  }
}

extension DecoderState {
  /// Takes what another reader than the decoder rejected, as if the last call had.
  package mutating func take(rejected events: [RejectedEvent]) {
    rejected = events
    unknownFields = 0
  }
}

// When a window's row is written depends on the events alone, not on how they are divided into batches: before a row that
// finds the watermark beyond another window's end, everything earlier is folded in and the windows are closed.

extension FeatureState {
  /// Folds a batch into the aggregations and collects the rows that became due.
  mutating func aggregate(_ batch: inout EventBatch, lists: [ListValues], before: Int64?) {
    aggregates.removeAll(keepingCapacity: true)
    guard keepsAggregates, !program.aggregations.isEmpty, batch.rowCount > 0 else { return }
    let words = (batch.rowCount + 63) / 64
    let conditions = aggregationConditions(batch, lists: lists, words: words)
    var due: [(row: Int, aggregates: [AggregateRow])] = []
    for (index, plan) in program.aggregations.plans.enumerated() {
      var selection = FeatureTable.PaneSelection(rows: context.onTime, conditions: conditions)
      let rest = batch.rowCount & 63
      if rest != 0 { selection.rows[words - 1] &= (1 << UInt64(rest)) - 1 }
      if let scored = context.sources.first { for word in 0..<words { selection.rows[word] &= scored[word] } }
      if plan.condition >= 0 { for word in 0..<words { selection.rows[word] &= conditions[plan.condition][word] } }
      let table = program.tables.count + index
      var closed = before.map { plan.pane(of: $0) }
      var start = 0
      func fold(_ end: Int) {
        guard end > start else { return }
        tables[table].fold(
          start..<end, plan: plan, selection: selection, closed: closed, context: &context, batch: &batch)
        start = end
      }
      for row in 0...batch.rowCount {
        guard let now = row < batch.rowCount ? watermark(beforeRow: row) : watermark else { continue }
        if let closed, now &- closed < plan.step { continue }
        fold(row)
        let reached = plan.pane(of: now)
        let rows = tables[table].close(plan, after: closed, upTo: reached, horizon: now &- allowedLateness)
        if !rows.isEmpty { due.append((row, rows)) }
        closed = reached
      }
      fold(batch.rowCount)
    }
    // By the event that made them due, then in the order of the definition.
    for (_, rows) in due.enumerated().sorted(by: { ($0.element.row, $0.offset) < ($1.element.row, $1.offset) })
      .map(\.element)
    {
      aggregates += rows
    }
  }

  /// The rows of all windows that are still open, as at the end of a file; what is remembered stays as it is.
  package mutating func closeAggregations() {
    aggregates.removeAll(keepingCapacity: true)
    guard keepsAggregates else { return }
    for (index, plan) in program.aggregations.plans.enumerated() {
      let closed = watermark.map { plan.pane(of: $0) }
      aggregates += tables[program.tables.count + index].close(plan, after: closed, upTo: nil, horizon: .min)
    }
  }

  private var allowedLateness: Int64 {
    program.eventTime?.allowedLateness ?? EventTimeDefinition(field: "").allowedLateness
  }

  private func watermark(beforeRow row: Int) -> Int64? {
    context.horizons[row] == .min / 2 ? nil : context.horizons[row] &+ allowedLateness
  }

  private mutating func aggregationConditions(
    _ batch: borrowing EventBatch, lists: [ListValues], words: Int
  ) -> [[UInt64]] {
    guard let conditions = program.aggregations.conditions else { return [] }
    aggregationEvaluator?.evaluate(batch, lists: lists, into: &aggregationOutcomes)
    return (0..<conditions.count).map { condition in
      (0..<words).map { word in
        let place = condition * aggregationOutcomes.stride + word
        countErrors(aggregationOutcomes.error[place].nonzeroBitCount)
        return aggregationOutcomes.triggered[place]
      }
    }
  }
}

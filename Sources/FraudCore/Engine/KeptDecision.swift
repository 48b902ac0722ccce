/// What was decided about one event, as it is kept beside the archived events.
package struct KeptDecision: Sendable {
  /// The event's declared identity, as the event has it.
  package var eventID: String?
  /// When the event happened, in microseconds since 1970.
  package var eventTime: Int64?
  package var decision: Decision
  package var reasons: [Reason]
  /// The version that decided.
  package var version: Int?
}

extension Engine {
  /// The decisions of the last batch's rows, those where nothing triggered included.
  package func keptDecisions(of batch: EventBatch) -> [KeptDecision] {
    let kept = ownDecisions(of: batch)
    guard let versionArms else { return kept }
    let others = controls[0].ownDecisions(of: batch)
    return kept.indices.map { versionArms.isTreated(row: $0) ? kept[$0] : others[$0] }
  }

  private func ownDecisions(of batch: EventBatch) -> [KeptDecision] {
    var index = 0
    return (0..<batch.rowCount).map { row in
      while index < decisions.rows.count, decisions.rows[index] < row { index += 1 }
      let isDecided = index < decisions.rows.count && decisions.rows[index] == row
      return KeptDecision(
        eventID: pipeline.known.eventID.flatMap { batch.value(column: $0, row: row) }?.plainText,
        eventTime: pipeline.eventTime(row: row, batch: batch),
        decision: isDecided ? decision(at: index) : pipeline.scoring.quiet,
        reasons: isDecided ? reasons(at: index, batch: batch) : [], version: version)
    }
  }
}

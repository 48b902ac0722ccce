extension FeatureState {
  /// What features of another version of the pipeline remember when they go on from here: unchanged ones all of it, new ones
  /// nothing.
  ///
  /// It is what ``apply(_:)`` makes of a ``snapshot()`` of this state, without the detour where a grouping is the same.
  package func carried(to program: FeatureProgram, limits: StateLimits) -> FeatureState {
    var next = FeatureState(program, limits: limits)
    // Of a pipeline without features nothing is kept.
    if program.isEmpty { return next }
    var isSame = true
    for index in next.tables.indices {
      guard let old = tables.first(where: { $0.layout.identity == next.tables[index].layout.identity }) else {
        continue
      }
      if !next.tables[index].take(over: old) { isSame = false }
    }
    if isSame {
      next.restore(
        latestTime: latestTime, counters: (lateCount, futureCount, truncatedCount, errorCount, repeatedCount))
      next.restore(streams: streams)
      return next
    }
    var anew = FeatureState(program, limits: limits)
    do {
      try anew.apply(snapshot())
    } catch {
      preconditionFailure("a state cannot read its own snapshot: \(error)")
    }
    return anew
  }
}

/// Two states that cannot be made one.
public struct FeatureMergeError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The features that stand in the way; none where something else does.
  public let features: [String]
  /// What is wrong, and what would help.
  public let description: String
}

extension FeatureState {
  /// Takes in what another state of the same features remembers, as if one state had seen the events of both.
  ///
  /// For whoever joins partitions, or divides them anew: each new partition starts with the states of those that its keys
  /// come from; keys that it never sees go with time, as ``StateLimits`` says.
  ///
  /// Keys that only one of them remembers go over word for word. Where both remember a key:
  ///
  /// * counts, extremes, first and last values, times, places, sets, sketches, panes and lists of events (windows,
  ///   sessions) are those of one state that saw all events in the order of their times; among events of one instant those
  ///   of this state come first. A list keeps the latest events that the limit allows.
  /// * sums, means, variances and averages by half-life differ from that by rounding alone.
  /// * `ewma` with `alpha`, which depends on the order of events rather than on times, `shared` and `group_size` cannot be
  ///   merged.
  ///
  /// Lateness is then judged by the later of both watermarks.
  ///
  /// - Throws: ``FeatureMergeError`` where the features are not the same, where there are aggregations (their rows are a
  ///   partition's own and are added up by whoever reads them), or where a feature that cannot be merged remembers a key in
  ///   both. Then nothing has changed.
  /// - Complexity: O(n log n) in the keys and events of the other state.
  public mutating func merge(_ other: FeatureState) throws(FeatureMergeError) {
    guard program.identity == other.program.identity else {
      throw FeatureMergeError(features: [], description: "these are states of different features")
    }
    guard program.aggregations.plans.isEmpty else {
      throw FeatureMergeError(
        features: [],
        description:
          "aggregations cannot be merged: read the states with a pipeline that has none, which passes over them")
    }
    // The same tables in the same order, with keys where this state looks for them.
    var rest = FeatureState(program)
    do {
      try rest.apply(other.snapshot())
    } catch {
      preconditionFailure("a state cannot read its own snapshot: \(error)")
    }
    var refused: Set<Int> = []
    for index in tables.indices where tables[index].sharesKeyThatCannotMerge(rest.tables[index]) {
      refused.formUnion(tables[index].layout.operations.filter { !$0.canMerge }.flatMap { $0.outputs.map(\.column) })
      let graph = index - (program.tables.count - program.graphs.count)
      if program.graphs.indices.contains(graph) {
        refused.formUnion(program.graphs[graph].outputs.map(\.output.column))
      }
    }
    guard refused.isEmpty else {
      let names = refused.sorted().map { program.merged.columns[$0].name }
      throw FeatureMergeError(
        features: names,
        description: "both states remember the same keys, and what \(names.joined(separator: ", ")) "
          + "\(names.count == 1 ? "remembers" : "remember") of a key cannot be merged")
    }
    let latest = [latestTime, other.latestTime].compactMap { $0 }.max()
    let time = program.eventTime ?? EventTimeDefinition(field: "")
    let horizon = latest.map { $0 &- (time.watermarkDelay &+ time.allowedLateness) } ?? .min / 2
    for index in tables.indices { tables[index].merge(rest.tables[index], horizon: horizon) }
    for (index, clock) in rest.streams.enumerated() {
      streams[index].latestTime = [streams[index].latestTime, clock.latestTime].compactMap { $0 }.max()
      streams[index].lateCount += clock.lateCount
      streams[index].repeatedCount += clock.repeatedCount
    }
    restore(
      latestTime: latest,
      counters: (
        lateCount + other.lateCount, futureCount + other.futureCount, truncatedCount + other.truncatedCount,
        errorCount + other.errorCount, repeatedCount + other.repeatedCount
      ))
  }
}

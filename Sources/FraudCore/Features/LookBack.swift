extension PipelineDefinition {
  /// How long before an event something may have happened that its features depend on, in microseconds of event time; `nil`
  /// where a feature remembers a key's whole life or a session, so that there is no bound.
  package var lookBack: Int64? {
    var spans: [Int64] = []
    for feature in features where feature.function != nil {
      switch feature.window {
      case .sliding(let length), .tumbling(let length): spans.append(saturating(length, feature.delay))
      case .life, .session: return nil
      }
    }
    // A feature of earlier features reaches back as far as both do.
    let names = Set(features.map(\.name))
    let isChained = features.contains { feature in
      feature.function != nil && (feature.condition != nil || !names.isDisjoint(with: feature.of + feature.by))
    }
    let reach = isChained ? spans.reduce(0, saturating) : spans.max() ?? 0
    let slack = eventTime?.allowedLateness ?? 0
    return (aggregations.map { saturating($0.length, slack) } + [reach, deduplicate ?? 0]).max()
  }
}

private func saturating(_ a: Int64, _ b: Int64) -> Int64 {
  let (sum, overflow) = a.addingReportingOverflow(b)
  return overflow ? .max : sum
}

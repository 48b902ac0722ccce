package import FraudCore

/// Scores files of a pipeline that reads further topics: events of all files meet in the order of their times.
///
/// The order depends on what the files hold and on nothing else, so one thread does it all.
package struct StreamScoring: Sendable {
  private let scoring: FileScoring

  package init(_ pipeline: Pipeline, lists: [String: ListValues] = [:], emission: ScoreEmission = .alerts) {
    scoring = FileScoring(pipeline, lists: lists, emission: emission)
  }

  /// Reads the inputs and writes what the scored events give.
  ///
  /// - Parameters:
  ///   - inputs: the scored events' files, one after the other.
  ///   - streams: each stream's files, in the order of the definition.
  ///   - isStopped: asked before every block; where it says so, what was read is written and the rest left.
  /// - Throws: ``StoreError`` where an input cannot be read, or an output not written.
  /// - Complexity: memory of a block and a batch a topic.
  package func run(
    inputs: [String], streams: [[String]], format: InputFormat? = nil, files: ScoreFiles,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws(StoreError) -> RunSummary {
    let pipeline = scoring.pipeline
    let plans = pipeline.features.streams
    precondition(streams.count == plans.count, "\(plans.count) streams and files of \(streams.count)")
    var topics = [
      DecodedInput(
        BlockSource(inputs: inputs, format: format, schema: pipeline.definition.schema, isStopped: isStopped),
        decoder: pipeline.decoder, layout: pipeline.layout, keepsRejected: files.rejected != nil)
    ]
    for (plan, paths) in zip(plans, streams) {
      let source = BlockSource(inputs: paths, format: nil, schema: plan.decoder.schema, isStopped: isStopped)
      topics.append(
        DecodedInput(source, decoder: plan.decoder, layout: plan.layout, keepsRejected: files.rejected != nil))
    }
    var writer = try ScoreWriter(files)
    var engine = Engine(pipeline, lists: scoring.lists)
    engine.features.keepsAggregates = files.aggregations != nil
    var merge = TopicMerge(pipeline)
    var output = ScoreOutput()
    var alertText = AlertText(pipeline: pipeline, version: nil, source: EventSource(topic: ""))
    var source = EventSource(topic: "")
    func emit(_ engine: inout Engine, _ batch: EventBatch) {
      if batch.source != source {
        source = batch.source
        alertText = AlertText(pipeline: pipeline, version: nil, source: source)
      }
      output.append(engine, batch: batch, emission: scoring.emission, alertText, keepsErrors: files.errors != nil)
    }
    while !writer.isClosed {
      for topic in merge.wanted {
        guard try topics[topic].next() else {
          merge.setEnded(true, topic: topic)
          continue
        }
        engine.count(rejected: topics[topic].rejected, unknownFields: topics[topic].unknownFields, topic: topic)
        output.rejected += topics[topic].rejectedText
        merge.append(topics[topic].batch, topic: topic)
      }
      if merge.isEmpty { break }
      var unit = merge.nextUnit()
      if unit.isEmpty {
        if !merge.wanted.isEmpty { continue }
        unit = merge.nextUnit(waits: false)
      }
      for place in unit { engine.take(place, of: merge, emit: emit) }
      merge.finishUnit()
      try writer.write(output)
      output.removeAll()
    }
    engine.evaluateTaken(emit: emit)
    engine.features.closeAggregations()
    let last = topics[0].last
    for row in engine.features.aggregates { row.append(source: last, to: &output.aggregates) }
    try writer.write(output)
    try writer.finish()
    return engine.summary
  }
}

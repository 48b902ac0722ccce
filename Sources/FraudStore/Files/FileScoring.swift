package import FraudCore

/// What `score` writes for the events it reads.
package enum ScoreEmission: String, Sendable, CaseIterable {
  /// Every alert.
  case alerts
  /// The decision of every event.
  case decisions
  /// Nothing: only the summary counts.
  case none
}

/// Where the results go: paths, or `-` for stdout. What is `nil` is not written.
package struct ScoreFiles: Sendable {
  /// Alerts or decisions.
  package var results: String?
  /// Errors of rules.
  package var errors: String?
  /// Rejected events.
  package var rejected: String?
  /// The rows of aggregations.
  package var aggregations: String?

  package init(results: String?, errors: String? = nil, rejected: String? = nil, aggregations: String? = nil) {
    self.results = results
    self.errors = errors
    self.rejected = rejected
    self.aggregations = aggregations
  }
}

/// Scores files on several threads, with output in the order of the input and the same bytes whatever their number.
///
/// A thread takes the next block of lines, decodes it, learns from its predecessor which record number the block starts
/// with, and evaluates it; then it waits for its turn to write. Where the pipeline has features, evaluating waits for the
/// turn as well, since they see all events in order, and decoding alone runs in parallel. Every thread holds one block and
/// one batch, which is all the memory there is.
package struct FileScoring: Sendable {
  let pipeline: Pipeline
  let lists: [String: ListValues]
  let emission: ScoreEmission

  /// - Parameter lists: what the lists hold that the definition leaves to a file, by name.
  package init(_ pipeline: Pipeline, lists: [String: ListValues] = [:], emission: ScoreEmission = .alerts) {
    self.pipeline = pipeline
    self.lists = lists
    self.emission = emission
  }

  /// Reads the inputs one after the other and writes what their events give.
  ///
  /// - Parameters:
  ///   - inputs: files, or `-` for stdin, as ``InputFiles/expand(_:)`` gives them.
  ///   - format: of all inputs; `nil` goes by their names.
  ///   - isStopped: asked before every block; where it says so, what was read is written and the rest left.
  /// - Returns: what was counted. Less than everything where the reader of the results has gone.
  /// - Throws: ``StoreError`` where an input cannot be read, or an output not written.
  package func run(
    inputs: [String], format: InputFormat? = nil, files: ScoreFiles, threads: Int,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) async throws(StoreError) -> RunSummary {
    let source = BlockSource(inputs: inputs, format: format, schema: pipeline.definition.schema, isStopped: isStopped)
    // Features remember events, so one engine sees all of them in order.
    var ordered = pipeline.features.isEmpty ? nil : Engine(pipeline, lists: lists)
    ordered?.features.keepsAggregates = files.aggregations != nil
    let shared = ScoringThreads(try ScoreWriter(files), pipeline: pipeline, ordered: ordered)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<max(1, threads) {
        group.addTask {
          do throws(StoreError) {
            try await onOwnThread { () throws(StoreError) in
              var worker = ScoringWorker(self, source: source, shared: shared)
              worker.run()
            }
          } catch {
            shared.fail(error)
          }
        }
      }
    }
    return try shared.finish(source.last)
  }
}

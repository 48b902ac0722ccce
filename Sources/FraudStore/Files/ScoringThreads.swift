import Foundation
internal import FraudCore

/// What the threads of one scoring run share: the record numbers of blocks, the turn to write, and the first error.
///
/// `@unchecked Sendable`: everything that changes is touched with the condition's lock held, but the writer and the engine
/// that sees the events in order, which belong to the thread whose turn it is.
final class ScoringThreads: @unchecked Sendable {
  private let condition = NSCondition()
  /// The block whose counts are awaited next, and the events and lines of its input before it.
  private var nextCounted = 0
  private var events: Int64 = 0
  private var lines: Int64 = 0
  /// The block whose turn it is to be written.
  private var nextWritten = 0
  private var failure: StoreError?
  private var isClosed = false
  private var summary: RunSummary

  /// Whether one engine sees all events in their order.
  let isOrdered: Bool
  /// Whether rejected events, or errors of rules, are asked for.
  let keepsRejected: Bool
  let keepsErrors: Bool
  private var writer: ScoreWriter
  private var ordered: Engine?

  init(_ writer: consuming ScoreWriter, pipeline: Pipeline, ordered: Engine?) {
    keepsRejected = writer.keepsRejected
    keepsErrors = writer.keepsErrors
    self.writer = writer
    self.ordered = ordered
    isOrdered = ordered != nil
    summary = RunSummary(pipeline: pipeline)
  }

  /// Tells how many events and lines a block has, and learns how many its input has before it. Waits for the block before.
  ///
  /// - Returns: `nil` where another thread failed.
  func count(_ block: InputBlock, events blockEvents: Int64, lines blockLines: Int64) -> (events: Int64, lines: Int64)?
  {
    condition.lock()
    defer { condition.unlock() }
    while nextCounted != block.number && failure == nil && !isClosed { condition.wait() }
    if failure != nil || isClosed { return nil }
    if block.isFirstOfInput {
      events = 0
      lines = block.linesBefore
    }
    let before = (events, lines)
    events += blockEvents
    lines += blockLines
    nextCounted += 1
    condition.broadcast()
    return before
  }

  /// Waits for a block's turn, lends the writer and the engine that sees all events, and passes the turn on.
  ///
  /// - Returns: whether there is any use in going on.
  func inTurn(_ number: Int, _ body: (inout ScoreWriter, inout Engine?) throws(StoreError) -> Void) -> Bool {
    condition.lock()
    while nextWritten != number && failure == nil && !isClosed { condition.wait() }
    let isOver = failure != nil || isClosed
    condition.unlock()
    if isOver { return false }
    do throws(StoreError) {
      try body(&writer, &ordered)
    } catch {
      fail(error)
      return false
    }
    condition.lock()
    defer { condition.unlock() }
    nextWritten += 1
    isClosed = writer.isClosed
    condition.broadcast()
    return !isClosed
  }

  /// Keeps the first error and lets every thread end.
  func fail(_ error: StoreError) {
    condition.lock()
    defer { condition.unlock() }
    if failure == nil { failure = error }
    condition.broadcast()
  }

  /// Adds what a thread counted.
  func add(_ counts: RunSummary) {
    condition.lock()
    defer { condition.unlock() }
    summary.merge(counts)
  }

  /// What all threads counted, when they have ended.
  ///
  /// - Parameter source: the last input, which the windows that are still open are written for.
  func finish(_ source: EventSource) throws(StoreError) -> RunSummary {
    // Whoever holds this may live as long as the program.
    defer { writer.discard() }
    if let failure { throw failure }
    if var engine = ordered.take() {
      summary.merge(engine.summary)
      engine.features.closeAggregations()
      var output = ScoreOutput()
      for row in engine.features.aggregates { row.append(source: source, to: &output.aggregates) }
      if !output.aggregates.isEmpty { try writer.write(output) }
    }
    try writer.finish()
    return summary
  }
}

import FraudCore

extension PartitionProgress {
  /// A partition of which nothing was committed, after so many owners that went without a word.
  init(untouched source: EventSource, of pipelineID: Int, from startOffset: Int64, crashCount: Int) {
    self.init(
      pipelineID: pipelineID, source: source, epoch: 1, startOffset: startOffset, nextOffset: startOffset, sequence: 0,
      batchID: nil, pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts())
    self.crashCount = crashCount
  }
}

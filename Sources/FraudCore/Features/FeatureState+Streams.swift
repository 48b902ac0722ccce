/// What a state knows of one further topic: how far its event time is, and what of it was not folded in.
package struct StreamClock: Sendable, Hashable {
  package let name: String
  /// The latest event time that moved its watermark, in microseconds; `nil` before its first event.
  package internal(set) var latestTime: Int64?
  /// Events that came later than allowed.
  package internal(set) var lateCount = 0
  /// Events that were seen before.
  package internal(set) var repeatedCount = 0
}

// A batch that holds the events of all topics in their order: the rows of a stream are folded in and nothing else, as if
// each were there with a condition that no rule, no decision and no count of the scored topic ever sees.

extension FeatureState {
  /// Says which topic each row of the next batch is of, 0 for the scored one.
  mutating func setSources(_ sources: [Int]) {
    for topic in context.sources.indices {
      for word in context.sources[topic].indices { context.sources[topic][word] = 0 }
    }
    for (row, topic) in sources.enumerated() { context.sources[topic][row >> 6] |= 1 << UInt64(row & 63) }
    let start = conditions.count - context.sources.count
    for topic in context.sources.indices { conditions[start + topic] = context.sources[topic] }
  }

  /// Settles each row's time, moves its topic's watermark and marks what is late for its topic. What is remembered ages by
  /// the scored topic's clock, so that a stream that is ahead takes nothing away from events that are still to be scored.
  mutating func readMergedTimes(_ batch: borrowing EventBatch) {
    for word in 0..<(batch.rowCount + 63) / 64 { (late[word], future[word], context.onTime[word]) = (0, 0, 0) }
    for row in 0..<batch.rowCount {
      let topic = context.sources.firstIndex { $0[row >> 6] >> UInt64(row & 63) & 1 == 1 } ?? 0
      let definition =
        (topic == 0 ? program.eventTime : program.streams[topic - 1].eventTime) ?? EventTimeDefinition(field: "")
      let column = topic == 0 ? program.eventTimeColumn : program.streams[topic - 1].eventTimeColumn
      let latest = topic == 0 ? latestTime : streams[topic - 1].latestTime
      let timestamp = batch.positions[row].timestamp
      let t: Int64
      if let column, batch.isValid(column: column, row: row) {
        t = Int64(bitPattern: batch.word(column: column, row: row))
      } else {
        t = timestamp ?? latest ?? 0
      }
      context.times[row] = t
      context.horizons[row] = latestTime.map { $0 &- slack(of: program.eventTime) } ?? .min / 2
      let bit: UInt64 = 1 << UInt64(row & 63)
      if let latest, t < latest &- slack(of: definition) {
        if topic == 0 {
          late[row >> 6] |= bit
          lateCount += 1
        } else {
          streams[topic - 1].lateCount += 1
        }
        continue
      }
      context.onTime[row >> 6] |= bit
      if let timestamp, t &- timestamp > definition.maxFuture {
        if topic == 0 {
          future[row >> 6] |= bit
          futureCount += 1
        }
      } else if t > latest ?? .min {
        if topic == 0 { latestTime = t } else { streams[topic - 1].latestTime = t }
      }
    }
  }

  private func slack(of definition: EventTimeDefinition?) -> Int64 {
    let definition = definition ?? EventTimeDefinition(field: "")
    return definition.watermarkDelay &+ definition.allowedLateness
  }

  /// Leaves out the streams' events that were seen before.
  mutating func markRepeatedOfStreams(_ batch: borrowing EventBatch) {
    var table = program.tables.count + program.aggregations.plans.count + (program.deduplication == nil ? 0 : 1)
    for (index, stream) in program.streams.enumerated() {
      guard let deduplication = stream.deduplication else { continue }
      var seen = [UInt64](repeating: 0, count: Limits.batchRows / 64)
      tables[table].markRepeated(batch, context: context, within: deduplication.span, in: &seen)
      for word in seen.indices {
        streams[index].repeatedCount += seen[word].nonzeroBitCount
        context.onTime[word] &= ~seen[word]
      }
      table += 1
    }
  }

  /// Takes over the clocks of streams that are still there.
  mutating func restore(streams earlier: [StreamClock]) {
    for index in streams.indices {
      if let known = earlier.first(where: { $0.name == streams[index].name }) { streams[index] = known }
    }
  }
}

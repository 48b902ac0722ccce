extension FeatureTable {
  /// Computes a graph's features of all rows and folds their links in, row by row.
  mutating func apply(
    _ plan: GraphPlan, to batch: inout EventBatch, context: borrowing RowContext, condition: [UInt64]?
  ) {
    if !truncated.isEmpty { truncated.removeAll() }
    var links: [UInt64] = []
    for row in 0..<batch.rowCount where batch.isValid(column: plan.inputs[0].column, row: row) {
      let entity = plan.node(0, row: row, batch: batch)
      links.removeAll(keepingCapacity: true)
      for index in 1..<plan.inputs.count where batch.isValid(column: plan.inputs[index].column, row: row) {
        links.append(plan.node(index, row: row, batch: batch))
      }
      let t = context.times[row]
      let isOnTime = context.onTime[row >> 6] >> UInt64(row & 63) & 1 == 1
      let isSelected = condition.map { $0[row >> 6] >> UInt64(row & 63) & 1 == 1 } ?? true
      for output in plan.outputs {
        let (count, isCut) = reach(
          from: entity, with: output.output.includeCurrent && isSelected ? links : [],
          after: output.window.map { t &- $0 }, output: output)
        batch.write(UInt64(count), output.output, row: row)
        if isCut { truncated[output.output.column, default: []].append(row) }
      }
      guard isOnTime, isSelected else { continue }
      for link in links {
        join(entity, link, at: t, plan: plan, horizon: context.horizons[row])
        join(link, entity, at: t, plan: plan, horizon: context.horizons[row])
      }
      if byteCount > limits.bytes { evict(max(1, keys.count / 32)) }
    }
  }

  /// The entities that links lead to from one: those beside it (`shared`), or itself and all that are connected with it
  /// (`group_size`), up to the bound.
  ///
  /// - Returns: how many, and whether links were missing or too many to follow.
  private func reach(
    from entity: UInt64, with links: [UInt64], after: Int64?, output: GraphPlan.Output
  ) -> (count: Int, isCut: Bool) {
    let isGroup = output.output.function == .groupSize
    var seen: Set<UInt64> = [entity]
    var seenLinks: Set<UInt64> = []
    var entities = [entity]
    var next = 0
    var visits = 0
    var isCut = false
    while next < entities.count {
      let current = entities[next]
      next += 1
      var around = current == entity ? links : []
      isCut = appendNeighbours(of: current, after: after, to: &around) || isCut
      for link in around where seenLinks.insert(link).inserted {
        var beyond: [UInt64] = []
        isCut = appendNeighbours(of: link, after: after, to: &beyond) || isCut
        visits += beyond.count
        for other in beyond where seen.insert(other).inserted {
          entities.append(other)
          if entities.count - (isGroup ? 0 : 1) >= output.bound { return (output.bound, isCut) }
        }
        if visits > Limits.graphVisits { return (entities.count - (isGroup ? 0 : 1), true) }
      }
      if !isGroup { break }
    }
    return (entities.count - (isGroup ? 0 : 1), isCut)
  }

  /// The neighbours of a node met after a time, in the order of their hashes; whether some were dropped.
  private func appendNeighbours(of node: UInt64, after: Int64?, to neighbours: inout [UInt64]) -> Bool {
    let record = record(ofWord: node)
    guard record != 0 else { return false }
    let base = record * layout.width
    let block = HeapBlock(word: keys.records[base + 3])
    guard !block.isNone else { return false }
    for index in 0..<Int(truncatingIfNeeded: heap.words[block.offset]) {
      let place = block.offset + 1 + 2 * index
      if let after, Int64(bitPattern: heap.words[place + 1]) <= after { continue }
      neighbours.append(heap.words[place])
    }
    return keys.records[base + 2] != 0
  }

  /// Remembers that two nodes met.
  private mutating func join(_ node: UInt64, _ neighbour: UInt64, at t: Int64, plan: GraphPlan, horizon: Int64) {
    var record = record(ofWord: node)
    if record == 0 {
      if isFull { makeRoom(horizon: horizon) }
      record = insert(word: node)
      keys.records[record * layout.width + 1] = UInt64(bitPattern: t)
    }
    let base = record * layout.width
    if t > Int64(bitPattern: keys.records[base + 1]) { keys.records[base + 1] = UInt64(bitPattern: t) }
    if keys.tracksChanges { keys.markChanged(record) }
    var block = HeapBlock(word: keys.records[base + 3])
    var count = block.isNone ? 0 : Int(truncatingIfNeeded: heap.words[block.offset])
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if heap.words[block.offset + 1 + 2 * middle] < neighbour { low = middle + 1 } else { high = middle }
    }
    if low < count, heap.words[block.offset + 1 + 2 * low] == neighbour {
      let place = block.offset + 2 + 2 * low
      if t > Int64(bitPattern: heap.words[place]) { heap.words[place] = UInt64(bitPattern: t) }
      return
    }
    if count == plan.neighboursMax || !block.isNone && 3 + 2 * count > block.count {
      let kept = neighbours(block, droppingUpTo: plan.reach.map { horizon &- $0 }, keeping: plan.neighboursMax - 1)
      keys.records[base + 2] &+= UInt64(kept.dropped)
      heap.release(block)
      block = heap.allocate(3 + 2 * kept.pairs.count)
      for (index, pair) in kept.pairs.enumerated() {
        heap.words[block.offset + 1 + 2 * index] = pair.node
        heap.words[block.offset + 2 + 2 * index] = UInt64(bitPattern: pair.time)
      }
      count = kept.pairs.count
      low = kept.pairs.firstIndex { $0.node > neighbour } ?? count
    } else if block.isNone {
      block = heap.allocate(4)
    }
    var index = count
    while index > low {
      heap.words[block.offset + 1 + 2 * index] = heap.words[block.offset + 2 * index - 1]
      heap.words[block.offset + 2 + 2 * index] = heap.words[block.offset + 2 * index]
      index -= 1
    }
    heap.words[block.offset + 1 + 2 * low] = neighbour
    heap.words[block.offset + 2 + 2 * low] = UInt64(bitPattern: t)
    heap.words[block.offset] = UInt64(count + 1)
    keys.records[base + 3] = block.word
  }

  /// A block's neighbours less those that no window reaches any more, and of the rest the latest.
  private func neighbours(
    _ block: HeapBlock, droppingUpTo expired: Int64?, keeping limit: Int
  ) -> (pairs: [(node: UInt64, time: Int64)], dropped: Int) {
    guard !block.isNone else { return ([], 0) }
    var pairs = (0..<Int(truncatingIfNeeded: heap.words[block.offset])).map { index in
      (
        node: heap.words[block.offset + 1 + 2 * index],
        time: Int64(bitPattern: heap.words[block.offset + 2 + 2 * index])
      )
    }
    if let expired { pairs.removeAll { $0.time <= expired } }
    let dropped = max(0, pairs.count - limit)
    if dropped > 0 {
      pairs.sort { ($0.time, $0.node) < ($1.time, $1.node) }
      pairs.removeFirst(dropped)
      pairs.sort { $0.node < $1.node }
    }
    return (pairs, dropped)
  }
}

extension WordHeap {
  /// Whether a block that comes from outside can hold neighbours.
  func isNeighbours(_ block: HeapBlock) -> Bool {
    let count = words[block.offset]
    guard count < UInt64(block.count), 2 * count < UInt64(block.count) else { return false }
    return (1..<max(1, Int(count))).allSatisfy {
      words[block.offset + 2 * $0 - 1] < words[block.offset + 2 * $0 + 1]
    }
  }
}

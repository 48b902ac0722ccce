// What windowed features read from a list: from the sums that are kept up to date where the window stands at the current
// event, else from the entries.

extension FeatureTable {
  /// Computes one output for one row and writes it.
  mutating func write(
    _ windowOutput: EventListLayout.WindowOutput, of window: EventListLayout.Window, operation: FeatureOperation,
    layout: EventListLayout, base: Int, ring: EventRing, range: Range<Int>, row: Int, context: borrowing RowContext,
    hasAccumulators: Bool, batch: inout EventBatch
  ) {
    let output = windowOutput.output
    let payload = windowOutput.payload
    let isPresent = payload < 0 || batch.isValid(column: operation.inputs[payload].column, row: row)
    let includes = output.includeCurrent && context.isSelected(row) && isPresent
    let accumulator = hasAccumulators && windowOutput.accumulator >= 0 ? base &+ windowOutput.accumulator : -1
    let t = context.times[row]
    switch output.function {
    case .count, .rate:
      var count = range.count
      if payload >= 0, layout.hasValidity { count = range.count { self.word(payload, of: $0, ring, layout) != nil } }
      if includes { count &+= 1 }
      guard count >= output.minEvents else { return }
      let word = output.function == .rate ? (Double(count) * output.parameter).bitPattern : UInt64(count)
      batch.write(word, output, row: row)
    case .sum, .mean, .ratio:
      var (sum, count) = self.sum(payload, range, ring, layout, accumulator: accumulator)
      let x = isPresent ? batch.number(operation.inputs[payload], row: row) : 0
      if includes {
        sum.add(x)
        count &+= 1
      }
      guard count > 0, count >= output.minEvents else { return }
      if output.function == .sum {
        batch.write(sum.value.bitPattern, output, row: row)
      } else {
        let mean = sum.value / Double(count)
        if output.function == .mean {
          batch.write(mean.bitPattern, output, row: row)
        } else if isPresent, mean != 0 {
          batch.write((x / mean).bitPattern, output, row: row)
        }
      }
    case .variance, .stddev:
      let x = includes ? batch.number(operation.inputs[payload], row: row) : nil
      let (variance, count) = self.variance(payload, range, ring, layout, accumulator: accumulator, with: x)
      guard count >= 2, count >= output.minEvents else { return }
      let value = output.function == .variance ? variance : variance.squareRoot()
      batch.write(value.bitPattern, output, row: row)
    case .distinct:
      var count = self.distinct(payload, range, ring, layout, accumulator: accumulator)
      if includes {
        let hash = batch.entryWord(operation.inputs[payload], layout.payloads[payload], row: row)
        if !range.contains(where: { self.word(payload, of: $0, ring, layout) == hash }) { count &+= 1 }
      }
      guard range.count + (includes ? 1 : 0) >= output.minEvents else { return }
      batch.write(UInt64(count), output, row: row)
    case .min, .max, .first, .last, .previous:
      writeChosen(
        windowOutput, layout: layout, operation: operation, ring: ring, range: range, row: row, includes: includes,
        accumulator: accumulator, batch: &batch)
    case .quantile:
      var values = range.compactMap { number(payload, of: $0, ring, layout) }
      if includes { values.append(batch.number(operation.inputs[payload], row: row)) }
      guard !values.isEmpty, values.count >= output.minEvents else { return }
      batch.write(exactQuantile(output.parameter, of: &values).bitPattern, output, row: row)
    case .ewma:
      let kind = FeatureOperation.Kind(ewmaParameter: output.parameter)
      var (average, count) = (Average(mean: 0, weight: 0, time: 0), 0)
      for entry in range {
        guard let x = number(payload, of: entry, ring, layout) else { continue }
        average.fold(x, at: ring.time(entry, heap), isFirst: count == 0, kind: kind)
        count &+= 1
      }
      if includes {
        average.fold(batch.number(operation.inputs[payload], row: row), at: t, isFirst: count == 0, kind: kind)
        count &+= 1
      }
      guard count > 0, count >= output.minEvents else { return }
      batch.write(average.mean.bitPattern, output, row: row)
    case .secondsSinceLast:
      guard let last = range.last, range.count >= output.minEvents else { return }
      batch.write(UInt64(bitPattern: (t &- ring.time(last, heap)) / 1_000_000), output, row: row)
    case .distanceKm, .speedKmh:
      writeMove(
        output, payload: payload, operation: operation, layout: layout, ring: ring, range: range, row: row, at: t,
        batch: &batch)
    case .shared, .groupSize: preconditionFailure("a graph keeps no list")
    case .hourZscore, .hourSurprise:
      guard range.count >= output.minEvents, !range.isEmpty, isPresent else { return }
      let hours = range.compactMap { entry in
        payload < 0
          ? hourOfDay(ring.time(entry, heap))
          : self.word(payload, of: entry, ring, layout).map { hourOfDay(Int64(bitPattern: $0)) }
      }
      let hour = hourOfDay(
        payload < 0 ? t : Int64(bitPattern: batch.word(column: operation.inputs[payload].column, row: row)))
      if output.function == .hourSurprise {
        var histogram = HourHistogram()
        for hour in hours { histogram.add(hour) }
        batch.write(histogram.surprise(of: hour).bitPattern, output, row: row)
      } else {
        var moments = Moments()
        for hour in hours { moments.add(Double(hour)) }
        guard let variance = moments.variance, variance > 0 else { return }
        let value = (Double(hour) - moments.mean).magnitude / variance.squareRoot()
        batch.write(value.bitPattern, output, row: row)
      }
    }
  }

  /// Flags a value whose window reaches back to events that were dropped.
  mutating func noteTruncation(
    _ output: FeatureOutput, _ window: EventListLayout.Window, ring: EventRing, range: Range<Int>, at t: Int64, row: Int
  ) {
    let dropped = Int64(bitPattern: heap.words[ring.block.offset])
    if case .session(let gap) = window.span {
      let oldest = range.isEmpty ? t : ring.time(range.lowerBound, heap)
      guard range.lowerBound == 0, oldest &- dropped <= gap else { return }
    } else {
      guard dropped > window.span.lowerBound(endingAt: t &- window.delay) else { return }
    }
    truncated[output.column, default: []].append(row)
  }

  private func sum(
    _ payload: Int, _ range: Range<Int>, _ ring: EventRing, _ layout: EventListLayout, accumulator: Int
  ) -> (CompensatedSum, Int) {
    if accumulator >= 0 {
      let sum = CompensatedSum(
        high: Double(bitPattern: keys.records[accumulator]), low: Double(bitPattern: keys.records[accumulator &+ 1]))
      return (sum, Int(truncatingIfNeeded: keys.records[accumulator &+ 2]))
    }
    var (sum, count) = (CompensatedSum(), 0)
    for entry in range {
      guard let x = number(payload, of: entry, ring, layout) else { continue }
      sum.add(x)
      count &+= 1
    }
    return (sum, count)
  }

  private func variance(
    _ payload: Int, _ range: Range<Int>, _ ring: EventRing, _ layout: EventListLayout, accumulator: Int, with x: Double?
  ) -> (Double, Int) {
    guard accumulator >= 0 else {
      var moments = Moments()
      for entry in range {
        if let x = number(payload, of: entry, ring, layout) { moments.add(x) }
      }
      if let x { moments.add(x) }
      return (moments.variance ?? 0, moments.count)
    }
    var sum = CompensatedSum(
      high: Double(bitPattern: keys.records[accumulator]), low: Double(bitPattern: keys.records[accumulator &+ 1]))
    var squares = CompensatedSum(
      high: Double(bitPattern: keys.records[accumulator &+ 2]), low: Double(bitPattern: keys.records[accumulator &+ 3]))
    var count = Int(truncatingIfNeeded: keys.records[accumulator &+ 4])
    if let x {
      sum.add(x)
      squares.add(squareOf: x, sign: 1)
      count &+= 1
    }
    return (sampleVariance(sum: sum, squares: squares, count: count), count)
  }

  private func distinct(
    _ payload: Int, _ range: Range<Int>, _ ring: EventRing, _ layout: EventListLayout, accumulator: Int
  ) -> Int {
    if accumulator >= 0 { return Int(truncatingIfNeeded: keys.records[accumulator]) }
    var count = 0
    for entry in range {
      guard let value = self.word(payload, of: entry, ring, layout) else { continue }
      if !(range.lowerBound..<entry).contains(where: { self.word(payload, of: $0, ring, layout) == value }) {
        count &+= 1
      }
    }
    return count
  }

  /// Least, greatest, first, last, previous: one of the entries' values, or the current one.
  private mutating func writeChosen(
    _ windowOutput: EventListLayout.WindowOutput, layout: EventListLayout, operation: FeatureOperation, ring: EventRing,
    range: Range<Int>, row: Int, includes: Bool, accumulator: Int, batch: inout EventBatch
  ) {
    let output = windowOutput.output
    let payload = windowOutput.payload
    let input = operation.inputs[payload]
    if output.minEvents > 0 {
      let count = range.count { self.word(payload, of: $0, ring, layout) != nil } + (includes ? 1 : 0)
      guard count >= output.minEvents else { return }
    }
    let chosen: UInt64?
    switch output.function {
    case .first: chosen = range.lazy.compactMap { [self] in word(payload, of: $0, ring, layout) }.first
    case .last, .previous:
      chosen = range.reversed().lazy.compactMap { [self] in word(payload, of: $0, ring, layout) }.first
    default: chosen = extreme(windowOutput, range, ring, layout, accumulator: accumulator)
    }
    guard includes else {
      if let chosen { write(chosen, output, row: row, to: &batch) }
      return
    }
    let takesCurrent: Bool
    switch output.function {
    case .first: takesCurrent = chosen == nil
    case .last: takesCurrent = true
    default:
      if let chosen {
        let slice = TextSlice(word: batch.word(column: input.column, row: row))
        let isGreatest = output.function == .max
        if input.type == .string {
          let text = HeapBlock(word: chosen)
          let isLess = heap.text(text, precedes: batch.bytes.span.extracting(slice.range))
          let isEqual = heap.text(text, equals: batch.bytes.span.extracting(slice.range))
          takesCurrent = isGreatest ? isLess : !isLess && !isEqual
        } else {
          let current = batch.keptWord(input, row: row)
          takesCurrent =
            isGreatest ? precedes(chosen, current, type: input.type) : precedes(current, chosen, type: input.type)
        }
      } else {
        takesCurrent = true
      }
    }
    if takesCurrent {
      let word = input.type == .boolean ? batch.keptWord(input, row: row) : batch.word(column: input.column, row: row)
      batch.write(word, output, row: row)
    } else if let chosen {
      write(chosen, output, row: row, to: &batch)
    }
  }

  /// The least or greatest of the entries; remembered in the accumulator where there is one.
  private mutating func extreme(
    _ windowOutput: EventListLayout.WindowOutput, _ range: Range<Int>, _ ring: EventRing, _ layout: EventListLayout,
    accumulator: Int
  ) -> UInt64? {
    if accumulator >= 0 {
      switch keys.records[accumulator &+ 1] {
      case 0: return nil
      case 1: return keys.records[accumulator]
      default: break
      }
    }
    let payload = windowOutput.payload
    let type = layout.types[payload]
    let isGreatest = windowOutput.output.function == .max
    var best: UInt64?
    for entry in range {
      guard let value = self.word(payload, of: entry, ring, layout) else { continue }
      guard let known = best else {
        best = value
        continue
      }
      let isBetter: Bool
      if type == .string {
        let (a, b) = isGreatest ? (known, value) : (value, known)
        isBetter = heap.text(HeapBlock(word: a), precedes: heap.text(HeapBlock(word: b)).span)
      } else {
        isBetter = isGreatest ? precedes(known, value, type: type) : precedes(value, known, type: type)
      }
      if isBetter { best = value }
    }
    if accumulator >= 0 {
      (keys.records[accumulator], keys.records[accumulator &+ 1]) = (best ?? 0, best == nil ? 0 : 1)
    }
    return best
  }

  /// Writes a kept word: a text is copied back into the batch.
  func write(_ word: UInt64, _ output: FeatureOutput, row: Int, to batch: inout EventBatch) {
    if output.type == .string {
      batch.write(batch.keepText(heap.text(HeapBlock(word: word))).word, output, row: row)
    } else {
      batch.write(word, output, row: row)
    }
  }

  private func writeMove(
    _ output: FeatureOutput, payload: Int, operation: FeatureOperation, layout: EventListLayout, ring: EventRing,
    range: Range<Int>, row: Int, at t: Int64, batch: inout EventBatch
  ) {
    guard range.count >= output.minEvents, batch.isValid(column: operation.inputs[payload].column, row: row),
      batch.isValid(column: operation.inputs[payload + 1].column, row: row),
      let here = SpherePoint(
        latitude: batch.number(operation.inputs[payload], row: row),
        longitude: batch.number(operation.inputs[payload + 1], row: row))
    else { return }
    for entry in range.reversed() {
      guard let latitude = number(payload, of: entry, ring, layout),
        let longitude = number(payload + 1, of: entry, ring, layout),
        let there = SpherePoint(latitude: latitude, longitude: longitude)
      else { continue }
      let distance = here.kilometres(to: there)
      let value =
        output.function == .distanceKm
        ? distance : impliedSpeed(kilometres: distance, microseconds: t &- ring.time(entry, heap))
      batch.write(value.bitPattern, output, row: row)
      return
    }
  }
}

/// Welford's running mean and variance.
struct Moments: Sendable {
  var count = 0
  var mean = 0.0
  var squares = 0.0

  /// Of the sample; `nil` for fewer than two values.
  var variance: Double? { count < 2 ? nil : squares / Double(count - 1) }

  mutating func add(_ x: Double) {
    count += 1
    let deviation = x - mean
    mean += deviation / Double(count)
    squares += deviation * (x - mean)
  }
}

/// The value of rank ⌊q (n − 1)⌋, the definition that the sketch estimates too. Reorders the values.
///
/// - Complexity: O(n) on average, by Hoare's selection.
func exactQuantile(_ q: Double, of values: inout [Double]) -> Double {
  let rank = Int(q * Double(values.count - 1))
  var (low, high) = (0, values.count - 1)
  while low < high {
    let pivot = values[(low + high) / 2]
    var (i, j) = (low, high)
    while i <= j {
      while values[i] < pivot { i += 1 }
      while values[j] > pivot { j -= 1 }
      if i <= j {
        values.swapAt(i, j)
        i += 1
        j -= 1
      }
    }
    if rank <= j { high = j } else if rank >= i { low = i } else { break }
  }
  return values[rank]
}

extension EventBatch {
  /// Sets a value of a computed column.
  mutating func write(_ word: UInt64, _ output: FeatureOutput, row: Int) {
    if output.type == .boolean {
      words[output.column &* stride &+ row >> 6] |= word << UInt64(row & 63)
    } else {
      words[output.column &* stride &+ row] = word
    }
    validity[output.column &* bitmapStride &+ row >> 6] |= 1 << UInt64(row & 63)
  }

  /// A numeric input's value; the row must have one.
  func number(_ input: FeatureInput, row: Int) -> Double {
    switch input.type {
    case .float: Double(bitPattern: word(column: input.column, row: row))
    case .boolean: Double(keptWord(input, row: row))
    default: Double(Int64(bitPattern: word(column: input.column, row: row)))
    }
  }

  /// A value as a list's entry holds it, if it is no text.
  func entryWord(_ input: FeatureInput, _ payload: EventListLayout.Payload, row: Int) -> UInt64 {
    payload == .hash ? hash(input, row: row) : keptWord(input, row: row)
  }

  /// Adds a text behind the messages.
  mutating func keepText(_ text: [UInt8]) -> TextSlice {
    let offset = bytes.count - Self.padding
    bytes.append(contentsOf: repeatElement(0, count: text.count))
    for index in text.indices { bytes[offset + index] = text[index] }
    return TextSlice(offset: offset, count: text.count)
  }
}

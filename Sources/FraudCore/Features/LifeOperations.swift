// The operations over a key's whole life, each a loop over the rows of a segment: read the state, write the columns that
// do not include the event, fold it in, write the columns that do. One operation runs over all rows before the next one
// begins; since no two share a word of a record, the values are those of row by row, and the loop's memory accesses overlap.

/// What the operations of a table know of the rows they run over.
struct RowContext: Sendable {
  /// Where each row's record starts; 0, the empty record, where the key is not there or NULL.
  var bases = [Int](repeating: 0, count: Limits.batchRows)
  /// Event times in microseconds.
  var times = [Int64](repeating: 0, count: Limits.batchRows)
  /// The latest time that the key had seen before each row; the row's own where it is the key's first.
  var frontiers = [Int64](repeating: 0, count: Limits.batchRows)
  /// The watermark less the allowed lateness before each row: nothing older is folded in from there on.
  var horizons = [Int64](repeating: 0, count: Limits.batchRows)
  /// Rows that are not too late to be folded in.
  var onTime = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// Rows whose time is at least the latest that the key has seen.
  var inOrder = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// Rows where the operation's inputs have values, those of them that it counts in, and those of these that it keeps.
  var present = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  var selected = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  var stored = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// Of each topic, the scored one first, the rows that are its own; empty where there is no other.
  var sources: [[UInt64]] = []

  func isScored(_ row: Int) -> Bool { sources[0][row >> 6] >> UInt64(row & 63) & 1 == 1 }
  func isPresent(_ row: Int) -> Bool { present[row >> 6] >> UInt64(row & 63) & 1 == 1 }
  func isSelected(_ row: Int) -> Bool { selected[row >> 6] >> UInt64(row & 63) & 1 == 1 }
  func isStored(_ row: Int) -> Bool { stored[row >> 6] >> UInt64(row & 63) & 1 == 1 }
  func isInOrder(_ row: Int) -> Bool { inOrder[row >> 6] >> UInt64(row & 63) & 1 == 1 }
}

/// Where an output's column lies in a batch, for writing.
struct OutputColumn {
  let start: Int
  let validityStart: Int
  let isBoolean: Bool

  init(_ output: FeatureOutput, stride: Int, bitmapStride: Int) {
    start = output.column * stride
    validityStart = output.column * bitmapStride
    isBoolean = output.type == .boolean
  }

  @inline(__always)
  func write(_ word: UInt64, row: Int, to words: inout MutableSpan<UInt64>, _ validity: inout MutableSpan<UInt64>) {
    if isBoolean {
      words[start &+ row >> 6] |= word << UInt64(truncatingIfNeeded: row & 63)
    } else {
      words[start &+ row] = word
    }
    validity[validityStart &+ row >> 6] |= 1 << UInt64(truncatingIfNeeded: row & 63)
  }
}

extension EventBatch {
  /// Takes the columns out and puts them back, so that words and validity can be lent as spans side by side.
  mutating func exchangeColumns(_ otherWords: inout [UInt64], _ otherValidity: inout [UInt64]) {
    swap(&words, &otherWords)
    swap(&validity, &otherValidity)
  }

  func outputColumns(_ operation: FeatureOperation) -> [OutputColumn] {
    operation.outputs.map { OutputColumn($0, stride: stride, bitmapStride: bitmapStride) }
  }
}

/// A numeric input's value; the row must have one.
@inline(__always)
func columnNumber(_ words: borrowing MutableSpan<UInt64>, start: Int, row: Int, type: FieldType) -> Double {
  switch type {
  case .float: Double(bitPattern: words[start &+ row])
  case .boolean: Double(words[start &+ row >> 6] >> UInt64(truncatingIfNeeded: row & 63) & 1)
  default: Double(Int64(bitPattern: words[start &+ row]))
  }
}

/// An input's word as it is kept; a boolean as 0 or 1.
@inline(__always)
func inputWord(_ words: borrowing MutableSpan<UInt64>, start: Int, row: Int, type: FieldType) -> UInt64 {
  type == .boolean ? words[start &+ row >> 6] >> UInt64(truncatingIfNeeded: row & 63) & 1 : words[start &+ row]
}

/// Whether a kept word of a type that is no text stands before another: numbers by value, NaN last, FALSE before TRUE.
@inline(__always)
func precedes(_ a: UInt64, _ b: UInt64, type: FieldType) -> Bool {
  guard type == .float else { return Int64(bitPattern: a) < Int64(bitPattern: b) }
  let (x, y) = (Double(bitPattern: a), Double(bitPattern: b))
  return x < y || (y.isNaN && !x.isNaN)
}

/// The hour of day from 0 to 23.
@inline(__always)
func hourOfDay(_ time: Int64) -> Int {
  let hours = time >= 0 ? time / 3_600_000_000 : -((3_599_999_999 &- time) / 3_600_000_000)
  let hour = Int(truncatingIfNeeded: hours % 24)
  return hour < 0 ? hour + 24 : hour
}

extension FeatureTable {
  mutating func runCount(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let isSelected = context.isSelected(row)
      if context.isStored(row) { records[base] = n &+ 1 }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let count = n &+ (isSelected && output.includeCurrent ? 1 : 0)
        if count >= UInt64(output.minEvents) { outputs[index].write(count, row: row, to: &words, &validity) }
      }
    }
  }

  mutating func runSum(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    let input = operation.inputs[0]
    let start = input.column * batch.stride
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let before = CompensatedSum(
        high: Double(bitPattern: records[base &+ 1]), low: Double(bitPattern: records[base &+ 2]))
      let isSelected = context.isSelected(row)
      var after = before
      let x = context.isPresent(row) ? columnNumber(words, start: start, row: row, type: input.type) : .nan
      if isSelected {
        after.add(x)
        if context.isStored(row) {
          records[base] = n &+ 1
          records[base &+ 1] = after.high.bitPattern
          records[base &+ 2] = after.low.bitPattern
        }
      }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count >= UInt64(output.minEvents) else { continue }
        let sum = includes ? after.value : before.value
        let value: Double
        switch output.function {
        case .count:
          outputs[index].write(count, row: row, to: &words, &validity)
          continue
        case .ratio:
          let mean = sum / Double(count)
          guard context.isPresent(row), count > 0, mean != 0 else { continue }
          value = x / mean
        case .mean:
          guard count > 0 else { continue }
          value = sum / Double(count)
        default:
          guard count > 0 else { continue }
          value = sum
        }
        outputs[index].write(value.bitPattern, row: row, to: &words, &validity)
      }
    }
  }

  /// Welford's running moments, of a column or of the hour of day.
  ///
  /// - Source: Welford 1962, DOI 10.1080/00401706.1962.10490022.
  mutating func runMoments(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    var isHour = false
    if case .hourMoments = operation.kind { isHour = true }
    let type = operation.inputs.first?.type ?? .float
    let start = (operation.inputs.first?.column ?? 0) * batch.stride
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let mean = Double(bitPattern: records[base &+ 1])
      let squares = Double(bitPattern: records[base &+ 2])
      let isSelected = context.isSelected(row)
      var (meanAfter, squaresAfter, x) = (mean, squares, 0.0)
      if isHour {
        x = Double(hourOfDay(operation.hourTime(words, start: start, row: row, context: context)))
      } else if isSelected {
        x = columnNumber(words, start: start, row: row, type: type)
      }
      if isSelected {
        let deviation = x - mean
        meanAfter = mean + deviation / Double(n &+ 1)
        squaresAfter = squares + deviation * (x - meanAfter)
        if context.isStored(row) {
          records[base] = n &+ 1
          records[base &+ 1] = meanAfter.bitPattern
          records[base &+ 2] = squaresAfter.bitPattern
        }
      }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count >= UInt64(output.minEvents), count >= 2 else { continue }
        let variance = (includes ? squaresAfter : squares) / Double(count &- 1)
        let value: Double
        switch output.function {
        case .variance: value = variance
        case .hourZscore:
          guard variance > 0, context.isPresent(row) else { continue }
          value = (x - mean).magnitude / variance.squareRoot()
        default: value = variance.squareRoot()
        }
        outputs[index].write(value.bitPattern, row: row, to: &words, &validity)
      }
    }
  }

  /// `n`, least or greatest value, of anything but texts.
  mutating func runExtreme(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    let input = operation.inputs[0]
    let start = input.column * batch.stride
    let isGreatest = operation.kind == .greatest
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let before = records[base &+ 1]
      let isSelected = context.isSelected(row)
      var after = before
      if isSelected {
        let x = inputWord(words, start: start, row: row, type: input.type)
        let isBetter = isGreatest ? precedes(before, x, type: input.type) : precedes(x, before, type: input.type)
        if n == 0 || isBetter { after = x }
        if context.isStored(row) {
          records[base] = n &+ 1
          records[base &+ 1] = after
        }
      }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count > 0, count >= UInt64(output.minEvents) else { continue }
        outputs[index].write(includes ? after : before, row: row, to: &words, &validity)
      }
    }
  }

  /// `n`, time, value of the earliest or latest event, of anything but texts. Of one time, the first folded in is the
  /// earliest and the last the latest.
  mutating func runBoundary(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    let input = operation.inputs[0]
    let start = input.column * batch.stride
    let isFirst = operation.kind == .first
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let time = Int64(bitPattern: records[base &+ 1])
      let before = records[base &+ 2]
      let isSelected = context.isSelected(row)
      var after = before
      if isSelected {
        let t = context.times[row]
        let replaces = n == 0 || (isFirst ? t < time : t >= time)
        if replaces { after = inputWord(words, start: start, row: row, type: input.type) }
        if context.isStored(row) {
          records[base] = n &+ 1
          if replaces { (records[base &+ 1], records[base &+ 2]) = (UInt64(bitPattern: t), after) }
        }
      }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count > 0, count >= UInt64(output.minEvents) else { continue }
        outputs[index].write(includes ? after : before, row: row, to: &words, &validity)
      }
    }
  }

  /// `n`, mean, weight, time. By time, an event weighs half after each half-life, whenever it arrives.
  mutating func runEWMA(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    let input = operation.inputs[0]
    let start = input.column * batch.stride
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let before = Average(
        mean: Double(bitPattern: records[base &+ 1]), weight: Double(bitPattern: records[base &+ 2]),
        time: Int64(bitPattern: records[base &+ 3]))
      let isSelected = context.isSelected(row)
      var after = before
      if isSelected {
        let x = columnNumber(words, start: start, row: row, type: input.type)
        after.fold(x, at: context.times[row], isFirst: n == 0, kind: operation.kind)
        if context.isStored(row) {
          records[base] = n &+ 1
          records[base &+ 1] = after.mean.bitPattern
          records[base &+ 2] = after.weight.bitPattern
          records[base &+ 3] = UInt64(bitPattern: after.time)
        }
      }
      for index in outputs.indices {
        let output = operation.outputs[index]
        let includes = isSelected && output.includeCurrent
        let count = n &+ (includes ? 1 : 0)
        guard count > 0, count >= UInt64(output.minEvents) else { continue }
        let value = includes ? after.mean : before.mean
        outputs[index].write(value.bitPattern, row: row, to: &words, &validity)
      }
    }
  }

  /// `n`, time of the latest event. An event that is older than that has no known predecessor: NULL.
  mutating func runLastTime(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let time = Int64(bitPattern: records[base &+ 1])
      let t = context.times[row]
      if context.isStored(row) {
        records[base] = n &+ 1
        if n == 0 || t > time { records[base &+ 1] = UInt64(bitPattern: t) }
      }
      guard n > 0, t >= time else { continue }
      for index in outputs.indices where n >= UInt64(operation.outputs[index].minEvents) {
        outputs[index].write(UInt64(bitPattern: (t &- time) / 1_000_000), row: row, to: &words, &validity)
      }
    }
  }

  /// `n`, time and place of the latest event, the place as a point on the unit sphere: the chord between two of them
  /// gives the great circle without a special case at poles and antimeridian, and only the new one needs sines.
  mutating func runPlace(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    let (latitude, longitude) = (operation.inputs[0], operation.inputs[1])
    let (latitudeStart, longitudeStart) = (latitude.column * batch.stride, longitude.column * batch.stride)
    var records = keys.records.mutableSpan
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows where context.isPresent(row) {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let time = Int64(bitPattern: records[base &+ 1])
      let t = context.times[row]
      guard
        let place = SpherePoint(
          latitude: columnNumber(words, start: latitudeStart, row: row, type: latitude.type),
          longitude: columnNumber(words, start: longitudeStart, row: row, type: longitude.type))
      else { continue }
      let last = SpherePoint(
        x: Double(bitPattern: records[base &+ 2]), y: Double(bitPattern: records[base &+ 3]),
        z: Double(bitPattern: records[base &+ 4]))
      if context.isStored(row) {
        records[base] = n &+ 1
        if n == 0 || t >= time {
          records[base &+ 1] = UInt64(bitPattern: t)
          records[base &+ 2] = place.x.bitPattern
          records[base &+ 3] = place.y.bitPattern
          records[base &+ 4] = place.z.bitPattern
        }
      }
      guard n > 0, t >= time else { continue }
      let distance = place.kilometres(to: last)
      for index in outputs.indices where n >= UInt64(operation.outputs[index].minEvents) {
        let isSpeed = operation.outputs[index].function == .speedKmh
        let value = isSpeed ? impliedSpeed(kilometres: distance, microseconds: t &- time) : distance
        outputs[index].write(value.bitPattern, row: row, to: &words, &validity)
      }
    }
  }

  /// `n` and a histogram of 24 hours.
  mutating func runHours(
    _ operation: FeatureOperation, rows: Range<Int>, context: borrowing RowContext, batch: inout EventBatch
  ) {
    let outputs = batch.outputColumns(operation)
    var records = keys.records.mutableSpan
    let start = (operation.inputs.first?.column ?? 0) * batch.stride
    var (columnWords, columnValidity): ([UInt64], [UInt64]) = ([], [])
    batch.exchangeColumns(&columnWords, &columnValidity)
    defer { batch.exchangeColumns(&columnWords, &columnValidity) }
    var words = columnWords.mutableSpan
    var validity = columnValidity.mutableSpan
    for row in rows {
      let base = context.bases[row] &+ operation.offset
      let n = records[base]
      let hour = hourOfDay(operation.hourTime(words, start: start, row: row, context: context))
      if n > 0, context.isPresent(row) {
        var histogram = HourHistogram()
        for word in 0..<6 { histogram.words[word] = records[base &+ 1 &+ word] }
        let value = histogram.surprise(of: hour)
        for index in outputs.indices where n >= UInt64(operation.outputs[index].minEvents) {
          outputs[index].write(value.bitPattern, row: row, to: &words, &validity)
        }
      }
      if context.isStored(row) {
        var histogram = HourHistogram()
        for word in 0..<6 { histogram.words[word] = records[base &+ 1 &+ word] }
        histogram.add(hour)
        for word in 0..<6 { records[base &+ 1 &+ word] = histogram.words[word] }
        records[base] = n &+ 1
      }
    }
  }
}

/// An exponentially weighted mean.
struct Average: Sendable {
  var mean: Double
  var weight: Double
  var time: Int64

  mutating func fold(_ x: Double, at t: Int64, isFirst: Bool, kind: FeatureOperation.Kind) {
    switch kind {
    case .ewmaByTime(let halfLife):
      let age = Double(t &- time) / halfLife
      if isFirst {
        (mean, weight, time) = (x, 1, t)
      } else if age >= 0 {
        let kept = weight * Mathematics.pow(2, -age)
        weight = kept + 1
        mean += (x - mean) / weight
        time = t
      } else {
        let added = Mathematics.pow(2, age)
        weight += added
        mean += (x - mean) * (added / weight)
      }
    case .ewmaByEvent(let alpha):
      mean = isFirst ? x : mean + alpha * (x - mean)
    default: break
    }
  }
}

extension FeatureOperation {
  /// The time whose hour counts: the event's, or that of a timestamp column.
  @inline(__always)
  func hourTime(
    _ words: borrowing MutableSpan<UInt64>, start: Int, row: Int, context: borrowing RowContext
  ) -> Int64 {
    inputs.isEmpty ? context.times[row] : Int64(bitPattern: words[start &+ row])
  }
}

extension FeatureOperation.Kind {
  /// An average by its one parameter: a positive one is the weight of the newest event, a negative one the half-life in
  /// microseconds.
  init(ewmaParameter parameter: Double) {
    self = parameter > 0 ? .ewmaByEvent(alpha: parameter) : .ewmaByTime(halfLife: -parameter)
  }
}

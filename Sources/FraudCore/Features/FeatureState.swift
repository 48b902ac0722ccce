/// What the features of one pipeline remember in one partition, and the one thing that computes them.
///
/// It belongs to one worker. Given the same events in the same order it writes the same values, however they are divided
/// into batches.
public struct FeatureState: Sendable {
  /// What it computes.
  public let program: FeatureProgram
  /// The latest event time that moved the watermark, in microseconds; `nil` before the first event.
  public internal(set) var latestTime: Int64?
  /// Events that came later than allowed and were not folded in.
  public internal(set) var lateCount = 0
  /// Events too far ahead of their record's timestamp to move the watermark.
  public internal(set) var futureCount = 0
  /// Values that miss events because a key had too many.
  public private(set) var truncatedCount = 0
  /// Events that were seen before; they are neither folded in nor to be scored.
  public private(set) var repeatedCount = 0
  /// The last batch's events that were seen before, a bit each.
  package internal(set) var repeated = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// Rows on which a condition or a column's expression could not be evaluated; it then does not hold or is NULL.
  public private(set) var errorCount = 0
  /// The last batch's late rows, a bit each.
  package internal(set) var late = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// The last batch's rows too far in the future, a bit each.
  package internal(set) var future = [UInt64](repeating: 0, count: Limits.batchRows / 64)
  /// The rows of aggregations that the last batch made due.
  public package(set) var aggregates: [AggregateRow] = []
  /// What it knows of each further topic.
  package internal(set) var streams: [StreamClock]
  /// Of scored rows that a merged batch held, those whose value misses events, by column.
  var mergedTruncations: [Int: [Int]] = [:]
  /// Whether aggregations are computed; where nobody asks for their rows they need not be.
  package var keepsAggregates = true
  /// Those of features, then of aggregations, then the events that were seen.
  var tables: [FeatureTable]
  var context = RowContext()
  /// The rows where each condition holds; behind them, where there are further topics, the rows of each topic.
  var conditions: [[UInt64]]
  private var conditionEvaluators: [RuleEvaluator]
  private var derivedEvaluators: [RuleEvaluator]
  private var outcomes: [RuleOutcomes]
  var aggregationEvaluator: RuleEvaluator?
  var aggregationOutcomes: RuleOutcomes

  /// Remembers nothing yet.
  ///
  /// - Parameter seed: where keys come to lie in memory, against keys chosen to collide; never visible in a value.
  public init(_ program: FeatureProgram, limits: StateLimits = StateLimits(), seed: UInt64 = 0) {
    self.program = program
    tables = (program.tables + program.aggregations.plans.map(\.table))
      .map { FeatureTable(layout: $0, limits: limits, seed: seed) }
    if let deduplication = program.deduplication {
      // What was seen longer ago than the span makes no difference any more.
      var limits = limits
      limits.timeToLive = deduplication.span
      tables.append(FeatureTable(layout: deduplication.table, limits: limits, seed: seed))
    }
    for stream in program.streams {
      guard let deduplication = stream.deduplication else { continue }
      var limits = limits
      limits.timeToLive = deduplication.span
      tables.append(FeatureTable(layout: deduplication.table, limits: limits, seed: seed))
    }
    streams = program.streams.map { StreamClock(name: $0.name) }
    let topicCount = program.streams.isEmpty ? 0 : program.streams.count + 1
    conditions = (0..<program.conditionCount + topicCount)
      .map { _ in [UInt64](repeating: 0, count: Limits.batchRows / 64) }
    context.sources = (0..<topicCount).map { _ in [UInt64](repeating: 0, count: Limits.batchRows / 64) }
    conditionEvaluators = program.conditions.map { RuleEvaluator($0.program) }
    derivedEvaluators = program.derived.map { RuleEvaluator($0.program) }
    outcomes = program.conditions.map { RuleOutcomes(ruleCount: $0.program.count, stride: Limits.batchRows / 64) }
    aggregationEvaluator = program.aggregations.conditions.map { RuleEvaluator($0) }
    aggregationOutcomes = RuleOutcomes(
      ruleCount: program.aggregations.conditions?.count ?? 0, stride: Limits.batchRows / 64)
  }

  /// Keys that are remembered, those of every grouping counted.
  public var keyCount: Int { tables.reduce(0) { $0 + $1.keys.count } }

  /// Bytes that remembering them takes.
  public var byteCount: Int { tables.reduce(0) { $0 + $1.byteCount } }

  /// Keys dropped because of a limit or their age.
  public var evictedCount: Int { tables.reduce(0) { $0 + $1.evictedCount } }

  /// The time that events are expected to have passed, in microseconds; `nil` before the first event.
  public var watermark: Int64? { latestTime.map { $0 &- (program.eventTime?.watermarkDelay ?? 60_000_000) } }

  /// Computes the features of a batch's rows in order, each before its event is folded in, and writes their columns.
  ///
  /// - Precondition: the batch has the program's layout: the merged one where there are further topics, and then
  ///   ``setSources(_:)`` has said which rows are whose.
  /// - Complexity: amortised O(1) a row and feature while events come in the order of their times; a late one costs a
  ///   scan of its key's list. Nothing is allocated once the state is warm.
  package mutating func apply(to batch: inout EventBatch, lists: [ListValues] = []) {
    precondition(batch.layout.columns.count == program.merged.columns.count, "the batch has another layout")
    let watermarkBefore = watermark
    if program.streams.isEmpty {
      batch.clearComputedColumns()
      readTimes(batch)
    } else {
      readMergedTimes(batch)
    }
    if program.deduplication != nil { markRepeated(batch) }
    if !program.streams.isEmpty { markRepeatedOfStreams(batch) }
    for step in program.steps {
      switch step {
      case .condition(let index): evaluateConditions(index, batch, lists: lists)
      case .derived(let index):
        let raised = derivedEvaluators[index].write(&batch, lists: lists, into: program.derived[index].columns)
        errorCount += raised.reduce(0, +)
        batch.clearInfinities(program.derived[index].columns)
      case .table(let index):
        tables[index].apply(to: &batch, context: &context, conditions: conditions)
        truncatedCount += truncatedValues(ofTable: index)
      case .graph(let index):
        let plan = program.graphs[index]
        let table = program.tables.count - program.graphs.count + index
        tables[table].apply(
          plan, to: &batch, context: context, condition: plan.condition < 0 ? nil : conditions[plan.condition])
        truncatedCount += truncatedValues(ofTable: table)
      case .local(let index): program.local[index].write(to: &batch)
      case .lookup(let index): program.lookups[index].write(to: &batch)
      case .defaults(let index): batch.fill(program.defaults[index])
      }
    }
    aggregate(&batch, lists: lists, before: watermarkBefore)
  }

  /// Values of the last batch that miss events; those of rows that are not scored are nobody's.
  private mutating func truncatedValues(ofTable index: Int) -> Int {
    if !context.sources.isEmpty {
      for column in tables[index].truncated.keys {
        tables[index].truncated[column]?.removeAll { !context.isScored($0) }
      }
    }
    return tables[index].truncated.values.reduce(0) { $0 + $1.count }
  }

  mutating func countErrors(_ count: Int) { errorCount += count }

  /// Shows what another state of the same program found in its last batch; what this one remembers stays as it is.
  mutating func show(rowsOf other: FeatureState) {
    (late, future, repeated) = (other.late, other.future, other.repeated)
    truncatedCount = other.truncatedCount
    mergedTruncations = other.mergedTruncations
    if program.streams.isEmpty, other.truncatedCount > 0 {
      for table in other.tables { mergedTruncations.merge(table.truncated) { first, _ in first } }
    }
  }

  /// Columns whose value in a row misses events because the key had too many.
  package func truncatedColumns(row: Int) -> [Int] {
    if !program.streams.isEmpty || !mergedTruncations.isEmpty {
      return mergedTruncations.filter { $0.value.contains(row) }.keys.sorted()
    }
    return tables.flatMap { $0.truncated.filter { $0.value.contains(row) }.keys }.sorted()
  }

  /// Takes over what a snapshot or delta says of the whole partition.
  mutating func restore(
    latestTime: Int64?, counters: (late: Int, future: Int, truncated: Int, errors: Int, repeated: Int)
  ) {
    self.latestTime = latestTime
    (lateCount, futureCount, truncatedCount, errorCount, repeatedCount) = counters
  }

  private mutating func markRepeated(_ batch: borrowing EventBatch) {
    for word in repeated.indices { repeated[word] = 0 }
    guard let deduplication = program.deduplication else { return }
    tables[program.tables.count + program.aggregations.plans.count]
      .markRepeated(batch, context: context, within: deduplication.span, in: &repeated)
    for word in repeated.indices {
      repeatedCount += repeated[word].nonzeroBitCount
      context.onTime[word] &= ~repeated[word]
    }
  }

  /// A condition that cannot be evaluated does not hold.
  private mutating func evaluateConditions(_ index: Int, _ batch: borrowing EventBatch, lists: [ListValues]) {
    conditionEvaluators[index].evaluate(batch, lists: lists, into: &outcomes[index])
    let start = program.conditions[index].start
    for condition in 0..<outcomes[index].ruleCount {
      for word in 0..<(batch.rowCount + 63) / 64 {
        let place = condition * outcomes[index].stride + word
        var rows = UInt64.max
        if !context.sources.isEmpty { rows = context.sources[program.conditionSources[start + condition]][word] }
        conditions[start + condition][word] = outcomes[index].triggered[place] & rows
        errorCount += (outcomes[index].error[place] & rows).nonzeroBitCount
      }
    }
  }

  /// Settles each row's time, moves the watermark and marks what is late.
  private mutating func readTimes(_ batch: borrowing EventBatch) {
    let definition = program.eventTime ?? EventTimeDefinition(field: "")
    let slack = definition.watermarkDelay &+ definition.allowedLateness
    for word in 0..<(batch.rowCount + 63) / 64 { (late[word], future[word], context.onTime[word]) = (0, 0, 0) }
    for row in 0..<batch.rowCount {
      let timestamp = batch.positions[row].timestamp
      let t: Int64
      if let column = program.eventTimeColumn, batch.isValid(column: column, row: row) {
        t = Int64(bitPattern: batch.word(column: column, row: row))
      } else {
        t = timestamp ?? latestTime ?? 0
      }
      context.times[row] = t
      let horizon = latestTime.map { $0 &- slack } ?? .min / 2
      context.horizons[row] = horizon
      let bit: UInt64 = 1 << UInt64(row & 63)
      if t < horizon {
        late[row >> 6] |= bit
        lateCount += 1
        continue
      }
      context.onTime[row >> 6] |= bit
      if let timestamp, t &- timestamp > definition.maxFuture {
        future[row >> 6] |= bit
        futureCount += 1
      } else if t > latestTime ?? .min {
        latestTime = t
      }
    }
  }
}

extension EventBatch {
  /// Makes every computed column NULL.
  mutating func clearComputedColumns() {
    for word in layout.fieldCount * stride..<words.count { words[word] = 0 }
    for word in layout.fieldCount * bitmapStride..<validity.count { validity[word] = 0 }
  }

  /// Makes infinities and NaN NULL, which no sum over a window could let go again.
  mutating func clearInfinities(_ columns: [Int]) {
    for column in columns where layout.columns[column].type == .float {
      for row in 0..<rowCount where !Double(bitPattern: words[column * stride + row]).isFinite {
        words[column * stride + row] = 0
        validity[column * bitmapStride + row >> 6] &= ~(1 << UInt64(row & 63))
      }
    }
  }

  /// Puts a constant where a column is NULL.
  mutating func fill(_ constant: FeatureProgram.Default) {
    let start = constant.column * bitmapStride
    var text: TextSlice?
    for row in 0..<rowCount where validity[start + row >> 6] >> UInt64(row & 63) & 1 == 0 {
      switch constant.value {
      case .integer(let value), .timestamp(let value): words[constant.column * stride + row] = UInt64(bitPattern: value)
      case .float(let value): words[constant.column * stride + row] = value.bitPattern
      case .boolean(let value):
        if value { words[constant.column * stride + row >> 6] |= 1 << UInt64(row & 63) }
      case .string(let value):
        let slice = text ?? keepText(Array(value.utf8))
        text = slice
        words[constant.column * stride + row] = slice.word
      }
      validity[start + row >> 6] |= 1 << UInt64(row & 63)
    }
  }
}

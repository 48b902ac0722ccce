/// Runs a ``RuleProgram`` over batches.
///
/// Holds all the memory that a run needs, so nothing is allocated once it is warm but for texts and decimals that no kernel
/// handles. One task owns it.
public struct RuleEvaluator: Sendable {
  /// Words of a bitmap.
  static let bitmapWords = Limits.batchRows / 64

  /// What it runs.
  public let program: RuleProgram
  var bits: [UInt64]
  var registers: [[UInt64]]
  var decimals: [[Int128]]
  var reasons: [[UInt8]]
  var matchers: [RegexMatcher]
  /// Text constants, then texts made for the batch, then padding.
  var arena: [UInt8]
  var arenaCount: Int
  /// The rows of the batch.
  var batchRows = RowBits.zero

  /// Allocates what the program needs: about 8 KiB for each intermediate column of numbers or texts and 128 bytes for each
  /// of truth values.
  public init(_ program: RuleProgram) {
    self.program = program
    let plan = program.plan
    bits = [UInt64](repeating: 0, count: plan.bitmapCount * Self.bitmapWords)
    registers = (0..<plan.registerCount).map {
      [UInt64](repeating: plan.constantRegisters[$0] ?? 0, count: Limits.batchRows)
    }
    decimals = (0..<plan.decimalCount).map { _ in [Int128](repeating: 0, count: Limits.batchRows) }
    reasons = (0..<plan.reasonCount).map { _ in [UInt8](repeating: 0, count: Limits.batchRows) }
    matchers = plan.expressions.map { RegexMatcher($0) }
    arena = plan.constants + [UInt8](repeating: 0, count: EventBatch.padding)
    arenaCount = plan.constants.count
  }

  /// Evaluates rules on all rows of a batch.
  ///
  /// - Parameters:
  ///   - batch: of the program's layout.
  ///   - lists: the values of declared lists, by the index that the rules were compiled with.
  ///   - outcomes: of as many rules as the program has expressions; every row of the batch is written.
  /// - Precondition: every expression is BOOLEAN.
  package mutating func evaluate(
    _ batch: borrowing EventBatch, lists: [ListValues] = [], into outcomes: inout RuleOutcomes
  ) {
    let words = (batch.rowCount + 63) >> 6
    let plan = program.plan
    precondition(
      outcomes.ruleCount == plan.results.count && outcomes.stride >= words,
      "outcomes of \(outcomes.ruleCount) rules for \(plan.results.count) rules")
    run(batch, lists: lists)
    if words <= 1 {
      write(into: &outcomes, words, batch, RowWord.self)
    } else {
      write(into: &outcomes, words, batch, RowBits.self)
    }
  }

  private func write<Rows: RowSet>(
    into outcomes: inout RuleOutcomes, _ words: Int, _ batch: borrowing EventBatch, _: Rows.Type
  ) {
    let plan = program.plan
    let rows = Rows(bits: batchRows)
    // Whether all words of a rule are written, so that none is left from a larger batch.
    let isWhole = outcomes.stride == 1 || words > 1 && outcomes.stride == Self.bitmapWords
    for rule in plan.results.indices {
      let result = LogicOperand(plan.results[rule])
      let start = rule * outcomes.stride
      let truth = load(result.truth, batch, Rows.self) & rows
      put(truth, words, &outcomes.triggered, start, &outcomes.mayBeTriggered[rule], isWhole)
      if result.valid == .all {
        put(.none as Rows, words, &outcomes.error, start, &outcomes.mayBeError[rule], isWhole)
        put(.none as Rows, words, &outcomes.null, start, &outcomes.mayBeNull[rule], isWhole)
        continue
      }
      let error = load(result.error, batch, Rows.self) & rows
      put(error, words, &outcomes.error, start, &outcomes.mayBeError[rule], isWhole)
      let null = rows & ~(load(result.valid, batch, Rows.self) | error)
      put(null, words, &outcomes.null, start, &outcomes.mayBeNull[rule], isWhole)
    }
  }

  /// Writes a rule's rows, but where there are none and none stood there before.
  @inline(__always)
  private func put<Rows: RowSet>(
    _ rows: Rows, _ words: Int, _ bits: inout [UInt64], _ start: Int, _ mayBeSet: inout Bool, _ isWhole: Bool
  ) {
    let isEmpty = rows == .none
    if isEmpty && !mayBeSet { return }
    put(rows, words, &bits, start)
    mayBeSet = !(isEmpty && isWhole)
  }

  /// Writes a rule's rows in one go. Where a rule has fewer words than a set, what spills over is the next rule's, which
  /// comes next.
  @inline(__always)
  private func put<Rows: RowSet>(_ rows: Rows, _ words: Int, _ bits: inout [UInt64], _ start: Int) {
    if start &+ Self.bitmapWords <= bits.count {
      var span = bits.mutableSpan
      rows.store(to: &span, at: start)
    } else {
      for word in 0..<words { bits[start + word] = rows[word] }
    }
  }

  /// Runs all steps, after which the outcome of every expression stands ready.
  mutating func run(_ batch: borrowing EventBatch, lists: [ListValues]) {
    precondition(batch.rowCount <= Limits.batchRows, "\(batch.rowCount) rows")
    batchRows = allRows(batch.rowCount)
    arenaCount = program.plan.constants.count
    if batch.rowCount <= 64 {
      run(batch, lists, RowWord.self)
    } else {
      run(batch, lists, RowBits.self)
    }
  }

  private mutating func run<Rows: RowSet>(_ batch: borrowing EventBatch, _ lists: [ListValues], _: Rows.Type) {
    let plan = program.plan
    var index = 0
    while index < plan.steps.count {
      let step = plan.steps[index]
      index += 1
      if case .skip(let bitmap, let target, let clear) = step {
        if load(.bitmap(bitmap), batch, Rows.self) & Rows(bits: batchRows) == .none {
          index = target
          if let clear { store(Rows.none, clear) }
        }
      } else {
        run(step, plan, batch, lists, Rows.self)
      }
    }
  }

  // MARK: Reading bits

  @inline(__always)
  func bitWord(_ source: BitSource, _ word: Int, _ batch: borrowing EventBatch) -> UInt64 {
    switch source {
    case .none: 0
    case .all: .max
    case .column(let column): batch.words[column * batch.stride + word]
    case .validity(let column): batch.validity[column * batch.bitmapStride + word]
    case .bitmap(let bitmap): bits[bitmap * Self.bitmapWords + word]
    }
  }

  /// The rows of a batch that are in both sources.
  func rows<Rows: RowSet>(_ a: BitSource, _ b: BitSource, _ batch: borrowing EventBatch) -> Rows {
    var rows = Rows(bits: batchRows)
    if a != .all { rows &= load(a, batch, Rows.self) }
    if b != .all { rows &= load(b, batch, Rows.self) }
    return rows
  }

  func isSet(_ source: BitSource, row: Int, _ batch: borrowing EventBatch) -> Bool {
    bitWord(source, row >> 6, batch) >> UInt64(row & 63) & 1 == 1
  }

  /// The rows of a source. Those beyond the batch's are any.
  @inline(__always)
  func load<Rows: RowSet>(_ source: BitSource, _ batch: borrowing EventBatch, _: Rows.Type) -> Rows {
    switch source {
    case .none: return .none
    case .all: return .every
    case .column(let column): return load(batch.words.span, column * batch.stride, batch.rowCount)
    case .validity(let column): return load(batch.validity.span, column * batch.bitmapStride, batch.rowCount)
    case .bitmap(let bitmap): return Rows(bits.span, at: bitmap &* Self.bitmapWords)
    }
  }

  @inline(__always)
  private func load<Rows: RowSet>(_ words: Span<UInt64>, _ start: Int, _ count: Int) -> Rows {
    if start &+ Self.bitmapWords <= words.count { return Rows(words, at: start) }
    var rows = Rows.none
    for word in 0..<((count &+ 63) >> 6) { rows[word] = words[start &+ word] }
    return rows
  }

  /// Writes rows as a bitmap.
  @inline(__always)
  mutating func store<Rows: RowSet>(_ rows: Rows, _ bitmap: Int) {
    var words = bits.mutableSpan
    rows.store(to: &words, at: bitmap &* Self.bitmapWords)
  }

  /// The words that a source reads from and where they start; constants have registers of their own where this is asked.
  @inline(__always)
  func withWords<Result>(
    _ source: WordSource, _ batch: borrowing EventBatch, _ body: (Span<UInt64>, Int) -> Result
  ) -> Result {
    switch source {
    case .column(let column): return body(batch.words.span, column * batch.stride)
    case .register(let register):
      let words = registers[register]
      return body(words.span, 0)
    case .constant: preconditionFailure("a constant is no column")
    }
  }

  /// The bytes that a text source's slices lie in.
  @inline(__always)
  func withBytes<Result>(
    _ source: WordSource, _ batch: borrowing EventBatch, _ body: (Span<UInt8>) -> Result
  ) -> Result {
    switch source {
    case .column: return body(batch.bytes.span)
    case .register, .constant: return body(arena.span)
    }
  }

  func slice(_ source: WordSource, row: Int, _ batch: borrowing EventBatch) -> TextSlice {
    TextSlice(word: word(source, row: row, batch))
  }

  @inline(__always)
  func word(_ source: WordSource, row: Int, _ batch: borrowing EventBatch) -> UInt64 {
    switch source {
    case .column(let column): batch.words[column * batch.stride + row]
    case .register(let register): registers[register][row]
    case .constant(let word): word
    }
  }

  /// Adds a text to the arena.
  mutating func keep(_ text: [UInt8]) -> TextSlice {
    let needed = arenaCount + text.count + EventBatch.padding
    if arena.count < needed { arena += [UInt8](repeating: 0, count: max(needed - arena.count, arena.count)) }
    arena.replaceSubrange(arenaCount..<(arenaCount + text.count), with: text)
    defer { arenaCount += text.count }
    return TextSlice(offset: arenaCount, count: text.count)
  }
}

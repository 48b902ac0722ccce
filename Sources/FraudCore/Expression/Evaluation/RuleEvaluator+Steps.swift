extension RuleEvaluator {
  mutating func run<Rows: RowSet>(
    _ step: Step, _ plan: Plan, _ batch: borrowing EventBatch, _ lists: [ListValues], _: Rows.Type
  ) {
    switch step {
    case .combine(let operands, let valid, let error):
      combine(plan, operands, valid, error, batch, Rows.self)
    case .compareIntegers(let comparison, let a, let b, let valid, let within, let truth):
      store(compareNumbers(comparison, a, b, doubles: false, rows(valid, within, batch) as Rows, batch), truth)
    case .compareDoubles(let comparison, let a, let b, let valid, let within, let truth):
      store(compareNumbers(comparison, a, b, doubles: true, rows(valid, within, batch) as Rows, batch), truth)
    case .integersBetween(let source, let low, let high, let valid, let within, let truth):
      let rows: Rows = rows(valid, within, batch)
      let found = withWords(source, batch) {
        FraudCore.integersBetween($0, from: $1, low, high, rows, batch.rowCount)
      }
      store(found, truth)
    case .doublesBetween(let source, let low, let high, let valid, let within, let truth):
      let rows: Rows = rows(valid, within, batch)
      let found = withWords(source, batch) { FraudCore.doublesBetween($0, from: $1, low, high, rows, batch.rowCount) }
      store(found, truth)
    case .compareTexts(let comparison, let a, let b, let valid, let within, let truth):
      store(compareTexts(comparison, a, b, rows(valid, within, batch) as Rows, batch), truth)
    case .compareBits(let comparison, let a, let b, let valid, let truth):
      let x = load(a, batch, Rows.self)
      let y = load(b, batch, Rows.self)
      let result =
        switch comparison {
        case .equal, .nullSafeEqual: ~(x ^ y)
        case .notEqual: x ^ y
        case .less: ~x & y
        case .lessOrEqual: ~x | y
        case .greater: x & ~y
        case .greaterOrEqual: x | ~y
        }
      store(result & load(valid, batch, Rows.self), truth)
    case .integersIn(let source, let set, let valid, let within, let truth):
      let rows: Rows = rows(valid, within, batch)
      let found = withWords(source, batch) {
        FraudCore.integersIn(plan.integerSets[set], $0, from: $1, rows, batch.rowCount)
      }
      store(found, truth)
    case .textsIn(let source, let set, let valid, let within, let truth):
      let rows: Rows = rows(valid, within, batch)
      let found = withTexts(source, batch) {
        FraudCore.textsIn(plan.textSets[set], $0, from: $1, $2, rows, batch.rowCount)
      }
      store(found, truth)
    case .inList(let index, let list, let within, let truth):
      let operand = plan.listOperands[index]
      let rows: Rows = rows(operand.valid, within, batch)
      // Integers, the usual list, have a loop of their own: asking which kind it is for every row took longer than the test.
      if case .integers(let set) = lists[list].values, case .words(let source) = operand.value, case .column = source {
        store(withWords(source, batch) { FraudCore.integersIn(set, $0, from: $1, rows, batch.rowCount) }, truth)
      } else {
        store(testRows(in: rows, batch.rowCount) { contains(lists[list], operand, row: $0, batch) }, truth)
      }
    case .like(let source, let search, let valid, let within, let truth):
      let rows: Rows = rows(valid, within, batch)
      let found = withTexts(source, batch) {
        searchTexts(plan.searches[search], $0, from: $1, $2, rows, batch.rowCount)
      }
      store(found, truth)
    case .matches(let source, let expression, let valid, let within, let truth):
      store(match(source, expression, rows(valid, within, batch) as Rows, batch), truth)
    case .not(let source, let valid, let truth):
      store(load(valid, batch, Rows.self) & ~load(source, batch, Rows.self), truth)
    case .isNull(let valid, let error, let truth):
      store(~(load(valid, batch, Rows.self) | load(error, batch, Rows.self)), truth)
    case .subtract(let a, let b, let truth): store(load(a, batch, Rows.self) & ~load(b, batch, Rows.self), truth)
    case .nullSafeEqual(let equal, let operands, let truth):
      let a = plan.logic[operands.start]
      let b = plan.logic[operands.start + 1]
      let left = load(a.valid, batch, Rows.self) | load(a.error, batch, Rows.self)
      let right = load(b.valid, batch, Rows.self) | load(b.error, batch, Rows.self)
      store(load(equal, batch, Rows.self) | ~(left | right), truth)
    case .and(let operands, let truth, let valid, let error):
      conjunction(plan, operands, truth, valid, error, batch, Rows.self)
    case .or(let operands, let truth, let valid, let error):
      disjunction(plan, operands, truth, valid, error, batch, Rows.self)
    case .narrow(let within, let operand, let keep, let into):
      let open = load(within, batch, Rows.self)
      let truth = load(operand.truth, batch, Rows.self)
      switch keep {
      case .isTrue: store(open & truth, into)
      case .notTrue: store(open & ~(truth | load(operand.error, batch, Rows.self)), into)
      case .notFalse where operand.valid == .all: store(open & truth, into)
      case .notFalse:
        store(open & (truth | ~(load(operand.valid, batch, Rows.self) | load(operand.error, batch, Rows.self))), into)
      case .isNull: store(open & ~(load(operand.valid, batch, Rows.self) | load(operand.error, batch, Rows.self)), into)
      }
    case .integerArithmetic(
      let operation, let a, let b, let range, let valid, let error, let into, let validInto, let errorInto):
      let overflow: Rows = calculateIntegers(operation, a, b, range, into, batch)
      raise(overflow, valid, error, validInto, errorInto, batch)
    case .doubleArithmetic(let operation, let a, let b, let into):
      calculateDoubles(operation, a, b, into, batch)
    case .zeroDivisor(let source, let valid, let error, let validInto, let errorInto):
      let rows: Rows = rows(valid, .all, batch)
      let zeros = withWords(source, batch) { compareDoubles(.equal, $0, from: $1, 0, rows, batch.rowCount) }
      raise(zeros, valid, error, validInto, errorInto, batch)
    case .integersToDoubles(let source, let into):
      var result = takeRegister(into)
      withWords(source, batch) { convertInto(&result, $0, $1, batch.rowCount) }
      registers[into] = result
    case .select(let index): select(plan.selections[index], batch, Rows.self)
    case .scalar(let index): scalar(plan.scalars[index], batch, Rows.self)
    case .index(let index):
      let rows: Rows = rows(plan.indexes[index].valid, .all, batch)
      evaluate(plan.indexes[index], rows, batch)
    case .skip: break
    }
  }

  /// Runs an index, with the bitmaps lent to it.
  private mutating func evaluate<Rows: RowSet>(_ index: PredicateIndex, _ rows: Rows, _ batch: borrowing EventBatch) {
    var lent: [UInt64] = []
    swap(&lent, &bits)
    var span = lent.mutableSpan
    index.evaluate(
      batch.words.span, from: index.column * batch.stride, batch.bytes.span, rows, batch.rowCount, into: &span)
    swap(&lent, &bits)
  }

  // MARK: Logic

  private mutating func combine<Rows: RowSet>(
    _ plan: Plan, _ operands: TableRange, _ validInto: Int, _ errorInto: Int?, _ batch: borrowing EventBatch,
    _: Rows.Type
  ) {
    var valid = Rows.every
    var error = Rows.none
    for index in operands.indices {
      // An operand behind a NULL or an error is not looked at.
      error |= valid & load(plan.logic[index].error, batch, Rows.self)
      valid &= load(plan.logic[index].valid, batch, Rows.self)
    }
    store(valid, validInto)
    if let errorInto { store(error, errorInto) }
  }

  private mutating func conjunction<Rows: RowSet>(
    _ plan: Plan, _ operands: TableRange, _ truthInto: Int, _ validInto: Int?, _ errorInto: Int?,
    _ batch: borrowing EventBatch, _: Rows.Type
  ) {
    var truth = Rows.every
    guard let validInto else {
      for index in operands.indices { truth &= load(plan.logic[index].truth, batch, Rows.self) }
      store(truth, truthInto)
      return
    }
    // Rows decided as FALSE, and those where an operand raised before that.
    var no = Rows.none
    var error = Rows.none
    for index in operands.indices {
      let isTrue = load(plan.logic[index].truth, batch, Rows.self)
      let open = ~(no | error)
      error |= open & load(plan.logic[index].error, batch, Rows.self)
      no |= open & load(plan.logic[index].valid, batch, Rows.self) & ~isTrue
      truth &= isTrue
    }
    store(truth, truthInto)
    store(truth | no, validInto)
    if let errorInto { store(error, errorInto) }
  }

  private mutating func disjunction<Rows: RowSet>(
    _ plan: Plan, _ operands: TableRange, _ truthInto: Int, _ validInto: Int?, _ errorInto: Int?,
    _ batch: borrowing EventBatch, _: Rows.Type
  ) {
    var truth = Rows.none
    guard let validInto else {
      for index in operands.indices { truth |= load(plan.logic[index].truth, batch, Rows.self) }
      store(truth, truthInto)
      return
    }
    var no = Rows.every
    var error = Rows.none
    for index in operands.indices {
      let isTrue = load(plan.logic[index].truth, batch, Rows.self)
      let open = ~(truth | error)
      error |= open & load(plan.logic[index].error, batch, Rows.self)
      truth |= open & isTrue
      no &= load(plan.logic[index].valid, batch, Rows.self) & ~isTrue
    }
    store(truth, truthInto)
    store(truth | no, validInto)
    if let errorInto { store(error, errorInto) }
  }

  /// Moves rows from valid to error.
  private mutating func raise<Rows: RowSet>(
    _ raising: Rows, _ valid: BitSource, _ error: BitSource, _ validInto: Int, _ errorInto: Int,
    _ batch: borrowing EventBatch
  ) {
    let before = load(valid, batch, Rows.self)
    let errors = load(error, batch, Rows.self) | (before & raising)
    store(before & ~raising, validInto)
    store(errors, errorInto)
  }

  // MARK: Numbers

  private func compareNumbers<Rows: RowSet>(
    _ comparison: Comparison, _ a: WordSource, _ b: WordSource, doubles: Bool, _ rows: Rows,
    _ batch: borrowing EventBatch
  ) -> Rows {
    let count = batch.rowCount
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
      let order =
        doubles
        ? compare(Double(bitPattern: x), Double(bitPattern: y))
        : compare(.integer(Int64(bitPattern: x)), .integer(Int64(bitPattern: y)))
      return comparison.holds(order) ? rows : .none
    case (_, .constant(let word)):
      return withWords(a, batch) {
        doubles
          ? compareDoubles(comparison, $0, from: $1, Double(bitPattern: word), rows, count)
          : compareIntegers(comparison, $0, from: $1, Int64(bitPattern: word), rows, count)
      }
    case (.constant, _): return compareNumbers(comparison.mirrored, b, a, doubles: doubles, rows, batch)
    default:
      return withWords(a, batch) { x, xStart in
        withWords(b, batch) { y, yStart in
          doubles
            ? compareDoubles(comparison, x, from: xStart, y, from: yStart, rows, count)
            : compareIntegers(comparison, x, from: xStart, y, from: yStart, rows, count)
        }
      }
    }
  }

  /// A register to write to, moved out so that others can be read meanwhile.
  private mutating func takeRegister(_ register: Int) -> [UInt64] {
    var taken: [UInt64] = []
    swap(&taken, &registers[register])
    return taken
  }

  private func convertInto(_ result: inout [UInt64], _ words: Span<UInt64>, _ start: Int, _ count: Int) {
    var span = result.mutableSpan
    convertIntegers(words, from: start, count, into: &span)
  }

  private mutating func calculateDoubles(
    _ operation: Arithmetic, _ a: WordSource, _ b: WordSource, _ into: Int, _ batch: borrowing EventBatch
  ) {
    var result = takeRegister(into)
    withWords(a, batch) { x, xStart in
      withWords(b, batch) { y, yStart in
        var span = result.mutableSpan
        FraudCore.calculateDoubles(operation, x, from: xStart, y, from: yStart, batch.rowCount, into: &span)
      }
    }
    registers[into] = result
  }

  private mutating func calculateIntegers<Rows: RowSet>(
    _ operation: Arithmetic, _ a: WordSource, _ b: WordSource, _ range: ClosedRange<Int64>, _ into: Int,
    _ batch: borrowing EventBatch
  ) -> Rows {
    var result = takeRegister(into)
    let overflow = withWords(a, batch) { x, xStart in
      withWords(b, batch) { y, yStart in
        var span = result.mutableSpan
        return FraudCore.calculateIntegers(
          operation, x, from: xStart, y, from: yStart, batch.rowCount, Rows(bits: batchRows), range: range, into: &span)
      }
    }
    registers[into] = result
    return overflow
  }

  // MARK: Texts

  /// Slices and bytes of a text source that is no constant.
  @inline(__always)
  private func withTexts<Result>(
    _ source: WordSource, _ batch: borrowing EventBatch, _ body: (Span<UInt64>, Int, Span<UInt8>) -> Result
  ) -> Result {
    switch source {
    case .column(let column): return body(batch.words.span, column * batch.stride, batch.bytes.span)
    case .register(let register):
      let words = registers[register]
      return body(words.span, 0, arena.span)
    case .constant: preconditionFailure("a constant is no column")
    }
  }

  private func compareTexts<Rows: RowSet>(
    _ comparison: Comparison, _ a: WordSource, _ b: WordSource, _ rows: Rows, _ batch: borrowing EventBatch
  ) -> Rows {
    let count = batch.rowCount
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
      let order = compareSlices(arena.span, TextSlice(word: x), arena.span, TextSlice(word: y))
      return comparison.holds(order) ? rows : .none
    case (.constant, _): return compareTexts(comparison.mirrored, b, a, rows, batch)
    case (_, .constant(let word)):
      let constant = TextSlice(word: word)
      return withTexts(a, batch) { x, xStart, xBytes in
        switch comparison {
        case .equal, .nullSafeEqual:
          return textsEqual(x, from: xStart, xBytes, arena.span.extracting(constant.range), rows, count)
        case .notEqual:
          return rows & ~textsEqual(x, from: xStart, xBytes, arena.span.extracting(constant.range), rows, count)
        default:
          return FraudCore.compareTexts(comparison, x, from: xStart, xBytes, constant, arena.span, rows, count)
        }
      }
    default:
      return withTexts(a, batch) { x, xStart, xBytes in
        withTexts(b, batch) { y, yStart, yBytes in
          FraudCore.compareTexts(comparison, x, from: xStart, xBytes, y, from: yStart, yBytes, rows, count)
        }
      }
    }
  }

  private mutating func match<Rows: RowSet>(
    _ source: WordSource, _ expression: Int, _ rows: Rows, _ batch: borrowing EventBatch
  ) -> Rows {
    var found = Rows.none
    let made = arena
    forEachRow(in: rows, batch.rowCount) { row in
      let range = slice(source, row: row, batch).range
      let isMatch: Bool
      if case .column = source {
        isMatch = matchers[expression].isMatch(batch.bytes.span.extracting(range))
      } else {
        isMatch = matchers[expression].isMatch(made.span.extracting(range))
      }
      if isMatch { found[row >> 6] |= 1 &<< UInt64(row & 63) }
    }
    return found
  }

  private func contains(_ list: ListValues, _ operand: Operand, row: Int, _ batch: borrowing EventBatch) -> Bool {
    switch (list.values, operand.value) {
    case (.integers(let set), .words(let source)): return set.contains(Int64(bitPattern: word(source, row: row, batch)))
    case (.integers(let set), .bits(let source)): return set.contains(isSet(source, row: row, batch) ? 1 : 0)
    case (.doubles(let set), .words(let source)):
      return set.contains(Int64(bitPattern: ListValues.key(Double(bitPattern: word(source, row: row, batch)))))
    case (.texts(let set), .text(let source)):
      let slice = slice(source, row: row, batch)
      return withBytes(source, batch) { bytes in
        set.contains(bytes, slice.offset, slice.count, bytes.word(at: slice.offset) & prefixMask(slice.count))
      }
    default: preconditionFailure("a list and what is tested with it have one type")
    }
  }
}

extension Comparison {
  /// The comparison with its sides exchanged.
  var mirrored: Comparison {
    switch self {
    case .equal, .notEqual, .nullSafeEqual: self
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    }
  }
}

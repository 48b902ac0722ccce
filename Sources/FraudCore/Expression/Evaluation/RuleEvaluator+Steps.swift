extension RuleEvaluator {
  mutating func run(_ step: Step, _ plan: Plan, _ batch: borrowing EventBatch, _ lists: [ListValues]) {
    let words = (batch.rowCount + 63) >> 6
    switch step {
    case .combine(let operands, let valid, let error):
      combine(plan, operands, valid, error, words, batch)
    case .compareIntegers(let comparison, let a, let b, let valid, let within, let truth):
      store(compareNumbers(comparison, a, b, doubles: false, rows(valid, within, batch), batch), truth, words)
    case .compareDoubles(let comparison, let a, let b, let valid, let within, let truth):
      store(compareNumbers(comparison, a, b, doubles: true, rows(valid, within, batch), batch), truth, words)
    case .integersBetween(let source, let low, let high, let valid, let within, let truth):
      let rows = rows(valid, within, batch)
      let found = withWords(source, batch) {
        FraudCore.integersBetween($0, from: $1, low, high, rows, batch.rowCount)
      }
      store(found, truth, words)
    case .doublesBetween(let source, let low, let high, let valid, let within, let truth):
      let rows = rows(valid, within, batch)
      let found = withWords(source, batch) { FraudCore.doublesBetween($0, from: $1, low, high, rows, batch.rowCount) }
      store(found, truth, words)
    case .compareTexts(let comparison, let a, let b, let valid, let within, let truth):
      store(compareTexts(comparison, a, b, rows(valid, within, batch), batch), truth, words)
    case .compareBits(let comparison, let a, let b, let valid, let truth):
      for word in 0..<words {
        let x = bitWord(a, word, batch)
        let y = bitWord(b, word, batch)
        let result =
          switch comparison {
          case .equal, .nullSafeEqual: ~(x ^ y)
          case .notEqual: x ^ y
          case .less: ~x & y
          case .lessOrEqual: ~x | y
          case .greater: x & ~y
          case .greaterOrEqual: x | ~y
          }
        setBitWord(truth, word, result & bitWord(valid, word, batch))
      }
    case .integersIn(let source, let set, let valid, let within, let truth):
      let rows = rows(valid, within, batch)
      let found = withWords(source, batch) {
        FraudCore.integersIn(plan.integerSets[set], $0, from: $1, rows, batch.rowCount)
      }
      store(found, truth, words)
    case .textsIn(let source, let set, let valid, let within, let truth):
      let rows = rows(valid, within, batch)
      let found = withTexts(source, batch) {
        FraudCore.textsIn(plan.textSets[set], $0, from: $1, $2, rows, batch.rowCount)
      }
      store(found, truth, words)
    case .inList(let index, let list, let within, let truth):
      let operand = plan.listOperands[index]
      let rows = rows(operand.valid, within, batch)
      let found = testRows(in: rows, batch.rowCount) { contains(lists[list], operand, row: $0, batch) }
      store(found, truth, words)
    case .like(let source, let search, let valid, let within, let truth):
      let rows = rows(valid, within, batch)
      let found = withTexts(source, batch) {
        searchTexts(plan.searches[search], $0, from: $1, $2, rows, batch.rowCount)
      }
      store(found, truth, words)
    case .matches(let source, let expression, let valid, let within, let truth):
      store(match(source, expression, rows(valid, within, batch), batch), truth, words)
    case .not(let source, let valid, let truth):
      for word in 0..<words {
        setBitWord(truth, word, ~bitWord(source, word, batch) & bitWord(valid, word, batch))
      }
    case .isNull(let valid, let error, let truth):
      for word in 0..<words {
        setBitWord(truth, word, ~(bitWord(valid, word, batch) | bitWord(error, word, batch)))
      }
    case .subtract(let a, let b, let truth):
      for word in 0..<words { setBitWord(truth, word, bitWord(a, word, batch) & ~bitWord(b, word, batch)) }
    case .nullSafeEqual(let equal, let operands, let truth):
      let a = plan.logic[operands.start]
      let b = plan.logic[operands.start + 1]
      for word in 0..<words {
        let left = bitWord(a.valid, word, batch) | bitWord(a.error, word, batch)
        let right = bitWord(b.valid, word, batch) | bitWord(b.error, word, batch)
        setBitWord(truth, word, bitWord(equal, word, batch) | ~(left | right))
      }
    case .and(let operands, let truth, let valid, let error):
      conjunction(plan, operands, truth, valid, error, words, batch)
    case .or(let operands, let truth, let valid, let error):
      disjunction(plan, operands, truth, valid, error, words, batch)
    case .narrow(let within, let operand, let keep, let into):
      var open = load(within, words, batch)
      let truth = load(operand.truth, words, batch)
      switch keep {
      case .isTrue:
        for word in 0..<words { open[word] &= truth[word] }
      case .notTrue:
        let error = load(operand.error, words, batch)
        for word in 0..<words { open[word] &= ~(truth[word] | error[word]) }
      case .notFalse where operand.valid == .all:
        for word in 0..<words { open[word] &= truth[word] }
      case .notFalse, .isNull:
        let valid = load(operand.valid, words, batch)
        let error = load(operand.error, words, batch)
        for word in 0..<words {
          let isNull = ~(valid[word] | error[word])
          open[word] &= keep == .isNull ? isNull : truth[word] | isNull
        }
      }
      store(open, into, words)
    case .integerArithmetic(
      let operation, let a, let b, let range, let valid, let error, let into, let validInto, let errorInto):
      let overflow = calculateIntegers(operation, a, b, range, into, batch)
      raise(overflow, valid, error, validInto, errorInto, words, batch)
    case .doubleArithmetic(let operation, let a, let b, let into):
      calculateDoubles(operation, a, b, into, batch)
    case .zeroDivisor(let source, let valid, let error, let validInto, let errorInto):
      let rows = rows(valid, .all, batch)
      let zeros = withWords(source, batch) { compareDoubles(.equal, $0, from: $1, 0, rows, batch.rowCount) }
      raise(zeros, valid, error, validInto, errorInto, words, batch)
    case .integersToDoubles(let source, let into):
      var result = takeRegister(into)
      withWords(source, batch) { convertInto(&result, $0, $1, batch.rowCount) }
      registers[into] = result
    case .select(let index): select(plan.selections[index], words, batch)
    case .scalar(let index): scalar(plan.scalars[index], words, batch)
    case .index(let index):
      let rows = rows(plan.indexes[index].valid, .all, batch)
      evaluate(plan.indexes[index], rows, batch)
    case .skip: break
    }
  }

  /// Runs an index, with the bitmaps lent to it.
  private mutating func evaluate(_ index: PredicateIndex, _ rows: RowBits, _ batch: borrowing EventBatch) {
    var lent: [UInt64] = []
    swap(&lent, &bits)
    var span = lent.mutableSpan
    index.evaluate(
      batch.words.span, from: index.column * batch.stride, batch.bytes.span, rows, batch.rowCount, into: &span)
    swap(&lent, &bits)
  }

  // MARK: Logic

  private mutating func combine(
    _ plan: Plan, _ operands: TableRange, _ validInto: Int, _ errorInto: Int?, _ words: Int,
    _ batch: borrowing EventBatch
  ) {
    for word in 0..<words {
      var valid = UInt64.max
      var error: UInt64 = 0
      for index in operands.indices {
        let operand = plan.logic[index]
        // An operand behind a NULL or an error is not looked at.
        error |= valid & bitWord(operand.error, word, batch)
        valid &= bitWord(operand.valid, word, batch)
      }
      setBitWord(validInto, word, valid)
      if let errorInto { setBitWord(errorInto, word, error) }
    }
  }

  private mutating func conjunction(
    _ plan: Plan, _ operands: TableRange, _ truthInto: Int, _ validInto: Int?, _ errorInto: Int?, _ words: Int,
    _ batch: borrowing EventBatch
  ) {
    var truth = RowBits(repeating: .max)
    guard let validInto else {
      for index in operands.indices {
        let isTrue = load(plan.logic[index].truth, words, batch)
        for word in 0..<words { truth[word] &= isTrue[word] }
      }
      store(truth, truthInto, words)
      return
    }
    // Rows decided as FALSE, and those where an operand raised before that.
    var no = RowBits(repeating: 0)
    var error = RowBits(repeating: 0)
    for index in operands.indices {
      let isTrue = load(plan.logic[index].truth, words, batch)
      let valid = load(plan.logic[index].valid, words, batch)
      let raised = load(plan.logic[index].error, words, batch)
      for word in 0..<words {
        let open = ~(no[word] | error[word])
        error[word] |= open & raised[word]
        no[word] |= open & valid[word] & ~isTrue[word]
        truth[word] &= isTrue[word]
      }
    }
    for word in 0..<words { no[word] |= truth[word] }
    store(truth, truthInto, words)
    store(no, validInto, words)
    if let errorInto { store(error, errorInto, words) }
  }

  private mutating func disjunction(
    _ plan: Plan, _ operands: TableRange, _ truthInto: Int, _ validInto: Int?, _ errorInto: Int?, _ words: Int,
    _ batch: borrowing EventBatch
  ) {
    var truth = RowBits(repeating: 0)
    guard let validInto else {
      for index in operands.indices {
        let isTrue = load(plan.logic[index].truth, words, batch)
        for word in 0..<words { truth[word] |= isTrue[word] }
      }
      store(truth, truthInto, words)
      return
    }
    var no = RowBits(repeating: .max)
    var error = RowBits(repeating: 0)
    for index in operands.indices {
      let isTrue = load(plan.logic[index].truth, words, batch)
      let valid = load(plan.logic[index].valid, words, batch)
      let raised = load(plan.logic[index].error, words, batch)
      for word in 0..<words {
        let open = ~(truth[word] | error[word])
        error[word] |= open & raised[word]
        truth[word] |= open & isTrue[word]
        no[word] &= valid[word] & ~isTrue[word]
      }
    }
    for word in 0..<words { no[word] |= truth[word] }
    store(truth, truthInto, words)
    store(no, validInto, words)
    if let errorInto { store(error, errorInto, words) }
  }

  /// Moves rows from valid to error.
  private mutating func raise(
    _ raising: borrowing RowBits, _ valid: BitSource, _ error: BitSource, _ validInto: Int, _ errorInto: Int,
    _ words: Int, _ batch: borrowing EventBatch
  ) {
    for word in 0..<words {
      let before = bitWord(valid, word, batch)
      setBitWord(errorInto, word, bitWord(error, word, batch) | (before & raising[word]))
      setBitWord(validInto, word, before & ~raising[word])
    }
  }

  // MARK: Numbers

  private func compareNumbers(
    _ comparison: Comparison, _ a: WordSource, _ b: WordSource, doubles: Bool, _ rows: RowBits,
    _ batch: borrowing EventBatch
  ) -> RowBits {
    let count = batch.rowCount
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
      let order =
        doubles
        ? compare(Double(bitPattern: x), Double(bitPattern: y))
        : compare(.integer(Int64(bitPattern: x)), .integer(Int64(bitPattern: y)))
      return comparison.holds(order) ? rows : RowBits(repeating: 0)
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

  private mutating func calculateIntegers(
    _ operation: Arithmetic, _ a: WordSource, _ b: WordSource, _ range: ClosedRange<Int64>, _ into: Int,
    _ batch: borrowing EventBatch
  ) -> RowBits {
    var result = takeRegister(into)
    let overflow = withWords(a, batch) { x, xStart in
      withWords(b, batch) { y, yStart in
        var span = result.mutableSpan
        return FraudCore.calculateIntegers(
          operation, x, from: xStart, y, from: yStart, batch.rowCount, batchRows, range: range, into: &span)
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

  private func compareTexts(
    _ comparison: Comparison, _ a: WordSource, _ b: WordSource, _ rows: RowBits, _ batch: borrowing EventBatch
  ) -> RowBits {
    let count = batch.rowCount
    switch (a, b) {
    case (.constant(let x), .constant(let y)):
      let order = compareSlices(arena.span, TextSlice(word: x), arena.span, TextSlice(word: y))
      return comparison.holds(order) ? rows : RowBits(repeating: 0)
    case (.constant, _): return compareTexts(comparison.mirrored, b, a, rows, batch)
    case (_, .constant(let word)):
      let constant = TextSlice(word: word)
      return withTexts(a, batch) { x, xStart, xBytes in
        switch comparison {
        case .equal, .nullSafeEqual:
          return textsEqual(x, from: xStart, xBytes, arena.span.extracting(constant.range), rows, count)
        case .notEqual:
          var equal = textsEqual(x, from: xStart, xBytes, arena.span.extracting(constant.range), rows, count)
          for word in 0..<Self.bitmapWords { equal[word] = rows[word] & ~equal[word] }
          return equal
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

  private mutating func match(
    _ source: WordSource, _ expression: Int, _ rows: RowBits, _ batch: borrowing EventBatch
  ) -> RowBits {
    var found = RowBits(repeating: 0)
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

extension RuleEvaluator {
  /// Evaluates expressions of any type and writes each into a column of the batch.
  ///
  /// The expressions may read any column but those that are written here. A row that raises is NULL in its column; ask
  /// ``error(rule:row:in:)`` before the next batch.
  ///
  /// - Parameters:
  ///   - columns: for each expression the index of a column whose type is ``FieldType/init(holding:)`` of the expression's.
  /// - Returns: how many rows raised, by expression.
  package mutating func write(
    _ batch: inout EventBatch, lists: [ListValues] = [], into columns: [Int]
  ) -> [Int] {
    precondition(columns.count == program.count, "\(columns.count) columns for \(program.count) expressions")
    run(batch, lists: lists)
    var raised = [Int](repeating: 0, count: columns.count)
    for (index, column) in columns.enumerated() {
      let result = program.plan.results[index]
      let rows = allRows(batch.rowCount)
      for word in 0..<((batch.rowCount + 63) >> 6) {
        let valid = bitWord(result.valid, word, batch) & rows[word]
        raised[index] += (bitWord(result.error, word, batch) & rows[word]).nonzeroBitCount
        batch.validity[column * batch.bitmapStride + word] = valid
        if case .bits(let source) = result.value {
          batch.words[column * batch.stride + word] = bitWord(source, word, batch) & valid
        }
      }
      guard result.type != .boolean else { continue }
      for row in 0..<batch.rowCount {
        let place = column * batch.stride + row
        let isValid = batch.validity[column * batch.bitmapStride + row >> 6] >> UInt64(row & 63) & 1 == 1
        batch.words[place] = isValid ? columnWord(result, row: row, &batch) : 0
      }
    }
    return raised
  }

  /// A value as a column's word; a text is added to the batch's bytes.
  private func columnWord(_ operand: Operand, row: Int, _ batch: inout EventBatch) -> UInt64 {
    switch operand.value {
    case .words(let source):
      let word = word(source, row: row, batch)
      // A DATE stands in a timestamp column as its midnight; the greatest date is beyond what a timestamp holds.
      guard operand.type == .date else { return word }
      return UInt64(bitPattern: Int64(bitPattern: word).multipliedReportingOverflow(by: Calendar.microsecondsPerDay).0)
    case .text(.column(let column)): return word(.column(column), row: row, batch)
    case .text(let source):
      let range = TextSlice(word: word(source, row: row, batch)).range
      defer { batch.append(text: Array(arena[range])) }
      return TextSlice(offset: batch.byteCount, count: range.count).word
    case .decimals(let register):
      return DecimalArithmetic.double(decimals[register][row], scale: operand.type.decimalShape.scale).bitPattern
    case .decimal(let value):
      return DecimalArithmetic.double(value, scale: operand.type.decimalShape.scale).bitPattern
    case .bits, .nothing: return 0
    }
  }
}

extension FieldType {
  /// The type of a column for an expression's values, or `nil` for intervals and a bare NULL. Smaller numbers widen, a
  /// DECIMAL becomes a double, a DATE its midnight.
  public init?(holding type: DataType) {
    switch type {
    case .boolean: self = .boolean
    case .tinyint, .smallint, .int, .bigint: self = .integer
    case .float, .double, .decimal: self = .float
    case .string: self = .string
    case .date, .timestamp: self = .timestamp
    case .null, .dayTimeInterval, .yearMonthInterval: return nil
    }
  }
}

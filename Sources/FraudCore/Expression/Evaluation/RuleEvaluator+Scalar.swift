extension RuleEvaluator {
  // MARK: CASE and coalesce

  mutating func select<Rows: RowSet>(_ selection: Selection, _ batch: borrowing EventBatch, _: Rows.Type) {
    var open: Rows = rows(selection.within, .all, batch)
    var valid = Rows.none
    var error = Rows.none
    var truth = Rows.none
    for branch in selection.branches {
      let hasValue = load(branch.value.valid, batch, Rows.self)
      let raised = load(branch.value.error, batch, Rows.self)
      let taken: Rows
      if let condition = branch.condition {
        let chosen = open & load(LogicOperand(condition).truth, batch, Rows.self)
        let conditionRaised = open & load(condition.error, batch, Rows.self)
        error |= conditionRaised | (chosen & raised)
        taken = chosen & hasValue
        open &= ~(chosen | conditionRaised)
      } else {
        error |= open & raised
        taken = open & hasValue
        open &= ~(hasValue | raised)
      }
      valid |= taken
      if case .bits(let source) = branch.value.value { truth |= taken & load(source, batch, Rows.self) }
      copy(branch.value, taken, into: selection.into, batch)
    }
    store(valid, selection.validInto)
    if let errorInto = selection.errorInto { store(error, errorInto) }
    if selection.result == .boolean { store(truth, selection.into) }
  }

  private mutating func copy<Rows: RowSet>(_ operand: Operand, _ rows: Rows, into: Int, _ batch: borrowing EventBatch) {
    switch operand.value {
    case .bits, .nothing: break
    case .words(let source):
      forEachRow(in: rows, batch.rowCount) { registers[into][$0] = word(source, row: $0, batch) }
    case .text(.column(let column)):
      // Slices of a register lie in the arena.
      forEachRow(in: rows, batch.rowCount) { row in
        let range = slice(.column(column), row: row, batch).range
        registers[into][row] = keep(Array(batch.bytes[range])).word
      }
    case .text(let source):
      forEachRow(in: rows, batch.rowCount) { registers[into][$0] = word(source, row: $0, batch) }
    case .decimals(let register):
      forEachRow(in: rows, batch.rowCount) { decimals[into][$0] = decimals[register][$0] }
    case .decimal(let value): forEachRow(in: rows, batch.rowCount) { decimals[into][$0] = value }
    }
  }

  // MARK: Row by row

  mutating func scalar<Rows: RowSet>(_ step: ScalarStep, _ batch: borrowing EventBatch, _: Rows.Type) {
    let rows: Rows = rows(step.valid, step.guardSource, batch)
    var valid = Rows.none
    var raised = Rows.none
    var truth = Rows.none
    var arguments = [Value](repeating: .null, count: step.operands.count)
    forEachRow(in: rows, batch.rowCount) { row in
      let bit: UInt64 = 1 &<< UInt64(row & 63)
      for index in arguments.indices { arguments[index] = value(step.operands[index], row: row, batch) }
      do throws(EvaluationError) {
        let value: Value
        if let expression = step.expression, case .call(let function) = step.operation {
          value = try ScalarFunctions.regex(function, arguments, program.plan.expressions[expression])
        } else {
          value = try FraudCore.evaluate(
            step.operation, arguments, types: step.types, result: step.result, zones: program.plan.zones)
        }
        switch value {
        case .null: return
        case .boolean(let value): if value { truth[row >> 6] |= bit }
        case .integer(let value): registers[step.into][row] = UInt64(bitPattern: value)
        case .double(let value): registers[step.into][row] = value.bitPattern
        case .decimal(let value): decimals[step.into][row] = value
        case .string(let text):
          guard text.count <= Limits.batchMadeTextBytes - arenaCount else { throw .textTooLong }
          registers[step.into][row] = keep(text).word
        }
        valid[row >> 6] |= bit
      } catch {
        guard let reason = step.reasons else {
          assertionFailure("\(step.operation) raised \(error)")
          return
        }
        reasons[reason][row] = error.rawValue
        raised[row >> 6] |= bit
      }
    }
    let errors = raised | load(step.error, batch, Rows.self)
    store(valid, step.validInto)
    if let errorInto = step.errorInto { store(errors, errorInto) }
    if step.result == .boolean { store(truth, step.into) }
  }

  /// One operand's value in a row.
  func value(_ operand: Operand, row: Int, _ batch: borrowing EventBatch) -> Value {
    guard isSet(operand.valid, row: row, batch) else { return .null }
    switch operand.value {
    case .nothing: return .null
    case .bits(let source): return .boolean(isSet(source, row: row, batch))
    case .words(let source):
      let word = word(source, row: row, batch)
      return operand.type.representation == .doubles
        ? .double(Double(bitPattern: word)) : .integer(Int64(bitPattern: word))
    case .text(let source):
      let range = slice(source, row: row, batch).range
      if case .column = source { return .string(Array(batch.bytes[range])) }
      return .string(Array(arena[range]))
    case .decimals(let register): return .decimal(decimals[register][row])
    case .decimal(let value): return .decimal(value)
    }
  }
}

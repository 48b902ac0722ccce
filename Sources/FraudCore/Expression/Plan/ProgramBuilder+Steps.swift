extension ProgramBuilder {
  /// Emits a strict node, all of whose children are computed, and gives its outcome.
  mutating func emitStep(_ index: Int, within: BitSource) -> Operand {
    let node = nodes[index]
    if let range = node.range { return between(range, node, within: within) }
    switch node.operation {
    case .literal(let value): return literal(value, node.type)
    case .column(let column): return self.column(column, node.type)
    case .not:
      let operand = operand(node.children[0])
      let truth = newBitmap()
      append(.not(operand.truth, valid: operand.valid, truth: truth))
      return Operand(type: .boolean, value: .bits(.bitmap(truth)), valid: operand.valid, error: operand.error)
    case .isNull, .isNotNull, .isTrue, .isFalse: return nullTest(node)
    case .comparison(let comparison): return self.comparison(comparison, index, node, within: within)
    case .inValues: return constantSet(node, within: within)
    case .inList(let list):
      let operand = operand(node.children[0])
      let truth = newBitmap()
      append(.inList(operand: add(operand), list: list, guard: within, truth: truth))
      return Operand(type: .boolean, value: .bits(.bitmap(truth)), valid: operand.valid, error: operand.error)
    case .like, .rlike:
      if let operand = search(node, within: within) { return operand }
    case .call(.startsWith), .call(.endsWith), .call(.contains):
      if let operand = search(node, within: within) { return operand }
    case .cast:
      if let operand = conversion(node) { return operand }
    case .arithmetic(let arithmetic):
      if let operand = self.arithmetic(arithmetic, index, node) { return operand }
    default: break
    }
    return scalar(index, node, within: within)
  }

  // MARK: Leaves

  private mutating func literal(_ value: Value, _ type: DataType) -> Operand {
    switch value {
    case .null: Operand(type: type, value: emptyValue(type), valid: .none)
    case .boolean(let value): Operand(type: type, value: .bits(value ? .all : .none))
    case .integer(let value): Operand(type: type, value: .words(.constant(UInt64(bitPattern: value))))
    case .double(let value): Operand(type: type, value: .words(.constant(value.bitPattern)))
    case .decimal(let value): Operand(type: type, value: .decimal(value))
    case .string(let text): Operand(type: type, value: .text(.constant(slice(of: text).word)))
    }
  }

  private func emptyValue(_ type: DataType) -> ValueSource {
    switch type.representation {
    case .bits: .bits(.none)
    case .integers, .doubles: .words(.constant(0))
    case .text: .text(.constant(0))
    case .decimals: .decimal(0)
    case .nothing: .nothing
    }
  }

  private func column(_ column: Int, _ type: DataType) -> Operand {
    let valid: BitSource = layout.columns[column].nullable ? .validity(column) : .all
    return switch type.representation {
    case .bits: Operand(type: type, value: .bits(.column(column)), valid: valid)
    case .text: Operand(type: type, value: .text(.column(column)), valid: valid)
    default: Operand(type: type, value: .words(.column(column)), valid: valid)
    }
  }

  // MARK: Operands of strict operations

  /// The rows where all operands have a value and those where one raised before one was NULL, in their order.
  private mutating func inputs(_ operands: [Operand]) -> (valid: BitSource, error: BitSource) {
    let partial = operands.filter { !$0.isAlwaysValid }
    if partial.isEmpty { return (.all, .none) }
    if partial.count == 1 || partial.allSatisfy({ $0.valid == partial[0].valid && $0.error == partial[0].error }) {
      return (partial[0].valid, partial[0].error)
    }
    let valid = newBitmap()
    let error = partial.contains { $0.error != .none } ? newBitmap() : nil
    append(.combine(table(partial), valid: valid, error: error))
    return (.bitmap(valid), error.map { .bitmap($0) } ?? .none)
  }

  /// The operands in the order in which they are looked at: a divisor comes first.
  private func inOrder(_ operation: Operation, _ operands: [Operand]) -> [Operand] {
    switch operation {
    case .arithmetic(.divide), .arithmetic(.integralDivide), .arithmetic(.remainder), .arithmetic(.pmod),
      .tryArithmetic(.divide), .tryArithmetic(.integralDivide), .tryArithmetic(.remainder), .tryArithmetic(.pmod):
      operands.reversed()
    default: operands
    }
  }

  private func boolean(_ truth: Int, _ inputs: (valid: BitSource, error: BitSource)) -> Operand {
    Operand(type: .boolean, value: .bits(.bitmap(truth)), valid: inputs.valid, error: inputs.error)
  }

  // MARK: Tests

  private mutating func nullTest(_ node: Node) -> Operand {
    let operand = operand(node.children[0])
    // The result has a value wherever the operand did not raise.
    var valid = BitSource.all
    if operand.error != .none {
      let rows = newBitmap()
      append(.not(operand.error, valid: .all, truth: rows))
      valid = .bitmap(rows)
    }
    let truth: BitSource
    switch node.operation {
    case .isNotNull: truth = operand.valid
    case .isTrue: truth = operand.truth
    case .isFalse:
      let bitmap = newBitmap()
      append(.subtract(operand.valid, operand.truth, truth: bitmap))
      truth = .bitmap(bitmap)
    default:
      let bitmap = newBitmap()
      append(.isNull(valid: operand.valid, error: operand.error, truth: bitmap))
      truth = .bitmap(bitmap)
    }
    return Operand(type: .boolean, value: .bits(truth), valid: valid, error: operand.error)
  }

  private mutating func comparison(
    _ comparison: Comparison, _ index: Int, _ node: Node, within: BitSource
  ) -> Operand {
    let left = operand(node.children[0])
    let right = operand(node.children[1])
    if comparison == .nullSafeEqual {
      guard let equal = equality(left, right, within: within) else { return scalar(index, node, within: within) }
      var error = BitSource.none
      var valid = BitSource.all
      if left.error != .none || right.error != .none {
        (valid, error) = unlessRaised([left, right])
      }
      let truth = newBitmap()
      append(.nullSafeEqual(equal: equal, table([left, right]), truth: truth))
      return Operand(type: .boolean, value: .bits(.bitmap(truth)), valid: valid, error: error)
    }
    guard left.type.representation != .decimals, left.type.representation != .nothing else {
      return scalar(index, node, within: within)
    }
    let inputs = inputs([left, right])
    let truth = newBitmap()
    append(comparisonStep(comparison, left, right, valid: inputs.valid, within: within, truth: truth))
    return boolean(truth, inputs)
  }

  /// Valid rows and errors of an operation that looks at all its operands: an error of any counts.
  private mutating func unlessRaised(_ operands: [Operand]) -> (valid: BitSource, error: BitSource) {
    let raising = operands.filter { $0.error != .none }
    if raising.isEmpty { return (.all, .none) }
    let fine = raising.map { didNotRaise($0) }
    let valid = newBitmap()
    append(.and(table(fine), truth: valid, valid: nil, error: nil))
    let error = newBitmap()
    append(.not(.bitmap(valid), valid: .all, truth: error))
    return (.bitmap(valid), .bitmap(error))
  }

  /// "Did not raise" as a boolean that always has a value.
  private mutating func didNotRaise(_ operand: Operand) -> Operand {
    guard operand.error != .none else { return Operand(type: .boolean, value: .bits(.all)) }
    let rows = newBitmap()
    append(.not(operand.error, valid: .all, truth: rows))
    return Operand(type: .boolean, value: .bits(.bitmap(rows)))
  }

  private mutating func equality(_ left: Operand, _ right: Operand, within: BitSource) -> BitSource? {
    guard ![.decimals, .nothing].contains(left.type.representation) else { return nil }
    let inputs = inputs([left, right])
    let truth = newBitmap()
    append(comparisonStep(.equal, left, right, valid: inputs.valid, within: within, truth: truth))
    return .bitmap(truth)
  }

  private func comparisonStep(
    _ comparison: Comparison, _ left: Operand, _ right: Operand, valid: BitSource, within: BitSource, truth: Int
  ) -> Step {
    switch (left.value, right.value) {
    case (.words(let a), .words(let b)):
      left.type.representation == .doubles
        ? .compareDoubles(comparison, a, b, valid: valid, guard: within, truth: truth)
        : .compareIntegers(comparison, a, b, valid: valid, guard: within, truth: truth)
    case (.text(let a), .text(let b)): .compareTexts(comparison, a, b, valid: valid, guard: within, truth: truth)
    case (.bits(let a), .bits(let b)): .compareBits(comparison, a, b, valid: valid, truth: truth)
    default: preconditionFailure("\(left.type) and \(right.type) are not compared")
    }
  }

  private mutating func between(_ range: NumberRange, _ node: Node, within: BitSource) -> Operand {
    let tested = operand(node.children[0])
    guard case .words(let source) = tested.value.asColumn(&self) else { preconditionFailure("a range is of numbers") }
    let truth = newBitmap()
    switch range {
    case .integers(let low, let high):
      append(.integersBetween(source, low, high, valid: tested.valid, guard: within, truth: truth))
    case .doubles(let low, let high):
      append(.doublesBetween(source, low, high, valid: tested.valid, guard: within, truth: truth))
    }
    return boolean(truth, (tested.valid, tested.error))
  }

  private mutating func constantSet(_ node: Node, within: BitSource) -> Operand {
    let tested = operand(node.children[0])
    let values = node.children.dropFirst().map { child -> Value in
      guard case .literal(let value) = nodes[child].operation else { preconditionFailure("a set holds constants") }
      return value
    }
    let truth = newBitmap()
    switch tested.value.asColumn(&self) {
    case .text(let source):
      let set = add(TextSet(values.map(\.text)))
      append(.textsIn(source, set: set, valid: tested.valid, guard: within, truth: truth))
    case .words(let source):
      let set = add(IntegerSet(values.map(\.integer)))
      append(.integersIn(source, set: set, valid: tested.valid, guard: within, truth: truth))
    default: preconditionFailure("\(tested.type) has no sets")
    }
    return boolean(truth, (tested.valid, tested.error))
  }

  // MARK: Searching texts

  private mutating func search(_ node: Node, within: BitSource) -> Operand? {
    let tested = operand(node.children[0])
    guard case .text(let source) = tested.value.asColumn(&self) else { return nil }
    var kind: TextSearch?
    var expression: Int?
    let constant = NodeFacts.constantText(node.children[1], nodes)
    switch node.operation {
    case .like: kind = NodeFacts.like(node, nodes).map { TextSearch($0) }
    case .rlike:
      guard let constant, let compiled = NodeFacts.regularExpression(node.children[1], nodes) else { return nil }
      if let literal = compiled.literalText {
        kind = TextSearch(.contains(literal))
      } else {
        expression = self.index(of: compiled, pattern: constant)
      }
    case .call(.startsWith): kind = constant.map { TextSearch(.prefix($0)) }
    case .call(.endsWith): kind = constant.map { TextSearch(.suffix($0)) }
    default: kind = constant.map { TextSearch(.contains($0)) }
    }
    let truth = newBitmap()
    if let kind {
      append(.like(source, search: add(kind), valid: tested.valid, guard: within, truth: truth))
    } else if let expression {
      append(.matches(source, expression: expression, valid: tested.valid, guard: within, truth: truth))
    } else {
      return nil
    }
    return boolean(truth, (tested.valid, tested.error))
  }

  // MARK: Numbers

  private mutating func conversion(_ node: Node) -> Operand? {
    var operand = operand(node.children[0])
    let from = operand.type
    operand.type = node.type
    if from == node.type { return operand }
    guard case .words(let source) = operand.value, NodeFacts.hasCastKernel(from: from, to: node.type) else {
      return nil
    }
    if node.type == .double, from.representation == .integers {
      if case .constant(let word) = source {
        operand.value = .words(.constant(Double(Int64(bitPattern: word)).bitPattern))
        return operand
      }
      let register = newRegister()
      append(.integersToDoubles(source, into: register))
      operand.value = .words(.register(register))
    }
    return operand
  }

  private mutating func arithmetic(_ arithmetic: Arithmetic, _ index: Int, _ node: Node) -> Operand? {
    let operands = node.children.map { operand($0) }
    guard operands.allSatisfy({ $0.type == node.type }) || arithmetic == .divide else { return nil }
    let second = operands[operands.count - 1].value
    guard case .words(let a) = operands[0].value.asColumn(&self), case .words(let b) = second.asColumn(&self) else {
      return nil
    }
    var isSafeDivisor = false
    if case .words(.constant(let word)) = second { isSafeDivisor = Double(bitPattern: word) != 0 }
    let inputs = inputs(inOrder(node.operation, operands))
    switch node.type {
    case .double:
      let register = newRegister()
      switch arithmetic {
      case .add, .subtract, .multiply, .negate:
        append(.doubleArithmetic(arithmetic, a, b, into: register))
      case .divide, .remainder:
        append(.doubleArithmetic(arithmetic, a, b, into: register))
        if !isSafeDivisor {
          let valid = newBitmap()
          let error = newBitmap()
          append(
            .zeroDivisor(b, valid: inputs.valid, error: inputs.error, validInto: valid, errorInto: error))
          note(.always(arithmetic == .divide ? .divideByZero : .remainderByZero), of: index)
          return Operand(
            type: .double, value: .words(.register(register)), valid: .bitmap(valid), error: .bitmap(error))
        }
      default: return nil
      }
      return Operand(type: .double, value: .words(.register(register)), valid: inputs.valid, error: inputs.error)
    case .bigint, .int:
      guard [.add, .subtract, .multiply, .negate].contains(arithmetic) else { return nil }
      let register = newRegister()
      let valid = newBitmap()
      let error = newBitmap()
      append(
        .integerArithmetic(
          arithmetic, a, b, range: node.type.integerRange, valid: inputs.valid, error: inputs.error, into: register,
          validInto: valid, errorInto: error))
      note(.always(.arithmeticOverflow), of: index)
      return Operand(
        type: node.type, value: .words(.register(register)), valid: .bitmap(valid), error: .bitmap(error))
    default: return nil
    }
  }

  // MARK: Everything else

  private mutating func scalar(_ index: Int, _ node: Node, within: BitSource) -> Operand {
    let operands = node.children.map { operand($0) }
    var seesNulls = false
    switch node.operation {
    case .comparison(.nullSafeEqual): seesNulls = true
    case .call(let function): seesNulls = !function.isStrict
    default: break
    }
    let inputs = seesNulls ? unlessRaised(operands) : inputs(inOrder(node.operation, operands))
    var expression: Int?
    if case .call(let function) = node.operation,
      [.regexpExtract, .regexpReplace, .regexpCount, .regexpInstr, .regexpSubstr].contains(function),
      let pattern = NodeFacts.constantText(node.children[1], nodes),
      let compiled = NodeFacts.regularExpression(node.children[1], nodes)
    {
      expression = self.index(of: compiled, pattern: pattern)
    }
    let (into, value) = place(node.type)
    let valid = newBitmap()
    let error = node.raises ? newBitmap() : nil
    let reasons = node.raises ? newReasons() : nil
    if let reasons { note(.perRow(reasons), of: index) }
    let step = add(
      ScalarStep(
        operation: node.operation, operands: operands, types: operands.map(\.type), result: node.type,
        valid: inputs.valid, error: inputs.error, guardSource: within, into: into, validInto: valid, errorInto: error,
        reasons: reasons, expression: expression))
    append(.scalar(step))
    return Operand(
      type: node.type, value: value, valid: .bitmap(valid), error: error.map { .bitmap($0) } ?? .none)
  }

  /// A place for a node's values.
  private mutating func place(_ type: DataType) -> (Int, ValueSource) {
    switch type.representation {
    case .bits:
      let bitmap = newBitmap()
      return (bitmap, .bits(.bitmap(bitmap)))
    case .integers, .doubles:
      let register = newRegister()
      return (register, .words(.register(register)))
    case .text:
      let register = newRegister()
      return (register, .text(.register(register)))
    case .decimals:
      let register = newDecimals()
      return (register, .decimals(register))
    case .nothing: return (0, .nothing)
    }
  }

  // MARK: Lazy operations

  /// Emits AND, OR, CASE or `coalesce`, whose children are computed where they can matter.
  mutating func emitLazy(_ index: Int, within: BitSource) -> Operand {
    let node = nodes[index]
    let operands = node.children.map { operand($0) }
    switch node.operation {
    case .and, .or:
      let truth = newBitmap()
      let valid = operands.allSatisfy(\.isAlwaysValid) ? nil : newBitmap()
      let error = operands.contains { $0.error != .none } ? newBitmap() : nil
      append(
        node.operation == .and
          ? .and(table(operands), truth: truth, valid: valid, error: error)
          : .or(table(operands), truth: truth, valid: valid, error: error))
      return Operand(
        type: .boolean, value: .bits(.bitmap(truth)), valid: valid.map { .bitmap($0) } ?? .all,
        error: error.map { .bitmap($0) } ?? .none)
    default:
      var branches: [Selection.Branch] = []
      if node.operation == .coalesce {
        branches = operands.map { Selection.Branch(condition: nil, value: $0) }
      } else {
        for position in stride(from: 0, to: operands.count - 1, by: 2) {
          branches.append(Selection.Branch(condition: operands[position], value: operands[position + 1]))
        }
        let otherwise = operands[operands.count - 1]
        branches.append(
          Selection.Branch(condition: Operand(type: .boolean, value: .bits(.all)), value: otherwise))
      }
      let (into, value) = place(node.type)
      let valid = newBitmap()
      let error = operands.contains { $0.error != .none } ? newBitmap() : nil
      let selection = add(
        Selection(
          branches: branches, within: within, result: node.type, into: into, validInto: valid, errorInto: error))
      append(.select(selection))
      return Operand(
        type: node.type, value: value, valid: .bitmap(valid), error: error.map { .bitmap($0) } ?? .none)
    }
  }
}

extension ValueSource {
  /// The same words or slices with a constant as a register that holds it in all rows.
  fileprivate func asColumn(_ builder: inout ProgramBuilder) -> ValueSource {
    switch self {
    case .words(.constant(let word)): .words(.register(builder.constantRegister(word)))
    case .text(.constant(let word)): .text(.register(builder.constantRegister(word)))
    default: self
    }
  }
}

/// Turns checked expressions into the steps of a ``RuleProgram``.
///
/// 1. All expressions go into one graph; equal nodes become one, so what rules have in common is computed once.
/// 2. Facts of each node: can it be NULL, can it raise, what does it cost.
/// 3. Steps in order of need. Since a node's outcome (value, NULL or error) depends on nothing but its row, every node may be
///    computed for all rows and the lazy operations only choose; an error counts exactly where the chosen outcome is one.
///    What is costly and needed in one place only gets a guard: the rows that the operands before it left open.
///
/// Everything loops over arrays or an own stack: expressions nest thousands deep.
struct ProgramBuilder {
  struct Node {
    var operation: Operation
    var children: [Int]
    var type: DataType
    /// Set where the node stands for two comparisons of its one child that an AND joins; then it is no operation.
    var range: NumberRange?
    var parents = 0
    var nullable = false
    var raises = false
    /// Roughly nanoseconds a row, for the node itself and with what only it needs.
    var ownCost = 0
    var cost = 0
  }

  /// The numbers from one to another, both included.
  enum NumberRange: Sendable, Hashable {
    case integers(Int64, Int64)
    case doubles(Double, Double)
  }

  private struct RangeKey: Hashable {
    var child: Int
    var range: NumberRange
  }

  let layout: ColumnLayout
  private(set) var nodes: [Node] = []
  private var known: [CheckedNode: Int] = [:]
  private var knownRanges: [RangeKey: Int] = [:]
  private var roots: [Int] = []

  // What the program is made of.
  private(set) var operands: [Operand?] = []
  private(set) var steps: [Step] = []
  private(set) var bitmapCount = 0
  private(set) var registerCount = 0
  private(set) var constantRegisters: [UInt64: Int] = [:]
  private(set) var decimalCount = 0
  private(set) var reasonCount = 0
  private(set) var logic: [LogicOperand] = []
  private(set) var listOperands: [Operand] = []
  private(set) var integerSets: [IntegerSet] = []
  private(set) var textSets: [TextSet] = []
  private(set) var searches: [TextSearch] = []
  private(set) var selections: [Selection] = []
  private(set) var scalars: [ScalarStep] = []
  private(set) var indexes: [PredicateIndex] = []
  private(set) var expressions: [RegularExpression] = []
  private var expressionIndices: [[UInt8]: Int] = [:]
  private(set) var arena: [UInt8] = []
  private var arenaSlices: [[UInt8]: TextSlice] = [:]
  /// For each node that raises on its own, why.
  private(set) var causes: [Int: Cause] = [:]

  /// Where a row's reason is found.
  enum Cause: Sendable {
    case always(EvaluationError)
    case perRow(Int)
  }

  init(layout: ColumnLayout) {
    self.layout = layout
  }

  // MARK: One graph

  /// Adds an expression and gives its root node.
  mutating func add(_ expression: CheckedExpression) -> Int {
    var indices: [Int] = []
    indices.reserveCapacity(expression.nodes.count)
    for node in expression.nodes {
      let children = node.children.map { indices[$0] }
      switch node.operation {
      case .inValues: indices.append(inValues(children))
      case .and: indices.append(conjunction(children))
      default: indices.append(add(node.operation, children, node.type))
      }
    }
    let root = indices[expression.root]
    roots.append(root)
    return root
  }

  private mutating func add(_ operation: Operation, _ children: [Int], _ type: DataType) -> Int {
    let key = CheckedNode(operation, children, type: type)
    if let index = known[key] { return index }
    let index = nodes.count
    var node = Node(operation: operation, children: children, type: type)
    NodeFacts.settle(&node, nodes: nodes, layout: layout)
    nodes.append(node)
    known[key] = index
    return index
  }

  /// An AND in which neighbours `x >= a`, `x <= b` are one range of x.
  private mutating func conjunction(_ children: [Int]) -> Int {
    var terms: [Int] = []
    for child in children {
      if let last = terms.last, let joined = joined(last, child) {
        terms[terms.count - 1] = joined
      } else {
        terms.append(child)
      }
    }
    return terms.count == 1 ? terms[0] : add(.and, terms, .boolean)
  }

  private mutating func joined(_ first: Int, _ second: Int) -> Int? {
    guard let a = bound(first), let b = bound(second), a.child == b.child, !nodes[a.child].raises,
      a.isLower != b.isLower
    else { return nil }
    let low = a.isLower ? a : b
    let high = a.isLower ? b : a
    let range: NumberRange
    switch (low.constant, high.constant) {
    case (.integer(let x), .integer(let y)):
      let (from, overflow) = x.addingReportingOverflow(low.isStrict ? 1 : 0)
      let (to, underflow) = y.subtractingReportingOverflow(high.isStrict ? 1 : 0)
      guard !overflow, !underflow else { return nil }
      range = .integers(from, to)
    case (.double(let x), .double(let y)):
      guard x.isFinite, y.isFinite else { return nil }
      range = .doubles(low.isStrict ? x.nextUp : x, high.isStrict ? y.nextDown : y)
    default: return nil
    }
    let key = RangeKey(child: a.child, range: range)
    if let index = knownRanges[key] { return index }
    var node = Node(operation: .and, children: [a.child], type: .boolean, range: range)
    node.nullable = nodes[a.child].nullable
    node.ownCost = 1
    nodes.append(node)
    knownRanges[key] = nodes.count - 1
    return nodes.count - 1
  }

  /// A comparison of a number with a constant as a bound.
  private func bound(_ index: Int) -> (child: Int, constant: Value, isLower: Bool, isStrict: Bool)? {
    guard case .comparison(let comparison) = nodes[index].operation, nodes[index].range == nil else { return nil }
    let children = nodes[index].children
    let kinds: [DataType.Representation] = [.integers, .doubles]
    guard kinds.contains(nodes[children[0]].type.representation) else { return nil }
    func bound(_ comparison: Comparison, _ child: Int, _ constant: Value) -> (Int, Value, Bool, Bool)? {
      switch comparison {
      case .greater: (child, constant, true, true)
      case .greaterOrEqual: (child, constant, true, false)
      case .less: (child, constant, false, true)
      case .lessOrEqual: (child, constant, false, false)
      default: nil
      }
    }
    if case .literal(let constant) = nodes[children[1]].operation, constant != .null {
      return bound(comparison, children[0], constant)
    }
    if case .literal(let constant) = nodes[children[0]].operation, constant != .null {
      return bound(comparison.mirrored, children[1], constant)
    }
    return nil
  }

  /// `x IN (…)` is an OR of equalities from left to right; neighbouring constants are one set.
  private mutating func inValues(_ children: [Int]) -> Int {
    let tested = children[0]
    var terms: [Int] = []
    var constants: [Int] = []
    func isConstant(_ node: Int) -> Bool {
      if case .literal(let value) = nodes[node].operation { return value != .null }
      return false
    }
    let hasSets = [.integers, .text].contains(nodes[tested].type.representation)
    for element in children.dropFirst() {
      if hasSets, isConstant(element) {
        constants.append(element)
      } else {
        if !constants.isEmpty { terms.append(constantSet(tested, constants)) }
        constants = []
        terms.append(add(.comparison(.equal), [tested, element], .boolean))
      }
    }
    if !constants.isEmpty { terms.append(constantSet(tested, constants)) }
    return terms.count == 1 ? terms[0] : add(.or, terms, .boolean)
  }

  private mutating func constantSet(_ tested: Int, _ constants: [Int]) -> Int {
    constants.count == 1
      ? add(.comparison(.equal), [tested, constants[0]], .boolean) : add(.inValues, [tested] + constants, .boolean)
  }

  // MARK: Steps in order of need

  private enum Task {
    case visit(Int, guard: BitSource)
    case finish(Int, guard: BitSource)
    case resume(Frame)
  }

  /// A lazy operation whose children are being emitted.
  private struct Frame {
    var node: Int
    /// Positions of children in the order in which they are computed.
    var order: [Int]
    var next = 0
    /// The rows left open by the children narrowed so far.
    var open: BitSource
    /// Positions of children that are computed but not narrowed by.
    var pending: [Int] = []
    var outer: BitSource
    /// Steps that go on at the operation's own where no row is left open.
    var skips: [Int] = []
  }

  /// Emits what the roots need: predicates that an index answers, then what several need, then each root.
  mutating func emit() {
    operands = [Operand?](repeating: nil, count: nodes.count)
    settleCosts()
    emitIndexes()
    // Children stand before their parents, so everything shared is emitted once and for all rows, whoever skips later.
    for index in nodes.indices where nodes[index].parents > 1 { emit(index) }
    for root in roots { emit(root) }
  }

  private mutating func settleCosts() {
    for root in roots { nodes[root].parents += 1 }
    for index in nodes.indices.reversed() where nodes[index].parents > 0 {
      for child in nodes[index].children { nodes[child].parents += 1 }
    }
    for index in nodes.indices {
      // A child that others need, too, is paid for once.
      let below = nodes[index].children.reduce(0) { $0 + (nodes[$1].parents == 1 ? nodes[$1].cost : 0) }
      nodes[index].cost = min(1_000_000, nodes[index].ownCost + below)
    }
  }

  private mutating func emit(_ root: Int) {
    var tasks: [Task] = [.visit(root, guard: .all)]
    while let task = tasks.popLast() {
      switch task {
      case .visit(let index, let outer):
        guard operands[index] == nil else { continue }
        // What several need is computed for all rows.
        let within = nodes[index].parents > 1 ? .all : outer
        switch nodes[index].operation {
        case .and where nodes[index].range != nil:
          tasks.append(.finish(index, guard: within))
          tasks.append(.visit(nodes[index].children[0], guard: within))
        case .and, .or, .caseWhen, .coalesce:
          tasks.append(.resume(Frame(node: index, order: schedule(index), open: within, outer: within)))
        case .inValues:
          tasks.append(.finish(index, guard: within))
          tasks.append(.visit(nodes[index].children[0], guard: within))
        default:
          tasks.append(.finish(index, guard: within))
          for child in nodes[index].children.reversed() { tasks.append(.visit(child, guard: within)) }
        }
      case .finish(let index, let within):
        if operands[index] == nil { operands[index] = emitStep(index, within: within) }
      case .resume(var frame):
        guard frame.next < frame.order.count else {
          let own = steps.count
          operands[frame.node] = emitLazy(frame.node, within: frame.outer)
          for skip in frame.skips {
            guard case .skip(let bitmap, _, _) = steps[skip] else { continue }
            if case .and(_, let truth, nil, nil) = steps[own] {
              // No row is open, none is NULL and none raised: all are FALSE.
              steps[skip] = .skip(ifEmpty: bitmap, to: own + 1, clear: truth)
            } else {
              steps[skip] = .skip(ifEmpty: bitmap, to: own, clear: nil)
            }
          }
          continue
        }
        let position = frame.order[frame.next]
        let child = nodes[frame.node].children[position]
        var within = frame.outer
        if operands[child] == nil, nodes[child].cost > 0, !frame.pending.isEmpty {
          within = narrowed(&frame, before: position)
        }
        frame.next += 1
        frame.pending.append(position)
        tasks.append(.resume(frame))
        tasks.append(.visit(child, guard: within))
      }
    }
  }

  /// The children of AND and OR: within a run of those that cannot raise, cheap ones first. Order matters only to errors.
  private func schedule(_ index: Int) -> [Int] {
    let children = nodes[index].children
    guard nodes[index].operation == .and || nodes[index].operation == .or else { return Array(children.indices) }
    var order: [Int] = []
    var run: [Int] = []
    for position in children.indices {
      if nodes[children[position]].raises {
        order += cheapFirst(run, children)
        run = []
        order.append(position)
      } else {
        run.append(position)
      }
    }
    return order + cheapFirst(run, children)
  }

  /// What is computed anyway comes first, being shared or answered by an index; then by cost.
  private func cheapFirst(_ run: [Int], _ children: [Int]) -> [Int] {
    func rank(_ position: Int) -> (Int, Int) {
      let child = children[position]
      return (operands[child] != nil ? 0 : nodes[child].cost, position)
    }
    return run.sorted { rank($0) < rank($1) }
  }

  /// The rows in which a child of a lazy operation can matter, after the children computed before it.
  private mutating func narrowed(_ frame: inout Frame, before position: Int) -> BitSource {
    let children = nodes[frame.node].children
    func narrow(_ within: BitSource, _ child: Int, _ keep: Keep) -> BitSource {
      guard let operand = operands[child] else { preconditionFailure("child \(child) is computed before it is used") }
      let into = newBitmap()
      steps.append(.narrow(within: within, LogicOperand(operand), keep, into: into))
      return .bitmap(into)
    }
    switch nodes[frame.node].operation {
    case .and, .or, .coalesce:
      let keep: Keep =
        switch nodes[frame.node].operation {
        case .and: .notFalse
        case .or: .notTrue
        default: .isNull
        }
      for done in frame.pending { frame.open = narrow(frame.open, children[done], keep) }
      frame.pending = []
      if case .bitmap(let bitmap) = frame.open {
        frame.skips.append(steps.count)
        steps.append(.skip(ifEmpty: bitmap, to: steps.count + 1, clear: nil))
      }
      return frame.open
    default:
      // CASE: conditions stand at even positions, but the last position is the value otherwise.
      let isValue = position % 2 == 1
      let conditions = frame.pending.filter { $0 % 2 == 0 && !(isValue && $0 == position - 1) }
      for done in conditions { frame.open = narrow(frame.open, children[done], .notTrue) }
      frame.pending.removeAll { conditions.contains($0) }
      return isValue ? narrow(frame.open, children[position - 1], .isTrue) : frame.open
    }
  }

  // MARK: Places

  mutating func newBitmap() -> Int {
    bitmapCount += 1
    return bitmapCount - 1
  }

  mutating func newRegister() -> Int {
    registerCount += 1
    return registerCount - 1
  }

  /// A register that holds one word for all rows.
  mutating func constantRegister(_ word: UInt64) -> Int {
    if let register = constantRegisters[word] { return register }
    let register = newRegister()
    constantRegisters[word] = register
    return register
  }

  mutating func newDecimals() -> Int {
    decimalCount += 1
    return decimalCount - 1
  }

  mutating func newReasons() -> Int {
    reasonCount += 1
    return reasonCount - 1
  }

  mutating func append(_ step: Step) {
    steps.append(step)
  }

  mutating func table(_ operands: [Operand]) -> TableRange {
    logic += operands.map { LogicOperand($0) }
    return TableRange(start: logic.count - operands.count, count: operands.count)
  }

  mutating func add(_ operand: Operand) -> Int {
    listOperands.append(operand)
    return listOperands.count - 1
  }

  mutating func add(_ set: IntegerSet) -> Int {
    integerSets.append(set)
    return integerSets.count - 1
  }

  mutating func add(_ set: TextSet) -> Int {
    textSets.append(set)
    return textSets.count - 1
  }

  mutating func add(_ search: TextSearch) -> Int {
    searches.append(search)
    return searches.count - 1
  }

  mutating func add(_ selection: Selection) -> Int {
    selections.append(selection)
    return selections.count - 1
  }

  mutating func add(_ scalar: ScalarStep) -> Int {
    scalars.append(scalar)
    return scalars.count - 1
  }

  mutating func add(_ index: PredicateIndex) -> Int {
    indexes.append(index)
    return indexes.count - 1
  }

  mutating func place(_ operand: Operand, of node: Int) {
    operands[node] = operand
  }

  mutating func note(_ cause: Cause, of node: Int) {
    causes[node] = cause
  }

  /// A text constant's place in the arena.
  mutating func slice(of text: [UInt8]) -> TextSlice {
    if let slice = arenaSlices[text] { return slice }
    let slice = TextSlice(offset: arena.count, count: text.count)
    arena += text
    arenaSlices[text] = slice
    return slice
  }

  mutating func index(of expression: RegularExpression, pattern: [UInt8]) -> Int {
    if let index = expressionIndices[pattern] { return index }
    expressions.append(expression)
    expressionIndices[pattern] = expressions.count - 1
    return expressions.count - 1
  }

  func operand(_ node: Int) -> Operand {
    guard let operand = operands[node] else { preconditionFailure("node \(node) is used before it is computed") }
    return operand
  }
}

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
    var parents = 0
    var nullable = false
    var raises = false
    /// Roughly nanoseconds a row, for the node and what only it needs.
    var cost = 0
  }

  /// A node of at least this cost is worth a guard.
  private static let guardCost = 4

  let layout: ColumnLayout
  private(set) var nodes: [Node] = []
  private var known: [CheckedNode: Int] = [:]
  private var roots: [Int] = []

  // What the program is made of.
  private(set) var operands: [Operand?] = []
  private(set) var steps: [Step] = []
  private(set) var bitmapCount = 0
  private(set) var registerCount = 0
  private(set) var constantRegisters: [UInt64: Int] = [:]
  private(set) var decimalCount = 0
  private(set) var reasonCount = 0
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
      if node.operation == .inValues {
        indices.append(inValues(children))
      } else {
        indices.append(add(node.operation, children, node.type))
      }
    }
    let root = indices[expression.root]
    nodes[root].parents += 1
    roots.append(root)
    return root
  }

  private mutating func add(_ operation: Operation, _ children: [Int], _ type: DataType) -> Int {
    let key = CheckedNode(operation, children, type: type)
    if let index = known[key] { return index }
    let index = nodes.count
    var node = Node(operation: operation, children: children, type: type)
    NodeFacts.settle(&node, nodes: nodes, layout: layout)
    for child in children { nodes[child].parents += 1 }
    nodes.append(node)
    known[key] = index
    return index
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
  }

  /// Emits what the roots need.
  mutating func emit() {
    operands = [Operand?](repeating: nil, count: nodes.count)
    for root in roots { emit(root) }
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
          operands[frame.node] = emitLazy(frame.node, within: frame.outer)
          continue
        }
        let position = frame.order[frame.next]
        let child = nodes[frame.node].children[position]
        var within = frame.outer
        if operands[child] == nil, nodes[child].parents == 1, nodes[child].cost >= Self.guardCost {
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

  private func cheapFirst(_ run: [Int], _ children: [Int]) -> [Int] {
    run.sorted { (nodes[children[$0]].cost, $0) < (nodes[children[$1]].cost, $1) }
  }

  /// The rows in which a child of a lazy operation can matter, after the children computed before it.
  private mutating func narrowed(_ frame: inout Frame, before position: Int) -> BitSource {
    let children = nodes[frame.node].children
    func narrow(_ within: BitSource, _ child: Int, _ keep: Keep) -> BitSource {
      guard let operand = operands[child] else { preconditionFailure("child \(child) is computed before it is used") }
      let into = newBitmap()
      steps.append(.narrow(within: within, operand, keep, into: into))
      return .bitmap(into)
    }
    switch nodes[frame.node].operation {
    case .and, .or:
      let keep: Keep = nodes[frame.node].operation == .and ? .notFalse : .notTrue
      for done in frame.pending { frame.open = narrow(frame.open, children[done], keep) }
      frame.pending = []
      return frame.open
    case .coalesce:
      for done in frame.pending { frame.open = narrow(frame.open, children[done], .isNull) }
      frame.pending = []
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

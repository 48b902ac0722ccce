/// Expressions over one column layout, compiled into steps that a ``RuleEvaluator`` runs batch by batch.
///
/// Immutable and shared by all tasks. What several expressions have in common is computed once.
///
///     let program = RuleProgram([rule], layout: layout)
///     var evaluator = RuleEvaluator(program)
public struct RuleProgram: Sendable {
  let plan: Plan

  /// The columns that the expressions read.
  public var layout: ColumnLayout { plan.layout }
  /// How many expressions there are.
  public var count: Int { plan.results.count }

  /// Compiles expressions that were checked against a layout.
  ///
  /// - Parameter zones: what zone names in texts mean.
  /// - Complexity: O(n log n) in the number of nodes, beside the compiling of patterns.
  public init(_ expressions: [CheckedExpression], layout: ColumnLayout, zones: TimeZones = .offsetsOnly) {
    plan = Plan(expressions, layout: layout, zones: zones)
  }
}

/// What a ``RuleProgram`` shares: steps, the tables they refer to, and what is needed to find out why a row raised.
final class Plan: Sendable {
  let layout: ColumnLayout
  let zones: TimeZones
  let steps: [Step]
  /// The outcome of each expression.
  let results: [Operand]

  let bitmapCount: Int
  let registerCount: Int
  /// Registers that hold one word for all rows.
  let constantRegisters: [Int: UInt64]
  let decimalCount: Int
  let reasonCount: Int

  let logic: [LogicOperand]
  let listOperands: [Operand]
  let integerSets: [IntegerSet]
  let textSets: [TextSet]
  let searches: [TextSearch]
  let selections: [Selection]
  let scalars: [ScalarStep]
  let indexes: [PredicateIndex]
  let expressions: [RegularExpression]
  /// Text constants, to which the evaluator adds the texts that it makes.
  let constants: [UInt8]

  let nodes: [ProgramBuilder.Node]
  let operands: [Operand?]
  let causes: [Int: ProgramBuilder.Cause]
  let roots: [Int]

  init(_ expressions: [CheckedExpression], layout: ColumnLayout, zones: TimeZones) {
    var builder = ProgramBuilder(layout: layout)
    roots = expressions.map { builder.add($0) }
    builder.emit()
    self.layout = layout
    self.zones = zones
    let operands = builder.operands
    results = roots.map { root in
      guard let operand = operands[root] else { preconditionFailure("every root is computed") }
      return operand
    }
    steps = builder.steps
    bitmapCount = builder.bitmapCount
    registerCount = builder.registerCount
    constantRegisters = Dictionary(uniqueKeysWithValues: builder.constantRegisters.map { ($0.value, $0.key) })
    decimalCount = builder.decimalCount
    reasonCount = builder.reasonCount
    logic = builder.logic
    listOperands = builder.listOperands
    integerSets = builder.integerSets
    textSets = builder.textSets
    searches = builder.searches
    selections = builder.selections
    scalars = builder.scalars
    indexes = builder.indexes
    self.expressions = builder.expressions
    constants = builder.arena
    nodes = builder.nodes
    self.operands = operands
    causes = builder.causes
  }
}

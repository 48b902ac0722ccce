/// Expressions over one column layout, compiled into steps that a ``RuleEvaluator`` runs batch by batch.
///
/// Immutable and shared by all tasks. What several expressions have in common is computed once.
///
///     let program = RuleProgram([rule], layout: layout)
///     var evaluator = RuleEvaluator(program)
///     var outcomes = RuleOutcomes(ruleCount: 1, stride: batch.bitmapStride)
///     evaluator.evaluate(batch, into: &outcomes)
public struct RuleProgram: Sendable {
  /// The columns that the expressions read.
  public let layout: ColumnLayout
  /// How many expressions there are.
  public let count: Int
  let steps: [Step]
  /// The outcome of each expression.
  let results: [Operand]
  let bitmapCount: Int
  let registerCount: Int
  let decimalCount: Int
  /// Registers that hold one word for all rows.
  let constantRegisters: [Int: UInt64]
  let reasonCount: Int
  let expressions: [RegularExpression]
  /// Text constants, to which the evaluator adds the texts that it makes.
  let constants: [UInt8]
  let zones: TimeZones

  // For finding out why a row raised.
  let nodes: [ProgramBuilder.Node]
  let operands: [Operand?]
  let causes: [Int: ProgramBuilder.Cause]
  let roots: [Int]

  /// Compiles expressions that were checked against a layout.
  ///
  /// - Parameter zones: what zone names in texts mean.
  /// - Complexity: O(n log n) in the number of nodes, beside the compiling of patterns.
  public init(_ expressions: [CheckedExpression], layout: ColumnLayout, zones: TimeZones = .offsetsOnly) {
    var builder = ProgramBuilder(layout: layout)
    roots = expressions.map { builder.add($0) }
    builder.emit()
    self.layout = layout
    self.zones = zones
    count = expressions.count
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
    self.expressions = builder.expressions
    constants = builder.arena
    nodes = builder.nodes
    self.operands = operands
    causes = builder.causes
  }
}

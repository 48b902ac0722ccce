/// An aggregation compiled against the columns: what is kept for each pane and key, and how a row is read from it.
///
/// Windows are cut into panes as long as windows lie apart; an event is folded into the one pane that holds its time, and a
/// window's row is the sum of its panes. A pane and a key together are the key of a ``FeatureTable``, so that state is
/// written, restored and bounded like that of features.
struct AggregationPlan: Sendable {
  struct Measure: Sendable {
    var definition: MeasureDefinition
    var type: FieldType
    /// The operation whose state it reads, and for `share` that of the whole.
    var operation: Int
    var whole: Int
  }

  let definition: AggregationDefinition
  let by: [FeatureInput]
  /// The condition on events, an index of ``AggregationProgram/conditions``, or −1.
  let condition: Int
  /// The condition of each operation beside the aggregation's, or −1. Operation 0 counts all events.
  let operationConditions: [Int]
  let measures: [Measure]
  let table: FeatureTableLayout

  var length: Int64 { definition.length }
  var step: Int64 { definition.step }

  /// The first instant of the pane that holds a time.
  func pane(of time: Int64) -> Int64 {
    let rest = time % step
    return time &- (rest < 0 ? rest &+ step : rest)
  }

  /// The ends of the windows that hold a pane.
  func ends(ofPane pane: Int64) -> some Sequence<Int64> {
    (1...length / step).lazy.map { pane &+ $0 &* step }
  }
}

/// A pipeline's aggregations.
struct AggregationProgram: Sendable {
  var plans: [AggregationPlan] = []
  /// Every condition that one of them names, evaluated when all columns are there.
  var conditions: RuleProgram?

  var isEmpty: Bool { plans.isEmpty }

  init() {}

  /// Compiles aggregations over all columns of a pipeline.
  init(
    _ definitions: [AggregationDefinition], layout: ColumnLayout, lists: [DeclaredList], zones: TimeZones,
    reader: inout DefinitionReader
  ) {
    var compiler = Compiler(layout: layout, expressions: ExpressionCompiler(layout: layout, lists: lists, zones: zones))
    for (index, definition) in definitions.enumerated() {
      if definitions[..<index].contains(where: { $0.name.lowercased() == definition.name.lowercased() }) {
        reader.report("another aggregation is called '\(definition.name)'", at: definition.place("name"))
      }
      if let plan = compiler.plan(definition, reader: &reader) { plans.append(plan) }
    }
    if !compiler.conditions.isEmpty { conditions = RuleProgram(compiler.conditions, layout: layout, zones: zones) }
  }

  private struct Compiler {
    let layout: ColumnLayout
    let expressions: ExpressionCompiler
    var conditions: [CheckedExpression] = []
    private var operations: [FeatureOperation] = []
    private var operationConditions: [Int] = []
    private var texts: [String] = []

    init(layout: ColumnLayout, expressions: ExpressionCompiler) {
      self.layout = layout
      self.expressions = expressions
    }

    mutating func plan(_ definition: AggregationDefinition, reader: inout DefinitionReader) -> AggregationPlan? {
      let problems = reader.problems.count
      let by = definition.by.compactMap { input($0, at: definition.place("by"), reader: &reader) }
      let condition = index(of: definition.condition, at: definition.place("where"), reader: &reader)
      (operations, operationConditions, texts) = ([], [], [])
      _ = add(.count, of: nil, condition: -1, text: "")
      let measures = definition.measures.compactMap { measure($0, reader: &reader) }
      guard reader.problems.count == problems else { return nil }
      var offset = 2
      for index in operations.indices {
        operations[index].offset = offset
        offset += operations[index].width
      }
      let names = definition.by.map { $0.lowercased() } + by.map(\.type.rawValue)
      let table = FeatureTableLayout(
        keyInputs: [FeatureInput(column: 0, type: .string)], foldSets: [], operations: operations, width: offset,
        identity:
          "aggregation \(definition.name) \(definition.length) \(definition.step) where \(definition.condition ?? "") by \(names)",
        keyBytesMax: Limits.aggregationKeyBytes)
      return AggregationPlan(
        definition: definition, by: by, condition: condition, operationConditions: operationConditions,
        measures: measures, table: table)
    }

    private mutating func measure(
      _ definition: MeasureDefinition, reader: inout DefinitionReader
    ) -> AggregationPlan.Measure? {
      let place = { (member: String) in
        DefinitionNode(value: DefinitionValue(.null), path: "\(definition.path).\(member)")
      }
      var input: FeatureInput?
      if let name = definition.of {
        guard let found = self.input(name, at: place("of"), reader: &reader) else { return nil }
        input = found
      }
      let text = definition.condition ?? ""
      let condition = index(of: definition.condition, at: place("where"), reader: &reader)
      let isNumber = input.map { $0.type == .integer || $0.type == .float || $0.type == .boolean } ?? true
      var type = FieldType.float
      var kind = FeatureOperation.Kind.sum
      switch definition.function {
      case .count: (kind, type) = (.count, .integer)
      case .distinct: (kind, type) = (.distinct, .integer)
      case .rate: kind = .count
      case .quantile: kind = .quantile
      case .min, .max:
        kind = definition.function == .min ? .least : .greatest
        type = input?.type ?? .float
        if type == .string { reader.report("\(definition.function.rawValue) of texts is not kept", at: place("of")) }
      case .share where input == nil: kind = .count
      case .sum, .mean, .share: break
      }
      if !isNumber, [.sum, .mean, .quantile, .share].contains(definition.function) {
        reader.report(
          "\(definition.function.rawValue) needs numbers, '\(definition.of ?? "")' is \(input?.type.rawValue ?? "")",
          at: place("of"))
      }
      let operation = add(kind, of: input, condition: condition, text: text)
      let whole = definition.function == .share ? add(kind, of: input, condition: -1, text: "") : operation
      return AggregationPlan.Measure(definition: definition, type: type, operation: operation, whole: whole)
    }

    private mutating func add(
      _ kind: FeatureOperation.Kind, of input: FeatureInput?, condition: Int, text: String
    ) -> Int {
      let inputs = input.map { [$0] } ?? []
      let known = operations.indices.first {
        operations[$0].kind == kind && operations[$0].inputs == inputs && operationConditions[$0] == condition
      }
      if let known { return known }
      var operation = FeatureOperation(
        kind: kind, foldSet: 0, inputs: inputs, offset: 0, width: FeatureOperation.width(of: kind), outputs: [],
        identity: "")
      operation.identity = operation.describe(columnNames: layout.columns.map(\.name), condition: text)
      operations.append(operation)
      operationConditions.append(condition)
      return operations.count - 1
    }

    private mutating func index(
      of text: String?, at place: DefinitionNode, reader: inout DefinitionReader
    ) -> Int {
      guard let text else { return -1 }
      do throws(ExpressionError) {
        let expression = try expressions.rule(text)
        if let known = conditions.firstIndex(of: expression) { return known }
        conditions.append(expression)
        return conditions.count - 1
      } catch {
        for diagnostic in error.diagnostics { reader.report(diagnostic.message, at: place) }
        return -1
      }
    }

    private func input(_ name: String, at place: DefinitionNode, reader: inout DefinitionReader) -> FeatureInput? {
      if let column = layout.index(of: name) { return FeatureInput(column: column, type: layout.columns[column].type) }
      let hint = nearest(to: name, among: layout.columns.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
      reader.report("unknown column '\(name)'\(hint)", at: place)
      return nil
    }
  }
}

extension AggregationDefinition {
  fileprivate func place(_ member: String) -> DefinitionNode {
    DefinitionNode(value: DefinitionValue(.null, line: line, column: column), path: "\(path).\(member)")
  }
}

/// Settles names, types and stages of features one after the other, and gathers what shares a key into tables.
struct FeatureProgramBuilder {
  private let schema: Schema
  private let label: String?
  private let key: String?
  private let lists: [DeclaredList]
  private let declaredTables: [TableDefinition]
  private let zones: TimeZones
  private let streams: [StreamPlan]
  private var columns: [ColumnDescription] = []
  /// For each column of the layout the stage it is computed in; 0 for fields.
  private var stages: [Int]
  private(set) var layout: ColumnLayout
  /// Conditions in the order in which features name them, each with the stage after which it can be evaluated
  /// and the topic, 0 for the scored one, whose events it is asked of.
  private var conditions: [(expression: CheckedExpression, stage: Int, source: Int)] = []
  private var derived: [(expression: CheckedExpression, column: Int)] = []
  private(set) var defaults: [FeatureProgram.Default] = []
  private(set) var local: [LocalTime] = []
  private(set) var lookups: [Lookup] = []
  /// Features whose keys may span partitions.
  private(set) var unkeyed: [String] = []
  private var drafts: [TableDraft] = []
  private var graphs: [(plan: GraphPlan, stage: Int)] = []

  init(
    schema: Schema, label: String?, key: String?, lists: [DeclaredList], declaredTables: [TableDefinition],
    zones: TimeZones, streams: [StreamPlan] = []
  ) {
    self.streams = streams
    self.declaredTables = declaredTables
    self.schema = schema
    self.label = label
    self.key = key
    self.lists = lists
    self.zones = zones
    layout = ColumnLayout(schema: schema)
    stages = [Int](repeating: 0, count: schema.fields.count)
  }

  mutating func add(_ feature: FeatureDefinition, reader: inout DefinitionReader) {
    if let other = layout.index(of: feature.name) {
      let kind = layout.columns[other].origin == .field ? "field" : "feature"
      reader.report("'\(feature.name)' is already the name of a \(kind)", at: feature.place("name"))
    }
    if let stream = streams.first(where: { $0.name.lowercased() == feature.name.lowercased() }) {
      reader.report("'\(stream.name)' is already the name of a stream", at: feature.place("name"))
    }
    if let text = feature.expression {
      let compiler = ExpressionCompiler(layout: layout, lists: lists, zones: zones)
      addDerived(
        feature,
        expression: reader.compile(at: feature.place("expression")) { () throws(ExpressionError) in
          try compiler.expression(text)
        }, reader: &reader)
      return
    }
    if let name = feature.localTime { return addLocal(feature, of: name, reader: &reader) }
    if let entries = feature.lookup { return addLookup(feature, entries, reader: &reader) }
    if let name = feature.lookupTable { return addLookup(feature, inTable: name, reader: &reader) }
    if let name = feature.from { return addFromStream(feature, named: name, reader: &reader) }
    let by = feature.by.compactMap { input($0, of: feature, member: "by", reader: &reader) }
    let of = feature.of.compactMap { input($0, of: feature, member: "of", reader: &reader) }
    guard let function = feature.function, by.count == feature.by.count, of.count == feature.of.count,
      by.isEmpty == function.isOfGraph
    else { return addColumn(feature, type: .float, stage: 1) }
    checkTypes(of, function, feature, reader: &reader)
    noteScope(feature)
    checkLabel(feature, reader: &reader)
    var stage = (by + of).map { stages[$0.column] }.max() ?? 0
    var condition = -1
    if let text = feature.condition {
      let compiler = ExpressionCompiler(layout: layout, lists: lists, zones: zones)
      let expression = reader.compile(at: feature.place("where")) { () throws(ExpressionError) in
        try compiler.rule(text)
      }
      if let expression {
        checkLabel(feature, reading: expression, reader: &reader)
        stage = max(stage, self.stage(of: expression))
        condition = index(of: expression)
      }
    }
    let output = addOutput(feature, function, of: of, stage: stage + 1, reader: &reader)
    if function.isOfGraph {
      addGraph(feature, output: output, inputs: of, condition: condition, stage: stage + 1)
      return
    }
    let table = draft(by: by, stage: stage + 1)
    drafts[table].add(feature, output: output, inputs: of, condition: condition, isNullable: of.map { isNullable($0) })
  }

  /// A feature that remembers a stream's events. It reads the stream's own fields, and meets the scored event by fields that
  /// both have; the stream's key stands for the pipeline's.
  private mutating func addFromStream(
    _ feature: FeatureDefinition, named name: String, reader: inout DefinitionReader
  ) {
    guard let index = streams.firstIndex(where: { $0.name == name }) else {
      let hint = nearest(to: name, among: streams.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
      reader.report("there is no stream '\(name)'\(hint)", at: feature.place("from"))
      return addColumn(feature, type: .float, stage: 1)
    }
    let stream = streams[index]
    let by = feature.by.compactMap { name -> FeatureInput? in
      guard let input = input(name, of: feature, member: "by", reader: &reader) else { return nil }
      if stream.field(inColumn: input.column) != nil { return input }
      let other = stream.layout.index(of: name).map { stream.layout.columns[$0].type.rawValue }
      reader.report(
        other.map { "'\(name)' is \(input.type.rawValue) here and \($0) in stream '\(stream.name)'" }
          ?? "stream '\(stream.name)' has no field '\(name)' to meet by", at: feature.place("by"))
      return nil
    }
    let fields = feature.of.compactMap { name -> Int? in
      if let field = stream.layout.index(of: name) { return field }
      let hint = nearest(to: name, among: stream.layout.columns.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
      reader.report("stream '\(stream.name)' has no field '\(name)'\(hint)", at: feature.place("of"))
      return nil
    }
    let of = fields.map { FeatureInput(column: stream.columns[$0], type: stream.layout.columns[$0].type) }
    guard let function = feature.function, !by.isEmpty, by.count == feature.by.count, of.count == feature.of.count
    else {
      return addColumn(feature, type: .float, stage: 1)
    }
    checkTypes(of, function, feature, reader: &reader)
    if function.comparesCurrent || function == .ratio {
      for (input, name) in zip(of, feature.of) where input.column >= schema.fields.count {
        reader.report(
          "\(function.rawValue) compares with the scored event, which has no such field '\(name)'",
          at: feature.place("of"))
      }
    }
    noteScope(feature)
    let isLabel = { (column: Int) in stream.label == column && feature.delay == 0 }
    if of.contains(where: { isLabel($0.column) }) {
      reader.report(
        "'\(feature.of[0])' is the label of '\(stream.name)': only a feature with a 'delay' may read it",
        at: feature.place("of"))
    }
    var condition = -2 - index
    if let text = feature.condition {
      let compiler = ExpressionCompiler(layout: stream.layout, lists: lists, zones: zones)
      let expression = reader.compile(at: feature.place("where")) { () throws(ExpressionError) in
        try compiler.rule(text)
      }
      if let expression = expression?.reading(columns: stream.columns) {
        if expression.columns.contains(where: isLabel) {
          reader.report(
            "the label of '\(stream.name)' is read: only a feature with a 'delay' may", at: feature.place("where"))
        }
        condition = self.index(of: expression, source: index + 1)
      }
    }
    let output = addOutput(feature, function, of: of, stage: 1, reader: &reader)
    let table = draft(by: by, stage: 1)
    drafts[table].add(
      feature, output: output, inputs: of, condition: condition,
      isNullable: fields.map { stream.layout.columns[$0].nullable }, source: index + 1)
  }

  private func checkTypes(
    _ of: [FeatureInput], _ function: FeatureFunction, _ feature: FeatureDefinition, reader: inout DefinitionReader
  ) {
    if function.needsNumbers {
      for (input, name) in zip(of, feature.of) where input.type == .string || input.type == .timestamp {
        reader.report(
          "\(function.rawValue) needs numbers, '\(name)' is \(input.type.rawValue)", at: feature.place("of"))
      }
    }
    if function.needsTimestamps {
      for (input, name) in zip(of, feature.of) where input.type != .timestamp {
        reader.report(
          "\(function.rawValue) needs a timestamp, '\(name)' is \(input.type.rawValue)", at: feature.place("of"))
      }
    }
  }

  /// Adds the column that a feature of state writes.
  private mutating func addOutput(
    _ feature: FeatureDefinition, _ function: FeatureFunction, of: [FeatureInput], stage: Int,
    reader: inout DefinitionReader
  ) -> FeatureOutput {
    let type = function.resultType(of: of.first?.type)
    let output = FeatureOutput(
      column: layout.columns.count, function: function, includeCurrent: feature.includeCurrent,
      minEvents: Int(feature.minEvents), parameter: feature.parameter, type: type)
    addColumn(feature, type: type, stage: stage)
    addDefault(feature, column: output.column, type: type, reader: &reader)
    return output
  }

  /// Features with the same entity, links and conditions share one graph.
  private mutating func addGraph(
    _ feature: FeatureDefinition, output: FeatureOutput, inputs: [FeatureInput], condition: Int, stage: Int
  ) {
    var window: Int64?
    if case .sliding(let length) = feature.window { window = length }
    let place = graphs.firstIndex {
      $0.plan.inputs == inputs && $0.plan.condition == condition && $0.stage == stage
        && $0.plan.neighboursMax == feature.maxEventsPerKey
    }
    let index = place ?? graphs.count
    if place == nil {
      let plan = GraphPlan(
        inputs: inputs, condition: condition, text: feature.condition ?? "", neighboursMax: feature.maxEventsPerKey,
        columnNames: layout.columns.map(\.name))
      graphs.append((plan, stage))
    }
    graphs[index].plan.outputs.append(GraphPlan.Output(output: output, window: window, bound: feature.bound))
  }

  // MARK: Columns

  private mutating func addColumn(_ feature: FeatureDefinition, type: FieldType, stage: Int) {
    let isDerived = feature.function == nil
    columns.append(
      ColumnDescription(
        name: feature.name, type: type, nullable: feature.defaultValue == nil,
        origin: isDerived ? .derived : .feature))
    stages.append(stage)
    layout = ColumnLayout(schema: schema, computed: columns)
  }

  private mutating func addDerived(
    _ feature: FeatureDefinition, expression: CheckedExpression?, reader: inout DefinitionReader
  ) {
    guard let expression else { return addColumn(feature, type: .float, stage: 1) }
    guard let type = FieldType(holding: expression.type) else {
      reader.report(
        "a column cannot hold this type; CAST it to BIGINT, DOUBLE, STRING, BOOLEAN or TIMESTAMP",
        at: feature.place("expression"))
      return addColumn(feature, type: .float, stage: 1)
    }
    let stage = stage(of: expression) + 1
    derived.append((expression, layout.columns.count))
    addDefault(feature, column: layout.columns.count, type: type, reader: &reader)
    addColumn(feature, type: type, stage: stage)
  }

  private mutating func addLocal(_ feature: FeatureDefinition, of name: String, reader: inout DefinitionReader) {
    let input = input(name, of: feature, member: "local_time", reader: &reader)
    if let input, input.type != .timestamp {
      reader.report("'\(name)' is \(input.type.rawValue), not a timestamp", at: feature.place("local_time"))
    }
    let zone = feature.zone.flatMap { zones.zone(named: Array($0.utf8)) }
    if let name = feature.zone, zone == nil {
      reader.report("unknown time zone '\(name)'", at: feature.place("zone"))
    }
    if let input, let zone { local.append(LocalTime(column: layout.columns.count, input: input.column, zone: zone)) }
    addColumn(feature, type: .timestamp, stage: (input.map { stages[$0.column] } ?? 0) + 1)
  }

  private mutating func addLookup(
    _ feature: FeatureDefinition, _ entries: [DefinitionValue.Member], reader: inout DefinitionReader
  ) {
    let name = feature.of.first ?? ""
    let input = input(name, of: feature, member: "of", reader: &reader)
    var type: FieldType = .float
    if case .string? = entries.first?.value.content { type = .string }
    if let input {
      if let lookup = Lookup(
        column: layout.columns.count, input: input, type: type, entries: entries, at: feature.place("lookup"),
        reader: &reader)
      {
        lookups.append(lookup)
      }
      addDefault(feature, column: layout.columns.count, type: type, reader: &reader)
    }
    addColumn(feature, type: type, stage: (input.map { stages[$0.column] } ?? 0) + 1)
  }

  private mutating func addLookup(
    _ feature: FeatureDefinition, inTable name: String, reader: inout DefinitionReader
  ) {
    var entries: [DefinitionValue.Member] = []
    if let table = declaredTables.first(where: { $0.name == name }) {
      entries = table.values ?? []
      if table.values == nil, let file = table.file {
        reader.report(
          "the values of '\(name)' stand in \(file): put them here as 'values'", at: feature.place("lookup"))
      }
    } else {
      let hint = nearest(to: name, among: declaredTables.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
      reader.report("there is no table '\(name)'\(hint)", at: feature.place("lookup"))
    }
    addLookup(feature, entries, reader: &reader)
  }

  private mutating func addDefault(
    _ feature: FeatureDefinition, column: Int, type: FieldType, reader: inout DefinitionReader
  ) {
    guard let value = feature.defaultValue else { return }
    let node = DefinitionNode(value: value, path: "\(feature.path).default")
    let parsed: FieldValue? =
      switch type {
      case .integer: reader.integer(node).map { .integer($0) }
      case .float: reader.number(node).map { .float($0) }
      case .boolean: reader.boolean(node).map { .boolean($0) }
      case .string: reader.string(node).map { .string($0) }
      case .timestamp: nil
      }
    if type == .timestamp { reader.report("a timestamp has no default", at: node) }
    if let parsed { defaults.append(FeatureProgram.Default(column: column, value: parsed)) }
  }

  private func input(
    _ name: String, of feature: FeatureDefinition, member: String, reader: inout DefinitionReader
  ) -> FeatureInput? {
    if let column = layout.index(of: name) { return FeatureInput(column: column, type: layout.columns[column].type) }
    let hint = nearest(to: name, among: layout.columns.map(\.name)).map { ", did you mean '\($0)'?" } ?? ""
    reader.report("unknown column '\(name)'\(hint)", at: feature.place(member))
    return nil
  }

  private func isNullable(_ input: FeatureInput) -> Bool { layout.columns[input.column].nullable }

  // MARK: Rules of the whole pipeline

  private mutating func noteScope(_ feature: FeatureDefinition) {
    guard let key, !feature.partitionScope, !feature.by.contains(where: { $0.lowercased() == key.lowercased() })
    else { return }
    unkeyed.append(feature.name)
  }

  private func checkLabel(_ feature: FeatureDefinition, reader: inout DefinitionReader) {
    guard let label, feature.delay == 0 else { return }
    if (feature.of + feature.by).contains(where: { $0.lowercased() == label.lowercased() }) {
      reader.report("'\(label)' is the label: only a feature with a 'delay' may read it", at: feature.place("of"))
    }
  }

  private func checkLabel(
    _ feature: FeatureDefinition, reading expression: CheckedExpression, reader: inout DefinitionReader
  ) {
    guard let label, feature.delay == 0, let column = layout.index(of: label) else { return }
    if expression.columns.contains(column) {
      reader.report("'\(label)' is the label: only a feature with a 'delay' may read it", at: feature.place("where"))
    }
  }

  // MARK: Stages and tables

  private func stage(of expression: CheckedExpression) -> Int {
    expression.columns.map { stages[$0] }.max() ?? 0
  }

  private mutating func index(of condition: CheckedExpression, source: Int = 0) -> Int {
    if let known = conditions.firstIndex(where: { $0.expression == condition && $0.source == source }) { return known }
    conditions.append((condition, source == 0 ? stage(of: condition) : 0, source))
    return conditions.count - 1
  }

  private mutating func draft(by: [FeatureInput], stage: Int) -> Int {
    if let known = drafts.firstIndex(where: { $0.keyInputs == by && $0.stage == stage }) { return known }
    drafts.append(
      TableDraft(
        keyInputs: by, stage: stage, names: by.map { layout.columns[$0.column].name }, hasStreams: !streams.isEmpty))
    return drafts.count - 1
  }

  /// Tables whose fold sets count conditions as ``finishExpressions()`` orders them.
  func finishTables() -> [FeatureTableLayout] {
    let order = conditionOrder
    return drafts.map { draft in
      var table = draft.finish(columnNames: merged.columns.map(\.name))
      table.foldSets = table.foldSets.map { set in set < 0 ? everything(set) : order.firstIndex(of: set) ?? -1 }
      return table
    }
  }

  /// Graphs whose conditions are counted as ``finishExpressions()`` orders them.
  func finishGraphs() -> [GraphPlan] {
    let order = conditionOrder
    return graphs.map { graph in
      var plan = graph.plan
      plan.condition = plan.condition < 0 ? everything(plan.condition) : order.firstIndex(of: plan.condition) ?? -1
      return plan
    }
  }

  /// The columns of all topics: those of ``layout``, then the streams' own.
  var merged: ColumnLayout {
    ColumnLayout(schema: schema, computed: columns + streams.flatMap(\.ownColumns))
  }

  /// The topic, 0 for the scored one, that each condition is asked of, as ``finishExpressions()`` orders them.
  var conditionSources: [Int] { conditionOrder.map { conditions[$0].source } }

  /// What selects all events of a topic, −1 for the scored one: behind the conditions stands one for each topic, where there
  /// are several.
  private func everything(_ set: Int) -> Int { streams.isEmpty ? -1 : conditions.count - 1 - set }

  /// Conditions by the stage after which they can be evaluated.
  private var conditionOrder: [Int] {
    conditions.indices.sorted { (conditions[$0].stage, $0) < (conditions[$1].stage, $1) }
  }

  func finishExpressions() -> ([FeatureProgram.Conditions], [FeatureProgram.Derived]) {
    var conditionPrograms: [FeatureProgram.Conditions] = []
    var derivedPrograms: [FeatureProgram.Derived] = []
    var start = 0
    let layout = streams.isEmpty ? layout : merged
    for stage in 0...(stages.max() ?? 0) {
      let here = conditionOrder.filter { conditions[$0].stage == stage }.map { conditions[$0].expression }
      if !here.isEmpty {
        let program = RuleProgram(here, layout: layout, zones: zones)
        conditionPrograms.append(FeatureProgram.Conditions(program: program, start: start))
        start += here.count
      }
      let columns = derived.filter { stages[$0.column] == stage }
      if !columns.isEmpty {
        let program = RuleProgram(columns.map(\.expression), layout: layout, zones: zones)
        derivedPrograms.append(FeatureProgram.Derived(program: program, columns: columns.map(\.column)))
      }
    }
    return (conditionPrograms, derivedPrograms)
  }

  /// Stage by stage: tables, what is derived from earlier stages, constants for what is NULL, and then the conditions
  /// that later tables need.
  func finishSteps() -> [FeatureProgram.Step] {
    var steps: [FeatureProgram.Step] = []
    var (conditionProgram, derivedProgram) = (0, 0)
    for stage in 0...(stages.max() ?? 0) {
      for index in drafts.indices where drafts[index].stage == stage { steps.append(.table(index)) }
      if derived.contains(where: { stages[$0.column] == stage }) {
        steps.append(.derived(derivedProgram))
        derivedProgram += 1
      }
      for index in graphs.indices where graphs[index].stage == stage { steps.append(.graph(index)) }
      for index in local.indices where stages[local[index].column] == stage { steps.append(.local(index)) }
      for index in lookups.indices where stages[lookups[index].column] == stage { steps.append(.lookup(index)) }
      for index in defaults.indices where stages[defaults[index].column] == stage { steps.append(.defaults(index)) }
      if conditions.contains(where: { $0.stage == stage }) {
        steps.append(.condition(conditionProgram))
        conditionProgram += 1
      }
    }
    return steps
  }
}

extension DefinitionReader {
  /// Compiles an expression and writes its mistakes down.
  fileprivate mutating func compile(
    at node: DefinitionNode, _ body: () throws(ExpressionError) -> CheckedExpression
  ) -> CheckedExpression? {
    do {
      return try body()
    } catch {
      for diagnostic in error.diagnostics { report(diagnostic.message, at: node) }
      return nil
    }
  }
}

extension FeatureDefinition {
  /// A member of the definition, for messages.
  func place(_ member: String) -> DefinitionNode {
    DefinitionNode(value: DefinitionValue(.null, line: line, column: column), path: "\(path).\(member)")
  }

  /// `quantile`'s quantile, `rate`'s factor an event, `ewma`'s weight or (negative) half-life.
  var parameter: Double {
    switch function {
    case .quantile: quantile ?? 0.5
    case .rate:
      if case .sliding(let length) = window { Double(per) / Double(length) } else { 0 }
    case .ewma: alpha ?? -Double(halfLife ?? 1)
    default: 0
    }
  }
}

extension CheckedExpression {
  /// The same expression over columns that stand elsewhere.
  func reading(columns: [Int]) -> CheckedExpression {
    var moved = self
    for index in moved.nodes.indices {
      if case .column(let column) = moved.nodes[index].operation {
        moved.nodes[index].operation = .column(columns[column])
      }
    }
    return moved
  }

  /// The columns it reads.
  package var columns: [Int] {
    var columns: [Int] = []
    for node in nodes {
      if case .column(let column) = node.operation, !columns.contains(column) { columns.append(column) }
    }
    return columns
  }
}

/// Settles names, types and stages of features one after the other, and gathers what shares a key into tables.
struct FeatureProgramBuilder {
  private let schema: Schema
  private let label: String?
  private let key: String?
  private var columns: [ColumnDescription] = []
  /// For each column of the layout the stage it is computed in; 0 for fields.
  private var stages: [Int]
  private(set) var layout: ColumnLayout
  private(set) var conditions: [CheckedExpression] = []
  private var conditionStages: [Int] = []
  private(set) var derived: [FeatureProgram.DerivedColumn] = []
  private(set) var defaults: [FeatureProgram.Default] = []
  /// Features whose keys may span partitions.
  private(set) var unkeyed: [String] = []
  private var drafts: [TableDraft] = []

  init(schema: Schema, label: String?, key: String?) {
    self.schema = schema
    self.label = label
    self.key = key
    layout = ColumnLayout(schema: schema)
    stages = [Int](repeating: 0, count: schema.fields.count)
  }

  mutating func add(
    _ feature: FeatureDefinition, reader: inout DefinitionReader,
    compile: (FeatureExpression, ColumnLayout, inout DefinitionReader) -> CheckedExpression?
  ) {
    if let other = layout.index(of: feature.name) {
      let kind = layout.columns[other].origin == .field ? "field" : "feature"
      reader.report("'\(feature.name)' is already the name of a \(kind)", at: feature.place("name"))
    }
    if let text = feature.expression {
      let place = FeatureExpression(
        text: text, path: "\(feature.path).expression", line: feature.line, column: feature.column)
      addDerived(feature, expression: compile(place, layout, &reader), reader: &reader)
      return
    }
    let by = feature.by.compactMap { input($0, of: feature, member: "by", reader: &reader) }
    let of = feature.of.compactMap { input($0, of: feature, member: "of", reader: &reader) }
    guard let function = feature.function, by.count == feature.by.count, of.count == feature.of.count, !by.isEmpty
    else { return addColumn(feature, type: .float, stage: 1) }
    if function.needsNumbers {
      for (input, name) in zip(of, feature.of) where input.type == .string || input.type == .timestamp {
        reader.report(
          "\(function.rawValue) needs numbers, '\(name)' is \(input.type.rawValue)", at: feature.place("of"))
      }
    }
    noteScope(feature)
    checkLabel(feature, reader: &reader)
    var stage = (by + of).map { stages[$0.column] }.max() ?? 0
    var condition = -1
    if let text = feature.condition {
      let place = FeatureExpression(
        text: text, path: "\(feature.path).where", line: feature.line, column: feature.column)
      if let expression = compile(place, layout, &reader) {
        if expression.type != .boolean, expression.type != .null {
          reader.report("a condition must be true or false", at: feature.place("where"))
        }
        checkLabel(feature, reading: expression, reader: &reader)
        stage = max(stage, self.stage(of: expression))
        condition = index(of: expression)
      }
    }
    let type = function.resultType(of: of.first?.type)
    let output = FeatureOutput(
      column: layout.columns.count, function: function, includeCurrent: feature.includeCurrent,
      minEvents: Int(feature.minEvents), parameter: feature.parameter, type: type)
    addColumn(feature, type: type, stage: stage + 1)
    addDefault(feature, column: output.column, type: type, reader: &reader)
    let table = draft(by: by, stage: stage + 1)
    drafts[table].add(feature, output: output, inputs: of, condition: condition, isNullable: of.map { isNullable($0) })
  }

  // MARK: Columns

  private mutating func addColumn(_ feature: FeatureDefinition, type: FieldType, stage: Int) {
    let isDerived = feature.expression != nil
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
    guard let type = FieldType(column: expression.type) else {
      reader.report(
        "a column cannot hold this type; CAST it to BIGINT, DOUBLE, STRING, BOOLEAN or TIMESTAMP",
        at: feature.place("expression"))
      return addColumn(feature, type: .float, stage: 1)
    }
    let stage = stage(of: expression) + 1
    derived.append(FeatureProgram.DerivedColumn(column: layout.columns.count, expression: expression))
    addDefault(feature, column: layout.columns.count, type: type, reader: &reader)
    addColumn(feature, type: type, stage: stage)
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

  private mutating func index(of condition: CheckedExpression) -> Int {
    if let known = conditions.firstIndex(of: condition) { return known }
    conditions.append(condition)
    conditionStages.append(stage(of: condition))
    return conditions.count - 1
  }

  private mutating func draft(by: [FeatureInput], stage: Int) -> Int {
    if let known = drafts.firstIndex(where: { $0.keyInputs == by && $0.stage == stage }) { return known }
    drafts.append(TableDraft(keyInputs: by, stage: stage, names: by.map { layout.columns[$0.column].name }))
    return drafts.count - 1
  }

  mutating func finishTables() -> [FeatureTableLayout] {
    drafts.map { $0.finish() }
  }

  /// Conditions before the tables that use them, tables before what is derived from them, stage by stage.
  func finishSteps() -> [FeatureProgram.Step] {
    var steps: [FeatureProgram.Step] = []
    for stage in 0...(stages.max() ?? 0) {
      for index in drafts.indices where drafts[index].stage == stage { steps.append(.table(index)) }
      for index in derived.indices where stages[derived[index].column] == stage { steps.append(.derived(index)) }
      for index in defaults.indices where stages[defaults[index].column] == stage { steps.append(.defaults(index)) }
      for index in conditions.indices where conditionStages[index] == stage { steps.append(.condition(index)) }
    }
    return steps
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

extension FieldType {
  /// The type of a column that holds an expression's values, or `nil` where there is none.
  init?(column type: DataType) {
    switch type {
    case .boolean: self = .boolean
    case .tinyint, .smallint, .int, .bigint: self = .integer
    case .float, .double, .decimal: self = .float
    case .string: self = .string
    case .timestamp: self = .timestamp
    case .null, .date, .dayTimeInterval, .yearMonthInterval: return nil
    }
  }
}

extension CheckedExpression {
  /// The columns it reads.
  var columns: [Int] {
    var columns: [Int] = []
    for node in nodes {
      if case .column(let column) = node.operation, !columns.contains(column) { columns.append(column) }
    }
    return columns
  }
}

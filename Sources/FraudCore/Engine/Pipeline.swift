/// A rule that was compiled.
public struct Rule: Sendable {
  /// The rule's id.
  public let id: String
  /// Its condition with names and types settled.
  public let expression: CheckedExpression
  /// How serious a match is.
  public let severity: Severity
  /// What a match means, for people.
  public let description: String
  /// `live` or `shadow`; a rule that is off is not compiled in.
  public let mode: RuleMode
  /// Of all keys, the share in basis points that it is in force for; `nil` for every one. See ``Experiment``.
  public let share: Int?
  /// The computed columns that it reads, in their order.
  let computedColumns: [Int]
}

/// A compiled pipeline: everything about a definition that is known before the first event.
///
/// It never changes and is shared freely; an ``Engine`` holds what does change. Rules that are off are checked and left out.
///
///     let pipeline = try Pipeline(DefinitionValue(json: definition))
///     var engine = Engine(pipeline)
///     let scored = try engine.score(event)
///
/// - Complexity: compiling takes time and memory linear in the definition.
public struct Pipeline: Sendable {
  /// What was declared.
  public let definition: PipelineDefinition
  /// The columns of its batches.
  public let layout: ColumnLayout
  /// The rules that run, in the order of the definition.
  public let rules: [Rule]
  /// What is remembered and computed beside the fields.
  public let features: FeatureProgram
  /// How outcomes become decisions.
  public let scoring: ScoringPolicy
  package let decoder: EventDecoder
  let program: RuleProgram
  let known: KnownColumns
  /// What the lists hold whose values stand in the definition, by index.
  let lists: [ListValues?]

  /// Columns with a meaning of their own.
  struct KnownColumns: Sendable {
    var eventID: Int?
    var eventTime: Int?
    var label: Int?
  }

  /// Compiles a definition.
  ///
  /// - Parameter zones: what names of time zones mean.
  /// - Throws: ``DefinitionError`` with every mistake in it, those of its expressions included.
  public init(_ source: DefinitionValue, zones: TimeZones = .offsetsOnly) throws(DefinitionError) {
    var reader = DefinitionReader()
    guard let definition = PipelineDefinition(source, reader: &reader) else {
      throw DefinitionError(problems: reader.problems)
    }
    let lists = definition.lists.map { DeclaredList(name: $0.name, type: $0.type == .integer ? .integer : .string) }
    let features = FeatureProgram(
      definition.features, schema: definition.schema, eventTime: definition.eventTime, label: definition.label,
      key: definition.key, deduplicate: definition.deduplication, lists: lists,
      tables: definition.tables, streams: definition.streams, aggregations: definition.aggregations, zones: zones,
      reader: &reader)
    layout = features.layout
    let compiler = ExpressionCompiler(layout: layout, lists: lists, zones: zones)
    let label = definition.label.flatMap { features.layout.index(of: $0) }
    var rules: [Rule] = []
    var scored: [ScoredRule] = []
    for rule in definition.rules {
      let value = DefinitionValue(.null, line: rule.line, column: rule.column)
      let place = DefinitionNode(value: value, path: "\(rule.path).rule_expression")
      guard
        let expression = reader.compile(at: place, { () throws(ExpressionError) in try compiler.rule(rule.expression) })
      else { continue }
      if let label, expression.reads(column: label) {
        reader.report("a rule cannot read the label '\(features.layout.columns[label].name)'", at: place)
      }
      if rule.mode == .off { continue }
      let isScorecard = definition.scoring.policy == .points
      if isScorecard, rule.points == nil, rule.mode == .live {
        reader.report("policy points needs 'points' for every live rule", at: place)
      }
      scored.append(
        ScoredRule(id: rule.id, weight: (isScorecard ? rule.points : rule.weight) ?? 10_000, live: rule.mode == .live))
      rules.append(
        Rule(
          id: rule.id, expression: expression, severity: rule.severity, description: rule.description, mode: rule.mode,
          share: rule.share,
          computedColumns: (features.layout.fieldCount..<features.layout.columns.count)
            .filter { expression.reads(column: $0) }))
    }
    let scoring = reader.collect { () throws(DefinitionError) in
      try ScoringPolicy(definition.scoring, rules: scored)
    }
    guard let scoring, reader.problems.isEmpty else { throw DefinitionError(problems: reader.problems) }
    self.definition = definition
    self.rules = rules
    self.features = features
    self.scoring = scoring
    self.lists = definition.lists.map { list in list.file == nil ? list.contents(list.values) : nil }
    decoder = EventDecoder(schema: definition.schema)
    program = RuleProgram(rules.map(\.expression), layout: layout, zones: zones)
    known = KnownColumns(
      eventID: definition.eventID.flatMap { features.layout.index(of: $0) },
      eventTime: definition.eventTime.flatMap { features.layout.index(of: $0.field) }, label: label)
  }

  /// The fields that decisions and their counts depend on; `nil` for all. An alert shows the whole event.
  ///
  /// - Parameter named: whether an event's identity and time are shown, too.
  package func fieldsRead(named: Bool) -> Set<Int>? {
    guard features.isEmpty else { return nil }
    var fields = Set([known.label].compactMap { $0 })
    if named { fields.formUnion([known.eventID, known.eventTime].compactMap { $0 }) }
    for rule in rules { fields.formUnion((0..<layout.fieldCount).filter { rule.expression.reads(column: $0) }) }
    return fields
  }

  /// When a row's event happened: the declared field, else the record's timestamp where no field is declared.
  package func eventTime(row: Int, batch: EventBatch) -> Int64? {
    guard let column = known.eventTime else { return batch.positions[row].timestamp }
    return batch.isValid(column: column, row: row) ? Int64(bitPattern: batch.word(column: column, row: row)) : nil
  }
}

extension Pipeline {
  /// A row's declared identity as text, masked where the field is sensitive.
  func eventID(row: Int, batch: EventBatch, redaction: Redaction) -> String? {
    guard let column = known.eventID, let value = batch.value(column: column, row: row) else { return nil }
    return redaction.masked(value.plainText, ofField: column)
  }
}

extension FieldValue {
  /// The value as text without quotes, as event ids are shown.
  package var plainText: String {
    switch self {
    case .string(let string): string
    case .integer(let number): "\(number)"
    case .float(let number): "\(number)"
    case .boolean(let flag): "\(flag)"
    case .timestamp(let time): JSONText.rfc3339(time)
    }
  }
}

extension JSONText {
  /// An instant without quotes, as ``append(timestamp:to:)`` writes it.
  package static func rfc3339(_ time: Int64) -> String {
    var quoted: [UInt8] = []
    append(timestamp: time, to: &quoted)
    return String(decoding: quoted.filter { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
  }
}

extension ListDefinition {
  /// A list's values as rules test them. Texts that are no integers are passed over in a list of integers.
  public func contents(_ values: [String]) -> ListValues {
    type == .integer ? ListValues(integers: values.compactMap { Int64($0) }) : ListValues(texts: values)
  }
}

extension CheckedExpression {
  /// Whether the expression looks at a column.
  func reads(column: Int) -> Bool {
    nodes.contains { $0.operation == .column(column) }
  }
}

extension DefinitionReader {
  /// Compiles an expression and writes its mistakes down.
  fileprivate mutating func compile(
    at place: DefinitionNode, _ body: () throws(ExpressionError) -> CheckedExpression
  ) -> CheckedExpression? {
    do {
      return try body()
    } catch {
      for diagnostic in error.diagnostics { report(diagnostic.message, at: place) }
      return nil
    }
  }

  /// Does what throws problems of its own and writes them down.
  fileprivate mutating func collect<Result>(_ body: () throws(DefinitionError) -> Result) -> Result? {
    do {
      return try body()
    } catch {
      problems += error.problems
      return nil
    }
  }
}

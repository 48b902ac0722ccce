/// A pipeline's features compiled against its schema: which columns there are, what is remembered for which keys, and in
/// what order everything is computed.
///
/// A feature may use what stands before it. Features that use only fields make up the first stage; those that use
/// columns of earlier stages a later one. A stage is computed for the whole batch before the next begins, and within it
/// all features of one grouping share one record a key.
public struct FeatureProgram: Sendable {
  /// The schema's fields, then a column for each feature in the order of the definition.
  public let layout: ColumnLayout
  let steps: [Step]
  /// Groupings of features, then graphs.
  let tables: [FeatureTableLayout]
  let graphs: [GraphPlan]
  /// For each stage that has any, the conditions (`where`) that can be evaluated after it.
  let conditions: [Conditions]
  /// For each stage that has any, its columns with expressions.
  let derived: [Derived]
  /// Columns that show a timestamp as a zone's wall clock does.
  let local: [LocalTime]
  let lookups: [Lookup]
  /// Constants that stand in for NULL.
  let defaults: [Default]
  /// The columns that are estimated by sketches.
  let sketches: [Int: FeatureFunction]
  let deduplication: Deduplication?
  let aggregations: AggregationProgram
  let eventTime: EventTimeDefinition?
  let eventTimeColumn: Int?
  /// The further topics, and the columns of batches that hold the events of all.
  package let streams: [StreamPlan]
  package let merged: ColumnLayout
  /// The topic, 0 for the scored one, that each condition is asked of.
  let conditionSources: [Int]
  /// Features whose keys do not contain the field that the topic is partitioned by, and that do not say
  /// `scope: partition`: exact only over a topic of one partition.
  public let unkeyedFeatures: [String]

  enum Step: Sendable, Hashable {
    case condition(Int)
    case table(Int)
    case graph(Int)
    case derived(Int)
    case local(Int)
    case lookup(Int)
    case defaults(Int)
  }

  struct Conditions: Sendable {
    var program: RuleProgram
    /// The first of its conditions among those of all stages.
    var start: Int
  }

  struct Derived: Sendable {
    var program: RuleProgram
    var columns: [Int]
  }

  struct Default: Sendable {
    var column: Int
    var value: FieldValue
  }

  /// Which events are told apart by which field, and how long one is remembered.
  struct Deduplication: Sendable {
    var column: Int
    var span: Int64
    var table: FeatureTableLayout
  }

  /// Whether there is anything to compute.
  package var isEmpty: Bool { steps.isEmpty && deduplication == nil && aggregations.isEmpty && streams.isEmpty }

  /// Compiles features.
  ///
  /// - Parameters:
  ///   - label: the field that undelayed features may not read.
  ///   - key: the field that the topic is partitioned by.
  ///   - deduplicate: the field that identifies an event and the span of event time in which a second one is not counted.
  ///   - lists: the lists that expressions may test, in the order of the values given to ``FeatureState/apply(to:lists:)``.
  ///   - declared: the tables that features look values up in.
  ///   - streams: the further topics whose events features remember.
  ///   - aggregations: what is told of keys and windows.
  ///   - reader: takes every mistake; what was compiled beside one is not to be used.
  package init(
    _ features: [FeatureDefinition], schema: Schema, eventTime: EventTimeDefinition? = nil, label: String? = nil,
    key: String? = nil, deduplicate: (field: String, within: Int64)? = nil, lists: [DeclaredList] = [],
    tables declared: [TableDefinition] = [], streams: [StreamDefinition] = [],
    aggregations: [AggregationDefinition] = [],
    zones: TimeZones = .offsetsOnly, reader: inout DefinitionReader
  ) {
    var plans: [StreamPlan] = []
    let scored = ColumnLayout(schema: schema)
    // Each feature is one column.
    var next = schema.fields.count + features.count
    for stream in streams {
      plans.append(StreamPlan(stream, scored: scored, key: key, number: plans.count + 1, next: next))
      next += plans[plans.count - 1].ownColumns.count
    }
    self.streams = plans
    var builder = FeatureProgramBuilder(
      schema: schema, label: label, key: key, lists: lists, declaredTables: declared, zones: zones, streams: plans)
    for feature in features { builder.add(feature, reader: &reader) }
    let layout = builder.layout
    self.layout = layout
    merged = plans.isEmpty ? layout : builder.merged
    conditionSources = builder.conditionSources
    graphs = builder.finishGraphs()
    tables = builder.finishTables() + graphs.map(\.table)
    (conditions, derived) = builder.finishExpressions()
    defaults = builder.defaults
    sketches = Dictionary(
      tables.flatMap(\.operations).filter { $0.kind == .distinct || $0.kind == .quantile }.flatMap(\.outputs)
        .map { ($0.column, $0.function) }, uniquingKeysWith: { first, _ in first })
    local = builder.local
    lookups = builder.lookups
    steps = builder.finishSteps()
    unkeyedFeatures = builder.unkeyed
    deduplication = deduplicate.flatMap { field, span in
      layout.index(of: field).map { column in
        let input = FeatureInput(column: column, type: layout.columns[column].type)
        let table = FeatureTableLayout(
          keyInputs: [input], foldSets: [], operations: [], width: 2, identity: "seen \(field)",
          sources: streams.isEmpty ? [] : [0])
        return Deduplication(column: column, span: span, table: table)
      }
    }
    self.aggregations = AggregationProgram(
      aggregations, layout: layout, lists: lists, zones: zones, reader: &reader)
    self.eventTime = eventTime
    eventTimeColumn = eventTime.flatMap { layout.index(of: $0.field) }
  }

  /// The relative error of a value that a sketch estimated.
  func relativeError(of value: FieldValue?, column: Int) -> Double? {
    guard let value, let function = sketches[column] else { return nil }
    if function == .quantile { return QuantileSketch.relativeError }
    guard case .integer(let count) = value, count > DistinctSet.exactCount else { return nil }
    return DistinctSet.relativeError
  }

  /// How many conditions there are in all stages.
  var conditionCount: Int { conditions.reduce(0) { $0 + $1.program.count } }
}

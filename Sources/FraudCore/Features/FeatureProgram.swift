/// An expression that features need: a condition of theirs or a derived column.
package struct FeatureExpression: Sendable {
  /// The condition's or column's text.
  package var text: String
  /// Where it stands, as in `features[2].where`.
  package var path: String
  package var line: Int
  package var column: Int
}

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
  let tables: [FeatureTableLayout]
  /// Conditions (`where`) by the index that fold sets use.
  let conditions: [CheckedExpression]
  let derived: [DerivedColumn]
  /// Constants that stand in for NULL, by column.
  let defaults: [Default]
  let eventTime: EventTimeDefinition?
  let eventTimeColumn: Int?
  /// Features whose keys do not contain the field that the topic is partitioned by, and that do not say
  /// `scope: partition`: exact only over a topic of one partition.
  public let unkeyedFeatures: [String]

  enum Step: Sendable, Hashable {
    case condition(Int)
    case table(Int)
    case derived(Int)
    case defaults(Int)
  }

  struct DerivedColumn: Sendable {
    var column: Int
    var expression: CheckedExpression
  }

  struct Default: Sendable {
    var column: Int
    var value: FieldValue
  }

  /// Whether there is anything to compute.
  package var isEmpty: Bool { steps.isEmpty }

  /// Compiles features.
  ///
  /// - Parameters:
  ///   - label: the field that undelayed features may not read.
  ///   - key: the field that the topic is partitioned by.
  ///   - compile: settles names and types of an expression over the columns known so far; reports what is wrong itself.
  package init(
    _ features: [FeatureDefinition], schema: Schema, eventTime: EventTimeDefinition? = nil, label: String? = nil,
    key: String? = nil, reader: inout DefinitionReader,
    compile: (FeatureExpression, ColumnLayout, inout DefinitionReader) -> CheckedExpression?
  ) {
    var builder = FeatureProgramBuilder(schema: schema, label: label, key: key)
    for feature in features { builder.add(feature, reader: &reader, compile: compile) }
    let layout = builder.layout
    self.layout = layout
    tables = builder.finishTables()
    conditions = builder.conditions
    derived = builder.derived
    defaults = builder.defaults
    steps = builder.finishSteps()
    unkeyedFeatures = builder.unkeyed
    self.eventTime = eventTime
    eventTimeColumn = eventTime.flatMap { layout.index(of: $0.field) }
  }
}

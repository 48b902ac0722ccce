/// A value that a field's constraints are written with.
public enum FieldValue: Sendable, Hashable {
  case string(String)
  case integer(Int64)
  case float(Double)
  case boolean(Bool)
  /// Microseconds since 1970-01-01T00:00:00Z.
  case timestamp(Int64)
}

/// The unit of a timestamp that arrives as a number.
public enum TimestampUnit: String, Sendable, Hashable, CaseIterable {
  case seconds = "s"
  case milliseconds = "ms"
  case microseconds = "us"
}

/// What a field holds that must not be shown: see `RELIABILITY.md` 2.15 and PCI DSS 3.4.1.
public enum Sensitivity: String, Sendable, Hashable, CaseIterable {
  /// A card number: at most the first six and the last four digits are shown.
  case pan
  /// Personal data: nothing of it is shown.
  case pii
}

/// One declared field of an event.
public struct Field: Sendable, Hashable {
  /// The key in the event, matched exactly. Rules find it in any case.
  public var name: String
  /// What its values are.
  public var type: FieldType
  /// Whether an event may leave the field out or say `null`.
  public var nullable: Bool
  /// Reads a number as a timestamp in this unit; without it only text is a timestamp.
  public var unit: TimestampUnit?
  /// Accepts a quoted number or boolean: `"12.50"`.
  public var parseText: Bool
  /// The least value accepted, for `integer`, `float` and `timestamp`.
  public var minimum: FieldValue?
  /// The greatest value accepted, for `integer`, `float` and `timestamp`.
  public var maximum: FieldValue?
  /// The only values accepted, for `string` and `integer`.
  public var oneOf: [FieldValue]
  /// Stands in where the event has no value.
  public var defaultValue: FieldValue?
  /// How its values are masked, where they must not be shown.
  public var sensitive: Sensitivity?

  /// Declares a field; only name and type are needed.
  public init(
    name: String, type: FieldType, nullable: Bool = true, unit: TimestampUnit? = nil, parseText: Bool = false,
    minimum: FieldValue? = nil, maximum: FieldValue? = nil, oneOf: [FieldValue] = [],
    defaultValue: FieldValue? = nil, sensitive: Sensitivity? = nil
  ) {
    self.name = name
    self.type = type
    self.nullable = nullable
    self.unit = unit
    self.parseText = parseText
    self.minimum = minimum
    self.maximum = maximum
    self.oneOf = oneOf
    self.defaultValue = defaultValue
    self.sensitive = sensitive
  }
}

/// The declared fields of one kind of event, in order.
///
/// Names are unique without regard to case; ``PipelineDefinition`` checks that before it makes one.
public struct Schema: Sendable, Hashable {
  /// The fields in the order of the definition.
  public let fields: [Field]

  /// Takes fields whose names have been checked to be unique.
  public init(fields: [Field]) {
    self.fields = fields
  }
}

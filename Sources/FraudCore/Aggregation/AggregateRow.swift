/// What one aggregation says of one key in one window.
public struct AggregateRow: Sendable, Hashable {
  /// The aggregation's name.
  public var aggregation: String
  /// The window's first instant, in microseconds since 1970.
  public var start: Int64
  /// The first instant after the window.
  public var end: Int64
  /// The key's parts by name; `nil` is NULL.
  public var key: [Part]
  /// 0 for what stood when the watermark passed the window; a correction has a higher number than every row before it.
  public var revision: Int64
  /// Events that count.
  public var events: Int
  /// The measures in the order of the definition.
  public var measures: [Value]

  /// A part of the key.
  public struct Part: Sendable, Hashable {
    /// The field's or feature's name.
    public var name: String
    /// What it holds.
    public var value: FieldValue?
  }

  /// A measure and its value.
  public struct Value: Sendable, Hashable {
    /// The measure's name.
    public var name: String
    /// What is computed.
    public var function: MeasureFunction
    /// What was gathered.
    public var part: Measure
    /// For `share`, what was gathered over all events.
    public var whole: Measure?
    /// `quantile`'s quantile, `rate`'s factor an event.
    public var parameter: Double

    /// The measure's value; `nil` over nothing.
    public var value: FieldValue? {
      switch function {
      case .mean:
        guard case .sum(let high, let low, let count) = part, count > 0 else { return nil }
        return .float((high + low) / Double(count))
      case .share:
        guard let whole = whole?.number, whole != 0 else { return nil }
        return .float(part.number / whole)
      case .rate: return .float(part.number * parameter)
      default: return part.value(quantile: parameter)
      }
    }
  }

  /// Adds the row of another partition for the same window and key.
  public mutating func merge(_ other: AggregateRow) {
    precondition(
      aggregation == other.aggregation && end == other.end && key == other.key, "rows of different windows or keys")
    revision = max(revision, other.revision)
    events += other.events
    for index in measures.indices {
      measures[index].part.merge(other.measures[index].part)
      if let whole = other.measures[index].whole { measures[index].whole?.merge(whole) }
    }
  }

  /// Appends the row as one line of NDJSON.
  ///
  /// - Parameter source: the partition that it is of.
  package func append(source: EventSource, to text: inout [UInt8]) {
    var object = JSONObjectText()
    object.key("aggregation", &text)
    JSONText.append(string: aggregation, to: &text)
    object.key("window_start", &text)
    JSONText.append(timestamp: start, to: &text)
    object.key("window_end", &text)
    JSONText.append(timestamp: end, to: &text)
    object.key("key", &text)
    appendKey(to: &text)
    object.key("revision", &text)
    JSONText.append(revision, to: &text)
    object.key("events", &text)
    JSONText.append(Int64(events), to: &text)
    object.key("measures", &text)
    var values = JSONObjectText()
    for measure in measures {
      values.key(measure.name, &text)
      JSONText.append(measure.value, to: &text)
    }
    values.end(&text)
    if measures.contains(where: { $0.part.relativeError > 0 }) {
      object.key("errors", &text)
      var errors = JSONObjectText()
      for measure in measures where measure.part.relativeError > 0 {
        errors.key(measure.name, &text)
        JSONText.append(measure.part.relativeError, to: &text)
      }
      errors.end(&text)
    }
    object.key("topic", &text)
    JSONText.append(string: source.topic, to: &text)
    object.key("partition", &text)
    JSONText.append(Int64(source.partition), to: &text)
    object.end(&text)
    text.append(UInt8(ascii: "\n"))
  }

  /// Appends the key as a JSON object.
  package func appendKey(to text: inout [UInt8]) {
    var parts = JSONObjectText()
    for part in key {
      parts.key(part.name, &text)
      JSONText.append(part.value, to: &text)
    }
    parts.end(&text)
  }
}

/// A rejected event as it is kept.
public struct StoredRejection: Sendable {
  /// When it was written, in microseconds since 1970.
  public var createdAt: Int64
  /// The pipeline's name.
  public var pipeline: String
  /// Where the event came from.
  public var topic: String
  /// Tells the topic from earlier ones of its name.
  public var generation: String
  /// The partition of the topic.
  public var partition: Int
  /// The offset in the partition.
  public var offset: Int64
  /// The line in a file.
  public var line: Int64?
  /// Why, in a word.
  public var reason: String
  /// Why, for people.
  public var detail: String?
  /// The field at fault.
  public var field: String?
  /// The event or its head; nil for a tombstone.
  public var payload: [UInt8]?
  /// The bytes of the whole event.
  public var payloadLength: Int64?
  /// What came of it later: `scored` or `published`; nil while it is open.
  public var redrivenAs: String?
  /// When that was, in microseconds since 1970.
  public var redrivenAt: Int64?
}

/// Which rejected events are asked for. Conditions that are not set let everything pass.
public struct RejectedFilter: Sendable {
  /// Any of these reasons.
  public var reasons: [String] = []
  /// Any of these pipelines, by name or by number.
  public var pipelines: [String] = []
  /// Written at most so many microseconds ago.
  public var age: Int64?
  /// Written at this instant or later, in microseconds since 1970.
  public var since: Int64?
  /// The topic.
  public var topic: String?
  /// The partition.
  public var partition: Int?
  /// The offset.
  public var offset: Int64?
  /// Only those that no redrive has settled.
  public var isOpen = false

  /// Everything.
  public init() {}
}

/// Questions about the rejected events of a database.
public enum RejectedStore {
  /// Rejected events, the newest first.
  ///
  /// - Parameter payloadBytes: How much of each event is read.
  public static func list(
    _ filter: RejectedFilter, limit: Int, payloadBytes: Int, on connection: inout PostgresConnection
  ) throws(StoreError) -> [StoredRejection] {
    let rows = try connection.query(
      """
      SELECT \(columns("$10"))
      FROM fraud.rejected_events
      WHERE \(condition)
      ORDER BY created_at DESC, topic, generation, partition, "offset" DESC LIMIT $9
      """, parameters(filter) + [.integer(Int64(limit)), .integer(Int64(min(payloadBytes, Int(Int32.max))))])
    return try events(rows)
  }

  /// What a rejected event is read from.
  ///
  /// - Parameter payloadBytes: SQL for how much of the event.
  static func columns(_ payloadBytes: String) -> String {
    """
    created_at, pipeline, topic, generation, partition, "offset", line, reason, detail, field,
    substring(payload FROM 1 FOR \(payloadBytes)::int), payload_length, redriven_as, redriven_at
    """
  }

  static func events(_ rows: borrowing PostgresResult) throws(StoreError) -> [StoredRejection] {
    var events: [StoredRejection] = []
    for row in 0..<rows.rowCount {
      events.append(
        StoredRejection(
          createdAt: try rows.required(rows.timestamp(row, 0)), pipeline: try rows.required(rows.text(row, 1)),
          topic: try rows.required(rows.text(row, 2)), generation: try rows.required(rows.text(row, 3)),
          partition: Int(try rows.required(rows.integer(row, 4))), offset: try rows.required(rows.integer(row, 5)),
          line: try rows.integer(row, 6), reason: try rows.required(rows.text(row, 7)), detail: try rows.text(row, 8),
          field: try rows.text(row, 9), payload: try rows.bytes(row, 10), payloadLength: try rows.integer(row, 11),
          redrivenAs: try rows.text(row, 12), redrivenAt: try rows.timestamp(row, 13)))
    }
    return events
  }

  /// How many rejected events there are of each reason, the most frequent first.
  public static func countByReason(
    _ filter: RejectedFilter, on connection: inout PostgresConnection
  ) throws(StoreError) -> [(reason: String, events: Int64)] {
    let rows = try connection.query(
      "SELECT reason, count(*) FROM fraud.rejected_events WHERE \(condition) GROUP BY 1 ORDER BY 2 DESC, 1",
      parameters(filter))
    var counts: [(reason: String, events: Int64)] = []
    for row in 0..<rows.rowCount {
      counts.append((try rows.required(rows.text(row, 0)), try rows.required(rows.integer(row, 1))))
    }
    return counts
  }

  /// What a filter asks for, as parameters 1 to 8.
  static let condition = """
    ($1::text[] IS NULL OR reason = ANY ($1))
      AND ($2::text[] IS NULL OR pipeline = ANY ($2) OR pipeline_id::text = ANY ($2))
      AND ($3::bigint IS NULL OR created_at >= now() - $3 * interval '1 microsecond')
      AND ($4::timestamptz IS NULL OR created_at >= $4)
      AND ($5::text IS NULL OR topic = $5)
      AND ($6::bigint IS NULL OR partition = $6)
      AND ($7::bigint IS NULL OR "offset" = $7)
      AND (NOT $8::boolean OR redriven_as IS NULL)
    """

  static func parameters(_ filter: RejectedFilter) -> [PostgresValue] {
    func texts(_ texts: [String]) -> PostgresValue { texts.isEmpty ? .null : .array(PostgresArray(texts: texts)) }
    return [
      texts(filter.reasons), texts(filter.pipelines), .integer(orNull: filter.age), .timestamp(orNull: filter.since),
      .text(orNull: filter.topic), .integer(orNull: filter.partition.map(Int64.init)), .integer(orNull: filter.offset),
      .boolean(filter.isOpen),
    ]
  }
}

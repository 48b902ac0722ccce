/// A rejected event as it is kept.
public struct StoredRejection: Sendable {
  /// When it was written, in microseconds since 1970.
  public var createdAt: Int64
  /// The pipeline's name.
  public var pipeline: String
  /// Where the event came from.
  public var topic: String
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
      SELECT created_at, pipeline, topic, partition, "offset", line, reason, detail, field,
        substring(payload FROM 1 FOR $9::int), payload_length
      FROM fraud.rejected_events
      WHERE \(condition)
      ORDER BY created_at DESC, topic, generation, partition, "offset" DESC LIMIT $8
      """, parameters(filter) + [.integer(Int64(limit)), .integer(Int64(min(payloadBytes, Int(Int32.max))))])
    var events: [StoredRejection] = []
    for row in 0..<rows.rowCount {
      events.append(
        StoredRejection(
          createdAt: try rows.required(rows.timestamp(row, 0)), pipeline: try rows.required(rows.text(row, 1)),
          topic: try rows.required(rows.text(row, 2)), partition: Int(try rows.required(rows.integer(row, 3))),
          offset: try rows.required(rows.integer(row, 4)), line: try rows.integer(row, 5),
          reason: try rows.required(rows.text(row, 6)), detail: try rows.text(row, 7), field: try rows.text(row, 8),
          payload: try rows.bytes(row, 9), payloadLength: try rows.integer(row, 10)))
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

  private static let condition = """
    ($1::text[] IS NULL OR reason = ANY ($1))
      AND ($2::text[] IS NULL OR pipeline = ANY ($2) OR pipeline_id::text = ANY ($2))
      AND ($3::bigint IS NULL OR created_at >= now() - $3 * interval '1 microsecond')
      AND ($4::timestamptz IS NULL OR created_at >= $4)
      AND ($5::text IS NULL OR topic = $5)
      AND ($6::bigint IS NULL OR partition = $6)
      AND ($7::bigint IS NULL OR "offset" = $7)
    """

  private static func parameters(_ filter: RejectedFilter) -> [PostgresValue] {
    func texts(_ texts: [String]) -> PostgresValue { texts.isEmpty ? .null : .array(PostgresArray(texts: texts)) }
    return [
      texts(filter.reasons), texts(filter.pipelines), .integer(orNull: filter.age), .timestamp(orNull: filter.since),
      .text(orNull: filter.topic), .integer(orNull: filter.partition.map(Int64.init)), .integer(orNull: filter.offset),
    ]
  }
}

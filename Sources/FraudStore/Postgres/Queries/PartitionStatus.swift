public import FraudCore

/// One partition of one pipeline, as people look at it.
public struct PartitionStatus: Sendable {
  /// The pipeline's name.
  public var pipeline: String
  /// How far it is and what it counted.
  public var progress: PartitionProgress
  /// Who processes it or did so last.
  public var ownerName: String
  /// Whether the owner has given it back.
  public var isReleased: Bool
  /// Since the last commit, in microseconds; `nil` before the first.
  public var age: Int64?

  /// The rows of `fraud.partitions`, by pipeline, topic and partition.
  ///
  /// - Parameter pipeline: One pipeline's number; without it all.
  public static func list(
    of pipeline: Int? = nil, on connection: inout PostgresConnection
  ) throws(StoreError) -> [PartitionStatus] {
    let rows = try connection.query(
      """
      SELECT n.name, p.pipeline_id, p.topic, p.generation, p.partition, p.owner_name, p.released_at IS NOT NULL,
        (extract(epoch FROM clock_timestamp() - p.committed_at) * 1000000)::bigint,
        p.epoch, p.start_offset, p.next_offset, p.seq, p.pipeline_version, p.watermark, p.max_event_time, p.accepted,
        p.rejected, p.late, p.decisions, p.alerts
      FROM fraud.partitions p JOIN fraud.pipelines n ON n.id = p.pipeline_id
      WHERE $1::bigint IS NULL OR p.pipeline_id = $1::bigint
      ORDER BY n.name, p.topic, p.generation, p.partition
      """, [.integer(orNull: pipeline.map(Int64.init))])
    var partitions: [PartitionStatus] = []
    for row in 0..<rows.rowCount {
      var counts = EventCounts()
      counts.accepted = try rows.required(rows.integer(row, 15))
      counts.rejected = try rows.required(rows.integer(row, 16))
      counts.late = try rows.required(rows.integer(row, 17))
      counts.decisions = try rows.required(rows.integer(row, 18))
      counts.alerts = try rows.required(rows.integer(row, 19))
      let source = EventSource(
        topic: try rows.required(rows.text(row, 2)), generation: try rows.required(rows.text(row, 3)),
        partition: Int32(clamping: try rows.required(rows.integer(row, 4))))
      let progress = PartitionProgress(
        pipelineID: Int(try rows.required(rows.integer(row, 1))), source: source,
        epoch: try rows.required(rows.integer(row, 8)), startOffset: try rows.required(rows.integer(row, 9)),
        nextOffset: try rows.required(rows.integer(row, 10)), sequence: try rows.required(rows.integer(row, 11)),
        batchID: nil, pipelineVersion: try rows.integer(row, 12).map(Int.init),
        watermark: try rows.timestamp(row, 13), maxEventTime: try rows.timestamp(row, 14), counts: counts)
      partitions.append(
        PartitionStatus(
          pipeline: try rows.required(rows.text(row, 0)), progress: progress,
          ownerName: try rows.required(rows.text(row, 5)), isReleased: try rows.required(rows.boolean(row, 6)),
          age: try rows.integer(row, 7)))
    }
    return partitions
  }
}

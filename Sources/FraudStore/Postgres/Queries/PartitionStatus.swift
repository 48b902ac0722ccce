public import FraudCore

/// One partition of one pipeline, as people look at it.
public struct PartitionStatus: Sendable {
  /// The pipeline's name.
  public var pipeline: String
  /// How far it is and what it counted.
  public var progress: PartitionProgress
  /// Where the version that decided last is in force for a share of the keys, that share in basis points and the version
  /// that decides the events of the others.
  public var share: Int?
  /// See ``share``.
  public var controlVersion: Int?
  /// Who processes it or did so last.
  public var ownerName: String
  /// Whether the owner has given it back.
  public var isReleased: Bool
  /// Since the last commit, in microseconds; `nil` before the first.
  public var age: Int64?
  /// From the event time that it has reached until now, in microseconds.
  public var watermarkDelay: Int64?
  /// What is stored of its features.
  public var stateBytes: Int64
  /// Of its owner, as the owner measures since its start: how long commits take, and how long events take from their
  /// record's timestamp to their commit, in milliseconds; `nil` where it does not run.
  public var commit50: Double?
  /// See ``commit50``.
  public var commit99: Double?
  /// See ``commit50``.
  public var latency50: Double?
  /// See ``commit50``.
  public var latency99: Double?
  /// The owner's events a second.
  public var eventsPerSecond: Double?
  /// What the owner waits for.
  public var holding: String?
  /// The memory that the owner holds.
  public var memoryBytes: Int64?
  /// Of that, bytes of records that the owner has read and not committed, and what they stay below.
  public var bufferedBytes: Int64?
  /// See ``bufferedBytes``.
  public var bufferedBytesMax: Int64?
  /// Of that, what features remember of all partitions of the owner.
  public var ownerStateBytes: Int64?

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
        p.rejected, p.late, p.decisions, p.alerts,
        (extract(epoch FROM clock_timestamp() - coalesce(p.watermark, p.max_event_time)) * 1000000)::bigint,
        (SELECT coalesce(sum(octet_length(s.blob)), 0)::bigint FROM fraud.state_buckets s
          WHERE s.pipeline_id = p.pipeline_id AND s.topic = p.topic AND s.generation = p.generation
            AND s.partition = p.partition)
        + (SELECT coalesce(sum(octet_length(s.blob)), 0)::bigint FROM fraud.state_deltas s
          WHERE s.pipeline_id = p.pipeline_id AND s.topic = p.topic AND s.generation = p.generation
            AND s.partition = p.partition),
        r.commit_ms_p50, r.commit_ms_p99, r.latency_ms_p50, r.latency_ms_p99, r.events_per_second, r.holding,
        r.memory_bytes, r.buffered_bytes, r.buffered_bytes_max, r.state_bytes,
        \(PipelineStore.share), v.control_version
      FROM fraud.partitions p JOIN fraud.pipelines n ON n.id = p.pipeline_id
      LEFT JOIN fraud.pipeline_versions v ON v.pipeline_id = p.pipeline_id AND v.version = p.pipeline_version
      LEFT JOIN fraud.processes r ON r.pipeline_id = p.pipeline_id AND r.owner_name = p.owner_name
        AND p.released_at IS NULL AND r.updated_at > now() - interval '15 seconds'
      WHERE $1::bigint IS NULL OR p.pipeline_id = $1::bigint
      ORDER BY n.name, p.topic, p.generation, p.partition
      """, [.integer(orNull: pipeline.map(Int64.init))])
    let streams = try StreamRows.list(of: pipeline, on: &connection)
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
      var progress = PartitionProgress(
        pipelineID: Int(try rows.required(rows.integer(row, 1))), source: source,
        epoch: try rows.required(rows.integer(row, 8)), startOffset: try rows.required(rows.integer(row, 9)),
        nextOffset: try rows.required(rows.integer(row, 10)), sequence: try rows.required(rows.integer(row, 11)),
        batchID: nil, pipelineVersion: try rows.integer(row, 12).map(Int.init),
        watermark: try rows.timestamp(row, 13), maxEventTime: try rows.timestamp(row, 14), counts: counts)
      progress.streams = streams[StreamRows.Place(pipelineID: progress.pipelineID, source: source)] ?? []
      partitions.append(
        PartitionStatus(
          pipeline: try rows.required(rows.text(row, 0)), progress: progress,
          share: try rows.double(row, 32).map { Int(($0 * 10_000).rounded()) },
          controlVersion: try rows.integer(row, 33).map(Int.init),
          ownerName: try rows.required(rows.text(row, 5)), isReleased: try rows.required(rows.boolean(row, 6)),
          age: try rows.integer(row, 7), watermarkDelay: try rows.integer(row, 20),
          stateBytes: try rows.required(rows.integer(row, 21)), commit50: try rows.double(row, 22),
          commit99: try rows.double(row, 23), latency50: try rows.double(row, 24), latency99: try rows.double(row, 25),
          eventsPerSecond: try rows.double(row, 26), holding: try rows.text(row, 27),
          memoryBytes: try rows.integer(row, 28), bufferedBytes: try rows.integer(row, 29),
          bufferedBytesMax: try rows.integer(row, 30), ownerStateBytes: try rows.integer(row, 31)))
    }
    return partitions
  }
}

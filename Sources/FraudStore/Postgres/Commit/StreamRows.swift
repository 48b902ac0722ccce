internal import FraudCore

/// How far streams are, as rows.
enum StreamRows {
  /// What a commit writes of its streams; nothing for a pipeline without any.
  static func statements(_ advance: PartitionAdvance, version: Int) -> [CommitRows.Statement] {
    let progress = advance.progress
    let key = PartitionCommitter.key(progress.pipelineID, progress.source)
    if advance.streams.isEmpty { return [] }
    var topics = PostgresArray(.text)
    var starts = PostgresArray(.integer)
    var nexts = PostgresArray(.integer)
    var accepted = PostgresArray(.integer)
    var rejected = PostgresArray(.integer)
    var readTopics = PostgresArray(.text)
    var firsts = PostgresArray(.integer)
    var ends = PostgresArray(.integer)
    if advance.nextOffset > progress.nextOffset {
      readTopics.append(.text(progress.source.topic))
      firsts.append(.integer(progress.nextOffset))
      ends.append(.integer(advance.nextOffset))
    }
    for stream in advance.streams {
      topics.append(.text(stream.progress.topic))
      starts.append(.integer(stream.progress.startOffset))
      nexts.append(.integer(stream.progress.nextOffset))
      accepted.append(.integer(stream.progress.accepted))
      rejected.append(.integer(stream.progress.rejected))
      if stream.progress.nextOffset == stream.firstOffset { continue }
      readTopics.append(.text(stream.progress.topic))
      firsts.append(.integer(stream.firstOffset))
      ends.append(.integer(stream.progress.nextOffset))
    }
    return [
      (
        """
        INSERT INTO fraud.stream_progress AS p (pipeline_id, topic, generation, partition, stream_topic, start_offset,
          next_offset, accepted, rejected)
        SELECT $1, $2, $3, $4, r.* FROM unnest($5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) AS r
        ON CONFLICT (pipeline_id, topic, generation, partition, stream_topic) DO UPDATE
          SET next_offset = excluded.next_offset, accepted = excluded.accepted, rejected = excluded.rejected
        """,
        key + [.array(topics), .array(starts), .array(nexts), .array(accepted), .array(rejected)]
      ),
      (
        """
        INSERT INTO fraud.commit_ranges (pipeline_id, topic, generation, partition, seq, pipeline_version, read_topic,
          first_offset, next_offset)
        SELECT $1, $2, $3, $4, $5, $6, r.* FROM unnest($7::text[], $8::bigint[], $9::bigint[]) AS r
        """,
        key + [
          .integer(progress.sequence + 1), .integer(Int64(version)), .array(readTopics), .array(firsts), .array(ends),
        ]
      ),
    ]
  }

  /// Reads how far a partition's streams are.
  static func read(
    _ key: [PostgresValue], on connection: inout PostgresConnection
  ) throws(StoreError) -> [StreamProgress] {
    let rows = try connection.query(
      """
      SELECT stream_topic, start_offset, next_offset, accepted, rejected FROM fraud.stream_progress
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 ORDER BY stream_topic
      """, key)
    var streams: [StreamProgress] = []
    for row in 0..<rows.rowCount { streams.append(try progress(rows, row)) }
    return streams
  }

  private static func progress(
    _ rows: borrowing PostgresResult, _ row: Int
  ) throws(StoreError) -> StreamProgress {
    var stream = StreamProgress(
      topic: try rows.required(rows.text(row, 0)), startOffset: try rows.required(rows.integer(row, 1)))
    stream.nextOffset = try rows.required(rows.integer(row, 2))
    stream.accepted = try rows.required(rows.integer(row, 3))
    stream.rejected = try rows.required(rows.integer(row, 4))
    return stream
  }

  /// A partition of a pipeline.
  struct Place: Hashable {
    var pipelineID: Int
    var source: EventSource
  }

  /// How far the streams of all partitions are, in the order of their topics.
  static func list(
    of pipeline: Int?, on connection: inout PostgresConnection
  ) throws(StoreError) -> [Place: [StreamProgress]] {
    let rows = try connection.query(
      """
      SELECT stream_topic, start_offset, next_offset, accepted, rejected, pipeline_id, topic, generation, partition
      FROM fraud.stream_progress WHERE $1::bigint IS NULL OR pipeline_id = $1::bigint ORDER BY stream_topic
      """, [.integer(orNull: pipeline.map(Int64.init))])
    var streams: [Place: [StreamProgress]] = [:]
    for row in 0..<rows.rowCount {
      let source = EventSource(
        topic: try rows.required(rows.text(row, 6)), generation: try rows.required(rows.text(row, 7)),
        partition: Int32(clamping: try rows.required(rows.integer(row, 8))))
      let place = Place(pipelineID: Int(try rows.required(rows.integer(row, 5))), source: source)
      streams[place, default: []].append(try progress(rows, row))
    }
    return streams
  }
}

public import FraudCore

/// How a process is that runs a pipeline: what it measures of itself, since its start.
public struct ProcessStatus: Sendable {
  /// The pipeline's number.
  public var pipelineID: Int
  /// The process, as it calls itself in `fraud.partitions`.
  public var ownerName: String
  /// Since when, in microseconds since 1970.
  public var startedAt: Int64
  /// The version that it runs.
  public var version: Int?
  /// Events committed.
  public var events = 0
  /// Of those, a second.
  public var eventsPerSecond: Double?
  /// Alerts written.
  public var alerts = 0
  /// Commits.
  public var commits = 0
  /// How long commits took, in milliseconds.
  public var commit50: Double?
  /// See ``commit50``.
  public var commit99: Double?
  /// From the events' record timestamps to their commits, in milliseconds.
  public var latency50: Double?
  /// See ``latency50``.
  public var latency99: Double?
  /// Records behind the ends of its partitions.
  public var lagRecords: Int64?
  /// The memory that it holds.
  public var memoryBytes: Int64?
  /// What its processor holds.
  public var held = ProcessorMemory()
  /// What it waits for.
  public var holding: String?

  /// Names a process.
  public init(pipelineID: Int, ownerName: String, startedAt: Int64) {
    self.pipelineID = pipelineID
    self.ownerName = ownerName
    self.startedAt = startedAt
  }

  /// Writes the process's row, and removes those that nobody has written for a day.
  public func write(on connection: inout PostgresConnection) throws(StoreError) {
    try connection.execute(
      """
      WITH gone AS (DELETE FROM fraud.processes WHERE updated_at < now() - interval '1 day')
      INSERT INTO fraud.processes (pipeline_id, owner_name, started_at, pipeline_version, events, events_per_second,
        alerts, commits, commit_ms_p50, commit_ms_p99, latency_ms_p50, latency_ms_p99, lag_records, memory_bytes, holding,
        buffered_bytes, buffered_bytes_max, state_bytes, state_keys, delta_bytes)
      SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
      WHERE EXISTS (SELECT FROM fraud.pipelines WHERE id = $1)
      ON CONFLICT (pipeline_id, owner_name) DO UPDATE SET updated_at = now(), started_at = excluded.started_at,
        pipeline_version = excluded.pipeline_version, events = excluded.events,
        events_per_second = excluded.events_per_second, alerts = excluded.alerts, commits = excluded.commits,
        commit_ms_p50 = excluded.commit_ms_p50, commit_ms_p99 = excluded.commit_ms_p99,
        latency_ms_p50 = excluded.latency_ms_p50, latency_ms_p99 = excluded.latency_ms_p99,
        lag_records = excluded.lag_records, memory_bytes = excluded.memory_bytes, holding = excluded.holding,
        buffered_bytes = excluded.buffered_bytes, buffered_bytes_max = excluded.buffered_bytes_max,
        state_bytes = excluded.state_bytes, state_keys = excluded.state_keys, delta_bytes = excluded.delta_bytes
      """,
      [
        .integer(Int64(pipelineID)), .text(ownerName), .timestamp(startedAt), .integer(orNull: version.map(Int64.init)),
        .integer(Int64(events)), number(eventsPerSecond), .integer(Int64(alerts)), .integer(Int64(commits)),
        number(commit50), number(commit99), number(latency50), number(latency99), .integer(orNull: lagRecords),
        .integer(orNull: memoryBytes), .text(orNull: holding), .integer(Int64(held.bufferedBytes)),
        .integer(Int64(held.bufferedBytesMax)), .integer(Int64(held.stateBytes)), .integer(Int64(held.stateKeys)),
        .integer(Int64(held.deltaBytes)),
      ])
  }

  /// Removes the process's row, since it ends.
  public func remove(on connection: inout PostgresConnection) throws(StoreError) {
    try connection.execute(
      "DELETE FROM fraud.processes WHERE pipeline_id = $1 AND owner_name = $2",
      [.integer(Int64(pipelineID)), .text(ownerName)])
  }

  private func number(_ value: Double?) -> PostgresValue { value.map(PostgresValue.double) ?? .null }
}

public import FraudCore

/// Commits what processing made of some partitions' events, exactly once whatever dies.
///
/// Everything about a partition (how far it is, what its features remember, its alerts, its rejected events) changes in
/// one PostgreSQL transaction, whose first statement moves the partition's row in `fraud.partitions` from exactly the
/// state that the events were processed from. That row is the fence: a process that lost the partition, or sends a unit a
/// second time, moves nothing and is told so.
///
/// ```swift
/// var committer = PartitionCommitter(address, ownerName: "host:4711")
/// let progress = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
/// var unit = CommitUnit(pipeline: "card-payments", pipelineID: 1, pipelineVersion: 3)
/// unit.advances = [PartitionAdvance(progress: progress, nextOffset: progress.nextOffset + 1_000)]
/// let outcome = try committer.commit(unit)   // on a retryable error: pause, then the same unit again
/// ```
///
/// It connects when it is first used and again after a lost connection. All calls block; it belongs to the thread that
/// processes. See `RELIABILITY.md` 2.2 to 2.5.
public struct PartitionCommitter: Committer, ~Copyable, Sendable {
  /// What a commit survives.
  public enum Durability: String, Sendable, CaseIterable {
    /// A commit that was answered survives a crash of the database's machine.
    case on
    /// A crash of the database may undo the last moments, offsets and results alike; the log is then read from there
    /// again. What is to be told outside of the database waits for a durable transaction, which makes all before it
    /// durable, too: ``AlertOutbox`` has one, and ``PartitionCommitter/settle(_:)`` is one.
    case off
  }

  /// Tells this process from every other, also from an earlier one that had the same epoch.
  public let owner: UniqueID
  private let ownerName: String
  private let address: PostgresAddress
  private let timeouts: PostgresConnection.Timeouts
  private let durability: Durability
  private var connection: PostgresConnection?
  /// The trials that the last note of each partition named: that one of them is over is to survive the server.
  private var trials: [EventSource: [PartitionProgress.NotedRecord]] = [:]
  /// The trials that each partition was taken with: others had begun them and died.
  private var blamed: [EventSource: [PartitionProgress.NotedRecord]] = [:]
  /// Where copies of what features remember are kept for a quick restart, if anywhere.
  var cache: StateCache?
  /// Called with the name of each step by tests that let processes die there.
  package var failpoint: (@Sendable (StaticString) -> Void)?

  /// Makes a committer; it connects when it is first used.
  ///
  /// - Parameter ownerName: Who this is, for people who look at the table.
  public init(
    _ address: PostgresAddress, ownerName: String, durability: Durability = .on,
    timeouts: PostgresConnection.Timeouts = PostgresConnection.Timeouts(), owner: UniqueID = .random()
  ) {
    self.address = address
    self.ownerName = ownerName
    self.durability = durability
    self.timeouts = timeouts
    self.owner = owner
  }

  // MARK: - Ownership

  /// Makes this process the only one that can commit to a partition, and says where to go on.
  ///
  /// It waits for a transaction of the former owner, and ends that owner's connection where it does not come to an end.
  /// Always durable: an epoch that a crash took back could be handed out twice.
  ///
  /// - Parameter startOffset: Where to begin a partition that has no row yet.
  /// - Throws: ``StoreError``; `.unavailable` and whatever else is retryable may be tried again.
  public mutating func takeOwnership(
    pipelineID: Int, source: EventSource, startOffset: Int64
  ) throws(StoreError) -> PartitionProgress {
    let key = Self.key(pipelineID, source)
    do {
      return try take(key, pipelineID, source, startOffset)
    } catch {
      // 55P03: the row stayed locked for the whole lock timeout.
      guard error.sqlState == "55P03" else { throw error }
      _ = try withConnection { connection throws(StoreError) in
        try connection.execute(
          """
          SELECT pg_terminate_backend(a.pid, 5000)
          FROM fraud.partitions AS p JOIN pg_stat_activity AS a ON a.pid = p.backend_pid
          WHERE p.pipeline_id = $1 AND p.topic = $2 AND p.generation = $3 AND p.partition = $4
            AND a.application_name = current_setting('application_name') AND a.usename = current_user
            AND a.datname = current_database()
          """, key)
      }
      return try take(key, pipelineID, source, startOffset)
    }
  }

  private mutating func take(
    _ key: [PostgresValue], _ pipelineID: Int, _ source: EventSource, _ startOffset: Int64
  ) throws(StoreError) -> PartitionProgress {
    let parameters = key + [.id(owner), .text(ownerName), .integer(startOffset), Self.notes(blamed[source] ?? [])]
    let progress = try withConnection { connection throws(StoreError) in
      try connection.transaction { connection throws(StoreError) in
        try connection.execute("SET LOCAL synchronous_commit = on")
        let row = try connection.query(
          """
          INSERT INTO fraud.partitions AS p (pipeline_id, topic, generation, partition, owner, owner_name, epoch,
            backend_pid, start_offset, next_offset)
          VALUES ($1, $2, $3, $4, $5, $6, 1, pg_backend_pid(), $7, $7)
          ON CONFLICT (pipeline_id, topic, generation, partition) DO UPDATE
            SET owner = $5, owner_name = $6, epoch = p.epoch + 1, backend_pid = pg_backend_pid(), owned_at = now(),
              crash_count = CASE WHEN p.released_at IS NOT NULL THEN p.crash_count
                WHEN p.owner = $5 THEN greatest(p.crash_count, 1) ELSE p.crash_count + 1 END,
              -- Its owner has survived the trials that it began: here it is again.
              inflight_records = CASE WHEN p.owner <> $5 OR p.released_at IS NOT NULL THEN p.inflight_records
                ELSE ARRAY(SELECT CASE WHEN r = ANY($8) THEN r ELSE regexp_replace(r, '/trial$', '') END
                           FROM unnest(p.inflight_records) WITH ORDINALITY AS u(r, n) ORDER BY n) END,
              released_at = NULL
          RETURNING \(Self.columns)
          """, parameters)
        var progress = try Self.progress(row, pipelineID, source)
        progress.streams = try StreamRows.read(key, on: &connection)
        return progress
      }
    }
    blamed[source] = progress.noted.filter(\.isTrial)
    return progress
  }

  /// Says that partitions are free, for people who look at the table and so that the next owner does not take this one for
  /// crashed. A commit that is still on its way changes nothing any more: it would undo what is said here of crashes.
  public mutating func release(_ progress: [PartitionProgress]) throws(StoreError) {
    for partition in progress {
      let parameters =
        Self.key(partition.pipelineID, partition.source) + [
          .id(owner), .integer(partition.epoch), .integer(Int64(partition.crashCount)),
          Self.notes(partition.noted),
        ]
      try withConnection { connection throws(StoreError) in
        try connection.transaction { connection throws(StoreError) in
          try connection.execute("SET LOCAL synchronous_commit = on")
          try connection.execute(
            """
            UPDATE fraud.partitions
            SET released_at = now(), crash_count = $7, inflight_records = $8
            WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND owner = $5 AND epoch = $6
            """, parameters)
        }
      }
    }
  }

  /// Makes all commits durable that were made without waiting for the disk, and asks whether the database still has them.
  ///
  /// - Throws: ``StoreError`` with `.undone` where a crash has taken some back: take the partitions again and go on from
  ///   there.
  /// - Complexity: one wait for the disk, and a round trip a partition; nothing where commits are durable by themselves.
  public mutating func settle(_ progress: [PartitionProgress]) throws(StoreError) {
    guard durability == .off, !progress.isEmpty else { return }
    let owner = self.owner
    try withConnection { connection throws(StoreError) in
      try connection.transaction { connection throws(StoreError) in
        for partition in progress { try Self.checkUnchanged(partition, owner, &connection) }
        try connection.makeDurable()
      }
    }
  }

  /// The pipeline's version in force, where it is another than the one that is known.
  ///
  /// - Complexity: one round trip while nothing changes.
  public mutating func versionInForce(of pipelineID: Int, unless known: Int) throws(StoreError) -> StoredPipeline? {
    try withConnection { connection throws(StoreError) in
      try PipelineStore.inForce(pipelineID, unless: known, on: &connection)
    }
  }

  /// Notes which record is about to be evaluated, and which others are suspected.
  ///
  /// - Complexity: one round trip. A note does not wait for the disk: it is to survive this process, not the server. That a
  ///   trial was survived does, or a crash of both could make it count.
  public mutating func note(
    _ records: [PartitionProgress.NotedRecord], of progress: PartitionProgress
  ) throws(StoreError) {
    let owner = self.owner
    let now = records.filter(\.isTrial)
    let before = trials[progress.source] ?? []
    let durability: Durability = before.allSatisfy(now.contains) ? .off : .on
    // Both, as long as it is not known which of them the server has.
    trials[progress.source] = before + now.filter { !before.contains($0) }
    let parameters =
      Self.key(progress.pipelineID, progress.source)
      + [
        .id(owner), .integer(progress.epoch), .integer(progress.sequence), Self.notes(records),
        .text(durability.rawValue),
      ]
    try withConnection { connection throws(StoreError) in
      // There may be one for each record. The setting holds for this statement, which is a transaction of its own.
      let count = try connection.executePrepared(
        "note",
        """
        UPDATE fraud.partitions SET inflight_records = $8
        WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4
          AND owner = $5 AND epoch = $6 AND seq = $7 AND (SELECT set_config('synchronous_commit', $9, true)) IS NOT NULL
        """, parameters)
      if count != 1 { try Self.checkUnchanged(progress, owner, &connection) }
    }
    trials[progress.source] = now
  }

  // MARK: - Commit

  /// Commits a unit.
  ///
  /// - Throws: ``StoreError`` with `.fenced` where another process has taken one of the partitions or their progress is
  ///   not what the unit starts from: drop what is held of them. Where ``StoreError/isRetryable`` is true, call again
  ///   with the same unit; also where the connection was lost during the commit, since a unit that had been committed
  ///   is recognised. Any other error is the data's or the program's fault; nothing was committed.
  /// - Complexity: two round trips, whatever the unit holds.
  public mutating func commit(_ unit: CommitUnit) throws(StoreError) -> CommitOutcome {
    precondition(
      unit.advances.allSatisfy { $0.progress.pipelineID == unit.pipelineID }, "partitions of another pipeline in a unit"
    )
    let (owner, failpoint) = (self.owner, self.failpoint)
    // Compressed before the partitions are locked.
    var state: [CommitRows.Statement] = []
    for advance in unit.advances { state += try StateRows.statements(advance, batchID: unit.batchID) }
    let outcome = try withConnection { connection throws(StoreError) in
      do throws(StoreError) {
        return try Self.attempt(unit, state, owner, &connection, failpoint)
      } catch {
        connection.rollback()
        throw error
      }
    }
    if cache != nil { keepCopies(of: unit) }
    return outcome
  }

  private static func attempt(
    _ unit: CommitUnit, _ state: [CommitRows.Statement], _ owner: UniqueID, _ connection: inout PostgresConnection,
    _ failpoint: (@Sendable (StaticString) -> Void)?
  ) throws(StoreError) -> CommitOutcome {
    // Locked in one order by everybody, so that honest workers cannot wait for each other in a circle.
    let advances = unit.advances.sorted { Self.order($0.progress.source, $1.progress.source) }
    // Else a crash of the server could bring back the trial of a record that was survived.
    var begin: [CommitRows.Statement] = [("BEGIN ISOLATION LEVEL READ COMMITTED", [])]
    if advances.contains(where: \.progress.isSuspected) { begin.append(("SET LOCAL synchronous_commit = on", [])) }
    let fence = try connection.pipeline(begin + advances.map { Self.fence($0, unit, owner) })
    guard fence.dropFirst(begin.count).allSatisfy({ $0 == 1 }) else {
      connection.rollback()
      return try Self.committedBefore(unit, owner, &connection)
    }

    failpoint?("fenced")
    var statements: [CommitRows.Statement] = []
    var rows = 0
    if !unit.alerts.isEmpty { statements.append(CommitRows.alerts(unit.alerts, of: unit, table: "fraud.alerts")) }
    if !unit.shadowAlerts.isEmpty {
      statements.append(CommitRows.alerts(unit.shadowAlerts, of: unit, table: "fraud.shadow_alerts"))
    }
    if !unit.rejected.isEmpty { statements.append(CommitRows.rejected(unit)) }
    rows = unit.alerts.count + unit.shadowAlerts.count + unit.rejected.count
    if !unit.aggregates.isEmpty {
      statements.append(CommitRows.aggregates(unit))
      rows += unit.aggregates.count
    }
    let keyed = statements.count
    if !unit.ruleErrors.isEmpty { statements.append(CommitRows.ruleErrors(unit)) }
    if unit.advances.contains(where: { !$0.ruleErrorCounts.isEmpty || $0.control?.ruleErrorCounts.isEmpty == false }) {
      statements.append(CommitRows.ruleErrorCounts(unit))
    }
    statements += CommitRows.outputs(unit)
    for advance in advances where advance.progress.pipelineVersion != unit.pipelineVersion {
      statements.append(CommitRows.activation(advance, version: unit.pipelineVersion))
    }
    statements += advances.flatMap { StreamRows.statements($0, version: unit.pipelineVersion) }
    statements += state
    statements.append(("COMMIT", []))
    let counts = try connection.pipeline(statements)
    return CommitOutcome(
      progress: unit.advances.map { Self.moved($0, unit) }, conflicts: rows - counts.prefix(keyed).reduce(0, +),
      wasCommittedBefore: false)
  }

  /// Moves a partition's row, where it still is as the unit found it.
  private static func fence(_ advance: PartitionAdvance, _ unit: CommitUnit, _ owner: UniqueID) -> CommitRows.Statement
  {
    let counts = advance.counts
    return (
      """
      UPDATE fraud.partitions
      SET next_offset = $9, seq = seq + 1, batch_id = $10, pipeline_version = $11, watermark = $12,
        max_event_time = $13, accepted = accepted + $14, rejected = rejected + $15, skipped = skipped + $16,
        late = late + $17, unknown_fields = unknown_fields + $18, decisions = decisions + $19, alerts = alerts + $20,
        positives = positives + $21, state_identity = $22, snapshot_seq = $23, state_buckets = $24,
        crash_count = 0, inflight_records = $25, committed_at = now(), backend_pid = pg_backend_pid()
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4
        AND owner = $5 AND epoch = $6 AND next_offset = $7 AND seq = $8 AND released_at IS NULL
      """,
      key(unit.pipelineID, advance.progress.source) + [
        .id(owner), .integer(advance.progress.epoch), .integer(advance.progress.nextOffset),
        .integer(advance.progress.sequence), .integer(advance.nextOffset), .id(unit.batchID),
        .integer(Int64(unit.pipelineVersion)), .timestamp(orNull: advance.watermark),
        .timestamp(orNull: advance.maxEventTime), .integer(counts.accepted), .integer(counts.rejected),
        .integer(counts.skipped), .integer(counts.late), .integer(counts.unknownFields), .integer(counts.decisions),
        .integer(counts.alerts), .integer(counts.positives),
        advance.stateChange.map { .id($0.state.identity) } ?? .null,
        .integer(orNull: advance.stateChange?.state.snapshotSequence),
        .integer(orNull: advance.stateChange.map { Int64(bitPattern: $0.state.buckets) }), notes(advance.noted),
      ]
    )
  }

  /// The fence did not hold: either an earlier attempt of this very unit was committed and its answer lost, or the
  /// partitions are somebody else's. Waiting for the row's lock has already made sure that an attempt under way came to
  /// its end.
  private static func committedBefore(
    _ unit: CommitUnit, _ owner: UniqueID, _ connection: inout PostgresConnection
  ) throws(StoreError) -> CommitOutcome {
    var forgotten: PartitionProgress?
    for advance in unit.advances {
      let row = try connection.query(
        """
        SELECT owner, epoch, batch_id, owner_name, released_at IS NULL FROM fraud.partitions
        WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4
        """, key(unit.pipelineID, advance.progress.source))
      let place = "\(advance.progress.source.topic), partition \(advance.progress.source.partition)"
      guard row.rowCount == 1 else {
        throw StoreError(code: .fenced, message: "pipeline \(unit.pipeline) no longer has \(place)")
      }
      guard try row.id(0, 0) == owner, try row.integer(0, 1) == advance.progress.epoch else {
        let other = try row.text(0, 3) ?? ""
        throw StoreError(code: .fenced, message: "\(other) has taken \(place) of pipeline \(unit.pipeline)")
      }
      if try row.id(0, 2) == unit.batchID { continue }
      guard try row.boolean(0, 4) == true else {
        throw StoreError(code: .fenced, message: "\(place) of pipeline \(unit.pipeline) has been given back")
      }
      forgotten = forgotten ?? advance.progress
    }
    if let forgotten { throw undone(forgotten) }
    return CommitOutcome(
      progress: unit.advances.map { moved($0, unit) }, conflicts: 0, wasCommittedBefore: true)
  }

  /// The partition as the commit leaves it.
  private static func moved(_ advance: PartitionAdvance, _ unit: CommitUnit) -> PartitionProgress {
    var progress = advance.progress
    progress.nextOffset = advance.nextOffset
    progress.sequence += 1
    progress.batchID = unit.batchID
    progress.pipelineVersion = unit.pipelineVersion
    progress.watermark = advance.watermark
    progress.maxEventTime = advance.maxEventTime
    progress.counts += advance.counts
    progress.state = advance.stateChange?.state
    for stream in advance.streams {
      progress.streams.removeAll { $0.topic == stream.progress.topic }
      progress.streams.append(stream.progress)
    }
    progress.crashCount = 0
    progress.noted = advance.noted
    return progress
  }

  /// Throws where a partition's row is not as this owner left it.
  static func checkUnchanged(
    _ progress: PartitionProgress, _ owner: UniqueID, _ connection: inout PostgresConnection
  ) throws(StoreError) {
    let row = try connection.query(
      """
      SELECT seq FROM fraud.partitions
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4 AND owner = $5 AND epoch = $6
      """, key(progress.pipelineID, progress.source) + [.id(owner), .integer(progress.epoch)])
    guard row.rowCount == 1 else {
      throw StoreError(
        code: .fenced,
        message: "another process has taken \(progress.source.topic), partition \(progress.source.partition)")
    }
    guard try row.integer(0, 0) == progress.sequence else { throw undone(progress) }
  }

  private static func undone(_ progress: PartitionProgress) -> StoreError {
    StoreError(
      code: .undone,
      message: "the database has forgotten commits of \(progress.source.topic), partition \(progress.source.partition)")
  }

  // MARK: - Connection and rows

  /// Lends the connection, a new one where there is none, and lets go of it where it was lost.
  mutating func withConnection<Result: ~Copyable>(
    _ body: (inout PostgresConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    var current: PostgresConnection
    if let open = connection.take() {
      current = open
    } else {
      current = try PostgresConnection(address, timeouts: timeouts)
      try current.execute("SELECT set_config('synchronous_commit', $1, false)", [.text(durability.rawValue)])
    }
    do throws(StoreError) {
      let result = try body(&current)
      connection = consume current
      return result
    } catch {
      if current.isConnected, error.code != .unavailable { connection = consume current }
      throw error
    }
  }

  static func key(_ pipelineID: Int, _ source: EventSource) -> [PostgresValue] {
    [
      .integer(Int64(pipelineID)), .text(source.topic), .text(source.generation), .integer(Int64(source.partition)),
    ]
  }

  /// Noted records as texts, `TOPIC/OFFSET` or `TOPIC/OFFSET/trial`.
  private static func notes(_ records: [PartitionProgress.NotedRecord]) -> PostgresValue {
    var notes = PostgresArray(.text)
    for record in records { notes.append(.text("\(record.topic)/\(record.offset)\(record.isTrial ? "/trial" : "")")) }
    return .array(notes)
  }

  private static func notedRecord(_ text: Substring) -> PartitionProgress.NotedRecord? {
    let isTrial = text.hasSuffix("/trial")
    let place = isTrial ? text.dropLast("/trial".count) : text
    guard let slash = place.lastIndex(of: "/"), let offset = Int64(place[place.index(after: slash)...]) else {
      return nil
    }
    return PartitionProgress.NotedRecord(topic: String(place[..<slash]), offset: offset, isTrial: isTrial)
  }

  private static func order(_ a: EventSource, _ b: EventSource) -> Bool {
    (a.topic, a.generation, a.partition) < (b.topic, b.generation, b.partition)
  }

  private static let columns = """
    epoch, start_offset, next_offset, seq, batch_id, pipeline_version, watermark, max_event_time, accepted, rejected,
    skipped, late, unknown_fields, decisions, alerts, positives, state_identity, snapshot_seq, state_buckets,
    crash_count, array_to_string(inflight_records, E'\n')
    """

  private static func progress(
    _ row: borrowing PostgresResult, _ pipelineID: Int, _ source: EventSource
  ) throws(StoreError) -> PartitionProgress {
    var counts = EventCounts()
    counts.accepted = try row.required(row.integer(0, 8))
    counts.rejected = try row.required(row.integer(0, 9))
    counts.skipped = try row.required(row.integer(0, 10))
    counts.late = try row.required(row.integer(0, 11))
    counts.unknownFields = try row.required(row.integer(0, 12))
    counts.decisions = try row.required(row.integer(0, 13))
    counts.alerts = try row.required(row.integer(0, 14))
    counts.positives = try row.required(row.integer(0, 15))
    var state: StoredState?
    if let identity = try row.id(0, 16) {
      state = StoredState(
        identity: identity, snapshotSequence: try row.required(row.integer(0, 17)),
        buckets: UInt64(bitPattern: try row.required(row.integer(0, 18))))
    }
    var progress = PartitionProgress(
      pipelineID: pipelineID, source: source, epoch: try row.required(row.integer(0, 0)),
      startOffset: try row.required(row.integer(0, 1)), nextOffset: try row.required(row.integer(0, 2)),
      sequence: try row.required(row.integer(0, 3)), batchID: try row.id(0, 4),
      pipelineVersion: try row.integer(0, 5).map(Int.init), watermark: try row.timestamp(0, 6),
      maxEventTime: try row.timestamp(0, 7), counts: counts, state: state)
    progress.crashCount = Int(try row.required(row.integer(0, 19)))
    progress.noted = (try row.text(0, 20) ?? "").split(separator: "\n").compactMap(notedRecord)
    return progress
  }
}

public import FraudCore

/// What trying rejected events again came to.
public struct RedriveOutcome: Sendable, Hashable {
  /// Events that were accepted now.
  public var scored = 0
  /// Events that were written to a topic again.
  public var published = 0
  /// Alerts of those that were scored.
  public var alerts = 0
  /// Events that are rejected still, by reason.
  public var rejected: [String: Int] = [:]
  /// Events whose bytes are not to be had.
  public var unavailable = 0

  /// Nothing tried.
  public init() {}

  /// Adds what another part came to.
  public static func += (outcome: inout RedriveOutcome, more: RedriveOutcome) {
    outcome.scored += more.scored
    outcome.published += more.published
    outcome.alerts += more.alerts
    outcome.rejected.merge(more.rejected, uniquingKeysWith: +)
    outcome.unavailable += more.unavailable
  }
}

/// Tries rejected events again, after the definition was mended or the producer's fault was understood.
///
/// An event that is settled stays in `fraud.rejected_events` with what came of it, and is never tried again. What comes
/// of a page of events, that they are settled, and a line of the audit log are one transaction, so a redrive that is
/// interrupted or started twice does everything once.
public struct Redrive: Sendable {
  /// Events that are settled together.
  static let pageRows: Int64 = 200
  /// Bytes of events that are held at once, but for one event.
  static let pageBytes: Int64 = 32 << 20

  private let filter: RejectedFilter
  private let pipeline: String
  private let pipelineID: Int
  private let version: Int
  private let author: String
  private let note: String?
  private var last = EventPlace()
  private var isFinished = false

  private struct EventPlace {
    var topic = ""
    var generation = ""
    var partition = 0
    var offset: Int64 = -1
  }

  /// Chooses events of one pipeline.
  ///
  /// - Parameters:
  ///   - filter: which of its events; the pipeline need not be in it.
  ///   - version: the version that is in force.
  public init(_ filter: RejectedFilter, of pipeline: StoredPipeline, author: String, note: String? = nil) {
    var filter = filter
    filter.pipelines = [String(pipeline.id)]
    filter.isOpen = true
    self.filter = filter
    self.pipeline = pipeline.name
    pipelineID = pipeline.id
    version = pipeline.version
    self.author = author
    self.note = note
  }

  /// The next events that are open, in the order of their places; empty at the end.
  public mutating func nextPage(on connection: inout PostgresConnection) throws(StoreError) -> [StoredRejection] {
    if isFinished { return [] }
    let after: [PostgresValue] = [
      .text(last.topic), .text(last.generation), .integer(Int64(last.partition)), .integer(last.offset),
    ]
    // The row's own number decides, whatever its pipeline is called.
    let rows = try connection.query(
      """
      SELECT \(RejectedStore.columns("$15")) FROM (
        SELECT *, sum(coalesce(payload_length, 0)) OVER (ORDER BY topic, generation, partition, "offset")
          - coalesce(payload_length, 0) AS bytes_before
        FROM (
          SELECT * FROM fraud.rejected_events
          WHERE \(RejectedStore.condition) AND pipeline_id = $9
            AND (topic, generation, partition, "offset") > ($10, $11, $12, $13)
          ORDER BY topic, generation, partition, "offset" LIMIT $14) AS page) AS sized
      WHERE bytes_before < $16
      ORDER BY topic, generation, partition, "offset"
      """,
      RejectedStore.parameters(filter) + [.integer(Int64(pipelineID))] + after + [
        .integer(Self.pageRows), .integer(Int64(Int32.max)), .integer(Self.pageBytes),
      ])
    let page = try RejectedStore.events(rows)
    if let end = page.last {
      last = EventPlace(topic: end.topic, generation: end.generation, partition: end.partition, offset: end.offset)
    } else {
      isFinished = true
    }
    return page
  }

  /// Scores events at their old places, so that their alerts have the ids that they would have had.
  ///
  /// The partitions' counts follow: what is accepted now is no longer rejected.
  ///
  /// - Precondition: the pipeline keeps nothing between events.
  /// - Parameter payloads: The events' bytes, in the order of the page; nil where they are not to be had.
  public func score(
    _ page: [StoredRejection], payloads: [[UInt8]?], with engine: inout Engine,
    on connection: inout PostgresConnection
  ) throws(StoreError) -> RedriveOutcome {
    precondition(page.count == payloads.count, "a payload for each event")
    var outcome = RedriveOutcome()
    var unit = CommitUnit(pipeline: pipeline, pipelineID: pipelineID, pipelineVersion: version, batchID: .random())
    var settled: [StoredRejection] = []
    for (event, payload) in zip(page, payloads) {
      guard let payload else {
        outcome.unavailable += 1
        continue
      }
      let before = engine.countsByVersion
      if let reason = engine.redo(event, payload, into: &unit) {
        outcome.rejected[reason, default: 0] += 1
      } else {
        settled.append(event)
        Self.count(zip(engine.countsByVersion, before).map { $0.difference(from: $1) }, of: event, pipelineID, &unit)
      }
    }
    unit.alertsTopic = engine.pipeline.definition.alertsTopic
    unit.alertsKey = engine.pipeline.definition.key
    outcome.scored = settled.count
    outcome.alerts = unit.alerts.count
    if settled.isEmpty { return outcome }
    try connection.transaction { connection throws(StoreError) in
      try settle(settled, as: "scored", on: &connection)
      if !unit.alerts.isEmpty {
        try Self.run(CommitRows.alerts(unit.alerts, of: unit, table: "fraud.alerts"), &connection)
      }
      if !unit.shadowAlerts.isEmpty {
        try Self.run(CommitRows.alerts(unit.shadowAlerts, of: unit, table: "fraud.shadow_alerts"), &connection)
      }
      if !unit.ruleErrors.isEmpty {
        try Self.run(CommitRows.ruleErrors(unit), &connection)
        try Self.run(CommitRows.ruleErrorCounts(unit), &connection)
      }
      for statement in CommitRows.outputs(unit) { try Self.run(statement, &connection) }
      for advance in unit.advances { try Self.recount(advance, on: &connection) }
    }
    return outcome
  }

  /// Lets the caller write events to a topic again, and settles them once they are delivered.
  ///
  /// - Parameter send: Returns when all are delivered. A crash after that and before the commit repeats the page.
  public func publish<Failure: Error>(
    _ page: [StoredRejection], on connection: inout PostgresConnection, send: () throws(Failure) -> Void
  ) throws -> RedriveOutcome {
    var outcome = RedriveOutcome()
    if page.isEmpty { return outcome }
    // What a crash of the database takes back is read from the log again, and might be accepted then.
    try connection.transaction { connection throws(StoreError) in try connection.makeDurable() }
    var failure: Failure?
    do {
      try connection.transaction { connection throws(StoreError) in
        try connection.execute("SET LOCAL synchronous_commit = on")
        try settle(page, as: "published", on: &connection)
        do throws(Failure) {
          try send()
        } catch {
          failure = error
          throw StoreError(code: .refused, message: "not delivered")
        }
      }
    } catch {
      if let failure { throw failure }
      throw error
    }
    outcome.published = page.count
    return outcome
  }

  /// Says of events what came of them, and writes it into the audit log.
  private func settle(
    _ events: [StoredRejection], as what: String, on connection: inout PostgresConnection
  ) throws(StoreError) {
    let count = try connection.execute(
      """
      UPDATE fraud.rejected_events AS e
      SET redriven_as = $2, redriven_at = now(), redriven_version = $3
      FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[]) AS r(topic, generation, partition, "offset")
      WHERE e.pipeline_id = $1 AND e.topic = r.topic AND e.generation = r.generation AND e.partition = r.partition
        AND e."offset" = r."offset" AND e.redriven_as IS NULL
      """,
      [
        .integer(Int64(pipelineID)), .text(what), .integer(Int64(version)),
        .array(PostgresArray(texts: events.map(\.topic))), .array(PostgresArray(texts: events.map(\.generation))),
        .array(PostgresArray(integers: events.map { Int64($0.partition) })),
        .array(PostgresArray(integers: events.map(\.offset))),
      ])
    guard count == events.count else {
      throw StoreError(
        code: .refused, message: "another redrive is at work on pipeline \(pipeline); run this one again afterwards")
    }
    var places: [UInt8] = Array(#"{"\#(what)":["#.utf8)
    for (index, event) in events.enumerated() {
      if index > 0 { places.append(UInt8(ascii: ",")) }
      JSONText.append(string: "\(event.topic)/\(event.partition)/\(event.offset)", to: &places)
    }
    places += Array("]}".utf8)
    try PipelineStore.audit(
      "redrive", pipeline: pipeline, version: Int64(version), who: author, why: note, detail: places, on: &connection)
  }

  private static func run(
    _ statement: CommitRows.Statement, _ connection: inout PostgresConnection
  ) throws(StoreError) {
    try connection.execute(statement.sql, statement.parameters)
  }

  /// Adds what an event counts for to its partition's advance.
  private static func count(
    _ counted: [RunSummary], of event: StoredRejection, _ pipelineID: Int, _ unit: inout CommitUnit
  ) {
    let source = EventSource(event)
    if unit.advances.last?.progress.source != source {
      let progress = PartitionProgress(
        pipelineID: pipelineID, source: source, epoch: 0, startOffset: 0, nextOffset: 0, sequence: 0, batchID: nil,
        pipelineVersion: nil, watermark: nil, maxEventTime: nil, counts: EventCounts())
      unit.advances.append(PartitionAdvance(progress: progress, nextOffset: 0))
    }
    unit.advances[unit.advances.count - 1].add(counted)
  }

  /// Moves a partition's counts; its progress, which the owner's fence looks at, is not touched.
  private static func recount(
    _ advance: PartitionAdvance, on connection: inout PostgresConnection
  ) throws(StoreError) {
    let counts = advance.counts
    let source = advance.progress.source
    try connection.execute(
      """
      UPDATE fraud.partitions
      SET accepted = accepted + $5, rejected = rejected - $5, late = late + $6, unknown_fields = unknown_fields + $7,
        decisions = decisions + $8, alerts = alerts + $9, positives = positives + $10
      WHERE pipeline_id = $1 AND topic = $2 AND generation = $3 AND partition = $4
      """,
      [
        .integer(Int64(advance.progress.pipelineID)), .text(source.topic), .text(source.generation),
        .integer(Int64(source.partition)), .integer(counts.accepted), .integer(counts.late),
        .integer(counts.unknownFields), .integer(counts.decisions), .integer(counts.alerts),
        .integer(counts.positives),
      ])
  }
}

extension EventSource {
  fileprivate init(_ event: StoredRejection) {
    self.init(topic: event.topic, generation: event.generation, partition: Int32(clamping: event.partition))
  }
}

extension Engine {
  /// Scores one event at its old place.
  ///
  /// - Returns: why it is rejected again, nil where it is not.
  fileprivate mutating func redo(
    _ event: StoredRejection, _ payload: [UInt8], into unit: inout CommitUnit
  ) -> String? {
    var batch = EventBatch(layout: pipeline.layout, source: EventSource(event), capacity: 1)
    guard batch.hasRoom(forMessageOf: payload.count) else { return RejectionReason.tooLarge.rawValue }
    batch.append(message: payload.span, offset: event.offset, line: event.line ?? 0)
    process(&batch)
    if let rejected = decoding.rejected.first { return rejected.reason.rawValue }
    unit.alerts += alertRecords(of: batch)
    unit.shadowAlerts += shadowAlertRecords(of: batch)
    unit.ruleErrors += ruleErrorRecords(of: batch)
    return nil
  }
}

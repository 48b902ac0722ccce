public import FraudCore

/// Carries a pipeline's committed alerts from `fraud.alert_outbox` to a sink.
///
/// How none is lost or sent twice: alerts enter the outbox in the transaction that commits them. The relay marks some with
/// a batch's id, hands them over, and deletes them when the sink has them. A crash in between leaves a marked batch; the
/// sink says which batch it took last, and that one is deleted before anything else is sent. Only one relay of a pipeline
/// may mark alerts: the one whose row in `fraud.alert_relays` it is.
///
/// - Source: `RELIABILITY.md` 2.9, profile K1; the progress record in the sink's own transaction is Materialize's.
public struct AlertOutbox: ~Copyable, Sendable {
  /// Alerts that are handed over at once.
  public static let batchMax = 1_000

  private let pipelineID: Int
  private let owner: UniqueID
  private let ownerName: String

  /// Names a pipeline's outbox and who relays it.
  public init(pipelineID: Int, ownerName: String, owner: UniqueID = .random()) {
    self.pipelineID = pipelineID
    self.ownerName = ownerName
    self.owner = owner
  }

  /// Becomes the relay, if nobody else is, for as long as the connection lives.
  ///
  /// - Returns: whether it is the relay now.
  public func tryBecomeRelay(on connection: inout PostgresConnection) throws(StoreError) -> Bool {
    let lock = try connection.query(
      "SELECT pg_try_advisory_lock($1::int, $2::int)", [.integer(Self.lockClass), .integer(Int64(pipelineID))])
    guard try lock.boolean(0, 0) == true else { return false }
    try connection.transaction { connection throws(StoreError) in
      // An owner that a crash took back could write beside a later one.
      try connection.execute("SET LOCAL synchronous_commit = on")
      try connection.execute(
        """
        INSERT INTO fraud.alert_relays (pipeline_id, owner, owner_name) VALUES ($1, $2, $3)
        ON CONFLICT (pipeline_id) DO UPDATE SET owner = $2, owner_name = $3, owned_at = now()
        """, [.integer(Int64(pipelineID)), .id(owner), .text(ownerName)])
    }
    return true
  }

  /// Gives the relay up, so that another can take it at once.
  public func release(on connection: inout PostgresConnection) {
    _ = try? connection.execute(
      "SELECT pg_advisory_unlock($1::int, $2::int)", [.integer(Self.lockClass), .integer(Int64(pipelineID))])
  }

  /// The topic that this pipeline's alerts were relayed to last, by whoever did it.
  public func lastTopic(on connection: inout PostgresConnection) throws(StoreError) -> String? {
    let rows = try connection.query(
      "SELECT topic FROM fraud.alert_relays WHERE pipeline_id = $1", [.integer(Int64(pipelineID))])
    return rows.rowCount == 1 ? try rows.text(0, 0) : nil
  }

  /// Notes durably where alerts are relayed to from now on. Nothing that was relayed elsewhere may be in doubt any more.
  public func begin(topic: String, on connection: inout PostgresConnection) throws(StoreError) {
    try connection.transaction { connection throws(StoreError) in
      try connection.execute("SET LOCAL synchronous_commit = on")
      try connection.execute(
        "UPDATE fraud.alert_relays SET topic = $3 WHERE pipeline_id = $1 AND owner = $2",
        [.integer(Int64(pipelineID)), .id(owner), .text(topic)])
    }
  }

  /// Forgets a batch that the sink has.
  @discardableResult
  public func forget(_ batch: UniqueID, on connection: inout PostgresConnection) throws(StoreError) -> Int {
    try connection.execute(
      "DELETE FROM fraud.alert_outbox WHERE pipeline_id = $1 AND batch = $2",
      [.integer(Int64(pipelineID)), .id(batch)])
  }

  /// Marks the oldest alerts as a batch.
  ///
  /// The mark is durable before anything is sent: an alert that left must never be forgotten by the database.
  ///
  /// - Returns: Empty where there are none.
  /// - Throws: ``StoreError`` with `.fenced` where another relay has taken over.
  public func nextBatch(
    _ batch: UniqueID, on connection: inout PostgresConnection
  ) throws(StoreError) -> [OutgoingAlert] {
    try connection.transaction { connection throws(StoreError) in
      try connection.execute("SET LOCAL synchronous_commit = on")
      let row = try connection.query(
        "SELECT FROM fraud.alert_relays WHERE pipeline_id = $1 AND owner = $2 FOR UPDATE",
        [.integer(Int64(pipelineID)), .id(owner)])
      guard row.rowCount == 1 else {
        throw StoreError(code: .fenced, message: "another process publishes the alerts of pipeline \(pipelineID)")
      }
      let rows = try connection.query(
        """
        WITH chosen AS (
          UPDATE fraud.alert_outbox SET batch = $2
          WHERE id IN (SELECT id FROM fraud.alert_outbox WHERE pipeline_id = $1 ORDER BY id LIMIT $3)
          RETURNING id, alert_id, target, key, payload)
        SELECT alert_id, target, key, payload FROM chosen ORDER BY id
        """, [.integer(Int64(pipelineID)), .id(batch), .integer(Int64(Self.batchMax))])
      var alerts: [OutgoingAlert] = []
      for row in 0..<rows.rowCount {
        alerts.append(
          OutgoingAlert(
            alertID: try rows.required(rows.id(row, 0)), target: try rows.required(rows.text(row, 1)),
            key: try rows.bytes(row, 2), payload: try rows.required(rows.bytes(row, 3))))
      }
      return alerts
    }
  }

  /// Alerts of the pipeline that wait.
  public func count(on connection: inout PostgresConnection) throws(StoreError) -> Int {
    let rows = try connection.query(
      "SELECT count(*) FROM fraud.alert_outbox WHERE pipeline_id = $1", [.integer(Int64(pipelineID))])
    return Int(try rows.required(rows.integer(0, 0)))
  }

  /// Hands over everything that waits.
  ///
  /// - Parameter isStopping: asked between batches.
  /// - Returns: the alerts that were handed over.
  public func drain(
    to sink: inout some AlertSink & ~Copyable, on connection: inout PostgresConnection,
    isStopping: () -> Bool = { false }
  ) throws -> Int {
    var delivered = 0
    while !isStopping() {
      let batch = UniqueID.random()
      let alerts = try nextBatch(batch, on: &connection)
      if alerts.isEmpty { break }
      try sink.deliver(alerts, batch: batch)
      try forget(batch, on: &connection)
      delivered += alerts.count
    }
    return delivered
  }

  /// The first of the two numbers of the advisory lock; the second is the pipeline's.
  private static let lockClass: Int64 = 0x6672_616C
}

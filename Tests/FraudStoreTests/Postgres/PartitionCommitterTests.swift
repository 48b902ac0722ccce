import Foundation
import FraudCore
import Synchronization
import Testing

@testable import FraudStore

/// An alert of a made-up event.
func makeAlert(
  _ offset: Int64, rule: String = "r-1", event: String = #"{"customer_id":42,"amount":7.5}"#, eventID: String? = nil,
  severity: Severity = .warning, description: String = "Velocity", source: EventSource = EventSource(topic: "t")
) -> Alert {
  Alert(
    id: AlertIdentity(pipeline: "p", source: source).id(offset: offset, rule: rule), pipeline: "p", pipelineVersion: 1,
    eventID: eventID ?? "event-\(offset)", eventTime: 1_600_000_000_000_000 + offset, ruleID: rule,
    ruleDescription: description, severity: severity, score: .basisPoints(2_500), riskLevel: "low",
    reasons: [
      Reason(ruleID: rule, contribution: .basisPoints(2_500), values: [.init(name: "count", value: .integer(6))])
    ], source: source, offset: offset, line: nil, transactionData: Array(event.utf8))
}

/// What a thread answers.
private final class Answer: Sendable {
  let outcome = Mutex<Result<CommitOutcome, StoreError>?>(nil)
}

@Suite(.timeLimit(.minutes(2))) struct PartitionCommitterTests {
  let address: PostgresAddress
  let source = EventSource(topic: "t", generation: "dev", partition: 3)

  init() throws {
    address = try TestDatabase.make()
    var connection = try PostgresConnection(address)
    try connection.execute("INSERT INTO fraud.pipelines (name) VALUES ('p')")
  }

  private func unit(_ progress: PartitionProgress, to nextOffset: Int64) -> CommitUnit {
    var unit = CommitUnit(pipeline: "p", pipelineID: 1, pipelineVersion: 1, batchID: .random())
    var advance = PartitionAdvance(progress: progress, nextOffset: nextOffset)
    advance.counts.accepted = nextOffset - progress.nextOffset
    unit.advances = [advance]
    return unit
  }

  private func count(_ table: String) throws -> Int64? {
    var connection = try PostgresConnection(address)
    return try connection.query("SELECT count(*) FROM \(table)").integer(0, 0)
  }

  @Test func aPartitionMovesWithItsRows() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    let start = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 7)
    #expect(start.nextOffset == 7 && start.epoch == 1 && start.sequence == 0 && start.batchID == nil)
    var first = unit(start, to: 10)
    first.alerts = [makeAlert(7), makeAlert(7, rule: "r-2"), makeAlert(8)]
    first.shadowAlerts = [makeAlert(9)]
    first.rejected = [
      RejectedRecord(source: source, offset: 9, reason: "bad_json", detail: "at 1", field: nil, payload: [0, 0xFF])
    ]
    first.advances[0].watermark = 1_000_000
    first.advances[0].counts.rejected = 1
    let outcome = try committer.commit(first)
    #expect(outcome.conflicts == 0 && !outcome.wasCommittedBefore)
    let moved = try #require(outcome.progress.first)
    #expect(moved.nextOffset == 10 && moved.sequence == 1 && moved.counts.accepted == 3)

    let second = try committer.commit(unit(moved, to: 20))
    let last = try #require(second.progress.first)
    #expect(try count("fraud.alerts") == 3)
    #expect(try count("fraud.shadow_alerts") == 1)
    #expect(try count("fraud.rejected_events WHERE payload = '\\x00ff'") == 1)

    // Another process goes on exactly there.
    var other = PartitionCommitter(address, ownerName: "b")
    var taken = try other.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    #expect(taken.epoch == 2)
    taken.epoch = 1
    // It was not released: its owner may have crashed.
    #expect(taken.crashCount == 1)
    taken.crashCount = 0
    #expect(taken == last)
  }

  @Test func aFormerOwnerWritesNothing() throws {
    var former = PartitionCommitter(address, ownerName: "former")
    let progress = try former.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    var current = PartitionCommitter(address, ownerName: "current")
    let taken = try current.takeOwnership(pipelineID: 1, source: source, startOffset: 0)

    var late = unit(progress, to: 5)
    late.alerts = [makeAlert(1)]
    late.rejected = [
      RejectedRecord(source: source, offset: 2, reason: "bad_json", detail: nil, field: nil, payload: nil)
    ]
    let error = #expect(throws: StoreError.self) { _ = try former.commit(late) }
    #expect(error?.code == .fenced)
    #expect(error?.message.contains("current") == true)
    #expect(error?.isRetryable == false)
    #expect(try count("fraud.alerts") == 0)
    #expect(try count("fraud.rejected_events") == 0)

    // The same partition of another pipeline or generation is another partition.
    let fresh = EventSource(topic: "t", generation: "new", partition: 3)
    #expect(try former.takeOwnership(pipelineID: 1, source: fresh, startOffset: 0).epoch == 1)
    let committed = try current.commit(unit(taken, to: 5))
    #expect(committed.progress.first?.nextOffset == 5)
  }

  /// A note survives its process and is forgotten by a commit that reaches beyond it; who leaves in good order says what the
  /// next owner is to know.
  @Test func aNoteTellsWhatAnOwnerDiedWith() throws {
    func take(_ committer: inout PartitionCommitter) throws -> PartitionProgress {
      try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    }
    var first = PartitionCommitter(address, ownerName: "first")
    let start = try take(&first)
    #expect(start.crashCount == 0 && start.noted == [])
    let suspect = PartitionProgress.NotedRecord(topic: "t", offset: 7, isTrial: false)
    let other = PartitionProgress.NotedRecord(topic: "other", offset: 2, isTrial: false)
    try first.note([other, suspect], of: start)
    // Taken again by the same process: nobody died, yet what it was careful for is not over.
    let again = try take(&first)
    #expect(again.crashCount == 1 && again.noted == [other, suspect])

    var second = PartitionCommitter(address, ownerName: "second")
    let taken = try take(&second)
    #expect(taken.crashCount == 2 && taken.noted == [other, suspect])
    #expect(throws: StoreError.self) { try first.note([], of: again) }
    let trial = PartitionProgress.NotedRecord(topic: "t", offset: 7, isTrial: true)
    try second.note([trial], of: taken)
    var unbeaten = unit(taken, to: 7)
    unbeaten.advances[0].noted = [trial]
    let before = try #require(second.commit(unbeaten).progress.first)
    #expect(before.crashCount == 0 && before.noted == [trial])

    var third = PartitionCommitter(address, ownerName: "third")
    let guilty = try take(&third)
    #expect(guilty.crashCount == 1 && guilty.noted == [trial])
    // Taken again by the same process: it has survived the trial that it began, not the one that it was told of.
    try third.note([trial, PartitionProgress.NotedRecord(topic: "other", offset: 2, isTrial: true)], of: guilty)
    let still = try take(&third)
    #expect(still.noted == [trial, other])
    var beyond = try #require(third.commit(unit(still, to: 8)).progress.first)
    #expect(beyond.noted == [])
    beyond.crashCount = 1
    beyond.noted = [PartitionProgress.NotedRecord(topic: "t", offset: 9, isTrial: false)]
    try third.release([beyond])
    // A commit that was on its way comes too late to forget what was said.
    #expect(throws: StoreError.self) { _ = try third.commit(unit(beyond, to: 9)) }
    var last = PartitionCommitter(address, ownerName: "last")
    let free = try take(&last)
    #expect(free.crashCount == 1 && free.noted == beyond.noted)
  }

  /// One partition of a unit that is not ours any more holds back the others.
  @Test func aUnitIsCommittedWholeOrNotAtAll() throws {
    let second = EventSource(topic: "t", generation: "dev", partition: 1)
    var committer = PartitionCommitter(address, ownerName: "a")
    let a = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    let b = try committer.takeOwnership(pipelineID: 1, source: second, startOffset: 0)
    var both = unit(a, to: 5)
    both.advances.append(PartitionAdvance(progress: b, nextOffset: 6))
    let outcome = try committer.commit(both)
    #expect(outcome.progress.map(\.nextOffset) == [5, 6])

    var other = PartitionCommitter(address, ownerName: "b")
    _ = try other.takeOwnership(pipelineID: 1, source: second, startOffset: 0)
    var half = unit(outcome.progress[0], to: 9)
    half.advances.append(PartitionAdvance(progress: outcome.progress[1], nextOffset: 9))
    half.alerts = [makeAlert(5)]
    let error = #expect(throws: StoreError.self) { _ = try committer.commit(half) }
    #expect(error?.code == .fenced)
    #expect(try count("fraud.alerts") == 0)
    let alone = try committer.commit(unit(outcome.progress[0], to: 9))
    #expect(alone.progress[0].nextOffset == 9)
  }

  @Test func aCommitWhoseAnswerWasLostIsRecognised() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    let start = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    var sent = unit(start, to: 5)
    sent.alerts = [makeAlert(1)]
    let first = try committer.commit(sent)
    let again = try committer.commit(sent)
    #expect(!first.wasCommittedBefore && again.wasCommittedBefore)
    #expect(again.progress == first.progress)
    #expect(try count("fraud.alerts") == 1)
    // Another unit from the same start is not.
    let error = #expect(throws: StoreError.self) { _ = try committer.commit(self.unit(start, to: 5)) }
    #expect(error?.code == .undone)
  }

  @Test func commitsThatTheDatabaseForgotAreNoticed() throws {
    var committer = PartitionCommitter(address, ownerName: "a", durability: .off)
    let start = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    let first = try committer.commit(unit(start, to: 5)).progress[0]
    try committer.settle([first])
    let second = try committer.commit(unit(first, to: 9)).progress[0]
    // What a crash of the server leaves.
    var server = try PostgresConnection(address)
    try server.execute(
      "UPDATE fraud.partitions SET seq = seq - 1, next_offset = 5, batch_id = $1, inflight_records = '{t/8,t/7/trial}'",
      [first.batchID.map { .id($0) } ?? .null])
    let commit = #expect(throws: StoreError.self) { _ = try committer.commit(self.unit(second, to: 12)) }
    let settle = #expect(throws: StoreError.self) { try committer.settle([second]) }
    let note = #expect(throws: StoreError.self) { try committer.note([], of: second) }
    #expect([commit?.code, settle?.code, note?.code] == [.undone, .undone, .undone])
    // The trial that comes back was survived.
    let again = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    #expect(again.nextOffset == 5 && again.epoch == 2)
    #expect(again.noted == [8, 7].map { PartitionProgress.NotedRecord(topic: "t", offset: $0, isTrial: false) })
    #expect(try committer.commit(unit(again, to: 9)).progress[0].nextOffset == 9)
  }

  @Test func aLostConnectionLosesNothing() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    var progress = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    var killer = try PostgresConnection(address)
    for round in 0..<5 {
      var sent = unit(progress, to: progress.nextOffset + 5)
      sent.alerts = [makeAlert(Int64(round))]
      try killer.execute(
        """
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        """)
      let error = #expect(throws: StoreError.self) { _ = try committer.commit(sent) }
      #expect(error?.code == .unavailable)
      let outcome = try committer.commit(sent)
      #expect(!outcome.wasCommittedBefore)
      progress = outcome.progress[0]
    }
    #expect(progress.sequence == 5)
    #expect(try count("fraud.alerts") == 5)
  }

  /// The server still works on the first attempt of a unit while the second one is sent on a new connection.
  @Test(arguments: [true, false])
  func anAttemptUnderWayIsWaitedFor(firstAttemptCommits: Bool) throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    let start = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    let sent = unit(start, to: 5)
    var old = try PostgresConnection(address)
    try old.execute("BEGIN")
    try old.execute(
      "UPDATE fraud.partitions SET next_offset = 5, seq = seq + 1, batch_id = $1", [.id(sent.batchID)])
    // On a thread of its own: Swift's pool may be full of tests that wait, for longer than a transaction may lie idle.
    let second = Answer()
    let (owner, address) = (committer.owner, self.address)
    Thread {
      var again = PartitionCommitter(address, ownerName: "a", owner: owner)
      let answer = Result { () throws(StoreError) in try again.commit(sent) }
      second.outcome.withLock { $0 = answer }
    }.start()
    var observer = try PostgresConnection(address)
    let deadline = ContinuousClock.now + .seconds(20)
    var waits = false
    while !waits, ContinuousClock.now < deadline {
      waits =
        try observer.query(
          """
          SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
          """
        ).boolean(0, 0) == true
    }
    #expect(waits)
    try old.execute(firstAttemptCommits ? "COMMIT" : "ROLLBACK")
    while second.outcome.withLock({ $0 == nil }), ContinuousClock.now < deadline + .seconds(60) { usleep(1_000) }
    let outcome = try #require(second.outcome.withLock { $0 }).get()
    #expect(outcome.wasCommittedBefore == firstAttemptCommits)
    #expect(outcome.progress[0].nextOffset == 5)
    #expect(try count("fraud.partitions WHERE next_offset = 5 AND seq = 1") == 1)
  }

  /// A stopped process may hold the row's lock; its connection is ended.
  @Test func aFrozenOwnerIsPushedAside() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    _ = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    var frozen = try PostgresConnection(address)
    try frozen.execute("UPDATE fraud.partitions SET backend_pid = pg_backend_pid()")
    try frozen.execute("BEGIN")
    try frozen.execute("UPDATE fraud.partitions SET seq = 99")
    var timeouts = PostgresConnection.Timeouts()
    timeouts.lock = 1
    var other = PartitionCommitter(address, ownerName: "b", timeouts: timeouts)
    let taken = try other.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    #expect(taken.epoch == 2 && taken.sequence == 0)
    #expect(throws: StoreError.self) { try frozen.execute("COMMIT") }
  }

  @Test func rowsThatAreThereAreCountedAndKept() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    let start = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    var first = unit(start, to: 5)
    first.alerts = [makeAlert(1, description: "first")]
    let outcome = try committer.commit(first)
    var second = unit(outcome.progress[0], to: 6)
    second.alerts = [makeAlert(1, description: "second"), makeAlert(2)]
    second.rejected = [1, 1].map {
      RejectedRecord(source: source, offset: $0, reason: "bad_json", detail: nil, field: nil, payload: nil)
    }
    #expect(try committer.commit(second).conflicts == 2)
    #expect(try count("fraud.alerts WHERE rule_description = 'first'") == 1)
    #expect(try count("fraud.alerts") == 2)
  }

  @Test func theFirstErrorsOfARuleAreKept() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    var progress = try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0)
    for batch in 0..<3 {
      var sent = unit(progress, to: progress.nextOffset + 60)
      for row in 0..<60 {
        sent.ruleErrors.append(
          RuleErrorRecord(
            source: source, offset: Int64(batch * 60 + row), eventID: "e\0", ruleID: "r-1", code: "DIVIDE_BY_ZERO",
            message: "division by zero"))
      }
      sent.ruleErrors.append(
        RuleErrorRecord(
          source: source, offset: progress.nextOffset, eventID: nil, ruleID: "r-2", code: "CAST_INVALID_INPUT",
          message: "no number"))
      sent.advances[0].ruleErrorCounts = ["r-1": 60, "r-2": 1]
      progress = try committer.commit(sent).progress[0]
    }
    #expect(try count("fraud.rule_errors WHERE rule_id = 'r-1'") == 100)
    #expect(try count("fraud.rule_errors WHERE rule_id = 'r-1' AND \"offset\" >= 100") == 0)
    #expect(try count("fraud.rule_errors WHERE rule_id = 'r-2'") == 3)
    #expect(try count("fraud.rule_error_counts WHERE rule_id = 'r-1' AND errors = 180") == 1)
  }

  @Test func hostileTextIsStoredAsItIs() throws {
    let texts = [
      "it's", "\"; DROP TABLE fraud.alerts; --", "$1", "\\", "\u{202E}right", "😀", "ﬁ\u{301}",
      String(repeating: "identifier", count: 100), "{a,\"b\"}", "NULL", "", "\u{1}\u{1F}",
    ]
    var committer = PartitionCommitter(address, ownerName: "o'wner")
    let hostile = EventSource(topic: "t'; --\"", generation: "$1", partition: 0)
    let start = try committer.takeOwnership(pipelineID: 1, source: hostile, startOffset: 0)
    var sent = unit(start, to: Int64(texts.count))
    for (offset, text) in texts.enumerated() {
      var event: [UInt8] = []
      JSONText.append(string: text, to: &event)
      sent.alerts.append(
        makeAlert(
          Int64(offset), rule: text, event: "{\"text\":\(String(decoding: event, as: UTF8.self))}", eventID: text,
          description: text, source: hostile))
      sent.rejected.append(
        RejectedRecord(
          source: hostile, offset: Int64(offset), reason: text, detail: text, field: text, payload: Array(text.utf8)))
    }
    #expect(try committer.commit(sent).conflicts == 0)
    var connection = try PostgresConnection(address)
    let rows = try connection.query(
      """
      SELECT event_id, rule_id, rule_description, transaction_data ->> 'text', topic, sanitized
      FROM fraud.alerts ORDER BY "offset"
      """)
    for (row, text) in texts.enumerated() {
      for column in 0..<4 { #expect(try rows.text(row, column) == text) }
      #expect(try rows.text(row, 4) == hostile.topic)
      #expect(try rows.boolean(row, 5) == false)
    }
    let rejected = try connection.query(
      "SELECT reason, detail, field, payload FROM fraud.rejected_events ORDER BY \"offset\"")
    for (row, text) in texts.enumerated() {
      for column in 0..<3 { #expect(try rejected.text(row, column) == text) }
      #expect(try rejected.bytes(row, 3) == Array(text.utf8))
    }
  }

  /// An event that PostgreSQL cannot hold as it is does not stop a partition, nor does it pass unseen.
  @Test(arguments: [
    (#"{"a":"x\u0000y"}"#, #"{"a":"x\ufffdy"}"#), (#"{"\u0000":1}"#, #"{"\ufffd":1}"#),
    (#"{"a":"\ud800"}"#, #"{"a":"\ufffd"}"#), (#"{"a":"\udc00\ud800x"}"#, #"{"a":"\ufffd\ufffdx"}"#),
    (#"{"a":"\ud83d\ude00"}"#, #"{"a":"\ud83d\ude00"}"#), (#"{"a":"\\u0000"}"#, #"{"a":"\\u0000"}"#),
    (#"{"a":"\\\u0000"}"#, #"{"a":"\\\ufffd"}"#), (#"{"a":"\uD83D\u0000"}"#, #"{"a":"\ufffd\ufffd"}"#),
    ("{\"a\":1e999999}", "{\"a\":\"1e999999\"}"), ("{\"a\":[-1E-99999,2]}", "{\"a\":[\"-1E-99999\",2]}"),
    ("{\"a\":1e400}", "{\"a\":1e400}"), ("{\"a\":1e-4000}", "{\"a\":1e-4000}"),
    ("{\"a\":\"1e999999\"}", "{\"a\":\"1e999999\"}"),
  ])
  func whatJSONBCannotHoldGetsAStandIn(event: String, stored: String) throws {
    var changed = false
    let sanitized = DatabaseText.sanitized(json: Array(event.utf8), &changed)
    #expect(String(decoding: sanitized, as: UTF8.self) == stored)
    #expect(changed == (event != stored))
    var committer = PartitionCommitter(address, ownerName: "a")
    var sent = unit(try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0), to: 1)
    sent.alerts = [makeAlert(0, event: event, eventID: event.contains("u0000") ? "a\0b" : "ab")]
    #expect(try committer.commit(sent).conflicts == 0)
    #expect(try count("fraud.alerts WHERE sanitized") == (event == stored && !event.contains("u0000") ? 0 : 1))
  }

  @Test func numbersOfAnyLengthAreStored() throws {
    var connection = try PostgresConnection(address)
    for number in [
      String(repeating: "9", count: 4_000), String(repeating: "9", count: 500_000),
      "0." + String(repeating: "1", count: 300_000), "1e4000", "-1e-4000",
      String(repeating: "9", count: 3_995) + "e4000",
    ] {
      var changed = false
      let json = DatabaseText.sanitized(json: Array("[\(number)]".utf8), &changed)
      #expect(try connection.query("SELECT jsonb_array_length($1::jsonb)", [.json(json)]).integer(0, 0) == 1)
    }
  }

  @Test func aHugeRejectedEventIsKeptByItsHead() {
    let payload = [UInt8](repeating: 7, count: 100_001)
    let event = RejectedRecord(
      source: source, offset: 0, line: nil, reason: "too_large", detail: nil, field: nil, payload: payload,
      limit: 100_000)
    #expect(event.payload?.count == RejectedRecord.headBytes)
    #expect(event.payloadLength == Int64(payload.count))
    #expect(event.sha256?.count == 64)
  }

  @Test func manyRowsAreOneCommit() throws {
    var committer = PartitionCommitter(address, ownerName: "a")
    var sent = unit(try committer.takeOwnership(pipelineID: 1, source: source, startOffset: 0), to: 5_000)
    sent.alerts = (0..<5_000).map { makeAlert($0) }
    #expect(try committer.commit(sent).conflicts == 0)
    #expect(try count("public.fraud_alerts") == 5_000)
  }
}

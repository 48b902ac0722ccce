import Testing

@testable import FraudCore
@testable import FraudStore

/// How far streams are, and what commits took of each topic, over PostgreSQL.
@Suite(.timeLimit(.minutes(5))) struct StreamRowsTests {
  @Test func oldRangesGoThatASnapshotStandsFor() throws {
    let address = try TestDatabase.make()
    var connection = try PostgresConnection(address)
    let definition = """
      {"name": "p", "kafka_topic": "t", "schema": [{"name": "amount", "type": "float"}],
       "rules": [{"id": "r", "rule_expression": "amount > 1"}]}
      """
    let applied = try PipelineStore.apply(
      PipelineDefinition(DefinitionValue(json: Array(definition.utf8))), author: "me", on: &connection)
    let source = EventSource(topic: "t", generation: "dev", partition: 3)
    var committer = PartitionCommitter(address, ownerName: "test")
    var progress = try committer.takeOwnership(pipelineID: applied.id, source: source, startOffset: 0)
    for commit in 1...Int64(3) {
      var unit = CommitUnit(
        pipeline: "p", pipelineID: applied.id, pipelineVersion: applied.version, batchID: .random())
      var advance = PartitionAdvance(progress: progress, nextOffset: 10 * commit)
      var stream = progress.streams.first ?? StreamProgress(topic: "s", startOffset: 5)
      let first = stream.nextOffset
      stream.nextOffset += commit
      stream.accepted += commit
      advance.streams = [StreamAdvance(progress: stream, firstOffset: first)]
      let state = StoredState(identity: UniqueID(high: 1, low: 1), snapshotSequence: min(commit, 2), buckets: 0)
      advance.stateChange = StateChange(state: state, delta: nil, buckets: [])
      unit.advances = [advance]
      progress = try #require(committer.commit(unit).progress.first)
    }

    let status = try #require(PartitionStatus.list(on: &connection).first)
    #expect(status.progress.streams == progress.streams)
    #expect(status.progress.streams.map(\.nextOffset) == [11])
    #expect(status.progress.streams.map(\.accepted) == [6])

    #expect(try CommitRanges.prune(olderThan: 3_600, on: &connection) == 0)
    try connection.execute("UPDATE fraud.commit_ranges SET committed_at = now() - interval '2 hours'")
    // The third commit stands behind the snapshot.
    #expect(try CommitRanges.prune(olderThan: 3_600, on: &connection) == 4)
    let left = try connection.query(
      "SELECT seq, read_topic, first_offset, next_offset FROM fraud.commit_ranges ORDER BY 2")
    #expect(left.rowCount == 2)
    #expect(try left.integer(0, 0) == 3 && left.text(0, 1) == "s" && left.integer(0, 2) == 8)
  }
}

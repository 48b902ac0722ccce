import FraudCore
import FraudStore

/// Which versions of a pipeline decided what, as the database has it, over a connection of its own.
final class VersionRecord {
  private let pipelineID: Int
  private let name: String
  private let generation: String
  private let address: PostgresAddress
  private var connection: PostgresConnection?
  private var loaded: [Int: PipelineVersion]
  private var known: Int

  /// - Parameter version: the one that is known already.
  init(pipelineID: Int, generation: String, version: PipelineVersion, address: PostgresAddress) {
    self.pipelineID = pipelineID
    self.generation = generation
    self.address = address
    name = version.pipeline.definition.name
    known = version.number
    loaded = [version.number: version]
  }

  /// The versions that decided a partition's events so far.
  func history(of partition: TopicPartition) throws(StoreError) -> (
    versions: [DecidingVersion], committedOffset: Int64
  )? {
    let (pipelineID, generation) = (pipelineID, generation)
    let found = try withConnection { connection throws(StoreError) in
      try Activations.read(
        pipelineID: pipelineID, topic: partition.topic, generation: generation, partition: partition.partition,
        on: &connection)
    }
    guard let found else { return nil }
    var versions: [DecidingVersion] = []
    for (fromOffset, number) in found.versions {
      versions.append(DecidingVersion(fromOffset: fromOffset, version: try version(number)))
    }
    return (versions, found.committedOffset)
  }

  /// The version in force, where it is another than the last one given.
  func next() throws(StoreError) -> PipelineVersion? {
    let (pipelineID, known) = (pipelineID, known)
    let stored = try withConnection { connection throws(StoreError) in
      try PipelineStore.inForce(pipelineID, unless: known, on: &connection)
    }
    guard let stored else { return nil }
    self.known = stored.version
    return try version(stored.version, stored)
  }

  private func version(_ number: Int, _ stored: StoredPipeline? = nil) throws(StoreError) -> PipelineVersion {
    if let version = loaded[number] { return version }
    var stored = stored
    if stored == nil {
      let name = name
      stored = try withConnection { connection throws(StoreError) in
        try PipelineStore.find(name, version: number, on: &connection)
      }
    }
    do {
      guard let stored else { throw Failure.failed("it is not stored any more") }
      let version = try PipelineVersion(stored)
      loaded[number] = version
      return version
    } catch {
      throw StoreError(code: .refused, message: "version \(number) of \(name) cannot be used: \(explain(error))")
    }
  }

  private func withConnection<Result>(
    _ body: (inout PostgresConnection) throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    var open: PostgresConnection
    if let current = connection.take() { open = current } else { open = try PostgresConnection(address) }
    let result = try body(&open)
    connection = consume open
    return result
  }
}
